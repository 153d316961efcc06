/*
 * file: complete reads and writes, and opening files in directories where others can write.
 *
 * Nothing here follows a symbolic link in the last component, blocks on a FIFO, or hands out a descriptor that
 * survives exec.
 */
#ifndef COMMON_FILE_H
#define COMMON_FILE_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "common/strbuf.h"

/* Read or write all n bytes, going on after EINTR and short counts. The number of bytes moved: for reads less than n
   only at end of file; -1 with errno otherwise (how far a failed write got is not told). A write of 0 bytes is an
   error. */
ssize_t file_read(int fd, void *buf, size_t n);
ssize_t file_write(int fd, const void *buf, size_t n);
ssize_t file_pread(int fd, void *buf, size_t n, off_t at);
ssize_t file_pwrite(int fd, const void *buf, size_t n, off_t at);

/* What must hold for a file before it is used. */
struct file_rules {
    uid_t owner;          /* must own it, unless any_owner */
    bool any_owner;
    bool root_may_own;    /* uid 0 also counts as owner */
    mode_t forbidden;     /* mode bits that must not be set, such as 0022 */
    bool many_links;      /* any number of links is all right, also none: a file that is replaced in this moment is read as it was */
};

/* Opens the regular file `name` in the directory dirfd (AT_FDCWD: name is a path) with flags (O_NOFOLLOW, O_CLOEXEC,
   O_NOCTTY and O_NONBLOCK while opening are added; O_TRUNC takes effect only after the checks) and mode for creation,
   and checks the rules on the descriptor. st_r gets its status. The descriptor; or -1 with errno (ENOENT, ELOOP for a
   link, EACCES, EPERM for a broken rule or what is no regular file, EMLINK, ...) and why, which calls the file
   `shown`. */
int file_open(int dirfd, const char *name, const char *shown, int flags, mode_t mode, const struct file_rules *rules,
              struct stat *st_r, struct strbuf *why);

/* Reads fd to its end, at most max bytes, and replaces the content by it. 0; or -1 with errno (EFBIG when larger than
   max or than content may hold) and why. */
int file_slurp(int fd, size_t max, const char *shown, struct strbuf *content, struct strbuf *why);

/* Same device and inode. */
bool file_same(const struct stat *a, const struct stat *b);

/* The same file, size and times. */
bool file_unchanged(const struct stat *a, const struct stat *b);

/* ns since the epoch of a timespec. */
int64_t file_ns(const struct timespec *t);

/* Closes both ends of a pipe or pair; -1: there is none. */
void file_close_pair(const int ends[2]);

/* The directory part ("." when there is none) and the last component of path, each owned by the caller. */
void file_split(const char *path, char **dir_r, char **name_r);

/* descriptors 0 to 2 made valid (/dev/null where closed) and everything from `first` on closed except the keep[]
   ones. */
void file_sanitize_descriptors(int first, const int *keep, size_t keep_count);

/* The second half of it, for children of a process that has descriptors 0 to 2 made valid at its start. */
void file_close_others(int first, const int *keep, size_t keep_count);

#endif
