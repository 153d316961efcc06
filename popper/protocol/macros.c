/*
 * macros: see macros.h. A table of ten needs no more than a loop.
 */
#include "protocol/macros.h"

#include <string.h>
#include <strings.h>

#include "common/mem.h"

/* Whether the n bytes may be a name. */
static bool is_name(const char *text, size_t n)
{
    size_t digits = strspn(text, "0123456789");

    for (size_t i = 0; i < n; i++)
        if (text[i] <= ' ' || text[i] > '~' || text[i] == ')')
            return false;
    return n > 0 && digits < n;
}

/* Whether the parenthesis at the beginning is closed by the last byte, and not before. */
static bool is_enclosed(const char *text)
{
    size_t depth = 0;

    for (; *text; text++) {
        if (*text == '(')
            depth++;
        else if (*text == ')' && --depth == 0)
            return text[1] == '\0';
    }
    return false;
}

/* The place of the name, macros->count when it is new. */
static size_t find(const struct macros *macros, const char *name, size_t n)
{
    size_t i = 0;

    while (i < macros->count && (strncasecmp(macros->items[i].name, name, n) != 0 || macros->items[i].name[n] != '\0'))
        i++;
    return i;
}

static char *lower_case(const char *text, size_t n)
{
    char *copy = mem_strndup(text, n);

    for (char *at = copy; *at; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at - 'A' + 'a');
    return copy;
}

int macros_define(struct macros *macros, const char *definition, const char **name_r, struct strbuf *why)
{
    size_t n = strcspn(definition, "("), i;
    const char *value = definition + n;

    if (!is_enclosed(value))
        return strbuf_fail(why, "it is written name(value), with all parentheses closed");
    if (n > MACROS_NAME_MAX)
        return strbuf_fail(why, "a name may have %d characters at most", MACROS_NAME_MAX);
    if (!is_name(definition, n))
        return strbuf_fail(why, "a name is made of visible ASCII characters and is not a number");
    i = find(macros, definition, n);
    if (i == MACROS_MAX)
        return strbuf_fail(why, "there are %d already", MACROS_MAX);
    if (i == macros->count)
        macros->items[macros->count++].name = lower_case(definition, n);
    mem_free(macros->items[i].value);
    macros->items[i].value = mem_strndup(value + 1, strlen(value) - 2);
    *name_r = macros->items[i].name;
    return 0;
}

const char *macros_expand(const struct macros *macros, const char *argument)
{
    size_t i = find(macros, argument, strlen(argument));

    return i < macros->count ? macros->items[i].value : argument;
}

void macros_free(struct macros *macros)
{
    for (size_t i = 0; i < macros->count; i++) {
        mem_free(macros->items[i].name);
        mem_free(macros->items[i].value);
    }
    macros->count = 0;
}
