/*
 * scram: the keys of SCRAM (RFC 5802, RFC 7677), with which a server can check a password without knowing it.
 *
 * Arithmetic and the text form of a verifier; the exchange with a client is elsewhere. popauth makes the keys, the
 * server compares. Passwords are taken as they are: what SASLprep would change in text outside ASCII is not changed.
 */
#ifndef COMMON_SCRAM_H
#define COMMON_SCRAM_H

#include <stdbool.h>
#include <stddef.h>

#include "common/digest.h"
#include "common/strbuf.h"

enum scram_hash { SCRAM_SHA1, SCRAM_SHA256, SCRAM_HASHES };

#define SCRAM_SIZE_MAX DIGEST_SHA256_SIZE
#define SCRAM_SALT_MAX 64
#define SCRAM_SALT_NEW 16                /* bytes of the salts that we make */
#define SCRAM_ITERATIONS 10000           /* of the keys that we make; everybody gets the same number */
#define SCRAM_ITERATIONS_MAX 10000000

struct scram_keys {
    unsigned iterations;                 /* 0: there are none */
    size_t salt_length;
    unsigned char salt[SCRAM_SALT_MAX];
    unsigned char stored[SCRAM_SIZE_MAX];
    unsigned char server[SCRAM_SIZE_MAX];
};

const char *scram_name(enum scram_hash hash); /* "SCRAM-SHA-1", "SCRAM-SHA-256" */
size_t scram_size(enum scram_hash hash);      /* bytes of keys, proof and signature */

/* The keys of a password. salt_length 1 to SCRAM_SALT_MAX; iterations 1 to SCRAM_ITERATIONS_MAX. */
void scram_derive(enum scram_hash hash, const char *password, const void *salt, size_t salt_length, unsigned iterations,
                  struct scram_keys *keys_r);

/* Whether the proof (scram_size bytes) is that of somebody who knows the password, in constant time. */
bool scram_proof_fits(enum scram_hash hash, const struct scram_keys *keys, const void *auth_message, size_t n,
                      const unsigned char *proof);

/* What tells the client that the server knows the keys: scram_size bytes. */
void scram_signature(enum scram_hash hash, const struct scram_keys *keys, const void *auth_message, size_t n,
                     unsigned char *signature_r);

/* The text form of RFC 5803: NAME$ITERATIONS:SALT$STOREDKEY:SERVERKEY, appended. Parsing is strict: true, or false
   and *keys_r is empty. */
void scram_format(enum scram_hash hash, const struct scram_keys *keys, struct strbuf *sb);
bool scram_parse(enum scram_hash hash, const char *text, size_t n, struct scram_keys *keys_r);

#endif
