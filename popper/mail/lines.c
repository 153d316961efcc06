/*
 * lines: see lines.h. The portable code goes from line end to line end with memchr. Where the machine has vectors, text
 * is looked at in groups of 64 bytes: one bit a byte says where LF, CR, NUL and 'F' stand, and the rules are a few
 * shifts on such masks; lines cost nothing then.
 */
#include "mail/lines.h"

#include <string.h>

typedef size_t find_fn(struct lines_scan *scan, const char *text, size_t n);
typedef void to_wire_fn(struct lines_wire *wire, const char **in, const char *end, char **out, const char *out_end);

void lines_inside(struct lines_scan *scan)
{
    scan->line_start = scan->after_empty = scan->cr = scan->line_start_cr = false;
}

/* ---- portable */

/* The text up to the next line end, or all there is. */
static void read_line(struct lines_scan *s, const char *text, size_t n, size_t *used_r)
{
    const char *lf = memchr(text, '\n', n);
    size_t length = lf ? (size_t)(lf - text) : n;
    bool cr = length > 0 ? text[length - 1] == '\r' : s->cr;
    bool start_cr = length > 0 ? length == 1 && cr && s->line_start : s->line_start_cr;

    *used_r = length + (lf != NULL);
    if (!lf) {
        lines_inside(s);
        s->cr = cr;
        s->line_start_cr = start_cr;
        return;
    }
    s->lf++;
    s->crlf += cr;
    s->after_empty = start_cr || (length == 0 && s->line_start);
    s->line_start = true;
    s->cr = s->line_start_cr = false;
}

static size_t portable_find(struct lines_scan *s, const char *text, size_t n)
{
    size_t at = 0, used;

    while (at < n) {
        if ((s->after_empty && text[at] == 'F') || (s->line_start && text[at] == '\0')) {
            s->cr = s->line_start_cr = false;
            break;
        }
        read_line(s, text + at, n - at, &used);
        at += used;
    }
    s->nuls = s->nuls || memchr(text, '\0', at);
    return at;
}

static void portable_to_wire(struct lines_wire *wire, const char **in, const char *end, char **out, const char *out_end)
{
    const char *p = *in;
    char *o = *out;

    while (p < end && out_end - o >= LINES_ROOM) {
        size_t most = (size_t)(end - p), room = (size_t)(out_end - o) - 3, n;
        const char *lf;

        if (wire->line_start && *p == '.') {
            *o++ = '.';
            wire->stuffed++;
        }
        lf = memchr(p, '\n', most < room ? most : room);
        n = lf ? (size_t)(lf - p) : most < room ? most : room;
        memcpy(o, p, n);
        p += n;
        o += n;
        if (n > 0)
            wire->cr = p[-1] == '\r';
        wire->line_start = lf != NULL;
        if (lf) {
            if (!wire->cr)
                *o++ = '\r';
            *o++ = *p++;
            wire->cr = false;
        }
    }
    *in = p;
    *out = o;
}

/* ---- x86-64 with AVX2 or AVX-512, asked for at run time */

#ifdef __x86_64__
#include <immintrin.h>

#define GROUP 64
#define INLINE static inline __attribute__((always_inline))
#define AVX2 __attribute__((target("avx2,popcnt,bmi")))
#define AVX512 __attribute__((target("avx512f,avx512bw,popcnt,bmi")))

struct masks {
    uint64_t lf, cr, nul, f;
};

/* What most groups of text are judged by. */
struct few_masks {
    uint64_t lf, f, control; /* control: LF, CR, NUL and some others that text seldom has */
};

#define CONTROL_MAX 13 /* CR */

INLINE AVX2 uint64_t avx2_mask(__m256i low, __m256i high, char c)
{
    __m256i want = _mm256_set1_epi8(c);
    uint32_t l = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, want));
    uint32_t h = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, want));

    return l | (uint64_t)h << 32;
}

INLINE AVX2 struct masks avx2_masks(const char *p)
{
    __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)p);
    __m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(p + 32));

    return (struct masks){ .lf = avx2_mask(low, high, '\n'),
                           .cr = avx2_mask(low, high, '\r'),
                           .nul = avx2_mask(low, high, '\0'),
                           .f = avx2_mask(low, high, 'F') };
}

INLINE AVX2 struct few_masks avx2_few(const char *p)
{
    __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)p);
    __m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(p + 32));
    __m256i most = _mm256_set1_epi8(CONTROL_MAX);
    uint32_t l = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_min_epu8(low, most), low));
    uint32_t h = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_min_epu8(high, most), high));

    return (struct few_masks){ .lf = avx2_mask(low, high, '\n'), .f = avx2_mask(low, high, 'F'), .control = l | (uint64_t)h << 32 };
}

/* Copies a group; returns where its LFs are. */
INLINE AVX2 uint64_t avx2_copy(char *to, const char *from)
{
    __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)from);
    __m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(from + 32));

    _mm256_storeu_si256((__m256i *)(void *)to, low);
    _mm256_storeu_si256((__m256i *)(void *)(to + 32), high);
    return avx2_mask(low, high, '\n');
}

static AVX2 void avx2_to_wire(struct lines_wire *wire, const char **in, const char *end, char **out,
                              const char *out_end)
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
        lf = avx2_copy(o, p);
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

INLINE AVX512 struct masks avx512_masks(const char *p)
{
    __m512i all = _mm512_loadu_si512(p);

    return (struct masks){ .lf = _mm512_cmpeq_epi8_mask(all, _mm512_set1_epi8('\n')),
                           .cr = _mm512_cmpeq_epi8_mask(all, _mm512_set1_epi8('\r')),
                           .nul = _mm512_testn_epi8_mask(all, all),
                           .f = _mm512_cmpeq_epi8_mask(all, _mm512_set1_epi8('F')) };
}

INLINE AVX512 struct few_masks avx512_few(const char *p)
{
    __m512i all = _mm512_loadu_si512(p);

    return (struct few_masks){ .lf = _mm512_cmpeq_epi8_mask(all, _mm512_set1_epi8('\n')),
                               .f = _mm512_cmpeq_epi8_mask(all, _mm512_set1_epi8('F')),
                               .control = _mm512_cmple_epu8_mask(all, _mm512_set1_epi8(CONTROL_MAX)) };
}

/* Reads one group into the counts; bits above the valid ones are zero in all masks. Returns the bit of the first
   candidate, or 0. */
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

/* Reads groups without CR, NUL and any candidate: most of all text. Returns the bytes of those before the first other one. */
INLINE size_t skip_plain(struct lines_scan *s, const char *text, size_t n, struct few_masks (*few_of)(const char *p))
{
    uint64_t line_start = s->line_start, after_empty = s->after_empty, lf = 0;
    size_t i = 0;

    if (s->cr)
        return 0;
    for (; n - i >= GROUP; i += GROUP) {
        struct few_masks m = few_of(text + i);
        uint64_t empties = m.lf & (m.lf << 1 | line_start);
        uint64_t after = empties << 1 | after_empty;

        /* One branch: empty lines are too many to be guessed by the processor. */
        if (__builtin_expect(((m.control ^ m.lf) | (after & m.f)) != 0, 0))
            break;
        lf += (unsigned)__builtin_popcountll(m.lf);
        line_start = m.lf >> (GROUP - 1);
        after_empty = empties >> (GROUP - 1);
    }
    s->lf += lf;
    s->line_start = line_start;
    s->after_empty = after_empty;
    return i;
}

INLINE size_t find(struct lines_scan *scan, const char *text, size_t n, struct masks (*masks_of)(const char *p),
                   struct few_masks (*few_of)(const char *p))
{
    struct lines_scan s = *scan; /* a copy that can live in registers */
    size_t i = 0;

    for (;;) {
        uint64_t found;

        i += skip_plain(&s, text + i, n - i, few_of);
        if (n - i < GROUP)
            break;
        found = scan_group(&s, masks_of(text + i));
        if (__builtin_expect(found != 0, 0)) {
            *scan = s;
            return i + (unsigned)__builtin_ctzll(found);
        }
        i += GROUP;
    }
    *scan = s;
    return i + portable_find(scan, text + i, n - i);
}

static AVX2 size_t avx2_find(struct lines_scan *scan, const char *text, size_t n)
{
    return find(scan, text, n, avx2_masks, avx2_few);
}

static AVX512 size_t avx512_find(struct lines_scan *scan, const char *text, size_t n)
{
    return find(scan, text, n, avx512_masks, avx512_few);
}

#else
#define avx2_find portable_find
#define avx512_find portable_find
#define avx2_to_wire portable_to_wire
#endif

/* ---- choice. AVX-512 gains nothing for lines_to_wire, and neither does an expansion without branches (AVX-512 VBMI2):
   tried and measured. */

static const struct {
    find_fn *find;
    to_wire_fn *to_wire;
} codes[] = {
    [VECTORS_NONE] = { portable_find, portable_to_wire },
    [VECTORS_AVX2] = { avx2_find, avx2_to_wire },
    [VECTORS_AVX512] = { avx512_find, avx2_to_wire },
};
static find_fn *find_here;
static to_wire_fn *to_wire_here;

void lines_use(enum vectors most)
{
    enum vectors code = vectors_here();

    if (code > most)
        code = most;
    find_here = codes[code].find;
    to_wire_here = codes[code].to_wire;
}

size_t lines_find(struct lines_scan *scan, const char *text, size_t n)
{
    if (__builtin_expect(!find_here, 0))
        lines_use(VECTORS_BEST);
    return find_here(scan, text, n);
}

void lines_to_wire(struct lines_wire *wire, const char **in, const char *end, char **out, const char *out_end)
{
    if (__builtin_expect(!to_wire_here, 0))
        lines_use(VECTORS_BEST);
    to_wire_here(wire, in, end, out, out_end);
}
