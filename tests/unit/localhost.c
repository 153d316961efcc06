/*
 * localhost: see localhost.h.
 */
#include "config.h" /* _GNU_SOURCE: O_TMPFILE */

#include "tests/unit/localhost.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mail/filecalls.h"

static const char *const names[MAILFILE_COUNT] = { LOCALHOST_DROP, LOCALHOST_JOURNAL, LOCALHOST_TEMPDROP, ".popbull" };

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "localhost: %s: %s\n", what, strerror(errno));
    abort();
}

static void close_one(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* As the keeper does it. */
static void follow_drop(struct localhost *h, int *drop_r)
{
    struct stat open, named = { .st_ino = 0 };
    int found = fstatat(h->dirfd, LOCALHOST_DROP, &named, AT_SYMLINK_NOFOLLOW);

    if (h->drop >= 0 ? found == 0 && fstat(h->drop, &open) == 0 && open.st_ino == named.st_ino : found < 0)
        return;
    found = openat(h->dirfd, LOCALHOST_DROP, O_RDWR | O_CLOEXEC);
    close_one(&h->drop);
    h->drop = found;
    *drop_r = found < 0 ? -1 : fcntl(found, F_DUPFD_CLOEXEC, 3);
}

static void give_up_copy(struct localhost *h)
{
    if (h->copy < 0)
        return;
    if (h->copied < h->copy_end)
        must(ftruncate(h->copy, 0) == 0 && fchmod(h->copy, 0) == 0, "giving up a copy");
    close_one(&h->copy);
    maillock_release(h->lock);
}

static int host_copy(void *context, uint64_t n, struct strbuf *why)
{
    struct localhost *h = context;

    h->begun++;
    must(maillock_held(h->lock) && h->copy < 0, "a copy under locks");
    if (!h->copies) {
        errno = EOPNOTSUPP;
        return strbuf_fail(why, "not here");
    }
    h->copy = openat(h->dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    must(h->copy >= 0, "O_TMPFILE");
    h->copied = 0;
    h->copy_end = n;
    h->copy_given = fcntl(h->copy, F_DUPFD_CLOEXEC, 3);
    return h->copy_given;
}

void localhost_fail_copy(struct localhost *h)
{
    give_up_copy(h);
}

void localhost_copy_on(struct localhost *h, uint64_t n)
{
    if (n > h->copy_end - h->copied)
        n = h->copy_end - h->copied;
    must(filecalls_copy(h->drop, (off_t)h->copied, h->copy, (off_t)h->copied, n) == 0, "copy");
    h->copied += n;
    if (h->copied < h->copy_end)
        return;
    must(fchmod(h->copy, 0400) == 0, "fchmod");
    give_up_copy(h);
}

static enum maillock_result host_lock(void *context, bool updating, int *drop_r, struct strbuf *why)
{
    struct localhost *h = context;

    (void)updating;
    h->locked++;
    give_up_copy(h);
    *drop_r = MAILHOST_SAME_DROP;
    follow_drop(h, drop_r);
    return maillock_acquire(h->lock, h->drop, h->wait_ms, why);
}

static void host_unlock(void *context)
{
    struct localhost *h = context;

    give_up_copy(h);
    maillock_release(h->lock);
}

static bool host_lock_is_ours(void *context)
{
    struct localhost *h = context;

    return maillock_is_ours(h->lock);
}

static int host_open(void *context, enum mailfile which, enum mailopen how, struct strbuf *why)
{
    struct localhost *h = context;
    int fd;

    if (which == MAILFILE_TEMPDROP && how == MAILOPEN_NEW) {
        h->temps++;
        errno = ENOSPC;
        fd = h->no_temp ? -1 : openat(h->dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    } else {
        fd = openat(h->dirfd, names[which], O_RDWR | O_CLOEXEC | (how == MAILOPEN_NEW ? O_CREAT | O_EXCL : 0), 0600);
    }
    if (fd < 0) {
        int error = errno;

        strbuf_fail(why, "cannot open %s: %s", names[which], strerror(error));
        errno = error;
    }
    return fd;
}

static int host_remove(void *context, enum mailfile which, struct strbuf *why)
{
    struct localhost *h = context;

    if (unlinkat(h->dirfd, names[which], 0) == 0 || errno == ENOENT)
        return 0;
    return strbuf_fail(why, "cannot remove %s: %s", names[which], strerror(errno));
}

static int host_set_aside(void *context, enum mailfile which, struct strbuf *why)
{
    struct localhost *h = context;

    if (which == MAILFILE_JOURNAL && renameat(h->dirfd, names[which], h->dirfd, LOCALHOST_JOURNAL ".orphan") == 0)
        return 0;
    return strbuf_fail(why, "cannot set %s aside", names[which]);
}

static int host_sync_dir(void *context, enum mailfile which, struct strbuf *why)
{
    struct localhost *h = context;

    (void)which;
    (void)why;
    return filecalls->fsync(h->dirfd);
}

void localhost_init(struct localhost *h)
{
    *h = (struct localhost){ .drop = -1, .index = -1, .leftover = -1, .copy = -1 };
    snprintf(h->directory, sizeof h->directory, "%.40s/popper-test.XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    must(mkdtemp(h->directory) != NULL, "mkdtemp");
    snprintf(h->shown, sizeof h->shown, "%s/%s", h->directory, LOCALHOST_DROP);
    h->dirfd = open(h->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(h->dirfd >= 0, h->directory);
    h->lock = maillock_new(h->dirfd, LOCALHOST_DROP, h->shown, MAILLOCK_DOTLOCK | MAILLOCK_FCNTL, false);
    h->host = (struct mailhost){ h,         h->shown,    host_lock,      host_unlock,  host_lock_is_ours,
                                 host_open, host_remove, host_set_aside, host_sync_dir, NULL, host_copy };
}

void localhost_remove(struct localhost *h)
{
    DIR *dir;
    struct dirent *entry;

    localhost_close_files(h);
    give_up_copy(h);
    maillock_close(&h->lock);
    dir = fdopendir(h->dirfd);
    while (dir && (entry = readdir(dir)))
        unlinkat(h->dirfd, entry->d_name, 0);
    closedir(dir);
    rmdir(h->directory);
}

static bool is_there(struct localhost *h, const char *name, bool not_empty)
{
    struct stat st;

    return fstatat(h->dirfd, name, &st, 0) == 0 && (!not_empty || st.st_size > 0);
}

struct maildrop_files localhost_files(struct localhost *h, bool with_index)
{
    localhost_close_files(h);
    h->drop = openat(h->dirfd, LOCALHOST_DROP, O_RDWR | O_CLOEXEC);
    if (with_index)
        h->index = openat(h->dirfd, LOCALHOST_INDEX, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (is_there(h, LOCALHOST_TEMPDROP, true))
        h->leftover = openat(h->dirfd, LOCALHOST_TEMPDROP, O_RDONLY | O_CLOEXEC);
    return (struct maildrop_files){ h->drop, h->index, h->leftover, is_there(h, LOCALHOST_JOURNAL, false), h->shown,
                                    h->bulletins };
}

void localhost_close_files(struct localhost *h)
{
    close_one(&h->drop);
    close_one(&h->index);
    close_one(&h->leftover);
}

char *localhost_read(struct localhost *h, const char *name, size_t *n_r)
{
    int fd = openat(h->dirfd, name, O_RDONLY | O_CLOEXEC);
    struct stat st;
    char *bytes;

    if (fd < 0)
        return NULL;
    must(fstat(fd, &st) == 0, name);
    bytes = calloc(1, (size_t)st.st_size + 1);
    must(bytes && read(fd, bytes, (size_t)st.st_size) == st.st_size, name);
    close(fd);
    if (n_r)
        *n_r = (size_t)st.st_size;
    return bytes;
}

static void put(struct localhost *h, const char *name, const char *bytes, size_t n, int flags)
{
    int fd = openat(h->dirfd, name, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);

    must(fd >= 0 && write(fd, bytes, n) == (ssize_t)n, name);
    close(fd);
}

void localhost_write(struct localhost *h, const char *name, const char *bytes, size_t n)
{
    put(h, name, bytes, n, O_TRUNC);
}

void localhost_append(struct localhost *h, const char *name, const char *bytes, size_t n)
{
    put(h, name, bytes, n, O_APPEND);
}
