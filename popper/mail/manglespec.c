/*
 * manglespec: see manglespec.h.
 */
#include "mail/manglespec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const keywords[] = { "XMANGLE", "X-MANGLE", "MANGLE" };

/* What follows the keyword: "" or a parenthesis; NULL when the argument is something else. */
static const char *after_keyword(const char *argument)
{
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        size_t n = strlen(keywords[i]);

        if (strncasecmp(argument, keywords[i], n) == 0 && (argument[n] == '\0' || argument[n] == '('))
            return argument + n;
    }
    return NULL;
}

bool manglespec_is(const char *argument)
{
    return after_keyword(argument) != NULL;
}

/* ---- words */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static char *trim(char *text)
{
    size_t n;

    while (is_blank(*text))
        text++;
    for (n = strlen(text); n > 0 && is_blank(text[n - 1]);)
        text[--n] = '\0';
    return text;
}

/* Cuts off what stands before the first c (all when there is none) and moves on. NULL at the end. */
static char *next_piece(char **at, const char *c)
{
    char *piece;

    while ((piece = strsep(at, c)) != NULL) {
        piece = trim(piece);
        if (*piece)
            return piece;
    }
    return NULL;
}

/* ---- attributes */

static int set_text(struct manglespec *spec, char *value, struct strbuf *why)
{
    static const char *const plain[] = { "plain", "enriched", "richtext", "rich" };

    spec->html = strcasecmp(value, "html") == 0;
    if (spec->html)
        return 0;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (strcasecmp(value, plain[i]) == 0)
            return 0;
    return strbuf_fail(why, "text is plain or html");
}

/* Adds a name in lower case. */
static int add_field(struct manglespec *spec, const char *name, size_t n, struct strbuf *why)
{
    size_t at = strlen(spec->fields);

    for (size_t i = 0; i < n; i++)
        if (name[i] <= ' ' || name[i] > '~' || name[i] == ':')
            return strbuf_fail(why, "headers is a list of names with commas between them");
    if (n == 0 || n > MANGLESPEC_NAME_MAX)
        return strbuf_fail(why, "the name of a header field has 1 to %d characters", MANGLESPEC_NAME_MAX);
    if (at + n + 1 >= sizeof spec->fields)
        return strbuf_fail(why, "there are too many names in headers");
    for (size_t i = 0; i < n; i++)
        spec->fields[at + i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] - 'A' + 'a') : name[i];
    spec->fields[at + n] = ' ';
    spec->fields[at + n + 1] = '\0';
    return 0;
}

static int set_headers(struct manglespec *spec, char *value, struct strbuf *why)
{
    char *name;

    spec->fields[0] = '\0';
    while ((name = next_piece(&value, ",")) != NULL) {
        size_t n = strlen(name);

        if (name[n - 1] == ':')
            n--;
        if (add_field(spec, name, n, why) < 0)
            return -1;
    }
    return spec->fields[0] ? 0 : strbuf_fail(why, "headers names no field");
}

static int set_charset(struct manglespec *spec, char *value, struct strbuf *why)
{
    static const char legal[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:+-";
    size_t n = strlen(value);

    if (n > MANGLESPEC_CHARSET_MAX || strspn(value, legal) != n)
        return strbuf_fail(why, "charset is not the name of a character set");
    memcpy(spec->charset, value, n + 1);
    return 0;
}

static int set_wrap(struct manglespec *spec, char *value, struct strbuf *why)
{
    size_t n = strlen(value);
    unsigned columns = 0;

    if (n > 9 || strspn(value, "0123456789") != n)
        return strbuf_fail(why, "wrap is a number of columns");
    columns = (unsigned)strtoul(value, NULL, 10);
    if (columns > 0 && columns < MANGLESPEC_WRAP_MIN)
        columns = MANGLESPEC_WRAP_MIN;
    spec->wrap = columns < MANGLESPEC_WRAP_MAX ? columns : MANGLESPEC_WRAP_MAX;
    return 0;
}

static int set_lang(struct manglespec *spec, char *value, struct strbuf *why)
{
    (void)spec, (void)value, (void)why;
    return 0;
}

static const struct {
    const char *name;
    int (*set)(struct manglespec *spec, char *value, struct strbuf *why);
} attributes[] = {
    { "text", set_text },
    { "headers", set_headers },
    { "charset", set_charset },
    { "wrap", set_wrap },
    { "lang", set_lang },
};

static int set_attribute(struct manglespec *spec, char *attribute, struct strbuf *why)
{
    char *value = strchr(attribute, '=');

    if (!value)
        return strbuf_fail(why, "an attribute is written name=value");
    *value++ = '\0';
    attribute = trim(attribute);
    value = trim(value);
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++) {
        if (strcasecmp(attribute, attributes[i].name) != 0)
            continue;
        if (!*value)
            return strbuf_fail(why, "%s has no value", attributes[i].name);
        return attributes[i].set(spec, value, why);
    }
    return strbuf_fail(why, "the attributes are text, headers, charset, wrap and lang");
}

int manglespec_parse(struct manglespec *spec, const char *argument, struct strbuf *why)
{
    const char *given = after_keyword(argument);
    char text[MANGLESPEC_MAX + 1], *at = text, *attribute;
    size_t n = given ? strlen(given) : 0;

    *spec = (struct manglespec){ .charset = "UTF-8", .fields = MANGLESPEC_FIELDS " " };
    if (!given)
        return strbuf_fail(why, "it begins with XMANGLE");
    if (n == 0)
        return 0;
    if (given[n - 1] != ')' || memchr(given + 1, '(', n - 1) || memchr(given, ')', n - 1))
        return strbuf_fail(why, "the parenthesis is not closed at the end");
    if (n - 2 > MANGLESPEC_MAX)
        return strbuf_fail(why, "it is too long");
    memcpy(text, given + 1, n - 2);
    text[n - 2] = '\0';
    while ((attribute = next_piece(&at, ";")) != NULL)
        if (set_attribute(spec, attribute, why) < 0)
            return -1;
    return 0;
}

bool manglespec_wants(const struct manglespec *spec, const char *name, size_t n)
{
    const char *at = spec->fields;

    if ((n >= 8 && strncasecmp(name, "content-", 8) == 0) || (n == 12 && strncasecmp(name, "mime-version", 12) == 0))
        return false;
    while (*at) {
        size_t length = strcspn(at, " ");

        if (length == n && strncasecmp(at, name, n) == 0)
            return true;
        at += length + 1;
    }
    return false;
}
