/* lines: the vector code, the portable code and a byte-by-byte reading agree, wherever the pieces are cut. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "mail/lines.h"

#define TEXT 700

static uint32_t seed;

static uint32_t rnd(uint32_t below)
{
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)(seed >> 8) * below >> 24);
}

/* Mostly letters or mostly what matters. */
static size_t make_text(char *text)
{
    static const char dense[] = "\n\n\n\r\0F.x", sparse[] = "\n\r\0F.";
    size_t n = rnd(TEXT);
    bool often = rnd(2);

    for (size_t i = 0; i < n; i++)
        text[i] = often ? dense[rnd(8)] : rnd(30) ? 'a' : sparse[rnd(5)];
    memset(text + n, '\n', LINES_SLACK);
    return n;
}

struct seen {
    struct lines_scan scan;
    size_t candidates[TEXT], count;
};

/* The whole text in pieces of up to `piece` bytes. */
static void scan_text(struct seen *seen, const char *text, size_t n, size_t piece)
{
    *seen = (struct seen){ .scan = LINES_SCAN_START };
    for (size_t from = 0; from < n;) {
        size_t now = n - from < piece ? n - from : piece;
        size_t at = lines_find(&seen->scan, text + from, now);

        from += at;
        if (at < now) {
            seen->candidates[seen->count++] = from;
            seen->candidates[seen->count - 1] |= seen->scan.after_empty ? 0x10000 : 0;
            lines_inside(&seen->scan);
            seen->scan.nuls |= text[from] == '\0';
            from++;
        }
    }
}

static void scan_slowly(struct seen *seen, const char *text, size_t n)
{
    bool start = true, empty = true;
    size_t line = 0;

    *seen = (struct seen){ .count = 0 };
    for (size_t i = 0; i < n; i++) {
        if ((empty && text[i] == 'F') || (start && text[i] == '\0'))
            seen->candidates[seen->count++] = i | (empty ? 0x10000 : 0);
        seen->scan.nuls |= text[i] == '\0';
        start = text[i] == '\n';
        empty = start && (i == line || (i == line + 1 && text[line] == '\r'));
        if (start) {
            seen->scan.lf++;
            seen->scan.crlf += i > 0 && text[i - 1] == '\r';
            line = i + 1;
        }
    }
}

static void check_same(const struct seen *a, const struct seen *b)
{
    ck_assert_uint_eq(a->scan.lf, b->scan.lf);
    ck_assert_uint_eq(a->scan.crlf, b->scan.crlf);
    ck_assert_int_eq(a->scan.nuls, b->scan.nuls);
    ck_assert_uint_eq(a->count, b->count);
    ck_assert_mem_eq(a->candidates, b->candidates, a->count * sizeof a->candidates[0]);
}

START_TEST(scanning_agrees)
{
    static struct seen slow, fast;
    char text[TEXT + LINES_SLACK];

    for (seed = 1; seed < 0x40000000; seed += 0x40000) {
        uint32_t was = seed;
        size_t n = make_text(text);

        scan_slowly(&slow, text, n);
        for (int code = VECTORS_NONE; code <= VECTORS_BEST; code++) {
            lines_use((enum vectors)code);
            scan_text(&fast, text, n, TEXT);
            check_same(&slow, &fast);
            scan_text(&fast, text, n, 1 + rnd(200));
            check_same(&slow, &fast);
        }
        seed = was;
    }
}
END_TEST

static size_t wire_slowly(const char *text, size_t n, char *out, uint64_t *stuffed_r)
{
    size_t o = 0;

    *stuffed_r = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '.' && (i == 0 || text[i - 1] == '\n')) {
            out[o++] = '.';
            ++*stuffed_r;
        }
        if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r'))
            out[o++] = '\r';
        out[o++] = text[i];
    }
    return o;
}

/* Input in pieces, output in rooms of changing size. */
static size_t wire_text(const char *text, size_t n, char *out, struct lines_wire *wire)
{
    size_t o = 0;
    const char *p = text;

    *wire = (struct lines_wire){ .line_start = true };
    while (p < text + n) {
        size_t now = 1 + rnd(200);
        const char *end = p + ((size_t)(text + n - p) < now ? (size_t)(text + n - p) : now);

        while (p < end) {
            char room[400], *to = room;

            lines_to_wire(wire, &p, end, &to, room + LINES_ROOM + rnd(300));
            memcpy(out + o, room, (size_t)(to - room));
            o += (size_t)(to - room);
        }
    }
    return o;
}

START_TEST(conversion_agrees)
{
    char text[TEXT + LINES_SLACK], want[2 * TEXT], got[2 * TEXT];
    struct lines_wire wire;

    for (seed = 1; seed < 0x40000000; seed += 0x40000) {
        uint32_t was = seed;
        size_t n = make_text(text);
        uint64_t stuffed;
        size_t length = wire_slowly(text, n, want, &stuffed);

        for (int code = VECTORS_NONE; code <= VECTORS_BEST; code++) {
            lines_use((enum vectors)code);
            ck_assert_uint_eq(wire_text(text, n, got, &wire), length);
            ck_assert_mem_eq(got, want, length);
            ck_assert_uint_eq(wire.stuffed, stuffed);
            if (n > 0)
                ck_assert_int_eq(wire.line_start, text[n - 1] == '\n');
        }
        seed = was;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lines");
    TCase *tc = tcase_create("lines");

    tcase_add_test(tc, scanning_agrees);
    tcase_add_test(tc, conversion_agrees);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
