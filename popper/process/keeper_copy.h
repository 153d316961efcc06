/*
 * keeper_copy: the copy of a large maildrop that a session in normal mode works on, made piece by piece between the session's requests: the client gets
 * its first message at once, from the maildrop itself, instead of after the copy. Whoever begins it holds M's locks until it is made.
 *
 * Nobody has to be told when it is made: nobody may write to the file any more then (its mode is 0400). One that is given up is empty and nobody's (mode 0).
 * It is not made when M's status changed meanwhile: some program does not mind the locks, and what was copied may be a mixture.
 */
#ifndef PROCESS_KEEPER_COPY_H
#define PROCESS_KEEPER_COPY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "common/strbuf.h"

struct keeper_copy {
    int to;              /* -1: nothing is being copied */
    uint64_t at, end;
    struct stat before;  /* M's status when it was begun */
};

#define KEEPER_COPY_INIT { .to = -1 }

static inline bool keeper_copy_goes_on(const struct keeper_copy *c)
{
    return c->to >= 0;
}

/* The first n bytes of M (from) are to be copied to the empty file `to`, which is owned from now on, also when it fails. 0; or -1 with errno and why:
   there is no room, M is not so long, or the copy is not made piece by piece there (EOPNOTSUPP: blocks are shared). */
int keeper_copy_begin(struct keeper_copy *c, int from, int to, uint64_t n, struct strbuf *why);

/* Copies the next piece (some 0.3 ms). False when that was the last one, or it failed (why is set then): it is over. */
bool keeper_copy_step(struct keeper_copy *c, int from, struct strbuf *why);

/* Gives it up, and what it takes of the disk; nothing to do when there is none. */
void keeper_copy_end(struct keeper_copy *c);

#endif
