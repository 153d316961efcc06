/*
 * fuzz_mangle: XMANGLE. The first line is the client's argument, the rest the message. Promised: what the argument comes to
 * is within its limits; whatever the message is, the result is a header, an empty line and lines, none longer than mail
 * allows, without control characters and, in UTF-8, valid; and it is not larger than MANGLE_OUTPUT_MAX and a bit.
 */
#include <glib.h>
#include <string.h>

#include "mail/mangle.h"
#include "mail/mangle_header.h"
#include "tests/fuzz/fuzz.h"

#define LINE_OCTETS 998 /* RFC 5322 section 2.1.1 */

static int keep(void *context, const char *bytes, size_t n)
{
    strbuf_add(context, bytes, n);
    return 0;
}

static void check_spec(const struct manglespec *spec)
{
    FUZZ_REQUIRE(spec->wrap == 0 || (spec->wrap >= MANGLESPEC_WRAP_MIN && spec->wrap <= MANGLESPEC_WRAP_MAX), "%u", spec->wrap);
    FUZZ_REQUIRE(spec->fields[0] && spec->fields[strlen(spec->fields) - 1] == ' ', "\"%s\"", spec->fields);
    FUZZ_REQUIRE(spec->charset[0] && !strpbrk(spec->charset, " \r\n/;\""), "\"%s\"", spec->charset);
}

static void check_lines(const struct strbuf *text, bool stateful)
{
    size_t length = 0;

    for (size_t i = 0; i < text->len; i++) {
        unsigned char c = (unsigned char)text->data[i];

        FUZZ_REQUIRE(c == '\n' || c == '\t' || (c >= 0x20 && c != 0x7f) || (stateful && (c == 0x1b || c == 0x0e || c == 0x0f)), "0x%02x at %zu", c, i);
        length = c == '\n' ? 0 : length + 1;
        FUZZ_REQUIRE(length <= LINE_OCTETS, "a line at %zu", i);
    }
}

static void check_result(const struct strbuf *text, size_t header, const struct manglespec *spec)
{
    bool utf8 = g_ascii_strcasecmp(spec->charset, "utf-8") == 0;

    FUZZ_REQUIRE(!text->cut && text->len <= MANGLE_OUTPUT_MAX + MANGLE_HEADER_MAX * 4, "%zu octets", text->len);
    FUZZ_REQUIRE(header >= 2 && header < text->len && memcmp(text->data + header - 2, "\n\n", 2) == 0, "header of %zu", header);
    FUZZ_REQUIRE(memmem(text->data, header - 2, "\n\n", 2) == NULL, "an empty line in the header");
    FUZZ_REQUIRE(text->data[text->len - 1] == '\n' && text->data[text->len - 2] == '\n', "the end");
    FUZZ_REQUIRE(!utf8 || g_utf8_validate(text->data, (gssize)text->len, NULL), "not UTF-8");
    check_lines(text, g_ascii_strncasecmp(spec->charset, "iso-2022", 8) == 0);
}

static void convert(const uint8_t *data, size_t size, const struct manglespec *spec)
{
    struct strbuf text = STRBUF_INIT(2 * MANGLE_OUTPUT_MAX);
    struct outbuf out;
    size_t header = 0;

    outbuf_init(&out, 65536, keep, &text);
    mangle_message((const char *)data, size, spec, &out, &header);
    outbuf_flush(&out);
    outbuf_free(&out);
    check_result(&text, header, spec);
    strbuf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool loaded;
    const uint8_t *lf = memchr(data, '\n', size);
    struct strbuf argument = STRBUF_INIT(MANGLESPEC_MAX), why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct manglespec spec;

    if (!loaded)
        mangle_load();
    loaded = true;
    if (!lf)
        return 0;
    strbuf_add(&argument, data, (size_t)(lf - data));
    if (manglespec_parse(&spec, argument.data, &why) == 0) {
        check_spec(&spec);
        if (mangle_knows(spec.charset))
            convert(lf + 1, size - (size_t)(lf + 1 - data), &spec);
    } else {
        FUZZ_REQUIRE(why.len > 0, "no reason");
    }
    strbuf_free(&argument);
    strbuf_free(&why);
    return 0;
}
