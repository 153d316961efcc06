/*
 * settings: the values of the options: defaults, copies, setting one from text, saying it again as text, and the checks that
 * need more than one option. It reads no files and no argv.
 */
#include "settings/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/log.h"
#include "common/mem.h"

#define SHOWN 80 /* bytes of a wrong word that an error repeats */

static void *field(const struct settings *s, const struct option_row *row)
{
    return (char *)s + row->offset;
}

static struct option_origin *origin(struct settings *s, const struct option_row *row)
{
    return &s->origin[row - option_rows];
}

/* Enumerations have the size of int; the C type of a mnemonic field may be any of them. */
static void put_int(struct settings *s, const struct option_row *row, int value)
{
    memcpy(field(s, row), &value, sizeof value);
}

static int get_int(const struct settings *s, const struct option_row *row)
{
    int value;

    memcpy(&value, field(s, row), sizeof value);
    return value;
}

static void list_clear(struct option_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        mem_free(list->item[i]);
    mem_free(list->item);
    list->item = NULL;
    list->count = 0;
}

static void list_add(struct option_list *list, const char *text, size_t n)
{
    list->item = mem_resize(list->item, list->count + 1, sizeof *list->item);
    list->item[list->count++] = mem_strndup(text, n);
}

static void put_text(struct settings *s, const struct option_row *row, const char *text)
{
    char **value = field(s, row);
    char *copy = text == NULL || text[0] == '\0' ? NULL : mem_strdup(text);

    mem_free(*value);
    *value = copy;
}

static void put_default(struct settings *s, const struct option_row *row)
{
    switch (row->kind) {
    case KIND_BOOL:
        *(bool *)field(s, row) = row->number != 0;
        break;
    case KIND_INT:
    case KIND_MNEM:
        put_int(s, row, (int)row->number);
        break;
    case KIND_BITS:
        *(uint64_t *)field(s, row) = (uint64_t)row->number;
        break;
    case KIND_STRING:
        put_text(s, row, row->text);
        break;
    case KIND_LIST:
        break;
    }
}

struct settings *settings_new(void)
{
    struct settings *s = mem_new(1, sizeof *s);

    for (size_t i = 0; i < OPTION_COUNT; i++)
        put_default(s, &option_rows[i]);
    return s;
}

struct settings *settings_clone(const struct settings *s)
{
    struct settings *copy = mem_new(1, sizeof *copy);

    *copy = *s;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &option_rows[i];

        if (copy->origin[i].where != NULL)
            copy->origin[i].where = mem_strdup(copy->origin[i].where);
        if (row->kind == KIND_STRING) {
            char **text = field(copy, row);

            *text = *text == NULL ? NULL : mem_strdup(*text);
        } else if (row->kind == KIND_LIST) {
            const struct option_list *from = field(s, row);
            struct option_list *to = field(copy, row);

            *to = (struct option_list){0};
            for (size_t n = 0; n < from->count; n++)
                list_add(to, from->item[n], strlen(from->item[n]));
        }
    }
    return copy;
}

void settings_free(struct settings **s)
{
    if (*s == NULL)
        return;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &option_rows[i];

        mem_free((*s)->origin[i].where);
        if (row->kind == KIND_STRING)
            mem_free(*(char **)field(*s, row));
        else if (row->kind == KIND_LIST)
            list_clear(field(*s, row));
    }
    mem_free(*s);
    *s = NULL;
}

/* Adds a word of the input to an error, escaped and cut. */
static void add_word(struct strbuf *why, const char *word)
{
    strbuf_addc(why, '"');
    log_escape(why, word, strlen(word), SHOWN);
    strbuf_addc(why, '"');
}

/* `"word" is no value for NAME; it must be VALID` */
static int refuse(const struct option_row *row, const char *word, const char *valid, struct strbuf *why)
{
    strbuf_reset(why);
    add_word(why, word);
    strbuf_addf(why, " is no value for %s; it must be %s", row->name, valid);
    return -1;
}

static int need_feature(const char *what, enum feature feature, struct strbuf *why)
{
    if (options_feature_built(feature))
        return 0;
    return strbuf_fail(why, "%s needs %s, which is not built in: %s", what, options_feature_name(feature),
                       options_feature_hint(feature));
}

static int set_bool(struct settings *s, const struct option_row *row, const char *value, struct strbuf *why)
{
    bool *flag = field(s, row);

    if (value == NULL || strcasecmp(value, "true") == 0 || strcmp(value, "1") == 0)
        *flag = true;
    else if (strcasecmp(value, "false") == 0 || strcmp(value, "0") == 0)
        *flag = false;
    else
        return refuse(row, value, "true, false, 1 or 0", why);
    return 0;
}

/* Decimal, 0x hexadecimal or 0 octal, a minus sign allowed, nothing before or behind. */
static bool parse_number(const char *text, int64_t *number_r)
{
    const char *digits = text + (text[0] == '-');
    char *end;

    if (digits[0] < '0' || digits[0] > '9')
        return false;
    errno = 0;
    *number_r = strtoll(text, &end, 0);
    return errno == 0 && *end == '\0' && end > digits;
}

static int set_number(struct settings *s, const struct option_row *row, const char *value, struct strbuf *why)
{
    int64_t number;

    if (!parse_number(value, &number) || number < row->min || number > row->max) {
        char valid[80];

        snprintf(valid, sizeof valid, "a number from %lld to %lld", (long long)row->min, (long long)row->max);
        return refuse(row, value, valid, why);
    }
    if (row->kind == KIND_BITS)
        *(uint64_t *)field(s, row) |= (uint64_t)number;
    else
        put_int(s, row, (int)number);
    return 0;
}

static int check_text(const struct option_row *row, const char *value, struct strbuf *why)
{
    if (strlen(value) > OPTION_VALUE_MAX)
        return strbuf_fail(why, "the value of %s is longer than %d bytes", row->name, OPTION_VALUE_MAX);
    for (const char *p = value; *p != '\0'; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return strbuf_fail(why, "the value of %s contains a control character", row->name);
    }
    if (value[0] != '\0' && row->check != NULL && row->check(value, why) < 0) {
        struct strbuf must = STRBUF_INIT(STRBUF_WHY_MAX);

        strbuf_adds(&must, why->data);
        strbuf_reset(why);
        strbuf_addf(why, "%s ", row->name);
        strbuf_addf(why, "%s; it is ", must.data);
        add_word(why, value);
        strbuf_free(&must);
        return -1;
    }
    return 0;
}

static int set_text(struct settings *s, const struct option_row *row, const char *value, struct strbuf *why)
{
    if (check_text(row, value, why) < 0)
        return -1;
    if (row->kind == KIND_STRING)
        put_text(s, row, value);
    else if (value[0] == '\0')
        list_clear(field(s, row));
    else
        list_add(field(s, row), value, strlen(value));
    return 0;
}

static int take_choice(struct settings *s, const struct option_row *row, const struct option_choice *choice, const char *where,
                       struct strbuf *why)
{
    char what[80];

    snprintf(what, sizeof what, "%s = %s", row->name, choice->name);
    if (need_feature(what, choice->feature, why) < 0 || (choice->value != row->number && need_feature(what, row->feature, why) < 0))
        return -1;
    if (choice->obsolete)
        log_write(LOG_WARNING, "%s: %s is obsolete and counts as default", where == NULL ? "options" : where, what);
    put_int(s, row, choice->value);
    return 0;
}

static int refuse_choice(const struct option_row *row, const char *value, bool digits, struct strbuf *why)
{
    struct strbuf valid = STRBUF_INIT(500);

    strbuf_adds(&valid, "one of ");
    for (const struct option_choice *c = row->choices; c->name != NULL; c++) {
        if (digits && c->digit >= 0)
            strbuf_addf(&valid, "%s%d (%s)", valid.len > 7 ? ", " : "", c->digit, c->name);
        else if (!digits)
            strbuf_addf(&valid, "%s%s", c == row->choices ? "" : ", ", c->name);
    }
    refuse(row, value, valid.data, why);
    strbuf_free(&valid);
    return -1;
}

static int set_mnem(struct settings *s, const struct option_row *row, const char *value, const char *where, struct strbuf *why)
{
    for (const struct option_choice *c = row->choices; c->name != NULL; c++) {
        if (strcasecmp(c->name, value) == 0)
            return take_choice(s, row, c, where, why);
    }
    return refuse_choice(row, value, false, why);
}

/* Who turns something off that is not built gets what he asks for. */
static bool turns_off(const struct option_row *row, const char *value)
{
    return row->kind == KIND_BOOL && value != NULL && (strcasecmp(value, "false") == 0 || strcmp(value, "0") == 0);
}

static int may_set(const struct option_row *row, const char *value, enum option_source source, struct strbuf *why)
{
    if (!options_allowed(row->restriction, source))
        return strbuf_fail(why, "%s may not be set in the option file of a user%s", row->name,
                           row->restriction == CLASS_USER ? "'s home directory" : "");
    return row->kind == KIND_MNEM || turns_off(row, value) ? 0 : need_feature(row->name, row->feature, why);
}

/* A user's trace file is a copy: he cannot take the records out of the site's. */
static void close_trace(bool of_user)
{
    if (of_user)
        log_copy_close();
    else
        log_trace_close();
}

/* debug, tracefile and log-facility, for settings that rule this process. */
static int act(struct settings *s, const struct option_row *row, enum option_source source, struct strbuf *why)
{
    bool of_user = source == OPTION_HOME || source == OPTION_SPOOL;

    switch ((enum option_id)(row - option_rows)) {
    case OPTION_debug:
        log_set_debug(s->debug);
        if (!s->debug)
            close_trace(of_user);
        return 0;
    case OPTION_tracefile:
        if (s->tracefile == NULL)
            close_trace(of_user);
        else if ((of_user ? log_copy_open(s->tracefile, why) : log_trace_open(s->tracefile, why)) < 0) {
            put_text(s, row, NULL);
            return -1;
        }
        return 0;
    case OPTION_log_facility:
        log_set_facility(s->log_facility);
        return 0;
    default:
        return 0;
    }
}

/* Notes where the value came from and lets it act. */
static int done(struct settings *s, const struct option_row *row, enum option_source source, const char *where, struct strbuf *why)
{
    struct option_origin *from = origin(s, row);

    mem_free(from->where);
    from->source = source;
    from->where = where == NULL ? NULL : mem_strdup(where);
    if (row - option_rows == OPTION_debug && !s->debug)
        put_text(s, &option_rows[OPTION_tracefile], NULL);
    if (s->log_at_once && act(s, row, source, why) < 0)
        return -1;
    if (row - option_rows != OPTION_tracefile || s->tracefile == NULL || s->debug)
        return 0;
    s->debug = true;
    return done(s, &option_rows[OPTION_debug], source, where, why);
}

int settings_set(struct settings *s, const struct option_row *row, const char *value, enum option_source source,
                 const char *where, struct strbuf *why)
{
    int result;

    if (may_set(row, value, source, why) < 0)
        return -1;
    if (value == NULL && row->kind != KIND_BOOL)
        return strbuf_fail(why, "%s wants a value: set %s = VALUE", row->name, row->name);
    switch (row->kind) {
    case KIND_BOOL:
        result = set_bool(s, row, value, why);
        break;
    case KIND_INT:
    case KIND_BITS:
        result = set_number(s, row, value, why);
        break;
    case KIND_MNEM:
        result = set_mnem(s, row, value, where, why);
        break;
    default:
        result = set_text(s, row, value, why);
    }
    return result < 0 ? -1 : done(s, row, source, where, why);
}

int settings_reset(struct settings *s, const struct option_row *row, enum option_source source, const char *where,
                   struct strbuf *why)
{
    if (row->kind != KIND_BOOL)
        return strbuf_fail(why, "%s cannot be reset, because it is not true or false (it is of type %s): set %s = VALUE", row->name,
                           options_kind_name(row->kind), row->name);
    return settings_set(s, row, "false", source, where, why);
}

int settings_set_digit(struct settings *s, const struct option_row *row, const char *digit, const char *where, struct strbuf *why)
{
    if (may_set(row, digit, OPTION_SWITCH, why) < 0)
        return -1;
    for (const struct option_choice *c = row->choices; c->name != NULL; c++) {
        if (c->digit >= 0 && digit[0] == '0' + c->digit && digit[1] == '\0') {
            if (take_choice(s, row, c, where, why) < 0)
                return -1;
            return done(s, row, OPTION_SWITCH, where, why);
        }
    }
    return refuse_choice(row, digit, true, why);
}

/* A word as it is, anything else in quotes. */
static void show_text(const char *text, struct strbuf *out)
{
    if (text != NULL && text[0] != '\0' && strpbrk(text, " \t#\"'`\\") == NULL) {
        strbuf_adds(out, text);
        return;
    }
    strbuf_addc(out, '"');
    for (const char *p = text == NULL ? "" : text; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\')
            strbuf_addc(out, '\\');
        strbuf_addc(out, *p);
    }
    strbuf_addc(out, '"');
}

static const char *choice_name(const struct option_row *row, int value)
{
    const struct option_choice *c = row->choices;

    while (c->name != NULL && c->value != value)
        c++;
    return c->name == NULL ? "?" : c->name;
}

void settings_show(const struct settings *s, const struct option_row *row, size_t n, struct strbuf *out)
{
    const struct option_list *list;

    switch (row->kind) {
    case KIND_BOOL:
        strbuf_adds(out, *(bool *)field(s, row) ? "true" : "false");
        break;
    case KIND_INT:
        strbuf_addf(out, "%d", get_int(s, row));
        break;
    case KIND_BITS:
        strbuf_addf(out, "0x%llx", (unsigned long long)*(uint64_t *)field(s, row));
        break;
    case KIND_STRING:
        show_text(*(char **)field(s, row), out);
        break;
    case KIND_MNEM:
        strbuf_adds(out, choice_name(row, get_int(s, row)));
        break;
    case KIND_LIST:
        list = field(s, row);
        show_text(n < list->count ? list->item[n] : "", out);
        break;
    }
}
