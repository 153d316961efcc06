/* stats: the exact records that log readers parse (facts page 4.3). */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "protocol/stats.h"
#include "tests/unit/caught_log.h"

static struct settings settings;
static struct peer peer = { .host = "mua.example", .ip = "192.0.2.7" };

static void setup(void)
{
    settings = (struct settings){ .statistics = true, .timing = true };
    catch_log();
}

START_TEST(session)
{
    stats_session(&settings, "alice", &peer, 3, 4567, UINT64_C(5000000000), UINT64_C(18000000000000000000));
    ck_assert_str_eq(caught.data, "notice Stats: alice 3 4567 5000000000 18000000000000000000 mua.example 192.0.2.7\n");
    strbuf_reset(&caught);
    settings.statistics = false;
    stats_session(&settings, "alice", &peer, 3, 4567, 1, 2);
    ck_assert_str_eq(caught.data, "");
}
END_TEST

static const struct {
    const char *format, *logged;
} logins[] = {
    { "(v%0) POP login by user \"%1\" at (%2) %3", "notice (v5.0.0) POP login by user \"alice\" at (mua.example) "
                                                   "192.0.2.7\n" },
    { "%3%2%1%0", "notice 192.0.2.7mua.examplealice5.0.0\n" },
    { "no substitution", "notice no substitution\n" },
    { "", "" },
    { NULL, "" },
    { "%1 %s%n", "warning log-login \"%1 %s%n\" holds a % that is not %0, %1, %2 or %3; the standard line is used\n"
                 "notice (v5.0.0) POP login by user \"alice\" at (mua.example) 192.0.2.7\n" },
    { "%", "warning log-login \"%\" holds a % that is not %0, %1, %2 or %3; the standard line is used\n"
           "notice (v5.0.0) POP login by user \"alice\" at (mua.example) 192.0.2.7\n" },
};

START_TEST(login)
{
    settings.log_login = (char *)logins[_i].format;
    stats_login(&settings, "alice", &peer);
    ck_assert_str_eq(caught.data, logins[_i].logged);
}
END_TEST

START_TEST(a_host_name_cannot_end_the_quotes)
{
    struct peer evil = { .host = "x) 10.0.0.1\"\n", .ip = "192.0.2.7" };

    settings.log_login = (char *)"\"%2\" %3";
    stats_login(&settings, "alice", &evil);
    ck_assert_str_eq(caught.data, "notice \"x) 10.0.0.1\\x22\\x0a\" 192.0.2.7\n");
}
END_TEST

START_TEST(failed_login)
{
    stats_failed_login("alice", &peer, "wrong password");
    ck_assert_str_eq(caught.data, "notice [AUTH] Failed attempted login to alice from host (mua.example) 192.0.2.7\n"
                                  "info alice at mua.example (192.0.2.7): -ERR [AUTH] login refused: wrong password\n");
    strbuf_reset(&caught);
    stats_failed_login("alice", &peer, NULL);
    stats_failed_login("alice", &peer, "");
    ck_assert_str_eq(caught.data, "notice [AUTH] Failed attempted login to alice from host (mua.example) 192.0.2.7\n"
                                  "notice [AUTH] Failed attempted login to alice from host (mua.example) 192.0.2.7\n");
}
END_TEST

START_TEST(names_of_strangers_are_escaped_and_bounded)
{
    char name[1025];

    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    name[0] = '\n';
    name[1] = '"';
    stats_failed_login(name, &peer, NULL);
    ck_assert_uint_lt(caught.len, 160);
    ck_assert_ptr_nonnull(strstr(caught.data, "login to \\x0a\\x22aaaa"));
    ck_assert_ptr_nonnull(strstr(caught.data, "aaa... from host (mua.example) 192.0.2.7\n"));
}
END_TEST

static const struct {
    const char *name, *shown;
} words[] = {
    { "a b", "a\\x20b" },
    { " ", "\\x20" },
    { "", "" },
    { "x  ", "x\\x20\\x20" },
    { "x from host (h) 203.0.113.9", "x\\x20from\\x20host\\x20(h)\\x20203.0.113.9" },
    { "0123456789012345678901234567890123456789012345678901234567890123",
      "0123456789012345678901234567890123456789012345678901234567890123" },
    { "012345678901234567890123456789012345678901234567890123456789012 4",
      "012345678901234567890123456789012345678901234567890123456789012\\x20..." },
    { "0123456789012345678901234567890123456789012345678901234567890123 x",
      "0123456789012345678901234567890123456789012345678901234567890123..." },
};

START_TEST(a_name_is_one_word)
{
    char expected[400];

    snprintf(expected, sizeof expected, "notice [AUTH] Failed attempted login to %s from host (mua.example) 192.0.2.7\n",
             words[_i].shown);
    stats_failed_login(words[_i].name, &peer, NULL);
    ck_assert_str_eq(caught.data, expected);
}
END_TEST

START_TEST(timing)
{
    stats_timing(&settings, "alice", &peer, true, 1499999999, 2500000000, 0);
    stats_timing(&settings, "alice", &peer, false, 0, 0, INT64_C(90000000000));
    ck_assert_str_eq(caught.data, "info (v5.0.0) Timing for alice@mua.example (normal) auth=1 init=3 clean=0\n"
                                  "info (v5.0.0) Timing for alice@mua.example (error) auth=0 init=0 clean=90\n");
    strbuf_reset(&caught);
    settings.timing = false;
    stats_timing(&settings, "alice", &peer, true, 0, 0, 0);
    ck_assert_str_eq(caught.data, "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stats");
    TCase *tc = tcase_create("stats");

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, session);
    tcase_add_loop_test(tc, login, 0, sizeof logins / sizeof *logins);
    tcase_add_test(tc, a_host_name_cannot_end_the_quotes);
    tcase_add_test(tc, failed_login);
    tcase_add_test(tc, names_of_strangers_are_escaped_and_bounded);
    tcase_add_loop_test(tc, a_name_is_one_word, 0, sizeof words / sizeof *words);
    tcase_add_test(tc, timing);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
