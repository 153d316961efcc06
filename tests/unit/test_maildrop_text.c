/* maildrop_text: what is sent, from a temp drop or from the maildrop itself, and that it is never anything else. */
#include "config.h"

#include "mail/msgwindow.h"
#include "tests/unit/maildropsession.h"

/* ---- texts */

START_TEST(normal_mode_copies_once_and_then_does_not_care)
{
    put_drop(PARTS(mail(1, "a"), mail(2, "b")));
    login();
    ck_assert_int_eq(h.temps, 0);
    append(mail(3, "c")); /* growth before the copy is no harm */
    assert_body(1, "a\r\n");
    assert_body(2, "b\r\n");
    ck_assert_int_eq(h.temps, 1);
    ck_assert_int_eq(h.locked, 2);
    put_drop(PARTS("anything"));
    assert_body(1, "a\r\n");
}
END_TEST

static ssize_t spoiling_copy_range(int from, off_t from_at, int to, off_t to_at, size_t n)
{
    put_drop(PARTS(mail(1, "x"), mail(2, "b"))); /* same size */
    return filecalls_os.copy_range(from, from_at, to, to_at, n);
}

START_TEST(normal_mode_notices_a_change_while_it_copies)
{
    put_drop(PARTS(mail(1, "a"), mail(2, "b")));
    login();
    usleep(12000);
    counting.copy_range = spoiling_copy_range;
    ck_assert_int_eq(retrieve(1), MAILDROP_TEMP);
    ck_assert_msg(strstr(why.data, "another program changed"), "%s", why.data);
}
END_TEST

START_TEST(normal_mode_never_sends_other_bytes)
{
    put_drop(PARTS(mail(1, "a"), mail(2, "b")));
    login();
    usleep(12000);
    put_drop(PARTS(mail(1, "x"), mail(2, "b"))); /* same size */
    ck_assert_int_eq(retrieve(2), MAILDROP_TEMP);
    ck_assert_msg(strstr(why.data, "another program changed"), "%s", why.data);
    ck_assert_int_eq(h.temps, 0);
}
END_TEST

START_TEST(equal_times_prove_nothing_within_a_tick)
{
    for (int mode = 0; mode < 2; mode++) {
        settings->server_mode = mode;
        put_drop(PARTS(mail(1, "a"), mail(2, "b")));
        frozen = true;
        clock_gettime(CLOCK_REALTIME, &frozen_at);
        frozen_at.tv_sec += 10; /* young however slow this machine is */
        login();
        put_drop(PARTS(mail(1, "x"), mail(2, "b")));
        ck_assert_int_eq(retrieve(2), MAILDROP_TEMP);
        put_drop(PARTS(mail(1, "a"), mail(2, "b")));
        login();
        delete(1);
        put_drop(PARTS(mail(9, "a"), mail(2, "b")));
        quit();
        assert_file(LOCALHOST_DROP, PARTS(mail(9, "a"), mail(2, "b")));
        frozen = false;
    }
}
END_TEST

START_TEST(where_no_temp_drop_can_be_made_the_maildrop_serves)
{
    h.no_temp = true;
    put_drop(PARTS(mail(1, "a")));
    login();
    assert_body(1, "a\r\n");
    ck_assert_msg(strncmp(caught.data, "warning no temp drop for ", 25) == 0 && strstr(caught.data, "No space left"),
                  "%s", caught.data);
    delete(1);
    quit();
    assert_file(LOCALHOST_DROP, PARTS(""));
}
END_TEST

static bool is_locked(void)
{
    char *lock = localhost_read(&h, LOCALHOST_DROP ".lock", NULL);

    free(lock);
    return lock != NULL;
}

static void login_to_copy(void)
{
    maildrop_set_copy_beside(1);
    h.copies = true;
    older_by = 10;
    put_drop(PARTS(mail(1, "a"), mail(2, "b"), mail(3, "c")));
    login();
    ck_assert_uint_eq(h.begun, 0);
    assert_body(1, "a\r\n");
    ck_assert_uint_eq(h.begun, 1);
    ck_assert_int_eq(h.temps, 0);
    ck_assert(is_locked());
}

/* What is written to it in the same tick would not show. */
START_TEST(a_young_maildrop_is_not_copied_beside_the_session)
{
    maildrop_set_copy_beside(1);
    h.copies = true;
    older_by = -10;
    put_drop(PARTS(mail(1, "a")));
    login();
    assert_body(1, "a\r\n");
    ck_assert_uint_eq(h.begun, 0);
    ck_assert_int_eq(h.temps, 1);
}
END_TEST

START_TEST(a_copy_made_beside_the_session_serves_when_it_is_there)
{
    login_to_copy();
    localhost_copy_on(&h, 100);
    assert_body(2, "b\r\n");
    localhost_copy_on(&h, 1000);
    ck_assert(!is_locked());
    assert_body(2, "b\r\n");
    put_drop(PARTS("anything"));
    assert_body(1, "a\r\n");
    assert_body(3, "c\r\n");
    ck_assert_uint_eq(h.begun, 1);
}
END_TEST

START_TEST(until_the_copy_is_there_changes_are_noticed)
{
    login_to_copy();
    append(mail(4, "d")); /* who does not lock */
    assert_body(2, "b\r\n");
    localhost_copy_on(&h, 100);
    usleep(12000);
    put_drop(PARTS(mail(1, "x"), mail(2, "y"), mail(3, "z")));
    assert_body(2, "b\r\n"); /* read with what came before */
    ck_assert_int_eq(retrieve(1), MAILDROP_TEMP);
    ck_assert_msg(strstr(why.data, "another program changed"), "%s", why.data);
}
END_TEST

START_TEST(a_copy_that_failed_takes_nothing)
{
    login_to_copy();
    localhost_copy_on(&h, 100);
    ck_assert_int_ge(fcntl(h.copy_given, F_GETFD), 0);
    localhost_fail_copy(&h);
    assert_body(2, "b\r\n");
    ck_assert_int_lt(fcntl(h.copy_given, F_GETFD), 0);
    assert_body(1, "a\r\n");
    ck_assert_uint_eq(h.begun, 1);
    ck_assert_int_eq(h.temps, 0);
    ck_assert(!is_locked());
}
END_TEST

START_TEST(quit_does_not_wait_for_the_copy)
{
    login_to_copy();
    localhost_copy_on(&h, 100);
    delete(2);
    quit();
    assert_file(LOCALHOST_DROP, PARTS(mail(1, "a"), mail(3, "c")));
    ck_assert(!is_locked());
}
END_TEST

START_TEST(who_cannot_copy_beside_the_session_lets_it_copy)
{
    maildrop_set_copy_beside(1);
    older_by = 10;
    put_drop(PARTS(mail(1, "a"), mail(2, "b")));
    login();
    assert_body(1, "a\r\n");
    ck_assert_uint_eq(h.begun, 1);
    ck_assert_int_eq(h.temps, 1);
    ck_assert(!is_locked());
    put_drop(PARTS("anything"));
    assert_body(2, "b\r\n");
}
END_TEST

START_TEST(server_mode_notices_changes)
{
    settings->server_mode = true;
    put_drop(PARTS(mail(1, "a"), mail(2, "b")));
    login();
    assert_body(1, "a\r\n");
    append(mail(3, "c"));
    assert_body(2, "b\r\n");
    append(mail(4, "d"));
    assert_body(2, "b\r\n");
    ck_assert_int_eq(h.temps, 0);
    usleep(12000);
    put_drop(PARTS(mail(1, "x"), mail(2, "y"), mail(3, "c"), mail(4, "d")));
    assert_body(2, "b\r\n"); /* read before */
    ck_assert_int_eq(retrieve(1), MAILDROP_TEMP);
    ck_assert_msg(strstr(why.data, "another program changed"), "%s", why.data);
}
END_TEST

/* ---- several messages in one window */

static unsigned looks; /* at the status of any file */

static int counting_fstat(int fd, struct stat *st)
{
    looks++;
    return shifting_fstat(fd, st);
}

/* `count` messages, each with a body of so many bytes, and one window is not enough for them. */
static void put_row(int count, size_t length)
{
    static char body[100000];

    localhost_write(&h, LOCALHOST_DROP, "", 0);
    for (size_t i = 0; i < length; i++)
        body[i] = i % 70 == 69 ? '\n' : 'x';
    body[length] = '\0';
    for (int n = 1; n <= count; n++) {
        localhost_append(&h, LOCALHOST_DROP, mail(n, "as listed"), strlen(mail(n, "as listed")) - 1);
        localhost_append(&h, LOCALHOST_DROP, body, length);
        localhost_append(&h, LOCALHOST_DROP, "\n\n", 2);
    }
    let_rest();
    counting.fstat = counting_fstat;
    login();
    ck_assert_uint_eq(visible(), (size_t)count);
}

/* The first message that is not in the window that begins with message `number`. */
static uint64_t beyond(uint64_t number)
{
    uint64_t n = number;

    while (n < visible() && at(n)->offset + at(n)->length <= at(number)->offset + at(number)->from_len + MSGWINDOW_MAX)
        n++;
    ck_assert_uint_lt(n, visible());
    return n;
}

/* As sed -i 's/as listed/rewritten/' does it in place. */
static void rewrite_all(void)
{
    size_t n;
    char *all = localhost_read(&h, LOCALHOST_DROP, &n), *at = all;
    int fd = openat(h.dirfd, LOCALHOST_DROP, O_WRONLY);

    usleep(12000);
    while ((at = strstr(at, "as listed")))
        memcpy(at, "rewritten", 9);
    ck_assert_int_eq(pwrite(fd, all, n, 0), (ssize_t)n);
    close(fd);
    free(all);
}

static void another_file(void)
{
    usleep(12000);
    localhost_write(&h, "other", "", 0);
    ck_assert_int_eq(renameat(h.dirfd, "other", h.dirfd, LOCALHOST_DROP), 0);
}

static void (*const changes[])(void) = { rewrite_all, another_file };

enum { SERVER, COMING, COPIED, MODES };

static void in_mode(int mode)
{
    settings->server_mode = mode == SERVER;
    h.copies = mode == COMING;
    if (mode == COMING)
        maildrop_set_copy_beside(1);
}

/* What is in view when M changes is sent as it was listed; what is not ends the session before a byte of it. From a copy everything is sent. */
START_TEST(a_change_between_two_messages)
{
    uint64_t first_unseen;

    in_mode(_i / 2);
    put_row(300, 1500);
    assert_body(1, "as listed");
    assert_body(2, "as listed");
    first_unseen = beyond(2);
    changes[_i % 2]();
    for (uint64_t n = 3; n < first_unseen; n++)
        assert_body(n, "as listed");
    if (_i / 2 == COPIED) {
        assert_body(first_unseen, "as listed");
        return;
    }
    ck_assert_int_eq(retrieve(first_unseen), MAILDROP_TEMP);
    ck_assert_uint_eq(sent.len, 0);
    ck_assert_msg(strstr(why.data, "another program changed"), "%s", why.data);
}
END_TEST

/* What was sent of it does not matter to UPDATE. */
START_TEST(deletions_after_a_change_that_was_not_noticed)
{
    settings->server_mode = true;
    put_drop(PARTS(mail(1, "a"), mail(2, "b"), mail(3, "c"), mail(4, "d")));
    login();
    assert_body(1, "a\r\n");
    assert_body(2, "b\r\n");
    usleep(12000);
    put_drop(PARTS(mail(2, "b"), mail(4, "d"), mail(1, "a")));
    assert_body(3, "c\r\n");
    assert_body(4, "d\r\n");
    delete(3);
    delete(4);
    quit();
    assert_file(LOCALHOST_DROP, PARTS(mail(2, "b"), mail(1, "a")));
    ck_assert_msg(strstr(caught.data, "1 deleted messages were found again, 1 were not"), "%s", caught.data);
}
END_TEST

static void top(uint64_t number)
{
    struct outbuf out;

    strbuf_reset(&sent);
    ck_assert_int_eq(maildrop_ready(drop, at(number), 0, &why), MAILDROP_OK);
    outbuf_init(&out, 4096, take, NULL);
    ck_assert_int_eq(maildrop_send(drop, at(number), 0, &out, &why), MAILDROP_OK);
    outbuf_flush(&out);
    outbuf_free(&out);
    ck_assert_ptr_nonnull(strstr(sent.data, "\r\n\r\n"));
    ck_assert_ptr_null(strstr(sent.data, "xxx"));
}

/* M is read, and looked at, once for many short messages; of long ones, and of short ones that do not follow each other, the headers alone are read. */
START_TEST(what_is_read_for_top)
{
    uint64_t headers = 0;

    settings->server_mode = true;
    put_row(300, _i == 1 ? 20000 : 1500);
    top(1);
    drop_bytes_read = reads = looks = 0;
    for (uint64_t n = 1; n <= 300; n++) {
        uint64_t number = _i == 2 ? 301 - n : n;

        top(number);
        headers += at(number)->header_len;
    }
    if (_i > 0) {
        ck_assert_uint_le(drop_bytes_read, headers);
        return;
    }
    ck_assert_uint_le(reads, 3);
    ck_assert_uint_le(looks, 3);
    ck_assert_uint_lt(drop_bytes_read, at(300)->offset + at(300)->header_len);
}
END_TEST

/* Where a long one stands between short ones nothing is read beyond its header. */
START_TEST(top_reads_up_to_a_long_message)
{
    static char body[40000];

    settings->server_mode = true;
    memset(body, 'x', sizeof body - 1);
    put_row(3, 1500);
    append(mail(4, "long"));
    append(body);
    append("\n\n");
    append(mail(5, "last"));
    let_rest();
    login();
    top(1);
    drop_bytes_read = 0;
    top(2);
    ck_assert_uint_eq(drop_bytes_read, at(4)->offset + at(4)->header_len - at(2)->offset - at(2)->from_len);
    drop_bytes_read = 0;
    top(3);
    top(4);
    ck_assert_uint_eq(drop_bytes_read, 0);
    top(5);
    ck_assert_uint_eq(drop_bytes_read, at(5)->length - at(5)->from_len); /* so few that it makes no difference */
}
END_TEST

static int spoil(void *context, const char *bytes, size_t n)
{
    (void)context;
    strbuf_add(&sent, bytes, n);
    put_drop(PARTS(mail(1, "x")));
    return 0;
}

START_TEST(server_mode_notices_a_change_while_it_sends)
{
    struct outbuf out;

    settings->server_mode = true;
    put_drop(PARTS(mail(1, "a"), mail(2, "b"), mail(3, "c"), mail(4, "d")));
    login();
    usleep(12000);
    ck_assert_int_eq(maildrop_ready(drop, NULL, 0, &why), MAILDROP_OK);
    outbuf_init(&out, 128, spoil, NULL);
    ck_assert_int_eq(maildrop_send(drop, at(1), MSGSEND_ALL, &out, &why), MAILDROP_TEMP);
    outbuf_free(&out);
}
END_TEST

static void rewrite_the_tail(void)
{
    int fd = openat(h.dirfd, LOCALHOST_DROP, O_WRONLY);
    off_t size = lseek(fd, 0, SEEK_END);

    usleep(12000);
    ck_assert_int_eq(pwrite(fd, "REWRITTEN", 9, size - 100), 9);
    close(fd);
}

/* A message of several windows that is rewritten while it is sent: in server mode, and while the host makes the copy. What was read after that is not
   sent. */
START_TEST(no_byte_is_sent_that_was_not_found_unchanged)
{
    static char body[800000];

    for (size_t i = 0; i < sizeof body - 1; i++)
        body[i] = i % 70 == 69 ? '\n' : 'x';
    put_drop(PARTS("From a@b Sat Nov 22 10:00:00 2025\nSubject: long\n\n"));
    append(body);
    append("\n\n");
    let_rest();
    settings->server_mode = _i == 0;
    if (_i == 1) {
        maildrop_set_copy_beside(1);
        h.copies = true;
    }
    login();
    at_first_bytes = rewrite_the_tail;
    ck_assert_int_eq(retrieve(1), MAILDROP_TEMP);
    ck_assert(at_first_bytes == NULL);
    ck_assert_uint_gt(sent.len, 0);
    ck_assert_ptr_null(strstr(sent.data, "REWRITTEN"));
    logout();
}
END_TEST

static void add(TCase *tc)
{
    tcase_add_test(tc, normal_mode_copies_once_and_then_does_not_care);
    tcase_add_test(tc, normal_mode_notices_a_change_while_it_copies);
    tcase_add_test(tc, normal_mode_never_sends_other_bytes);
    tcase_add_test(tc, equal_times_prove_nothing_within_a_tick);
    tcase_add_test(tc, a_copy_made_beside_the_session_serves_when_it_is_there);
    tcase_add_test(tc, a_young_maildrop_is_not_copied_beside_the_session);
    tcase_add_test(tc, until_the_copy_is_there_changes_are_noticed);
    tcase_add_test(tc, a_copy_that_failed_takes_nothing);
    tcase_add_test(tc, quit_does_not_wait_for_the_copy);
    tcase_add_test(tc, who_cannot_copy_beside_the_session_lets_it_copy);
    tcase_add_test(tc, where_no_temp_drop_can_be_made_the_maildrop_serves);
    tcase_add_test(tc, server_mode_notices_changes);
    tcase_add_test(tc, server_mode_notices_a_change_while_it_sends);
    tcase_add_loop_test(tc, a_change_between_two_messages, 0, 2 * MODES);
    tcase_add_test(tc, deletions_after_a_change_that_was_not_noticed);
    tcase_add_loop_test(tc, what_is_read_for_top, 0, 3);
    tcase_add_test(tc, top_reads_up_to_a_long_message);
    tcase_add_loop_test(tc, no_byte_is_sent_that_was_not_found_unchanged, 0, 2);
}

int main(void)
{
    return session_main("maildrop_text", add);
}
