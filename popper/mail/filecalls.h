/*
 * filecalls: every system call by which the mail rooms change or make durable the maildrop, journal, temp drop and
 * index. The rooms call through `filecalls`; the crash test puts a simulated disk there. No mail room calls these
 * functions directly (tests/layers.sh checks). Reading goes through it as well, since the simulated disk must be read.
 * Semantics are those of the system calls (short counts, EINTR, errno); filecalls_read/_write complete them.
 */
#ifndef MAIL_FILECALLS_H
#define MAIL_FILECALLS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

struct filecalls {
    ssize_t (*pread)(int fd, void *buf, size_t n, off_t at);
    ssize_t (*pwrite)(int fd, const void *buf, size_t n, off_t at);
    /* copy_file_range with fallback inside */
    ssize_t (*copy_range)(int from, off_t from_at, int to, off_t to_at, size_t n);
    int (*ftruncate)(int fd, off_t size);
    int (*reserve)(int fd, off_t at, off_t n);  /* posix_fallocate: -1 with errno (EOPNOTSUPP counts as success) */
    int (*fsync)(int fd);
    int (*fdatasync)(int fd);
    int (*fstat)(int fd, struct stat *st);
    int64_t (*birth)(int fd);                   /* when the inode was made, ns since the epoch; 0: not known here */
};

extern const struct filecalls filecalls_os;      /* the real ones */
extern const struct filecalls *filecalls;         /* in use; starts as &filecalls_os */

/* Complete reads and writes through the table: bytes read (less than n only at end of file) / 0 written, or -1 with
   errno. */
ssize_t filecalls_read(int fd, void *buf, size_t n, off_t at);
int filecalls_write(int fd, const void *buf, size_t n, off_t at);
/* Copies n bytes, -1 with errno (EIO when the source ends early). Source and destination ranges may not overlap in one
   file. */
int filecalls_copy(int from, off_t from_at, int to, off_t to_at, uint64_t n);

#endif
