/*
 * md5lanes: see md5lanes.h. The state of all lanes lies side by side in vectors (the compiler's own: it makes of the same lines code for the vectors that
 * the machine has, and code for a machine without); a lane whose text has ended goes through the motions and its result is not taken.
 */
#include "common/md5lanes.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define BLOCK 64
#define INLINE static inline __attribute__((always_inline))

typedef uint32_t lanes __attribute__((vector_size(4 * MD5LANES_MAX)));

struct state {
    lanes a, b, c, d;
};

/* RFC 1321: floor(2^32 * abs(sin(i + 1))) */
static const uint32_t sines[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee,
    0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be,
    0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa,
    0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed,
    0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c,
    0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05,
    0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039,
    0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1,
    0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};

/* 0x80, zeros, the length in bits: the text becomes whole blocks. Returns how many. */
INLINE size_t pad(unsigned char *bytes, size_t n)
{
    size_t blocks = (n + 8) / BLOCK + 1;
    uint64_t bits = htole64((uint64_t)n * 8);

    memset(bytes + n, 0, blocks * BLOCK - n);
    bytes[n] = 0x80;
    memcpy(bytes + blocks * BLOCK - 8, &bits, 8);
    return blocks;
}

/* Sixteen words of every lane's block: written one by one, read as vectors. */
union block {
    uint32_t word[16][MD5LANES_MAX];
    lanes words[16];
};

INLINE void load(union block *block, const unsigned char *const *at)
{
    for (unsigned lane = 0; lane < MD5LANES_MAX; lane++) {
        for (unsigned w = 0; w < 16; w++) {
            uint32_t word;

            memcpy(&word, at[lane] + 4 * w, 4);
            block->word[w][lane] = le32toh(word);
        }
    }
}

#define STEP(f, a, b, c, d, i, w, shift)                     \
    do {                                                     \
        a += f(b, c, d) + words[(w) & 15] + sines[i];        \
        a = (a << (shift) | a >> (32 - (shift))) + b;        \
    } while (0)
#define F(x, y, z) ((z) ^ ((x) & ((y) ^ (z))))
#define G(x, y, z) ((y) ^ ((z) & ((x) ^ (y))))
#define H(x, y, z) ((x) ^ (y) ^ (z))
#define I(x, y, z) ((y) ^ ((x) | ~(z)))
/* Written out, because the compiler does better with constants: 16 steps from step i on, taking the words from w on in
   strides. */
#define FOUR(f, i, w, stride, s0, s1, s2, s3)          \
    STEP(f, a, b, c, d, i, w, s0);                     \
    STEP(f, d, a, b, c, (i) + 1, (w) + (stride), s1);  \
    STEP(f, c, d, a, b, (i) + 2, (w) + 2 * (stride), s2); \
    STEP(f, b, c, d, a, (i) + 3, (w) + 3 * (stride), s3)
#define ROUND(f, i, w, stride, s0, s1, s2, s3)                         \
    FOUR(f, i, w, stride, s0, s1, s2, s3);                             \
    FOUR(f, (i) + 4, (w) + 4 * (stride), stride, s0, s1, s2, s3);      \
    FOUR(f, (i) + 8, (w) + 8 * (stride), stride, s0, s1, s2, s3);      \
    FOUR(f, (i) + 12, (w) + 12 * (stride), stride, s0, s1, s2, s3)

INLINE void transform(struct state *s, const lanes words[16])
{
    lanes a = s->a, b = s->b, c = s->c, d = s->d;

    ROUND(F, 0, 0, 1, 7, 12, 17, 22);
    ROUND(G, 16, 1, 5, 5, 9, 14, 20);
    ROUND(H, 32, 5, 3, 4, 11, 16, 23);
    ROUND(I, 48, 0, 7, 6, 10, 15, 21);
    s->a += a;
    s->b += b;
    s->c += c;
    s->d += d;
}

INLINE void take(const struct state *s, size_t lane, unsigned char digest[16])
{
    uint32_t words[4] = { htole32(s->a[lane]), htole32(s->b[lane]), htole32(s->c[lane]), htole32(s->d[lane]) };

    memcpy(digest, words, sizeof words);
}

INLINE void hash_all(const struct md5lanes_text *texts, size_t count, unsigned char (*digests)[16])
{
    const lanes zero = { 0 };
    struct state s = { zero + 0x67452301u, zero + 0xefcdab89u, zero + 0x98badcfeu, zero + 0x10325476u };
    const unsigned char *at[MD5LANES_MAX];
    size_t blocks[MD5LANES_MAX], most = 0;
    union block block;

    for (size_t lane = 0; lane < MD5LANES_MAX; lane++) {
        at[lane] = texts[lane < count ? lane : 0].bytes;
        blocks[lane] = lane < count ? pad(texts[lane].bytes, texts[lane].n) : 0;
        if (blocks[lane] > most)
            most = blocks[lane];
    }
    for (size_t done = 1; done <= most; done++) {
        load(&block, at);
        transform(&s, block.words);
        for (size_t lane = 0; lane < MD5LANES_MAX; lane++) {
            if (done == blocks[lane])
                take(&s, lane, digests[lane]);
            if (done < blocks[lane])
                at[lane] += BLOCK;
        }
    }
}

static void hash_portable(const struct md5lanes_text *texts, size_t count, unsigned char (*digests)[16])
{
    hash_all(texts, count, digests);
}

#ifdef __x86_64__
static __attribute__((target("avx2"))) void hash_avx2(const struct md5lanes_text *texts, size_t count, unsigned char (*digests)[16])
{
    hash_all(texts, count, digests);
}

static __attribute__((target("avx512f,avx512bw"))) void hash_avx512(const struct md5lanes_text *texts, size_t count, unsigned char (*digests)[16])
{
    hash_all(texts, count, digests);
}
#else
#define hash_avx2 hash_portable
#define hash_avx512 hash_portable
#endif

static void (*hash_here)(const struct md5lanes_text *texts, size_t count, unsigned char (*digests)[16]);

void md5lanes_use(enum vectors most)
{
    enum vectors here = vectors_here();

    if (here > most)
        here = most;
    hash_here = here == VECTORS_AVX512 ? hash_avx512 : here == VECTORS_AVX2 ? hash_avx2 : hash_portable;
}

void md5lanes(const struct md5lanes_text *texts, size_t count, unsigned char (*digests)[16])
{
    if (!hash_here)
        md5lanes_use(VECTORS_BEST);
    hash_here(texts, count, digests);
}
