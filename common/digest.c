/*
 * digest: see digest.h. The crypto library stops at the adapter below; everything after it is the same for both.
 */
#include "config.h"

#include "common/digest.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "common/mem.h"

#ifdef HAVE_LIBMD
#include <md5.h>
#include <sha1.h>
#include <sha2.h>

typedef MD5_CTX md5_state;
typedef SHA1_CTX sha1_state;
typedef SHA2_CTX sha256_state;
#define md5_begin MD5Init
#define md5_add MD5Update
#define md5_end(out, state) MD5Final(out, state)
#define sha1_begin SHA1Init
#define sha1_add SHA1Update
#define sha1_end(out, state) SHA1Final(out, state)
#define sha256_begin SHA256Init
#define sha256_add SHA256Update
#define sha256_end(out, state) SHA256Final(out, state)
#else
/* The low-level calls are deprecated, but only they have a state that can be copied by assignment and needs no
   memory. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/md5.h>
#include <openssl/sha.h>

typedef MD5_CTX md5_state;
typedef SHA_CTX sha1_state;
typedef SHA256_CTX sha256_state;
#define md5_begin MD5_Init
#define md5_add MD5_Update
#define md5_end(out, state) MD5_Final(out, state)
#define sha1_begin SHA1_Init
#define sha1_add SHA1_Update
#define sha1_end(out, state) SHA1_Final(out, state)
#define sha256_begin SHA256_Init
#define sha256_add SHA256_Update
#define sha256_end(out, state) SHA256_Final(out, state)
#endif

#define BLOCK 64 /* of MD5, SHA-1 and SHA-256 alike */

_Static_assert(sizeof(md5_state) <= sizeof(struct digest_md5), "struct digest_md5 holds the library's state");

/* One hash as HMAC sees it: the digest of two pieces. */
typedef void hash_pair(const void *a, size_t an, const void *b, size_t bn, unsigned char *out);

static void md5_pair(const void *a, size_t an, const void *b, size_t bn, unsigned char *out)
{
    md5_state s;

    md5_begin(&s);
    md5_add(&s, a, an);
    md5_add(&s, b, bn);
    md5_end(out, &s);
    mem_wipe(&s, sizeof s);
}

static void sha1_pair(const void *a, size_t an, const void *b, size_t bn, unsigned char *out)
{
    sha1_state s;

    sha1_begin(&s);
    sha1_add(&s, a, an);
    sha1_add(&s, b, bn);
    sha1_end(out, &s);
    mem_wipe(&s, sizeof s);
}

static void sha256_pair(const void *a, size_t an, const void *b, size_t bn, unsigned char *out)
{
    sha256_state s;

    sha256_begin(&s);
    sha256_add(&s, a, an);
    sha256_add(&s, b, bn);
    sha256_end(out, &s);
    mem_wipe(&s, sizeof s);
}

static md5_state *md5_of(struct digest_md5 *d)
{
    return (md5_state *)(void *)d->state;
}

void digest_md5_begin(struct digest_md5 *d)
{
    md5_begin(md5_of(d));
}

void digest_md5_add(struct digest_md5 *d, const void *bytes, size_t n)
{
    md5_add(md5_of(d), bytes, n);
}

void digest_md5_end(struct digest_md5 *d, unsigned char out[DIGEST_MD5_SIZE])
{
    md5_end(out, md5_of(d));
}

void digest_md5(const void *bytes, size_t n, unsigned char out[DIGEST_MD5_SIZE])
{
    md5_pair(bytes, n, "", 0, out);
}

void digest_sha1(const void *bytes, size_t n, unsigned char out[DIGEST_SHA1_SIZE])
{
    sha1_pair(bytes, n, "", 0, out);
}

void digest_sha256(const void *bytes, size_t n, unsigned char out[DIGEST_SHA256_SIZE])
{
    sha256_pair(bytes, n, "", 0, out);
}

static void hmac(hash_pair *hash, size_t size, const void *key, size_t key_len, const void *bytes, size_t n,
                 unsigned char *out)
{
    unsigned char pad[BLOCK] = { 0 };
    unsigned char inner[DIGEST_SHA256_SIZE];

    if (key_len > BLOCK)
        hash(key, key_len, "", 0, pad);
    else if (key_len > 0)
        memcpy(pad, key, key_len);
    for (size_t i = 0; i < BLOCK; i++)
        pad[i] ^= 0x36;
    hash(pad, BLOCK, bytes, n, inner);
    for (size_t i = 0; i < BLOCK; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    hash(pad, BLOCK, inner, size, out);
    mem_wipe(pad, sizeof pad);
    mem_wipe(inner, sizeof inner);
}

void digest_hmac_md5(const void *key, size_t key_len, const void *bytes, size_t n, unsigned char out[DIGEST_MD5_SIZE])
{
    hmac(md5_pair, DIGEST_MD5_SIZE, key, key_len, bytes, n, out);
}

void digest_hmac_sha1(const void *key, size_t key_len, const void *bytes, size_t n, unsigned char out[DIGEST_SHA1_SIZE])
{
    hmac(sha1_pair, DIGEST_SHA1_SIZE, key, key_len, bytes, n, out);
}

void digest_hmac_sha256(const void *key, size_t key_len, const void *bytes, size_t n,
                        unsigned char out[DIGEST_SHA256_SIZE])
{
    hmac(sha256_pair, DIGEST_SHA256_SIZE, key, key_len, bytes, n, out);
}

/* Each step is a bijection of h, so that a change within one word always changes the sum. */
static uint64_t sum_word(uint64_t h, uint64_t word)
{
    h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ (h >> 29);
}

static uint64_t load_word(const unsigned char *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof word);
    return le64toh(word);
}

uint64_t digest_sum64(uint64_t seed, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    uint64_t lane[4] = { seed, seed ^ 1, seed ^ 2, seed ^ 3 }; /* four multiplications under way at once */
    uint64_t tail = 0;
    uint64_t h = sum_word(seed, n);

    for (; n >= 32; n -= 32, p += 32) {
        for (size_t i = 0; i < 4; i++)
            lane[i] = sum_word(lane[i], load_word(p + 8 * i));
    }
    for (; n >= 8; n -= 8, p += 8)
        h = sum_word(h, load_word(p));
    for (size_t i = 0; i < n; i++)
        tail |= (uint64_t)p[i] << (8 * i);
    h = sum_word(h, tail);
    for (size_t i = 0; i < 4; i++)
        h = sum_word(h, lane[i]);
    h *= UINT64_C(0xff51afd7ed558ccd);
    return h ^ (h >> 32);
}

void digest_hex(struct strbuf *sb, const void *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = bytes;

    for (size_t i = 0; i < n; i++) {
        char pair[2] = { digits[p[i] >> 4], digits[p[i] & 15] };

        strbuf_add(sb, pair, 2);
    }
}

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void digest_base64(struct strbuf *sb, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;

    for (; n > 0; p += 3) {
        size_t have = n < 3 ? n : 3;
        uint32_t v = (uint32_t)p[0] << 16 | (have > 1 ? (uint32_t)p[1] << 8 : 0) | (have > 2 ? p[2] : 0);
        char quad[4] = { base64[v >> 18], base64[v >> 12 & 63], have > 1 ? base64[v >> 6 & 63] : '=',
                         have > 2 ? base64[v & 63] : '=' };

        strbuf_add(sb, quad, 4);
        n -= have;
    }
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four characters, the last `pad` of which are '=', to 3 - pad bytes. False when they are not base64 in its one
   canonical form. */
static bool base64_quad(const char *text, int pad, struct strbuf *out)
{
    uint32_t v = 0;
    unsigned char bytes[3];

    for (int i = 0; i < 4; i++) {
        int value = i < 4 - pad ? base64_value(text[i]) : 0;

        if (value < 0)
            return false;
        v = v << 6 | (uint32_t)value;
    }
    if ((pad == 1 && (v & 0xff)) || (pad == 2 && (v & 0xffff)))
        return false;
    bytes[0] = (unsigned char)(v >> 16);
    bytes[1] = (unsigned char)(v >> 8);
    bytes[2] = (unsigned char)v;
    return strbuf_add(out, bytes, (size_t)(3 - pad));
}

int digest_base64_decode(const char *text, size_t n, struct strbuf *out)
{
    int pad;

    strbuf_wipe(out);
    if (n % 4 != 0)
        return -1;
    for (size_t i = 0; i < n; i += 4) {
        pad = i + 4 == n && text[n - 1] == '=' ? (text[n - 2] == '=' ? 2 : 1) : 0;
        if (!base64_quad(text + i, pad, out)) {
            strbuf_wipe(out);
            return -1;
        }
    }
    return 0;
}

void digest_random(void *bytes, size_t n)
{
    unsigned char *p = bytes;

    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);

        if (got > 0) {
            p += got;
            n -= (size_t)got;
        } else if (errno != EINTR) {
            /* Only a sandbox that forgot the call gets here; to go on with bytes that can be guessed would be worse. */
            mem_end_process("no random bytes (getrandom(2) is refused); the process ends");
        }
    }
}
