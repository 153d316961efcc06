/*
 * sessionlock: one session at a time for each maildrop, and how a new login ends one that is idle.
 *
 * The lock is a classic POSIX write lock, so that F_GETLK tells who holds it: the keeper, as long as it lives and keeps
 * every descriptor of that file. A newcomer who has authenticated as the same user sends the holder SIGURG (harmless to
 * anybody else); the holder decides by itself.
 */
#ifndef PROCESS_SESSIONLOCK_H
#define PROCESS_SESSIONLOCK_H

#include <sys/types.h>

#include "common/strbuf.h"
#include "process/places.h"

enum sessionlock_result {
    SESSIONLOCK_OK,
    SESSIONLOCK_BUSY,
    SESSIONLOCK_NONE  /* the file cannot be had here: errno and why; another place may do */
};

/* Opens (or makes, 0600) the file at place for reading and writing and locks it. takeover: the holder is asked to go
   for about two seconds; otherwise one that is about to end is waited for, less than half a second. *fd_r: never close
   it, nor another descriptor of the same file, while the lock matters. */
enum sessionlock_result sessionlock_take(const struct place *place, uid_t owner, bool takeover, int *fd_r,
                                         struct strbuf *why);

#endif
