/*
 * sessionlock: see sessionlock.h. It never trusts a pid that it read: the process is pinned by a pidfd and must still
 * hold the lock then.
 */
#include "process/sessionlock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/file.h"
#include "common/identity.h"
#include "common/log.h"

#define ASK_TIMES 10
#define WAIT_TIMES 2 /* nobody is asked: for one whose client has gone and that frees its copy or writes its index */
#define ASK_EVERY_MS 200
#define REPLACED_MAX 5 /* files that were replaced between opening and locking */

static int open_or_make(const struct place *place, uid_t owner, struct stat *st_r, struct strbuf *why)
{
    const struct file_rules rules = { .owner = owner, .forbidden = 0022 };
    int fd;

    if (place->dir < 0) {
        strbuf_fail(why, "%s: its directory: %s", place->shown, strerror(place->error));
        errno = place->error;
        return -1;
    }
    fd = file_open(place->dir, place->name, place->shown, O_RDWR, 0, &rules, st_r, why);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    places_hold_gid(place);
    fd = file_open(place->dir, place->name, place->shown, O_RDWR | O_CREAT | O_EXCL, 0600, &rules, st_r, why);
    identity_drop_gid();
    return fd;
}

static struct flock whole_file(void)
{
    return (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET };
}

static int try_lock(int fd)
{
    struct flock lock = whole_file();

    return fcntl(fd, F_SETLK, &lock);
}

/* The process of this host that holds the lock; 0 when there is none that can be named. */
static pid_t holder_of(int fd)
{
    struct flock lock = whole_file();

    if (fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK || lock.l_pid <= 0)
        return 0;
    return lock.l_pid;
}

/* A pidfd of the process that holds the lock, or -1: it had the lock before and after it was pinned, so it is the
   one. */
static int pin_holder(int fd, pid_t *pid_r)
{
    pid_t pid = holder_of(fd);
    int pinned;

    if (pid <= 1 || pid == getpid())
        return -1;
    pinned = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pinned < 0)
        return -1;
    if (holder_of(fd) == pid) {
        *pid_r = pid;
        return pinned;
    }
    close(pinned);
    return -1;
}

/* Asks the holder, or only waits, until the lock can be had: 0, or -1 when it stays. */
static int outlast_holder(int fd, bool ask)
{
    pid_t pid = 0;
    int pinned = pin_holder(fd, &pid), times = ask ? ASK_TIMES : WAIT_TIMES, i, result = try_lock(fd);

    for (i = 0; i < times && result < 0; i++) {
        struct pollfd gone = { .fd = pinned, .events = POLLIN };

        if (pinned >= 0 && ask)
            syscall(SYS_pidfd_send_signal, pinned, SIGURG, NULL, 0);
        poll(&gone, 1, ASK_EVERY_MS);
        result = try_lock(fd);
    }
    if (pinned >= 0)
        close(pinned);
    if (result == 0 && pid > 0)
        log_write(LOG_NOTICE, "took the maildrop over from process %ld, whose session was idle or has just ended",
                  (long)pid);
    return result;
}

/* Whether the name still is the file that we locked. */
static bool still_named(const struct place *place, int fd)
{
    struct stat here, named;

    return fstat(fd, &here) == 0 && fstatat(place->dir, place->name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           file_same(&here, &named);
}

/* Locks the file that was opened. Not OK: why (NONE: and errno). */
static enum sessionlock_result lock_opened(const struct place *place, int fd, bool takeover, struct strbuf *why)
{
    pid_t pid;
    int error;

    if (try_lock(fd) == 0)
        return SESSIONLOCK_OK;
    if (errno != EAGAIN && errno != EACCES) {
        error = errno;
        strbuf_fail(why, "%s cannot be locked: %s", place->shown, strerror(error));
        errno = error;
        return SESSIONLOCK_NONE;
    }
    if (outlast_holder(fd, takeover) == 0)
        return SESSIONLOCK_OK;
    pid = holder_of(fd); /* its records have the same one */
    strbuf_fail(why, "%s is locked by another session", place->shown);
    if (pid > 0)
        strbuf_addf(why, " (process %ld)", (long)pid);
    return SESSIONLOCK_BUSY;
}

enum sessionlock_result sessionlock_take(const struct place *place, uid_t owner, bool takeover, int *fd_r,
                                         struct strbuf *why)
{
    enum sessionlock_result result;
    struct stat st;
    int fd, error;

    *fd_r = -1;
    for (int i = 0; i < REPLACED_MAX; i++) {
        fd = open_or_make(place, owner, &st, why);
        if (fd < 0 && errno == EEXIST)
            continue;
        if (fd < 0)
            return SESSIONLOCK_NONE;
        result = lock_opened(place, fd, takeover, why);
        if (result == SESSIONLOCK_OK && still_named(place, fd)) {
            *fd_r = fd;
            return result;
        }
        error = errno;
        close(fd);
        errno = error;
        if (result != SESSIONLOCK_OK)
            return result;
    }
    strbuf_fail(why, "%s is replaced again and again by another program", place->shown);
    return SESSIONLOCK_BUSY;
}
