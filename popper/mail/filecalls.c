/*
 * filecalls: see filecalls.h. It only forwards and completes; it decides nothing, retries no failed call but an
 * interrupted one, and never syncs on its own.
 */
#include "config.h" /* _GNU_SOURCE: fallocate, copy_file_range */

#include "mail/filecalls.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define COPY_BLOCK 65536
#define COPY_MAX (1u << 30) /* the kernel takes at most 2 GiB a call */

static ssize_t os_copy_by_hand(int from, off_t from_at, int to, off_t to_at, size_t n)
{
    char block[COPY_BLOCK];
    ssize_t got = pread(from, block, n < sizeof block ? n : sizeof block, from_at);

    return got > 0 ? pwrite(to, block, (size_t)got, to_at) : got;
}

/* A file system that cannot, or a kernel that answers 0 before the end of the file, falls back to reading and writing.
   */
static ssize_t os_copy_range(int from, off_t from_at, int to, off_t to_at, size_t n)
{
    off_t in = from_at, out = to_at;
    ssize_t done = copy_file_range(from, &in, to, &out, n, 0);

    if (done > 0)
        return done;
    if (done < 0 && errno != ENOSYS && errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP && errno != EPERM)
        return -1;
    return os_copy_by_hand(from, from_at, to, to_at, n);
}

/* fallocate(2) and not posix_fallocate(3): where it is not supported glibc would write to every block instead. */
static int os_reserve(int fd, off_t at, off_t n)
{
    if (fallocate(fd, 0, at, n) == 0 || errno == EOPNOTSUPP)
        return 0;
    return -1;
}

static int64_t os_birth(int fd)
{
    struct statx st;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &st) != 0 || (st.stx_mask & STATX_BTIME) == 0)
        return 0;
    return st.stx_btime.tv_sec * INT64_C(1000000000) + st.stx_btime.tv_nsec;
}

const struct filecalls filecalls_os = {
    .pread = pread,
    .pwrite = pwrite,
    .copy_range = os_copy_range,
    .ftruncate = ftruncate,
    .reserve = os_reserve,
    .fsync = fsync,
    .fdatasync = fdatasync,
    .fstat = fstat,
    .birth = os_birth,
};

const struct filecalls *filecalls = &filecalls_os;

ssize_t filecalls_read(int fd, void *buf, size_t n, off_t at)
{
    size_t done = 0;

    while (done < n) {
        ssize_t got = filecalls->pread(fd, (char *)buf + done, n - done, at + (off_t)done);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

int filecalls_write(int fd, const void *buf, size_t n, off_t at)
{
    size_t done = 0;

    while (done < n) {
        ssize_t put = filecalls->pwrite(fd, (const char *)buf + done, n - done, at + (off_t)done);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        if (put == 0) {
            errno = EIO;
            return -1;
        }
        done += (size_t)put;
    }
    return 0;
}

int filecalls_copy(int from, off_t from_at, int to, off_t to_at, uint64_t n)
{
    while (n > 0) {
        ssize_t done = filecalls->copy_range(from, from_at, to, to_at, n < COPY_MAX ? (size_t)n : COPY_MAX);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -1;
        if (done == 0) {
            errno = EIO;
            return -1;
        }
        from_at += done;
        to_at += done;
        n -= (uint64_t)done;
    }
    return 0;
}
