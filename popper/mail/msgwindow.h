/*
 * msgwindow: what the sender sees of a file that messages stand in: a buffer of fixed size, read into when something else is asked for. It reads and
 * nothing else. Bytes lie at addresses that equal their offsets in the file modulo the page size (mem_pages says why).
 *
 * What was read stays until then, so that messages that are asked for one after the other are read together: whoever owns the window says how far
 * ahead it may read, and forgets it when what stands in the file may be different now.
 */
#ifndef MAIL_MSGWINDOW_H
#define MAIL_MSGWINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/strbuf.h"

#define MSGWINDOW_MAX (256 * 1024)

struct msgwindow {
    int fd;                 /* whose bytes they are; -1: none */
    uint64_t start;         /* offset in the file of the first byte in view */
    size_t n;               /* bytes in view */
    unsigned reads;         /* how often the file was read so far */
    uint64_t next;          /* where the message ends that was sent last; UINT64_MAX: there is none */
    bool (*judge)(void *context, int fd, struct strbuf *why); /* NULL; or whether what was read just now may be seen */
    void *context;
    char *room, *bytes;
};

/* Its buffer is taken when it is needed. */
#define MSGWINDOW_INIT { .fd = -1, .next = UINT64_MAX }

void msgwindow_free(struct msgwindow *w); /* NULL-safe for one that was never used; it may be used again */
void msgwindow_forget(struct msgwindow *w);

/* Reads n bytes (at most MSGWINDOW_MAX) from `from` on, and more than that while they are there, up to the offset `ahead`. 0; -1 (why): they cannot
   be read or are not there, or judge said no, and nothing is in view. */
int msgwindow_read(struct msgwindow *w, int fd, uint64_t from, size_t n, uint64_t ahead, struct strbuf *why);

static inline bool msgwindow_holds(const struct msgwindow *w, int fd, uint64_t from, uint64_t end)
{
    return w->fd == fd && w->start <= from && end <= w->start + w->n;
}

/* The byte at an offset that is in view. LINES_SLACK more than what is in view may be read. */
static inline char *msgwindow_at(const struct msgwindow *w, uint64_t offset)
{
    return w->bytes + (offset - w->start);
}

#endif
