/* manglespec: what may be written behind XMANGLE, and what it comes to. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "mail/manglespec.h"

#define DEFAULTS MANGLESPEC_FIELDS " "

static const struct {
    const char *argument;
    bool html;
    unsigned wrap;
    const char *charset, *fields;
} good[] = {
    { "XMANGLE", false, 0, "UTF-8", DEFAULTS },
    { "x-mangle", false, 0, "UTF-8", DEFAULTS },
    { "Mangle()", false, 0, "UTF-8", DEFAULTS },
    { "MANGLE(text=plain)", false, 0, "UTF-8", DEFAULTS },
    { "XMANGLE(TEXT=HTML)", true, 0, "UTF-8", DEFAULTS },
    { "XMANGLE(text=enriched)", false, 0, "UTF-8", DEFAULTS },
    { "XMANGLE(text=html;text=richtext)", false, 0, "UTF-8", DEFAULTS },
    { "XMANGLE(charset=us-ascii)", false, 0, "us-ascii", DEFAULTS },
    { "XMANGLE(headers=From:,TO:,x-Y)", false, 0, "UTF-8", "from to x-y " },
    { "XMANGLE( headers = from: , to: ; wrap = 72 )", false, 72, "UTF-8", "from to " },
    { "XMANGLE(;;text=html;)", true, 0, "UTF-8", DEFAULTS },
    { "XMANGLE(wrap=0)", false, 0, "UTF-8", DEFAULTS },
    { "XMANGLE(wrap=1)", false, 20, "UTF-8", DEFAULTS },
    { "XMANGLE(wrap=999999999)", false, 990, "UTF-8", DEFAULTS },
    { "XMANGLE(lang=de, en;charset=ISO-8859-1)", false, 0, "ISO-8859-1", DEFAULTS },
};

START_TEST(each_good_one)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct manglespec spec;

    ck_assert(manglespec_is(good[_i].argument));
    ck_assert_msg(manglespec_parse(&spec, good[_i].argument, &why) == 0, "%s: %s", good[_i].argument, why.data);
    ck_assert(spec.html == good[_i].html && spec.wrap == good[_i].wrap);
    ck_assert_str_eq(spec.charset, good[_i].charset);
    ck_assert_str_eq(spec.fields, good[_i].fields);
}
END_TEST

static const struct {
    const char *argument, *why;
} bad[] = {
    { "XMANGLE(", "not closed" },
    { "XMANGLE(text=plain", "not closed" },
    { "XMANGLE(headers=to:,cc:", "not closed" },
    { "XMANGLE(text=plain)x", "not closed" },
    { "XMANGLE(text=plain))", "not closed" },
    { "XMANGLE((text=plain)", "not closed" },
    { "XMANGLE((text=plain))", "not closed" },
    { "XMANGLE(text=pdf)", "text is plain or html" },
    { "XMANGLE(text=)", "text has no value" },
    { "XMANGLE(text)", "name=value" },
    { "XMANGLE(=x)", "the attributes are" },
    { "XMANGLE(color=red)", "the attributes are" },
    { "XMANGLE(wrap=x)", "number" },
    { "XMANGLE(wrap=-1)", "number" },
    { "XMANGLE(wrap=9999999999)", "number" },
    { "XMANGLE(charset=a/b)", "character set" },
    { "XMANGLE(charset=\"utf-8\")", "character set" },
    { "XMANGLE(charset=utf-8\r\nX: y)", "character set" },
    { "XMANGLE(charset=)", "charset has no value" },
    { "XMANGLE(wrap=)", "wrap has no value" },
    { "XMANGLE(lang= )", "lang has no value" },
    { "XMANGLE(wrap=7 2)", "number" },
    { "XMANGLE(text=plain;wrap=72;x)", "name=value" },
    { "XMANGLE(headers=a\r\nb)", "commas" },
    { "XMANGLE(headers=a\x80)", "commas" },
    { "XMANGLE(charset=utf-8//IGNORE)", "character set" },
    { "XMANGLE(headers=)", "headers has no value" },
    { "XMANGLE(headers=,)", "names no field" },
    { "XMANGLE(headers=:)", "1 to 64" },
    { "XMANGLE(headers=a:b)", "commas" },
    { "XMANGLE(headers=a b)", "commas" },
};

START_TEST(each_bad_one)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct manglespec spec;

    ck_assert(manglespec_is(bad[_i].argument));
    ck_assert_int_eq(manglespec_parse(&spec, bad[_i].argument, &why), -1);
    ck_assert_msg(strstr(why.data, bad[_i].why) != NULL, "%s: %s", bad[_i].argument, why.data);
    strbuf_free(&why);
}
END_TEST

START_TEST(other_arguments_are_none)
{
    static const char *const others[] = { "", "1", "XMANGLED", "X", "MANGLE[", "XXMANGLE", "(XMANGLE)" };

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
        struct manglespec spec;

        ck_assert_msg(!manglespec_is(others[i]), "%s", others[i]);
        ck_assert_int_eq(manglespec_parse(&spec, others[i], &why), -1);
        ck_assert_str_eq(why.data, "it begins with XMANGLE");
        strbuf_free(&why);
    }
}
END_TEST

START_TEST(lengths)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct manglespec spec;
    char argument[4 * MANGLESPEC_MAX];

    for (int length = 63; length <= 65; length++) {
        snprintf(argument, sizeof argument, "XMANGLE(headers=%0*d)", length, 0);
        ck_assert_int_eq(manglespec_parse(&spec, argument, &why), length <= 64 ? 0 : -1);
    }
    for (int length = 39; length <= 41; length++) {
        snprintf(argument, sizeof argument, "XMANGLE(charset=%0*d)", length, 0);
        ck_assert_int_eq(manglespec_parse(&spec, argument, &why), length <= 40 ? 0 : -1);
    }
    snprintf(argument, sizeof argument, "XMANGLE(lang=%02000d)", 0);
    ck_assert_int_eq(manglespec_parse(&spec, argument, &why), -1);
    strcpy(argument, "XMANGLE(headers=");
    for (int i = 0; i < 504; i++)
        strcat(argument, "a,");
    strcat(argument, ")");
    ck_assert_int_eq(manglespec_parse(&spec, argument, &why), 0);
    ck_assert(manglespec_wants(&spec, "A", 1));
    strbuf_free(&why);
}
END_TEST

START_TEST(which_fields_are_wanted)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct manglespec spec;

    ck_assert_int_eq(manglespec_parse(&spec, "XMANGLE(headers=to,content-type,mime-version,x)", &why), 0);
    ck_assert(manglespec_wants(&spec, "TO", 2) && manglespec_wants(&spec, "x", 1));
    ck_assert(!manglespec_wants(&spec, "t", 1) && !manglespec_wants(&spec, "too", 3) && !manglespec_wants(&spec, "", 0));
    ck_assert(!manglespec_wants(&spec, "Content-Type", 12) && !manglespec_wants(&spec, "MIME-Version", 12));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("manglespec");
    TCase *tc = tcase_create("manglespec");

    tcase_add_loop_test(tc, each_good_one, 0, sizeof good / sizeof *good);
    tcase_add_loop_test(tc, each_bad_one, 0, sizeof bad / sizeof *bad);
    tcase_add_test(tc, other_arguments_are_none);
    tcase_add_test(tc, lengths);
    tcase_add_test(tc, which_fields_are_wanted);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
