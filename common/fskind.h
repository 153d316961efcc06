/*
 * fskind: on what kind of file system an open file is.
 */
#ifndef COMMON_FSKIND_H
#define COMMON_FSKIND_H

#include <stdbool.h>

enum fskind {
    FSKIND_LOCAL,   /* a disk of this host, whose times have nanoseconds unless the file says otherwise */
    FSKIND_MEMORY,  /* gone when the host stops */
    FSKIND_NETWORK,
    FSKIND_UNKNOWN  /* treat it like a network's */
};

/* name_r: what people call it ("ext4", "NFS"), or "unknown"; may be NULL. */
enum fskind fskind_of(int fd, const char **name_r);

/* True where a copy never shares blocks with its original, nor is made by another machine: what copy_file_range(2) does there, read and write do faster
   when their pieces are large. */
bool fskind_copies_plainly(int fd);

#endif
