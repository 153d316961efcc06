/*
 * file: see file.h. Nothing here decides what a file means; nothing here follows a link in the last component,
 * truncates before it has looked, or ends the process.
 */
#include "config.h" /* system extensions, 64-bit offsets */

#include "common/file.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/mem.h"

ssize_t file_read(int fd, void *buf, size_t n)
{
    size_t done = 0;

    while (done < n) {
        ssize_t got = read(fd, (char *)buf + done, n - done);

        if (got == 0)
            break;
        if (got > 0)
            done += (size_t)got;
        else if (errno != EINTR)
            return -1;
    }
    return (ssize_t)done;
}

ssize_t file_pread(int fd, void *buf, size_t n, off_t at)
{
    size_t done = 0;

    while (done < n) {
        ssize_t got = pread(fd, (char *)buf + done, n - done, at + (off_t)done);

        if (got == 0)
            break;
        if (got > 0)
            done += (size_t)got;
        else if (errno != EINTR)
            return -1;
    }
    return (ssize_t)done;
}

/* What a write that moved nothing means: 0 bytes for a request of more is a device that will not say why. */
static bool write_failed(ssize_t put)
{
    if (put == 0)
        errno = EIO;
    return put == 0 || errno != EINTR;
}

ssize_t file_write(int fd, const void *buf, size_t n)
{
    size_t done = 0;

    while (done < n) {
        ssize_t put = write(fd, (const char *)buf + done, n - done);

        if (put > 0)
            done += (size_t)put;
        else if (write_failed(put))
            return -1;
    }
    return (ssize_t)done;
}

ssize_t file_pwrite(int fd, const void *buf, size_t n, off_t at)
{
    size_t done = 0;

    while (done < n) {
        ssize_t put = pwrite(fd, (const char *)buf + done, n - done, at + (off_t)done);

        if (put > 0)
            done += (size_t)put;
        else if (write_failed(put))
            return -1;
    }
    return (ssize_t)done;
}

static int refuse(int error)
{
    errno = error;
    return -1;
}

static int open_failed(int error, const char *shown, int flags, struct strbuf *why)
{
    switch (error) {
    case ELOOP:
        strbuf_fail(why, "%s is a symbolic link (or a link in its path leads in a circle); put the file itself there",
                    shown);
        break;
    case EACCES:
        strbuf_fail(why,
                    "%s cannot be opened %s by uid %ld, gid %ld: %s; look at the modes of the file and its directories",
                    shown, (flags & O_ACCMODE) == O_RDONLY ? "for reading" : "for writing", (long)geteuid(),
                    (long)getegid(), strerror(error));
        break;
    case ENXIO: /* a FIFO without a reader, a socket */
        strbuf_fail(why, "%s is not a regular file", shown);
        break;
    default:
        strbuf_fail(why, "%s cannot be opened: %s", shown, strerror(error));
    }
    return refuse(error == ENXIO ? EPERM : error);
}

/* The rules, on the status of the open descriptor. 0, or -1 with errno and why. */
static int check_rules(const struct stat *st, const struct file_rules *rules, const char *shown, struct strbuf *why)
{
    if (!S_ISREG(st->st_mode)) {
        strbuf_fail(why, "%s is not a regular file", shown);
        return refuse(EPERM);
    }
    if (!rules->any_owner && st->st_uid != rules->owner && !(rules->root_may_own && st->st_uid == 0)) {
        strbuf_fail(why, "%s belongs to uid %ld, but must belong to uid %ld%s", shown, (long)st->st_uid,
                    (long)rules->owner, rules->root_may_own && rules->owner != 0 ? " or root" : "");
        return refuse(EPERM);
    }
    if (st->st_mode & rules->forbidden) {
        strbuf_fail(why, "%s has mode %04o, but must not have %04o (chmod %04o %s)", shown,
                    (unsigned)(st->st_mode & 07777), (unsigned)(st->st_mode & rules->forbidden),
                    (unsigned)(st->st_mode & 07777 & ~rules->forbidden), shown);
        return refuse(EPERM);
    }
    if (st->st_nlink == 0 && !rules->many_links) {
        strbuf_fail(why, "%s was removed while it was being opened", shown);
        return refuse(ENOENT);
    }
    if (st->st_nlink > 1 && !rules->many_links) {
        strbuf_fail(why, "%s has %lu links, but must have only one: find the others with find -inum %llu", shown,
                    (unsigned long)st->st_nlink, (unsigned long long)st->st_ino);
        return refuse(EMLINK);
    }
    return 0;
}

/* What had to wait until the file was known to be the right one. */
static int finish_open(int fd, int flags, const char *shown, struct stat *st_r, struct strbuf *why)
{
    if (fcntl(fd, F_SETFL, flags) < 0) {
        strbuf_fail(why, "%s: cannot set its flags: %s", shown, strerror(errno));
        return -1;
    }
    if ((flags & O_TRUNC) && st_r->st_size > 0) {
        if (ftruncate(fd, 0) < 0) {
            strbuf_fail(why, "%s cannot be emptied: %s", shown, strerror(errno));
            return -1;
        }
        st_r->st_size = 0;
    }
    return 0;
}

int file_open(int dirfd, const char *name, const char *shown, int flags, mode_t mode, const struct file_rules *rules,
              struct stat *st_r, struct strbuf *why)
{
    int saved;
    int fd;

    do
        fd = openat(dirfd, name, (flags & ~O_TRUNC) | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, mode);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return open_failed(errno, shown, flags, why);
    if (fstat(fd, st_r) < 0)
        strbuf_fail(why, "%s: %s", shown, strerror(errno));
    else if (check_rules(st_r, rules, shown, why) == 0 && finish_open(fd, flags, shown, st_r, why) == 0)
        return fd;
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

int file_slurp(int fd, size_t max, const char *shown, struct strbuf *content, struct strbuf *why)
{
    char chunk[16384];
    ssize_t got, most = 0;
    int error = 0;

    strbuf_reset(content);
    do {
        got = file_read(fd, chunk, sizeof chunk);
        if (got > most)
            most = got;
        if (got < 0)
            error = errno;
        else if (content->len + (size_t)got > max || !strbuf_add(content, chunk, (size_t)got))
            error = EFBIG;
    } while (error == 0 && got == (ssize_t)sizeof chunk);
    /* It may be a file of secrets. What was never written costs no page. */
    mem_wipe(chunk, got < 0 ? sizeof chunk : (size_t)most);
    if (error == 0)
        return 0;
    strbuf_wipe(content);
    if (error == EFBIG)
        strbuf_fail(why, "%s is larger than %zu bytes; is it the right file?", shown,
                    max < content->max ? max : content->max);
    else
        strbuf_fail(why, "%s cannot be read: %s", shown, strerror(error));
    return refuse(error);
}

bool file_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

bool file_unchanged(const struct stat *a, const struct stat *b)
{
    return file_same(a, b) && a->st_size == b->st_size && file_ns(&a->st_mtim) == file_ns(&b->st_mtim) &&
           file_ns(&a->st_ctim) == file_ns(&b->st_ctim);
}

int64_t file_ns(const struct timespec *t)
{
    return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

void file_split(const char *path, char **dir_r, char **name_r)
{
    const char *slash = strrchr(path, '/');
    const char *end = slash;

    if (!slash) {
        *dir_r = mem_strdup(".");
        *name_r = mem_strdup(path);
        return;
    }
    while (end > path && end[-1] == '/')
        end--;
    *dir_r = end == path ? mem_strdup("/") : mem_strndup(path, (size_t)(end - path));
    *name_r = mem_strdup(slash + 1);
}

/* A closed descriptor 0 to 2 would be given to the next file opened, and then printed to by a library. Leaves one more. */
static void fill_standard_descriptors(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
        if (fd < 0)
            fd = open("/", O_RDONLY | O_DIRECTORY); /* nothing can be read or written there either */
    } while (fd >= 0 && fd <= 2);
}

static void close_span(unsigned from, unsigned to)
{
    long limit;

    if (from > to || syscall(SYS_close_range, from, to, 0) == 0)
        return;
    limit = sysconf(_SC_OPEN_MAX); /* Linux before 5.9 */
    if (limit < 0 || limit > INT_MAX)
        limit = INT_MAX;
    for (long fd = from; fd <= (long)to && fd < limit; fd++)
        close((int)fd);
}

void file_close_pair(const int ends[2])
{
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
}

void file_close_others(int first, const int *keep, size_t keep_count)
{
    unsigned from = (unsigned)first;
    unsigned next;

    for (;;) {
        next = UINT_MAX;
        for (size_t i = 0; i < keep_count; i++) {
            if (keep[i] >= 0 && (unsigned)keep[i] >= from && (unsigned)keep[i] < next)
                next = (unsigned)keep[i];
        }
        if (next == UINT_MAX)
            break;
        if (next > from)
            close_span(from, next - 1);
        from = next + 1;
    }
    close_span(from, UINT_MAX);
}

void file_sanitize_descriptors(int first, const int *keep, size_t keep_count)
{
    fill_standard_descriptors();
    file_close_others(first, keep, keep_count);
}
