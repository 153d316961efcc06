/* strbuf: bounds, cutting, why texts that quote themselves. */
#include "tests/unit/unit.h"

#include "common/strbuf.h"

START_TEST(add_stops_at_the_bound_and_says_so)
{
    struct strbuf sb = STRBUF_INIT(5);

    ck_assert(strbuf_adds(&sb, "abc"));
    ck_assert(!strbuf_adds(&sb, "defg"));
    ck_assert_str_eq(sb.data, "abcde");
    ck_assert_uint_eq(sb.len, 5);
    ck_assert(sb.cut);
    strbuf_free(&sb);
    ck_assert_str_eq(sb.data, "");
}
END_TEST

START_TEST(fail_may_quote_its_own_text)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);

    ck_assert_int_eq(strbuf_fail(&why, "inner %d", 7), -1);
    strbuf_fail(&why, "outer: %s", why.data);
    ck_assert_str_eq(why.data, "outer: inner 7");
    strbuf_free(&why);
}
END_TEST

START_TEST(long_formats_are_complete)
{
    struct strbuf sb = STRBUF_INIT(100000);

    ck_assert(strbuf_addf(&sb, "%0999d", 1));
    ck_assert_uint_eq(sb.len, 999);
    ck_assert(strbuf_addf(&sb, "%s", "x"));
    ck_assert_uint_eq(sb.len, 1000);
    strbuf_truncate(&sb, 3);
    ck_assert_str_eq(sb.data, "000");
    strbuf_free(&sb);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("strbuf");
    TCase *tc = tcase_create("strbuf");

    tcase_add_test(tc, add_stops_at_the_bound_and_says_so);
    tcase_add_test(tc, fail_may_quote_its_own_text);
    tcase_add_test(tc, long_formats_are_complete);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
