/* The rooms of XMANGLE one by one: text, headers, uuencoded files; charsets and HTML are in test_mangle_charset.c and test_mangle_html.c. Only where GMime is built. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "mail/mangle.h"
#include "mail/mangle_header.h"
#include "mail/mangle_text.h"
#include "mail/mangle_uu.h"
#include "tests/unit/mangletext.h"

#define LINE_MAX_OF_MAIL 998 /* RFC 5322 section 2.1.1 */

static int keep(void *context, const char *bytes, size_t n)
{
    return strbuf_add(context, bytes, n) ? 0 : -1;
}

static size_t longest_line(const struct strbuf *text)
{
    size_t longest = 0;

    for (size_t at = 0; at < text->len;) {
        const char *lf = memchr(text->data + at, '\n', text->len - at);
        size_t length = lf ? (size_t)(lf - text->data) - at : text->len - at;

        longest = length > longest ? length : longest;
        at += length + 1;
    }
    return longest;
}

/* ---- text */

static const struct {
    const char *name, *text;
    size_t n;
    const char *clean;
    size_t clean_n;
} cleaned[] = {
    { "line ends", T("a\r\nb\rc\nd"), T("a\nb\nc\nd") },
    { "line ends of Unicode", T("a\xe2\x80\xa8" "b\xe2\x80\xa9" "c"), T("a\nb\nc") },
    { "control characters", T("a\x1b[31m\x07\x7f\x01" "b\tc"), T("a[31mb\tc") },
    { "those of C1", T("a\xc2\x9b" "b\xc2\x85" "c"), T("abc") },
    { "byte order mark", T("\xef\xbb\xbf" "a"), T("a") },
    { "a byte that is none", T("a\xff" "b"), T("a?b") },
    { "half a character at the end", T("a\xe2\x82"), T("a??") },
    { "half a character in the middle", T("\xe2\x82" "a\xc3\n"), T("??a?\n") },
    { "too long a form", T("\xc0\xae" "."), T("??.") },
    { "a surrogate", T("\xed\xa0\x80"), T("???") },
    { "what is kept", T("\xc3\xa4 \xe6\x97\xa5 \xf0\x9f\x98\x80"), T("\xc3\xa4 \xe6\x97\xa5 \xf0\x9f\x98\x80") },
    { "nothing", T(""), T("") },
};

START_TEST(each_is_cleaned)
{
    struct strbuf out = STRBUF_INIT(1000);

    mangle_text_clean(cleaned[_i].text, cleaned[_i].n, &out);
    same(cleaned[_i].name, &out, cleaned[_i].clean, cleaned[_i].clean_n);
    strbuf_free(&out);
}
END_TEST

START_TEST(a_nul_ends_nothing)
{
    struct strbuf out = STRBUF_INIT(1000);

    mangle_text_clean("a\0b", 3, &out);
    ck_assert_msg(out.data[0] == 'a' && out.data[out.len - 1] == 'b' && memchr(out.data, '\0', out.len) == NULL, "%s", out.data);
    strbuf_free(&out);
}
END_TEST

START_TEST(clean_text_is_cut_between_characters)
{
    for (size_t max = 0; max < 12; max++) {
        struct strbuf out = STRBUF_INIT(max);

        mangle_text_clean(T("\xe6\x97\xa5\xc3\xa4\xf0\x9f\x98\x80z\xe6\x97\xa5"), &out);
        ck_assert_msg(is_utf8(&out) && out.cut, "%zu: %s", max, out.data);
        strbuf_free(&out);
    }
}
END_TEST

/* As a client gets it. */
static void write_text(const char *charset, bool html, const char *text, size_t n, unsigned columns, struct strbuf *result)
{
    struct mangle_encoder encoder;
    struct outbuf out;
    struct mangle_text to = { .out = &out, .encoder = &encoder, .html = html, .left = 1u << 20 };

    ck_assert(mangle_encoder_open(&encoder, charset));
    outbuf_init(&out, 4096, keep, result);
    mangle_text_add(&to, text, n, columns);
    ck_assert_int_eq(outbuf_flush(&out), 0);
    ck_assert_msg(to.left == (1u << 20) - out.total && out.total == result->len, "octets counted: %zu, written: %zu", (size_t)(1u << 20) - to.left, result->len);
    outbuf_free(&out);
    mangle_encoder_close(&encoder);
}

static const struct {
    const char *name;
    unsigned columns;
    bool html;
    const char *text, *lines;
} written[] = {
    { "as it is", 0, false, "one\n\ntwo  \n-- \nthree", "one\n\ntwo\n-- \nthree\n" },
    { "only blanks", 20, false, "    \n", "\n" },
    { "at a blank", 10, false, "one two three four", "one two\nthree four\n" },
    { "exactly full", 7, false, "one two three", "one two\nthree\n" },
    { "several blanks at the end of a line", 10, false, "one two     three four", "one two\nthree four\n" },
    { "a long word stays whole", 10, false, "a abcdefghijklmnop b", "a\nabcdefghijklmnop\nb\n" },
    { "one column leaves ten", 1, false, "one two three four", "one two\nthree four\n" },
    { "one column, wide characters", 1, false, NICHI NICHI NICHI NICHI NICHI NICHI, NICHI NICHI NICHI NICHI NICHI "\n" NICHI "\n" },
    { "wide ones count twice", 11, false, NICHI NICHI NICHI NICHI NICHI NICHI, NICHI NICHI NICHI NICHI NICHI "\n" NICHI "\n" },
    { "combining ones do not count", 10, false, "e\xcc\x81" "e\xcc\x81" "e\xcc\x81" "e\xcc\x81" "e\xcc\x81 aaaa b", "e\xcc\x81" "e\xcc\x81" "e\xcc\x81" "e\xcc\x81" "e\xcc\x81 aaaa\nb\n" },
    { "a quotation", 14, false, "> one two three four", "> one two\n> three four\n" },
    { "quoted deeper than the line", 12, false, ">>>>>>>>>>>>>>>> one two three", ">>>>>>>>>>>>>>>> one two\n>>>>>>>>>>>>>>>> three\n" },
    { "an item", 16, false, "  * one two three four", "  * one two\n    three four\n" },
    { "a number", 18, false, " 10. one two three four", " 10. one two three\n     four\n" },
    { "fixed", 10, false, "\001one  two three four", "one  two three four\n" },
    { "fixed further on", 10, false, "> \001one  two three four", "> one  two three four\n" },
    { "escaped", 0, true, "a <b> & c", "a &lt;b&gt; &amp; c\n" },
    { "a lone dot is stuffed by who sends it", 0, false, ".\n..\n", ".\n..\n" },
};

START_TEST(each_is_written)
{
    struct strbuf out = STRBUF_INIT(1u << 20);

    write_text("UTF-8", written[_i].html, written[_i].text, strlen(written[_i].text), written[_i].columns, &out);
    same(written[_i].name, &out, written[_i].lines, strlen(written[_i].lines));
    strbuf_free(&out);
}
END_TEST

/* What makes the longest lines of a charset, over and over. */
static const struct {
    const char *charset, *text;
} long_ones[] = {
    { "UTF-8", "a" }, { "UTF-8", NICHI }, { "UTF-8", "\xc3\xa4" }, { "UTF-8", "word " },
    { "us-ascii", "\xe2\x82\xac" }, { "us-ascii", "\xe2\x84\xa1" }, { "us-ascii", "\xe3\x8d\xb1" }, { "iso-8859-1", "\xe2\x93\xbe" },
    { "iso-2022-jp", "a" NICHI }, { "iso-2022-jp", NICHI }, { "iso-2022-jp-2", "\xc3\xa9\xce\xb1" }, { "iso-2022-jp-2", "a\xc3\xa9\xce\xb1" },
    { "iso-2022-jp", "a\xd0\xb6" }, { "iso-2022-jp-2", "a\xc4\x83" },
    { "iso-2022-cn", "a\xe7\xae\x80" }, { "iso-2022-cn", "\xe7\xae\x80\xe7\xb0\xa1" },
    { "gb18030", "\xf0\xa0\x80\x80" }, { "gb18030", "\xc3\xa4" }, { "koi8-r", "\xd0\xb6" },
};

START_TEST(lines_are_never_too_long)
{
    struct strbuf text = STRBUF_INIT(4000), out = STRBUF_INIT(1u << 20);

    while (text.len + strlen(long_ones[_i].text) <= text.max)
        strbuf_adds(&text, long_ones[_i].text);
    for (unsigned columns = 0; columns <= 990; columns += 990) {
        strbuf_reset(&out);
        write_text(long_ones[_i].charset, false, text.data, text.len, columns, &out);
        ck_assert_msg(longest_line(&out) <= LINE_MAX_OF_MAIL, "%s, %s: %zu octets", long_ones[_i].charset, long_ones[_i].text, longest_line(&out));
    }
    strbuf_free(&text);
    strbuf_free(&out);
}
END_TEST

static const struct {
    const char *name, *text;
    bool delsp;
    const char *paragraphs;
} flowed[] = {
    { "joined", "one \ntwo\n", false, "one two\n" },
    { "joined without the blank", "one \ntwo\n", true, "onetwo\n" },
    { "quotations of two depths", ">> a \n>> b \n> c\n", false, ">> a b \n> c\n" },
    { "stuffed", " From\n  x\n", false, "From\n x\n" },
    { "a signature ends a paragraph", "a \n-- \nb\n", false, "a \n-- \nb\n" },
    { "the last line flows", "a ", false, "a \n" },
    { "no line end", "a", false, "a\n" },
    { "empty lines", "\n\n", false, "\n\n" },
};

START_TEST(each_flows)
{
    struct strbuf out = STRBUF_INIT(1000);

    mangle_text_unflow(flowed[_i].text, strlen(flowed[_i].text), flowed[_i].delsp, &out);
    same(flowed[_i].name, &out, flowed[_i].paragraphs, strlen(flowed[_i].paragraphs));
    strbuf_free(&out);
}
END_TEST

/* ---- headers, and whole messages */

static void mangle(const char *wanted, const char *message, size_t n, struct strbuf *result, size_t *header_r)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct manglespec spec;
    struct outbuf out;

    ck_assert_msg(manglespec_parse(&spec, wanted, &why) == 0, "%s", why.data);
    outbuf_init(&out, 4096, keep, result);
    mangle_message(message, n, &spec, &out, header_r);
    ck_assert_int_eq(outbuf_flush(&out), 0);
    outbuf_free(&out);
    strbuf_free(&why);
}

#define TYPE "MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n\n"

static const struct {
    const char *name, *field;
    size_t n;
    const char *shown;
} fields[] = {
    { "plain", T("Subject: hello"), "Subject: hello\n" },
    { "empty", T("Subject:"), "Subject:\n" },
    { "folded", T("Subject: a\n  b\n\tc"), "Subject: a b c\n" },
    { "encoded", T("Subject: =?utf-8?q?gr=C3=BCn?= x"), "Subject: gr\xc3\xbcn x\n" },
    { "encoded in two words", T("Subject: =?utf-8?b?Z3LDvA==?=\n =?utf-8?q?n?="), "Subject: gr\xc3\xbcn\n" },
    { "CRLF in it", T("Subject: =?utf-8?q?a=0D=0AX-Evil:_1?="), "Subject: a X-Evil: 1\n" },
    { "LF LF in it: no body begins", T("Subject: =?utf-8?q?a=0A=0Abody?="), "Subject: a body\n" },
    { "CR in it", T("Subject: =?utf-8?q?a=0DX-Evil:_1?="), "Subject: a X-Evil: 1\n" },
    { "base64 of the same", T("Subject: =?utf-8?b?YQ0KWC1FdmlsOiAx?="), "Subject: a X-Evil: 1\n" },
    { "UTF-16 of the same", T("Subject: =?utf-16be?b?AGEADQAKAFgALQBFAHYAaQBsADoAIAAx?="), "Subject: a X-Evil: 1\n" },
    { "line end of Unicode", T("Subject: =?utf-8?q?a=E2=80=A8X-Evil:_1?="), "Subject: a X-Evil: 1\n" },
    { "NEL", T("Subject: =?utf-8?q?a=C2=85X?="), "Subject: aX\n" },
    { "escape", T("Subject: =?utf-8?q?a=1B[31mb?="), "Subject: a[31mb\n" },
    { "an address with LF", T("From: =?utf-8?q?a=0AX-Evil=3A_1?= <x@y>"), "From: \"a X-Evil: 1\" <x@y>\n" },
    { "an address with quotes", T("From: =?utf-8?q?a=22b=2C?= <x@y>"), "From: \"a'b,\" <x@y>\n" },
    { "a charset with quotes", T("Subject: =?\"utf-8\"?q?a?="), "Subject: a\n" },
    { "raw bytes", T("Subject: gr\xfcn"), "Subject: gr\xc3\xbcn\n" },
};

START_TEST(each_field)
{
    struct strbuf message = STRBUF_INIT(1000), out = STRBUF_INIT(1u << 20), expected = STRBUF_INIT(1000);
    size_t header = 0;

    strbuf_add(&message, fields[_i].field, fields[_i].n);
    strbuf_adds(&message, "\nContent-Type: text/plain\n\nbody\n");
    mangle("XMANGLE(headers=subject,from,x-evil)", message.data, message.len, &out, &header);
    strbuf_addf(&expected, "%s" TYPE "body\n\n", fields[_i].shown);
    same(fields[_i].name, &out, expected.data, expected.len);
    ck_assert_uint_eq(header, strlen(fields[_i].shown) + strlen(TYPE));
    strbuf_free(&message);
    strbuf_free(&out);
    strbuf_free(&expected);
}
END_TEST

START_TEST(a_nul_in_a_field)
{
    static const char *const words[] = { "=?utf-8?q?a=00X-Evil:_1?=", "=?utf-8?q?=00?=", "=?utf-16be?b?AGEAAABi?=" };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct strbuf message = STRBUF_INIT(1000), out = STRBUF_INIT(1u << 20);
        size_t header = 0;

        strbuf_addf(&message, "Subject: %s\n\nbody\n", words[i]);
        mangle("XMANGLE(headers=subject)", message.data, message.len, &out, &header);
        ck_assert_msg(memchr(out.data, '\0', out.len) == NULL && strstr(out.data, "\nX-Evil") == NULL && strncmp(out.data, "Subject:", 8) == 0, "%s: %s", words[i], out.data);
        strbuf_free(&message);
        strbuf_free(&out);
    }
}
END_TEST

/* Whatever the letters are, a field that is cut is cut between two of them, and folded at whole ones. */
START_TEST(a_very_long_field)
{
    static const char *const letters[] = { "a", "\xc3\xa4", NICHI, "\xf0\x9f\x98\x80", "\xc3\xa4 ", NICHI " a" };

    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
        for (size_t before = 0; before < 4; before++) {
            struct strbuf message = STRBUF_INIT(100000), out = STRBUF_INIT(1u << 20);
            size_t header = 0;

            strbuf_addf(&message, "Subject: %.*s", (int)before, "xxx");
            while (message.len < 40000)
                strbuf_adds(&message, letters[i]);
            strbuf_adds(&message, "\n\nbody\n");
            mangle("XMANGLE(headers=subject)", message.data, message.len, &out, &header);
            ck_assert_msg(is_utf8(&out), "%s after %zu", letters[i], before);
            ck_assert_uint_le(longest_line(&out), LINE_MAX_OF_MAIL);
            ck_assert_uint_ge(header, MANGLE_HEADER_FIELD_MAX);
            strbuf_free(&message);
            strbuf_free(&out);
        }
}
END_TEST

START_TEST(a_long_field_in_another_charset)
{
    static const char *const letters[] = { "a" NICHI, "\xc3\xa9\xce\xb1", NICHI, "a\xc4\x83" };

    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++) {
        struct strbuf message = STRBUF_INIT(100000), out = STRBUF_INIT(1u << 20);
        size_t header = 0;

        strbuf_adds(&message, "Subject: ");
        while (message.len < 2000)
            strbuf_adds(&message, letters[i]);
        strbuf_adds(&message, "\n\nbody\n");
        mangle("XMANGLE(headers=subject;charset=iso-2022-jp-2)", message.data, message.len, &out, &header);
        ck_assert_uint_le(longest_line(&out), LINE_MAX_OF_MAIL);
        strbuf_free(&message);
        strbuf_free(&out);
    }
}
END_TEST

/* The body after the header; a message as it may come. */
static const struct {
    const char *name, *message;
    size_t n;
    const char *body;
} messages[] = {
    { "nothing", T("\n"), "\n" },
    { "no body", T("Subject: x\n"), "\n" },
    { "a lone dot", T("Subject: x\n\na\n.\nb\n"), "a\n.\nb\n\n" },
    { "a NUL", T("Subject: x\n\na\0b\n"), NULL },
    { "a charset with quotes inside", T("Content-Type: text/plain; charset=\"\\\"utf-8\\\"\"\n\ngr\xc3\xbcn\n"), "gr\xc3\xbcn\n\n" },
    { "a charset in single quotes", T("Content-Type: text/plain; charset='utf-8'\n\ngr\xc3\xbcn\n"), "gr\xc3\xbcn\n\n" },
    { "a charset with a line end", T("Content-Type: text/plain; charset=\"utf-8\n\tX: y\"\n\ngr\xc3\xbcn\n"), "gr\xc3\xbcn\n\n" },
    { "a name with a line end", T("Content-Type: application/x; name=\"=?utf-8?q?a=0D=0A.=0D=0Ab?=\"\n\nx\n"), NULL },
    { "text where the empty line was forgotten", T("Subject: x\nthis is text\nmore\n\nand more\n"), "this is text\nmore\n\nand more\n\n" },
    { "no empty line at all", T("Subject: x\nthis is text\nmore\n"), "this is text\nmore\n\n" },
    { "blanks in the empty line", T("Subject: x\n \t\nthis is text\n\nmore\n"), "this is text\n\nmore\n\n" },
    { "blanks in the empty line, CRLF", T("Subject: x\r\n  \r\nthis is text\r\n"), "this is text\n\n" },
    { "no header", T("this is text\nmore\n\nand more\n"), "this is text\nmore\n\nand more\n\n" },
    { "a line that is no field within the header", T("Content-Type: text/html\nnone\nDate: y\n\n<p>a\n"), "a\n\n" },
    { "and before it", T("none\nX: y\nContent-Type: text/html\n\n<p>a\n"), "a\n\n" },
    { "a folded field before it", T(" none\nContent-Type: text/html\n\n<p>a\n"), "a\n\n" },
    { "text that looks like a field", T("this is text\nhttp://x/\nPS: more\n\n"), "this is text\nhttp://x/\nPS: more\n\n\n" },
    { "a line of the mailbox", T(">From a Fri Nov 27 06:56:02 2026\nContent-Type: text/html\n\n<p>a\n"), "a\n\n" },
    { "and text after it", T("From a Fri Nov 27 06:56:02 2026\nthis is text\n"), "this is text\n\n" },
    { "an indented line of the text", T("Subject: x\nthis is text\n  more\n\n"), "this is text\n  more\n\n\n" },
    { "a folded field at the end", T("Subject: x\n y\n\ntext\n"), "text\n\n" },
    { "blanks before the colon", T("Content-Type : text/html\n\n<p>a\n"), "a\n\n" },
    { "HTML that says it is UTF-16", T("Content-Type: text/html\n\n<meta charset=utf-16><p>gr\xc3\xbcn\n"), "gr\xc3\xbcn\n\n" },
    { "curly quotes and no charset", T("Subject: x\n\n" TEN("\x93") "\n"), TEN("\xe2\x80\x9c") "\n\n" },
};

START_TEST(each_message)
{
    struct strbuf out = STRBUF_INIT(1u << 20);
    size_t header = 0;

    mangle("XMANGLE(headers=x-evil)", messages[_i].message, messages[_i].n, &out, &header);
    ck_assert_uint_eq(header, strlen(TYPE));
    ck_assert(memcmp(out.data, TYPE, strlen(TYPE)) == 0 && memchr(out.data, '\0', out.len) == NULL && strstr(out.data, "\n.\nb]") == NULL);
    if (messages[_i].body)
        ck_assert_msg(strcmp(out.data + header, messages[_i].body) == 0, "%s: %s", messages[_i].name, out.data + header);
    else
        ck_assert_msg(is_utf8(&out), "%s: %s", messages[_i].name, out.data);
    strbuf_free(&out);
}
END_TEST

/* ---- uuencoded files */

static const struct {
    const char *name, *text, *file; /* NULL: there is none */
    size_t size;
} uus[] = {
    { "a file", "begin 644 a b.txt\n#86)C\n`\nend\n", "a b.txt", 3 },
    { "with CR", "begin 644 a\r\n#86)C\r\n`\r\nend\r\n", "a", 3 },
    { "blank instead of `", "begin 644 a\n#86)C\n \nend\n", "a", 3 },
    { "no line end at the end", "begin 644 a\n#86)C\n`\nend", "a", 3 },
    { "empty", "begin 644 a\n`\nend\n", "a", 0 },
    { "mode of four digits", "begin 0644 a\n`\nend\n", "a", 0 },
    { "the second one", "begin 644 a\nno\nbegin 644 b\n`\nend\n", "b", 0 },
    { "no end", "begin 644 a\n#86)C\n`\n", NULL, 0 },
    { "no last line", "begin 644 a\n#86)C\nend\n", NULL, 0 },
    { "no name", "begin 644 \n`\nend\n", NULL, 0 },
    { "no mode", "begin 64 a\n`\nend\n", NULL, 0 },
    { "a mode that is none", "begin 688 a\n`\nend\n", NULL, 0 },
    { "not at the beginning of a line", " begin 644 a\n`\nend\n", NULL, 0 },
    { "a line that is too long", "begin 644 a\n#86)C86)C86)C\n`\nend\n", NULL, 0 },
    { "no file at all", "begin", NULL, 0 },
    { "nothing", "", NULL, 0 },
};

START_TEST(each_uu)
{
    struct mangle_uu found;
    bool is = mangle_uu_find(uus[_i].text, strlen(uus[_i].text), &found);

    ck_assert_msg(is == (uus[_i].file != NULL), "%s", uus[_i].name);
    if (!is)
        return;
    ck_assert_msg(found.name_length == strlen(uus[_i].file) && memcmp(found.name, uus[_i].file, found.name_length) == 0, "%s", uus[_i].name);
    ck_assert_uint_eq(found.size, uus[_i].size);
    ck_assert_uint_eq(found.end, strlen(uus[_i].text));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mangle");
    TCase *tc = tcase_create("mangle");

    mangle_load();
    tcase_add_loop_test(tc, each_is_cleaned, 0, sizeof cleaned / sizeof *cleaned);
    tcase_add_test(tc, a_nul_ends_nothing);
    tcase_add_test(tc, clean_text_is_cut_between_characters);
    tcase_add_loop_test(tc, each_is_written, 0, sizeof written / sizeof *written);
    tcase_add_loop_test(tc, lines_are_never_too_long, 0, sizeof long_ones / sizeof *long_ones);
    tcase_add_loop_test(tc, each_flows, 0, sizeof flowed / sizeof *flowed);
    tcase_add_loop_test(tc, each_field, 0, sizeof fields / sizeof *fields);
    tcase_add_test(tc, a_nul_in_a_field);
    tcase_add_test(tc, a_very_long_field);
    tcase_add_test(tc, a_long_field_in_another_charset);
    tcase_add_loop_test(tc, each_message, 0, sizeof messages / sizeof *messages);
    tcase_add_loop_test(tc, each_uu, 0, sizeof uus / sizeof *uus);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
