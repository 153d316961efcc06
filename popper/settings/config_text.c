/*
 * config_text: what config says about options: their values as a configuration file, the list for scripts, the help. See config.h.
 */
#include "settings/config.h"

#include <string.h>

#include "settings/defaults.h"

#define WHERE_SHOWN 300 /* bytes of a file name, so that each line stays readable for config */

static void add_where(const struct option_origin *from, struct strbuf *out)
{
    if (from->where == NULL)
        strbuf_adds(out, "default");
    else
        strbuf_addf(out, "%.*s", WHERE_SHOWN, from->where);
}

/* Turning off what is not built is no error. */
static bool is_off(const struct settings *s, const struct option_row *row)
{
    return row->kind == KIND_BOOL && !*(const bool *)((const char *)s + row->offset);
}

static void print_value(const struct settings *s, const struct option_row *row, size_t n, struct strbuf *out)
{
    bool built = options_feature_built(row->feature);
    bool told_only = row == &option_rows[OPTION_config_file];

    strbuf_addf(out, "%sset %s = ", (built || is_off(s, row)) && !told_only ? "" : "# ", row->name);
    settings_show(s, row, n, out);
    strbuf_adds(out, "  # from ");
    add_where(&s->origin[row - option_rows], out);
    if (!built)
        strbuf_addf(out, "; not built in: %s", options_feature_name(row->feature));
    if (told_only && s->config_file != NULL)
        strbuf_adds(out, "; what it sets stands in the other lines");
    strbuf_addc(out, '\n');
}

static size_t value_count(const struct settings *s, const struct option_row *row)
{
    const struct option_list *list = (const void *)((const char *)s + row->offset);

    return row->kind == KIND_LIST && list->count > 0 ? list->count : 1;
}

void config_print(const struct settings *s, struct strbuf *out)
{
    for (const struct option_row *row = option_rows; row < option_rows + OPTION_COUNT; row++) {
        size_t count = value_count(s, row);

        for (size_t n = 0; n < count; n++)
            print_value(s, row, n, out);
    }
}

static void list_row(const struct option_row *row, const struct settings *defaults, struct strbuf *out)
{
    static const char *const sources[] = {"switch,file,home,spool", "switch,file,spool", "switch,file"};
    const char *from = sources[row->restriction];

    strbuf_addf(out, "%s\t%s\t", row->name, options_kind_name(row->kind));
    if (row->letter == '\0')
        strbuf_adds(out, "-");
    else
        strbuf_addf(out, "-%c%s%s", row->letter, row->extension == NULL ? "" : " ", row->extension == NULL ? "" : row->extension);
    strbuf_addf(out, "\t%s\t%s\t%s\t", row->letter == '\0' ? strchr(from, ',') + 1 : from, options_feature_name(row->feature),
                options_feature_built(row->feature) ? "yes" : "no");
    settings_show(defaults, row, 0, out);
    strbuf_addc(out, '\n');
}

void config_list(struct strbuf *out)
{
    struct settings *defaults = settings_new();

    for (size_t i = 0; i < OPTION_COUNT; i++)
        list_row(&option_rows[i], defaults, out);
    settings_free(&defaults);
}

/* The digits of a mnemonic switch, or what its value is called. */
static void add_argument(const struct option_row *row, struct strbuf *out)
{
    if (row->kind == KIND_MNEM && row->choices[0].digit >= 0) {
        const char *bar = "";

        for (const struct option_choice *c = row->choices; c->name != NULL; c++) {
            if (c->digit >= 0) {
                strbuf_addf(out, "%s%d", bar, c->digit);
                bar = "|";
            }
        }
    } else {
        strbuf_adds(out, row->kind == KIND_BOOL ? "" : row->kind == KIND_MNEM ? "word" : row->argument);
    }
}

static void help_row(const struct option_row *row, struct strbuf *out)
{
    struct strbuf form = STRBUF_INIT(60);
    const char *end = strstr(row->help, ". ");
    int length = end == NULL ? (int)strlen(row->help) : (int)(end - row->help) + 1;

    if (row->letter != '\0')
        strbuf_addf(&form, "-%c ", row->letter);
    if (row->extension != NULL)
        strbuf_addf(&form, "%s=", row->extension);
    if (row->letter != '\0')
        add_argument(row, &form);
    strbuf_addf(out, "  %-22s %-25s %s%.*s\n", form.data, row->name, row->letter_off ? "Turns off: " : "", length, row->help);
    strbuf_free(&form);
}

void config_help(const char *argv0, struct strbuf *out)
{
    const char *slash = strrchr(argv0, '/');
    const char *name = slash == NULL ? argv0 : slash + 1;

    strbuf_addf(out, "usage: %s [address][:port] ... [switches]   serve POP3 (without an address: on standard input)\n", name);
    strbuf_addf(out, "       %s --print-config [switches]         print every option, its value and where that came from\n", name);
    strbuf_addf(out, "       %s --check [switches] [user]         say what is wrong, serve nobody\n", name);
    strbuf_addf(out, "       %s --recover [switches] [user]       finish interrupted updates of maildrops\n", name);
    strbuf_addf(out, "       %s --list-options                    print the table of options for scripts\n", name);
    strbuf_addf(out, "       %s -v | -h                           print the version, or this\n\n", name);
    strbuf_adds(out, "  switch                 option in a file          meaning\n");
    for (size_t i = 0; i < OPTION_COUNT; i++)
        help_row(&option_rows[i], out);
}

void config_version(struct strbuf *out)
{
    strbuf_addf(out, "Qpopper version %s (%s)\n", PACKAGE_VERSION, STANDALONE_BY_DEFAULT ? "standalone" : "non-standalone");
}
