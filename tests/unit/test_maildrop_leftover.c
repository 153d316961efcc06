/* maildrop: what an older server left as temp drop. */
#include "config.h"

#include "tests/unit/maildropsession.h"

/* ---- a leftover temp drop */

static void put_leftover(const char *const *parts, size_t count)
{
    char *all = joined(parts, count);

    localhost_write(&h, LOCALHOST_TEMPDROP, all, strlen(all));
    free(all);
}

START_TEST(a_leftover_is_listed_first_and_merged_by_update)
{
    put_drop(PARTS(mail(2, "c"), mail(3, "d")));
    put_leftover(PARTS(mail(0, "a"), mail(1, "b")));
    login();
    ck_assert_uint_eq(visible(), 4);
    ck_assert_msg(strstr(caught.data, " holds 2 messages: they are listed first; 0 stand in the maildrop as well"),
                  "%s", caught.data);
    assert_body(1, "a\r\n");
    assert_body(2, "b\r\n");
    assert_body(3, "c\r\n");
    assert_body(4, "d\r\n");
    delete(2);
    delete(3);
    logout(); /* no QUIT: nothing happened */
    assert_file(LOCALHOST_DROP, PARTS(mail(2, "c"), mail(3, "d")));
    assert_file(LOCALHOST_TEMPDROP, PARTS(mail(0, "a"), mail(1, "b")));
    login();
    delete(2);
    delete(3);
    append(mail(5, "f"));
    quit();
    assert_file(LOCALHOST_DROP, PARTS(mail(0, "a"), mail(3, "d"), mail(5, "f")));
    ck_assert_ptr_null(localhost_read(&h, LOCALHOST_TEMPDROP, NULL));
    login();
    ck_assert_uint_eq(visible(), 3);
}
END_TEST

START_TEST(what_stands_in_both_appears_once)
{
    char third[80], torn[80];

    /* A server that died while copying back: M ends in the middle of the third message. */
    put_drop(PARTS(mail(0, "a"), mail(1, "b"),
                   "From sender@example.org Sat Nov 22 10:02:00 2025\nReceived: from a by b; 2\nMessage-Id: <2@x>\n"
                   "Subject: number 2\n\nhal"));
    login();
    strcpy(torn, id(3));
    logout();
    put_leftover(PARTS(mail(0, "a"), mail(1, "b"), mail(2, "half"),
                       "From x@y Sat Nov 22 10:00:00 2025\nSubject: s\n\nno line end"));
    login();
    ck_assert_uint_eq(visible(), 5);
    ck_assert_msg(strstr(caught.data, " holds 4 messages: they are listed first; 2 stand in the maildrop as well"),
                  "%s", caught.data);
    strcpy(third, id(1));
    ck_assert_str_ne(third, torn);
    ck_assert_str_eq(torn, id(5));
    quit();
    assert_file(LOCALHOST_DROP,
                PARTS(mail(2, "half"), "From x@y Sat Nov 22 10:00:00 2025\nSubject: s\n\nno line end\n\n", mail(0, "a"),
                      mail(1, "b"),
                      "From sender@example.org Sat Nov 22 10:02:00 2025\nReceived: from a by b; 2\nMessage-Id: "
                      "<2@x>\nSubject: number 2\n\nhal"));
    login();
    ck_assert_uint_eq(visible(), 5);
    ck_assert_str_eq(id(1), third);
}
END_TEST

START_TEST(one_message_of_the_maildrop_stands_for_one_of_the_leftover)
{
    put_drop(PARTS(mail(1, "b")));
    put_leftover(PARTS(mail(1, "b"), mail(1, "b")));
    login();
    ck_assert_uint_eq(visible(), 2);
    quit();
    assert_file(LOCALHOST_DROP, PARTS(mail(1, "b"), mail(1, "b")));
}
END_TEST

START_TEST(a_leftover_without_a_maildrop_makes_one)
{
    put_leftover(PARTS(mail(0, "a"), mail(1, "b")));
    login();
    ck_assert_uint_eq(visible(), 2);
    assert_body(2, "b\r\n");
    delete(2);
    h.drop = -1;
    quit();
    assert_file(LOCALHOST_DROP, PARTS(mail(0, "a")));
    ck_assert_ptr_null(localhost_read(&h, LOCALHOST_TEMPDROP, NULL));
}
END_TEST

/* By what an older server writes that is not dead at all, or puts in its place: that is no mail that we have. _i: how. */
START_TEST(a_leftover_that_changes_is_not_consumed)
{
    const char *more = mail(5, "more");

    put_drop(PARTS(mail(1, "b")));
    put_leftover(PARTS(mail(0, "a")));
    login();
    delete(2);
    if (_i == 0) {
        localhost_append(&h, LOCALHOST_TEMPDROP, more, strlen(more));
    } else if (_i == 1) {
        ck_assert_int_eq(unlinkat(h.dirfd, LOCALHOST_TEMPDROP, 0), 0); /* what it held may stand in M by now */
    } else {
        localhost_write(&h, "other", mail(0, "x"), strlen(mail(0, "x")));
        ck_assert_int_eq(renameat(h.dirfd, "other", h.dirfd, LOCALHOST_TEMPDROP), 0);
    }
    ck_assert_int_eq(update(), MAILDROP_TEMP);
    ck_assert_msg(strstr(why.data, "the old temp drop") != NULL, "%s", why.data);
    logout();
    assert_file(LOCALHOST_DROP, PARTS(mail(1, "b")));
    if (_i == 0)
        assert_file(LOCALHOST_TEMPDROP, PARTS(mail(0, "a"), mail(5, "more")));
    else if (_i == 2)
        assert_file(LOCALHOST_TEMPDROP, PARTS(mail(0, "x")));
    ck_assert_ptr_null(localhost_read(&h, LOCALHOST_JOURNAL, NULL));
}
END_TEST

/* Ids made of X-UID rest on the first message's base: M's, which the leftover's first message gets; its own only where M has none. */
START_TEST(ids_of_an_imap_server_are_listed_as_they_will_be)
{
    static const char *const own[] = { "", "X-IMAPbase: 23 9\n", "X-IMAPbase: 23 9\n" };
    char first[200], ids[3][UIDL_MAX + 1];

    settings->uidl_format = UIDL_DOVECOT;
    settings->update_status_headers = false;
    with_index = false;
    snprintf(first, sizeof first, "From x@y Sat Nov 22 10:00:00 2025\n%sX-UID: 4\n\na\n\n", own[_i]);
    put_leftover(PARTS(first, "From x@y Sat Nov 22 10:01:00 2025\nX-UID: 8\n\nb\n\n"));
    put_drop(PARTS(_i < 2 ? "From x@y Sat Nov 22 10:02:00 2025\nX-IMAPbase: 17 9\nX-UID: 9\n\nc\n\n" : "From x@y Sat Nov 22 10:02:00 2025\nSubject: c\n\nc\n\n"));
    login();
    ck_assert_uint_eq(visible(), 3);
    for (uint64_t n = 0; n < 3; n++)
        strcpy(ids[n], id(n + 1));
    ck_assert_str_eq(ids[1], _i < 2 ? "0000000800000011" : "0000000800000017");
    quit();
    login();
    for (uint64_t n = 0; n < 3; n++)
        ck_assert_str_eq(id(n + 1), ids[n]);
}
END_TEST

START_TEST(a_leftover_that_is_no_mail_is_left_alone)
{
    put_drop(PARTS(mail(0, "a")));
    put_leftover(PARTS("no mail\n"));
    login();
    ck_assert_uint_eq(visible(), 1);
    ck_assert_msg(strncmp(caught.data, "warning the temp drop that was left for ", 40) == 0, "%s", caught.data);
    delete(1);
    quit();
    assert_file(LOCALHOST_DROP, PARTS(""));
    assert_file(LOCALHOST_TEMPDROP, PARTS("no mail\n"));
}
END_TEST

#define NULS_10 "\0\0\0\0\0\0\0\0\0\0"
#define NULS_70 NULS_10 NULS_10 NULS_10 NULS_10 NULS_10 NULS_10 NULS_10
#define START "From x@y Sat Nov 22 10:00:00 2025\nSubject: s\n"
#define END(text) { text, sizeof text - 1 }

/* How a file may end before which no message was to follow. */
static const struct {
    const char *text;
    size_t n;
} ends[] = {
    END(START "\ntext\n\n"), END(START "\ntext\n"), END(START "\ntext"), END(START "\n"), END(START), END("From x@y Sat Nov 22 10:00:00 2025\nSubject: s"),
    END("From x@y Sat Nov 22 10:00:00 2025"), END("From x@y Sat Nov 22 10:00:00 2025\r\nSubject: s\r\n"), END(START "\ntext\n\n" NULS_10),
    END(START "\ntext\n" NULS_10), END(START "\ntext" NULS_10), END(START "\ntext\n" NULS_70), END(START "\ntext\n\n" NULS_70), END(START NULS_10), END(START "\n" NULS_70),
    END(START "\ntext\n\n" NULS_10 "\n"), END(START "\ntext\r\n" NULS_10), END(START "\ntext\r\n\r\n" NULS_10),
};

/* Where nothing is missing nothing is added, however many NULs a crash left. */
START_TEST(an_end_that_is_complete_stays)
{
    size_t nuls = (size_t)(_i == 0 ? 70 : 9000), n = strlen(mail(0, "a")), all;
    char text[12000] = "", *is;

    strcpy(text, mail(0, "a"));
    put_drop(PARTS(mail(1, "b")));
    localhost_write(&h, LOCALHOST_TEMPDROP, text, n + nuls);
    login();
    quit();
    is = localhost_read(&h, LOCALHOST_DROP, &all);
    ck_assert_uint_eq(all, n + nuls + strlen(mail(1, "b")));
    ck_assert_mem_eq(is, text, n + nuls);
    ck_assert_str_eq(is + n + nuls, mail(1, "b"));
    free(is);
}
END_TEST

/* It must be told from what follows it, and the index must say what a scan would. */
START_TEST(any_end_may_be_followed)
{
    uint64_t octets[2], offset, header;

    older_by = 10;
    settings->update_status_headers = false;
    put_drop(PARTS(mail(1, "b")));
    localhost_write(&h, LOCALHOST_TEMPDROP, ends[_i].text, ends[_i].n);
    login();
    ck_assert_uint_eq(visible(), 2);
    quit();
    login();
    ck_assert_int_eq(h.locked, 0); /* the index told */
    ck_assert_uint_eq(visible(), 2);
    for (uint64_t n = 1; n < 3; n++) {
        octets[n - 1] = at(n)->octets;
        ck_assert_uint_eq(retrieve(n), MAILDROP_OK);
    }
    offset = at(2)->offset;
    header = msglist_header_len(at(1));
    logout();
    with_index = false;
    login();
    ck_assert_uint_eq(visible(), 2);
    ck_assert_uint_eq(at(1)->octets, octets[0]);
    ck_assert_uint_eq(at(2)->octets, octets[1]);
    ck_assert_uint_eq(at(2)->offset, offset);
    ck_assert_uint_eq(msglist_header_len(at(1)), header);
    assert_body(2, "b\r\n");
}
END_TEST

START_TEST(a_message_that_gets_its_end_keeps_its_id)
{
    older_by = 10;
    settings->update_status_headers = false;
    put_drop(PARTS(mail(1, "b")));
    put_leftover(PARTS(START "X-UIDL: u\n\none\n\n", START "X-UIDL: u\n\ntwo, without an end"));
    login();
    ck_assert_str_eq(id(2), "u.2");
    delete(1);
    quit();
    login();
    ck_assert_int_eq(h.locked, 0);
    ck_assert_str_eq(id(1), "u.2");
    assert_body(1, "two, without an end\r\n");
}
END_TEST

/* NULs at the start of the leftover alone are no mailbox. */
START_TEST(padding_of_a_leftover)
{
    char text[2048] = "";

    strcpy(text + 5, mail(0, "a"));
    put_drop(PARTS(mail(1, "b")));
    localhost_write(&h, LOCALHOST_TEMPDROP, text, 5 + strlen(text + 5));
    login();
    ck_assert_uint_eq(visible(), 2);
    delete(1);
    delete(2);
    quit();
    assert_file(LOCALHOST_DROP, PARTS(""));
}
END_TEST

static void add(TCase *tc)
{
    tcase_add_loop_test(tc, any_end_may_be_followed, 0, sizeof ends / sizeof *ends);
    tcase_add_loop_test(tc, an_end_that_is_complete_stays, 0, 2);
    tcase_add_test(tc, a_message_that_gets_its_end_keeps_its_id);
    tcase_add_test(tc, padding_of_a_leftover);
    tcase_add_test(tc, a_leftover_is_listed_first_and_merged_by_update);
    tcase_add_test(tc, what_stands_in_both_appears_once);
    tcase_add_test(tc, one_message_of_the_maildrop_stands_for_one_of_the_leftover);
    tcase_add_test(tc, a_leftover_without_a_maildrop_makes_one);
    tcase_add_loop_test(tc, a_leftover_that_changes_is_not_consumed, 0, 3);
    tcase_add_loop_test(tc, ids_of_an_imap_server_are_listed_as_they_will_be, 0, 3);
    tcase_add_test(tc, a_leftover_that_is_no_mail_is_left_alone);
}

int main(void)
{
    return session_main("maildrop_leftover", add);
}
