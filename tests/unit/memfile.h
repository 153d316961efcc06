/*
 * memfile: files in memory behind the table of file calls, for tests that only read. The descriptor is ignored.
 */
#ifndef TESTS_UNIT_MEMFILE_H
#define TESTS_UNIT_MEMFILE_H

#include <errno.h>
#include <string.h>

#include "mail/filecalls.h"

static const char *memfile_bytes;
static size_t memfile_size;
static int memfile_errno;             /* not 0: reads fail */
static unsigned long memfile_reads;   /* calls so far */
static uint64_t memfile_bytes_read;

static inline ssize_t memfile_pread(int fd, void *buf, size_t n, off_t at)
{
    (void)fd;
    memfile_reads++;
    if (memfile_errno) {
        errno = memfile_errno;
        return -1;
    }
    if ((uint64_t)at >= memfile_size)
        return 0;
    if (n > memfile_size - (size_t)at)
        n = memfile_size - (size_t)at;
    memcpy(buf, memfile_bytes + at, n);
    memfile_bytes_read += n;
    return (ssize_t)n;
}

/* From now on reads see these bytes (borrowed). */
static inline void memfile_use(const char *bytes, size_t n)
{
    static const struct filecalls table = { .pread = memfile_pread };

    filecalls = &table;
    memfile_bytes = bytes;
    memfile_size = n;
    memfile_errno = 0;
    memfile_reads = 0;
    memfile_bytes_read = 0;
}

#endif
