/*
 * apopfile_change: how new content becomes the file of a database of secrets. See apopfile.h.
 *
 * It must never leave a file of secrets that others can read, nor lose the old content before the new one is safe,
 * except in place, where that is said.
 */
#include "config.h"

#include "common/apopfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/digest.h"
#include "common/file.h"
#include "common/mem.h"

/* ---- putting a new file there */

/* A new file in the directory of the database, until it has its name. */
struct newcomer {
    int dirfd, fd;
    char *dir, *name; /* directory and last component of the database */
    char *temporary;
};

static void newcomer_close(struct newcomer *new, bool remove)
{
    int saved = errno;

    if (new->fd >= 0 && remove)
        unlinkat(new->dirfd, new->temporary, 0);
    if (new->fd >= 0)
        close(new->fd);
    if (new->dirfd >= 0)
        close(new->dirfd);
    mem_free(new->dir);
    mem_free(new->name);
    mem_free(new->temporary);
    errno = saved;
}

static char *temporary_name(const char *name, const char *tail)
{
    size_t size = strlen(name) + strlen(tail) + 12;
    char *temporary = mem_new(size, 1);

    snprintf(temporary, size, ".%s.popauth%s", name, tail);
    return temporary;
}

/* Mode 0600 from the start; owner and group as given as far as we may (others have no rights through the group). -1
   with errno. */
static int newcomer_open(struct newcomer *new, const char *path, const char *tail, uid_t owner, gid_t group)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;

    *new = (struct newcomer){ .dirfd = -1, .fd = -1 };
    file_split(path, &new->dir, &new->name);
    new->temporary = temporary_name(new->name, tail);
    new->dirfd = open(new->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (new->dirfd < 0)
        return -1;
    new->fd = openat(new->dirfd, new->temporary, flags, 0600);
    /* Whoever is here holds the lock: what stands under that name was left by a crash. */
    if (new->fd < 0 && errno == EEXIST && unlinkat(new->dirfd, new->temporary, 0) == 0)
        new->fd = openat(new->dirfd, new->temporary, flags, 0600);
    if (new->fd < 0 || fchmod(new->fd, 0600) < 0)
        return -1;
    if (fchown(new->fd, owner, group) == 0)
        return 0;
    return owner == geteuid() ? 0 : -1;
}

static int newcomer_fill(struct newcomer *new, const struct strbuf *content)
{
    if (file_write(new->fd, content->data, content->len) < 0 || fsync(new->fd) < 0)
        return -1;
    return 0;
}

/* The second name of a linked pair, NAME.dir. It goes before the rename and comes back after it, so that the database never has a
   link that is not this one, wherever we are killed; who was killed in between leaves the pair without it. */
static char *second_name(const struct newcomer *new)
{
    char *dir = mem_strdup(new->name);

    memcpy(dir + strlen(dir) - 3, "dir", 3);
    return dir;
}

static bool is_linked(const struct apopfile *f, const struct newcomer *new)
{
    char *dir = f->is_pair ? second_name(new) : NULL;
    bool linked = dir && (f->st.st_nlink == 2 || (faccessat(new->dirfd, dir, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT));

    mem_free(dir);
    return linked;
}

static bool rename_pair(const struct newcomer *new)
{
    char *dir = second_name(new);
    bool done;
    int saved;

    unlinkat(new->dirfd, dir, 0);
    done = renameat(new->dirfd, new->temporary, new->dirfd, new->name) == 0;
    saved = errno;
    /* Without it only old programs miss something. */
    (void)!linkat(new->dirfd, new->name, new->dirfd, dir, 0);
    errno = saved;
    mem_free(dir);
    return done;
}

static enum apopdb_result sync_directory(const struct newcomer *new, const char *shown, struct strbuf *why)
{
    if (fsync(new->dirfd) == 0)
        return APOPDB_OK;
    return apopfile_fail(APOPDB_BROKEN, why, shown,
                         "was replaced, but its directory could not be synced, so a crash may bring the old one back");
}

/* By rename. False when the directory lets us not, which is no error. */
static bool replace(struct apopfile *f, const struct strbuf *content, enum apopdb_result *result_r, struct strbuf *why)
{
    struct newcomer new;
    bool done;

    if (newcomer_open(&new, f->path, "", f->st.st_uid, f->st.st_gid) < 0) {
        newcomer_close(&new, true);
        return false;
    }
    if (newcomer_fill(&new, content) < 0) {
        *result_r = apopfile_fail(APOPDB_BROKEN, why, f->path, "was not changed, its new content cannot be written");
        newcomer_close(&new, true);
        return true;
    }
    done = is_linked(f, &new) ? rename_pair(&new) : renameat(new.dirfd, new.temporary, new.dirfd, new.name) == 0;
    if (done)
        *result_r = sync_directory(&new, f->path, why);
    newcomer_close(&new, !done);
    return done;
}

/* ---- over the old content */

static int write_over(int fd, const struct strbuf *content)
{
    if (content->len > 0 && file_pwrite(fd, content->data, content->len, 0) < 0)
        return -1;
    return ftruncate(fd, (off_t)content->len) < 0 || fsync(fd) < 0 ? -1 : 0;
}

static enum apopdb_result change_in_place(struct apopfile *f, const struct strbuf *content, struct strbuf *why)
{
    int error;

    if (write_over(f->fd, content) == 0)
        return APOPDB_OK;
    error = errno;
    if (write_over(f->fd, &f->original) == 0) {
        errno = error;
        return apopfile_fail(APOPDB_BROKEN, why, f->path, "was not changed, its new content cannot be written");
    }
    errno = error;
    return apopfile_fail(
        APOPDB_BROKEN, why, f->path,
        "IS DAMAGED NOW: neither the new nor the old content could be written; restore it from a backup");
}

enum apopdb_result apopfile_commit(struct apopfile *file, struct strbuf *why)
{
    struct strbuf content = STRBUF_INIT(APOPFILE_MAX);
    enum apopdb_result result = APOPDB_BROKEN;

    if (lseek(file->copy, 0, SEEK_SET) < 0 || file_slurp(file->copy, APOPFILE_MAX, file->path, &content, why) < 0)
        result = APOPDB_BROKEN;
    else if (!replace(file, &content, &result, why))
        result = change_in_place(file, &content, why);
    strbuf_free(&content);
    return result;
}

/* ---- a new database */

/* The lock of whatever is there, so that nobody is in the middle of changing it. -1, or its descriptor. */
static enum apopdb_result lock_old(const char *old, int wait_ms, int *fd_r, struct strbuf *why)
{
    *fd_r = open(old, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return *fd_r < 0 ? APOPDB_OK : apopfile_lock(*fd_r, LOCK_EX, &wait_ms, old, why);
}

static void remove_pair(const char *path)
{
    const char *const suffixes[] = { ".pag", ".dir" };
    size_t i;

    for (i = 0; i < 2; i++) {
        char *name = apopfile_with_suffix(path, suffixes[i]);

        unlink(name);
        mem_free(name);
    }
}

static enum apopdb_result install(const char *path, uid_t owner, gid_t group, bool replace,
                                  const struct strbuf *content, struct strbuf *why)
{
    struct newcomer new;
    struct strbuf tail = STRBUF_INIT(20);
    unsigned char random[8];
    enum apopdb_result result = APOPDB_OK;

    digest_random(random, sizeof random);
    strbuf_addc(&tail, '.');
    digest_hex(&tail, random, sizeof random);
    if (newcomer_open(&new, path, tail.data, owner, group) < 0 || newcomer_fill(&new, content) < 0)
        result = apopfile_fail(APOPDB_BROKEN, why, path, "cannot be made");
    else if (replace ? renameat(new.dirfd, new.temporary, new.dirfd, new.name)
                     : linkat(new.dirfd, new.temporary, new.dirfd, new.name, 0))
        result = apopfile_fail(errno == EEXIST ? APOPDB_EXISTS : APOPDB_BROKEN, why, path, "cannot be put there");
    newcomer_close(&new, !replace || result != APOPDB_OK);
    strbuf_free(&tail);
    return result;
}

static enum apopdb_result sync_directory_of(const char *path, struct strbuf *why)
{
    struct newcomer new = { .fd = -1 };
    enum apopdb_result result;

    file_split(path, &new.dir, &new.name);
    new.dirfd = open(new.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    result = new.dirfd < 0 ? apopfile_fail(APOPDB_BROKEN, why, path, "was made, but its directory cannot be opened")
                           : sync_directory(&new, path, why);
    newcomer_close(&new, false);
    return result;
}

/* What is to be done about a database that is there. */
static enum apopdb_result make_way(const char *path, bool replace, int wait_ms, int *lock_r, bool *pair_r,
                                   struct strbuf *why)
{
    char *old;
    struct stat st;
    enum apopdb_result result = apopfile_locate(path, &old, pair_r, &st, why);

    if (result == APOPDB_MISSING || (result == APOPDB_FOREIGN && replace)) {
        result = APOPDB_OK;
    } else if (result == APOPDB_OK && !replace) {
        strbuf_fail(why, "there is a database of secrets %s already", old);
        result = APOPDB_EXISTS;
    } else if (result == APOPDB_OK) {
        result = lock_old(old, wait_ms, lock_r, why);
    }
    mem_free(old);
    return result;
}

enum apopdb_result apopfile_create(const char *path, uid_t owner, gid_t group, bool replace, int wait_ms, int scratch,
                                   struct strbuf *why)
{
    struct strbuf content = STRBUF_INIT(APOPFILE_MAX);
    int lock = -1;
    bool is_pair = false;
    enum apopdb_result result = make_way(path, replace, wait_ms, &lock, &is_pair, why);

    if (result == APOPDB_OK &&
        (lseek(scratch, 0, SEEK_SET) < 0 || file_slurp(scratch, APOPFILE_MAX, path, &content, why) < 0))
        result = APOPDB_BROKEN;
    if (result == APOPDB_OK)
        result = install(path, owner, group, replace, &content, why);
    if (result == APOPDB_OK && is_pair)
        remove_pair(path);
    if (result == APOPDB_OK)
        result = sync_directory_of(path, why);
    if (lock >= 0)
        close(lock);
    strbuf_free(&content);
    return result;
}
