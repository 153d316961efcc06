/*
 * dropmark: recognises whether the maildrop is still the file of which a list of messages was made: the same, only
 * grown, or changed.
 *
 * The same: device, inode, size, mtime and ctime in nanoseconds are equal (mail readers set mtime back, nobody can
 * set ctime back). That says nothing when the status was taken so soon after the last change that another change
 * could carry the same time: such a mark is racy.
 * Grown: longer, mtime advanced (a reader that rewrote the file and set mtime back did not only append), and the
 * fingerprint of the old part is still right. The fingerprint is a checksum of the whole old part up to 1 MiB; beyond
 * that of its first 4 KiB, its last 64 KiB and the headers of the last message and of up to 256 others, evenly
 * spread. Whatever makes a message longer or shorter moves all that follows and so the end; what is rewritten in
 * place at equal length between the samples of a large maildrop, and is then followed by a delivery before anybody
 * looked, is not seen: such an answer leaves doubt, which the caller counts and acts by. When in doubt it is changed.
 *
 * This room reads M and writes nothing.
 */
#ifndef MAIL_DROPMARK_H
#define MAIL_DROPMARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "mail/msglist.h"

enum dropmark_match {
    DROPMARK_SAME,
    DROPMARK_GROWN,   /* the first mark.size bytes are as they were, more follows */
    DROPMARK_CHANGED  /* anything else, also when M cannot be read */
};

/* M's status when the list was made. */
struct dropmark {
    uint64_t dev, ino;
    uint64_t size;         /* E: the list describes these bytes */
    int64_t mtime, ctime;  /* ns since the epoch */
    uint64_t fingerprint;
    bool racy;
    unsigned doubts;       /* how often samples alone told that M had only grown, since all of it was read; the caller
                              counts */
};

/* Notes the status st, which was taken just now under the locks, before the bytes are read. The time of day is looked
   at, and the kind of file system: network file systems and times without nanoseconds get a wider margin (2 s instead
   of 50 ms). */
void dropmark_take(struct dropmark *mark, int drop_fd, const struct stat *st);

/* Computes the fingerprint. messages: the MSGSRC_DROP messages of the list, in order, together the bytes
   0..mark->size. 0, or -1 with errno when M cannot be read. */
int dropmark_fingerprint(struct dropmark *mark, int drop_fd, const struct message *messages, size_t count);

/* Whether st, M's status now, is that of the mark in every field. One may look at it for every message. */
bool dropmark_is(const struct dropmark *mark, const struct stat *st);

/* The full answer; reads M only when it is longer than it was. A racy mark does not alter the answer. */
enum dropmark_match dropmark_compare(const struct dropmark *mark, int drop_fd, const struct stat *st,
                                     const struct message *messages, size_t count);

/* Whether the fingerprint still fits the first mark->size bytes. */
bool dropmark_verify(const struct dropmark *mark, int drop_fd, const struct message *messages, size_t count);

/* Whether the fingerprint leaves something out. */
bool dropmark_is_sampled(const struct dropmark *mark);

#endif
