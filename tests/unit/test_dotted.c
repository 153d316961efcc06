/* dotted: the same text whatever the pieces it comes in; and what follows the end is left alone. */
#include "tests/unit/unit.h"

#include <string.h>

#include "common/strbuf.h"
#include "protocol/dotted.h"

static const struct {
    const char *name, *given, *text;
    size_t left; /* bytes after the end */
} cases[] = {
    { "plain", "Subject: x\r\n\r\nbody\r\n.\r\n", "Subject: x\n\nbody\n", 0 },
    { "what follows is not used", "a\r\n.\r\nSTAT\r\n", "a\n", 6 },
    { "nothing but the end", ".\r\n", "", 0 },
    { "doubled dots", "..a\r\n..\r\n...\r\n.\r\n", ".a\n.\n..\n", 0 },
    { "a dot that was not doubled", ".a\r\n.\r\n", "a\n", 0 },
    { "bare LF", "a\n\nb\n.\n", "a\n\nb\n", 0 },
    { "a CR alone stays", "a\rb\r\r\nc\r\n.\r\n", "a\rb\r\nc\n", 0 },
    { "a dot and a CR that is no line end", ".\rx\r\n.\r\n", "\rx\n", 0 },
    { "a line that ends in a dot", "a.\r\n.b.\r\n.\r\n", "a.\nb.\n", 0 },
};
#define CASES (int)(sizeof cases / sizeof *cases)

static int keep(void *context, const char *bytes, size_t n)
{
    strbuf_add(context, bytes, n);
    return 0;
}

START_TEST(any_pieces)
{
    const char *given = cases[_i].given;
    size_t length = strlen(given);

    for (size_t piece = 1; piece <= length; piece++) {
        struct strbuf text = STRBUF_INIT(1000);
        struct dotted d = DOTTED_INIT;
        struct outbuf out;
        size_t at = 0;

        outbuf_init(&out, 16, keep, &text);
        while (!dotted_ended(&d)) {
            size_t n = length - at < piece ? length - at : piece;

            ck_assert_msg(n > 0, "%s: no end in pieces of %zu", cases[_i].name, piece);
            at += dotted_feed(&d, given + at, n, &out);
        }
        outbuf_flush(&out);
        outbuf_free(&out);
        ck_assert_msg(strcmp(text.data, cases[_i].text) == 0, "%s in pieces of %zu: \"%s\"", cases[_i].name, piece, text.data);
        ck_assert_uint_eq(length - at, cases[_i].left);
        strbuf_free(&text);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dotted");
    TCase *tc = tcase_create("dotted");

    tcase_add_loop_test(tc, any_pieces, 0, CASES);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
