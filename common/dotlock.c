/*
 * dotlock: see dotlock.h.
 *
 *  - How a lock is made is told in dotlock_make. Its descriptor stays open as long as we hold it, so that its inode
 *    number cannot be given to somebody else's lock, and "is it ours" is a comparison of numbers.
 *  - Somebody else's is opened without following links and judged by what the descriptor says.
 *  - A stale one is taken away under flock on itself (so that of several who judged it only one acts), after a look
 *    that the name still is the file that was judged, by rename to a name that nobody uses then (.NAME.lock.old), after
 *    which comes another look. What turns out to be another file goes back. Who is killed here leaves .NAME.lock.old:
 *    one at most, which the next break of a lock removes.
 * It must never wait in a system call nor touch somebody else's lock otherwise.
 */
#include "config.h" /* system extensions, 64-bit offsets */

#include "common/dotlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/dotlock_make.h"
#include "common/dotlock_state.h"
#include "common/file.h"
#include "common/lockowner.h"
#include "common/log.h"
#include "common/mem.h"

#define RACES_MAX 20 /* tries in a row in which others' locks came and went */

static const char advice[] = "or leave dotlock out of the option mail-locks if no other mail program here uses it";

/* ---- the dot lock */

static enum maillock_result dot_error(const struct dotlock *l, const char *what, int error, struct strbuf *why)
{
    errno = error;
    switch (error) {
    case EACCES:
    case EPERM:
        strbuf_fail(why,
                    "%s.lock: %s: %s for uid %ld, gid %ld: make the spool directory mode 1777, or 2775 with a group "
                    "such as mail, %s",
                    l->shown, what, strerror(error), (long)geteuid(), (long)getegid(), advice);
        break;
    case ENOSPC:
    case EDQUOT:
        strbuf_fail(why, "%s.lock: %s: %s: make room (a single file is needed) %s", l->shown, what, strerror(error),
                    advice);
        break;
    case EROFS:
        strbuf_fail(why, "%s.lock: %s: %s: mount the spool read-write", l->shown, what, strerror(error));
        break;
    default:
        strbuf_fail(why, "%s.lock: %s: %s; look at the spool directory, %s", l->shown, what, strerror(error), advice);
    }
    return MAILLOCK_ERROR;
}

enum verdict { VANISHED, BUSY, STALE, BAD };

/* why is what to say in each case but VANISHED. */
static enum verdict judge_age(struct dotlock *l, const struct stat *st, struct strbuf *why)
{
    struct timespec now;
    int error = dotlock_make_clock(l, &now) ? 0 : errno;
    long age;

    /* When no file can be made there, our own clock is good enough to call a lock fresh, but not to break one. */
    if (error)
        clock_gettime(CLOCK_REALTIME, &now);
    age = (long)(now.tv_sec - st->st_mtim.tv_sec);
    if (age < -MAILLOCK_STALE) {
        strbuf_fail(why,
                    "%s.lock is held by another mail program, or was left by one: its time is %ld s in the future: was the clock set back? "
                    "If nobody uses it (uid %ld), remove it",
                    l->shown, -age, (long)st->st_uid);
        return BUSY;
    }
    if (age < MAILLOCK_STALE) {
        strbuf_fail(why,
                    "%s.lock is held by another mail program (made or refreshed %ld s ago by uid %ld; taken for stale "
                    "after %d s)",
                    l->shown, age < 0 ? 0 : age, (long)st->st_uid, MAILLOCK_STALE);
        return BUSY;
    }
    if (error) {
        dot_error(l, "looks stale, but no file can be made to compare its age with", error, why);
        return BAD;
    }
    if (st->st_nlink > 1) {
        strbuf_fail(why,
                    "%s.lock is %ld s old and has %lu links, as no mail program's lock has: see what it is (owner uid "
                    "%ld) and remove it",
                    l->shown, age, (unsigned long)st->st_nlink, (long)st->st_uid);
        return BAD;
    }
    if (st->st_size >= LOCKOWNER_MAX) {
        strbuf_fail(why,
                    "%s.lock is %ld s old and holds %lld bytes, as no mail program's lock does: is it the maildrop of a user "
                    "of that name (owner uid %ld)? See what it is, and rename the user or remove it",
                    l->shown, age, (long long)st->st_size, (long)st->st_uid);
        return BAD;
    }
    strbuf_fail(why, "%s.lock is %ld s old (uid %ld) and nobody refreshes it", l->shown, age, (long)st->st_uid);
    return STALE;
}

static enum verdict judge(struct dotlock *l, int fd, const struct stat *st, struct strbuf *why)
{
    char text[LOCKOWNER_MAX];
    ssize_t n;
    long pid;

    if (!S_ISREG(st->st_mode)) {
        strbuf_fail(why,
                    "%s.lock is not a regular file: no mail program makes such a lock; see who put it there (uid %ld) "
                    "and remove it",
                    l->shown, (long)st->st_uid);
        return BAD;
    }
    if (st->st_nlink == 0)
        return VANISHED;
    /* One of ours, linked a moment ago, or left so by a maker who was killed. */
    if (st->st_nlink == 2 && dotlock_dir_names(l, l->new_name, st) && dotlock_dir_unlink(l, l->new_name) == 0)
        return VANISHED;
    /* Another second link is what making by link(2) looks like from outside; what such a file says is not believed. */
    n = fd < 0 || st->st_nlink != 1 ? 0 : file_pread(fd, text, sizeof text, 0);
    switch (lockowner_judge(text, n > 0 ? (size_t)n : 0, &pid)) {
    case LOCKOWNER_ALIVE:
        strbuf_fail(why, "%s.lock is held by process %ld of this machine", l->shown, pid);
        return BUSY;
    case LOCKOWNER_GONE:
        strbuf_fail(why, "%s.lock was left by process %ld, which is gone", l->shown, pid);
        return STALE;
    default:
        return judge_age(l, st, why);
    }
}

/* A fresh lock that was taken for the stale one goes back. */
static void put_back(const struct dotlock *l)
{
    int result = dotlock_dir_rename(l, l->old_name, l->name, false);

    if (result == 0)
        return;
    if (errno == EINVAL || errno == ENOSYS)
        result = dotlock_dir_link_back(l);
    if (result < 0)
        log_write(LOG_WARNING, "%s.lock: a fresh lock was taken for a stale one and cannot go back: %s", l->shown,
                  strerror(errno));
    dotlock_dir_unlink(l, l->old_name);
}

/* To .old, which nobody else may be using: what is there was left by somebody who was killed, or is somebody's who breaks the same lock on a file system
   without flock (NFS), where the lock's name is gone in that instant. */
static int rename_away(struct dotlock *l)
{
    int result = dotlock_dir_rename(l, l->name, l->old_name, false);

    if (result < 0 && errno == EEXIST && dotlock_dir_clear(l, &l->old_name))
        result = dotlock_dir_rename(l, l->name, l->old_name, false);
    if (result < 0 && (errno == EINVAL || errno == ENOSYS))
        result = dotlock_dir_rename(l, l->name, l->old_name, true);
    return result;
}

/* Renames the judged lock away, then removes it. False and why when that is not allowed. */
static bool take_away(struct dotlock *l, const struct stat *judged, struct strbuf *why)
{
    if (rename_away(l) < 0) {
        if (errno == ENOENT)
            return true;
        dot_error(l, "is stale but cannot be removed; remove it", errno, why);
        return false;
    }
    if (!dotlock_dir_names(l, l->old_name, judged)) {
        /* A new lock in the instant between look and rename. If it cannot go back, its owner sees that it is gone. */
        put_back(l);
        return true;
    }
    log_write(LOG_NOTICE, "stale lock removed: %s", why->data);
    dotlock_dir_unlink(l, l->old_name);
    return true;
}

/* 0 when the lock is gone or somebody else sees to it, -1 and why when it cannot be removed. */
static int break_stale(struct dotlock *l, int fd, const struct stat *judged, struct strbuf *why)
{
    int result = 0;

    /* Without the descriptor (no permission to read) or flock (NFS) the looks at the inode must do. */
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        return 0;
    if (dotlock_dir_names(l, l->name, judged) && !take_away(l, judged, why))
        result = -1;
    return result; /* closing fd ends the flock */
}

/* Opened when it may be read; the status of the name otherwise. */
static bool open_other(const struct dotlock *l, int *fd_r, struct stat *st_r)
{
    *fd_r = openat(l->dirfd, l->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (*fd_r >= 0)
        return fstat(*fd_r, st_r) == 0;
    return fstatat(l->dirfd, l->name, st_r, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The lock of somebody else that stands in the way. MAILLOCK_OK: it may be gone, try again. */
static enum maillock_result meet_other(struct dotlock *l, struct strbuf *why)
{
    enum maillock_result result = MAILLOCK_OK;
    enum verdict verdict = VANISHED;
    struct stat st;
    int fd;

    if (open_other(l, &fd, &st))
        verdict = judge(l, fd, &st, why);
    if (verdict == BUSY)
        result = MAILLOCK_BUSY;
    else if (verdict == BAD || (verdict == STALE && break_stale(l, fd, &st, why) < 0))
        result = MAILLOCK_ERROR;
    if (fd >= 0)
        close(fd);
    return result;
}

static char *name_like(const char *before, const char *name, const char *behind)
{
    size_t n = strlen(before) + strlen(name) + strlen(behind) + 1;
    char *text = mem_new(n, 1);

    snprintf(text, n, "%s%s%s", before, name, behind);
    return text;
}

struct dotlock *dotlock_new(int dirfd, const char *name, const char *shown, bool only_link)
{
    struct dotlock *l = mem_new(1, sizeof *l);

    l->dirfd = dirfd;
    l->shown = mem_strdup(shown);
    l->name = name_like("", name, ".lock");
    l->new_name = name_like(".", name, ".lock.new");
    l->old_name = name_like(".", name, ".lock.old");
    l->only_link = only_link;
    l->fd = -1;
    return l;
}

void dotlock_hold_no_gid(struct dotlock *l)
{
    l->hold_no_gid = true;
}

enum maillock_result dotlock_try(struct dotlock *l, struct strbuf *why)
{
    enum maillock_result result;
    enum dotlock_made made;

    for (int races = 0; races < RACES_MAX; races++) {
        made = dotlock_make(l);
        if (made == DOTLOCK_MADE)
            return MAILLOCK_OK;
        if (made == DOTLOCK_FAILED)
            return dot_error(l, l->only_link ? "cannot be made by link(2)" : "cannot be made", errno, why);
        result = meet_other(l, why);
        if (result != MAILLOCK_OK)
            return result;
    }
    strbuf_fail(why, "%s.lock comes and goes: other mail programs want the maildrop", l->shown);
    return MAILLOCK_BUSY;
}

void dotlock_release(struct dotlock *l)
{
    if (l->fd < 0)
        return;
    if (dotlock_is_ours(l))
        dotlock_dir_unlink(l, l->name);
    else
        log_write(LOG_WARNING, "%s.lock was broken or replaced by another program while we held it", l->shown);
    close(l->fd);
    l->fd = -1;
}

bool dotlock_is_ours(const struct dotlock *l)
{
    struct stat st;

    return l->fd >= 0 && fstat(l->fd, &st) == 0 && dotlock_dir_names(l, l->name, &st);
}

void dotlock_refresh(const struct dotlock *l)
{
    if (l->fd >= 0 && futimens(l->fd, NULL) < 0)
        log_write(LOG_WARNING, "%s.lock cannot be refreshed: %s", l->shown, strerror(errno));
}

void dotlock_give_room(const struct dotlock *l)
{
    if (l->fd >= 0 && (ftruncate(l->fd, 0) < 0 || fsync(l->fd) < 0))
        log_write(LOG_DEBUG, "%s.lock cannot be emptied: %s", l->shown, strerror(errno));
}

void dotlock_close(struct dotlock **l)
{
    if (!*l)
        return;
    dotlock_release(*l);
    mem_free((*l)->old_name);
    mem_free((*l)->new_name);
    mem_free((*l)->name);
    mem_free((*l)->shown);
    mem_free(*l);
    *l = NULL;
}
