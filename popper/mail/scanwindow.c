/*
 * scanwindow: see scanwindow.h.
 */
#include "mail/scanwindow.h"

#include <errno.h>
#include <string.h>

#include "common/mem.h"
#include "mail/filecalls.h"

/* Where in the room the byte at this offset of the file is to lie. */
static char *place_of(const struct scanwindow *w, uint64_t offset)
{
    return w->room + offset % MEM_PAGE;
}

void scanwindow_open(struct scanwindow *w, int fd, uint64_t start, uint64_t end, size_t block, size_t ahead,
                     struct strbuf *why)
{
    *w = (struct scanwindow){ .fd = fd, .base = start, .end = end, .block = block, .why = why };
    w->room = mem_pages(MEM_PAGE + block + ahead);
    w->buf = place_of(w, start);
}

void scanwindow_close(struct scanwindow *w)
{
    mem_free(w->room);
    w->room = w->buf = NULL;
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
        memmove(place_of(w, w->base + w->pos), w->buf + w->pos, scanwindow_left(w));
        w->base += w->pos;
        w->buf = place_of(w, w->base);
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
