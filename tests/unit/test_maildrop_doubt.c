/* maildrop_doubt: a large maildrop of which samples alone tell that it only grew. */
#include "config.h"

#include "mail/bulletin.h"
#include "tests/unit/maildropsession.h"

static void write_over(const char *bytes, size_t n)
{
    int fd = openat(h.dirfd, LOCALHOST_DROP, O_WRONLY);

    usleep(12000);
    ck_assert_int_eq(pwrite(fd, bytes, n, 0), (ssize_t)n);
    close(fd);
}

static bool stored_ids; /* they carry ids as those of another server that ended in a number */
static int copies = 1;  /* so many after each other carry the same one */

/* 3000 messages with numbers from first on, which are listed once, at rest: more than samples reach. */
static void put_many(int first)
{
    char body[1500] = "", field[40];

    memset(body, 'x', 1400);
    localhost_write(&h, LOCALHOST_DROP, "", 0);
    for (int i = first; i < first + 3000; i++) {
        const char *text = mail(i, body), *fields = strchr(text, '\n') + 1;

        localhost_append(&h, LOCALHOST_DROP, text, (size_t)(fields - text));
        snprintf(field, sizeof field, "X-UIDL: 1034567890.%d\n", i / copies * copies);
        localhost_append(&h, LOCALHOST_DROP, field, stored_ids ? strlen(field) : 0);
        localhost_append(&h, LOCALHOST_DROP, fields, strlen(fields));
    }
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
    stored_ids = _i == 1;
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
    stored_ids = _i == 2;
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

/* The second of two has an ordinal behind the id that stands in it. */
START_TEST(in_doubt_a_copy_is_what_the_list_says)
{
    stored_ids = true;
    copies = 2;
    large_and_grown();
    settings->server_mode = _i == 1;
    login();
    ck_assert_str_eq(id(501), "1034567890.1500");
    ck_assert_str_eq(id(502), "1034567890.1500.2");
    assert_body(502, "number 1501");
    logout();
}
END_TEST

/* Before the +OK, of what is in view, too. */
START_TEST(in_doubt_the_maildrop_is_looked_at_once_a_message)
{
    large_and_grown();
    settings->server_mode = true;
    login();
    ck_assert_int_eq(retrieve(5), MAILDROP_OK);
    ck_assert_int_eq(maildrop_ready(drop, at(5), MSGSEND_ALL, &why), MAILDROP_OK);
    write_over("From a", 6);
    ck_assert_int_eq(maildrop_ready(drop, at(5), MSGSEND_ALL, &why), MAILDROP_TEMP);
    ck_assert_msg(strstr(why.data, "another program changed"), "%s", why.data);
    logout();
}
END_TEST

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

static size_t count_of(const char *text, const char *part)
{
    size_t n = 0;

    for (; (text = strstr(text, part)); text++)
        n++;
    return n;
}

/* A header is replaced where the message is, not where the list has it. */
START_TEST(headers_are_written_where_the_message_is)
{
    char *all;
    size_t n, moved;
    int fd;

    settings->update_status_headers = true;
    put_many(0);
    quit(); /* X-UIDL and Status are written */
    let_rest();
    login();
    all = localhost_read(&h, LOCALHOST_DROP, &n);
    moved = at(1502)->offset;
    retrieve(1502);
    memmove(all + moved - 12, all + moved, 400);
    memset(all + moved - 12 + 400, 'y', 12);
    memcpy(all + moved - 14, "\n\n", 2);
    usleep(12000);
    fd = openat(h.dirfd, LOCALHOST_DROP, O_WRONLY);
    ck_assert_int_eq(pwrite(fd, all, n, 0), (ssize_t)n);
    close(fd);
    free(all);
    append(mail(4000, "new"));
    quit();
    all = localhost_read(&h, LOCALHOST_DROP, &n);
    ck_assert_uint_eq(count_of(all, "\nX-UIDL: "), 3000); /* as before: the new one was not looked at */
    login();
    ck_assert_uint_eq(visible(), 3001);
    free(all);
}
END_TEST

/* NULs at the start, fewer and more than are read at once. */
START_TEST(padding_is_no_reason_to_list_anew)
{
    char *nul = calloc(1, 5 << 20), *all;
    size_t n;

    put_many(1000);
    quit();
    all = localhost_read(&h, LOCALHOST_DROP, &n);
    localhost_write(&h, LOCALHOST_DROP, nul, _i == 0 ? 3 << 20 : 5 << 20);
    localhost_append(&h, LOCALHOST_DROP, all, n);
    free(all);
    free(nul);
    append(mail(7000, "twin"));
    append(mail(7000, "twin"));
    let_rest();
    login();
    quit();
    append(mail(4000, "new"));
    let_rest();
    login();
    ck_assert_uint_eq(visible(), 3003);
    for (size_t i = 2; i <= 2990; i++)
        delete(i);
    delete(3002);
    quit();
    login();
    ck_assert_uint_eq(visible(), 3003 - 2990);
    ck_assert_msg(!strstr(caught.data, "another program changed"), "%s", caught.data);
}
END_TEST

static int (*real_open)(void *, enum mailfile, enum mailopen, struct strbuf *);
static int journals_refused;

static int refuse_journal(void *context, enum mailfile which, enum mailopen how, struct strbuf *w)
{
    if (which != MAILFILE_JOURNAL || how != MAILOPEN_NEW || journals_refused-- <= 0)
        return real_open(context, which, how, w);
    errno = EDQUOT;
    return strbuf_fail(w, "no journal today");
}

/* Without room for so many journals. */
static enum maildrop_status update_refused(int journals)
{
    enum maildrop_status status;

    real_open = h.host.open;
    h.host.open = refuse_journal;
    journals_refused = journals;
    status = update();
    h.host.open = real_open;
    logout();
    return status;
}

/* What it found out about the list is not what stands in the index. */
START_TEST(an_update_that_fails_ends_no_doubt)
{
    swap_between_samples();
    let_rest();
    login();
    delete(1502);
    ck_assert_int_eq(update_refused(100), MAILDROP_TEMP);
    ck_assert(holds("2501") && holds("2502"));
    strbuf_reset(&why);
    login();
    ck_assert_uint_eq(visible(), 3001);
    delete(1502); /* number 2501 by its id */
    quit();
    ck_assert(!holds("2501"));
    ck_assert(holds("2502"));
}
END_TEST

/* The second attempt finds out again what the first one did. */
START_TEST(no_room_for_bulletins_ends_no_doubt)
{
    static const char text[] = "From admin Sat Nov 22 10:00:00 2025\nSubject: bull\n\nhi\n";
    int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600), out = open("/tmp", O_TMPFILE | O_RDWR, 0600);
    char shown[] = "bull";
    struct bulletin item = { .number = 5, .fd = fd, .shown = shown };
    struct bulletin_offer offer = { .to = "me@here", .text = out, .items = &item, .count = 1, .last = 4, .noted = true };

    ck_assert_int_eq(pwrite(fd, text, sizeof text - 1, 0), sizeof text - 1);
    swap_between_samples();
    let_rest();
    h.bulletins = &offer;
    login();
    ck_assert_uint_eq(visible(), 3002);
    delete(1502);
    ck_assert_int_eq(update_refused(1), MAILDROP_OK);
    h.bulletins = NULL;
    ck_assert(!holds("2501"));
    ck_assert(holds("2502"));
    close(fd);
    close(out);
}
END_TEST

static void add(TCase *tc)
{
    tcase_add_test(tc, no_room_for_bulletins_ends_no_doubt);
    tcase_add_test(tc, an_update_that_fails_ends_no_doubt);
    tcase_add_loop_test(tc, padding_is_no_reason_to_list_anew, 0, 2);
    tcase_add_test(tc, headers_are_written_where_the_message_is);
    tcase_add_loop_test(tc, what_changed_places_between_samples_is_deleted_where_it_is, 0, 2);
    tcase_add_loop_test(tc, what_changed_places_between_samples_is_not_sent_as_another, 0, 3);
    tcase_add_loop_test(tc, in_doubt_a_copy_is_what_the_list_says, 0, 2);
    tcase_add_loop_test(tc, doubt_ends_with_many_messages, 0, 2);
    tcase_add_test(tc, in_doubt_the_maildrop_is_looked_at_once_a_message);
    tcase_add_loop_test(tc, doubt_stays_where_it_is_right, 0, 2);
    tcase_add_test(tc, few_deletions_in_doubt);
    tcase_add_loop_test(tc, many_deletions_in_doubt, 0, 2);
    tcase_add_test(tc, a_list_is_made_anew_after_some_growths);
    tcase_add_test(tc, a_cut_is_made_at_messages_only);
}

int main(void)
{
    return session_main("maildrop_doubt", add);
}
