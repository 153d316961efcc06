/*
 * dotlock: the lock file NAME.lock beside a maildrop. Part of maillock, which combines it with the kernel's locks and
 * waits.
 *
 * Made atomically, it holds lockowner's text of ours. It is believed stale when that text says that its process is
 * gone; or when it is not ours to judge and older than MAILLOCK_STALE seconds by the mtime of a file freshly made in
 * the same directory. Links and special files are never followed, judged or removed, nor what is larger than any lock:
 * that is an error for the administrator.
 */
#ifndef COMMON_DOTLOCK_H
#define COMMON_DOTLOCK_H

#include <stdbool.h>

#include "common/maillock.h"
#include "common/strbuf.h"

struct dotlock;

/* See maillock_new. Never fails. */
struct dotlock *dotlock_new(int dirfd, const char *name, const char *shown, bool only_link);

void dotlock_hold_no_gid(struct dotlock *l); /* see maillock_hold_no_gid */

/* Makes it, or breaks a stale one and makes it; does not wait. MAILLOCK_OK; BUSY; or ERROR with errno, and why.
   Breaking is logged. */
enum maillock_result dotlock_try(struct dotlock *l, struct strbuf *why);

/* Whether the file of that name is the one we made. */
bool dotlock_is_ours(const struct dotlock *l);

/* mtime = now, by the clock of the file system. */
void dotlock_refresh(const struct dotlock *l);

/* Gives up the text in it, and with it the last block of a full disk. It then ages out like any other. */
void dotlock_give_room(const struct dotlock *l);

/* Removes it if it is (still) ours; logs when another program has taken it meanwhile. */
void dotlock_release(struct dotlock *l);

/* Releases, frees, NULLs. */
void dotlock_close(struct dotlock **l);

#endif
