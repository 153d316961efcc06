/*
 * dotlock_dir: see dotlock_state.h. Decides nothing.
 */
#include "config.h" /* system extensions, 64-bit offsets */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/digest.h"
#include "common/dotlock_state.h"
#include "common/file.h"
#include "common/identity.h"
#include "common/mem.h"

static void hold_gid(const struct dotlock *l)
{
    if (!l->hold_no_gid)
        identity_hold_gid();
}

int dotlock_dir_create(const struct dotlock *l, const char *name)
{
    int fd;

    hold_gid(l);
    fd = openat(l->dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    identity_drop_gid();
    return fd;
}

int dotlock_dir_nameless(const struct dotlock *l)
{
    int fd;

    hold_gid(l);
    fd = openat(l->dirfd, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
    identity_drop_gid();
    return fd;
}

int dotlock_dir_link(const struct dotlock *l, int fd)
{
    char path[32];
    int result;

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    hold_gid(l);
    result = linkat(AT_FDCWD, path, l->dirfd, l->name, AT_SYMLINK_FOLLOW);
    identity_drop_gid();
    return result;
}

int dotlock_dir_link_back(const struct dotlock *l)
{
    int result;

    hold_gid(l);
    result = linkat(l->dirfd, l->old_name, l->dirfd, l->name, 0);
    identity_drop_gid();
    return result;
}

int dotlock_dir_rename(const struct dotlock *l, const char *from, const char *to, bool replace)
{
    int result;

    hold_gid(l);
    result = replace ? renameat(l->dirfd, from, l->dirfd, to) : renameat2(l->dirfd, from, l->dirfd, to, RENAME_NOREPLACE);
    identity_drop_gid();
    return result;
}

int dotlock_dir_unlink(const struct dotlock *l, const char *name)
{
    int result;

    hold_gid(l);
    result = unlinkat(l->dirfd, name, 0);
    identity_drop_gid();
    return result;
}

bool dotlock_dir_clear(const struct dotlock *l, char **name)
{
    size_t n = strlen(*name) + 18;
    uint64_t random;
    char *other;

    if (dotlock_dir_unlink(l, *name) == 0 || errno == ENOENT)
        return true;
    if (errno != EPERM && errno != EACCES && errno != EISDIR)
        return false;
    digest_random(&random, sizeof random);
    other = mem_new(n, 1);
    snprintf(other, n, "%s.%016" PRIx64, *name, random);
    mem_free(*name);
    *name = other;
    return true;
}

bool dotlock_dir_names(const struct dotlock *l, const char *name, const struct stat *file)
{
    struct stat st;

    return fstatat(l->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && file_same(&st, file);
}
