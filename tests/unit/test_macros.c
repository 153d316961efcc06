/* macros: what may be defined, what stands for what, and the mistakes of facts page 9 (the 11th, names of 101 bytes). */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "protocol/macros.h"

static struct macros macros;
static struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);

static int define(const char *definition, const char **name_r)
{
    strbuf_reset(&why);
    return macros_define(&macros, definition, name_r, &why);
}

static void teardown(void)
{
    macros_free(&macros);
}

static const struct {
    const char *definition, *name, *value; /* name NULL: refused, value is part of the reason */
} cases[] = {
    { "a(b)", "a", "b" },
    { "Long-Name.1(XMANGLE(text=plain;headers=to:,cc:))", "long-name.1", "XMANGLE(text=plain;headers=to:,cc:)" },
    { "a()", "a", "" },
    { "1a(b c)", "1a", "b c" },
    { "%n%s(%n%s)", "%n%s", "%n%s" },
    { "a", NULL, "name(value)" },
    { "a(", NULL, "name(value)" },
    { "a(b", NULL, "name(value)" },
    { "a((b)", NULL, "name(value)" },
    { "a(b))", NULL, "name(value)" },
    { "a(b)c", NULL, "name(value)" },
    { "a(b)(c)", NULL, "name(value)" },
    { "a)", NULL, "name(value)" },
    { "", NULL, "name(value)" },
    { "(b)", NULL, "visible ASCII" },
    { "12(b)", NULL, "not a number" },
    { "a b(c)", NULL, "visible ASCII" },
    { "a)b(c)", NULL, "visible ASCII" },
    { "\xc3\xa4(c)", NULL, "visible ASCII" },
};

START_TEST(each_definition)
{
    const char *name = NULL;
    int result = define(cases[_i].definition, &name);

    if (!cases[_i].name) {
        ck_assert_int_eq(result, -1);
        ck_assert_ptr_nonnull(strstr(why.data, cases[_i].value));
        ck_assert_uint_eq(macros.count, 0);
        return;
    }
    ck_assert_int_eq(result, 0);
    ck_assert_str_eq(name, cases[_i].name);
    ck_assert_str_eq(macros_expand(&macros, name), cases[_i].value);
}
END_TEST

START_TEST(names_have_a_limit)
{
    char definition[200];
    const char *name;

    for (int length = MACROS_NAME_MAX - 1; length <= MACROS_NAME_MAX + 1; length++) {
        snprintf(definition, sizeof definition, "%0*d(v)", length, 0);
        definition[0] = 'A';
        ck_assert_int_eq(define(definition, &name), length <= MACROS_NAME_MAX ? 0 : -1);
    }
    ck_assert_uint_eq(macros.count, 2);
    ck_assert_uint_eq(strlen(name), MACROS_NAME_MAX);
}
END_TEST

START_TEST(the_eleventh_is_refused_but_the_tenth_may_change)
{
    char definition[] = "m0(v)";
    const char *name;

    for (int i = 0; i < MACROS_MAX; i++) {
        definition[1] = (char)('0' + i);
        ck_assert_int_eq(define(definition, &name), 0);
    }
    ck_assert_int_eq(define("ma(v)", &name), -1);
    ck_assert_str_eq(why.data, "there are 10 already");
    ck_assert_int_eq(define("M9(other)", &name), 0);
    ck_assert_str_eq(macros_expand(&macros, "m9"), "other");
    ck_assert_str_eq(macros_expand(&macros, "ma"), "ma");
}
END_TEST

START_TEST(only_the_whole_name_counts)
{
    const char *name;

    define("text(value)", &name);
    ck_assert_str_eq(macros_expand(&macros, "tex"), "tex");
    ck_assert_str_eq(macros_expand(&macros, "texts"), "texts");
    ck_assert_str_eq(macros_expand(&macros, ""), "");
    ck_assert_str_eq(macros_expand(&macros, "TEXT"), "value");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("macros");
    TCase *tc = tcase_create("macros");

    tcase_add_checked_fixture(tc, NULL, teardown);
    tcase_add_loop_test(tc, each_definition, 0, sizeof cases / sizeof *cases);
    tcase_add_test(tc, names_have_a_limit);
    tcase_add_test(tc, the_eleventh_is_refused_but_the_tenth_may_change);
    tcase_add_test(tc, only_the_whole_name_counts);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
