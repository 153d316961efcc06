/*
 * md5lanes: MD5 (RFC 1321) of up to sixteen texts at once, for the unique ids of large maildrops: a crypto library does
 * one at a time, and that was 40 % of a scan. Everything else hashes through digest; a test holds the two together. Not
 * for secrets: it wipes nothing.
 */
#ifndef COMMON_MD5LANES_H
#define COMMON_MD5LANES_H

#include <stddef.h>

#include "common/vectors.h"

#define MD5LANES_MAX 16
#define MD5LANES_PADDING 72 /* bytes after each text that are overwritten */

struct md5lanes_text {
    unsigned char *bytes;  /* with room for MD5LANES_PADDING more */
    size_t n;
};

/* Hashes texts[0..count), count 1 .. MD5LANES_MAX. */
void md5lanes(const struct md5lanes_text *texts, size_t count, unsigned char (*digests)[16]);

/* For tests: the best code that may be used, if the machine has it. */
void md5lanes_use(enum vectors most);

#endif
