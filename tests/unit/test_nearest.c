/* nearest: what is said to be meant, word by word. */
#include "tests/unit/unit.h"

#include <string.h>

#include "common/nearest.h"

static const char *const ours[] = { "debug", "file", "tls-support", "tls-options", "timeout", "timing", "spool-dir", "spool-options", "shy", "temp-dir", "temp-name" };

static const struct {
    const char *word, *said;
} cases[] = {
    { "timeot", "; did you mean timeout?" },
    { "timeoutt", "; did you mean timeout?" },
    { "timeuot", "; did you mean timeout?" }, /* two that changed places are one */
    { "TIME_OUT", "; did you mean timeout?" },
    { "spool_dir", "; did you mean spool-dir?" },
    { "spooldir", "; did you mean spool-dir?" },
    { "temp-nam", "; did you mean temp-name?" },
    { "spool", "; did you mean spool-dir or spool-options?" },
    { "spool-", "; did you mean spool-dir or spool-options?" },
    { "temp", "; did you mean temp-dir or temp-name?" },
    { "tls", "" }, /* begins too many */
    { "sgy", "; did you mean shy?" },
    { "sg", "" },
    { "timXXut", "; did you mean timeout?" }, /* two of seven */
    { "tXXXout", "" },
    { "", "" },
    { "mailspool", "" },
    { "\xff\x80", "" },
    { "timeouttimeouttimeouttimeouttimeouttimeouttimeout", "" },
};

START_TEST(each_word)
{
    struct strbuf said = STRBUF_INIT(200);
    struct nearest n;

    nearest_begin(&n, cases[_i].word, strlen(cases[_i].word));
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        nearest_offer(&n, ours[i]);
    ck_assert_int_eq(nearest_say(&n, "", &said), cases[_i].said[0] != '\0');
    ck_assert_msg(strcmp(said.data, cases[_i].said) == 0, "%s: \"%s\"", cases[_i].word, said.data);
    strbuf_free(&said);
}
END_TEST

START_TEST(the_word_ends_where_it_is_said_to)
{
    struct strbuf said = STRBUF_INIT(200);
    struct nearest n;

    nearest_begin(&n, "fil=debug", 3);
    nearest_offer(&n, "debug");
    nearest_offer(&n, "file");
    nearest_say(&n, "-", &said);
    ck_assert_str_eq(said.data, "; did you mean -file?");
    strbuf_free(&said);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("nearest");
    TCase *tc = tcase_create("nearest");

    tcase_add_loop_test(tc, each_word, 0, sizeof cases / sizeof *cases);
    tcase_add_test(tc, the_word_ends_where_it_is_said_to);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
