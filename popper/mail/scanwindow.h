/*
 * scanwindow: what the scanner sees of a file: a buffer of fixed size through which its bytes pass once, from start to
 * end. It reads and nothing else. Bytes lie at addresses that equal their offsets in the file modulo the page size
 * (mem_pages says why).
 */
#ifndef MAIL_SCANWINDOW_H
#define MAIL_SCANWINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/strbuf.h"

struct scanwindow {
    int fd;
    uint64_t end;            /* offset in the file where it is to end */
    uint64_t base;           /* offset in the file of buf[0] */
    char *room;              /* what buf points into, at the start of a page */
    char *buf;
    size_t pos, len, block;  /* buf[pos..len) is what was read and not used yet; the user moves pos */
    bool failed;             /* it could not be read up to `end`, which is now where it ended; why is set */
    struct strbuf *why;      /* borrowed */
};

/* fd is borrowed. block: bytes a read; ahead: how many bytes scanwindow_more may be asked for at most. */
void scanwindow_open(struct scanwindow *w, int fd, uint64_t start, uint64_t end, size_t block, size_t ahead,
                     struct strbuf *why);
void scanwindow_close(struct scanwindow *w);

/* Makes at least n bytes available from pos on; moves the bytes, so that pos is another. False: the file ends, or cannot
   be read, before that. */
bool scanwindow_more(struct scanwindow *w, size_t n);

/* The offset in the file of pos. */
static inline uint64_t scanwindow_here(const struct scanwindow *w)
{
    return w->base + w->pos;
}

/* Bytes in view from pos on. */
static inline size_t scanwindow_left(const struct scanwindow *w)
{
    return w->len - w->pos;
}

#endif
