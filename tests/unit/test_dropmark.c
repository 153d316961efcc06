/* dropmark: the same, grown or changed; never "the same" for what could have changed. */
#include "config.h"

#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/mem.h"
#include "mail/dropmark.h"

#define COUNT 1000
#define ONE 4000
#define HEADER 700
#define LARGE ((off_t)COUNT * ONE)

static char path[64];
static int drop;
static struct message *messages;

static void setup(void)
{
    char *bytes = mem_new(1, LARGE);

    strcpy(path, "/tmp/test_dropmark.XXXXXX");
    drop = mkstemp(path);
    ck_assert_int_ge(drop, 0);
    unlink(path);
    for (off_t i = 0; i < LARGE; i++)
        bytes[i] = (char)('a' + i * i % 23);
    ck_assert_int_eq(pwrite(drop, bytes, LARGE, 0), LARGE);
    mem_free(bytes);
    messages = mem_new(COUNT, sizeof *messages);
    for (size_t i = 0; i < COUNT; i++)
        messages[i] = (struct message){ .offset = i * ONE, .length = ONE, .header_len = HEADER };
}

static void teardown(void)
{
    mem_free(messages);
    close(drop);
}

static struct stat status(void)
{
    struct stat st;

    ck_assert_int_eq(fstat(drop, &st), 0);
    return st;
}

static struct dropmark take(size_t count)
{
    struct dropmark mark;
    struct stat st;

    ck_assert_int_eq(ftruncate(drop, (off_t)count * ONE), 0);
    st = status();
    dropmark_take(&mark, drop, &st);
    mark.racy = false;
    ck_assert_int_eq(dropmark_fingerprint(&mark, drop, messages, count), 0);
    return mark;
}

static void write_at(off_t at)
{
    char c;

    ck_assert_int_eq(pread(drop, &c, 1, at), 1);
    c ^= 1;
    ck_assert_int_eq(pwrite(drop, &c, 1, at), 1);
}

static void tick(void)
{
    usleep(12000);
}

static enum dropmark_match compare(const struct dropmark *mark)
{
    struct stat st = status();

    return dropmark_compare(mark, drop, &st, messages, mark->size / ONE);
}

/* Where a byte changes in a small (whole fingerprint) and a large (sampled) maildrop that also grows. */
static const struct changed {
    const char *name;
    size_t count;
    off_t at;
    enum dropmark_match want;
} changes[] = {
    { "small: nothing but growth", 20, -1, DROPMARK_GROWN },
    { "small: first byte", 20, 0, DROPMARK_CHANGED },
    { "small: last byte", 20, 20 * ONE - 1, DROPMARK_CHANGED },
    { "small: in a body", 20, 11 * ONE + 2000, DROPMARK_CHANGED },
    { "empty before", 0, -1, DROPMARK_GROWN },
    { "large: nothing but growth", COUNT, -1, DROPMARK_GROWN },
    { "large: first byte", COUNT, 0, DROPMARK_CHANGED },
    { "large: end of the head", COUNT, 4095, DROPMARK_CHANGED },
    { "large: last byte", COUNT, LARGE - 1, DROPMARK_CHANGED },
    { "large: start of the tail", COUNT, LARGE - 65536, DROPMARK_CHANGED },
    { "large: a sampled From_ line", COUNT, 500 * ONE, DROPMARK_CHANGED },
    { "large: end of a sampled header", COUNT, 500 * ONE + HEADER - 1, DROPMARK_CHANGED },
    { "large: a body between the samples is not seen", COUNT, 500 * ONE + HEADER, DROPMARK_GROWN },
};

START_TEST(changes_besides_growth)
{
    const struct changed *c = &changes[_i];
    struct dropmark mark = take(c->count);

    tick();
    if (c->at >= 0)
        write_at(c->at);
    ck_assert_int_eq(pwrite(drop, "From ", 5, (off_t)c->count * ONE), 5);
    ck_assert_msg(compare(&mark) == c->want, "%s", c->name);
}
END_TEST

START_TEST(the_same_is_the_same)
{
    struct dropmark mark = take(20);

    ck_assert_int_eq(compare(&mark), DROPMARK_SAME);
    ck_assert(dropmark_verify(&mark, drop, messages, 20));
}
END_TEST

START_TEST(a_mail_reader_sets_mtime_back)
{
    struct dropmark mark = take(20);
    struct stat before = status();

    tick();
    write_at(100);
    futimens(drop, (struct timespec[]){ before.st_atim, before.st_mtim });
    ck_assert_int_eq(compare(&mark), DROPMARK_CHANGED);
    /* Longer as well, and the old bytes right: still not an append. */
    write_at(100);
    ck_assert_int_eq(pwrite(drop, "From ", 5, 20 * ONE), 5);
    futimens(drop, (struct timespec[]){ before.st_atim, before.st_mtim });
    ck_assert_int_eq(compare(&mark), DROPMARK_CHANGED);
}
END_TEST

/* Exim: utime(2) with the second that it is, after each append. */
START_TEST(a_delivery_agent_sets_mtime_to_the_second)
{
    struct dropmark mark = take(20);
    struct stat st = status();
    int64_t second = INT64_C(1000000000);

    mark.racy = false;
    mark.mtime = mark.ctime = 1000 * second + 700000000;
    st.st_size += 5;
    st.st_ctim = (struct timespec){ .tv_sec = 1000, .tv_nsec = 900000000 };
    st.st_mtim = (struct timespec){ .tv_sec = 1000 };
    ck_assert_int_eq(dropmark_compare(&mark, drop, &st, messages, 20), DROPMARK_GROWN);
    mark.mtime = 1000 * second; /* it delivered before in this second */
    ck_assert_int_eq(dropmark_compare(&mark, drop, &st, messages, 20), DROPMARK_GROWN);
    st.st_mtim.tv_sec = 999; /* put back by a reader */
    ck_assert_int_eq(dropmark_compare(&mark, drop, &st, messages, 20), DROPMARK_CHANGED);
    st.st_mtim.tv_sec = 1000;
    st.st_ctim.tv_sec = 1002; /* the old time again, later: a reader, too */
    ck_assert_int_eq(dropmark_compare(&mark, drop, &st, messages, 20), DROPMARK_CHANGED);
}
END_TEST

START_TEST(shorter_and_chmod_are_changes)
{
    struct dropmark mark = take(20);

    tick();
    fchmod(drop, 0640);
    ck_assert_int_eq(compare(&mark), DROPMARK_CHANGED);
    mark = take(20);
    ck_assert_int_eq(ftruncate(drop, 20 * ONE - 1), 0);
    ck_assert_int_eq(compare(&mark), DROPMARK_CHANGED);
}
END_TEST

START_TEST(growth_within_a_tick_needs_a_racy_mark)
{
    struct dropmark mark = take(20);
    struct stat st = status();

    st.st_size += 5; /* the times are as they were */
    ck_assert_int_eq(dropmark_compare(&mark, drop, &st, messages, 20), DROPMARK_CHANGED);
    mark.racy = true;
    ck_assert_int_eq(dropmark_compare(&mark, drop, &st, messages, 20), DROPMARK_GROWN);
    mark.mtime--; /* set back by the reader that changed M before the delivery */
    ck_assert_int_eq(dropmark_compare(&mark, drop, &st, messages, 20), DROPMARK_GROWN);
    mark.ctime--; /* and if it was some other tick, not racy at all */
    mark.racy = false;
    ck_assert_int_eq(dropmark_compare(&mark, drop, &st, messages, 20), DROPMARK_GROWN);
    mark.mtime++;
    ck_assert_int_eq(dropmark_compare(&mark, drop, &st, messages, 20), DROPMARK_CHANGED);
    mark.ctime++;
    mark.racy = true;
    write_at(100);
    ck_assert_int_eq(dropmark_compare(&mark, drop, &st, messages, 20), DROPMARK_CHANGED);
}
END_TEST

START_TEST(a_fresh_change_makes_a_racy_mark)
{
    struct stat st = status();
    struct dropmark mark;
    struct timespec now;
    static const struct { const char *name; int64_t age, nsec; bool want;
    } cases[] = {
        { "now", 0, 1, true },
        { "20 ms ago", 20000000, 1, true },
        { "an hour ago", INT64_C(3600000000000), 1, false },
        { "80 ms ago", 80000000, 1, false },
        { "in the future", -INT64_C(3600000000000), 1, true },
        { "whole seconds, one ago", 1000000000, 0, true },
        { "whole seconds, three ago", INT64_C(3000000000), 0, false },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t ns;

        clock_gettime(CLOCK_REALTIME, &now);
        ns = now.tv_sec * INT64_C(1000000000) + now.tv_nsec - cases[i].age;
        st.st_ctim = st.st_mtim = (struct timespec){ ns / 1000000000, cases[i].nsec ? ns % 1000000000 : 0 };
        dropmark_take(&mark, drop, &st);
        ck_assert_msg(mark.racy == cases[i].want, "%s", cases[i].name);
    }
    dropmark_take(&mark, -1, &st); /* no file system known: the wide margin */
    ck_assert(!mark.racy);
    st.st_ctim = (struct timespec){ now.tv_sec - 1, 1 };
    dropmark_take(&mark, -1, &st);
    ck_assert(mark.racy);
}
END_TEST

START_TEST(a_file_that_cannot_be_read_is_changed)
{
    struct dropmark mark = take(20);
    struct stat st = status();

    st.st_size += 5;
    st.st_mtim.tv_sec++;
    st.st_ctim.tv_sec++;
    ck_assert_int_eq(dropmark_compare(&mark, -1, &st, messages, 20), DROPMARK_CHANGED);
    ck_assert_int_eq(ftruncate(drop, 10), 0);
    ck_assert_int_eq(dropmark_compare(&mark, drop, &st, messages, 20), DROPMARK_CHANGED);
    ck_assert_int_eq(dropmark_fingerprint(&mark, drop, messages, 20), -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dropmark");
    TCase *tc = tcase_create("dropmark");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, changes_besides_growth, 0, sizeof changes / sizeof *changes);
    tcase_add_test(tc, the_same_is_the_same);
    tcase_add_test(tc, a_mail_reader_sets_mtime_back);
    tcase_add_test(tc, a_delivery_agent_sets_mtime_to_the_second);
    tcase_add_test(tc, shorter_and_chmod_are_changes);
    tcase_add_test(tc, growth_within_a_tick_needs_a_racy_mark);
    tcase_add_test(tc, a_fresh_change_makes_a_racy_mark);
    tcase_add_test(tc, a_file_that_cannot_be_read_is_changed);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
