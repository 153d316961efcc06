/*
 * mangle_uu: see mangle_uu.h. Lines are looked at, not decoded: the first character says how many bytes a line holds.
 */
#include "mail/mangle_uu.h"

#include <string.h>

#define MODE_DIGITS 3

/* The line at `at` without its end; what follows it in next_r. */
static size_t line_at(const char *text, size_t n, size_t at, size_t *next_r)
{
    const char *lf = memchr(text + at, '\n', n - at);
    size_t end = lf ? (size_t)(lf - text) : n;

    *next_r = lf ? end + 1 : n;
    while (end > at && (text[end - 1] == '\r' || text[end - 1] == ' '))
        end--;
    return end - at;
}

/* "begin 644 name" */
static bool is_begin(const char *line, size_t n, struct mangle_uu *found)
{
    size_t at = 6, digits = 0;

    if (n < 6 || memcmp(line, "begin ", 6) != 0)
        return false;
    for (; at < n && line[at] >= '0' && line[at] <= '7'; at++)
        digits++;
    if (digits < MODE_DIGITS || at + 1 >= n || line[at] != ' ')
        return false;
    found->name = line + at + 1;
    found->name_length = n - at - 1;
    return true;
}

/* Bytes that a line holds, 0 for the empty last one; -1 when it is none. Blanks at its end may be lost. */
static int bytes_of(const char *line, size_t n)
{
    size_t bytes;

    if (n == 0)
        return 0;
    bytes = ((unsigned char)line[0] - ' ') & 0x3f;
    if (n > 1 + (bytes + 2) / 3 * 4 + 2 || line[0] > '`')
        return -1;
    for (size_t i = 0; i < n; i++)
        if (line[i] < ' ' || line[i] > '`')
            return -1;
    return bytes > 0 && n < 2 ? -1 : (int)bytes;
}

/* From behind the "begin" line on. */
static bool read_lines(const char *text, size_t n, size_t at, struct mangle_uu *found, size_t *stopped_r)
{
    size_t next, length;
    int bytes = 1;

    found->size = 0;
    for (; at < n; at = next) {
        length = line_at(text, n, at, &next);
        if (length == 3 && memcmp(text + at, "end", 3) == 0 && bytes == 0) {
            found->end = next;
            return true;
        }
        bytes = bytes_of(text + at, length);
        if (bytes < 0)
            break;
        found->size += (size_t)bytes;
    }
    *stopped_r = at;
    return false;
}

bool mangle_uu_find(const char *text, size_t n, struct mangle_uu *found_r)
{
    size_t at = 0, next;

    while (at < n) {
        size_t length = line_at(text, n, at, &next);

        if (is_begin(text + at, length, found_r)) {
            found_r->start = at;
            if (read_lines(text, n, next, found_r, &next))
                return true;
        }
        at = next;
    }
    return false;
}
