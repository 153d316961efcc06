/* linebuf: see linebuf.h. */
#include "wire/linebuf.h"

#include <string.h>

#include "common/mem.h"

#define ENDS 3 /* CR, LF, and one byte that shows that the line is too long */

void linebuf_init(struct linebuf *b, size_t line_max, size_t least)
{
    size_t cap = line_max + ENDS > least ? line_max + ENDS : least;

    *b = (struct linebuf){ .data = mem_bytes(cap), .cap = cap, .line_max = line_max };
}

void linebuf_free(struct linebuf *b)
{
    mem_free_secret(b->data, b->cap);
    *b = (struct linebuf){ 0 };
}

void linebuf_set_line_max(struct linebuf *b, size_t line_max)
{
    b->line_max = line_max < b->cap - ENDS ? line_max : b->cap - ENDS;
}

char *linebuf_room(struct linebuf *b, size_t *n_r)
{
    if (b->start == b->end) {
        b->start = b->end = b->scanned = 0;
    } else if (b->cap - b->end < b->cap / 2) {
        memmove(b->data, b->data + b->start, b->end - b->start);
        b->end -= b->start;
        b->scanned -= b->start;
        b->start = 0;
    }
    *n_r = b->cap - b->end;
    return b->data + b->end;
}

void linebuf_came(struct linebuf *b, size_t n)
{
    b->end += n;
}

/* Ends the line [start, at) whose LF stands at `lf`. */
static enum linebuf_status finish_line(struct linebuf *b, size_t lf, char **line_r, size_t *len_r)
{
    size_t at = lf;
    bool too_long = b->skipping;

    if (!too_long && at > b->start && b->data[at - 1] == '\r')
        at--;
    if (too_long || at - b->start > b->line_max) {
        at = b->start + b->line_max;
        too_long = true;
    }
    b->data[at] = '\0';
    *line_r = b->data + b->start;
    *len_r = at - b->start;
    b->start = b->scanned = lf + 1;
    b->skipping = false;
    return too_long ? LINEBUF_TOO_LONG : LINEBUF_LINE;
}

/* The LF of the first line, or NULL. Drops what a line over the limit has too much. */
static char *find_line_end(struct linebuf *b)
{
    char *lf = memchr(b->data + b->scanned, '\n', b->end - b->scanned);

    if (lf)
        return lf;
    if (b->skipping || b->end - b->start > b->line_max + 1) {
        b->skipping = true;
        b->end = b->start + b->line_max;
    }
    b->scanned = b->end;
    return NULL;
}

enum linebuf_status linebuf_line(struct linebuf *b, char **line_r, size_t *len_r)
{
    char *lf = find_line_end(b);

    if (!lf)
        return LINEBUF_PART;
    return finish_line(b, (size_t)(lf - b->data), line_r, len_r);
}

size_t linebuf_waiting(const struct linebuf *b, const char **bytes_r)
{
    *bytes_r = b->data + b->start;
    return b->end - b->start;
}

size_t linebuf_all(struct linebuf *b, const char **bytes_r)
{
    size_t n = linebuf_waiting(b, bytes_r);

    b->start = b->scanned = b->end;
    return n;
}

void linebuf_give_back(struct linebuf *b, size_t n)
{
    b->start -= n;
    b->scanned = b->start;
}

int linebuf_prepend(struct linebuf *b, const void *bytes, size_t n)
{
    size_t waiting = b->end - b->start;

    if (n > b->cap - waiting || b->skipping)
        return -1;
    memmove(b->data + n, b->data + b->start, waiting);
    memcpy(b->data, bytes, n);
    b->start = b->scanned = 0;
    b->end = n + waiting;
    return 0;
}

void linebuf_discard(struct linebuf *b)
{
    mem_wipe(b->data, b->cap);
    b->start = b->end = b->scanned = 0;
    b->skipping = false;
}

void linebuf_wipe_consumed(struct linebuf *b)
{
    mem_wipe(b->data, b->start);
    mem_wipe(b->data + b->end, b->cap - b->end);
}
