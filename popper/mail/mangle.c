/*
 * mangle: see mangle.h.
 */
#include "mail/mangle.h"

#include <gmime/gmime.h>
#include <libxml/parser.h>

#include "mail/mangle_body.h"
#include "mail/mangle_charset.h"
#include "mail/mangle_header.h"
#include "mail/mangle_parts.h"
#include "mail/mangle_text.h"

void mangle_load(void)
{
    g_mime_init();
    xmlInitParser();
    mangle_charset_load();
}

bool mangle_knows(const char *charset)
{
    struct mangle_encoder encoder;
    bool known = mangle_encoder_open(&encoder, charset);

    if (known)
        mangle_encoder_close(&encoder);
    return known;
}

static bool wants(const void *spec, const char *name, size_t n)
{
    return manglespec_wants(spec, name, n);
}

/* Raw bytes in headers: what they may be. */
static GMimeParserOptions *make_options(void)
{
    const char *charsets[] = { "utf-8", "windows-1252", NULL };
    GMimeParserOptions *options = g_mime_parser_options_new();

    g_mime_parser_options_set_fallback_charsets(options, charsets);
    return options;
}

static void write_header(GMimeMessage *message, GMimeParserOptions *options, const struct manglespec *spec, bool html,
                         struct mangle_encoder *encoder, struct outbuf *out)
{
    struct strbuf fields = STRBUF_INIT(MANGLE_HEADER_MAX);

    mangle_header_fields(message, options, wants, spec, &fields);
    mangle_header_write(&fields, encoder, out);
    outbuf_addf(out, "MIME-Version: 1.0\nContent-Type: text/%s; charset=%s\nContent-Transfer-Encoding: %s\n\n",
                html ? "html" : "plain", spec->charset, encoder->seven_bits ? "7bit" : "8bit");
    strbuf_free(&fields);
}

static void write_message(GMimeMessage *message, GMimeParserOptions *options, const struct manglespec *spec,
                          struct outbuf *out, size_t *header_r)
{
    struct mangle_parts parts = { .prefer_html = spec->html };
    struct mangle_encoder encoder;
    struct mangle_text text = { .out = out, .encoder = &encoder, .left = MANGLE_OUTPUT_MAX };
    uint64_t before = out->total;

    mangle_encoder_open(&encoder, spec->charset);
    mangle_parts_choose(&parts, message);
    text.html = spec->html && parts.has_html;
    write_header(message, options, spec, text.html, &encoder, out);
    *header_r = (size_t)(out->total - before);
    mangle_body_write(&parts, spec, options, &text);
    if (text.cut)
        outbuf_addf(out, "%s\n", text.html ? "<p>[the rest of this message is not shown]</p>" : "[the rest of this message is not shown]");
    outbuf_add(out, "\n", 1);
    mangle_parts_free(&parts);
    mangle_encoder_close(&encoder);
}

/* Nothing is copied: all parts point into the bytes. */
void mangle_message(const char *bytes, size_t n, const struct manglespec *spec, struct outbuf *out, size_t *header_r)
{
    GByteArray array = { .data = (guint8 *)bytes, .len = (guint)n };
    GMimeStream *stream = g_mime_stream_mem_new();
    GMimeParserOptions *options = make_options();
    GMimeParser *parser;
    GMimeMessage *message;

    g_mime_stream_mem_set_byte_array((GMimeStreamMem *)stream, &array);
    g_mime_stream_mem_set_owner((GMimeStreamMem *)stream, FALSE);
    parser = g_mime_parser_new_with_stream(stream);
    message = g_mime_parser_construct_message(parser, options);
    if (!message)
        message = g_mime_message_new(FALSE);
    write_message(message, options, spec, out, header_r);
    g_object_unref(message);
    g_object_unref(parser);
    g_object_unref(stream);
    g_mime_parser_options_free(options);
}
