/*
 * dotted: see dotted.h. A state machine, one byte a step, with runs inside a line copied whole.
 */
#include "protocol/dotted.h"

#include <string.h>

/* The text from at up to the next CR or LF goes out whole. Returns where it stopped. */
static size_t copy_run(const char *bytes, size_t at, size_t n, struct outbuf *out)
{
    size_t end = at;

    while (end < n && bytes[end] != '\r' && bytes[end] != '\n')
        end++;
    outbuf_add(out, bytes + at, end - at);
    return end;
}

static void step_start(struct dotted *d, char c, struct outbuf *out)
{
    switch (c) {
    case '.':
        d->where = DOTTED_DOT;
        break;
    case '\r':
        d->where = DOTTED_CR;
        break;
    case '\n':
        outbuf_add(out, "\n", 1);
        break;
    default:
        outbuf_add(out, &c, 1);
        d->where = DOTTED_TEXT;
        break;
    }
}

/* After a dot at a line's start: it is the end, or it is dropped. */
static void step_dot(struct dotted *d, char c, struct outbuf *out)
{
    if (c == '\n') {
        d->where = DOTTED_END;
    } else if (c == '\r') {
        d->where = DOTTED_DOT_CR;
    } else {
        outbuf_add(out, &c, 1);
        d->where = DOTTED_TEXT;
    }
}

/* After a CR: half of a line end, or a byte like any other. */
static void step_cr(struct dotted *d, char c, struct outbuf *out)
{
    if (c == '\n') {
        outbuf_add(out, "\n", 1);
        d->where = DOTTED_START;
        return;
    }
    outbuf_add(out, "\r", 1);
    if (c == '\r')
        return;
    outbuf_add(out, &c, 1);
    d->where = DOTTED_TEXT;
}

static void step_text(struct dotted *d, char c, struct outbuf *out)
{
    if (c == '\r') {
        d->where = DOTTED_CR;
    } else {
        outbuf_add(out, "\n", 1);
        d->where = DOTTED_START;
    }
}

size_t dotted_feed(struct dotted *d, const char *bytes, size_t n, struct outbuf *out)
{
    size_t at = 0;

    while (at < n && d->where != DOTTED_END) {
        char c = bytes[at++];

        switch (d->where) {
        case DOTTED_START:
            step_start(d, c, out);
            break;
        case DOTTED_DOT:
            step_dot(d, c, out);
            break;
        case DOTTED_DOT_CR:
            if (c == '\n') {
                d->where = DOTTED_END;
                break;
            }
            d->where = DOTTED_CR;
            step_cr(d, c, out);
            break;
        case DOTTED_CR:
            step_cr(d, c, out);
            break;
        case DOTTED_TEXT:
            at = copy_run(bytes, at - 1, n, out);
            if (at < n)
                step_text(d, bytes[at++], out);
            break;
        case DOTTED_END:
            break;
        }
    }
    return at;
}

bool dotted_ended(const struct dotted *d)
{
    return d->where == DOTTED_END;
}
