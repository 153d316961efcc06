/*
 * apopfile: see apopfile.h: finding, judging, locking, copying. It must never follow a link or trust a file that others
 * could have made.
 */
#include "config.h"

#include "common/apopfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/mem.h"

#define NO_OWNER ((uid_t)-1)
#define LOCK_STEP_MS 20
#define REOPENS 5 /* also where there is no time to wait */

/* ---- finding it */

char *apopfile_with_suffix(const char *path, const char *suffix)
{
    size_t size = strlen(path) + strlen(suffix) + 1;
    char *whole = mem_new(size, 1);

    snprintf(whole, size, "%s%s", path, suffix);
    return whole;
}

enum apopdb_result apopfile_fail(enum apopdb_result result, struct strbuf *why, const char *shown, const char *what)
{
    strbuf_fail(why, "the database of secrets %s %s: %s", shown, what, strerror(errno));
    return result;
}

/* OK and st_r; MISSING (without why); BROKEN and why. */
static enum apopdb_result look_at(const char *path, struct stat *st_r, struct strbuf *why)
{
    if (lstat(path, st_r) == 0)
        return APOPDB_OK;
    if (errno == ENOENT || errno == ENOTDIR)
        return APOPDB_MISSING;
    return apopfile_fail(APOPDB_BROKEN, why, path, "cannot be looked at");
}

enum apopdb_result apopfile_locate(const char *path, char **found_r, bool *is_pair_r, struct stat *st_r,
                                   struct strbuf *why)
{
    char *pag = apopfile_with_suffix(path, ".pag"), *bsd = apopfile_with_suffix(path, ".db");
    struct stat other;
    enum apopdb_result result = look_at(path, st_r, why);

    *is_pair_r = result == APOPDB_MISSING;
    if (*is_pair_r)
        result = look_at(pag, st_r, why);
    *found_r = mem_strdup(*is_pair_r ? pag : path);
    if (result == APOPDB_MISSING && look_at(bsd, &other, why) == APOPDB_OK) {
        strbuf_fail(
            why, "%s is a database of BSD, but gdbm is used here: convert it to %s as popauth(8) says under CONVERSION",
            bsd, path);
        result = APOPDB_FOREIGN;
    } else if (result == APOPDB_MISSING) {
        strbuf_fail(why, "there is no database of secrets %s: make it as root with popauth -init", path);
    }
    mem_free(pag);
    mem_free(bsd);
    if (result == APOPDB_OK)
        return result;
    mem_free(*found_r);
    *found_r = NULL;
    return result;
}

/* gdbm's ndbm face made FILE.dir a second link of FILE.pag once. */
static bool is_linked_pair(const char *pag, const struct stat *st)
{
    char *dir = mem_strdup(pag);
    struct stat other;
    bool linked;

    memcpy(dir + strlen(dir) - 3, "dir", 3);
    linked = lstat(dir, &other) == 0 && file_same(st, &other);
    mem_free(dir);
    return linked;
}

static bool owner_may(uid_t uid, uid_t owner)
{
    return uid == 0 || uid == geteuid() || (owner != NO_OWNER && uid == owner);
}

/* The rules but the owner. */
static enum apopdb_result check_kind(const char *shown, bool is_pair, const struct stat *st, struct strbuf *why)
{
    if (!S_ISREG(st->st_mode))
        strbuf_fail(why, "the database of secrets %s is %s, but must be a regular file", shown,
                    S_ISLNK(st->st_mode) ? "a symbolic link" : "something else");
    else if ((st->st_mode & 07777) != 0600)
        strbuf_fail(why,
                    "the database of secrets %s has mode %04o, but must have 0600: see who may have read it, then "
                    "chmod 0600 %s",
                    shown, (unsigned)(st->st_mode & 07777), shown);
    else if (st->st_nlink > (is_pair && is_linked_pair(shown, st) ? 2 : 1))
        strbuf_fail(
            why,
            "the database of secrets %s has %lu links, but must have only one: find the others with find -inum %llu",
            shown, (unsigned long)st->st_nlink, (unsigned long long)st->st_ino);
    else
        return APOPDB_OK;
    return APOPDB_UNSAFE;
}

static enum apopdb_result check_rules(const struct apopfile *f, uid_t owner, struct strbuf *why)
{
    enum apopdb_result result = check_kind(f->path, f->is_pair, &f->st, why);

    if (result != APOPDB_OK || owner_may(f->st.st_uid, owner))
        return result;
    if (owner == NO_OWNER)
        strbuf_fail(why, "the database of secrets %s belongs to uid %ld, but must belong to root", f->path,
                    (long)f->st.st_uid);
    else
        strbuf_fail(why,
                    "the database of secrets %s belongs to uid %ld, but must belong to uid %ld or root: chown %ld %s",
                    f->path, (long)f->st.st_uid, (long)owner, (long)owner, f->path);
    return APOPDB_UNSAFE;
}

/* The second name of a pair goes and comes while it is replaced, which nobody who only looks can wait for: what is wrong then is so once. */
enum apopdb_result apopfile_look(const char *path, struct strbuf *why)
{
    enum apopdb_result result = APOPDB_UNSAFE;
    char *found;
    bool is_pair = true;
    struct stat st;

    for (int i = 0; i < REOPENS && result == APOPDB_UNSAFE && is_pair; i++) {
        result = apopfile_locate(path, &found, &is_pair, &st, why);
        if (result == APOPDB_OK)
            result = check_kind(found, is_pair, &st, why);
        mem_free(found);
    }
    return result;
}

/* ---- opening and locking */

static void pause_ms(int ms)
{
    const struct timespec t = { .tv_nsec = ms * 1000000L };

    nanosleep(&t, NULL);
}

enum apopdb_result apopfile_lock(int fd, int how, int *wait_ms, const char *shown, struct strbuf *why)
{
    while (flock(fd, how | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return apopfile_fail(APOPDB_BROKEN, why, shown, "cannot be locked");
        if (*wait_ms <= 0) {
            strbuf_fail(
                why,
                "the database of secrets %s is locked by another process for too long: look who holds it with fuser %s",
                shown, shown);
            return APOPDB_BUSY;
        }
        pause_ms(LOCK_STEP_MS);
        *wait_ms -= LOCK_STEP_MS;
    }
    return APOPDB_OK;
}

static enum apopdb_result open_found(struct apopfile *f, bool change, struct strbuf *why)
{
    const struct file_rules any = { .any_owner = true, .many_links = true };

    f->fd = file_open(AT_FDCWD, f->path, f->path, change ? O_RDWR : O_RDONLY, 0, &any, &f->st, why);
    if (f->fd >= 0)
        return APOPDB_OK;
    if (errno == ENOENT)
        return APOPDB_MISSING; /* or another one is there now */
    return errno == ELOOP || errno == EPERM || errno == EACCES || errno == EISDIR ? APOPDB_UNSAFE : APOPDB_BROKEN;
}

/* Whether the name still is the file that we have locked: a writer may have put a new one there while we waited. */
static bool still_there(const struct apopfile *f)
{
    struct stat now;

    return lstat(f->path, &now) == 0 && file_same(&now, &f->st);
}

/* The file may be replaced while we open it and take its lock, as often as somebody adds users: that is no reason to give up in less than wait_ms. */
static enum apopdb_result open_locked(struct apopfile *f, const char *path, bool change, int wait_ms,
                                      struct strbuf *why)
{
    int64_t limit = clock_now() + wait_ms * INT64_C(1000000);
    enum apopdb_result result;

    for (int i = 0; i < REOPENS || wait_ms > 0; i++) {
        result = apopfile_locate(path, &f->path, &f->is_pair, &f->st, why);
        if (result != APOPDB_OK)
            return result;
        result = open_found(f, change, why);
        if (result == APOPDB_OK)
            result = apopfile_lock(f->fd, change ? LOCK_EX : LOCK_SH, &wait_ms, f->path, why);
        if (result != APOPDB_MISSING && (result != APOPDB_OK || still_there(f)))
            return result;
        if (f->fd >= 0)
            close(f->fd);
        f->fd = -1;
        mem_free(f->path);
        f->path = NULL;
        wait_ms = (int)((limit - clock_now()) / 1000000);
    }
    strbuf_fail(why, "the database of secrets %s is replaced by other processes again and again", path);
    return APOPDB_BUSY;
}

int apopfile_scratch(struct strbuf *why)
{
    int fd = memfd_create("secrets", MFD_CLOEXEC);

    if (fd < 0)
        strbuf_fail(why, "no memory for a copy of the database of secrets: memfd_create: %s", strerror(errno));
    return fd;
}

static enum apopdb_result make_copy(struct apopfile *f, struct strbuf *why)
{
    strbuf_init(&f->original, APOPFILE_MAX);
    if (file_slurp(f->fd, APOPFILE_MAX, f->path, &f->original, why) < 0)
        return APOPDB_BROKEN;
    f->copy = apopfile_scratch(why);
    if (f->copy < 0)
        return APOPDB_BROKEN;
    if (f->original.len > 0 && file_pwrite(f->copy, f->original.data, f->original.len, 0) < 0)
        return apopfile_fail(APOPDB_BROKEN, why, f->path, "cannot be copied");
    return APOPDB_OK;
}

enum apopdb_result apopfile_open(const char *path, uid_t owner, bool change, int wait_ms, struct apopfile **file_r,
                                 struct strbuf *why)
{
    struct apopfile *f = mem_new(1, sizeof *f);
    enum apopdb_result result;

    f->fd = f->copy = -1;
    strbuf_init(&f->original, 0);
    result = open_locked(f, path, change, wait_ms, why);
    if (result == APOPDB_OK)
        result = check_rules(f, owner, why);
    if (result == APOPDB_OK && change)
        result = make_copy(f, why);
    if (result != APOPDB_OK)
        apopfile_close(&f);
    *file_r = f;
    return result;
}

int apopfile_fd(const struct apopfile *file)
{
    return file->copy >= 0 ? file->copy : file->fd;
}

const char *apopfile_shown(const struct apopfile *file)
{
    return file->path;
}

uid_t apopfile_owner(const struct apopfile *file)
{
    return file->st.st_uid;
}

void apopfile_stat(const struct apopfile *file, struct stat *st_r)
{
    *st_r = file->st;
}

void apopfile_close(struct apopfile **file)
{
    struct apopfile *f = *file;

    if (!f)
        return;
    if (f->copy >= 0)
        close(f->copy);
    if (f->fd >= 0)
        close(f->fd);
    strbuf_free(&f->original);
    mem_free(f->path);
    mem_free(f);
    *file = NULL;
}
