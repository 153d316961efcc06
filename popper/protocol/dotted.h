/*
 * dotted: the text that a client sends after XTND XMIT, ended by a line with a lone dot: lines are stored with LF, a dot that was doubled at a line's
 * start is taken away (RFC 1939 section 3, the other way round). Works on pieces of any size; no line is too long for it.
 */
#ifndef PROTOCOL_DOTTED_H
#define PROTOCOL_DOTTED_H

#include <stdbool.h>
#include <stddef.h>

#include "common/outbuf.h"

struct dotted {
    enum { DOTTED_START, DOTTED_TEXT, DOTTED_DOT, DOTTED_DOT_CR, DOTTED_CR, DOTTED_END } where;
};

#define DOTTED_INIT { DOTTED_START }

/* Feeds n bytes; the text goes to out. Returns how many were used: fewer than n only when the end was among them. */
size_t dotted_feed(struct dotted *d, const char *bytes, size_t n, struct outbuf *out);

bool dotted_ended(const struct dotted *d);

#endif
