/* writeback: what becomes of a header, byte for byte. */
#include "config.h"

#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mail/writeback.h"

#define FROM "From a@b Sat Nov 22 10:00:00 2025\n"

static const struct rewritten {
    const char *name, *before;
    unsigned flags;
    const char *after;
} cases[] = {
    { "nothing there", FROM "Subject: x\n\n", 0, FROM "X-UIDL: id\nSubject: x\nStatus: U\n\n" },
    { "retrieved", FROM "Subject: x\n\n", MSG_RETRIEVED, FROM "X-UIDL: id\nSubject: x\nStatus: RO\n\n" },
    { "seen before", FROM "Subject: x\nStatus: R\nTo: y\n\n", MSG_SEEN,
      FROM "X-UIDL: id\nSubject: x\nStatus: RO\nTo: y\n\n" },
    { "not read, its Status stays", FROM "status: O\nSubject: x\n\n", 0, FROM "X-UIDL: id\nstatus: O\nSubject: x\n\n" },
    { "two Status fields", FROM "Status: O\nStatus: U\n more\nSubject: x\n\n", MSG_RETRIEVED,
      FROM "X-UIDL: id\nStatus: RO\nSubject: x\n\n" },
    { "two Status fields, not read", FROM "Status: O\nStatus: U\n\n", 0, FROM "X-UIDL: id\nStatus: O\nStatus: U\n\n" },
    { "other X-UIDL fields and their continuation go", FROM "A: 1\nX-UIDL: old\n\tfolded\nB: 2\nx-uidl: again\n\n", 0,
      FROM "X-UIDL: id\nA: 1\nB: 2\nStatus: U\n\n" },
    { "X-Status and X-UID stay", FROM "X-Status: F\nX-UID: 7\n\n", 0,
      FROM "X-UIDL: id\nX-Status: F\nX-UID: 7\nStatus: U\n\n" },
    { "no field", FROM "\n", 0, FROM "X-UIDL: id\nStatus: U\n\n" },
    { "nothing but the From_ line", FROM, 0, FROM "X-UIDL: id\nStatus: U\n" },
    { "a From_ line without its end", "From a@b Sat Nov 22 10:00:00 2025", 0, FROM "X-UIDL: id\nStatus: U\n" },
    { "a last line without its end", FROM "Subject: x", 0, FROM "X-UIDL: id\nSubject: x\nStatus: U\n" },
    { "an empty line without its LF, and no text made of Status", FROM "Subject: x\n\r", 0, FROM "X-UIDL: id\nSubject: x\nStatus: U\n\r" },
    { "CRLF", "From a@b Sat Nov 22 10:00:00 2025\r\nSubject: x\r\n\r\n", 0,
      "From a@b Sat Nov 22 10:00:00 2025\r\nX-UIDL: id\r\nSubject: x\r\nStatus: U\r\n\r\n" },
    { "lines that continue no field stay behind the From_ line", FROM " more\n\tof it\nSubject: x\n\n", 0,
      FROM " more\n\tof it\nX-UIDL: id\nSubject: x\nStatus: U\n\n" },
    { "nothing but lines that continue no field", FROM " more\n\n", 0, FROM " more\nX-UIDL: id\nStatus: U\n\n" },
    { "a continued X-UIDL field of ours goes with what follows it", FROM " more\nX-UIDL: old\n folded\nA: 1\n\n", 0,
      FROM " more\nX-UIDL: id\nA: 1\nStatus: U\n\n" },
    { "a line that is no field", FROM ">From c\nSubject: x\n\n", 0,
      FROM "X-UIDL: id\n>From c\nSubject: x\nStatus: U\n\n" },
};

static int drop;

static void put(const char *bytes, size_t n)
{
    char path[] = "/tmp/test_writeback.XXXXXX";

    drop = mkstemp(path);
    ck_assert_int_ge(drop, 0);
    unlink(path);
    ck_assert_int_eq(pwrite(drop, bytes, n, 7), (ssize_t)n); /* not at the start */
}

static struct message message(const char *bytes, size_t n)
{
    const char *end = memchr(bytes, '\n', n);

    return (struct message){ .offset = 7, .length = n + 100, .header_len = (uint32_t)n,
                             .from_len = (uint16_t)(end ? (size_t)(end - bytes) + 1 : n) };
}

START_TEST(headers)
{
    const struct rewritten *c = &cases[_i];
    struct strbuf out = STRBUF_INIT(WRITEBACK_MAX + 1024), why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct message m = message(c->before, strlen(c->before));

    put(c->before, strlen(c->before));
    m.flags = (uint8_t)c->flags;
    ck_assert_int_eq(writeback_header(drop, &m, "id", &out, &why), 1);
    ck_assert_msg(strcmp(out.data, c->after) == 0, "%s: %s", c->name, out.data);
    strbuf_free(&out);
    close(drop);
}
END_TEST

START_TEST(long_headers_stay)
{
    struct strbuf out = STRBUF_INIT(WRITEBACK_MAX + 1024), why = STRBUF_INIT(STRBUF_WHY_MAX);
    size_t n = WRITEBACK_MAX;
    char *bytes = mem_new(n + 1, 1);
    struct message m;

    memset(bytes, 'x', n + 1);
    memcpy(bytes, FROM, strlen(FROM));
    put(bytes, n + 1);
    m = message(bytes, n);
    ck_assert_int_eq(writeback_header(drop, &m, "id", &out, &why), 1);
    ck_assert_uint_eq(out.len, n + strlen("X-UIDL: id\n" "\n" "Status: U\n"));
    m = message(bytes, n + 1);
    ck_assert_int_eq(writeback_header(drop, &m, "id", &out, &why), 0);
    m.header_len = UINT32_MAX;
    ck_assert_int_eq(writeback_header(drop, &m, "id", &out, &why), 0);
    mem_free(bytes);
    strbuf_free(&out);
    close(drop);
}
END_TEST

static const struct base {
    const char *name, *header, *want;
} bases[] = {
    { "none", FROM "Subject: x\n\n", "" },
    { "there", FROM "Subject: x\nx-imapbase: 17 5 $Junk\nTo: y\n\n", "X-IMAPbase: 17 5 $Junk\n" },
    { "of an internal message", FROM "X-IMAP: 17 5\n\n", "X-IMAPbase: 17 5\n" },
    { "the last line, without an end", FROM "X-IMAP: 17 5", "X-IMAPbase: 17 5\n" },
};

START_TEST(imapbase)
{
    const struct base *c = &bases[_i];
    struct strbuf out = STRBUF_INIT(1000), why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct message m = message(c->header, strlen(c->header));

    put(c->header, strlen(c->header));
    ck_assert_int_eq(writeback_imapbase(drop, &m, &out, &why), 0);
    ck_assert_msg(strcmp(out.data, c->want) == 0, "%s: %s", c->name, out.data);
    ck_assert_int_eq(writeback_start(drop, &m, &out, &why), 1);
    ck_assert_str_eq(out.data, FROM);
    writeback_insert(&out, "New: 1\n");
    ck_assert_str_eq(out.data, FROM "New: 1\n");
    strbuf_reset(&out);
    strbuf_adds(&out, FROM " of nothing\nA: 1\n\n");
    writeback_insert(&out, "New: 1\n");
    ck_assert_str_eq(out.data, FROM " of nothing\nNew: 1\nA: 1\n\n");
    strbuf_free(&out);
    close(drop);
}
END_TEST

START_TEST(a_short_file_is_an_error)
{
    struct strbuf out = STRBUF_INIT(WRITEBACK_MAX), why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct message m = message(FROM, strlen(FROM));

    put(FROM, strlen(FROM) - 1);
    ck_assert_int_eq(writeback_header(drop, &m, "id", &out, &why), -1);
    ck_assert_str_eq(why.data, "cannot read a message's header: the file has become shorter");
    strbuf_free(&why);
    close(drop);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("writeback");
    TCase *tc = tcase_create("writeback");

    tcase_add_loop_test(tc, headers, 0, sizeof cases / sizeof *cases);
    tcase_add_test(tc, long_headers_stay);
    tcase_add_loop_test(tc, imapbase, 0, sizeof bases / sizeof *bases);
    tcase_add_test(tc, a_short_file_is_an_error);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
