/*
 * lines: see lines.h. Text is looked at in groups of 64 bytes: one bit a byte says where LF, CR, NUL and 'F' stand, and the rules are a few
 * shifts on such masks. How the masks are made is the only thing that depends on the machine.
 */
#include "mail/lines.h"

#include <endian.h>
#include <string.h>

#define GROUP 64

struct masks {
    uint64_t lf, cr, nul, f;
};

/* ---- portable: eight bytes at a time */

static inline uint64_t word_mask(uint64_t word, unsigned char c)
{
    const uint64_t low7 = UINT64_C(0x7f7f7f7f7f7f7f7f);
    uint64_t x = word ^ (UINT64_C(0x0101010101010101) * c);
    uint64_t zero = ~(((x & low7) + low7) | x | low7); /* 0x80 in the bytes that are equal */

    return ((zero >> 7) * UINT64_C(0x0102040810204080)) >> 56;
}

static inline uint64_t portable_mask(const char *p, unsigned char c)
{
    uint64_t mask = 0, word;

    for (unsigned i = 0; i < GROUP; i += 8) {
        memcpy(&word, p + i, sizeof word);
        mask |= word_mask(le64toh(word), c) << i;
    }
    return mask;
}

static inline struct masks portable_masks(const char *p)
{
    return (struct masks){ portable_mask(p, '\n'), portable_mask(p, '\r'), portable_mask(p, 0), portable_mask(p, 'F') };
}

static inline uint64_t portable_copy(char *to, const char *from)
{
    memcpy(to, from, GROUP);
    return portable_mask(from, '\n');
}

/* ---- the rules, made for each kind of machine below */

#define INLINE static inline __attribute__((always_inline))

typedef struct masks masks_fn(const char *p);
typedef uint64_t copy_fn(char *to, const char *from); /* copies a group, returns the mask of its LFs */

/* Reads one group into the counts; bits above the valid ones are zero in all masks. Returns the bit of the first candidate, or 0. */
INLINE uint64_t scan_group(struct lines_scan *s, struct masks m)
{
    uint64_t starts = m.lf << 1 | s->line_start;
    uint64_t start_crs = m.cr & starts;
    uint64_t empties = m.lf & (starts | start_crs << 1 | s->line_start_cr);
    uint64_t after = empties << 1 | s->after_empty;
    uint64_t found = (after & m.f) | (starts & m.nul);

    if (__builtin_expect(found != 0, 0)) {
        found &= -found;
        m.lf &= found - 1;
        m.nul &= found - 1;
    }
    s->lf += (unsigned)__builtin_popcountll(m.lf);
    if (__builtin_expect((m.cr | s->cr) != 0, 0))
        s->crlf += (unsigned)__builtin_popcountll(m.lf & (m.cr << 1 | s->cr));
    s->nuls |= m.nul != 0;
    if (__builtin_expect(found != 0, 0)) {
        s->line_start = true;
        s->after_empty = (after & found) != 0;
        s->cr = s->line_start_cr = false;
        return found;
    }
    s->line_start = m.lf >> (GROUP - 1);
    s->after_empty = empties >> (GROUP - 1);
    s->cr = m.cr >> (GROUP - 1);
    s->line_start_cr = start_crs >> (GROUP - 1);
    return 0;
}

/* The same rules for one byte: what is left at the end of a piece. True: a candidate, not counted. */
static bool scan_byte(struct lines_scan *s, char c)
{
    if ((s->after_empty && c == 'F') || (s->line_start && c == '\0')) {
        s->cr = s->line_start_cr = false;
        return true;
    }
    if (c == '\n') {
        s->lf++;
        s->crlf += s->cr;
        s->after_empty = s->line_start || s->line_start_cr;
        s->line_start = true;
        s->cr = s->line_start_cr = false;
        return false;
    }
    s->nuls |= c == '\0';
    s->cr = c == '\r';
    s->line_start_cr = s->cr && s->line_start;
    s->line_start = s->after_empty = false;
    return false;
}

INLINE size_t find(struct lines_scan *scan, const char *text, size_t n, masks_fn *masks_of)
{
    struct lines_scan s = *scan; /* a copy that can live in registers */
    size_t i = 0;

    for (; n - i >= GROUP; i += GROUP) {
        uint64_t found = scan_group(&s, masks_of(text + i));

        if (__builtin_expect(found != 0, 0)) {
            *scan = s;
            return i + (unsigned)__builtin_ctzll(found);
        }
    }
    while (i < n && !scan_byte(&s, text[i]))
        i++;
    *scan = s;
    return i;
}

INLINE void to_wire(struct lines_wire *wire, const char **in, const char *end, char **out, const char *out_end, copy_fn *copy)
{
    const char *first = *in, *p = first;
    char *o = *out;
    bool line_start = wire->line_start;

    while (p < end && out_end - o >= LINES_ROOM) {
        size_t left = (size_t)(end - p), i;
        uint64_t lf;

        if (line_start && *p == '.') {
            *o++ = '.';
            wire->stuffed++;
        }
        lf = copy(o, p);
        i = lf ? (size_t)__builtin_ctzll(lf) : GROUP;
        line_start = i < left && lf;
        if (!line_start) {
            size_t done = left < GROUP ? left : GROUP;

            p += done;
            o += done;
            continue;
        }
        p += i + 1;
        o += i;
        if (!(p - 1 > first ? p[-2] == '\r' : wire->cr))
            *o++ = '\r';
        *o++ = '\n';
    }
    if (p > first)
        wire->cr = p[-1] == '\r';
    wire->line_start = line_start;
    *in = p;
    *out = o;
}

static size_t portable_find(struct lines_scan *scan, const char *text, size_t n)
{
    return find(scan, text, n, portable_masks);
}

static void portable_to_wire(struct lines_wire *wire, const char **in, const char *end, char **out, const char *out_end)
{
    to_wire(wire, in, end, out, out_end, portable_copy);
}

/* ---- x86-64 with AVX2, asked for at run time */

#ifdef __x86_64__
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,popcnt,bmi")))

static inline AVX2 __attribute__((always_inline)) uint64_t avx2_mask(__m256i low, __m256i high, char c)
{
    __m256i want = _mm256_set1_epi8(c);
    uint32_t l = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, want));
    uint32_t h = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, want));

    return l | (uint64_t)h << 32;
}

static inline AVX2 __attribute__((always_inline)) struct masks avx2_masks(const char *p)
{
    __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)p);
    __m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(p + 32));

    return (struct masks){ avx2_mask(low, high, '\n'), avx2_mask(low, high, '\r'), avx2_mask(low, high, 0),
                           avx2_mask(low, high, 'F') };
}

static inline AVX2 __attribute__((always_inline)) uint64_t avx2_copy(char *to, const char *from)
{
    __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)from);
    __m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(from + 32));

    _mm256_storeu_si256((__m256i *)(void *)to, low);
    _mm256_storeu_si256((__m256i *)(void *)(to + 32), high);
    return avx2_mask(low, high, '\n');
}

static AVX2 size_t avx2_find(struct lines_scan *scan, const char *text, size_t n)
{
    return find(scan, text, n, avx2_masks);
}

static AVX2 void avx2_to_wire(struct lines_wire *wire, const char **in, const char *end, char **out, const char *out_end)
{
    to_wire(wire, in, end, out, out_end, avx2_copy);
}

static bool have_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("bmi");
}
#else
#define avx2_find portable_find
#define avx2_to_wire portable_to_wire

static bool have_avx2(void)
{
    return false;
}
#endif

static enum { UNKNOWN, PORTABLE, VECTORS } machine;

static bool use_vectors(void)
{
    if (__builtin_expect(machine == UNKNOWN, 0))
        machine = have_avx2() ? VECTORS : PORTABLE;
    return machine == VECTORS;
}

void lines_use_portable(bool on)
{
    machine = on ? PORTABLE : UNKNOWN;
}

size_t lines_find(struct lines_scan *scan, const char *text, size_t n)
{
    return use_vectors() ? avx2_find(scan, text, n) : portable_find(scan, text, n);
}

void lines_inside(struct lines_scan *scan)
{
    scan->line_start = scan->after_empty = scan->cr = scan->line_start_cr = false;
}

void lines_to_wire(struct lines_wire *wire, const char **in, const char *end, char **out, const char *out_end)
{
    if (use_vectors())
        avx2_to_wire(wire, in, end, out, out_end);
    else
        portable_to_wire(wire, in, end, out, out_end);
}
