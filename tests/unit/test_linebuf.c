/* linebuf: lines wherever the pieces end that they come in, the limit, and what is left in the block afterwards. */
#include "tests/unit/unit.h"

#include <string.h>

#include "common/strbuf.h"
#include "wire/linebuf.h"

#define LINE_MAX_HERE 10
#define LEAST 32

static void comes(struct linebuf *b, const char *bytes, size_t n)
{
    size_t room;
    char *at = linebuf_room(b, &room);

    ck_assert_uint_ge(room, n);
    memcpy(at, bytes, n);
    linebuf_came(b, n);
}

/* Takes all lines out: "(line)", "<the beginning of one over the limit>". */
static void take_lines(struct linebuf *b, struct strbuf *taken)
{
    for (;;) {
        char *line;
        size_t n;
        enum linebuf_status status = linebuf_line(b, &line, &n);

        if (status == LINEBUF_PART)
            return;
        ck_assert_uint_eq(line[n], 0);
        strbuf_addf(taken, status == LINEBUF_LINE ? "(%s)" : "<%s>", line);
    }
}

/* With a limit of ten. */
static const struct {
    const char *sent, *lines;
} sent[] = {
    { "USER a\r\nQUIT\r\n", "(USER a)(QUIT)" },
    { "a\nb\n", "(a)(b)" },
    { "\r\n\n\r\r\n", "()()(\r)" },
    { "0123456789\r\nb\n", "(0123456789)(b)" },
    { "0123456789\nb\n", "(0123456789)(b)" },
    { "0123456789a\r\nb\n", "<0123456789>(b)" },
    { "0123456789\rb\nb\n", "<0123456789>(b)" },
    { "0123456789\r\r\nb\n", "<0123456789>(b)" },
    { "0123456789aaaaa\n0123456789b\nc\n", "<0123456789><0123456789>(c)" },
    { "a\nunfinished", "(a)" },
};

START_TEST(lines_do_not_depend_on_the_pieces)
{
    const char *text = sent[_i].sent;
    size_t n = strlen(text);

    for (size_t first = 0; first <= n; first++)
        for (size_t second = first; second <= n; second++) {
            struct linebuf b;
            struct strbuf taken = STRBUF_INIT(1000);

            linebuf_init(&b, LINE_MAX_HERE, LEAST);
            comes(&b, text, first);
            take_lines(&b, &taken);
            comes(&b, text + first, second - first);
            take_lines(&b, &taken);
            comes(&b, text + second, n - second);
            take_lines(&b, &taken);
            ck_assert_msg(strcmp(taken.data, sent[_i].lines) == 0, "cut at %zu and %zu: %s instead of %s", first, second, taken.data, sent[_i].lines);
            strbuf_free(&taken);
            linebuf_free(&b);
        }
}
END_TEST

START_TEST(there_is_always_room_once_lines_are_out)
{
    struct linebuf b;
    struct strbuf taken = STRBUF_INIT(1000);
    size_t room;

    linebuf_init(&b, LINE_MAX_HERE, 0); /* as small as can be */
    for (int i = 0; i < 1000; i++) {
        comes(&b, "a", 1);
        take_lines(&b, &taken);
        linebuf_room(&b, &room);
        ck_assert_uint_gt(room, 0);
    }
    comes(&b, "\n", 1);
    take_lines(&b, &taken);
    ck_assert_str_eq(taken.data, "<aaaaaaaaaa>");
    linebuf_free(&b);
    strbuf_free(&taken);
}
END_TEST

START_TEST(another_limit_is_for_the_lines_to_come)
{
    struct linebuf b;
    struct strbuf taken = STRBUF_INIT(1000);

    linebuf_init(&b, LINE_MAX_HERE, LEAST);
    comes(&b, "01234567\n01234567\n", 18);
    linebuf_set_line_max(&b, 8);
    take_lines(&b, &taken);
    linebuf_set_line_max(&b, 7);
    comes(&b, "01234567\n", 9);
    take_lines(&b, &taken);
    linebuf_set_line_max(&b, 1000); /* there is room for 29 */
    comes(&b, "0123456789012345678901234567", 28);
    take_lines(&b, &taken);
    comes(&b, "8\r\n", 3);
    take_lines(&b, &taken);
    ck_assert_str_eq(taken.data, "(01234567)(01234567)<0123456>(01234567890123456789012345678)");
    linebuf_free(&b);
    strbuf_free(&taken);
}
END_TEST

START_TEST(what_is_given_back_comes_first)
{
    struct linebuf b;
    struct strbuf taken = STRBUF_INIT(1000);
    const char *bytes;

    linebuf_init(&b, LINE_MAX_HERE, LEAST);
    comes(&b, "text\n.\nQUIT\n", 12);
    ck_assert_uint_eq(linebuf_all(&b, &bytes), 12);
    ck_assert_uint_eq(linebuf_waiting(&b, &bytes), 0);
    linebuf_give_back(&b, 5);
    take_lines(&b, &taken);
    ck_assert_str_eq(taken.data, "(QUIT)");
    strbuf_reset(&taken);
    linebuf_discard(&b);
    comes(&b, "text\n.\nQUIT\n", 12);
    linebuf_all(&b, &bytes);
    linebuf_give_back(&b, 5);
    ck_assert_int_eq(linebuf_prepend(&b, "STAT\nR", 6), 0);
    ck_assert_uint_eq(linebuf_waiting(&b, &bytes), 11);
    ck_assert_int_eq(memcmp(bytes, "STAT\nRQUIT\n", 11), 0);
    take_lines(&b, &taken);
    ck_assert_str_eq(taken.data, "(STAT)(RQUIT)");
    linebuf_free(&b);
    strbuf_free(&taken);
}
END_TEST

START_TEST(prepend_takes_what_fits_and_never_into_a_cut_line)
{
    static const char bytes[LEAST];
    struct linebuf b;
    char *line;
    size_t n;

    linebuf_init(&b, LINE_MAX_HERE, LEAST);
    comes(&b, "a", 1);
    ck_assert_int_eq(linebuf_prepend(&b, bytes, LEAST), -1);
    ck_assert_int_eq(linebuf_prepend(&b, bytes, LEAST - 1), 0);
    linebuf_discard(&b);
    comes(&b, "0123456789ab", 12);
    ck_assert_int_eq(linebuf_line(&b, &line, &n), LINEBUF_PART);
    ck_assert_int_eq(linebuf_prepend(&b, "x", 1), -1);
    linebuf_discard(&b);
    ck_assert_int_eq(linebuf_prepend(&b, "x", 1), 0);
    linebuf_free(&b);
}
END_TEST

/* Whether any byte of the block but those that wait is not 0. */
static bool something_left(const struct linebuf *b)
{
    for (size_t i = 0; i < b->cap; i++)
        if ((i < b->start || i >= b->end) && b->data[i] != 0)
            return true;
    return false;
}

START_TEST(passwords_do_not_stay)
{
    struct linebuf b;
    struct strbuf taken = STRBUF_INIT(1000);
    const char *bytes;

    linebuf_init(&b, LINE_MAX_HERE, LEAST);
    comes(&b, "PASS aaaaaaaaaaaaaaaaaa\nPA", 26);
    take_lines(&b, &taken);
    comes(&b, "SS b\nNOOP", 9); /* moves what waits to the front: the rest of the first line stays behind it */
    take_lines(&b, &taken);
    ck_assert_str_eq(taken.data, "<PASS aaaaa>(PASS b)");
    ck_assert(something_left(&b));
    linebuf_wipe_consumed(&b);
    ck_assert(!something_left(&b));
    ck_assert_uint_eq(linebuf_waiting(&b, &bytes), 4);
    ck_assert_int_eq(memcmp(bytes, "NOOP", 4), 0);
    linebuf_discard(&b);
    ck_assert_uint_eq(linebuf_waiting(&b, &bytes), 0);
    ck_assert(!something_left(&b));
    linebuf_free(&b);
    strbuf_free(&taken);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("linebuf");
    TCase *tc = tcase_create("linebuf");

    tcase_add_loop_test(tc, lines_do_not_depend_on_the_pieces, 0, sizeof sent / sizeof *sent);
    tcase_add_test(tc, there_is_always_room_once_lines_are_out);
    tcase_add_test(tc, another_limit_is_for_the_lines_to_come);
    tcase_add_test(tc, what_is_given_back_comes_first);
    tcase_add_test(tc, prepend_takes_what_fits_and_never_into_a_cut_line);
    tcase_add_test(tc, passwords_do_not_stay);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
