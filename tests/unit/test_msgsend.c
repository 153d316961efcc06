/* msgsend: what goes out for stored bytes; and for random nasty files scanner, sender and a slow model agree (I6). */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "mail/lines.h"
#include "mail/mboxscan.h"
#include "mail/msgsend.h"
#include "tests/unit/mboxmodel.h"
#include "tests/unit/memfile.h"

#define FROM "From a@b Mon Jan  1 00:00:00 2024\n"

static struct strbuf sent = STRBUF_INIT(1 << 20);
static struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
static struct msgwindow window = MSGWINDOW_INIT;
static uint64_t ahead;

static int keep(void *context, const char *bytes, size_t n)
{
    (void)context;
    strbuf_add(&sent, bytes, n);
    return 0;
}

/* Sends message i of the file. Returns octets. */
static uint64_t send_message(const struct msglist *list, size_t i, uint64_t lines)
{
    struct outbuf out;
    uint64_t octets = 0;
    int result;

    strbuf_reset(&sent);
    outbuf_init(&out, 300, keep, NULL);
    result = msgsend_message(&window, 3, ahead, &list->messages[i], msglist_uid(list, &list->messages[i]), lines, &out, &octets, &why);
    outbuf_flush(&out);
    outbuf_free(&out);
    ck_assert_msg(result == 0, "%s", why.data);
    return octets;
}

static void scan(struct msglist *list, const char *file, size_t n, bool edited)
{
    struct mboxscan_rules rules = { .format = UIDL_QPOPPER, .status_headers = edited };

    msglist_init(list);
    memfile_use(file, n);
    msgwindow_forget(&window);
    ck_assert_msg(mboxscan_file(3, 0, n, MSGSRC_DROP, &rules, NULL, list, &why) == MBOXSCAN_OK, "%s", why.data);
}

#define T(text) text, sizeof text - 1

static const struct {
    const char *name;
    const char *file;
    size_t size;
    uint64_t lines;
    const char *sent;
    size_t sent_size;
} cases[] = {
    { "plain", T(FROM "A: b\n\ntext\n"), MSGSEND_ALL, T("A: b\r\n\r\ntext\r\n") },
    { "one empty line separates", T(FROM "A: b\n\ntext\n\n"), MSGSEND_ALL, T("A: b\r\n\r\ntext\r\n") },
    { "only one of several empty lines", T(FROM "A: b\n\ntext\n\n\n\n"), MSGSEND_ALL, T("A: b\r\n\r\ntext\r\n\r\n\r\n") },
    { "before the next message", T(FROM "A: b\n\ntext\n\n" FROM "C: d\n"), MSGSEND_ALL, T("A: b\r\n\r\ntext\r\n") },
    { "no final newline", T(FROM "A: b\n\ntext"), MSGSEND_ALL, T("A: b\r\n\r\ntext\r\n") },
    { "CRLF file", T(FROM "A: b\r\n\r\ntext\r\n\r\n"), MSGSEND_ALL, T("A: b\r\n\r\ntext\r\n") },
    { "lone CRs pass", T(FROM "A: b\n\n\rte\rxt\r\r\n"), MSGSEND_ALL, T("A: b\r\n\r\n\rte\rxt\r\r\n") },
    { "final CR", T(FROM "A: b\n\ntext\r"), MSGSEND_ALL, T("A: b\r\n\r\ntext\r\n") },
    { "dots", T(FROM ".A: b\n\n.\n..\n.text\n.."), MSGSEND_ALL, T("..A: b\r\n\r\n..\r\n...\r\n..text\r\n...\r\n") },
    { "a dot after a lone CR is inside a line", T(FROM "A: b\n\nx\r.y\n"), MSGSEND_ALL, T("A: b\r\n\r\nx\r.y\r\n") },
    { "NULs", T(FROM "A:\0b\n\n\0te\0\0xt\n"), MSGSEND_ALL, T("A: b\r\n\r\n te  xt\r\n") },
    { "padding at the end", T(FROM "A: b\n\ntext\n\n\0\0\0"), MSGSEND_ALL, T("A: b\r\n\r\ntext\r\n") },
    { "NULs at the end inside a line", T(FROM "A: b\n\ntext\n\n.\0\0"), MSGSEND_ALL, T("A: b\r\n\r\ntext\r\n\r\n..  \r\n") },
    { "only a From_ line", T(FROM), MSGSEND_ALL, T("\r\n") },
    { "no empty line after the header", T(FROM "A: b\n"), MSGSEND_ALL, T("A: b\r\n\r\n") },
    { "nor a line end", T(FROM "A: b"), MSGSEND_ALL, T("A: b\r\n\r\n") },
    { "header and empty line", T(FROM "A: b\n\n"), MSGSEND_ALL, T("A: b\r\n\r\n") },
    { "empty body", T(FROM "A: b\n\n\n"), MSGSEND_ALL, T("A: b\r\n\r\n") },
    { "empty header", T(FROM "\ntext\n\n"), MSGSEND_ALL, T("\r\ntext\r\n") },
    { "8 bits", T(FROM "A: \xff\xfe\n\n\x80\xe4\n"), MSGSEND_ALL, T("A: \xff\xfe\r\n\r\n\x80\xe4\r\n") },
    { "From_ in the body", T(FROM "A: b\n\ntext\n" FROM "more\n"), MSGSEND_ALL, T("A: b\r\n\r\ntext\r\nFrom a@b Mon Jan  1 00:00:00 2024\r\nmore\r\n") },
    { "stored X-UIDL is sent", T(FROM "X-UIDL: 123\nContent-Length: 5\n\ntext\n"), MSGSEND_ALL, T("X-UIDL: 123\r\nContent-Length: 5\r\n\r\ntext\r\n") },
    { "TOP 0", T(FROM "A: b\n\none\ntwo\n\n"), 0, T("A: b\r\n\r\n") },
    { "TOP 0 without empty line", T(FROM "A: b\n"), 0, T("A: b\r\n\r\n") },
    { "TOP 1", T(FROM "A: b\n\none\ntwo\n\n"), 1, T("A: b\r\n\r\none\r\n") },
    { "TOP 2 is all", T(FROM "A: b\n\none\ntwo\n\n"), 2, T("A: b\r\n\r\none\r\ntwo\r\n") },
    { "TOP 3 does not show the separator", T(FROM "A: b\n\none\ntwo\n\n"), 3, T("A: b\r\n\r\none\r\ntwo\r\n") },
    { "TOP counts empty lines", T(FROM "A: b\n\n\n\none\n"), 2, T("A: b\r\n\r\n\r\n\r\n") },
    { "TOP and a cut last line", T(FROM "A: b\n\none"), 1, T("A: b\r\n\r\none\r\n") },
};

START_TEST(as_stored)
{
    struct msglist list;
    uint64_t octets;

    for (size_t block = 0; block <= 17; block += block ? 1 : 16) {
        msgsend_set_block(block);
        scan(&list, cases[_i].file, cases[_i].size, false);
        octets = send_message(&list, 0, cases[_i].lines);
        ck_assert_msg(sent.len == cases[_i].sent_size && memcmp(sent.data, cases[_i].sent, sent.len) == 0, "%s, block %zu: sent %s", cases[_i].name, block,
                      sent.data);
        if (cases[_i].lines == MSGSEND_ALL)
            ck_assert_msg(octets == list.messages[0].octets, "%s: %llu octets", cases[_i].name, (unsigned long long)octets);
        msglist_free(&list);
    }
}
END_TEST

/* update-status-headers: the id is "me". */
static const struct {
    const char *name;
    const char *file;
    size_t size;
    const char *sent;
} edited_cases[] = {
    { "at the end of the header", T(FROM "A: b\n\ntext\n"), "A: b\r\nX-UIDL: me\r\n\r\ntext\r\n" },
    { "before Status", T(FROM "A: b\nstatus: RO\nC: d\nStatus: O\n\ntext\n"), "A: b\r\nX-UIDL: me\r\nstatus: RO\r\nC: d\r\nStatus: O\r\n\r\ntext\r\n" },
    { "stored ones are left out", T(FROM "x-uidl: one\n two\nA: b\nContent-Length: 7\n\t8\nX-UIDL:\n\nX-UIDL: body\n"),
      "A: b\r\nX-UIDL: me\r\n\r\nX-UIDL: body\r\n" },
    { "names that begin alike stay", T(FROM "X-UIDLs: a\nContent-Length : 3\nStatus-X: y\n\n"), "X-UIDLs: a\r\nContent-Length : 3\r\nStatus-X: y\r\nX-UIDL: me\r\n\r\n" },
    { "no empty line", T(FROM "A: b"), "A: b\r\nX-UIDL: me\r\n\r\n" },
    { "only a From_ line", T(FROM), "X-UIDL: me\r\n\r\n" },
    { "the last line is left out", T(FROM "A: b\nX-UIDL: old"), "A: b\r\nX-UIDL: me\r\n\r\n" },
    { "NUL at a line start is no fold", T(FROM "X-UIDL: old\n\0A: b\n\n"), " A: b\r\nX-UIDL: me\r\n\r\n" },
    { "CRLF", T(FROM "A: b\r\nX-UIDL: old\r\nStatus: R\r\n\r\ntext\r\n"), "A: b\r\nX-UIDL: me\r\nStatus: R\r\n\r\ntext\r\n" },
    { "dots in the header", T(FROM ".b\nX-UIDL: c\n.d\n\n.e\n"), "..b\r\n..d\r\nX-UIDL: me\r\n\r\n..e\r\n" },
};

START_TEST(with_status_headers)
{
    struct msglist list;

    for (size_t block = 0; block <= 20; block += block ? 1 : 16) {
        char id[UIDL_MAX + 1];
        uint64_t octets;

        msgsend_set_block(block);
        scan(&list, edited_cases[_i].file, edited_cases[_i].size, true);
        snprintf(id, sizeof id, "%s", msglist_uid(&list, &list.messages[0]));
        msglist_set_uid(&list, 0, "me");
        octets = send_message(&list, 0, MSGSEND_ALL);
        ck_assert_msg(strcmp(sent.data, edited_cases[_i].sent) == 0, "%s, block %zu: sent %s", edited_cases[_i].name, block, sent.data);
        ck_assert_msg(octets + strlen(id) - 2 == list.messages[0].octets, "%s: %llu octets", edited_cases[_i].name, (unsigned long long)octets);
        msglist_free(&list);
    }
}
END_TEST

START_TEST(a_file_that_was_cut_is_an_error)
{
    static const char file[] = FROM "A: b\n\ntext\n";
    struct msglist list;
    struct outbuf out;
    uint64_t octets;

    msgsend_set_block(0);
    scan(&list, file, sizeof file - 1, false);
    memfile_size -= 3;
    outbuf_init(&out, 300, keep, NULL);
    ck_assert_int_eq(msgsend_message(&window, 3, ahead, &list.messages[0], "x", MSGSEND_ALL, &out, &octets, &why), -1);
    ck_assert_ptr_nonnull(strstr(why.data, "another program cut the file"));
    memfile_errno = EIO;
    ck_assert_int_eq(msgsend_message(&window, 3, ahead, &list.messages[0], "x", MSGSEND_ALL, &out, &octets, &why), -1);
    ck_assert_ptr_nonnull(strstr(why.data, "Input/output error"));
    outbuf_free(&out);
    msglist_free(&list);
}
END_TEST

static int refuse(void *context, const char *bytes, size_t n)
{
    (void)context;
    (void)bytes;
    (void)n;
    return -1;
}

START_TEST(a_client_that_is_gone_stops_the_reading)
{
    static char file[1000000] = FROM "A: b\n\n";
    struct msglist list;
    struct outbuf out;

    memset(file + sizeof FROM + 5, 'x', sizeof file - sizeof FROM - 5);
    msgsend_set_block(1000);
    scan(&list, file, sizeof file, false);
    memfile_use(file, sizeof file);
    outbuf_init(&out, 300, refuse, NULL);
    ck_assert_int_eq(msgsend_message(&window, 3, ahead, &list.messages[0], "x", MSGSEND_ALL, &out, NULL, &why), 0);
    ck_assert(out.failed);
    ck_assert_uint_lt(memfile_reads, 5);
    outbuf_free(&out);
    msglist_free(&list);
}
END_TEST

/* A small message is read once and exactly; TOP n 0 reads nothing but the header. */
START_TEST(nothing_is_read_in_vain)
{
    static char file[300000] = FROM "A: b\n\n";
    struct msglist list;

    for (size_t i = sizeof FROM + 5; i < sizeof file; i++)
        file[i] = i % 70 ? 'x' : '\n';
    memcpy(file + 200000, "\n\n" FROM, sizeof FROM + 1);
    msgsend_set_block(0);
    scan(&list, file, sizeof file, false);
    ck_assert_uint_eq(list.count, 2);
    memfile_use(file, sizeof file);
    msgwindow_forget(&window);
    send_message(&list, 0, MSGSEND_ALL);
    ck_assert_uint_eq(memfile_reads, 1);
    ck_assert_uint_eq(memfile_bytes_read, list.messages[0].length - list.messages[0].from_len);
    memfile_use(file, sizeof file);
    msgwindow_forget(&window);
    send_message(&list, 0, 0);
    ck_assert_uint_eq(memfile_reads, 1);
    ck_assert_uint_eq(memfile_bytes_read, list.messages[0].header_len - list.messages[0].from_len);
    memfile_use(file, sizeof file);
    msgwindow_forget(&window);
    send_message(&list, 0, 5);
    ck_assert_uint_eq(memfile_reads, 1);
    ck_assert_uint_lt(memfile_bytes_read, 1000);
    msglist_free(&list);
}
END_TEST

/* ---- random files */

static uint32_t seed;

static uint32_t rnd(uint32_t below)
{
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)(seed >> 8) * below >> 24);
}

static size_t make_file(char *file, size_t max)
{
#define P(text) { text, sizeof text - 1 }
    static const struct {
        const char *text;
        size_t size;
    } pieces[] = {
        P("\n"), P("\n"), P("\n\n"), P("\n\n"), P("\r\n"), P("\r\n\r\n"), P("\r"), P("."), P("\n."), P("\0"), P("\n\0\0"), P("\n\n\0\0\0\0\0\0"),
        P("text"), P("F"), P("From "), P("\xe4\xff"), P(" "), P("\t"), P("\nFrom me\n"), P("a line that is longer than the blocks that are read\n"),
        P(FROM), P(FROM), P("\n\n" FROM), P("\n\n" FROM), P("\n\n" FROM), P("From x Tue Feb 29 1:02 MET 2000 remote from host\r\n"),
        P("\n\nFrom x Tue Feb 30 25:02:00 2000\n"), P("Status: RO\n"), P("X-UIDL: 0123456789\n"), P("X-UIDL: not valid\n"), P("Content-Length: 7\n"),
        P("Subject: s\n"), P("Received: x\n\ty\n"), P("Date: Mon\r\n"), P("Message-ID: <1>\n"), P("X-Other: y\n"), P("X-Long: a long\rline with\r\rmany\r\rlone\rCRs\rin\rit\r\r\n"), P("X-UIDL: also\rlong and\rnot valid\rat\rall\r\n"), P("\n x\n"),
    };
    size_t n = 0;

    if (rnd(8) == 0)
        for (uint32_t nuls = rnd(5); nuls > 0; nuls--)
            file[n++] = '\0';
    memcpy(file + n, FROM, sizeof FROM - 1);
    n += sizeof FROM - 1;
    if (rnd(10) == 0)
        n -= 1 + rnd(3);
    for (uint32_t count = rnd(60); count > 0; count--) {
        uint32_t i = rnd(sizeof pieces / sizeof pieces[0]);

        if (n + pieces[i].size > max)
            break;
        memcpy(file + n, pieces[i].text, pieces[i].size);
        n += pieces[i].size;
    }
    return n;
}

static size_t without_stuffing(char *text, size_t n)
{
    size_t o = 0;

    for (size_t i = 0; i < n; i++) {
        if (text[i] == '.' && (i == 0 || text[i - 1] == '\n'))
            i++;
        text[o++] = text[i];
    }
    return o;
}

/* Octets of the header and `lines` lines of the text. */
static size_t top_octets(const struct model_message *m, uint64_t lines)
{
    size_t at = m->head;

    while (lines-- > 0 && at < m->octets)
        at = (size_t)((char *)memchr(m->text + at, '\n', m->octets - at) + 1 - m->text);
    return at;
}

static void check_message(struct model *model, const struct msglist *list, size_t i, const char *file, bool edited)
{
    const struct message *m = &list->messages[i];
    struct model_message *want = &model->messages[i];
    uint64_t lines = rnd(6);

    mboxmodel_text(model, i, file, edited ? msglist_uid(list, m) : NULL);
    ck_assert_uint_eq(m->offset, want->offset);
    ck_assert_uint_eq(m->length, want->length);
    if (m->header_len == UINT32_MAX) { /* a header that counts as the whole message: the model has no such thing */
        ck_assert_uint_eq(send_message(list, i, 0), m->octets);
        return;
    }
    ck_assert_uint_eq(m->header_len, want->header_len);
    ck_assert_uint_eq(m->from_len, want->from_len);
    ck_assert_int_eq((m->flags & MSG_HIDDEN) != 0, want->hidden);
    if (want->hidden)
        return;
    ck_assert_uint_eq(m->octets, want->octets);
    ck_assert_uint_eq(send_message(list, i, MSGSEND_ALL), want->octets);
    ck_assert_uint_eq(without_stuffing(sent.data, sent.len), want->octets);
    ck_assert_mem_eq(sent.data, want->text, want->octets);
    ck_assert_uint_eq(send_message(list, i, lines), top_octets(want, lines));
    ck_assert_mem_eq(sent.data, want->text, without_stuffing(sent.data, sent.len));
}

static void check_file(const char *file, size_t n, uint32_t which)
{
    struct mboxscan_rules rules = { .format = UIDL_QPOPPER, .status_headers = rnd(2) };
    struct msglist list;
    struct model model;

    msglist_init(&list);
    memfile_use(file, n);
    msgwindow_forget(&window);
    ahead = rnd(2) ? n : 0;
    mboxmodel_make(&model, file, n);
    mboxscan_set_limits(rnd(4) ? 1 + rnd(100) : 0, rnd(8) ? 0 : 40 + rnd(100));
    msgsend_set_block(rnd(4) ? 16 + rnd(100) : 0);
    ck_assert_msg((mboxscan_file(3, 0, n, MSGSRC_DROP, &rules, NULL, &list, &why) == MBOXSCAN_OK) == model.is_mbox, "file %u: %s", which, why.data);
    ck_assert_msg(!model.is_mbox || list.count == model.count, "file %u", which);
    for (size_t i = 0; i < model.count; i++)
        check_message(&model, &list, i, file, (list.messages[i].flags & MSG_EDITED) != 0);
    msglist_free(&list);
    mboxmodel_free(&model);
}

START_TEST(random_files_agree_with_the_model)
{
    char file[4000];

    for (uint32_t which = 0; which < 20000; which++) {
        size_t n;

        seed = which * 2654435761u;
        n = make_file(file, sizeof file);
        lines_use((enum vectors)(which % (VECTORS_BEST + 1)));
        check_file(file, n, which);
    }
}
END_TEST

/* Mails of 100 bytes. */
#define HUNDRED 100
static const char *hundreds(size_t count)
{
    static char file[100 * HUNDRED];

    for (size_t i = 0; i < count; i++) {
        int n = snprintf(file + i * HUNDRED, HUNDRED, FROM "A: %zu\n\n", i + 10);

        memset(file + i * HUNDRED + n, 'x', (size_t)(HUNDRED - n - 2));
        memcpy(file + (i + 1) * HUNDRED - 2, "\n\n", 2);
    }
    return file;
}

START_TEST(messages_that_follow_each_other_are_read_together)
{
    const char *file = hundreds(60);
    struct msglist list;

    msgsend_set_block(0);
    scan(&list, file, 60 * HUNDRED, false);
    ck_assert_uint_eq(list.count, 60);
    memfile_use(file, 60 * HUNDRED);
    ahead = 50 * HUNDRED;
    for (size_t i = 0; i < 50; i++) {
        ck_assert_uint_eq(send_message(&list, i, MSGSEND_ALL), list.messages[i].octets);
        ck_assert_mem_eq(sent.data + 3, file + i * HUNDRED + sizeof FROM - 1 + 3, 2);
    }
    ck_assert_uint_eq(memfile_reads, 2); /* the first one says nothing about a second */
    ck_assert_uint_eq(memfile_bytes_read, 50 * HUNDRED - 2 * (sizeof FROM - 1));
    send_message(&list, 50, MSGSEND_ALL); /* beyond `ahead` */
    ck_assert_uint_eq(memfile_reads, 3);
    send_message(&list, 20, MSGSEND_ALL); /* not the next one */
    ck_assert_uint_eq(memfile_bytes_read, 52 * HUNDRED - 4 * (sizeof FROM - 1));
    for (size_t i = 21; i < 40; i++)
        send_message(&list, i, 0); /* TOP likewise */
    ck_assert_uint_eq(memfile_reads, 5);
    ahead = 0;
    for (size_t i = 40; i < 50; i++)
        send_message(&list, i, 0); /* unless it is not to: what is in view is used all the same */
    ck_assert_uint_eq(memfile_reads, 5);
    for (size_t i = 50; i < 60; i++)
        send_message(&list, i, 0);
    ck_assert_uint_eq(memfile_reads, 15);
    ahead = 0;
    msglist_free(&list);
}
END_TEST

START_TEST(what_cannot_be_read_ahead_is_no_error)
{
    const char *file = hundreds(10);
    struct msglist list;

    msgsend_set_block(0);
    scan(&list, file, 10 * HUNDRED, false);
    memfile_use(file, 4 * HUNDRED + 50);
    ahead = 10 * HUNDRED;
    for (size_t i = 0; i < 4; i++)
        ck_assert_uint_eq(send_message(&list, i, MSGSEND_ALL), list.messages[i].octets);
    ck_assert_int_eq(msgsend_prepare(&window, 3, ahead, &list.messages[4], MSGSEND_ALL, &why), -1);
    ck_assert_ptr_nonnull(strstr(why.data, "ends at offset 450"));
    ahead = 0;
    msglist_free(&list);
}
END_TEST

START_TEST(what_was_prepared_is_not_read_again)
{
    const char *file = hundreds(3);
    struct msglist list;

    msgsend_set_block(0);
    scan(&list, file, 3 * HUNDRED, false);
    memfile_use(file, 3 * HUNDRED);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(msgsend_prepare(&window, 3, 0, &list.messages[i], i, &why), 0);
        ck_assert_uint_eq(memfile_reads, i + 1);
        send_message(&list, i, i);
        ck_assert_uint_eq(memfile_reads, i + 1);
    }
    msglist_free(&list);
}
END_TEST

/* NULs become blanks in the window: what is in it then is not what stands in the file. */
START_TEST(the_same_message_with_nuls_twice)
{
    static const char file[] = FROM "A: \0b\n\nc\0\n\n\0\0" FROM "A: b\n\nd\n";
    struct msglist list;

    msgsend_set_block(0);
    scan(&list, file, sizeof file - 1, false);
    ahead = sizeof file - 1;
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(send_message(&list, 0, MSGSEND_ALL), list.messages[0].octets);
        ck_assert_str_eq(sent.data, "A:  b\r\n\r\nc \r\n");
        send_message(&list, 1, MSGSEND_ALL);
        ck_assert_str_eq(sent.data, "A: b\r\n\r\nd\r\n");
        ck_assert_int_eq(msgwindow_holds(&window, 3, 0, 1), 0);
    }
    ahead = 0;
    msglist_free(&list);
}
END_TEST

static void no_log(void *context, int priority, const char *text, size_t length)
{
    (void)context;
    (void)priority;
    (void)text;
    (void)length;
}

int main(void)
{
    Suite *suite = suite_create("msgsend");
    TCase *tc = tcase_create("msgsend");

    log_set_sink(no_log, NULL);
    tcase_add_loop_test(tc, as_stored, 0, sizeof cases / sizeof cases[0]);
    tcase_add_loop_test(tc, with_status_headers, 0, sizeof edited_cases / sizeof edited_cases[0]);
    tcase_add_test(tc, a_file_that_was_cut_is_an_error);
    tcase_add_test(tc, a_client_that_is_gone_stops_the_reading);
    tcase_add_test(tc, nothing_is_read_in_vain);
    tcase_add_test(tc, messages_that_follow_each_other_are_read_together);
    tcase_add_test(tc, what_cannot_be_read_ahead_is_no_error);
    tcase_add_test(tc, what_was_prepared_is_not_read_again);
    tcase_add_test(tc, the_same_message_with_nuls_twice);
    tcase_add_test(tc, random_files_agree_with_the_model);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
