/*
 * scram: see scram.h. It must never leave a password or a key made of it behind in memory.
 */
#include "config.h"

#include "common/scram.h"

#include <string.h>

#include "common/mem.h"

static const struct {
    const char *name;
    size_t size;
    void (*digest)(const void *bytes, size_t n, unsigned char *out);
    void (*hmac)(const void *key, size_t key_length, const void *bytes, size_t n, unsigned char *out);
} hashes[SCRAM_HASHES] = {
    [SCRAM_SHA1] = { "SCRAM-SHA-1", DIGEST_SHA1_SIZE, digest_sha1, digest_hmac_sha1 },
    [SCRAM_SHA256] = { "SCRAM-SHA-256", DIGEST_SHA256_SIZE, digest_sha256, digest_hmac_sha256 },
};

const char *scram_name(enum scram_hash hash)
{
    return hashes[hash].name;
}

size_t scram_size(enum scram_hash hash)
{
    return hashes[hash].size;
}

static void exclusive_or(unsigned char *to, const unsigned char *with, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        to[i] ^= with[i];
}

/* Hi() of RFC 5802: PBKDF2 with one block of output. */
static void salt_password(enum scram_hash hash, const char *password, const void *salt, size_t salt_length,
                          unsigned iterations, unsigned char *out)
{
    size_t size = hashes[hash].size, length = strlen(password);
    unsigned char first[SCRAM_SALT_MAX + 4], u[SCRAM_SIZE_MAX];
    unsigned i;

    memcpy(first, salt, salt_length);
    memcpy(first + salt_length, "\0\0\0\1", 4);
    hashes[hash].hmac(password, length, first, salt_length + 4, u);
    memcpy(out, u, size);
    for (i = 1; i < iterations; i++) {
        hashes[hash].hmac(password, length, u, size, u);
        exclusive_or(out, u, size);
    }
    mem_wipe(u, sizeof u);
}

void scram_derive(enum scram_hash hash, const char *password, const void *salt, size_t salt_length, unsigned iterations,
                  struct scram_keys *keys_r)
{
    size_t size = hashes[hash].size;
    unsigned char salted[SCRAM_SIZE_MAX], client[SCRAM_SIZE_MAX];

    memset(keys_r, 0, sizeof *keys_r);
    keys_r->iterations = iterations;
    keys_r->salt_length = salt_length;
    memcpy(keys_r->salt, salt, salt_length);
    salt_password(hash, password, salt, salt_length, iterations, salted);
    hashes[hash].hmac(salted, size, "Client Key", 10, client);
    hashes[hash].digest(client, size, keys_r->stored);
    hashes[hash].hmac(salted, size, "Server Key", 10, keys_r->server);
    mem_wipe(salted, sizeof salted);
    mem_wipe(client, sizeof client);
}

bool scram_proof_fits(enum scram_hash hash, const struct scram_keys *keys, const void *auth_message, size_t n,
                      const unsigned char *proof)
{
    size_t size = hashes[hash].size;
    unsigned char client[SCRAM_SIZE_MAX], stored[SCRAM_SIZE_MAX];
    bool fits;

    hashes[hash].hmac(keys->stored, size, auth_message, n, client);
    exclusive_or(client, proof, size);
    hashes[hash].digest(client, size, stored);
    fits = mem_equal(stored, keys->stored, size) && keys->iterations > 0;
    mem_wipe(client, sizeof client);
    return fits;
}

void scram_signature(enum scram_hash hash, const struct scram_keys *keys, const void *auth_message, size_t n,
                     unsigned char *signature_r)
{
    hashes[hash].hmac(keys->server, hashes[hash].size, auth_message, n, signature_r);
}

/* ---- the text form */

void scram_format(enum scram_hash hash, const struct scram_keys *keys, struct strbuf *sb)
{
    strbuf_addf(sb, "%s$%u:", hashes[hash].name, keys->iterations);
    digest_base64(sb, keys->salt, keys->salt_length);
    strbuf_addc(sb, '$');
    digest_base64(sb, keys->stored, hashes[hash].size);
    strbuf_addc(sb, ':');
    digest_base64(sb, keys->server, hashes[hash].size);
}

/* The part up to the byte `end` (0: the rest), *at moves behind it. NULL when there is none. */
static const char *part(const char **at, const char *limit, char end, size_t *n_r)
{
    const char *begin = *at;
    const char *stop = end ? memchr(begin, end, (size_t)(limit - begin)) : limit;

    if (!stop)
        return NULL;
    *n_r = (size_t)(stop - begin);
    *at = end ? stop + 1 : stop;
    return begin;
}

static bool parse_iterations(const char *text, size_t n, unsigned *iterations_r)
{
    unsigned long value = 0;
    size_t i;

    if (n == 0 || n > 8)
        return false;
    for (i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (unsigned long)(text[i] - '0');
    }
    *iterations_r = (unsigned)value;
    return value >= 1 && value <= SCRAM_ITERATIONS_MAX;
}

/* Base64 of least to most bytes. */
static bool parse_bytes(const char *text, size_t n, size_t least, size_t most, unsigned char *bytes_r, size_t *n_r)
{
    struct strbuf bytes = STRBUF_INIT(SCRAM_SALT_MAX);
    bool good = text && digest_base64_decode(text, n, &bytes) == 0 && bytes.len >= least && bytes.len <= most;

    if (good) {
        memcpy(bytes_r, bytes.data, bytes.len);
        *n_r = bytes.len;
    }
    strbuf_free(&bytes);
    return good;
}

static bool parse(enum scram_hash hash, const char *at, const char *limit, struct scram_keys *keys)
{
    size_t size = hashes[hash].size, n = 0, got;
    const char *name = part(&at, limit, '$', &n), *text;

    if (!name || n != strlen(hashes[hash].name) || memcmp(name, hashes[hash].name, n) != 0)
        return false;
    text = part(&at, limit, ':', &n);
    if (!text || !parse_iterations(text, n, &keys->iterations))
        return false;
    text = part(&at, limit, '$', &n);
    if (!parse_bytes(text, n, 1, SCRAM_SALT_MAX, keys->salt, &keys->salt_length))
        return false;
    text = part(&at, limit, ':', &n);
    if (!parse_bytes(text, n, size, size, keys->stored, &got))
        return false;
    text = part(&at, limit, '\0', &n);
    return parse_bytes(text, n, size, size, keys->server, &got);
}

bool scram_parse(enum scram_hash hash, const char *text, size_t n, struct scram_keys *keys_r)
{
    memset(keys_r, 0, sizeof *keys_r);
    if (parse(hash, text, text + n, keys_r))
        return true;
    mem_wipe(keys_r, sizeof *keys_r);
    return false;
}
