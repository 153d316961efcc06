/*
 * config_argv: the command line (facts page section 3). See config.h.
 */
#include "settings/config.h"

#include <string.h>
#include <strings.h>

#include "common/log.h"
#include "settings/defaults.h"

#define SHOWN 80

static const struct {
    const char *name;
    enum config_task task;
    bool quiet; /* only tells something: opens no trace file, leaves the log alone */
} tasks[] = {
    {"--print-config", CONFIG_PRINT, true}, {"--check", CONFIG_CHECK, true},
    {"--recover", CONFIG_RECOVER, false},   {"--list-options", CONFIG_LIST, true},
    {"--version", CONFIG_VERSION, true},    {"--help", CONFIG_HELP, true},
};
#define TASKS (sizeof tasks / sizeof tasks[0])

struct walk {
    struct settings *settings;
    int argc;
    char **argv;
    int next; /* index of the argument after the one in hand */
    struct config_action *action;
    struct config_complaints *complaints;
};

/* `before "word" after` */
static int fail_word(struct strbuf *why, const char *before, const char *word, const char *after)
{
    strbuf_reset(why);
    strbuf_adds(why, before);
    strbuf_addc(why, '"');
    log_escape(why, word, strlen(word), SHOWN);
    strbuf_addc(why, '"');
    strbuf_adds(why, after);
    return -1;
}

static bool is_address(const char *argument)
{
    return argument[0] == ':' || argument[0] == '[' || (argument[0] >= '0' && argument[0] <= '9');
}

/* Whether the command line only wants to be told something. Looked up first, because -t acts at once. */
static bool only_tells(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        for (size_t t = 0; t < TASKS; t++) {
            if (tasks[t].quiet && strcmp(argv[i], tasks[t].name) == 0)
                return true;
        }
    }
    return false;
}

bool config_asks_for(int argc, char **argv, enum config_task task)
{
    for (int i = 1; i < argc; i++) {
        for (size_t t = 0; t < TASKS; t++) {
            if (tasks[t].task == task && strcmp(argv[i], tasks[t].name) == 0)
                return true;
        }
    }
    return false;
}

/* -e login_delay=60,expire=0; a name without a value means -1, which is "say nothing" or "never". */
static int set_extension(struct settings *s, const char *text, size_t n, struct strbuf *why)
{
    size_t name = strcspn(text, "=,");
    char value[24] = "-1";

    if (name < n && n - name - 1 >= sizeof value)
        return fail_word(why, "a number in -e is too long: ", text, "");
    if (name < n) {
        memcpy(value, text + name + 1, n - name - 1);
        value[n - name - 1] = '\0';
    }
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const char *extension = option_rows[i].extension;

        if (extension != NULL && strlen(extension) == name && strncasecmp(extension, text, name) == 0)
            return settings_set(s, &option_rows[i], value, OPTION_SWITCH, "switch -e", why);
    }
    return fail_word(why, "-e knows login_delay=N and expire=N, separated by commas, but not ", text, "");
}

static int set_extensions(struct settings *s, const char *text, struct strbuf *why)
{
    for (;; text++) {
        size_t n = strcspn(text, ",");

        if (set_extension(s, text, n, why) < 0)
            return -1;
        text += n;
        if (*text == '\0')
            return 0;
    }
}

static int fail_switch(const char *letter, struct strbuf *why)
{
    char word[3] = {'-', *letter, '\0'};

    fail_word(why, "unknown switch ", word, "; the switches are");
    for (char c = 'A'; c <= 'z'; c++) {
        if (options_find_letter(c) != NULL || strchr("efhv", c) != NULL)
            strbuf_addf(why, " -%c", c);
    }
    strbuf_adds(why, " --print-config --check --recover --list-options --version --help");
    return -1;
}

/* The value of a switch: the rest of its argument, or the next one. NULL and why: there is none. */
static const char *take_value(struct walk *w, const char *p, struct strbuf *why)
{
    if (p[1] != '\0')
        return p + 1;
    if (w->next < w->argc)
        return w->argv[w->next++];
    strbuf_fail(why, "the switch -%c lacks its value", *p);
    return NULL;
}

static int set_by_switch(struct walk *w, const struct option_row *row, const char *p, const char *where, bool *taken_r, struct strbuf *why)
{
    const char *value;

    *taken_r = row == NULL || row->kind != KIND_BOOL;
    if (!*taken_r && row->letter_off)
        return settings_reset(w->settings, row, OPTION_SWITCH, where, why);
    if (!*taken_r)
        return settings_set(w->settings, row, NULL, OPTION_SWITCH, where, why);
    value = take_value(w, p, why);
    if (value == NULL)
        return -1;
    if (*p == 'e')
        return set_extensions(w->settings, value, why);
    if (*p == 'f')
        return config_file(w->settings, value, OPTION_FILE, where, w->complaints, why);
    if (row->kind == KIND_MNEM && row->choices[0].digit >= 0)
        return settings_set_digit(w->settings, row, value, where, why);
    return settings_set(w->settings, row, value, OPTION_SWITCH, where, why);
}

/* -sSR, -T60, -T 60. 1: -v or -h was among them, read no further. */
static int do_switches(struct walk *w, const char *argument, struct strbuf *why)
{
    bool taken = false;

    for (const char *p = argument + 1; *p != '\0' && !taken; p++) {
        const struct option_row *row = options_find_letter(*p);
        char where[] = "switch -?";

        where[sizeof where - 2] = *p;
        if (*p == 'v' || *p == 'h') {
            w->action->task = *p == 'v' ? CONFIG_VERSION : CONFIG_HELP;
            return 1;
        }
        if (row == NULL && *p != 'e' && *p != 'f')
            return fail_switch(p, why);
        if (set_by_switch(w, row, p, where, &taken, why) < 0) {
            if (*p != 'f')
                strbuf_fail(why, "%s: %s", where, why->data);
            return -1;
        }
    }
    return 0;
}

static int do_task(struct walk *w, const char *argument, struct strbuf *why)
{
    if (strncmp(argument, "--v", 3) == 0)
        argument = "--version";
    for (size_t t = 0; t < TASKS; t++) {
        if (strcmp(argument, tasks[t].name) == 0) {
            w->action->task = tasks[t].task;
            return tasks[t].task == CONFIG_VERSION || tasks[t].task == CONFIG_HELP;
        }
    }
    return fail_word(why, "unknown argument ", argument, "; the long ones are --print-config, --check, --recover, --list-options, --version and --help");
}

static int do_word(struct walk *w, char *argument, struct strbuf *why)
{
    bool user = w->action->task == CONFIG_CHECK || w->action->task == CONFIG_RECOVER;

    if (user && w->action->user == NULL && !strchr(argument, ':')) {
        w->action->user = argument;
        return 0;
    }
    if (is_address(argument))
        return fail_word(why, "the address ", argument, " must stand before the first switch");
    if (w->argv[0][0] == '-')
        return fail_word(why, "unexpected argument ", argument, "; in inetd.conf the word popper stands between the program and its switches");
    return fail_word(why, "unexpected argument ", argument, user ? "; one user may be named" : "");
}

static int do_argument(struct walk *w, struct strbuf *why)
{
    char *argument = w->argv[w->next++];

    if (argument[0] != '-' || argument[1] == '\0')
        return do_word(w, argument, why);
    if (argument[1] == '-')
        return do_task(w, argument, why);
    return do_switches(w, argument, why);
}

int config_argv(struct settings *s, int argc, char **argv, struct config_action *action_r, struct config_complaints *complaints,
                struct strbuf *why)
{
    struct walk w = {.settings = s, .argc = argc, .argv = argv, .next = 1, .action = action_r, .complaints = complaints};

    *action_r = (struct config_action){.task = CONFIG_SERVE, .addresses = argv + 1};
    s->log_at_once = !only_tells(argc, argv);
    while (w.next < argc && is_address(argv[w.next]))
        w.next++;
    action_r->address_count = argc > 0 ? (size_t)w.next - 1 : 0;
    action_r->standalone = action_r->address_count > 0 || STANDALONE_BY_DEFAULT;
    while (w.next < argc) {
        int result = do_argument(&w, why);

        if (result != 0)
            return result < 0 ? -1 : 0;
    }
    return 0;
}
