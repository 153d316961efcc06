/*
 * maillock: the locks on a maildrop that delivery agents and mail readers honour, as one handle: a dot lock
 * (NAME.lock beside the maildrop), an fcntl lock (open-file-description lock on the caller's descriptor) and flock.
 *
 * Each is tried without blocking; when one is busy all are released and all are tried again, so that two programs
 * with another order cannot deadlock. A dot lock is made atomically and says whose it is (lockowner.h: pid, host,
 * boot id, start time, pid name space). It is believed stale when it was made on this machine since it booted and its
 * process is gone; or when it is not in our form, or another machine's, and is older than MAILLOCK_STALE seconds by
 * the mtime of a file freshly made in the same directory. Breaking a stale lock renames it to a name that nobody uses first
 * and checks that the inode is the one judged. Symbolic links, special files and old files that have more than one link or
 * are larger than any lock (a maildrop of a user FRED.lock) are errors, never locks. After fork(2) a held handle belongs to
 * one of the two processes; the other must not call anything here with it. Waiting is bounded; nobody holds these locks
 * while a client is slow.
 */
#ifndef COMMON_MAILLOCK_H
#define COMMON_MAILLOCK_H

#include <stdbool.h>
#include <stddef.h>

#include "common/strbuf.h"

#define MAILLOCK_STALE 300 /* seconds, facts page 6.3 */

enum maillock_method { MAILLOCK_DOTLOCK = 1, MAILLOCK_FCNTL = 2, MAILLOCK_FLOCK = 4 };

enum maillock_result {
    MAILLOCK_OK,
    MAILLOCK_BUSY,   /* somebody else holds one of them; why names which and, where known, who */
    MAILLOCK_ERROR   /* cannot lock at all (permission, read-only or full file system, ...); why says what to do */
};

struct maillock;

/* "dotlock,fcntl,flock" in any order and subset (at least one), blanks allowed, to a mask. 0, or -1 and why. */
int maillock_parse(const char *methods, unsigned *mask_r, struct strbuf *why);

/* A handle for the maildrop `name` in the directory dirfd (borrowed, must stay open); `shown` is its path for
   messages; mask as above. only_link: never make the dot lock by O_CREAT|O_EXCL, also where it cannot be linked into place
   (option no-atomic-open, for old NFS). The extra gid of identity.h is held around each call that changes the
   directory. Never fails. */
struct maillock *maillock_new(int dirfd, const char *name, const char *shown, unsigned mask, bool only_link);

/* To be called for a directory that its user rules: the extra gid is never held there. */
void maillock_hold_no_gid(struct maillock *lock);

/* With only_reads, maillock_acquire goes on without a dot lock where no file can be made (full or read-only file system):
   there nobody else can make one either. Off at first. */
void maillock_only_reads(struct maillock *lock, bool only_reads);

/* Takes all locks (BUSY when this handle has them already), trying for up to wait_ms milliseconds (0: once). fd is
   the descriptor of the maildrop, opened for writing, or -1 when the maildrop does not exist (then only the dot lock
   is taken). */
enum maillock_result maillock_acquire(struct maillock *lock, int fd, int wait_ms, struct strbuf *why);

/* While the handle is held: takes the kernel's locks on another file as well, one that is about to get the maildrop's
   name. They go when its descriptors are closed or, once it has the descriptor number given to maillock_acquire, with
   maillock_release. 0, or -1 and why. */
int maillock_take_too(struct maillock *lock, int fd, struct strbuf *why);

/* While the handle is held: the maildrop's name is another file's now, fd (-1: nobody's). Takes the kernel's locks on
   that, without waiting, and then gives back those on the former file. Not OK: everything is as before. */
enum maillock_result maillock_move(struct maillock *lock, int fd, struct strbuf *why);

/* Whether the dot lock is still the file we made (someone may have broken it). True when no dot lock is used. */
bool maillock_is_ours(struct maillock *lock);

/* Gives back the block that the dot lock's text takes: it may be the last one of a full disk. */
void maillock_give_room(struct maillock *lock);

/* Sets the dot lock's mtime to now, so that others do not take it for stale. To be called at least every 60 s of
   holding. */
void maillock_refresh(struct maillock *lock);

bool maillock_held(const struct maillock *lock);

/* Releases what is held. A dot lock that is not ours any more is left alone. */
void maillock_release(struct maillock *lock);

/* Releases, frees, NULLs. */
void maillock_close(struct maillock **lock);

#endif
