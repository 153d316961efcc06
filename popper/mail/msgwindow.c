/*
 * msgwindow: see msgwindow.h.
 */
#include "mail/msgwindow.h"

#include <errno.h>
#include <string.h>

#include "common/mem.h"
#include "mail/filecalls.h"
#include "mail/lines.h"

void msgwindow_free(struct msgwindow *w)
{
    mem_free(w->room);
    *w = (struct msgwindow)MSGWINDOW_INIT;
}

void msgwindow_forget(struct msgwindow *w)
{
    w->fd = -1;
    w->n = 0;
    w->next = UINT64_MAX;
}

/* How much to read: n, or up to the limit of what may be read ahead. */
static size_t wanted(uint64_t from, size_t n, uint64_t ahead)
{
    if (ahead <= from + n)
        return n;
    return ahead - from < MSGWINDOW_MAX ? (size_t)(ahead - from) : MSGWINDOW_MAX;
}

int msgwindow_read(struct msgwindow *w, int fd, uint64_t from, size_t n, uint64_t ahead, struct strbuf *why)
{
    ssize_t got;

    if (!w->room)
        w->room = mem_pages(MEM_PAGE + MSGWINDOW_MAX + LINES_SLACK);
    w->bytes = w->room + from % MEM_PAGE;
    w->fd = -1;
    w->n = 0;
    w->reads++;
    got = filecalls_read(fd, w->bytes, wanted(from, n, ahead), (off_t)from);
    if (got < 0)
        return strbuf_fail(why, "reading a message at offset %llu: %s", (unsigned long long)from, strerror(errno));
    if ((size_t)got < n)
        return strbuf_fail(why, "a message ends at offset %llu where it should be longer: another program cut the file",
                           (unsigned long long)(from + (size_t)got));
    if (w->judge && !w->judge(w->context, fd, why))
        return -1;
    w->fd = fd;
    w->start = from;
    w->n = (size_t)got;
    return 0;
}
