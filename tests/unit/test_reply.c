/* reply: framing to the byte, and that no text can make a second line. */
#include "tests/unit/unit.h"

#include <string.h>

#include "common/strbuf.h"
#include "wire/reply.h"

static struct strbuf sent = STRBUF_INIT(65536);

static int drain(void *context, const char *bytes, size_t n)
{
    (void)context;
    strbuf_add(&sent, bytes, n);
    return 0;
}

static struct outbuf out;

static void begin(void)
{
    strbuf_reset(&sent);
    outbuf_init(&out, 1000, drain, NULL);
}

static const char *end(void)
{
    outbuf_flush(&out);
    outbuf_free(&out);
    return sent.data;
}

static const struct {
    const char *name;
    enum reply_code code;
    const char *text, *ok, *err;
} cases[] = {
    { "plain", REPLY_NONE, "fine", "+OK fine\r\n", "-ERR fine\r\n" },
    { "empty", REPLY_NONE, "", "+OK\r\n", "-ERR\r\n" },
    { "trailing blanks stay", REPLY_NONE, "starting.  ", "+OK starting.  \r\n", "-ERR starting.  \r\n" },
    { "in use", REPLY_IN_USE, "busy", "+OK busy\r\n", "-ERR [IN-USE] busy\r\n" },
    { "auth", REPLY_AUTH, "no", "+OK no\r\n", "-ERR [AUTH] no\r\n" },
    { "temp", REPLY_SYS_TEMP, "later", "+OK later\r\n", "-ERR [SYS/TEMP] later\r\n" },
    { "perm", REPLY_SYS_PERM, "never", "+OK never\r\n", "-ERR [SYS/PERM] never\r\n" },
    { "line ends are blanks", REPLY_NONE, "a\r\n+OK b\tc\033[m", "+OK a  +OK b c [m\r\n", "-ERR a  +OK b c [m\r\n" },
    { "8 bit", REPLY_NONE, "caf\xc3\xa9\x7f", "+OK caf\xc3\xa9?\r\n", "-ERR caf???\r\n" },
    { "percent", REPLY_NONE, "%s%n", "+OK %s%n\r\n", "-ERR %s%n\r\n" },
};

START_TEST(status_lines)
{
    begin();
    reply_ok(&out, cases[_i].text);
    ck_assert_msg(strcmp(end(), cases[_i].ok) == 0, "%s: %s", cases[_i].name, sent.data);
    begin();
    reply_err(&out, cases[_i].code, cases[_i].text);
    ck_assert_msg(strcmp(end(), cases[_i].err) == 0, "%s: %s", cases[_i].name, sent.data);
}
END_TEST

START_TEST(long_text_is_cut_at_512_octets)
{
    char text[2000];

    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    begin();
    reply_err(&out, REPLY_SYS_TEMP, text);
    end();
    ck_assert_uint_eq(sent.len, 512);
    ck_assert_str_eq(sent.data + 508, "xx\r\n");
    text[506] = '\0'; /* "+OK " and CRLF make 512 */
    begin();
    reply_ok(&out, text);
    end();
    ck_assert_uint_eq(sent.len, 512);
}
END_TEST

START_TEST(a_body_ends_in_a_dot)
{
    begin();
    reply_end(&out);
    ck_assert_str_eq(end(), ".\r\n");
}
END_TEST

START_TEST(lines_of_lists)
{
    for (size_t cap = 1; cap < 100; cap += cap < 12 ? 1 : 44) {
        strbuf_reset(&sent);
        outbuf_init(&out, cap, drain, NULL);
        outbuf_add_numbers(&out, 1, 0);
        outbuf_add_numbers(&out, UINT64_MAX, 120);
        outbuf_add_pair(&out, 10, "id", 2);
        outbuf_add_pair(&out, 0, "", 0);
        ck_assert_uint_eq(out.total, 5 + 26 + 7 + 4);
        ck_assert_str_eq(end(), "1 0\r\n18446744073709551615 120\r\n10 id\r\n0 \r\n");
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reply");
    TCase *tc = tcase_create("reply");

    tcase_add_loop_test(tc, status_lines, 0, sizeof cases / sizeof *cases);
    tcase_add_test(tc, long_text_is_cut_at_512_octets);
    tcase_add_test(tc, a_body_ends_in_a_dot);
    tcase_add_test(tc, lines_of_lists);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
