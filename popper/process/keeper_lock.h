/*
 * keeper_lock: on which files the keeper takes the session lock (sessionlock), so that one user has one session at a time, whichever service he comes by.
 *
 * On the index, so that a poll of an unchanged maildrop makes no other file; on the temp drop, where Qpopper locked, when there is no place for an index.
 * A service with another cache-dir, cache-name, temp-dir or home-dir-misc has another index: it locks the file where the index is by default as well
 * (places: meeting). There an empty one appears once; it is no index and costs nobody anything.
 */
#ifndef PROCESS_KEEPER_LOCK_H
#define PROCESS_KEEPER_LOCK_H

#include "process/keeper_files.h"
#include "process/sessionlock.h"

/* Fills in lock, lock_is_tempdrop, meeting and open.index. With takeover-idle an idle holder is asked to go. NONE: errno
   and why. */
enum sessionlock_result keeper_lock_take(struct keeper_files *f, struct strbuf *why);

/* For --check, as the user: whether one of the two files is there or can be made. Makes nothing. */
bool keeper_lock_possible(const struct keeper_files *f, const struct settings *settings);

#endif
