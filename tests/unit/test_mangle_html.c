/* HTML as text, page by page. Only where the libraries of XMANGLE are built. */
#include "tests/unit/unit.h"

#include <string.h>

#include "mail/mangle.h"
#include "mail/mangle_html.h"
#include "mail/mangle_html_link.h"
#include "mail/mangle_text.h"
#include "tests/unit/mangletext.h"

static const struct {
    const char *name, *html, *text;
} pages[] = {
    { "nothing", "", "" },
    { "only blanks", " \n ", "" },
    { "text", "one <b>two</b>\nthree", "one two three\n" },
    { "a table without cells", "a<table></table>b", "a\n\nb\n" },
    { "a table with empty rows", "a<table><tr></tr><tr></tr></table>b", "a\n\nb\n" },
    { "a table with empty cells", "a<table><tr><td></td><td> </td></tr></table>b", "a\n\nb\n" },
    { "a cell without a table", "<td>a</td>b", "a\n\nb\n" },
    { "a cell within something else in a table", "<table><blockquote><td>a</td></blockquote><tr><td>b</table>", "> a\nb\n" },
    { "a table side by side", "<table><tr><td>a<td>b<tr><td>cc<td>d</table>", "\001a   b\n\001cc  d\n" },
    { "a span that is none", "<table><tr><td colspan=-5>a<td>b</table>", "\001a  b\n" },
    { "a span that is huge", "<table><tr><td colspan=99999999999>a<td>b</table>", "a | b\n" },
    { "unclosed tags", "<p>a<p><b>b<ul><li>c<li>d<blockquote>e", "a\n\nb\n\n  * c\n  * d\n    \n    > e\n" },
    { "tags closed that were not open", "</p></table></ul></blockquote></li></a>a</td>", "a\n" },
    { "closed in the wrong order", "<blockquote><table><tr><td>a</blockquote>b</table>c", NULL },
    { "a tag that is cut", "a<b", "a\n" },
    { "a comment that is not closed", "a<!-- b", "a\n" },
    { "an attribute that is not closed", "a<a href=\"b", "a\n" },
    { "entities", "&lt;&amp;&#65;&#x42;&auml;&nbsp;x", "<&AB\xc3\xa4 x\n" },
    { "entities too large", "a&#99999999999999999999;&#x110000;&#xd800;b", NULL },
    { "entities of control characters", "a&#1;&#27;&#155;&#0;b", NULL },
    { "an entity that is none", "a&nonsense;b", "a&nonsense;b\n" },
    { "a link", "<a href='https://x.y/z'>here</a>", "here <https://x.y/z>\n" },
    { "a link that says it", "<a href='https://x.y/'>x.y</a>", "x.y\n" },
    { "a link that says it, as it is written", "<pre><a href='https://x.y/'>x.y</a></pre>", "\001x.y\n" },
    { "a link in two lines as they are written", "<pre>a\n<a href='https://x.y/'>https://x.y/</a></pre>", "\001a\n\001https://x.y/\n" },
    { "a link without text", "<a href='https://x.y/z'></a>", "<https://x.y/z>\n" },
    { "javascript", "<a href='javascript:alert(1)'>a</a>", "a\n" },
    { "javascript in disguise", "<a href=' \n JaVaScRiPt:alert(1)'>a</a><a href='java\nscript:x'>b</a>", "ab\n" },
    { "data and vbscript", "<a href='data:text/html,x'>a</a><a href='vbscript:x'>b</a>", "ab\n" },
    { "control characters in a link", "<a href='http://x&#10;&#13;.&#10;&#27;[2Jy'>a</a>", NULL },
    { "a link in a link", "<a href='http://x'>a<a href='http://y'>b</a></a>", "a <http://x>b <http://y>\n" },
    { "a picture", "<img alt=' '><img alt='a\nb'>", "[a b]\n" },
    { "hidden", "a<p hidden>b</p><div style='DISPLAY : none'>c</div><script>d</script><style>e", "a\n" },
    { "numbers", "<ol><li>a<li>b</ol>", " 1. a\n 2. b\n" },
    { "as it is written", "<pre>a\n  b\n\nc</pre>d", "\001a\n\001  b\n\n\001c\n\nd\n" },
};

START_TEST(each_page)
{
    struct strbuf clean = STRBUF_INIT(10000), out = STRBUF_INIT(10000);

    mangle_text_clean(pages[_i].html, strlen(pages[_i].html), &clean);
    mangle_html_to_text(clean.data, clean.len, &out);
    if (pages[_i].text)
        ck_assert_msg(strcmp(out.data, pages[_i].text) == 0, "%s: \"%s\" instead of \"%s\"", pages[_i].name, out.data, pages[_i].text);
    ck_assert_msg(is_utf8(&out) && strstr(out.data, "\n.\n") == NULL, "%s: %s", pages[_i].name, out.data);
    for (size_t i = 0; i < out.len; i++)
        ck_assert_msg((unsigned char)out.data[i] >= ' ' || strchr("\n\t\001", out.data[i]), "%s: byte %d", pages[_i].name, out.data[i]);
    strbuf_free(&clean);
    strbuf_free(&out);
}
END_TEST

/* Of all elements that have a place of their own, more than are shown as such. */
START_TEST(very_deep_pages)
{
    static const char *const tags[] = { "<blockquote>", "<ul><li>", "<ol><li>", "<table><tr><td>", "<td>", "<pre>", "<a href=http://x>", "<p hidden>", "<div>" };

    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        struct strbuf html = STRBUF_INIT(1u << 16), out = STRBUF_INIT(1u << 22);

        for (int k = 0; k < 300; k++)
            strbuf_addf(&html, "%sx", tags[i]);
        mangle_html_to_text(html.data, html.len, &out);
        ck_assert_msg(is_utf8(&out) && !out.cut && (out.len > 300 || strstr(tags[i], "hidden")), "%s: %zu", tags[i], out.len);
        strbuf_free(&html);
        strbuf_free(&out);
    }
}
END_TEST

static const struct {
    const char *link, *shown;
} links[] = {
    { "http://x", "http://x" }, { "HTTPS://x", "HTTPS://x" }, { "ftp://x", "ftp://x" }, { "mailto:a@b?subject=x", "a@b" }, { "mailto:?subject=x", NULL },
    { "mailto:", NULL }, { "javascript:alert(1)", NULL }, { "#top", NULL }, { "", NULL }, { "x.html", NULL }, { "cid:1", NULL }, { "\001http://x", NULL },
};

START_TEST(each_link)
{
    char link[100];
    const char *shown;

    strcpy(link, links[_i].link);
    shown = mangle_html_link_shown(link);
    ck_assert_msg((shown == NULL) == (links[_i].shown == NULL) && (!shown || strcmp(shown, links[_i].shown) == 0), "%s: %s", links[_i].link, shown);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mangle_html");
    TCase *tc = tcase_create("mangle_html");

    mangle_load();
    tcase_add_loop_test(tc, each_page, 0, sizeof pages / sizeof *pages);
    tcase_add_test(tc, very_deep_pages);
    tcase_add_loop_test(tc, each_link, 0, sizeof links / sizeof *links);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
