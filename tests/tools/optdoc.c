/*
 * optdoc: prints the option table as documentation, for `make update-docs` and the test that the committed pages agree with it:
 * `optdoc switches` for popper.8, `optdoc options` for popper.conf.5 (mdoc), `optdoc sample` for samples/popper.conf.
 *
 * It is linked with a table of stock defaults (OPTIONS_STOCK_DEFAULTS), so its output never depends on configure flags.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/strbuf.h"
#include "settings/options.h"

#define MDOC_WIDTH 78
#define SAMPLE_WIDTH 98

static struct settings *defaults;

/* Text for mdoc; first: it begins a line. */
static void mdoc_word(const char *text, size_t n, bool first)
{
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\\')
            printf("\\e");
        else if (text[i] == '"')
            printf("\\(dq");
        else if (text[i] == '~' || text[i] == '`')
            printf("\\%s", text[i] == '~' ? "(ti" : "(ga");
        else if (first && i == 0 && (text[i] == '.' || text[i] == '\''))
            printf("\\&%c", text[i]);
        else
            putchar(text[i]);
    }
}

/* Each sentence on a line of its own, as mdoc wants, and broken between words when it is long. */
static void mdoc_sentences(const char *text)
{
    size_t column = 0;

    while (*text != '\0') {
        size_t n = strcspn(text, " ");

        if (column > 0 && column + 1 + n > MDOC_WIDTH) {
            putchar('\n');
            column = 0;
        }
        if (column > 0)
            putchar(' ');
        mdoc_word(text, n, column == 0);
        column = text[n - 1] == '.' ? MDOC_WIDTH : column + (column > 0) + n;
        text += n + (text[n] == ' ');
    }
    putchar('\n');
}

/* A negative number gets a minus sign, not a hyphen. */
static void mdoc_value(const char *value)
{
    printf("%s", value[0] == '-' ? "\\" : "");
    mdoc_word(value, strlen(value), false);
}

static void mdoc_switch(const struct option_row *row)
{
    const char *separator = " Cm ";

    printf("Fl %c", row->letter);
    if (row->extension != NULL) {
        printf(" Cm %s Ns = Ns Ar %s", row->extension, row->argument);
    } else if (row->kind == KIND_MNEM && row->choices[0].digit >= 0) {
        for (const struct option_choice *c = row->choices; c->name != NULL; c++) {
            if (c->digit >= 0) {
                printf("%s%d", separator, c->digit);
                separator = " | Cm ";
            }
        }
    } else if (row->kind != KIND_BOOL) {
        printf(" Ar %s", row->kind == KIND_MNEM ? "word" : row->argument);
    }
}

static void switch_row(const struct option_row *row)
{
    printf(".It ");
    mdoc_switch(row);
    printf("\n");
    if (row->letter_off)
        printf("Turns off what option\n.Ic %s\ndoes:\n", row->name);
    mdoc_sentences(row->help);
    if (row->kind == KIND_MNEM && row->choices[0].digit >= 0) {
        for (const struct option_choice *c = row->choices; c->name != NULL; c++) {
            if (c->digit >= 0)
                printf("%s%d is %s", c == row->choices ? "" : ",\n", c->digit, c->name);
        }
        printf(".\n");
    }
    if (!row->letter_off)
        printf("Option\n.Ic %s .\n", row->name);
    if (row->feature != FEATURE_NONE)
        printf("Only in builds with %s.\n", options_feature_name(row->feature));
}

/* A before a, a before B. */
static void print_switches(void)
{
    static const char letters[] = "AaBbCcDdEeFfGgHhIiJjKkLlMmNnOoPpQqRrSsTtUuVvWwXxYyZz";

    for (const char *letter = letters; *letter != '\0'; letter++) {
        for (size_t i = 0; i < OPTION_COUNT; i++) {
            if (option_rows[i].letter == *letter)
                switch_row(&option_rows[i]);
        }
    }
}

static const char *default_text(const struct option_row *row)
{
    static struct strbuf out = STRBUF_INIT(1000);

    strbuf_reset(&out);
    settings_show(defaults, row, 0, &out);
    return strcmp(out.data, "\"\"") == 0 ? NULL : out.data;
}

/* Numbers have ranges, words their list. */
static void mdoc_type(const struct option_row *row)
{
    const char *value = default_text(row);

    if (row->kind == KIND_BOOL)
        printf("Boolean");
    else if (row->kind == KIND_INT)
        printf("Integer from %s%lld to %lld", row->min < 0 ? "\\" : "", (long long)row->min, (long long)row->max);
    else if (row->kind == KIND_BITS)
        printf("Integer; repeated settings are combined");
    else if (row->kind == KIND_LIST)
        printf("String; repeated settings are all kept, and\n\\(dq\\(dq\nempties the list");
    else
        printf(row->kind == KIND_MNEM ? "Word" : "String");
    if (value == NULL) {
        printf("; not set by default.\n");
    } else {
        printf("; default\n.Ql ");
        mdoc_value(value);
        printf(" .\n");
    }
}

static void mdoc_choices(const struct option_row *row)
{
    printf("Valid words:");
    for (const struct option_choice *c = row->choices; c->name != NULL; c++)
        printf("%s\n.Cm %s", c == row->choices ? "" : " ,", c->name);
    printf(" .\n");
}

static void option_row(const struct option_row *row)
{
    static const char *const restrictions[] = {
        "", "Not in the option file of the home directory.\n", "Not in option files of users.\n"};

    printf(".It Ic %s", row->name);
    if (row->alias != NULL)
        printf(" , %s", row->alias);
    printf("\n");
    mdoc_sentences(row->help);
    if (row->kind == KIND_MNEM)
        mdoc_choices(row);
    mdoc_type(row);
    if (row->letter != '\0') {
        printf("Switch:\n.%s", row->letter_off ? "Fl R" : "");
        if (!row->letter_off)
            mdoc_switch(row);
        printf(" .\n");
    }
    printf("%s", restrictions[row->restriction]);
    if (row->feature != FEATURE_NONE)
        printf("Only in builds with %s.\n", options_feature_name(row->feature));
}

/* One comment paragraph, broken between words. */
static void sample_comment(const char *text)
{
    size_t column = 1;

    printf("#");
    while (*text != '\0') {
        size_t n = strcspn(text, " ");

        if (column + 1 + n > SAMPLE_WIDTH) {
            printf("\n#");
            column = 1;
        }
        printf(" %.*s", (int)n, text);
        column += 1 + n;
        text += n;
        while (*text == ' ')
            text++;
    }
    printf("\n");
}

static void sample_words(const struct option_row *row)
{
    printf("# One of");
    for (const struct option_choice *c = row->choices; c->name != NULL; c++)
        printf("%s %s", c == row->choices ? "" : ",", c->name);
    printf(".\n");
}

static void sample_row(const struct option_row *row)
{
    static const char *const restrictions[] = {"", "# Not in ~/.qpopper-options.\n", "# Not in option files of users.\n"};
    const char *value = default_text(row);

    printf("\n");
    sample_comment(row->help);
    if (row->kind == KIND_MNEM)
        sample_words(row);
    if (row->letter != '\0')
        printf("# Switch -%c%s%s%s.\n", row->letter, row->extension == NULL ? "" : " ", row->extension == NULL ? "" : row->extension,
               row->letter_off ? " turns it off" : "");
    printf("%s", restrictions[row->restriction]);
    if (row->feature != FEATURE_NONE)
        printf("# Only in builds with %s.\n", options_feature_name(row->feature));
    if (row == &option_rows[OPTION_config_file])
        printf("# set %s = /etc/popper.local.conf\n", row->name);
    else
        printf("#set %s = %s\n", row->name, value == NULL ? "\"\"" : value);
}

int main(int argc, char **argv)
{
    const char *what = argc == 2 ? argv[1] : "";

    defaults = settings_new();
    if (strcmp(what, "switches") == 0) {
        print_switches();
    } else if (strcmp(what, "options") == 0) {
        for (size_t i = 0; i < OPTION_COUNT; i++)
            option_row(&option_rows[i]);
    } else if (strcmp(what, "sample") == 0) {
        printf("# Options of popper(8), each with its default; see popper.conf(5). Remove the # before a \"set\" to change it.\n"
               "# Use it with: popper -f FILE. Defaults may have been changed when popper was built: popper --print-config.\n");
        for (size_t i = 0; i < OPTION_COUNT; i++)
            sample_row(&option_rows[i]);
    } else {
        fprintf(stderr, "usage: optdoc switches|options|sample\n");
        return 1;
    }
    settings_free(&defaults);
    return fflush(stdout) == 0 ? 0 : 1;
}
