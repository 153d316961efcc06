/* visitors: the limits of standalone mode. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "process/visitors.h"

#define SECOND INT64_C(1000000000)

static struct visitors v;

static void begin(void)
{
    v = (struct visitors){ 0 };
}

static void end(void)
{
    visitors_free(&v);
}

static const struct {
    const char *ip, *source;
} sources[] = {
    { "192.0.2.7", "192.0.2.7" },
    { "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64" },
    { "2001:db8:1:2:ffff::1", "2001:db8:1:2::/64" },
    { "::1", "::/64" },
    { "unknown", "" },
};

START_TEST(source_of_an_address)
{
    char source[VISITORS_SOURCE_MAX];

    visitors_source(sources[_i].ip, source);
    ck_assert_str_eq(source, sources[_i].source);
}
END_TEST

START_TEST(counts)
{
    visitors_add(&v, 1, -1, "a");
    visitors_add(&v, 2, -1, "a")->state = VISITOR_SESSION;
    visitors_add(&v, 3, -1, "b");
    visitors_add(&v, 4, -1, "a")->ending = true;
    visitors_add(&v, 5, -1, "");
    ck_assert_uint_eq(visitors_total(&v), 4);
    ck_assert_uint_eq(visitors_from(&v, "a"), 2);
    ck_assert_uint_eq(visitors_from(&v, ""), 0);
    ck_assert_uint_eq(visitors_preauth(&v), 3);
    visitors_remove(&v, visitors_of_pid(&v, 1));
    ck_assert_ptr_null(visitors_of_pid(&v, 1));
    ck_assert_int_eq(visitors_of_pid(&v, 5)->pid, 5);
    ck_assert_uint_eq(visitors_from(&v, "a"), 1);
}
END_TEST

START_TEST(the_greediest_source_loses_its_oldest)
{
    visitors_add(&v, 1, -1, "quiet");
    for (pid_t pid = 10; pid < 15; pid++)
        visitors_add(&v, pid, -1, "flood");
    visitors_add(&v, 2, -1, "other");
    visitors_of_pid(&v, 10)->state = VISITOR_CHECKING;
    visitors_of_pid(&v, 11)->ending = true;
    ck_assert_int_eq(visitors_greediest(&v)->pid, 12);
}
END_TEST

START_TEST(among_equals_the_oldest_goes)
{
    visitors_add(&v, 1, -1, "z");
    visitors_add(&v, 2, -1, "a");
    ck_assert_int_eq(visitors_greediest(&v)->pid, 1);
    visitors_of_pid(&v, 1)->state = VISITOR_SESSION;
    visitors_of_pid(&v, 2)->state = VISITOR_SESSION;
    ck_assert_ptr_null(visitors_greediest(&v));
}
END_TEST

START_TEST(checks_go_round_the_sources)
{
    struct visitor *who;

    for (pid_t pid = 1; pid <= 3; pid++)
        visitors_ask(&v, visitors_add(&v, pid, -1, "flood"));
    visitors_ask(&v, visitors_add(&v, 9, -1, "quiet"));
    who = visitors_next_check(&v, 2);
    ck_assert_int_eq(who->pid, 1);
    who->state = VISITOR_CHECKING;
    who = visitors_next_check(&v, 2);
    ck_assert_int_eq(who->pid, 9);
    who->state = VISITOR_CHECKING;
    ck_assert_ptr_null(visitors_next_check(&v, 2));
    visitors_of_pid(&v, 9)->state = VISITOR_SESSION;
    visitors_of_pid(&v, 2)->ending = true;
    ck_assert_int_eq(visitors_next_check(&v, 2)->pid, 3);
}
END_TEST

START_TEST(delays_grow_and_are_forgotten)
{
    const int expected[] = { 3, 3, 3, 6, 12, 24, 30, 30 };
    int64_t now = 1000 * SECOND;

    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        ck_assert_int_eq(visitors_delay(&v, "a", 3, now), expected[i]);
        visitors_failed(&v, "a", now);
    }
    ck_assert_int_eq(visitors_delay(&v, "b", 3, now), 3);
    ck_assert_int_eq(visitors_delay(&v, "a", 0, now), 0);
    ck_assert_int_eq(visitors_delay(&v, "a", 60, now), 60);
    now += (VISITORS_FAILURE_SECONDS + 1) * SECOND;
    ck_assert_int_eq(visitors_delay(&v, "a", 3, now), 3);
    visitors_failed(&v, "a", now);
    ck_assert_int_eq(visitors_delay(&v, "a", 3, now), 3);
    visitors_failed(&v, "", now);
    ck_assert_int_eq(visitors_delay(&v, "", 3, now), 3);
}
END_TEST

START_TEST(the_memory_for_failures_is_bounded)
{
    char source[VISITORS_SOURCE_MAX];

    for (int i = 0; i < VISITORS_FAILURES_MAX + 10; i++) {
        snprintf(source, sizeof source, "source %d", i);
        for (int n = 0; n < VISITORS_FREE_FAILURES; n++)
            visitors_failed(&v, source, i * SECOND / 100);
    }
    ck_assert_uint_eq(v.failure_count, VISITORS_FAILURES_MAX);
    ck_assert_int_eq(visitors_delay(&v, source, 3, 42 * SECOND), 6);
    ck_assert_int_eq(visitors_delay(&v, "source 9", 3, 42 * SECOND), 3);
    ck_assert_int_eq(visitors_delay(&v, "source 10", 3, 42 * SECOND), 6);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("visitors");
    TCase *tcase = tcase_create("visitors");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_loop_test(tcase, source_of_an_address, 0, sizeof sources / sizeof *sources);
    tcase_add_test(tcase, counts);
    tcase_add_test(tcase, the_greediest_source_loses_its_oldest);
    tcase_add_test(tcase, among_equals_the_oldest_goes);
    tcase_add_test(tcase, checks_go_round_the_sources);
    tcase_add_test(tcase, delays_grow_and_are_forgotten);
    tcase_add_test(tcase, the_memory_for_failures_is_bounded);
    suite_add_tcase(suite, tcase);
    return unit_main(suite);
}
