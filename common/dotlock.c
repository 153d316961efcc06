/*
 * dotlock: see dotlock.h.
 *
 *  - A lock is made by O_CREAT|O_EXCL, or complete under a unique name and then by link(2). Its descriptor stays open
 *    as long as we hold it, so that its inode number cannot be given to somebody else's lock, and "is it ours" is a
 *    comparison of numbers.
 *  - Somebody else's is opened without following links and judged by what the descriptor says.
 *  - A stale one is taken away under flock on itself (so that of several who judged it only one acts), after a look
 *    that the name still is the file that was judged, by rename to a unique name, after which comes another look.
 *    What turns out to be another file goes back.
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

#include "common/digest.h"
#include "common/file.h"
#include "common/identity.h"
#include "common/lockowner.h"
#include "common/log.h"
#include "common/mem.h"

#define RACES_MAX 20 /* tries in a row in which others' locks came and went */

static const char advice[] = "or leave dotlock out of the option mail-locks if no other mail program here uses it";

struct dotlock {
    int dirfd;
    char *shown; /* the maildrop's path for messages */
    char *name;  /* with .lock */
    bool use_link;
    bool spare_gid;
    int fd;      /* our lock, while we hold it; else -1 */
};

/* ---- calls that change the directory, with the group that may */

static void hold_gid(const struct dotlock *l)
{
    if (!l->spare_gid)
        identity_hold_gid();
}

static int dir_create(const struct dotlock *l, const char *name)
{
    int fd;

    hold_gid(l);
    fd = openat(l->dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    identity_drop_gid();
    return fd;
}

static int dir_link(const struct dotlock *l, const char *from, const char *to)
{
    int result;

    hold_gid(l);
    result = linkat(l->dirfd, from, l->dirfd, to, 0);
    identity_drop_gid();
    return result;
}

static int dir_rename(const struct dotlock *l, const char *from, const char *to)
{
    int result;

    hold_gid(l);
    result = renameat(l->dirfd, from, l->dirfd, to);
    identity_drop_gid();
    return result;
}

static int dir_unlink(const struct dotlock *l, const char *name)
{
    int result;

    hold_gid(l);
    result = unlinkat(l->dirfd, name, 0);
    identity_drop_gid();
    return result;
}

/* Hidden, so that nobody takes it for a user's mailbox. */
static void unique_name(char name_r[40])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char random[12];
    char *p = name_r + sprintf(name_r, ".popper-lock.");

    digest_random(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) {
        *p++ = digits[random[i] >> 4];
        *p++ = digits[random[i] & 15];
    }
    *p = '\0';
}

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

/* Who holds it, for the reader of the file. On a full disk or quota the lock is good without: it then ages out like
   any other. */
static void write_owner(int fd)
{
    char text[LOCKOWNER_MAX];
    size_t n = lockowner_text(text);

    if (file_write(fd, text, n) < 0 && ftruncate(fd, 0) < 0)
        log_write(LOG_DEBUG, "dot lock: %s", strerror(errno)); /* a torn text is not believed either */
}

/* What became of one attempt, beyond the results that callers see. */
enum attempt { MADE, EXISTS, FAILED };

static enum attempt make_exclusively(struct dotlock *l)
{
    int fd = dir_create(l, l->name);

    if (fd < 0)
        return errno == EEXIST ? EXISTS : FAILED;
    write_owner(fd);
    l->fd = fd;
    return MADE;
}

/* On NFS the answer to link(2) may be lost: the number of links tells whether it worked. */
static enum attempt make_by_link(struct dotlock *l)
{
    char name[40];
    struct stat st;
    enum attempt result;
    int fd, error = 0;

    unique_name(name);
    fd = dir_create(l, name);
    if (fd < 0)
        return FAILED;
    write_owner(fd);
    if (dir_link(l, name, l->name) < 0)
        error = errno;
    if (fstat(fd, &st) == 0 && st.st_nlink == 2)
        result = MADE;
    else
        result = error == EEXIST || error == 0 ? EXISTS : FAILED;
    dir_unlink(l, name);
    if (result == MADE)
        l->fd = fd;
    else
        close(fd);
    errno = error;
    return result;
}

/* The time by the clock that stamps files here, which on NFS is not ours. False with errno when no file can be made. */
static bool directory_now(const struct dotlock *l, struct timespec *now_r)
{
    char name[40];
    struct stat st;
    int fd, error;

    unique_name(name);
    fd = dir_create(l, name);
    if (fd < 0)
        return false;
    error = fstat(fd, &st) < 0 ? errno : 0;
    close(fd);
    dir_unlink(l, name);
    *now_r = st.st_mtim;
    errno = error;
    return error == 0;
}

/* Whether the name in the directory is this file. */
static bool names(const struct dotlock *l, const char *name, const struct stat *file)
{
    struct stat st;

    return fstatat(l->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && file_same(&st, file);
}

enum verdict { VANISHED, BUSY, STALE, BAD };

/* why is what to say in each case but VANISHED. */
static enum verdict judge_age(const struct dotlock *l, const struct stat *st, struct strbuf *why)
{
    struct timespec now;
    int error = directory_now(l, &now) ? 0 : errno;
    long age;

    /* When no file can be made there, our own clock is good enough to call a lock fresh, but not to break one. */
    if (error)
        clock_gettime(CLOCK_REALTIME, &now);
    age = (long)(now.tv_sec - st->st_mtim.tv_sec);
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

static enum verdict judge(const struct dotlock *l, int fd, const struct stat *st, struct strbuf *why)
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
    /* A second link is what making by link(2) looks like from outside; what such a file says is not believed. */
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

/* rename(2) that replaces nothing, where the file system has it (not NFS). */
static int dir_rename_back(const struct dotlock *l, const char *from)
{
    int result;

    hold_gid(l);
    result = renameat2(l->dirfd, from, l->dirfd, l->name, RENAME_NOREPLACE);
    identity_drop_gid();
    return result;
}

static void put_back(const struct dotlock *l, const char *name)
{
    int result = dir_rename_back(l, name);

    if (result == 0)
        return;
    if (errno == EINVAL || errno == ENOSYS)
        result = dir_link(l, name, l->name);
    if (result < 0)
        log_write(LOG_WARNING, "%s.lock: a fresh lock was taken for a stale one and cannot go back: %s", l->shown,
                  strerror(errno));
    dir_unlink(l, name);
}

/* Renames the judged lock away, then removes it. False and why when that is not allowed. */
static bool take_away(const struct dotlock *l, const struct stat *judged, struct strbuf *why)
{
    char name[40];

    unique_name(name);
    if (dir_rename(l, l->name, name) < 0) {
        if (errno == ENOENT)
            return true;
        dot_error(l, "is stale but cannot be removed; remove it", errno, why);
        return false;
    }
    if (!names(l, name, judged)) {
        /* A new lock in the instant between look and rename. If it cannot go back, its owner sees that it is gone. */
        put_back(l, name);
        return true;
    }
    log_write(LOG_NOTICE, "stale lock removed: %s", why->data);
    dir_unlink(l, name);
    return true;
}

/* 0 when the lock is gone or somebody else sees to it, -1 and why when it cannot be removed. */
static int break_stale(const struct dotlock *l, int fd, const struct stat *judged, struct strbuf *why)
{
    int result = 0;

    /* Without the descriptor (no permission to read) or flock (NFS) the looks at the inode must do. */
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        return 0;
    if (names(l, l->name, judged) && !take_away(l, judged, why))
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
static enum maillock_result meet_other(const struct dotlock *l, struct strbuf *why)
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

struct dotlock *dotlock_new(int dirfd, const char *name, const char *shown, bool use_link)
{
    struct dotlock *l = mem_new(1, sizeof *l);
    size_t n = strlen(name);

    l->dirfd = dirfd;
    l->shown = mem_strdup(shown);
    l->name = mem_new(n + sizeof ".lock", 1);
    memcpy(l->name, name, n);
    memcpy(l->name + n, ".lock", sizeof ".lock");
    l->use_link = use_link;
    l->fd = -1;
    return l;
}

void dotlock_spare_gid(struct dotlock *l)
{
    l->spare_gid = true;
}

enum maillock_result dotlock_try(struct dotlock *l, struct strbuf *why)
{
    enum maillock_result result;
    enum attempt made;

    for (int races = 0; races < RACES_MAX; races++) {
        made = l->use_link ? make_by_link(l) : make_exclusively(l);
        if (made == MADE)
            return MAILLOCK_OK;
        if (made == FAILED)
            return dot_error(l, l->use_link ? "cannot be made by link(2)" : "cannot be made", errno, why);
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
        dir_unlink(l, l->name);
    else
        log_write(LOG_WARNING, "%s.lock was broken or replaced by another program while we held it", l->shown);
    close(l->fd);
    l->fd = -1;
}

bool dotlock_is_ours(const struct dotlock *l)
{
    struct stat st;

    return l->fd >= 0 && fstat(l->fd, &st) == 0 && names(l, l->name, &st);
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
    mem_free((*l)->name);
    mem_free((*l)->shown);
    mem_free(*l);
    *l = NULL;
}
