/* maildrop: what is listed, what is read and locked for it, and how the index serves. */
#include "config.h"

#include "tests/unit/maildropsession.h"

/* ---- opening */

START_TEST(a_missing_maildrop_is_empty)
{
    login();
    ck_assert_uint_eq(visible(), 0);
    ck_assert_int_eq(h.locked, 0);
    quit();
    ck_assert_ptr_null(localhost_read(&h, LOCALHOST_DROP, NULL));
}
END_TEST

START_TEST(an_empty_maildrop_is_empty)
{
    localhost_write(&h, LOCALHOST_DROP, "", 0);
    let_rest();
    login();
    ck_assert_uint_eq(visible(), 0);
    quit();
    login();
    ck_assert_int_eq(h.locked, 0);
}
END_TEST

START_TEST(what_is_no_mbox_is_left_alone)
{
    put_drop(PARTS("Dear Sir,\n", mail(1, "a")));
    ck_assert_int_eq(try_open(), MAILDROP_PERM);
    ck_assert_ptr_null(drop);
    ck_assert_msg(strstr(why.data, "does not begin with a From_ line") && strstr(why.data, h.shown), "%s", why.data);
    assert_file(LOCALHOST_DROP, PARTS("Dear Sir,\n", mail(1, "a")));
    ck_assert_uint_eq(bytes_written, 0);
}
END_TEST

START_TEST(a_lock_of_somebody_else_is_respected)
{
    put_drop(PARTS(mail(1, "a")));
    localhost_write(&h, LOCALHOST_DROP ".lock", "1234567 elsewhere x\n", 20);
    ck_assert_int_eq(try_open(), MAILDROP_BUSY);
    ck_assert_ptr_null(drop);
    unlinkat(h.dirfd, LOCALHOST_DROP ".lock", 0);
    login();
    localhost_write(&h, LOCALHOST_DROP ".lock", "1234567 elsewhere x\n", 20);
    delete(1);
    ck_assert_int_eq(update(), MAILDROP_BUSY);
    assert_file(LOCALHOST_DROP, PARTS(mail(1, "a")));
}
END_TEST

static struct stat directory_status(void)
{
    struct stat st;

    ck_assert_int_eq(fstat(h.dirfd, &st), 0);
    return st;
}

START_TEST(a_poll_of_an_unchanged_maildrop_does_nothing)
{
    struct stat before, after;
    struct message first;
    char first_id[80];

    put_drop(PARTS(mail(1, "a"), mail(2, "b")));
    let_rest();
    login();
    ck_assert_int_eq(h.locked, 1);
    first = *at(2);
    strcpy(first_id, id(2));
    quit();
    before = directory_status();
    for (int i = 0; i < 2; i++) {
        login();
        ck_assert_int_eq(h.locked, 0);
        ck_assert_uint_eq(drop_bytes_read, 0);
        ck_assert_uint_eq(visible(), 2);
        ck_assert_uint_eq(at(2)->octets, first.octets);
        ck_assert_str_eq(id(2), first_id);
        quit();
        after = directory_status();
        ck_assert_uint_eq(bytes_written, 0);
        ck_assert_mem_eq(&before.st_mtim, &after.st_mtim, sizeof before.st_mtim);
        ck_assert_str_eq(caught.data, "");
        settings->server_mode = true; /* one index for both modes */
    }
}
END_TEST

START_TEST(without_the_option_there_is_no_index)
{
    settings->index = false;
    put_drop(PARTS(mail(1, "a")));
    let_rest();
    for (int i = 0; i < 2; i++) {
        login();
        ck_assert_int_eq(h.locked, 1);
        quit();
        ck_assert_uint_eq(bytes_written, 0);
    }
}
END_TEST

START_TEST(a_young_index_is_verified)
{
    put_drop(PARTS(mail(1, "a"), mail(2, "b")));
    frozen = true;
    clock_gettime(CLOCK_REALTIME, &frozen_at);
    frozen_at.tv_sec++; /* young for a second, on a slow machine too */
    login();
    quit();
    login(); /* M may have been rewritten at the same size in the same tick */
    ck_assert_int_eq(h.locked, 1);
    ck_assert_uint_ge(drop_bytes_read, (uint64_t)at(2)->offset + at(2)->length);
    ck_assert_uint_eq(visible(), 2);
    logout();
    usleep(1100000);
    login(); /* the index that was written while M was young says so for ever */
    ck_assert_int_eq(h.locked, 1);
    logout();
    login();
    ck_assert_int_eq(h.locked, 0);
}
END_TEST

START_TEST(a_session_without_quit_keeps_what_it_learned)
{
    put_drop(PARTS(mail(1, "a")));
    let_rest();
    login();
    delete(1);
    logout();
    assert_file(LOCALHOST_DROP, PARTS(mail(1, "a")));
    login();
    ck_assert_int_eq(h.locked, 0);
    ck_assert_uint_eq(at(1)->flags & MSG_DELETED, 0);
}
END_TEST

START_TEST(only_the_new_part_is_scanned)
{
    char *body = calloc(1, 1500);
    char first[80];

    memset(body, 'x', 1400);
    localhost_write(&h, LOCALHOST_DROP, "", 0);
    for (int i = 0; i < 1500; i++) /* more than 1 MiB, of which a fingerprint takes samples */
        localhost_append(&h, LOCALHOST_DROP, mail(i, body), strlen(mail(i, body)));
    let_rest();
    login();
    strcpy(first, id(1));
    quit();
    append(mail(1500, "new"));
    login();
    ck_assert_uint_eq(visible(), 1501);
    ck_assert_uint_lt(drop_bytes_read, 600000);
    ck_assert_str_eq(id(1), first);
    assert_body(1501, "new");
    assert_body(1, "xxx");
    logout();
    free(body);
}
END_TEST

START_TEST(a_message_that_was_not_complete_is_read_again)
{
    const char *whole = mail(2, "the end");
    char half[200];

    older_by = 10;
    snprintf(half, sizeof half, "%.*s", 90, whole); /* in the middle of its header */
    put_drop(PARTS(mail(1, "a"), half));
    let_rest();
    login();
    ck_assert_uint_eq(visible(), 2);
    logout();
    append(whole + 90);
    login();
    ck_assert_uint_eq(visible(), 2);
    assert_body(2, "the end");
    ck_assert_ptr_nonnull(strstr(sent.data, "number 2"));
    logout();
    with_index = false;
    {
        char grown_id[80];

        login();
        strcpy(grown_id, id(2));
        with_index = true;
        login();
        ck_assert_str_eq(id(2), grown_id);
    }
}
END_TEST

START_TEST(an_empty_journal_is_cleared_away)
{
    put_drop(PARTS(mail(1, "a")));
    localhost_write(&h, LOCALHOST_JOURNAL, "", 0);
    login();
    ck_assert_uint_eq(visible(), 1);
    ck_assert_ptr_null(localhost_read(&h, LOCALHOST_JOURNAL, NULL));
}
END_TEST

static void add(TCase *tc)
{
    tcase_add_test(tc, a_missing_maildrop_is_empty);
    tcase_add_test(tc, an_empty_maildrop_is_empty);
    tcase_add_test(tc, what_is_no_mbox_is_left_alone);
    tcase_add_test(tc, a_lock_of_somebody_else_is_respected);
    tcase_add_test(tc, a_poll_of_an_unchanged_maildrop_does_nothing);
    tcase_add_test(tc, without_the_option_there_is_no_index);
    tcase_add_test(tc, a_young_index_is_verified);
    tcase_add_test(tc, a_session_without_quit_keeps_what_it_learned);
    tcase_add_test(tc, only_the_new_part_is_scanned);
    tcase_add_test(tc, a_message_that_was_not_complete_is_read_again);
    tcase_add_test(tc, an_empty_journal_is_cleared_away);
}

int main(void)
{
    return session_main("maildrop", add);
}
