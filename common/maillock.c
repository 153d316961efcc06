/*
 * maillock: see maillock.h. Decides nothing about the maildrop itself and never reads or writes it; never waits in a
 * system call for a lock, and never keeps one lock while it waits for another.
 */
#include "config.h" /* system extensions, 64-bit offsets */

#include "common/maillock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/digest.h"
#include "common/dotlock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/words.h"

#define NS_PER_MS 1000000
#define FIRST_PAUSE_MS 10 /* between two tries; grows by half, with a random part */
#define LONGEST_PAUSE_MS 150 /* not more: programs that wait inside the kernel come first whenever it is free */

struct maillock {
    char *shown;
    unsigned mask;
    struct dotlock *dot; /* NULL without dot lock */
    int fd;              /* what fcntl and flock lock */
    unsigned taken;      /* of fcntl and flock */
    bool held;
    bool only_reads;
};

/* ---- the kernel's locks */

static enum maillock_result kernel_error(const struct maillock *l, const char *kind, int error, struct strbuf *why)
{
    strbuf_fail(
        why,
        "%s: %s lock: %s; if its file system has none (NFS without lock daemon), leave %s out of the option mail-locks",
        l->shown, kind, strerror(error), kind);
    return MAILLOCK_ERROR;
}

static enum maillock_result take_fcntl(struct maillock *l, struct strbuf *why)
{
    struct flock range = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    int result;

    do
        result = fcntl(l->fd, F_OFD_SETLK, &range);
    while (result < 0 && errno == EINTR);
    if (result == 0)
        return MAILLOCK_OK;
    if (errno != EAGAIN && errno != EACCES)
        return kernel_error(l, "fcntl", errno, why);
    if (fcntl(l->fd, F_OFD_GETLK, &range) == 0 && range.l_type != F_UNLCK && range.l_pid > 0)
        strbuf_fail(why, "%s is locked (fcntl) by process %ld", l->shown, (long)range.l_pid);
    else
        strbuf_fail(why, "%s is locked (fcntl) by another program", l->shown);
    return MAILLOCK_BUSY;
}

static enum maillock_result take_flock(struct maillock *l, struct strbuf *why)
{
    int result;

    do
        result = flock(l->fd, LOCK_EX | LOCK_NB);
    while (result < 0 && errno == EINTR);
    if (result == 0)
        return MAILLOCK_OK;
    if (errno != EWOULDBLOCK)
        return kernel_error(l, "flock", errno, why);
    strbuf_fail(why, "%s is locked (flock) by another program%s", l->shown,
                l->taken & MAILLOCK_FCNTL
                    ? " (or this is NFS, where flock and fcntl exclude each other: leave flock out of mail-locks)"
                    : "");
    return MAILLOCK_BUSY;
}

static void drop_kernel_locks(int fd, unsigned taken)
{
    struct flock range = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

    if (taken & MAILLOCK_FLOCK)
        flock(fd, LOCK_UN);
    if (taken & MAILLOCK_FCNTL)
        fcntl(fd, F_OFD_SETLK, &range);
}

/* ---- the handle */

static const struct {
    const char *name;
    unsigned bit;
} methods_known[] = { { "dotlock", MAILLOCK_DOTLOCK }, { "fcntl", MAILLOCK_FCNTL }, { "flock", MAILLOCK_FLOCK } };

static unsigned method_bit(const char *word, size_t n)
{
    for (size_t i = 0; i < sizeof methods_known / sizeof *methods_known; i++) {
        if (strlen(methods_known[i].name) == n && strncasecmp(methods_known[i].name, word, n) == 0)
            return methods_known[i].bit;
    }
    return 0;
}

int maillock_parse(const char *methods, unsigned *mask_r, struct strbuf *why)
{
    const char *word;
    unsigned mask = 0;
    size_t n;

    while ((word = words_next(&methods, &n)) != NULL) {
        unsigned bit = method_bit(word, n);

        if (bit == 0)
            return strbuf_fail(
                why,
                "\"%.*s\" is not a way of locking; give one or more of dotlock, fcntl, flock with commas between them",
                n > 40 ? 40 : (int)n, word);
        mask |= bit;
    }
    *mask_r = mask;
    return 0;
}

struct maillock *maillock_new(int dirfd, const char *name, const char *shown, unsigned mask, bool only_link)
{
    struct maillock *l = mem_new(1, sizeof *l);

    l->shown = mem_strdup(shown);
    l->mask = mask;
    l->dot = mask & MAILLOCK_DOTLOCK ? dotlock_new(dirfd, name, shown, only_link) : NULL;
    l->fd = -1;
    return l;
}

void maillock_only_reads(struct maillock *lock, bool only_reads)
{
    lock->only_reads = only_reads;
}

void maillock_give_room(struct maillock *lock)
{
    if (lock->dot)
        dotlock_give_room(lock->dot);
}

void maillock_hold_no_gid(struct maillock *lock)
{
    if (lock->dot)
        dotlock_hold_no_gid(lock->dot);
}

static enum maillock_result take_kernel_locks(struct maillock *l, int fd, struct strbuf *why)
{
    enum maillock_result result = MAILLOCK_OK;

    l->fd = fd;
    if ((l->mask & MAILLOCK_FCNTL) && fd >= 0) {
        result = take_fcntl(l, why);
        l->taken |= result == MAILLOCK_OK ? MAILLOCK_FCNTL : 0;
    }
    if (result == MAILLOCK_OK && (l->mask & MAILLOCK_FLOCK) && fd >= 0) {
        result = take_flock(l, why);
        l->taken |= result == MAILLOCK_OK ? MAILLOCK_FLOCK : 0;
    }
    return result;
}

static enum maillock_result take_dot_lock(struct maillock *l, struct strbuf *why)
{
    enum maillock_result result = l->dot ? dotlock_try(l->dot, why) : MAILLOCK_OK;

    if (result != MAILLOCK_ERROR || !l->only_reads || (errno != ENOSPC && errno != EDQUOT && errno != EROFS))
        return result;
    log_write(LOG_NOTICE, "%s is read without a dot lock: %s", l->shown, why->data);
    strbuf_reset(why);
    return MAILLOCK_OK;
}

static enum maillock_result take_all(struct maillock *l, int fd, struct strbuf *why)
{
    enum maillock_result result = take_dot_lock(l, why);

    if (result == MAILLOCK_OK)
        result = take_kernel_locks(l, fd, why);
    if (result != MAILLOCK_OK)
        maillock_release(l);
    return result;
}

/* Random, so that two who wait for each other do not stay in step. */
static void pause_for(int64_t ms)
{
    uint16_t part;
    struct timespec t;

    digest_random(&part, sizeof part);
    ms = ms / 2 + ms * part / 65536 / 2 + 1;
    t = (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
    nanosleep(&t, NULL); /* a signal only makes it shorter */
}

enum maillock_result maillock_acquire(struct maillock *lock, int fd, int wait_ms, struct strbuf *why)
{
    int64_t end = wait_ms > 0 ? clock_now() / NS_PER_MS + wait_ms : 0;
    int64_t pause = FIRST_PAUSE_MS;
    enum maillock_result result;

    if (lock->held) {
        strbuf_fail(why, "%s: locked by this process already", lock->shown);
        return MAILLOCK_BUSY;
    }
    for (;;) {
        int64_t left;

        result = take_all(lock, fd, why);
        left = wait_ms > 0 ? end - clock_now() / NS_PER_MS : 0;
        if (result != MAILLOCK_BUSY || left <= 0)
            break;
        pause_for(pause < left ? pause : left);
        pause = pause + pause / 2 < LONGEST_PAUSE_MS ? pause + pause / 2 : LONGEST_PAUSE_MS;
    }
    lock->held = result == MAILLOCK_OK;
    return result;
}

int maillock_take_too(struct maillock *lock, int fd, struct strbuf *why)
{
    int of_maildrop = lock->fd;
    enum maillock_result result = MAILLOCK_OK;

    lock->fd = fd;
    if (lock->taken & MAILLOCK_FCNTL)
        result = take_fcntl(lock, why);
    if (result == MAILLOCK_OK && (lock->taken & MAILLOCK_FLOCK))
        result = take_flock(lock, why);
    lock->fd = of_maildrop;
    return result == MAILLOCK_OK ? 0 : -1;
}

enum maillock_result maillock_move(struct maillock *lock, int fd, struct strbuf *why)
{
    const int former = lock->fd;
    const unsigned taken = lock->taken;
    enum maillock_result result;

    lock->taken = 0;
    result = take_kernel_locks(lock, fd, why);
    if (result == MAILLOCK_OK) {
        drop_kernel_locks(former, taken);
        return MAILLOCK_OK;
    }
    drop_kernel_locks(fd, lock->taken);
    lock->fd = former;
    lock->taken = taken;
    return result;
}

bool maillock_is_ours(struct maillock *lock)
{
    return !lock->dot || dotlock_is_ours(lock->dot);
}

void maillock_refresh(struct maillock *lock)
{
    if (lock->dot)
        dotlock_refresh(lock->dot);
}

bool maillock_held(const struct maillock *lock)
{
    return lock->held;
}

void maillock_release(struct maillock *lock)
{
    int saved = errno;

    drop_kernel_locks(lock->fd, lock->taken);
    lock->taken = 0;
    lock->fd = -1;
    if (lock->dot)
        dotlock_release(lock->dot);
    lock->held = false;
    errno = saved;
}

void maillock_close(struct maillock **lock)
{
    if (!*lock)
        return;
    maillock_release(*lock);
    dotlock_close(&(*lock)->dot);
    mem_free((*lock)->shown);
    mem_free(*lock);
    *lock = NULL;
}
