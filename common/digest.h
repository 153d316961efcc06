/*
 * digest: hashes, HMAC, base64, hex and random bytes. The only room (besides tls) that may include a crypto library:
 * libmd where configure found it (it loads in microseconds), OpenSSL's libcrypto otherwise.
 */
#ifndef COMMON_DIGEST_H
#define COMMON_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/strbuf.h"

#define DIGEST_MD5_SIZE 16
#define DIGEST_SHA1_SIZE 20
#define DIGEST_SHA256_SIZE 32

/* Incremental MD5 (RFC 1321), for unique ids: no allocation; the state may be copied by assignment. */
struct digest_md5 {
    _Alignas(8) unsigned char state[160];
};
void digest_md5_begin(struct digest_md5 *d);
void digest_md5_add(struct digest_md5 *d, const void *bytes, size_t n);
void digest_md5_end(struct digest_md5 *d, unsigned char out[DIGEST_MD5_SIZE]);

void digest_md5(const void *bytes, size_t n, unsigned char out[DIGEST_MD5_SIZE]);
void digest_sha1(const void *bytes, size_t n, unsigned char out[DIGEST_SHA1_SIZE]);
void digest_sha256(const void *bytes, size_t n, unsigned char out[DIGEST_SHA256_SIZE]);

/* A quick 64-bit checksum against accidents (torn writes, stale files), not against enemies. seed chains calls; start
   with 0. */
uint64_t digest_sum64(uint64_t seed, const void *bytes, size_t n);

/* HMAC (RFC 2104). Working memory is wiped. */
void digest_hmac_md5(const void *key, size_t key_len, const void *bytes, size_t n, unsigned char out[DIGEST_MD5_SIZE]);
void digest_hmac_sha1(const void *key, size_t key_len, const void *bytes, size_t n,
                      unsigned char out[DIGEST_SHA1_SIZE]);
void digest_hmac_sha256(const void *key, size_t key_len, const void *bytes, size_t n,
                        unsigned char out[DIGEST_SHA256_SIZE]);

/* Lower-case hex / base64 (RFC 4648, padded, no line breaks), appended to sb. */
void digest_hex(struct strbuf *sb, const void *bytes, size_t n);
void digest_base64(struct strbuf *sb, const void *bytes, size_t n);

/* Strict base64 decoding into out, whose content it replaces: canonical padding and bits, no other bytes. 0, or -1
   (also when out is too small) and out is empty. */
int digest_base64_decode(const char *text, size_t n, struct strbuf *out);

/* n bytes from getrandom(2). Never fails (waits at boot). */
void digest_random(void *bytes, size_t n);

#endif
