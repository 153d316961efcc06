/* Charsets of XMANGLE: names, decoding, encoding. Only where the libraries of XMANGLE are built. */
#include "tests/unit/unit.h"

#include <string.h>

#include "mail/mangle.h"
#include "mail/mangle_charset.h"
#include "tests/unit/mangletext.h"

static const struct {
    const char *charset, *text;
    size_t n;
    const char *utf8;
} decoded[] = {
    { NULL, T("gr\xc3\xbcn"), "gr\xc3\xbcn" },
    { NULL, T("gr\xfcn"), "gr\xc3\xbcn" },
    { NULL, T("\x93x\x94"), "\xe2\x80\x9cx\xe2\x80\x9d" },
    { NULL, T(TEN("\x93")), TEN("\xe2\x80\x9c") },
    { NULL, T("\xf6" TEN("\x93")), "\xc3\xb6" TEN("\xe2\x80\x9c") },
    { "us-ascii", T("gr\xfcn"), "gr\xc3\xbcn" },
    { "ISO-8859-1", T("\x80"), "\xe2\x82\xac" },
    { "\"utf-8\"", T("gr\xfcn"), "gr\xc3\xbcn" },
    { "../../etc/passwd", T("x"), "x" },
    { "UTF-8//IGNORE", T("a\xff"), "a\xc3\xbf" },
    { "", T("x"), "x" },
    { "utf-8", T("a\xff" "b\xe2\x82"), "a\xef\xbf\xbd" "b\xef\xbf\xbd" },
    { "utf-8", T(TEN("\x80")), TEN("\xef\xbf\xbd") },
    { "koi8-r", T("\xf0"), "\xd0\x9f" },
    { "iso-2022-jp", T("\x1b$BF|\x1b(B"), NICHI },
    { "utf-16", T("\xfe\xff\0a"), "a" },
};

START_TEST(each_is_decoded)
{
    struct strbuf out = STRBUF_INIT(1000);

    mangle_charset_decode(decoded[_i].charset, decoded[_i].text, decoded[_i].n, &out);
    same(decoded[_i].charset ? decoded[_i].charset : "(none)", &out, decoded[_i].utf8, strlen(decoded[_i].utf8));
    strbuf_free(&out);
}
END_TEST

static const struct {
    const char *html, *name;
} named[] = {
    { "<meta charset=koi8-r>", "koi8-r" },
    { "<META CHARSET='big5'>", "big5" },
    { "<meta http-equiv=x content=\"text/html; charset=utf-8\">", "utf-8" },
    { "<meta charset=\"a//b\">", "a" },
    { "<meta charset=\"\">", NULL },
    { "<meta charset=utf-16>", NULL },
    { "<meta charset=UTF-16LE>", NULL },
    { "<meta http-equiv=x content=\"text/html; charset=unicode\">", NULL },
    { "<meta charset=", NULL },
    { "<p charset=koi8-r>", NULL },
    { "<meta", NULL },
    { "", NULL },
    { "<meta charset=0123456789012345678901234567890123456789>", "0123456789012345678" },
};

START_TEST(html_names_its_charset)
{
    char name[20] = "";
    bool found = mangle_charset_of_html(named[_i].html, strlen(named[_i].html), name, sizeof name);

    ck_assert_msg(found == (named[_i].name != NULL), "%s", named[_i].html);
    if (found)
        ck_assert_str_eq(name, named[_i].name);
}
END_TEST

START_TEST(charsets_that_mail_cannot_be_written_in)
{
    static const char *const names[] = { "utf-16", "UTF-32", "UCS-4", "WCHAR_T", "utf-7", "EBCDIC-US", "IBM037", "iso-2022-kr", "nonsense", "../x" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        ck_assert_msg(!mangle_knows(names[i]), "%s", names[i]);
    ck_assert(mangle_knows("utf8") && mangle_knows("us-ascii") && mangle_knows("ISO-2022-JP") && mangle_knows("koi8-r"));
}
END_TEST

static const struct {
    const char *charset, *text, *bytes;
} encoded[] = {
    { "us-ascii", "gr\xc3\xbcn \xe2\x82\xac " NICHI, "grun EUR ?" },
    { "iso-8859-1", "gr\xc3\xbcn \xe2\x80\x9cx", "gr\xfcn \"x" },
    { "koi8-r", "\xd0\x9f", "\xf0" },
    { "iso-2022-jp", NICHI, "\x1b$BF|\x1b(B" },
    { "utf-8", NICHI, NICHI },
};

START_TEST(each_is_encoded)
{
    struct mangle_encoder encoder;
    struct strbuf out = STRBUF_INIT(1000);

    ck_assert(mangle_encoder_open(&encoder, encoded[_i].charset));
    mangle_encoder_add(&encoder, encoded[_i].text, strlen(encoded[_i].text), &out);
    same(encoded[_i].charset, &out, encoded[_i].bytes, strlen(encoded[_i].bytes));
    mangle_encoder_close(&encoder);
    strbuf_free(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mangle_charset");
    TCase *tc = tcase_create("mangle_charset");

    mangle_load();
    tcase_add_loop_test(tc, each_is_decoded, 0, sizeof decoded / sizeof *decoded);
    tcase_add_loop_test(tc, html_names_its_charset, 0, sizeof named / sizeof *named);
    tcase_add_test(tc, charsets_that_mail_cannot_be_written_in);
    tcase_add_loop_test(tc, each_is_encoded, 0, sizeof encoded / sizeof *encoded);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
