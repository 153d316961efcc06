/* mboxscan: From_ lines, what begins a message and what does not, flags, ids; blocks of any size give the same. */
#include "config.h"

#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "mail/mboxscan.h"
#include "tests/unit/memfile.h"

#define FROM "From a@b Mon Jan  1 00:00:00 2024\n"
#define NEXT "From c@d Tue Jan  2 00:00:00 2024\n"
#define T(text) text, sizeof text - 1

static struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
static char logged[2000];
static unsigned log_records;
static const struct mboxscan_rules plain = { .format = UIDL_QPOPPER };

static void sink(void *context, int priority, const char *text, size_t length)
{
    (void)context;
    (void)priority;
    log_records++;
    snprintf(logged, sizeof logged, "%.*s", (int)length, text);
}

static enum mboxscan_result scan_with(struct msglist *list, const char *file, size_t n, const struct mboxscan_rules *rules)
{
    msglist_init(list);
    memfile_use(file, n);
    strbuf_reset(&why);
    log_records = 0;
    return mboxscan_file(3, 0, n, MSGSRC_DROP, rules, NULL, list, &why);
}

static void scan(struct msglist *list, const char *file, size_t n)
{
    ck_assert_msg(scan_with(list, file, n, &plain) == MBOXSCAN_OK, "%s", why.data);
}

static const char *uid(const struct msglist *list, size_t i)
{
    return msglist_uid(list, &list->messages[i]);
}

/* ---- From_ lines */

static const char *const from_lines[] = {
    "From me Sat Jan  3 01:05 1996",
    "From me Sat Jan  3 01:05:34 1996",
    "From me Sat Jan  3 01:05 MET 1996",
    "From me Sat Jan  3 01:05:34 MET 1996",
    "From me Sat Jan  3 01:05 +0100 1996",
    "From me Sat Jan  3 01:05:34 -0830 1996",
    "From me Sat Jan  3 01:05 1996 CEST",
    "From me Sat Jan  3 01:05:34 1996 Z",
    "From me Sat Jan  3 01:05 1996 +0000",
    "From me Sat Jan  3 01:05:34 1996 -1200",
    "From me Sat Jan  3 01:05:34 1996 remote from host",
    "From me Sat Jan  3 01:05 EST 1996 remote from host.example",
    "From Sat Jan  3 01:05:34 1996",
    "From  Sat Jan  3 01:05:34 1996",
    "From \"two words\"@host  Sat Jan 13 1:05:34 1996 ",
    "From MAILER-DAEMON Sat Jan 31 23:59:60 2100",
    "From a\tSat Jan 01 00:00:00 1970",
    "From remote from x Sat Jan 01 00:00:00 1970",
};

START_TEST(a_from_line)
{
    ck_assert_msg(mboxscan_is_from(from_lines[_i], strlen(from_lines[_i])), "%s", from_lines[_i]);
}
END_TEST

static const char *const other_lines[] = {
    "",
    "From",
    "From ",
    "From me",
    "from me Sat Jan  3 01:05:34 1996",
    ">From me Sat Jan  3 01:05:34 1996",
    "From: me Sat Jan  3 01:05:34 1996",
    "From meSat Jan  3 01:05:34 1996",
    "From me Xxx Jan  3 01:05:34 1996",
    "From me sat Jan  3 01:05:34 1996",
    "From me Sat Jun. 3 01:05:34 1996",
    "From me Sat Jan  0 01:05:34 1996",
    "From me Sat Jan 32 01:05:34 1996",
    "From me Sat Jan  3 24:05:34 1996",
    "From me Sat Jan  3 01:60:34 1996",
    "From me Sat Jan  3 01:05:62 1996",
    "From me Sat Jan  3 01:05:3 1996",
    "From me Sat Jan  3 0105 1996",
    "From me Sat Jan  3 01:05:34:00 1996",
    "From me Sat Jan  3 01:05:34 96",
    "From me Sat Jan  3 01:05:34 19966",
    "From me Sat Jan  3 01:05:34 199x",
    "From me Sat Jan  3 01:05:34 MET 1996 MET",
    "From me Sat Jan  3 01:05:34 MET DST 1996",
    "From me Sat Jan  3 01:05:34 +100 1996",
    "From me Sat Jan  3 01:05:34 SEVENTH 1996",
    "From me Sat Jan  3 01:05:34 1996 remote from",
    "From me Sat Jan  3 01:05:34 1996 remote host",
    "From me Sat Jan  3 01:05:34 1996 and more text",
    "From me Jan  3 01:05:34 1996",
    "From me Sat  3 01:05:34 1996",
    "From me Sat Jan 01:05:34 1996",
    "From me Sat Jan  3 1996",
    "From me Sat Jan  3 01:05:34",
};

START_TEST(no_from_line)
{
    ck_assert_msg(!mboxscan_is_from(other_lines[_i], strlen(other_lines[_i])), "%s", other_lines[_i]);
}
END_TEST

/* ---- where messages begin */

static const struct {
    const char *name;
    const char *file;
    size_t size;
    size_t count;
} files[] = {
    { "one", T(FROM "A: b\n\ntext\n"), 1 },
    { "two", T(FROM "A: b\n\ntext\n\n" NEXT "C: d\n\n"), 2 },
    { "no empty line between", T(FROM "A: b\n\ntext\n" NEXT "C: d\n\n"), 1 },
    { "empty lines with CR", T(FROM "A: b\r\n\r\ntext\r\n\r\n" NEXT), 2 },
    { "CR alone is no empty line", T(FROM "A: b\n\ntext\n\r" NEXT), 1 },
    { "CR CR LF is no empty line", T(FROM "A: b\n\ntext\n\r\r\n" NEXT), 1 },
    { "a blank is no empty line", T(FROM "A: b\n\ntext\n \n" NEXT), 1 },
    { "right after the header", T(FROM "A: b\n\n" NEXT), 2 },
    { "right after From_ and an empty line", T(FROM "\n" NEXT), 2 },
    { "inside the header", T(FROM "A: b\n" NEXT "C: d\n\n"), 1 },
    { "three with empty bodies", T(FROM "\n" NEXT "\n" FROM "\n"), 3 },
    { "no date", T(FROM "A: b\n\ntext\n\nFrom my house to yours\n"), 1 },
    { "no line end at the end", T(FROM "A: b\n\ntext\n\nFrom c@d Tue Jan  2 00:00:00 2024"), 2 },
    { "the line is cut at the end", T(FROM "A: b\n\ntext\n\nFrom c@d Tue Jan  2 00:00:00 202"), 1 },
    { "only From_ is left", T(FROM "A: b\n\ntext\n\nFrom "), 1 },
    { "only F is left", T(FROM "A: b\n\ntext\n\nF"), 1 },
    { "padding", T(FROM "A: b\n\ntext\n\n\0\0\0\0" NEXT "\n"), 2 },
    { "padding after the header", T(FROM "A: b\n\n\0" NEXT "\n"), 2 },
    { "padding without an empty line", T(FROM "A: b\n\ntext\n\0\0" NEXT "\n"), 1 },
    { "padding inside a line", T(FROM "A: b\n\ntext\n\nx\0\0" NEXT "\n"), 1 },
    { "padding inside the header", T(FROM "A: b\n\0\0" NEXT "\n"), 1 },
    { "NULs and a line end are no empty line", T(FROM "A: b\n\ntext\n\0\n" NEXT "\n"), 1 },
    { "padding at the start", T("\0\0\0" FROM "A: b\n\n"), 2 },
    { "padding at the end", T(FROM "A: b\n\ntext\n\n\0\0\0"), 1 },
};

static void check_ranges(const struct msglist *list, size_t size, const char *name)
{
    uint64_t at = 0;

    for (size_t i = 0; i < list->count; i++) {
        const struct message *m = &list->messages[i];

        ck_assert_msg(m->offset == at && m->length > 0 && m->header_len <= m->length && m->from_len <= m->header_len, "%s: message %zu", name, i);
        ck_assert_msg(m->octets >= 2, "%s: octets of message %zu", name, i);
        at += m->length;
    }
    ck_assert_msg(at == size, "%s: %llu bytes", name, (unsigned long long)at);
}

START_TEST(messages_are_found)
{
    struct msglist list;

    for (size_t block = 0; block < 60; block++) {
        mboxscan_set_limits(block, 0);
        scan(&list, files[_i].file, files[_i].size);
        ck_assert_msg(list.count == files[_i].count, "%s, block %zu: %zu messages", files[_i].name, block, list.count);
        check_ranges(&list, files[_i].size, files[_i].name);
        msglist_free(&list);
    }
}
END_TEST

START_TEST(an_empty_file_has_none)
{
    struct msglist list;

    scan(&list, "", 0);
    ck_assert_uint_eq(list.count, 0);
    ck_assert_uint_eq(memfile_reads, 0);
    msglist_free(&list);
}
END_TEST

static const struct {
    const char *name, *file;
    size_t size;
} not_mbox[] = {
    { "text", T("Hello\n") },
    { "an empty line first", T("\n" FROM "A: b\n\n") },
    { "no date", T("From me\nA: b\n\n") },
    { "babyl", T("BABYL OPTIONS:\n") },
    { "only NULs", T("\0\0\0\0") },
    { "NULs and text", T("\0\0\0\0text") },
    { "one letter", T("F") },
};

START_TEST(not_an_mbox)
{
    struct msglist list;

    for (size_t block = 0; block < 4; block++) {
        mboxscan_set_limits(block, 0);
        ck_assert_msg(scan_with(&list, not_mbox[_i].file, not_mbox[_i].size, &plain) == MBOXSCAN_NOT_MBOX, "%s", not_mbox[_i].name);
        ck_assert_ptr_nonnull(strstr(why.data, "no From_ line with a date at offset 0"));
        msglist_free(&list);
    }
}
END_TEST

START_TEST(read_errors_are_told)
{
    static const char file[] = FROM "A: b\n\ntext\n\n" NEXT "C: d\n\n";
    struct msglist list;

    msglist_init(&list);
    memfile_use(file, sizeof file - 1);
    ck_assert_int_eq(mboxscan_file(3, 0, sizeof file + 9, MSGSRC_DROP, &plain, NULL, &list, &why), MBOXSCAN_IO);
    ck_assert_ptr_nonnull(strstr(why.data, "became shorter"));
    mboxscan_set_limits(10, 0);
    memfile_size = 60;
    ck_assert_int_eq(mboxscan_file(3, 0, sizeof file - 1, MSGSRC_DROP, &plain, NULL, &list, &why), MBOXSCAN_IO);
    ck_assert_ptr_nonnull(strstr(why.data, "it ends at offset 60"));
    memfile_errno = EIO;
    ck_assert_int_eq(mboxscan_file(3, 0, sizeof file - 1, MSGSRC_DROP, &plain, NULL, &list, &why), MBOXSCAN_IO);
    ck_assert_ptr_nonnull(strstr(why.data, "Input/output error"));
    msglist_free(&list);
}
END_TEST

/* ---- long lines */

static char big[400000];

static size_t put(size_t at, const char *text)
{
    memcpy(big + at, text, strlen(text));
    return at + strlen(text);
}

static size_t put_many(size_t at, char c, size_t n)
{
    memset(big + at, c, n);
    return at + n;
}

START_TEST(what_follows_a_long_line_is_no_message)
{
    static const size_t lengths[] = { 1000, 1022, 1023, 1024, 4096, 65535, 65536, 262144, 300000 };
    struct msglist list;
    size_t n = put(0, FROM "A: b\n\n");

    n = put_many(n, 'x', lengths[_i]);
    n = put(n, "\n" NEXT "\ntext\n\n" NEXT "\n");
    scan(&list, big, n);
    ck_assert_uint_eq(list.count, 2); /* the first NEXT does not count, the second does */
    check_ranges(&list, n, "long line");
    msglist_free(&list);
}
END_TEST

START_TEST(a_from_line_has_a_greatest_length)
{
    struct msglist list;

    for (size_t more = 0; more < 2; more++) {
        size_t n = put(0, FROM "A: b\n\ntext\n\nFrom ");

        n = put_many(n, 'x', MBOXSCAN_FROM_MAX - 6 - 25 + more);
        n = put(n, " Tue Jan  2 00:00:00 2024\n\n");
        for (size_t block = 0; block < 4000; block = block * 3 + 1000) {
            mboxscan_set_limits(block, 0);
            scan(&list, big, n);
            ck_assert_uint_eq(list.count, 2 - more);
            if (!more)
                ck_assert_uint_eq(list.messages[1].from_len, MBOXSCAN_FROM_MAX);
            msglist_free(&list);
        }
    }
}
END_TEST

/* A field that is longer than the block. The id must depend on all of it and on nothing else. */
START_TEST(long_fields_count_to_their_end)
{
    char first[UIDL_MAX + 1] = "";
    struct msglist list;

    for (int other = 0; other < 2; other++) {
        size_t n = put(0, FROM "Subject: ");

        n = put_many(n, 's', 300000);
        big[n - 1] = other ? 't' : 's';
        n = put(n, "\n\tfolded\n\ntext\n");
        for (size_t block = 0; block < 262144; block = block * 7 + 997) {
            mboxscan_set_limits(block, 0);
            scan(&list, big, n);
            ck_assert_uint_eq(list.count, 1);
            if (!first[0])
                strcpy(first, uid(&list, 0));
            ck_assert_int_eq(strcmp(first, uid(&list, 0)) == 0, other == 0);
            msglist_free(&list);
        }
    }
}
END_TEST

START_TEST(lone_crs_count_wherever_the_block_ends)
{
    static const char file[] = FROM "Subject: this line is\rlong\rand has\r\rCRs\r\n\n";
    char first[UIDL_MAX + 1] = "";
    struct msglist list;

    for (size_t block = 0; block < 100; block++) {
        mboxscan_set_limits(block, 0);
        scan(&list, file, sizeof file - 1);
        if (!first[0])
            strcpy(first, uid(&list, 0));
        ck_assert_str_eq(uid(&list, 0), first);
        ck_assert_uint_eq(list.messages[0].octets, sizeof file - sizeof FROM + 1);
        msglist_free(&list);
    }
}
END_TEST

/* ---- ids */

static const struct {
    const char *name, *changed; /* against FROM "Received: r\n\tr2\nDate: d\nMessage-Id: m\nSubject: s\nX-Other: o\nStatus: O\n\ntext\n" */
    bool same;
} id_cases[] = {
    { "Status", FROM "Received: r\n\tr2\nDate: d\nMessage-Id: m\nSubject: s\nX-Other: o\nStatus: RO\n\ntext\n", true },
    { "other field", FROM "Received: r\n\tr2\nDate: d\nMessage-Id: m\nSubject: s\nX-Status: A\nStatus: O\n\ntext\n", true },
    { "Content-Length", FROM "Received: r\n\tr2\nDate: d\nMessage-Id: m\nSubject: s\nContent-Length: 3\nX-Other: o\nStatus: O\n\ntext\n", true },
    { "invalid X-UIDL", FROM "X-UIDL: a b\nReceived: r\n\tr2\nDate: d\nMessage-Id: m\nSubject: s\nX-Other: o\nStatus: O\n\ntext\n", true },
    { "body", FROM "Received: r\n\tr2\nDate: d\nMessage-Id: m\nSubject: s\nX-Other: o\nStatus: O\n\nother\n", true },
    { "fields in the body", FROM "Received: r\n\tr2\nDate: d\nMessage-Id: m\nSubject: s\nX-Other: o\nStatus: O\n\nSubject: x\n", true },
    { "CRLF", FROM "Received: r\r\n\tr2\r\nDate: d\r\nMessage-Id: m\r\nSubject: s\r\nX-Other: o\r\nStatus: O\r\n\r\ntext\r\n", true },
    { "no line end", FROM "X-Other: o\nReceived: r\n\tr2\nDate: d\nMessage-Id: m\nSubject: s", true },
    { "From_", NEXT "Received: r\n\tr2\nDate: d\nMessage-Id: m\nSubject: s\nX-Other: o\nStatus: O\n\ntext\n", false },
    { "Received", FROM "Received: R\n\tr2\nDate: d\nMessage-Id: m\nSubject: s\nX-Other: o\nStatus: O\n\ntext\n", false },
    { "folded line", FROM "Received: r\n\tr3\nDate: d\nMessage-Id: m\nSubject: s\nX-Other: o\nStatus: O\n\ntext\n", false },
    { "Date", FROM "Received: r\n\tr2\nDate: D\nMessage-Id: m\nSubject: s\nX-Other: o\nStatus: O\n\ntext\n", false },
    { "Message-Id", FROM "Received: r\n\tr2\nDate: d\nMessage-Id: M\nSubject: s\nX-Other: o\nStatus: O\n\ntext\n", false },
    { "Subject", FROM "Received: r\n\tr2\nDate: d\nMessage-Id: m\nSubject: S\nX-Other: o\nStatus: O\n\ntext\n", false },
    { "stored X-UIDL", FROM "X-UIDL: ab\nReceived: r\n\tr2\nDate: d\nMessage-Id: m\nSubject: s\nX-Other: o\nStatus: O\n\ntext\n", false },
};

START_TEST(what_an_id_is_made_of)
{
    static const char file[] = FROM "Received: r\n\tr2\nDate: d\nMessage-Id: m\nSubject: s\nX-Other: o\nStatus: O\n\ntext\n";
    struct msglist a, b;

    for (int format = UIDL_QPOPPER; format <= UIDL_UW; format++) {
        struct mboxscan_rules rules = { .format = (enum uidl_format)format };

        for (size_t block = 0; block < 40; block++) {
            mboxscan_set_limits(0, 0);
            scan_with(&a, file, sizeof file - 1, &rules);
            mboxscan_set_limits(block, 0);
            scan_with(&b, id_cases[_i].changed, strlen(id_cases[_i].changed), &rules);
            ck_assert_msg((strcmp(uid(&a, 0), uid(&b, 0)) == 0) == id_cases[_i].same, "%s, block %zu", id_cases[_i].name, block);
            msglist_free(&a);
            msglist_free(&b);
        }
    }
}
END_TEST

START_TEST(ids_are_hashes_of_from_fields_and_from)
{
    static const char file[] = FROM "Subject: s\nX: y\nReceived: r\r\n\tr2\n\n";
    static const char hashed[] = FROM "Subject: s\nReceived: r\n\tr2\n" FROM;
    static const size_t from = sizeof FROM - 1, all = sizeof hashed - 1;
    unsigned char digest[DIGEST_MD5_SIZE];
    struct mboxscan_rules rules = { .format = UIDL_MD5 };
    struct strbuf hex = STRBUF_INIT(100);
    struct msglist list;

    digest_md5(hashed, all - from, digest);
    digest_hex(&hex, digest, sizeof digest);
    scan_with(&list, file, sizeof file - 1, &rules);
    ck_assert_str_eq(uid(&list, 0), hex.data);
    msglist_free(&list);

    digest_md5(hashed, all, digest);
    scan(&list, file, sizeof file - 1);
    for (int group = 0; group < 4; group++) {
        uint32_t v = ((digest[4 * group] * 16u + digest[4 * group + 1]) * 16 + digest[4 * group + 2]) * 16 + digest[4 * group + 3];

        for (int i = 0; i < 5; i++, v /= 80)
            ck_assert_int_eq(uid(&list, 0)[5 * group + i], 0x21 + v % 80 == '.' ? '~' : (int)(0x21 + v % 80));
    }
    strbuf_free(&hex);
    msglist_free(&list);
}
END_TEST

START_TEST(stored_ids)
{
    static const char file[] = FROM "x-uidl:  one\n two\n\n" NEXT "X-UIDL: \xe4\nX-UIDL: 2nd\n\n" NEXT "X-UIDLs: 3\n\nX-UIDL: 4\n";
    struct msglist list;

    for (size_t block = 0; block < 40; block++) {
        mboxscan_set_limits(block, 0);
        scan(&list, file, sizeof file - 1);
        ck_assert_str_eq(uid(&list, 0), "one");
        ck_assert_str_eq(uid(&list, 1), "2nd");
        ck_assert_uint_eq(strlen(uid(&list, 2)), 20);
        ck_assert_int_eq(list.messages[0].flags, MSG_UID_STORED);
        ck_assert_int_eq(list.messages[2].flags, 0);
        msglist_free(&list);
    }
}
END_TEST

START_TEST(imap_ids)
{
    /* The first field of the first message counts. */
    static const char file[] = FROM "X-UID: 7\nX-IMAPbase: 1000000000 0000000009 word\nX-IMAPbase: 6 6\nX-IMAP: 7 7\n\n" NEXT "X-IMAPbase: 5 5\nX-UID: 8\n\n" NEXT "X-UID: 4294967296\n\n" NEXT
                                    "X-UID: 9x\n\n" NEXT "X-UID: 10\nX-UIDL: stored\n\n";
    struct mboxscan_rules rules = { .format = UIDL_DOVECOT };
    struct msglist list, rest;
    uint32_t validity = 0;

    scan_with(&list, file, sizeof file - 1, &rules);
    ck_assert_str_eq(uid(&list, 0), "000000073b9aca00");
    ck_assert_str_eq(uid(&list, 1), "000000083b9aca00"); /* X-IMAPbase of a later message is somebody's joke */
    ck_assert_uint_eq(strlen(uid(&list, 2)), 20);
    ck_assert_uint_eq(strlen(uid(&list, 3)), 20);
    ck_assert_str_eq(uid(&list, 4), "stored");
    ck_assert(list.messages[1].flags & MSG_UID_STORED);
    ck_assert(!(list.messages[2].flags & MSG_UID_STORED));
    msglist_free(&list);

    /* grown: what the first scan learned is handed on */
    msglist_init(&list);
    msglist_init(&rest);
    ck_assert_int_eq(mboxscan_file(3, 0, sizeof file - 1, MSGSRC_DROP, &rules, &validity, &list, &why), MBOXSCAN_OK);
    ck_assert_uint_eq(validity, 1000000000);
    ck_assert_int_eq(mboxscan_file(3, list.messages[1].offset, sizeof file - 1, MSGSRC_DROP, &rules, &validity, &rest, &why), MBOXSCAN_OK);
    ck_assert_uint_eq(rest.count, 4);
    ck_assert_uint_eq(validity, 1000000000);
    for (size_t i = 0; i < rest.count; i++) {
        ck_assert_str_eq(uid(&rest, i), uid(&list, i + 1));
        ck_assert_uint_eq(rest.messages[i].offset, list.messages[i + 1].offset);
        ck_assert_uint_eq(rest.messages[i].octets, list.messages[i + 1].octets);
    }
    msglist_free(&list);
    msglist_free(&rest);
}
END_TEST

START_TEST(a_scan_from_the_middle_needs_a_from_line)
{
    static const char file[] = FROM "A: b\n\ntext\n\n" NEXT "C: d\n\n";
    struct msglist list;

    msglist_init(&list);
    memfile_use(file, sizeof file - 1);
    ck_assert_int_eq(mboxscan_file(3, 5, sizeof file - 1, MSGSRC_DROP, &plain, NULL, &list, &why), MBOXSCAN_NOT_MBOX);
    ck_assert_ptr_nonnull(strstr(why.data, "offset 5"));
    ck_assert_int_eq(mboxscan_file(3, sizeof file - 1, sizeof file - 1, MSGSRC_LEFTOVER, &plain, NULL, &list, &why), MBOXSCAN_OK);
    ck_assert_uint_eq(list.count, 0);
    ck_assert_int_eq(mboxscan_file(3, sizeof FROM - 1 + 12, sizeof file - 1, MSGSRC_LEFTOVER, &plain, NULL, &list, &why), MBOXSCAN_OK);
    ck_assert_uint_eq(list.count, 1);
    ck_assert_int_eq(list.messages[0].source, MSGSRC_LEFTOVER);
    msglist_free(&list);
}
END_TEST

/* ---- flags */

static const struct {
    const char *name, *file;
    size_t size;
    bool status_headers, uw_kluge;
    unsigned flags;
} flag_cases[] = {
    { "nothing", T(FROM "A: b\n\ntext\n"), false, true, 0 },
    { "read", T(FROM "Status: RO\n\ntext\n"), false, true, MSG_SEEN },
    { "read, small letters in the name", T(FROM "STATUS: OR\n\ntext\n"), false, true, MSG_SEEN },
    { "old, not read", T(FROM "Status: O\nX-Status: R\nSubject: R\n\nStatus: R\n"), false, true, 0 },
    { "NUL in the body", T(FROM "A: b\n\nte\0xt\n"), false, true, MSG_NULS },
    { "NUL at a line start", T(FROM "A: b\n\ntext\n\0text\n"), false, true, MSG_NULS },
    { "NUL in the header", T(FROM "A: \0b\n\ntext\n"), false, true, MSG_NULS },
    { "NULs at the end", T(FROM "A: b\n\ntext\n\0\0"), false, true, MSG_NULS },
    { "NULs at the end of the header", T(FROM "A: b\n\0\0"), false, true, MSG_NULS },
    { "NUL in From_ is not sent", T("From a\0b Mon Jan  1 00:00:00 2024\nA: b\n\ntext\n"), false, true, 0 },
    { "status headers", T(FROM "A: b\n\ntext\n"), true, true, MSG_EDITED },
    { "UW: subject and X-IMAP", T(FROM "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1 2\n\n"), false, true, MSG_HIDDEN },
    { "UW: From and X-IMAP", T(FROM "From: Mail System Internal Data <x@y>\nX-IMAP: 1 2\n\n"), false, true, MSG_HIDDEN },
    { "UW: subject and From", T(FROM "From: mail system internal data\nSubject: folder internal data\n\n"), false, true, MSG_HIDDEN },
    { "UW: one sign", T(FROM "Subject: folder internal data\nSubject:\n\n"), false, true, 0 },
    { "UW: not wanted", T(FROM "From: Mail System Internal Data <x@y>\nX-IMAP: 1 2\n\n"), false, false, 0 },
};

START_TEST(flags)
{
    struct mboxscan_rules rules = { .status_headers = flag_cases[_i].status_headers, .uw_kluge = flag_cases[_i].uw_kluge };
    struct msglist list;

    for (size_t block = 0; block < 40; block++) {
        mboxscan_set_limits(block, 0);
        ck_assert_int_eq(scan_with(&list, flag_cases[_i].file, flag_cases[_i].size, &rules), MBOXSCAN_OK);
        ck_assert_msg(list.messages[0].flags == flag_cases[_i].flags, "%s: flags %#x", flag_cases[_i].name, list.messages[0].flags);
        msglist_free(&list);
    }
}
END_TEST

START_TEST(only_the_first_message_can_be_internal)
{
    static const char file[] = FROM "A: b\n\n" NEXT "From: Mail System Internal Data <x@y>\nX-IMAP: 1 2\n\n";
    struct mboxscan_rules rules = { .uw_kluge = true };
    struct msglist list;

    scan_with(&list, file, sizeof file - 1, &rules);
    ck_assert_int_eq(list.messages[1].flags & MSG_HIDDEN, 0);
    msglist_free(&list);
}
END_TEST

START_TEST(padding_is_logged_once_and_kept)
{
    static const char file[] = "\0\0\0" FROM "A: b\n\ntext\n\n\0\0" NEXT "\n\0" NEXT;
    struct msglist list;

    scan(&list, file, sizeof file - 1);
    ck_assert_uint_eq(log_records, 1);
    ck_assert_ptr_nonnull(strstr(logged, "NUL bytes stand before the message at offset 3"));
    ck_assert_uint_eq(list.count, 4);
    ck_assert_int_eq(list.messages[0].flags & MSG_HIDDEN, MSG_HIDDEN);
    ck_assert_uint_eq(list.messages[0].length, 3);
    ck_assert_uint_eq(list.messages[1].octets, 14);
    ck_assert_uint_eq(list.messages[2].octets, 2);
    check_ranges(&list, sizeof file - 1, "padding");
    msglist_free(&list);
}
END_TEST

START_TEST(padding_without_a_message_behind_is_not_logged)
{
    static const char file[] = FROM "A: b\n\ntext\n\n\0\0\n";
    struct msglist list;

    scan(&list, file, sizeof file - 1);
    ck_assert_uint_eq(log_records, 0);
    msglist_free(&list);
}
END_TEST

/* More header than header_len can say: the whole message is header. The octets stay those of msgsend. */
START_TEST(an_endless_header_has_no_body)
{
    static const struct {
        const char *file;
        uint64_t octets;
    } cases[] = {
        { FROM "A: b\nC: d\n\ntext\n\n", 22 }, { FROM "A: b\nC: d\n\ntext\n", 22 }, { FROM "A: b\nC: d\n\n", 14 }, { FROM "A: b\nC: d\n", 14 },
        { FROM "A: b\nX-UIDL: 2\n\ntext", 27 },
    };
    struct msglist list;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mboxscan_rules rules = { .status_headers = i & 1 };

        mboxscan_set_limits(0, 40);
        ck_assert_int_eq(scan_with(&list, cases[i].file, strlen(cases[i].file), &rules), MBOXSCAN_OK);
        ck_assert_uint_eq(list.messages[0].header_len, UINT32_MAX);
        ck_assert_uint_eq(msglist_header_len(&list.messages[0]), list.messages[0].length);
        ck_assert_uint_eq(list.messages[0].octets, cases[i].octets);
        ck_assert_int_eq(list.messages[0].flags & MSG_EDITED, 0);
        msglist_free(&list);
    }
}
END_TEST

#define LOOP(tc, test, table) tcase_add_loop_test(tc, test, 0, sizeof table / sizeof table[0])

int main(void)
{
    Suite *suite = suite_create("mboxscan");
    TCase *tc = tcase_create("mboxscan");

    log_set_sink(sink, NULL);
    LOOP(tc, a_from_line, from_lines);
    LOOP(tc, no_from_line, other_lines);
    LOOP(tc, messages_are_found, files);
    tcase_add_test(tc, an_empty_file_has_none);
    LOOP(tc, not_an_mbox, not_mbox);
    tcase_add_test(tc, read_errors_are_told);
    tcase_add_loop_test(tc, what_follows_a_long_line_is_no_message, 0, 9);
    tcase_add_test(tc, a_from_line_has_a_greatest_length);
    tcase_add_test(tc, long_fields_count_to_their_end);
    tcase_add_test(tc, lone_crs_count_wherever_the_block_ends);
    LOOP(tc, what_an_id_is_made_of, id_cases);
    tcase_add_test(tc, ids_are_hashes_of_from_fields_and_from);
    tcase_add_test(tc, stored_ids);
    tcase_add_test(tc, imap_ids);
    tcase_add_test(tc, a_scan_from_the_middle_needs_a_from_line);
    LOOP(tc, flags, flag_cases);
    tcase_add_test(tc, only_the_first_message_can_be_internal);
    tcase_add_test(tc, padding_is_logged_once_and_kept);
    tcase_add_test(tc, padding_without_a_message_behind_is_not_logged);
    tcase_add_test(tc, an_endless_header_has_no_body);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
