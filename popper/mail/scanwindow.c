/*
 * scanwindow: see scanwindow.h.
 */
#include "mail/scanwindow.h"

#include <errno.h>
#include <string.h>

#include "common/mem.h"
#include "mail/filecalls.h"

void scanwindow_open(struct scanwindow *w, int fd, uint64_t start, uint64_t end, size_t block, size_t ahead,
                     struct strbuf *why)
{
    *w = (struct scanwindow){ .fd = fd, .base = start, .end = end, .block = block, .why = why };
    w->buf = mem_bytes(block + ahead);
}

void scanwindow_close(struct scanwindow *w)
{
    mem_free(w->buf);
    w->buf = NULL;
}

/* A file that cannot be read ends there, as far as its user is concerned. */
static void read_failed(struct scanwindow *w, ssize_t got)
{
    if (got < 0)
        strbuf_fail(w->why, "reading at offset %llu: %s", (unsigned long long)(w->base + w->len), strerror(errno));
    else
        strbuf_fail(w->why, "the file became shorter while it was read: it ends at offset %llu, not at %llu",
                    (unsigned long long)(w->base + w->len + (size_t)got), (unsigned long long)w->end);
    w->failed = true;
    w->end = w->base + w->len;
}

bool scanwindow_more(struct scanwindow *w, size_t n)
{
    while (scanwindow_left(w) < n) {
        uint64_t rest = w->end - w->base - w->len;
        size_t now = rest < w->block ? (size_t)rest : w->block;
        ssize_t got;

        if (now == 0)
            return false;
        memmove(w->buf, w->buf + w->pos, scanwindow_left(w));
        w->base += w->pos;
        w->len -= w->pos;
        w->pos = 0;
        got = filecalls_read(w->fd, w->buf + w->len, now, (off_t)(w->base + w->len));
        if (got < (ssize_t)now) {
            read_failed(w, got);
            return false;
        }
        w->len += now;
    }
    return true;
}
