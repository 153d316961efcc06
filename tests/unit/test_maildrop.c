/* maildrop: sessions over real files and locks: what is listed and sent, what UPDATE leaves, what is read, locked and
   said. */
#include "config.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mail/filecalls.h"
#include "mail/maildrop.h"
#include "mail/msgsend.h"
#include "tests/unit/caught_log.h"
#include "tests/unit/localhost.h"

static struct localhost h;
static struct settings *settings;
static struct maildrop *drop;
static struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
static struct strbuf sent = STRBUF_INIT(8 << 20);
static bool with_index;
static uint64_t drop_bytes_read, bytes_written;

/* ---- tools */

static unsigned reads; /* of any file */

static ssize_t counting_pread(int fd, void *buf, size_t n, off_t at)
{
    ssize_t got = pread(fd, buf, n, at);

    reads++;
    if (fd == h.drop && got > 0)
        drop_bytes_read += (uint64_t)got;
    return got;
}

static ssize_t counting_pwrite(int fd, const void *buf, size_t n, off_t at)
{
    bytes_written += n;
    return pwrite(fd, buf, n, at);
}

/* Makes file times older, so that no index is racy, or stand still, as if everything happened within a tick of the
   clock. */
static int64_t older_by;
static bool frozen;
static struct timespec frozen_at;

static int shifting_fstat(int fd, struct stat *st)
{
    if (fstat(fd, st) != 0)
        return -1;
    st->st_mtim.tv_sec -= older_by;
    st->st_ctim.tv_sec -= older_by;
    if (frozen)
        st->st_mtim = st->st_ctim = frozen_at;
    return 0;
}

static struct filecalls counting;

static void setup(void)
{
    localhost_init(&h);
    settings = settings_new();
    with_index = true;
    counting = filecalls_os;
    counting.pread = counting_pread;
    counting.pwrite = counting_pwrite;
    counting.fstat = shifting_fstat;
    older_by = 0;
    frozen = false;
    filecalls = &counting;
    catch_log();
}

static void teardown(void)
{
    maildrop_close(&drop);
    maildrop_set_copy_beside(0);
    localhost_remove(&h);
    settings_free(&settings);
    filecalls = &filecalls_os;
}

/* Message n; its text depends on n and the body. */
static const char *mail(int n, const char *body)
{
    static char text[8][2000];
    static int next;
    char *t = text[next++ % 8];

    snprintf(t, sizeof text[0],
             "From sender@example.org Sat Nov 22 10:%02d:00 2025\nReceived: from a by b; %d\nMessage-Id: <%d@x>\n"
             "Subject: number %d\n\n%s\n\n", n % 60, n, n, n, body);
    return t;
}

static char *joined(const char *const *parts, size_t count)
{
    char *all = calloc(1, 100000);

    for (size_t i = 0; i < count; i++)
        strcat(all, parts[i]);
    return all;
}

#define PARTS(...) (const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *)

static void put_drop(const char *const *parts, size_t count)
{
    char *all = joined(parts, count);

    localhost_write(&h, LOCALHOST_DROP, all, strlen(all));
    free(all);
}

static void append(const char *text)
{
    usleep(12000); /* the clock of file times goes on */
    localhost_append(&h, LOCALHOST_DROP, text, strlen(text));
}

/* Long enough for an index not to be racy. */
static void let_rest(void)
{
    usleep(70000);
}

static void assert_file(const char *name, const char *const *parts, size_t count)
{
    char *want = joined(parts, count), *is = localhost_read(&h, name, NULL);

    ck_assert_ptr_nonnull(is);
    ck_assert_str_eq(is, want);
    free(want);
    free(is);
}

static enum maildrop_status try_open(void)
{
    struct maildrop_files files;

    maildrop_close(&drop);
    files = localhost_files(&h, with_index);
    h.locked = 0;
    drop_bytes_read = bytes_written = 0;
    strbuf_reset(&caught);
    return maildrop_open(&drop, &files, settings, &h.host, &why);
}

static struct msglist *login(void)
{
    enum maildrop_status status = try_open();

    ck_assert_msg(status == MAILDROP_OK, "%s", why.data);
    return maildrop_list(drop);
}

static void logout(void)
{
    maildrop_close(&drop);
}

static enum maildrop_status update(void)
{
    return maildrop_update(drop, &why);
}

static void quit(void)
{
    enum maildrop_status status = update();

    ck_assert_msg(status == MAILDROP_OK, "%s", why.data);
    logout();
}

static struct message *at(uint64_t number)
{
    struct message *m = msglist_get(maildrop_list(drop), number);

    ck_assert_ptr_nonnull(m);
    return m;
}

static void delete(uint64_t number)
{
    at(number)->flags |= MSG_DELETED;
}

static const char *id(uint64_t number)
{
    return msglist_uid(maildrop_list(drop), at(number));
}

static void (*at_first_bytes)(void); /* what happens when the client gets the first bytes of a text */

static int take(void *context, const char *bytes, size_t n)
{
    (void)context;
    if (at_first_bytes)
        at_first_bytes();
    at_first_bytes = NULL;
    strbuf_add(&sent, bytes, n);
    return 0;
}

/* RETR: the status; the text is in sent. */
static enum maildrop_status retrieve(uint64_t number)
{
    struct outbuf out;
    enum maildrop_status status = maildrop_ready(drop, at(number), MSGSEND_ALL, &why);

    strbuf_reset(&sent);
    if (status != MAILDROP_OK)
        return status;
    outbuf_init(&out, 4096, take, NULL);
    status = maildrop_send(drop, at(number), MSGSEND_ALL, &out, &why);
    outbuf_flush(&out);
    outbuf_free(&out);
    if (status == MAILDROP_OK)
        ck_assert_uint_eq(sent.len, at(number)->octets); /* I6; no line of these tests begins with a dot */
    at(number)->flags |= MSG_RETRIEVED;
    return status;
}

static void assert_body(uint64_t number, const char *body)
{
    ck_assert_msg(retrieve(number) == MAILDROP_OK, "%s", why.data);
    ck_assert_msg(strstr(sent.data, body) != NULL, "%s is not in %s", body, sent.data);
}

static size_t visible(void)
{
    return maildrop_list(drop)->visible;
}

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
    put_drop(PARTS(mail(1, "x"), mail(2, "b"), mail(3, "c")));
    ck_assert_int_eq(retrieve(2), MAILDROP_TEMP);
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
    put_drop(PARTS(mail(1, "x"), mail(2, "b"), mail(3, "c"), mail(4, "d")));
    ck_assert_int_eq(retrieve(2), MAILDROP_TEMP);
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

/* ---- UPDATE */

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

START_TEST(deletions)
{
    older_by = 10;
    /* Which of four messages go, as a bit mask. */
    for (unsigned mask = 0; mask < 16; mask++) {
        const char *kept[5];
        size_t count = 0;
        char ids[4][80];

        put_drop(PARTS(mail(0, "a"), mail(1, "b"), mail(2, "c"), mail(3, "d")));
        login();
        for (unsigned i = 0; i < 4; i++) {
            if (mask >> i & 1) {
                delete(i + 1);
            } else {
                strcpy(ids[count], id(i + 1));
                kept[count++] = mail((int)i, (const char *[]){ "a", "b", "c", "d" }[i]);
            }
        }
        kept[count] = "";
        quit();
        ck_assert_int_eq(h.locked, mask ? 2 : 1);
        assert_file(LOCALHOST_DROP, kept, count + 1);
        login();
        ck_assert_int_eq(h.locked, 0); /* the index knows */
        ck_assert_uint_eq(visible(), count);
        for (size_t i = 0; i < count; i++) {
            ck_assert_str_eq(id(i + 1), ids[i]);
            ck_assert_uint_eq(retrieve(i + 1), MAILDROP_OK);
        }
        logout();
    }
}
END_TEST

static unsigned lock_looks;

static bool lock_is_lost_at_second_look(void *context)
{
    (void)context;
    return ++lock_looks < 2;
}

START_TEST(a_dot_lock_that_is_broken_while_the_update_is_planned)
{
    const char *before[5];

    put_drop(PARTS(mail(0, "a"), mail(1, "b"), mail(2, "c"), mail(3, "d"), mail(4, "e")));
    settings->mail_lock_check = 2;
    h.host.lock_is_ours = lock_is_lost_at_second_look;
    lock_looks = 0;
    login();
    delete(1);
    ck_assert_int_eq(maildrop_update(drop, &why), MAILDROP_TEMP);
    ck_assert_ptr_nonnull(strstr(why.data, "broke the dot lock"));
    ck_assert_uint_eq(lock_looks, 2);
    logout();
    for (int i = 0; i < 5; i++)
        before[i] = mail(i, (const char *[]){ "a", "b", "c", "d", "e" }[i]);
    assert_file(LOCALHOST_DROP, before, 5);
}
END_TEST

START_TEST(the_index_is_right_after_an_update)
{
    struct stat st;

    put_drop(PARTS(mail(0, "a"), mail(1, "b"), mail(2, "c")));
    login();
    append(mail(3, "d"));
    delete(2);
    quit();
    /* It was made while M was young; once that is known not to matter nothing of M is read. */
    let_rest();
    login();
    logout();
    login();
    ck_assert_int_eq(h.locked, 0);
    ck_assert_uint_eq(visible(), 3);
    ck_assert_int_eq(fstat(h.drop, &st), 0);
    ck_assert_uint_eq(at(3)->offset + at(3)->length, (uint64_t)st.st_size);
    assert_body(1, "a\r\n");
    assert_body(2, "c\r\n");
    assert_body(3, "d\r\n");
}
END_TEST

START_TEST(mail_that_arrives_meanwhile_survives_unseen)
{
    put_drop(PARTS(mail(0, "a"), mail(1, "b")));
    login();
    append(mail(2, "new"));
    ck_assert_uint_eq(visible(), 2);
    delete(1);
    delete(2);
    quit();
    assert_file(LOCALHOST_DROP, PARTS(mail(2, "new")));
    login();
    ck_assert_uint_eq(visible(), 1);
}
END_TEST

START_TEST(a_message_that_became_longer_is_not_deleted)
{
    put_drop(PARTS(mail(0, "a"), "From x@y Sat Nov 22 10:00:00 2025\nSubject: s\n\nhalf"));
    login();
    delete(1);
    delete(2);
    append(" and half\n\n");
    append(mail(2, "new"));
    quit();
    ck_assert_msg(strstr(caught.data, "became longer; it is not deleted"), "%s", caught.data);
    assert_file(LOCALHOST_DROP,
                PARTS("From x@y Sat Nov 22 10:00:00 2025\nSubject: s\n\nhalf and half\n\n", mail(2, "new")));
}
END_TEST

START_TEST(a_last_line_end_that_came_later_does_not_matter)
{
    put_drop(PARTS(mail(0, "a"), "From x@y Sat Nov 22 10:00:00 2025\nSubject: s\n\nno line end"));
    login();
    delete(2);
    append("\n\n");
    append(mail(2, "new"));
    quit();
    assert_file(LOCALHOST_DROP, PARTS(mail(0, "a"), mail(2, "new")));
}
END_TEST

START_TEST(another_program_deleted_and_rewrote)
{
    struct stat st;

    put_drop(PARTS(mail(0, "a"), mail(1, "b"), mail(2, "c"), mail(3, "d"), mail(4, "e")));
    login();
    delete(1); /* deleted by the other program too */
    delete(2);
    delete(4);
    usleep(12000);
    ck_assert_int_eq(fstat(h.drop, &st), 0);
    put_drop(PARTS(mail(4, "e"),
                   "From sender@example.org Sat Nov 22 10:01:00 2025\nReceived: from a by b; 1\nMessage-Id: <1@x>\n"
                   "Subject: number 1\nStatus: RO\n\nb\n\n",
                   mail(3, "d"), mail(2, "c"), mail(7, "new")));
    ck_assert_int_eq(futimens(h.drop, (struct timespec[]){ st.st_atim, st.st_mtim }), 0);
    quit();
    assert_file(LOCALHOST_DROP, PARTS(mail(4, "e"), mail(2, "c"), mail(7, "new")));
    ck_assert_msg(strstr(caught.data, "notice another program changed the maildrop ")
                      && strstr(caught.data, ": 2 deleted messages were found again, 1 were not"),
                  "%s", caught.data);
    login();
    ck_assert_uint_eq(visible(), 3);
}
END_TEST

START_TEST(copies_are_never_mistaken_for_one_another)
{
    static const struct copies {
        const char *name;
        const char *before, *deleted, *after,
            *left; /* a letter a message; all have the same id, length tells A from B */
    } cases[] = {
        { "one of two, both still there", "AA", "1", "AA", "AA" },
        { "one of two, one gone", "AA", "1", "A", "A" },
        { "both, both there", "AA", "12", "AA", "" },
        { "both, one gone", "AA", "12", "A", "" },
        { "both, a third came", "AA", "12", "AAA", "AAA" },
        { "told apart by length, reordered", "AB", "1", "BA", "B" },
        { "told apart by length, it is gone", "AB", "1", "B", "B" },
        { "only one before, two now", "A", "1", "AB", "B" },
    };

    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        char text[2000] = "", *is;

        for (const char *p = cases[c].before; *p; p++)
            strcat(text, mail(1, *p == 'A' ? "aa" : "bbbb"));
        localhost_write(&h, LOCALHOST_DROP, text, strlen(text));
        login();
        for (const char *p = cases[c].deleted; *p; p++)
            delete((uint64_t)(*p - '0'));
        usleep(12000);
        strcpy(text, mail(9, "moved to the front by the other program"));
        for (const char *p = cases[c].after; *p; p++)
            strcat(text, mail(1, *p == 'A' ? "aa" : "bbbb"));
        localhost_write(&h, LOCALHOST_DROP, text, strlen(text));
        quit();
        strcpy(text, mail(9, "moved to the front by the other program"));
        for (const char *p = cases[c].left; *p; p++)
            strcat(text, mail(1, *p == 'A' ? "aa" : "bbbb"));
        is = localhost_read(&h, LOCALHOST_DROP, NULL);
        ck_assert_msg(strcmp(is, text) == 0, "%s: %s", cases[c].name, is);
        free(is);
    }
}
END_TEST

START_TEST(ids_of_copies_stay)
{
    char ids[5][80];

    older_by = _i ? 10 : -10; /* with a valid index and with one that has to be verified */
    put_drop(PARTS(mail(1, "a"), mail(1, "bb"), mail(1, "ccc"), mail(1, "dddd")));
    login();
    for (int i = 0; i < 4; i++) {
        strcpy(ids[i], id((uint64_t)i + 1));
        for (int j = 0; j < i; j++)
            ck_assert_str_ne(ids[i], ids[j]);
    }
    delete(1);
    delete(3);
    quit();
    login();
    ck_assert_int_eq(h.locked, _i ? 0 : 1);
    ck_assert_str_eq(id(1), ids[1]);
    ck_assert_str_eq(id(2), ids[3]);
    logout();
    append(mail(1, "eeeee"));
    login();
    ck_assert_str_eq(id(1), ids[1]);
    ck_assert_str_eq(id(2), ids[3]);
    strcpy(ids[4], id(3));
    for (int i = 0; i < 4; i++)
        ck_assert_str_ne(ids[4], ids[i]);
    delete(1);
    append(mail(1, "ffffff"));
    quit();
    login();
    ck_assert_uint_eq(visible(), 3);
    ck_assert_str_eq(id(1), ids[3]);
    ck_assert_str_eq(id(2), ids[4]);
    ck_assert_str_ne(id(3), ids[3]);
    ck_assert_str_ne(id(3), ids[4]);
}
END_TEST

START_TEST(a_copy_that_arrives_meanwhile_gets_an_id_of_its_own)
{
    older_by = 10;
    put_drop(PARTS(mail(1, "a"), mail(2, "b")));
    login();
    append(mail(1, "cc"));
    delete(2);
    quit();
    login();
    ck_assert_int_eq(h.locked, 0);
    ck_assert_uint_eq(visible(), 2);
    ck_assert_str_ne(id(1), id(2));
}
END_TEST

static void replace_by(const char *const *parts, size_t count)
{
    localhost_write(&h, "other", "", 0);
    for (size_t i = 0; i < count; i++)
        localhost_append(&h, "other", parts[i], strlen(parts[i]));
    ck_assert_int_eq(renameat(h.dirfd, "other", h.dirfd, LOCALHOST_DROP), 0);
}

START_TEST(a_replaced_maildrop_is_not_read)
{
    put_drop(PARTS(mail(0, "a"), mail(1, "b")));
    login();
    delete(1);
    replace_by(PARTS(mail(5, "x")));
    ck_assert_int_eq(retrieve(2), MAILDROP_TEMP);
    logout();
    assert_file(LOCALHOST_DROP, PARTS(mail(5, "x")));
}
END_TEST

/* What is to go is found again in the new file; what is new there stays, and so does the old one's inode. */
START_TEST(deletions_go_to_the_file_that_replaced_the_maildrop)
{
    struct stat st, after;

    put_drop(PARTS(mail(0, "a"), mail(1, "b"), mail(2, "c"), mail(3, "d")));
    login();
    delete(2);
    delete(4);
    replace_by(PARTS(mail(7, "x"), mail(1, "b"), mail(2, "c")));
    ck_assert_int_eq(fstatat(h.dirfd, LOCALHOST_DROP, &st, 0), 0);
    catch_log();
    ck_assert_int_eq(update(), MAILDROP_OK);
    logout();
    ck_assert_ptr_nonnull(strstr(caught.data, "put a new file in place of the maildrop"));
    ck_assert_ptr_nonnull(strstr(caught.data, "1 deleted messages were found again, 1 were not and are left alone"));
    assert_file(LOCALHOST_DROP, PARTS(mail(7, "x"), mail(2, "c")));
    ck_assert_int_eq(fstatat(h.dirfd, LOCALHOST_DROP, &after, 0), 0);
    ck_assert_uint_eq(after.st_ino, st.st_ino);
    login();
    ck_assert_uint_eq(visible(), 2);
}
END_TEST

START_TEST(a_removed_maildrop_stays_removed)
{
    put_drop(PARTS(mail(0, "a"), mail(1, "b")));
    login();
    delete(1);
    ck_assert_int_eq(unlinkat(h.dirfd, LOCALHOST_DROP, 0), 0);
    catch_log();
    ck_assert_int_eq(update(), MAILDROP_OK);
    logout();
    ck_assert_ptr_nonnull(strstr(caught.data, "nothing is left to delete"));
    ck_assert_ptr_null(localhost_read(&h, LOCALHOST_DROP, NULL));
}
END_TEST

/* The mail of an old temp drop needs a maildrop again. */
START_TEST(a_removed_maildrop_is_made_for_the_leftover)
{
    put_drop(PARTS(mail(0, "a"), mail(1, "b")));
    localhost_write(&h, LOCALHOST_TEMPDROP, mail(9, "old"), strlen(mail(9, "old")));
    login();
    ck_assert_uint_eq(visible(), 3);
    delete(2);
    ck_assert_int_eq(unlinkat(h.dirfd, LOCALHOST_DROP, 0), 0);
    ck_assert_int_eq(update(), MAILDROP_OK);
    logout();
    assert_file(LOCALHOST_DROP, PARTS(mail(9, "old")));
}
END_TEST

/* Mail came to a user who had no maildrop, but a leftover. */
START_TEST(a_maildrop_that_appears_is_kept)
{
    localhost_write(&h, LOCALHOST_TEMPDROP, mail(9, "old"), strlen(mail(9, "old")));
    login();
    ck_assert_uint_eq(visible(), 1);
    localhost_write(&h, LOCALHOST_DROP, mail(3, "new"), strlen(mail(3, "new")));
    catch_log();
    ck_assert_int_eq(update(), MAILDROP_OK);
    logout();
    ck_assert_ptr_nonnull(strstr(caught.data, "has made the maildrop"));
    ck_assert_ptr_null(strstr(caught.data, "found again"));
    assert_file(LOCALHOST_DROP, PARTS(mail(9, "old"), mail(3, "new")));
}
END_TEST

START_TEST(a_maildrop_that_is_no_mbox_any_more_is_not_touched)
{
    put_drop(PARTS(mail(0, "a"), mail(1, "b")));
    login();
    delete(1);
    usleep(12000);
    put_drop(PARTS("garbage\n", mail(0, "a")));
    ck_assert_int_eq(update(), MAILDROP_PERM);
    assert_file(LOCALHOST_DROP, PARTS("garbage\n", mail(0, "a")));
}
END_TEST

static void write_over(const char *bytes, size_t n)
{
    int fd = openat(h.dirfd, LOCALHOST_DROP, O_WRONLY);

    usleep(12000);
    ck_assert_int_eq(pwrite(fd, bytes, n, 0), (ssize_t)n);
    close(fd);
}

/* 3000 messages with numbers from first on, which are listed once, at rest: more than samples reach. */
static void put_many(int first)
{
    char body[1500] = "";

    memset(body, 'x', 1400);
    localhost_write(&h, LOCALHOST_DROP, "", 0);
    for (int i = first; i < first + 3000; i++)
        localhost_append(&h, LOCALHOST_DROP, mail(i, body), strlen(mail(i, body)));
    let_rest();
    login();
}

/* 3000 messages of which 1501 and 1502, which no sample reaches, change places; then mail comes. */
static void swap_between_samples(void)
{
    char *all, *copy;
    size_t n, length, first;

    put_many(1000);
    first = at(1502)->offset;
    length = at(1502)->length;
    ck_assert_uint_eq(at(1503)->length, length);
    quit();
    all = localhost_read(&h, LOCALHOST_DROP, &n);
    copy = malloc(length);
    memcpy(copy, all + first, length);
    memmove(all + first, all + first + length, length);
    memcpy(all + first + length, copy, length);
    write_over(all, n);
    append(mail(4000, "new"));
    free(copy);
    free(all);
}

static bool holds(const char *subject)
{
    char *all = localhost_read(&h, LOCALHOST_DROP, NULL), line[60];
    bool found;

    snprintf(line, sizeof line, "Subject: number %s\n", subject);
    found = strstr(all, line) != NULL;
    free(all);
    return found;
}

/* The list says that 1502 is number 2501, but there stands 2502 now: it must not go in its place. */
START_TEST(what_changed_places_between_samples_is_deleted_where_it_is)
{
    swap_between_samples();
    login();
    ck_assert_uint_eq(visible(), 3001);
    delete(1502);
    quit();
    ck_assert_msg(strstr(caught.data, "another program changed"), "%s", caught.data);
    ck_assert(!holds("2501"));
    ck_assert(holds("2502"));
}
END_TEST

START_TEST(what_changed_places_between_samples_is_not_sent_as_another)
{
    swap_between_samples();
    settings->server_mode = _i == 1;
    login();
    assert_body(1501, "number 2500");
    ck_assert_int_eq(retrieve(1502), MAILDROP_TEMP);
    ck_assert_uint_eq(sent.len, 0);
    logout();
    login(); /* the index is not believed any more */
    assert_body(1502, "number 2502");
    assert_body(1503, "number 2501");
}
END_TEST

/* A list that samples alone vouch for. */
static void large_and_grown(void)
{
    put_many(1000);
    quit();
    append(mail(4000, "new"));
    let_rest();
}

/* In normal and in server mode: who reads on is not made to wait for each message to be compared. */
START_TEST(doubt_ends_with_many_messages)
{
    large_and_grown();
    settings->server_mode = _i == 1;
    login();
    for (int n = 1; n <= 40; n++)
        ck_assert_int_eq(retrieve((size_t)n), MAILDROP_OK);
    reads = 0;
    for (int n = 41; n <= 3001; n++)
        ck_assert_int_eq(retrieve((size_t)n), MAILDROP_OK);
    ck_assert_uint_lt(reads, 1000); /* two for each in doubt */
    assert_body(3001, "number 4000");
    logout();
}
END_TEST

/* One that does not fit is found when it is its turn, not when all are looked at. */
START_TEST(doubt_stays_where_it_is_right)
{
    swap_between_samples();
    settings->server_mode = _i == 1;
    login();
    for (int n = 1; n <= 40; n++)
        ck_assert_int_eq(retrieve((size_t)n), MAILDROP_OK);
    ck_assert_int_eq(retrieve(1502), MAILDROP_TEMP);
    logout();
}
END_TEST

/* Few go, whatever was read before: only they are looked at. */
START_TEST(few_deletions_in_doubt)
{
    large_and_grown();
    login();
    for (size_t n = 1; n <= 10; n++)
        retrieve(n);
    for (size_t n = 10; n <= 3000; n += 300)
        delete(n);
    drop_bytes_read = 0;
    quit();
    ck_assert_uint_lt(drop_bytes_read, 500000);
    ck_assert(!holds("1009"));
    ck_assert(holds("1008"));
}
END_TEST

/* Many go: all is looked at in one go, and if it does not fit it is listed anew. */
START_TEST(many_deletions_in_doubt)
{
    if (_i == 0)
        large_and_grown();
    else
        swap_between_samples();
    login();
    for (size_t n = 2; n <= 2000; n += 2)
        delete(n); /* 1502 among them */
    reads = 0;
    quit();
    if (_i == 0)
        ck_assert_uint_lt(reads, 1000);
    ck_assert_int_eq(strstr(caught.data, "another program changed") != NULL, _i == 1);
    ck_assert(!holds("1001"));
    ck_assert(holds("1000"));
    ck_assert(!holds("2501"));
    ck_assert(holds("2502"));
    login();
    ck_assert_uint_eq(visible(), 3001 - 1000);
    logout();
}
END_TEST

/* However often it grows. */
START_TEST(a_list_is_made_anew_after_some_growths)
{
    int i;

    swap_between_samples();
    for (i = 0; i < 40; i++) {
        login();
        if (drop_bytes_read > 3000000)
            break;
        quit();
        append(mail(5000 + i, "new"));
        let_rest();
    }
    ck_assert_int_gt(i, 4);
    ck_assert_int_lt(i, 20);
    assert_body(1502, "number 2502");
    quit();
    append(mail(6000, "new"));
    let_rest();
    login();
    ck_assert_uint_lt(drop_bytes_read, 3000000);
}
END_TEST

/* A large maildrop that grew after messages between the samples were moved about: the cut must still be at messages. */
START_TEST(a_cut_is_made_at_messages_only)
{
    char *all;
    size_t n, at_message;

    put_many(0);
    quit();
    all = localhost_read(&h, LOCALHOST_DROP, &n);
    /* Message 1501 (not sampled: 3000 * k / 256 is 1500, 1511) gives twelve bytes to 1502. */
    login();
    at_message = at(1502)->offset;
    ck_assert_mem_eq(all + at_message, "From ", 5);
    logout();
    memmove(all + at_message - 12, all + at_message, 300);
    memset(all + at_message - 12 + 300, 'y', 12);
    memcpy(all + at_message - 14, "\n\n", 2);
    usleep(12000);
    {
        int fd = openat(h.dirfd, LOCALHOST_DROP, O_WRONLY);

        ck_assert_int_eq(pwrite(fd, all, n, 0), (ssize_t)n);
        close(fd);
    }
    append(mail(4000, "new"));
    login();
    ck_assert_uint_eq(visible(), 3001);
    delete(1502);
    quit();
    ck_assert_msg(strstr(caught.data, "another program changed"), "%s", caught.data);
    free(all);
    all = localhost_read(&h, LOCALHOST_DROP, &n);
    ck_assert_ptr_nonnull(strstr(all, "Subject: number 1500\n"));
    ck_assert_ptr_null(strstr(all, "Subject: number 1501\n"));
    ck_assert_ptr_nonnull(strstr(all, "Subject: number 1502\n"));
    free(all);
}
END_TEST

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

/* ---- update-status-headers */

START_TEST(status_headers_are_written_back)
{
    char want[2000], *is;
    char ids[3][80];
    uint64_t octets[3];

    older_by = 10;
    settings->update_status_headers = true;
    put_drop(PARTS("From x@y Sat Nov 22 10:00:00 2025\nSubject: one\nX-UIDL: bad id\n folded\n\none\n\n",
                   "From x@y Sat Nov 22 10:00:00 2025\nSubject: two\nStatus: O\nX-Status: F\n\ntwo\n\n",
                   "From x@y Sat Nov 22 10:00:00 2025\nSubject: three\nX-UIDL: stored-id\nStatus: O\n\nthree\n\n"));
    login();
    assert_body(2, "two\r\n");
    for (int i = 0; i < 3; i++)
        strcpy(ids[i], id((uint64_t)i + 1));
    ck_assert_str_eq(ids[2], "stored-id");
    quit();
    snprintf(want, sizeof want,
             "From x@y Sat Nov 22 10:00:00 2025\nX-UIDL: %s\nSubject: one\nStatus: U\n\none\n\n"
             "From x@y Sat Nov 22 10:00:00 2025\nX-UIDL: %s\nSubject: two\nStatus: RO\nX-Status: F\n\ntwo\n\n"
             "From x@y Sat Nov 22 10:00:00 2025\nSubject: three\nX-UIDL: stored-id\nStatus: O\n\nthree\n\n",
             ids[0], ids[1]);
    is = localhost_read(&h, LOCALHOST_DROP, NULL);
    ck_assert_str_eq(is, want);
    free(is);
    login();
    ck_assert_int_eq(h.locked, 0); /* the index is that of the new headers */
    ck_assert_uint_eq(visible(), 3);
    for (int i = 0; i < 3; i++) {
        ck_assert_str_eq(id((uint64_t)i + 1), ids[i]);
        assert_body((uint64_t)i + 1, (const char *[]){ "one", "two", "three" }[i]); /* and octets are what is sent */
        octets[i] = at((uint64_t)i + 1)->octets;
        at((uint64_t)i + 1)->flags &= (uint8_t)~MSG_RETRIEVED;
    }
    ck_assert(at(2)->flags & MSG_SEEN);
    quit();
    ck_assert_int_eq(h.locked, 1); /* to copy: there was nothing to update */
    is = localhost_read(&h, LOCALHOST_DROP, NULL);
    ck_assert_str_eq(is, want);
    free(is);
    login();
    ck_assert_int_eq(h.locked, 0);
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(at((uint64_t)i + 1)->octets, octets[i]);
}
END_TEST

START_TEST(ids_of_an_imap_server_survive_the_first_message)
{
    settings->uidl_format = UIDL_DOVECOT;
    put_drop(PARTS(
        "From x@y Sat Nov 22 10:00:00 2025\nX-IMAPbase: 1700000000 0000000003 $Junk\nX-UID: 1\nSubject: one\n\none\n\n",
        "From x@y Sat Nov 22 10:00:00 2025\nX-UID: 2\nSubject: two\n\ntwo\n\n",
        "From x@y Sat Nov 22 10:00:00 2025\nX-UID: 3\nSubject: three\n\nthree\n\n"));
    for (int i = 0; i < 2; i++) {
        older_by = 10;
        with_index = i;
        login();
        ck_assert_uint_eq(visible(), (size_t)(3 - i));
        ck_assert_str_eq(id((uint64_t)(3 - i)), "000000036553f100");
        delete(1);
        quit();
        if (i == 0)
            assert_file(LOCALHOST_DROP,
                        PARTS("From x@y Sat Nov 22 10:00:00 2025\nX-IMAPbase: 1700000000 0000000003 $Junk\nX-UID: "
                              "2\nSubject: two\n\ntwo\n\n",
                              "From x@y Sat Nov 22 10:00:00 2025\nX-UID: 3\nSubject: three\n\nthree\n\n"));
        else
            assert_file(LOCALHOST_DROP, PARTS("From x@y Sat Nov 22 10:00:00 2025\nX-IMAPbase: 1700000000 0000000003 "
                                              "$Junk\nX-UID: 3\nSubject: three\n\nthree\n\n"));
    }
    login();
    ck_assert_int_eq(h.locked, 0);
    assert_body(1, "three");
    ck_assert_str_eq(id(1), "000000036553f100");
}
END_TEST

START_TEST(headers_are_not_touched_without_the_option)
{
    settings->update_status_headers = false;
    put_drop(PARTS(mail(0, "a"), mail(1, "b")));
    login();
    assert_body(1, "a");
    delete(2);
    quit();
    assert_file(LOCALHOST_DROP, PARTS(mail(0, "a")));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("maildrop");
    TCase *opening = tcase_create("opening"), *texts = tcase_create("texts"), *updating = tcase_create("update"),
          *rest = tcase_create("more");
    TCase *all[] = { opening, texts, updating, rest };

    for (size_t i = 0; i < 4; i++) {
        tcase_add_checked_fixture(all[i], setup, teardown);
        tcase_set_timeout(all[i], 60);
        suite_add_tcase(suite, all[i]);
    }
    tcase_add_test(opening, a_missing_maildrop_is_empty);
    tcase_add_test(opening, an_empty_maildrop_is_empty);
    tcase_add_test(opening, what_is_no_mbox_is_left_alone);
    tcase_add_test(opening, a_lock_of_somebody_else_is_respected);
    tcase_add_test(opening, a_poll_of_an_unchanged_maildrop_does_nothing);
    tcase_add_test(opening, without_the_option_there_is_no_index);
    tcase_add_test(opening, a_young_index_is_verified);
    tcase_add_test(opening, a_session_without_quit_keeps_what_it_learned);
    tcase_add_test(opening, only_the_new_part_is_scanned);
    tcase_add_test(opening, a_message_that_was_not_complete_is_read_again);
    tcase_add_test(opening, an_empty_journal_is_cleared_away);
    tcase_add_test(texts, normal_mode_copies_once_and_then_does_not_care);
    tcase_add_test(texts, normal_mode_notices_a_change_while_it_copies);
    tcase_add_test(texts, normal_mode_never_sends_other_bytes);
    tcase_add_test(texts, equal_times_prove_nothing_within_a_tick);
    tcase_add_test(texts, a_copy_made_beside_the_session_serves_when_it_is_there);
    tcase_add_test(texts, a_young_maildrop_is_not_copied_beside_the_session);
    tcase_add_test(texts, until_the_copy_is_there_changes_are_noticed);
    tcase_add_test(texts, a_copy_that_failed_takes_nothing);
    tcase_add_test(texts, quit_does_not_wait_for_the_copy);
    tcase_add_test(texts, who_cannot_copy_beside_the_session_lets_it_copy);
    tcase_add_test(texts, where_no_temp_drop_can_be_made_the_maildrop_serves);
    tcase_add_test(texts, server_mode_notices_changes);
    tcase_add_test(texts, server_mode_notices_a_change_while_it_sends);
    tcase_add_loop_test(updating, no_byte_is_sent_that_was_not_found_unchanged, 0, 2);
    tcase_add_test(updating, deletions);
    tcase_add_test(updating, a_dot_lock_that_is_broken_while_the_update_is_planned);
    tcase_add_test(updating, the_index_is_right_after_an_update);
    tcase_add_test(updating, mail_that_arrives_meanwhile_survives_unseen);
    tcase_add_test(updating, a_message_that_became_longer_is_not_deleted);
    tcase_add_test(updating, a_last_line_end_that_came_later_does_not_matter);
    tcase_add_test(updating, another_program_deleted_and_rewrote);
    tcase_add_test(updating, copies_are_never_mistaken_for_one_another);
    tcase_add_loop_test(updating, ids_of_copies_stay, 0, 2);
    tcase_add_test(updating, a_copy_that_arrives_meanwhile_gets_an_id_of_its_own);
    tcase_add_test(updating, a_replaced_maildrop_is_not_read);
    tcase_add_test(updating, deletions_go_to_the_file_that_replaced_the_maildrop);
    tcase_add_test(updating, a_removed_maildrop_stays_removed);
    tcase_add_test(updating, a_removed_maildrop_is_made_for_the_leftover);
    tcase_add_test(updating, a_maildrop_that_appears_is_kept);
    tcase_add_test(updating, what_changed_places_between_samples_is_deleted_where_it_is);
    tcase_add_loop_test(updating, what_changed_places_between_samples_is_not_sent_as_another, 0, 2);
    tcase_add_loop_test(updating, doubt_ends_with_many_messages, 0, 2);
    tcase_add_loop_test(updating, doubt_stays_where_it_is_right, 0, 2);
    tcase_add_test(updating, few_deletions_in_doubt);
    tcase_add_loop_test(updating, many_deletions_in_doubt, 0, 2);
    tcase_add_test(updating, a_list_is_made_anew_after_some_growths);
    tcase_add_test(updating, a_maildrop_that_is_no_mbox_any_more_is_not_touched);
    tcase_add_test(updating, a_cut_is_made_at_messages_only);
    tcase_add_test(rest, a_leftover_is_listed_first_and_merged_by_update);
    tcase_add_test(rest, what_stands_in_both_appears_once);
    tcase_add_test(rest, one_message_of_the_maildrop_stands_for_one_of_the_leftover);
    tcase_add_test(rest, a_leftover_without_a_maildrop_makes_one);
    tcase_add_test(rest, a_leftover_that_is_no_mail_is_left_alone);
    tcase_add_test(rest, status_headers_are_written_back);
    tcase_add_test(rest, ids_of_an_imap_server_survive_the_first_message);
    tcase_add_test(rest, headers_are_not_touched_without_the_option);
    return unit_main(suite);
}
