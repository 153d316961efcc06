/* bulletin: names, .popbull, how one reads for a user, what a session lists, and what UPDATE does when it cannot. */
#include "config.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"
#include "mail/bulletin.h"
#include "mail/maildrop.h"
#include "tests/unit/caught_log.h"
#include "tests/unit/localhost.h"

#define FROM "From a@b Sat Nov 22 10:00:00 2025\n"

static struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);

/* ---- names */

static const struct named {
    const char *name;
    bool is;
    uint64_t number;
    const char *group;
} named[] = {
    { "23.pophost_down_sunday", true, 23, "pophost_down_sunday" },
    { "7", true, 7, "" },
    { "007", true, 7, "" },
    { "12x.staff.msg", true, 12, "staff" },
    { "12..msg", true, 12, "" },
    { "0.ALL.x", true, 0, "ALL" },
    { "9223372036854775807.a", true, INT64_MAX, "a" },
    { "9223372036854775808.a", false, 0, "a" },
    { "99999999999999999999999999", false, 0, "" },
    { "bulldb.pag", false, 0, "pag" },
    { "-1.x", false, 0, "x" },
    { " 1", false, 0, "" },
    { ".1", false, 0, "1" },
    { "", false, 0, "" },
};

START_TEST(names)
{
    const struct named *c = &named[_i];
    uint64_t number = 0;
    char group[20];

    ck_assert_msg(bulletin_number(c->name, &number) == c->is, "%s", c->name);
    if (c->is)
        ck_assert_uint_eq(number, c->number);
    ck_assert(bulletin_group(c->name, group, sizeof group));
    ck_assert_str_eq(group, c->group);
}
END_TEST

START_TEST(a_group_that_is_too_long)
{
    char group[4];

    ck_assert(bulletin_group("1.abc.x", group, sizeof group));
    ck_assert_str_eq(group, "abc");
    ck_assert(!bulletin_group("1.abcd.x", group, sizeof group));
}
END_TEST

static const struct noted {
    const char *text;
    enum bulletin_last result;
    uint64_t last;
} noted[] = {
    { "12\n", BULLETIN_LAST_NUMBER, 12 },
    { "12", BULLETIN_LAST_NUMBER, 12 },
    { " 12 \r\n", BULLETIN_LAST_NUMBER, 12 },
    { "12\nmore\n", BULLETIN_LAST_NUMBER, 12 },
    { "0\n", BULLETIN_LAST_NUMBER, 0 },
    { "9223372036854775807\n", BULLETIN_LAST_NUMBER, INT64_MAX },
    { "9223372036854775808\n", BULLETIN_LAST_GARBAGE, 0 },
    { "", BULLETIN_LAST_EMPTY, 0 },
    { "\n", BULLETIN_LAST_GARBAGE, 0 },
    { "12x\n", BULLETIN_LAST_GARBAGE, 0 },
    { "1 2\n", BULLETIN_LAST_GARBAGE, 0 },
    { "-12\n", BULLETIN_LAST_GARBAGE, 0 },
    { "twelve", BULLETIN_LAST_GARBAGE, 0 },
};

START_TEST(what_popbull_says)
{
    const struct noted *c = &noted[_i];
    char *text = mem_strdup(c->text); /* without a NUL behind that counts: checked under sanitizers */
    uint64_t last = 99;

    ck_assert_msg(bulletin_parse_last(text, strlen(text), &last) == c->result, "%s", c->text);
    ck_assert_uint_eq(last, c->last);
    mem_free(text);
    ck_assert_int_eq(bulletin_parse_last("1\0", 2, &last), BULLETIN_LAST_GARBAGE);
}
END_TEST

START_TEST(ids)
{
    char id[UIDL_MAX + 1];

    bulletin_id(5, 1700000000, id);
    ck_assert_str_eq(id, "1700000000.005");
    bulletin_id(INT64_MAX, INT64_MIN, id);
    ck_assert_str_eq(id, "-9223372036854775808.9223372036854775807");
    ck_assert(uidl_valid(id, strlen(id)));
}
END_TEST

/* ---- text */

static const struct rendered {
    const char *name, *before, *after; /* after: NULL: it is none */
} rendered[] = {
    { "as is, but for To", FROM "Subject: x\nTo: y\nDate: z\n\ntext\n\n",
      FROM "X-UIDL: id\nSubject: x\nTo: me@here\nDate: z\n\ntext\n\n" },
    { "no To", FROM "Subject: x\n\ntext\n\n", FROM "X-UIDL: id\nSubject: x\n\ntext\n\n" },
    { "To of many lines and twice", FROM "to: x,\n y,\n\tz\nA: 1\nTO:\n\n", FROM "X-UIDL: id\nTo: me@here\nA: 1\n\n" },
    { "Status and ids go, with their continuation", FROM "Status: RO\nX-UIDL: 1\n 2\nX-UID: 7\nX-IMAPbase: 1 2\nX-IMAP: 3\nX-Status: F\n\n",
      FROM "X-UIDL: id\nX-Status: F\n\n" },
    { "no text", FROM "A: 1\n", FROM "X-UIDL: id\nA: 1\n\n" },
    { "no text, no line end", FROM "A: 1", FROM "X-UIDL: id\nA: 1\n\n" },
    { "To without line end", FROM "To: x", FROM "X-UIDL: id\nTo: me@here\n\n" },
    { "nothing but From_", FROM, FROM "X-UIDL: id\n\n" },
    { "From_ without line end", "From a@b Sat Nov 22 10:00:00 2025", FROM "X-UIDL: id\n\n" },
    { "text without line end", FROM "A: 1\n\ntext", FROM "X-UIDL: id\nA: 1\n\ntext\n\n" },
    { "text without empty line", FROM "A: 1\n\ntext\n", FROM "X-UIDL: id\nA: 1\n\ntext\n\n" },
    { "more empty lines stay", FROM "A: 1\n\ntext\n\n\n", FROM "X-UIDL: id\nA: 1\n\ntext\n\n\n" },
    { "CRLF", "From a@b Sat Nov 22 10:00:00 2025\r\nTo: x\r\n y\r\nA: 1\r\n\r\ntext\r\n",
      "From a@b Sat Nov 22 10:00:00 2025\r\nX-UIDL: id\r\nTo: me@here\r\nA: 1\r\n\r\ntext\r\n\r\n" },
    { "what would begin a message is quoted", FROM "A: 1\n\nFrom b\nFrom c\n\n" FROM ">From d\n\nFrom\n",
      FROM "X-UIDL: id\nA: 1\n\n>From b\nFrom c\n\n>" FROM ">From d\n\nFrom\n\n" },
    { "To and Status in the text stay", FROM "A: 1\n\nTo: x\nStatus: RO\n\n", FROM "X-UIDL: id\nA: 1\n\nTo: x\nStatus: RO\n\n" },
    { "no From_ line", "A: 1\n\ntext\n", NULL },
    { "From_ line without a date", "From a@b\nA: 1\n\ntext\n", NULL },
    { "From_ line not first", "\n" FROM "A: 1\n\n", NULL },
    { "empty", "", NULL },
};

START_TEST(texts)
{
    const struct rendered *c = &rendered[_i];
    struct strbuf out = STRBUF_INIT(10000);
    size_t n = strlen(c->before);
    char *before = mem_new(n + 1, 1);
    bool is;

    memcpy(before, c->before, n);
    is = bulletin_render(before, n, "me@here", "id", &out);
    ck_assert_msg(is == (c->after != NULL), "%s", c->name);
    if (c->after)
        ck_assert_msg(strcmp(out.data, c->after) == 0, "%s: %s", c->name, out.data);
    mem_free(before);
    strbuf_free(&out);
}
END_TEST

START_TEST(no_room)
{
    struct strbuf out = STRBUF_INIT(50);

    ck_assert(!bulletin_render(FROM "A: 1\n\n", strlen(FROM) + 6, "me@here", "id", &out));
    strbuf_free(&out);
}
END_TEST

/* ---- sessions */

static struct localhost h;
static struct settings *settings;
static struct maildrop *drop;
static struct bulletin items[8];
static struct bulletin_offer offer;
static const struct mailhost *real;
static struct mailhost broken;

static void setup(void)
{
    localhost_init(&h);
    settings = settings_new();
    catch_log();
    offer = (struct bulletin_offer){ .to = "me@here", .text = -1, .items = items, .last = 4, .noted = true };
    h.bulletins = &offer;
    real = &h.host;
}

static void teardown(void)
{
    maildrop_close(&drop);
    for (size_t i = 0; i < offer.count; i++)
        if (items[i].fd >= 0)
            close(items[i].fd);
    if (offer.text >= 0)
        close(offer.text);
    localhost_remove(&h);
    settings_free(&settings);
}

/* Also a sparse one of `size` bytes. */
static void offered(uint64_t number, const char *text, off_t size)
{
    struct timespec times[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
    int fd = memfd_create("bulletin", MFD_CLOEXEC);

    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    if (size)
        ck_assert_int_eq(ftruncate(fd, size), 0);
    ck_assert_int_eq(futimens(fd, times), 0);
    items[offer.count++] = (struct bulletin){ .number = number, .fd = fd, .shown = (char *)"/bulls/it" };
}

static void not_for_him(uint64_t number)
{
    items[offer.count++] = (struct bulletin){ .number = number, .fd = -1, .shown = (char *)"/bulls/other" };
}

static size_t login(void)
{
    struct maildrop_files files = localhost_files(&h, true);
    enum maildrop_status status;

    if (offer.text >= 0)
        close(offer.text);
    offer.text = memfd_create("bulletins", MFD_CLOEXEC);
    maildrop_close(&drop);
    strbuf_reset(&caught);
    status = maildrop_open(&drop, &files, settings, real, &why);
    ck_assert_msg(status == MAILDROP_OK, "%s", why.data);
    return maildrop_list(drop)->visible;
}

static void assert_file(const char *name, const char *want)
{
    char *is = localhost_read(&h, name, NULL);

    if (want)
        ck_assert_pstr_eq(is, want);
    else
        ck_assert_ptr_null(is);
    free(is);
}

static const char *id(uint64_t number)
{
    return msglist_uid(maildrop_list(drop), msglist_get(maildrop_list(drop), number));
}

#define MAIL FROM "Subject: mail\n\nmail\n\n"
#define NEWS FROM "Subject: news\n\nnews\n\n"
#define NEWS_5 FROM "X-UIDL: 1000.005\nSubject: news\n\nnews\n\n"
#define NEWS_6 FROM "X-UIDL: 1000.006\nSubject: news\n\nnews\n\n"

static void put_drop(const char *text)
{
    localhost_write(&h, LOCALHOST_DROP, text, strlen(text));
}

static void quit(enum maildrop_status want)
{
    enum maildrop_status status = maildrop_update(drop, &why);

    ck_assert_msg(status == want, "%d: %s", status, why.data);
    maildrop_close(&drop);
}

START_TEST(they_come_after_the_mail)
{
    put_drop(MAIL);
    offered(5, NEWS, 0);
    offered(6, NEWS, 0);
    ck_assert_uint_eq(login(), 3);
    ck_assert_str_eq(id(2), "1000.005");
    ck_assert_str_eq(id(3), "1000.006");
    assert_file(LOCALHOST_DROP, MAIL);
    quit(MAILDROP_OK);
    assert_file(LOCALHOST_DROP, MAIL NEWS_5 NEWS_6);
    assert_file(".popbull", "6\n");
    ck_assert_str_eq(caught.data, "");
    ck_assert_uint_eq(login(), 3); /* what is offered again is there already */
    ck_assert_str_eq(id(2), "1000.005");
    quit(MAILDROP_OK);
    assert_file(LOCALHOST_DROP, MAIL NEWS_5 NEWS_6);
}
END_TEST

START_TEST(mail_that_comes_meanwhile_stands_before)
{
    put_drop(FROM "Subject: mail\n\nmail\n"); /* and lacks the empty line */
    offered(5, NEWS, 0);
    login();
    localhost_append(&h, LOCALHOST_DROP, "\n" FROM "Subject: new\n\nnew\n", strlen("\n" FROM "Subject: new\n\nnew\n"));
    quit(MAILDROP_OK);
    assert_file(LOCALHOST_DROP, MAIL FROM "Subject: new\n\nnew\n\n" NEWS_5);
}
END_TEST

START_TEST(two_of_one_number_and_time)
{
    offered(5, NEWS, 0);
    offered(5, NEWS, 0);
    ck_assert_uint_eq(login(), 1);
}
END_TEST

/* What does not count as seen when it stands last. */
static const struct bad {
    const char *name, *text;
    off_t size;
    const char *why;
} bads[] = {
    { "no From_ line", "Subject: x\n\n", 0, "its first line is no From_ line" },
    { "too long", NEWS, BULLETIN_BYTES_MAX + 1, "it is longer than 8388608 bytes" },
};

START_TEST(a_bad_one)
{
    const struct bad *c = &bads[_i];

    put_drop(MAIL);
    offered(5, c->text, c->size);
    ck_assert_uint_eq(login(), 1);
    ck_assert_msg(strstr(caught.data, c->why) && strstr(caught.data, "/bulls/it"), "%s: %s", c->name, caught.data);
    quit(MAILDROP_OK);
    assert_file(".popbull", NULL);
    not_for_him(6);
    login();
    quit(MAILDROP_OK);
    assert_file(".popbull", "6\n");
    assert_file(LOCALHOST_DROP, MAIL);
}
END_TEST

START_TEST(trouble_that_passes_costs_no_bulletin)
{
    put_drop(MAIL);
    offered(5, NEWS, 0);
    offered(6, NEWS, 0);
    offered(7, NEWS, 0);
    close(items[1].fd);
    items[1].fd = 100000; /* as when its file system is away */
    ck_assert_uint_eq(login(), 2);
    quit(MAILDROP_OK);
    assert_file(LOCALHOST_DROP, MAIL NEWS_5);
    assert_file(".popbull", "5\n");
    items[1].fd = -1;
}
END_TEST

START_TEST(trouble_that_passes_costs_none_of_the_same_number)
{
    put_drop(MAIL);
    offered(5, NEWS, 0);
    offered(6, NEWS, 0);
    offered(6, NEWS, 0);
    close(items[2].fd);
    items[2].fd = 100000;
    ck_assert_uint_eq(login(), 3);
    quit(MAILDROP_OK);
    assert_file(LOCALHOST_DROP, MAIL NEWS_5 NEWS_6);
    assert_file(".popbull", "5\n");
    items[2].fd = -1;
}
END_TEST

START_TEST(padding_that_hides_a_second_message)
{
    static const char text[] = FROM "A: 1\n\ntext\n\n\0\0" FROM "B: 1\n\n";

    put_drop(MAIL);
    offered(5, "", 0);
    ck_assert_int_eq(pwrite(items[0].fd, text, sizeof text - 1, 0), (ssize_t)sizeof text - 1);
    offered(6, NEWS, 0);
    ck_assert_uint_eq(login(), 2);
    ck_assert_msg(strstr(caught.data, "it is more than one message"), "%s", caught.data);
    quit(MAILDROP_OK);
    assert_file(LOCALHOST_DROP, MAIL NEWS_6);
}
END_TEST

START_TEST(a_new_user_is_noted_without_locks)
{
    put_drop(MAIL);
    offer.noted = false;
    login();
    h.locked = 0;
    quit(MAILDROP_OK);
    ck_assert_int_eq(h.locked, 0);
    assert_file(".popbull", "4\n");
}
END_TEST

/* ---- failures */

static int no_open(void *context, enum mailfile which, enum mailopen how, struct strbuf *reason)
{
    (void)context;
    (void)how;
    errno = ENOSPC;
    return strbuf_fail(reason, "no room for file %d", (int)which);
}

static enum maillock_result no_lock(void *context, bool updating, int *drop_r, struct strbuf *reason)
{
    (void)context;
    (void)drop_r;
    (void)updating;
    strbuf_fail(reason, "locked by somebody");
    return MAILLOCK_BUSY;
}

static void let_fail(void)
{
    broken = h.host;
    broken.open = no_open;
    real = &broken;
}

START_TEST(without_room_they_wait_and_deleting_works)
{
    put_drop(MAIL FROM "Subject: 2\n\ntwo\n\n");
    offered(5, NEWS, 0);
    let_fail();
    ck_assert_uint_eq(login(), 3);
    msglist_get(maildrop_list(drop), 2)->flags |= MSG_DELETED;
    quit(MAILDROP_OK);
    assert_file(LOCALHOST_DROP, MAIL);
    assert_file(".popbull", NULL);
    ck_assert_msg(strstr(caught.data, "the next session tries again: "), "%s", caught.data);
}
END_TEST

START_TEST(without_room_for_a_maildrop)
{
    offered(5, NEWS, 0);
    let_fail();
    ck_assert_uint_eq(login(), 1);
    quit(MAILDROP_OK);
    assert_file(LOCALHOST_DROP, NULL);
    ck_assert_msg(strstr(caught.data, "the next session tries again: no room for file 0"), "%s", caught.data);
}
END_TEST

START_TEST(that_a_deleted_one_comes_again_is_said)
{
    put_drop(MAIL);
    offered(5, NEWS, 0);
    offered(6, NEWS, 0);
    let_fail();
    login();
    msglist_get(maildrop_list(drop), 2)->flags |= MSG_DELETED;
    quit(MAILDROP_TEMP);
    ck_assert_msg(strstr(why.data, "deleted bulletins come again"), "%s", why.data);
    assert_file(LOCALHOST_DROP, MAIL);
}
END_TEST

START_TEST(a_maildrop_in_use_is_no_failure_for_who_wants_nothing)
{
    put_drop(MAIL);
    offered(5, NEWS, 0);
    let_fail();
    login();
    broken.lock = no_lock;
    quit(MAILDROP_OK);
    ck_assert_msg(strstr(caught.data, "the next session tries again: locked by somebody"), "%s", caught.data);
    broken.lock = h.host.lock;
    login();
    broken.lock = no_lock;
    msglist_get(maildrop_list(drop), 1)->flags |= MSG_DELETED;
    quit(MAILDROP_BUSY);
}
END_TEST

START_TEST(what_cannot_be_noted_is_said)
{
    put_drop(MAIL);
    offer.noted = false;
    let_fail();
    login();
    quit(MAILDROP_OK);
    ck_assert_msg(strstr(caught.data, "cannot note the last bulletin 4 for the owner of "), "%s", caught.data);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bulletin");
    TCase *pure = tcase_create("pure"), *sessions = tcase_create("sessions");

    tcase_add_loop_test(pure, names, 0, sizeof named / sizeof *named);
    tcase_add_test(pure, a_group_that_is_too_long);
    tcase_add_loop_test(pure, what_popbull_says, 0, sizeof noted / sizeof *noted);
    tcase_add_test(pure, ids);
    tcase_add_loop_test(pure, texts, 0, sizeof rendered / sizeof *rendered);
    tcase_add_test(pure, no_room);
    suite_add_tcase(suite, pure);
    tcase_add_checked_fixture(sessions, setup, teardown);
    tcase_add_test(sessions, they_come_after_the_mail);
    tcase_add_test(sessions, mail_that_comes_meanwhile_stands_before);
    tcase_add_test(sessions, two_of_one_number_and_time);
    tcase_add_loop_test(sessions, a_bad_one, 0, sizeof bads / sizeof *bads);
    tcase_add_test(sessions, trouble_that_passes_costs_no_bulletin);
    tcase_add_test(sessions, trouble_that_passes_costs_none_of_the_same_number);
    tcase_add_test(sessions, padding_that_hides_a_second_message);
    tcase_add_test(sessions, a_new_user_is_noted_without_locks);
    tcase_add_test(sessions, without_room_they_wait_and_deleting_works);
    tcase_add_test(sessions, without_room_for_a_maildrop);
    tcase_add_test(sessions, that_a_deleted_one_comes_again_is_said);
    tcase_add_test(sessions, a_maildrop_in_use_is_no_failure_for_who_wants_nothing);
    tcase_add_test(sessions, what_cannot_be_noted_is_said);
    suite_add_tcase(suite, sessions);
    return unit_main(suite);
}
