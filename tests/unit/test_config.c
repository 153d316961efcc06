/* config: the grammar of files, nesting and limits, users' files, the command line, and printing what was read. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "settings/config.h"

static struct settings *settings;
static struct strbuf why;
static char started_in[4096];
static char dir[] = "/tmp/test_config.XXXXXX";

static void begin(void)
{
    strcpy(dir + sizeof dir - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(chdir(dir), 0);
    settings = settings_new();
    strbuf_init(&why, CONFIG_WHY_MAX);
}

static void end(void)
{
    char command[sizeof dir + 10];

    log_trace_close();
    log_set_debug(false);
    settings_free(&settings);
    strbuf_free(&why);
    ck_assert_int_eq(chdir("/"), 0);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static void write_file(const char *name, const void *bytes, size_t n)
{
    FILE *f = fopen(name, "w");

    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

static void write_text(const char *name, const char *text)
{
    write_file(name, text, strlen(text));
}

static int read_text(const char *text)
{
    write_text("conf", text);
    return config_file(settings, "conf", OPTION_FILE, "switch -f", NULL, &why);
}

static const struct {
    const char *name, *text, *option, *shown;
} good[] = {
    {"empty", "", "timeout", "600"},
    {"implicit set", "set shy\n", "shy", "true"},
    {"explicit set", "set shy = true\n", "shy", "true"},
    {"no blanks around =", "set timeout=7\n", "timeout", "7"},
    {"many blanks", " \t set\t timeout \t=\t 7 \t\n", "timeout", "7"},
    {"any case", "SET TimeOut = 0X10\n", "timeout", "16"},
    {"reset", "set shy\nReset SHY\n", "shy", "false"},
    {"reset with a comment", "reset reverse-lookup # why\n", "reverse-lookup", "false"},
    {"comment lines and blank lines", "# a\n\n   # b\n#\nset shy", "shy", "true"},
    {"comment after a value", "set timeout = 9 # nine\n", "timeout", "9"},
    {"comment close to a number", "set timeout = 9#nine\n", "timeout", "9"},
    {"comment close to a bool", "set shy#x\n", "shy", "true"},
    {"comment close to a word", "set uidl-format = md5#x\n", "uidl-format", "md5"},
    {"# inside a bare string", "set spool-dir = /a#b # c\n", "spool-dir", "\"/a#b\""},
    {"last line without newline", "set timeout = 11", "timeout", "11"},
    {"CR LF", "set timeout = 11\r\nset shy\r\n", "timeout", "11"},
    {"the mark of UTF-8 that editors of Windows write", "\xef\xbb\xbfset timeout = 11\r\n", "timeout", "11"},
    {"later lines win", "set timeout = 1\nset timeout = 2\n", "timeout", "2"},
    {"double quotes", "set log-login = \"a b\"\n", "log-login", "\"a b\""},
    {"single quotes", "set log-login = 'a \"b'\n", "log-login", "\"a \\\"b\""},
    {"backquotes", "set log-login = `a 'b`# c\n", "log-login", "\"a 'b\""},
    {"escaped quote", "set log-login = \"a \\\"b\\\" c\" # d\n", "log-login", "\"a \\\"b\\\" c\""},
    {"other backslashes stay", "set log-login = 'a\\b\\\"'\n", "log-login", "\"a\\\\b\\\\\\\"\""},
    {"doubled backslash", "set log-login = \"a\\\\\"\n", "log-login", "\"a\\\\\""},
    {"# in quotes", "set log-login = \"#1\"\n", "log-login", "\"#1\""},
    {"quoted number", "set timeout = \"5\"\n", "timeout", "5"},
    {"empty quotes unset", "set spool-dir = \"\"\n", "spool-dir", "\"\""},
    {"alias", "set uw-kludge\n", "UW-kluge", "true"},
    {"negative number", "set announce-expire = -1\n", "announce-expire", "-1"},
    {"octal", "set timeout = 010\n", "timeout", "8"},
};

START_TEST(good_lines)
{
    struct strbuf out = STRBUF_INIT(1000);

    ck_assert_msg(read_text(good[_i].text) == 0, "%s: %s", good[_i].name, why.data);
    settings_show(settings, options_find(good[_i].option, strlen(good[_i].option)), 0, &out);
    ck_assert_msg(strcmp(out.data, good[_i].shown) == 0, "%s: %s", good[_i].name, out.data);
    strbuf_free(&out);
}
END_TEST

static const struct {
    const char *name, *text, *error;
} bad[] = {
    {"no command", "\n\nfoo\n", "conf:3: \"foo\" is no command; a line starts with set, reset or #"},
    {"= alone", "=\n", "conf:1: \"=\" is no command"},
    {"name without set", "timeout = 5\n", "conf:1: \"timeout\" is no command"},
    {"settimeout", "settimeout = 5\n", "conf:1: \"settimeout\" is no command"},
    {"set alone", "set\n", "conf:1: set lacks the name of an option"},
    {"reset alone", "reset # x\n", "conf:1: reset lacks the name of an option"},
    {"set =", "set = 5\n", "conf:1: set lacks the name of an option"},
    {"unknown option", "set shy\nset timeuot = 5\n", "conf:2: unknown option \"timeuot\"; did you mean timeout?"},
    {"no value", "set timeout =\n", "conf:1: there is no value after = for timeout"},
    {"only a comment as value", "set spool-dir = # x\n", "conf:1: there is no value after = for spool-dir"},
    {"no =", "set timeout\n", "conf:1: timeout wants a value: set timeout = VALUE"},
    {"no = before the value", "set timeout 5\n", "conf:1: an = is missing before \"5\""},
    {"bool without =", "set shy true\n", "conf:1: an = is missing before \"true\""},
    {"two values", "set timeout = 5 6\n", "conf:1: \"6\" stands behind the value; put values with blanks into quotes"},
    {"two words", "set spool-dir = /a /b\n", "conf:1: \"/b\" stands behind the value"},
    {"behind quotes", "set log-login = \"a\"b\n", "conf:1: \"b\" stands behind the value"},
    {"open quote", "set log-login = \"abc\n", "conf:1: the quote at \"\\x22abc\" has no end on this line"},
    {"escaped last quote", "set log-login = 'abc\\'\n", "conf:1: the quote at \"'abc\\x5c'\" has no end"},
    {"reset with value", "reset shy = true\n", "conf:1: \"= true\" cannot follow reset"},
    {"reset of a number", "reset timeout\n", "conf:1: timeout cannot be reset"},
    {"wrong bool", "set shy = on\n", "conf:1: \"on\" is no value for shy; it must be true, false, 1 or 0"},
    {"wrong word", "set uidl-format = x\n", "conf:1: \"x\" is no value for uidl-format; it must be one of qpopper, md5, dovecot"},
    {"wrong number", "set timeout = ten\n", "conf:1: \"ten\" is no value for timeout; it must be a number from 1 to 86400"},
    {"control character", "set spool-dir = /a\001b\n", "conf:1: the value of spool-dir contains a control character"},
    {"not built", "set tls-passphrase = x\n", "conf:1: tls-passphrase needs SSL-Plus, which is not built in"},
    {"missing nested file", "set config-file = none\n", "conf:1: cannot read the configuration file none: No such file or directory"},
    {"terminal escapes", "\033[2J\n", "conf:1: \"\\x1b[2J\" is no command"},
};

START_TEST(bad_lines)
{
    ck_assert_msg(read_text(bad[_i].text) == -1, "%s was taken", bad[_i].name);
    ck_assert_msg(strncmp(why.data, bad[_i].error, strlen(bad[_i].error)) == 0, "%s: %s", bad[_i].name, why.data);
}
END_TEST

/* n bytes in all: set spool-dir = /aaa... is too long a value, so a comment makes the length. */
static void line_of(char *line, size_t n)
{
    memset(line, '#', n);
    memcpy(line, "set timeout = 77 ", 17);
}

START_TEST(lines_are_bounded)
{
    char text[CONFIG_LINE_MAX + 2];

    line_of(text, CONFIG_LINE_MAX);
    text[CONFIG_LINE_MAX] = '\n';
    write_file("conf", text, CONFIG_LINE_MAX + 1);
    ck_assert_msg(config_file(settings, "conf", OPTION_FILE, "f", NULL, &why) == 0, "%s", why.data);
    ck_assert_int_eq(settings->timeout, 77);
    line_of(text, CONFIG_LINE_MAX + 1);
    write_file("conf", text, CONFIG_LINE_MAX + 1);
    ck_assert_int_eq(config_file(settings, "conf", OPTION_FILE, "f", NULL, &why), -1);
    ck_assert_str_eq(why.data, "conf:1: the line is longer than 1023 bytes");
}
END_TEST

START_TEST(nul_bytes_are_refused)
{
    static const char text[] = "set shy\nset timeout = 5\0 6\n";

    write_file("conf", text, sizeof text - 1);
    ck_assert_int_eq(config_file(settings, "conf", OPTION_FILE, "f", NULL, &why), -1);
    ck_assert_str_eq(why.data, "conf:2: the line contains a NUL byte, so this is no text file");
    ck_assert_int_ne(settings->timeout, 5);
}
END_TEST

START_TEST(only_regular_files_are_read)
{
    ck_assert_int_eq(mkfifo("fifo", 0600), 0);
    ck_assert_int_eq(config_file(settings, "fifo", OPTION_FILE, "f", NULL, &why), -1);
    ck_assert_str_eq(why.data, "cannot read the configuration file fifo: it is not a regular file");
    ck_assert_int_eq(config_file(settings, dir, OPTION_FILE, "f", NULL, &why), -1);
    ck_assert_int_eq(config_file(settings, "/dev/zero", OPTION_FILE, "f", NULL, &why), -1);
    ck_assert_int_eq(config_file(settings, "/dev/null", OPTION_FILE, "f", NULL, &why), 0);
}
END_TEST

START_TEST(nested_files_are_read_in_place)
{
    write_text("inner", "set timeout = 2\nset statistics\n");
    ck_assert_int_eq(read_text("set timeout = 1\nset config-file = inner\nset timing\nset statistics = 0\n"), 0);
    ck_assert_int_eq(settings->timeout, 2);
    ck_assert(settings->timing && !settings->statistics);
    ck_assert_str_eq(settings->origin[OPTION_timeout].where, "inner:1");
    ck_assert_str_eq(settings->origin[OPTION_statistics].where, "conf:4");
}
END_TEST

START_TEST(nested_errors_name_the_inner_place)
{
    write_text("inner", "\nset x\n");
    ck_assert_int_eq(read_text("set config-file = inner\nset timing\n"), -1);
    ck_assert_int_eq(strncmp(why.data, "inner:2: unknown option \"x\"", 27), 0);
    ck_assert(!settings->timing);
}
END_TEST

START_TEST(endless_nesting_ends)
{
    ck_assert_int_eq(read_text("set config-file = conf\nset config-file = conf\n"), -1);
    ck_assert_str_eq(why.data, "conf:1: more than 100 configuration files lead to each other");
}
END_TEST

START_TEST(hundred_files_are_all_right)
{
    char name[20], text[60];

    for (int i = 1; i < CONFIG_FILES_MAX; i++) {
        snprintf(name, sizeof name, "c%d", i);
        snprintf(text, sizeof text, i < CONFIG_FILES_MAX - 1 ? "set config-file = c%d\n" : "set timeout = %d\n", i + 1);
        write_text(name, text);
    }
    ck_assert_msg(read_text("set config-file = c1\n") == 0, "%s", why.data);
    ck_assert_int_eq(settings->timeout, CONFIG_FILES_MAX);
}
END_TEST

START_TEST(huge_files_are_not_read_to_the_end)
{
    int fd = open("conf", O_CREAT | O_WRONLY, 0600);

    ck_assert_int_eq(ftruncate(fd, (off_t)1 << 40), 0);
    close(fd);
    ck_assert_int_eq(config_file(settings, "conf", OPTION_FILE, "f", NULL, &why), -1);
    ck_assert_str_eq(why.data, "cannot read conf: File too large");
}
END_TEST

static struct strbuf reports;

static void keep_report(void *context, const char *text)
{
    strbuf_addf(context, "%s\n", text);
}

static size_t read_user(const char *text, size_t n, enum option_source source)
{
    int fd;
    size_t result;

    write_file("user", text, n);
    fd = open("user", O_RDONLY);
    strbuf_free(&reports);
    strbuf_init(&reports, 1 << 20);
    result = config_fd(settings, fd, "~/.o", source, keep_report, &reports);
    ck_assert_int_ge(fcntl(fd, F_GETFD), 0);
    close(fd);
    return result;
}

START_TEST(an_unknown_option_is_answered_by_those_that_may_be_set_there)
{
    static const char text[] = "set spool-di = /x\nset timin\n";

    ck_assert_int_eq(read_text("set x = 1"), -1);
    ck_assert_str_eq(why.data, "conf:1: unknown option \"x\"; `popper -h` lists them all");
    ck_assert_int_eq(read_text("set spool_di = /x"), -1);
    ck_assert_str_eq(why.data, "conf:1: unknown option \"spool_di\"; did you mean spool-dir?");
    ck_assert_uint_eq(read_user(text, sizeof text - 1, OPTION_HOME), 2);
    ck_assert_str_eq(reports.data, "~/.o:1: unknown option \"spool-di\"; `popper -h` lists them all\n~/.o:2: unknown option \"timin\"; did you mean timing?\n");
}
END_TEST

START_TEST(all_complaints_about_files)
{
    char argv0[] = "popper", f[] = "-f", conf[] = "conf", none[] = "none", bad[] = "-Z";
    char *argv[] = { argv0, f, conf, f, none, f, conf, bad };
    struct config_complaints complaints = { .report = keep_report, .context = &reports };
    struct config_action action;

    strbuf_free(&reports);
    strbuf_init(&reports, 1 << 20);
    write_text("inner", "set shy\nset nothing\n");
    write_text("conf", "set shi\nset timeout = 7\nset config-file = inner\nset timing = 5\nset config-file = none");
    ck_assert_int_eq(config_argv(settings, 3, argv, &action, &complaints, &why), 0);
    ck_assert_uint_eq(complaints.count, 4);
    ck_assert_str_eq(reports.data, "conf:1: unknown option \"shi\"; did you mean shy?\ninner:2: unknown option \"nothing\"; `popper -h` lists them all\n"
                                   "conf:4: \"5\" is no value for timing; it must be true, false, 1 or 0\n"
                                   "conf:5: cannot read the configuration file none: No such file or directory\n");
    ck_assert_int_eq(settings->timeout, 7);
    /* Each file counts, and what is wrong on the command line ends it. */
    ck_assert_int_eq(config_argv(settings, 7, argv, &action, &complaints, &why), 0);
    ck_assert_uint_eq(complaints.count, 4 + 4 + 1 + 4);
    ck_assert_int_eq(config_argv(settings, 8, argv, &action, &complaints, &why), -1);
    ck_assert_int_eq(strncmp(why.data, "unknown switch \"-Z\"", 19), 0);
}
END_TEST

START_TEST(complaints_have_an_end)
{
    struct config_complaints complaints = { .report = keep_report, .context = &reports };
    static char text[20 * CONFIG_COMPLAINTS_MAX];

    strbuf_free(&reports);
    strbuf_init(&reports, 1 << 20);
    memset(text, 'x', sizeof text);
    for (size_t i = 4; i < sizeof text; i += 5)
        text[i] = '\n';
    write_file("conf", text, sizeof text);
    ck_assert_int_eq(config_file(settings, "conf", OPTION_FILE, "f", &complaints, &why), 0);
    ck_assert_int_eq(config_file(settings, "conf", OPTION_FILE, "f", &complaints, &why), 0);
    ck_assert_uint_eq(complaints.count, CONFIG_COMPLAINTS_MAX);
    ck_assert_ptr_nonnull(strstr(reports.data, "\ntoo many bad lines: the rest is not read\n"));
}
END_TEST

START_TEST(bad_lines_of_users_are_reported_and_skipped)
{
    static const char text[] = "set timing\nset shy\nfoo\nset timeout = 0\nset statistics";

    ck_assert_uint_eq(read_user(text, sizeof text - 1, OPTION_HOME), 3);
    ck_assert_str_eq(reports.data, "~/.o:2: shy may not be set in the option file of a user\n"
                                   "~/.o:3: \"foo\" is no command; a line starts with set, reset or #\n"
                                   "~/.o:4: \"0\" is no value for timeout; it must be a number from 1 to 86400\n");
    ck_assert(settings->timing && settings->statistics && !settings->shy);
}
END_TEST

START_TEST(home_and_spool_files_may_set_what_the_table_says)
{
    static const char text[] = "set server-mode\nset spool-dir = /x\nset shy\n";

    ck_assert_uint_eq(read_user(text, sizeof text - 1, OPTION_HOME), 2);
    ck_assert_ptr_nonnull(strstr(reports.data, "~/.o:2: spool-dir may not be set in the option file of a user's home directory"));
    ck_assert_uint_eq(read_user(text, sizeof text - 1, OPTION_SPOOL), 1);
    ck_assert_str_eq(settings->spool_dir, "/x");
    ck_assert_int_eq(settings->origin[OPTION_spool_dir].source, OPTION_SPOOL);
}
END_TEST

START_TEST(files_named_by_users_have_their_rights)
{
    char text[200];

    write_text("inner", "set shy\nset timing\n");
    snprintf(text, sizeof text, "set config-file = inner\nset config-file = %s/inner\nset config-file = %s/none\nset statistics\n", dir, dir);
    ck_assert_uint_eq(read_user(text, strlen(text), OPTION_HOME), 3);
    ck_assert_ptr_nonnull(strstr(reports.data, "~/.o:1: config-file must be a path that starts with / here; it is \"inner\""));
    ck_assert_ptr_nonnull(strstr(reports.data, "/inner:1: shy may not be set"));
    ck_assert_ptr_nonnull(strstr(reports.data, "~/.o:3: cannot read the configuration file"));
    ck_assert(!settings->shy && settings->timing && settings->statistics);
    ck_assert_uint_eq(read_user(text, strlen(text), OPTION_SPOOL), 3);
    ck_assert_ptr_nonnull(strstr(reports.data, "~/.o:1: config-file must be a path that starts with / here; it is \"inner\""));
}
END_TEST

START_TEST(binaries_of_users_do_no_harm)
{
    static char bytes[300000];
    unsigned state = 1;

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)((state = state * 1103515245 + 12345) >> 16);
    ck_assert_uint_eq(read_user(bytes, sizeof bytes, OPTION_HOME), CONFIG_BAD_MAX);
    ck_assert_ptr_nonnull(strstr(reports.data, "too many bad lines: the rest is not read"));
    memset(bytes, 'a', sizeof bytes);
    ck_assert_uint_eq(read_user(bytes, sizeof bytes, OPTION_HOME), 1);
    ck_assert_str_eq(reports.data, "~/.o:1: the line is longer than 1023 bytes\n");
}
END_TEST

START_TEST(a_user_who_includes_himself_is_stopped)
{
    char text[200];

    snprintf(text, sizeof text, "set config-file = %s/user\nset timing\n", dir);
    ck_assert_uint_ge(read_user(text, strlen(text), OPTION_HOME), 1);
    ck_assert_ptr_nonnull(strstr(reports.data, "more than 100 configuration files"));
    ck_assert(settings->timing);
}
END_TEST

START_TEST(unreadable_descriptors_are_reported)
{
    strbuf_free(&reports);
    strbuf_init(&reports, 1000);
    ck_assert_uint_eq(config_fd(settings, -1, "~/.o", OPTION_HOME, keep_report, &reports), 1);
    ck_assert_str_eq(reports.data, "cannot read ~/.o: Bad file descriptor\n");
}
END_TEST

/* ---- the command line */

#define ARGS_MAX 12

static struct config_action action;

static int argv_of(const char *line)
{
    static char copy[500], *argv[ARGS_MAX + 1];
    int argc = 0;

    snprintf(copy, sizeof copy, "%s", line);
    argv[argc++] = (char *)"popper";
    for (char *word = strtok(copy, " "); word != NULL && argc < ARGS_MAX; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    return config_argv(settings, argc, argv, &action, NULL, &why);
}

static const struct {
    const char *line, *option, *shown;
} switches[] = {
    {"-c", "downcase-user", "true"},
    {"-C", "trim-domain", "true"},
    {"-d", "debug", "true"},
    {"-e login_delay=60", "announce-login-delay", "60"},
    {"-elogin_delay=60,expire=3", "announce-expire", "3"},
    {"-e expire=3,login_delay", "announce-login-delay", "-1"},
    {"-e EXPIRE=0", "announce-expire", "0"},
    {"-F", "fast-update", "true"},
    {"-L 17", "mail-lock-check", "17"},
    {"-l0", "tls-support", "none"},
    {"-l 0", "tls-support", "none"},
    {"-p0", "clear-text-password", "default"},
    {"-p 2", "clear-text-password", "always"},
    {"-p3", "clear-text-password", "local"},
    {"-R", "reverse-lookup", "false"},
    {"-s", "statistics", "true"},
    {"-S", "server-mode", "true"},
    {"-T60", "timeout", "60"},
    {"-T 60", "timeout", "60"},
    {"-T 60 -T 70", "timeout", "70"},
    {"-sSRT60", "timeout", "60"},
    {"-sSRT 60", "server-mode", "true"},
    {"-u", "user-options", "true"},
    {"-U", "spool-options", "true"},
    {"-y mail", "log-facility", "mail"},
    {"-ylocal7", "log-facility", "local7"},
    {"8110 -S -T600", "server-mode", "true"},
};

START_TEST(switches_set_options)
{
    struct strbuf out = STRBUF_INIT(1000);

    ck_assert_msg(argv_of(switches[_i].line) == 0, "%s: %s", switches[_i].line, why.data);
    settings_show(settings, options_find(switches[_i].option, strlen(switches[_i].option)), 0, &out);
    ck_assert_msg(strcmp(out.data, switches[_i].shown) == 0, "%s: %s", switches[_i].line, out.data);
    ck_assert_int_eq(settings->origin[options_find(switches[_i].option, strlen(switches[_i].option)) - option_rows].source, OPTION_SWITCH);
    ck_assert_int_eq(action.task, CONFIG_SERVE);
    strbuf_free(&out);
}
END_TEST

/* Switches of parts that a build may lack: either they work, or the error says so. */
static const struct {
    const char *line, *option, *shown;
    enum feature feature;
} optional[] = {
    {"-B", "bulldb-nonfatal", "true", FEATURE_BULLDB}, {"-b /x", "bulldir", "/x", FEATURE_NONE},
    {"-D host", "drac-host", "host", FEATURE_DRAC},    {"-k", "kerberos", "true", FEATURE_KERBEROS},
    {"-Kpop", "kerberos-service", "pop", FEATURE_KERBEROS}, {"-l1", "tls-support", "stls", FEATURE_TLS},
    {"-l 1", "tls-support", "stls", FEATURE_TLS},
    {"-l 2", "tls-support", "alternate-port", FEATURE_TLS}, {"-p1", "clear-text-password", "never", FEATURE_APOP},
    {"-p4", "clear-text-password", "tls", FEATURE_TLS},
};

START_TEST(switches_of_parts_that_may_be_missing)
{
    struct strbuf out = STRBUF_INIT(1000);

    if (options_feature_built(optional[_i].feature)) {
        ck_assert_msg(argv_of(optional[_i].line) == 0, "%s: %s", optional[_i].line, why.data);
        settings_show(settings, options_find(optional[_i].option, strlen(optional[_i].option)), 0, &out);
        ck_assert_str_eq(out.data, optional[_i].shown);
    } else {
        ck_assert_int_eq(argv_of(optional[_i].line), -1);
        strbuf_addf(&out, "switch -%c: %s", optional[_i].line[1], optional[_i].option);
        ck_assert_msg(strncmp(why.data, out.data, out.len) == 0, "%s", why.data);
        ck_assert_ptr_nonnull(strstr(why.data, "which is not built in"));
    }
    strbuf_free(&out);
}
END_TEST

static const struct {
    const char *line, *error;
} bad_lines_of_argv[] = {
    {"-q", "unknown switch \"-q\"; the switches are -B -C -D -F -K -L -R -S -T -U -b -c -d -e -f -h -k -l -p -s -t -u -v -y --print"},
    {"-sq", "unknown switch \"-q\""},
    {"-T", "switch -T: the switch -T lacks its value"},
    {"-T x", "switch -T: \"x\" is no value for timeout; it must be a number from 1 to 86400"},
    {"-p5", "switch -p: \"5\" is no value for clear-text-password; it must be one of 0 (default), "},
    {"-l3", "switch -l: \"3\" is no value for tls-support"},
    {"-y user", "switch -y: \"user\" is no value for log-facility; it must be one of mail, local0"},
    {"-e foo=1", "switch -e: -e knows login_delay=N and expire=N"},
    {"-e expire=1,", "switch -e: -e knows login_delay=N and expire=N"},
    {"-e expire=x", "switch -e: \"x\" is no value for announce-expire"},
    {"-e expire=1111111111111111111111111111111111", "switch -e: a number in -e is too long"},
    {"-f none", "cannot read the configuration file none: No such file or directory"},
    {"-f", "switch -f lacks"},
    {"-s 110", "the address \"110\" must stand before the first switch"},
    {"--check :110 -s", "the address \":110\" must stand before the first switch"},
    {"--check [::1]:110", "the address \"[::1]:110\" must stand before the first switch"},
    {"bob", "unexpected argument \"bob\""},
    {"--check bob eve", "unexpected argument \"eve\"; one user may be named"},
    {"--foo", "unknown argument \"--foo\"; the long ones are --print-config, "},
    {"-", "unexpected argument \"-\""},
};

START_TEST(wrong_command_lines)
{
    ck_assert_msg(argv_of(bad_lines_of_argv[_i].line) == -1, "%s was taken", bad_lines_of_argv[_i].line);
    ck_assert_msg(strstr(why.data, bad_lines_of_argv[_i].error) != NULL, "%s", why.data);
}
END_TEST

START_TEST(a_line_of_inetd_without_the_name_of_the_program)
{
    char name[] = "-f", file[] = "/etc/popper.conf";
    char *argv[] = {name, file, NULL};
    struct config_action action;

    ck_assert_int_eq(config_argv(settings, 2, argv, &action, NULL, &why), -1);
    ck_assert_str_eq(why.data, "unexpected argument \"/etc/popper.conf\"; in inetd.conf the word popper stands between the program and its switches");
}
END_TEST

static const struct {
    const char *line;
    enum config_task task;
    const char *user;
    size_t addresses;
} tasks[] = {
    {"", CONFIG_SERVE, NULL, 0},
    {"-v", CONFIG_VERSION, NULL, 0},
    {"-sv -q", CONFIG_VERSION, NULL, 0},
    {"--version", CONFIG_VERSION, NULL, 0},
    {"--v", CONFIG_VERSION, NULL, 0},
    {"--vers -q", CONFIG_VERSION, NULL, 0},
    {"-h", CONFIG_HELP, NULL, 0},
    {"--help", CONFIG_HELP, NULL, 0},
    {"--print-config -s", CONFIG_PRINT, NULL, 0},
    {"-s --print-config", CONFIG_PRINT, NULL, 0},
    {"--list-options", CONFIG_LIST, NULL, 0},
    {"--check", CONFIG_CHECK, NULL, 0},
    {"--check bob -s", CONFIG_CHECK, "bob", 0},
    {"--check -s 110", CONFIG_CHECK, "110", 0},
    {"--recover", CONFIG_RECOVER, NULL, 0},
    {"--recover bob", CONFIG_RECOVER, "bob", 0},
    {"110", CONFIG_SERVE, NULL, 1},
    {":110 192.0.2.1 [::1]:110 -s", CONFIG_SERVE, NULL, 3},
};

START_TEST(tasks_and_addresses)
{
    ck_assert_msg(argv_of(tasks[_i].line) == 0, "%s: %s", tasks[_i].line, why.data);
    ck_assert_int_eq(action.task, tasks[_i].task);
    ck_assert_pstr_eq(action.user, tasks[_i].user);
    ck_assert_uint_eq(action.address_count, tasks[_i].addresses);
    if (action.address_count > 0) {
        ck_assert(action.standalone);
        ck_assert_int_eq(strncmp(action.addresses[0], tasks[_i].line, strlen(action.addresses[0])), 0);
    }
}
END_TEST

START_TEST(no_arguments_at_all)
{
    char *none[] = {NULL};

    ck_assert_int_eq(config_argv(settings, 0, none, &action, NULL, &why), 0);
    ck_assert_uint_eq(action.address_count, 0);
}
END_TEST

START_TEST(files_and_switches_count_in_order)
{
    write_text("conf", "set timeout = 50\nset statistics\n");
    ck_assert_int_eq(argv_of("-T 40 -f conf"), 0);
    ck_assert_int_eq(settings->timeout, 50);
    ck_assert_str_eq(settings->origin[OPTION_timeout].where, "conf:1");
    ck_assert_int_eq(settings->origin[OPTION_timeout].source, OPTION_FILE);
    ck_assert_int_eq(argv_of("-f conf -T 40"), 0);
    ck_assert_int_eq(settings->timeout, 40);
    ck_assert_str_eq(settings->origin[OPTION_timeout].where, "switch -T");
    ck_assert(settings->statistics);
}
END_TEST

START_TEST(trace_and_debug_act_at_once_when_serving)
{
    char line[100];

    snprintf(line, sizeof line, "-t %s/trace -q", dir);
    ck_assert_int_eq(argv_of(line), -1);
    ck_assert(log_tracing() && log_debugging());
    ck_assert_int_eq(access("trace", F_OK), 0);
}
END_TEST

START_TEST(telling_something_opens_no_trace_file)
{
    char line[100];

    snprintf(line, sizeof line, "-t %s/trace --print-config", dir);
    ck_assert_int_eq(argv_of(line), 0);
    ck_assert(!log_tracing() && !log_debugging());
    ck_assert_int_ne(access("trace", F_OK), 0);
    ck_assert(settings->debug);
}
END_TEST

/* ---- printing */

static void print_again(const struct settings *s, struct strbuf *out)
{
    strbuf_reset(out);
    config_print(s, out);
    ck_assert(!out->cut);
    for (char *at = out->data; (at = strstr(at, "  # from ")) != NULL;) { /* where it came from differs */
        size_t n = strcspn(at, "\n");

        memmove(at, at + n, strlen(at + n) + 1);
        out->len -= n;
    }
}

static const char *const round_trips[] = {
    "",
    "set log-login = \"a \\\"b\\\" `c' \\\\\" # x\nset spool-dir = '/a#b'\nset announce-expire = -1\nreset reverse-lookup\n",
    "set passwd-file = /a\nset passwd-file = \"/b c\"\nset log-facility = local5\nset UW-kludge\n",
    "set uidl-format = dovecot\nset sandbox = log\nset timeout = 0x20\nset temp-dir = /t\nset cache-name = c%s\nset debug\nset log-login = ''\n",
};

START_TEST(what_is_printed_can_be_read_again)
{
    struct strbuf first = STRBUF_INIT(1 << 20), second = STRBUF_INIT(1 << 20), file = STRBUF_INIT(1 << 20);
    struct settings *again = settings_new();

    ck_assert_msg(read_text(round_trips[_i]) == 0, "%s", why.data);
    config_print(settings, &file);
    print_again(settings, &first);
    write_text("printed", file.data);
    ck_assert_msg(config_file(again, "printed", OPTION_FILE, "f", NULL, &why) == 0, "%s", why.data);
    mem_free(again->config_file);
    again->config_file = mem_strdup("conf");
    print_again(again, &second);
    ck_assert_str_eq(first.data, second.data);
    settings_free(&again);
    strbuf_free(&first);
    strbuf_free(&second);
    strbuf_free(&file);
}
END_TEST

START_TEST(printing_names_every_option_and_its_origin)
{
    struct strbuf out = STRBUF_INIT(1 << 20), line = STRBUF_INIT(200);

    write_text("conf", "\nset timeout = 5\n");
    ck_assert_int_eq(argv_of("--print-config -f conf -R"), 0);
    config_print(settings, &out);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        strbuf_reset(&line);
        strbuf_addf(&line, "set %s = ", option_rows[i].name);
        ck_assert_ptr_nonnull(strstr(out.data, line.data));
    }
    ck_assert_ptr_nonnull(strstr(out.data, "\nset timeout = 5  # from conf:2\n"));
    ck_assert_ptr_nonnull(strstr(out.data, "\nset reverse-lookup = false  # from switch -R"));
    ck_assert_ptr_nonnull(strstr(out.data, "\nset block-uid = 10  # from default\n"));
    ck_assert_ptr_nonnull(strstr(out.data, "\n# set config-file = conf  # from switch -f; what it sets stands in the other lines\n"));
    ck_assert_ptr_nonnull(strstr(out.data, "\n# set tls-passphrase = \"\"  # from default; not built in: SSL-Plus\n"));
    strbuf_free(&out);
    strbuf_free(&line);
}
END_TEST

START_TEST(the_list_for_scripts_has_a_row_per_option)
{
    struct strbuf out = STRBUF_INIT(1 << 20);
    size_t lines = 0, tabs = 0;

    config_list(&out);
    for (const char *p = out.data; *p != '\0'; p++) {
        lines += *p == '\n';
        tabs += *p == '\t';
    }
    ck_assert_uint_eq(lines, OPTION_COUNT);
    ck_assert_uint_eq(tabs, OPTION_COUNT * 6);
    ck_assert_ptr_nonnull(strstr(out.data, "\nserver-mode\tbool\t-S\tswitch,file,home,spool\t-\tyes\tfalse\n"));
    ck_assert_ptr_nonnull(strstr(out.data, "\nblock-uid\tint\t-\tfile\t-\tyes\t10\n"));
    strbuf_free(&out);
}
END_TEST

START_TEST(help_and_version)
{
    struct strbuf out = STRBUF_INIT(1 << 20);

    config_help("/usr/lib/popper", &out);
    ck_assert_int_eq(strncmp(out.data, "usage: popper [address]", 23), 0);
    for (size_t i = 0; i < OPTION_COUNT; i++)
        ck_assert_ptr_nonnull(strstr(out.data, option_rows[i].name));
    strbuf_reset(&out);
    config_version(&out);
    ck_assert_int_eq(strncmp(out.data, "Qpopper version 5.", 18), 0);
    strbuf_free(&out);
}
END_TEST

/* samples/popper.conf with each option uncommented: every line is right, but for parts that are not built. */
START_TEST(the_sample_is_a_configuration_file)
{
    char line[CONFIG_LINE_MAX + 2];
    const char *srcdir = getenv("srcdir");
    struct strbuf path = STRBUF_INIT(1000), text = STRBUF_INIT(1 << 20);
    size_t options = 0;
    FILE *f;

    if (srcdir == NULL || srcdir[0] != '/')
        strbuf_addf(&path, "%s/", started_in);
    strbuf_addf(&path, "%s/samples/popper.conf", srcdir == NULL ? "." : srcdir);
    f = fopen(path.data, "r");
    ck_assert_msg(f != NULL, "%s", path.data);
    while (fgets(line, sizeof line, f) != NULL) {
        const struct option_row *row = strncmp(line, "#set ", 5) == 0 ? options_find(line + 5, strcspn(line + 5, " ")) : NULL;
        bool built = row != NULL && (row->kind == KIND_MNEM || options_feature_built(row->feature));

        options += row != NULL;
        strbuf_adds(&text, built ? line + 1 : line);
    }
    fclose(f);
    ck_assert_uint_eq(options, OPTION_COUNT - 1); /* config-file is told, not set */
    ck_assert_msg(read_user(text.data, text.len, OPTION_FILE) == 0, "%s", reports.data);
    ck_assert_int_eq(settings->origin[OPTION_uw_kluge].source, OPTION_FILE);
    strbuf_free(&path);
    strbuf_free(&text);
}
END_TEST

#define N(table) ((int)(sizeof(table) / sizeof(table)[0]))

static TCase *files(void)
{
    TCase *tc = tcase_create("files");

    tcase_add_checked_fixture(tc, begin, end);
    tcase_add_loop_test(tc, good_lines, 0, N(good));
    tcase_add_loop_test(tc, bad_lines, 0, N(bad));
    tcase_add_test(tc, an_unknown_option_is_answered_by_those_that_may_be_set_there);
    tcase_add_test(tc, all_complaints_about_files);
    tcase_add_test(tc, complaints_have_an_end);
    tcase_add_test(tc, lines_are_bounded);
    tcase_add_test(tc, nul_bytes_are_refused);
    tcase_add_test(tc, only_regular_files_are_read);
    tcase_add_test(tc, nested_files_are_read_in_place);
    tcase_add_test(tc, nested_errors_name_the_inner_place);
    tcase_add_test(tc, endless_nesting_ends);
    tcase_add_test(tc, hundred_files_are_all_right);
    tcase_add_test(tc, huge_files_are_not_read_to_the_end);
    tcase_add_test(tc, bad_lines_of_users_are_reported_and_skipped);
    tcase_add_test(tc, home_and_spool_files_may_set_what_the_table_says);
    tcase_add_test(tc, files_named_by_users_have_their_rights);
    tcase_add_test(tc, binaries_of_users_do_no_harm);
    tcase_add_test(tc, a_user_who_includes_himself_is_stopped);
    tcase_add_test(tc, unreadable_descriptors_are_reported);
    tcase_add_test(tc, the_sample_is_a_configuration_file);
    return tc;
}

static TCase *command_line(void)
{
    TCase *tc = tcase_create("argv");

    tcase_add_checked_fixture(tc, begin, end);
    tcase_add_loop_test(tc, switches_set_options, 0, N(switches));
    tcase_add_loop_test(tc, switches_of_parts_that_may_be_missing, 0, N(optional));
    tcase_add_loop_test(tc, wrong_command_lines, 0, N(bad_lines_of_argv));
    tcase_add_test(tc, a_line_of_inetd_without_the_name_of_the_program);
    tcase_add_loop_test(tc, tasks_and_addresses, 0, N(tasks));
    tcase_add_test(tc, no_arguments_at_all);
    tcase_add_test(tc, files_and_switches_count_in_order);
    tcase_add_test(tc, trace_and_debug_act_at_once_when_serving);
    tcase_add_test(tc, telling_something_opens_no_trace_file);
    tcase_add_loop_test(tc, what_is_printed_can_be_read_again, 0, N(round_trips));
    tcase_add_test(tc, printing_names_every_option_and_its_origin);
    tcase_add_test(tc, the_list_for_scripts_has_a_row_per_option);
    tcase_add_test(tc, help_and_version);
    return tc;
}

int main(void)
{
    Suite *suite = suite_create("config");

    if (getcwd(started_in, sizeof started_in) == NULL)
        return 1;
    suite_add_tcase(suite, files());
    suite_add_tcase(suite, command_line());
    return unit_main(suite);
}
