/*
 * mangle: see mangle.h.
 */
#include "mail/mangle.h"

#include <gmime/gmime.h>
#include <libxml/parser.h>
#include <string.h>
#include <strings.h>

#include "mail/headerfield.h"
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

/* ---- where the header ends */

static bool is_field(const char *line, size_t n)
{
    size_t name = 0, at;

    while (name < n && line[name] > ' ' && line[name] <= '~' && line[name] != ':')
        name++;
    for (at = name; at < n && (line[at] == ' ' || line[at] == '\t');)
        at++;
    return name > 0 && at < n && line[at] == ':';
}

static bool is_of_the_mailbox(const char *line, size_t n)
{
    return (n >= 5 && memcmp(line, "From ", 5) == 0) || (n >= 6 && memcmp(line, ">From ", 6) == 0);
}

/* A field also where lines that are none stand before it; others may be text ("Note: ..."). */
static bool is_sure(const char *line, size_t n)
{
    static const char *const names[] = { "content-", "mime-version", "from:", "to:", "subject:", "date:" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (n >= strlen(names[i]) && strncasecmp(line, names[i], strlen(names[i])) == 0)
            return is_field(line, n);
    return false;
}

/* Where programs forget the empty line behind the header, or put blanks into it, GMime passes over the text, and over
   all of a message that does not begin with a field. text: where the lines before the first empty one begin that stand behind
   the last field; n when there are none. fields: where the first field begins; n when there is none. */
struct header {
    size_t fields, text;
};

static struct header find_header(const char *bytes, size_t n)
{
    struct header h = { n, n };
    size_t length;

    for (size_t at = 0; at < n; at += length) {
        const char *line = bytes + at, *lf = memchr(line, '\n', n - at);
        size_t bare;

        length = lf ? (size_t)(lf - line) + 1 : n - at;
        bare = headerfield_bare(line, length);
        if (bare == 0)
            break;
        if (h.text == n ? is_field(line, bare) : is_sure(line, bare)) {
            h.fields = h.fields < n ? h.fields : at;
            h.text = n;
        } else if (h.text == n && !(at == 0 && is_of_the_mailbox(line, bare)) && !(h.fields < n && headerfield_continues(line, bare))) {
            h.text = at;
        }
    }
    return h;
}

/* The message as it was meant: in out, or as it stands, from a later byte on. */
static const char *mend(const char *bytes, size_t n, struct strbuf *out, size_t *n_r)
{
    struct header h = find_header(bytes, n);
    size_t fields = h.fields < n ? h.fields : h.text < n ? h.text : 0;

    *n_r = n - fields;
    if (h.text == n)
        return bytes + fields;
    strbuf_add(out, bytes + fields, h.text - fields);
    strbuf_addc(out, '\n');
    strbuf_add(out, bytes + h.text, n - h.text);
    *n_r = out->len;
    return out->data;
}

/* ---- the whole */

/* Nothing is copied: all parts point into the bytes. */
static void convert(const char *bytes, size_t n, const struct manglespec *spec, struct outbuf *out, size_t *header_r)
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

void mangle_message(const char *bytes, size_t n, const struct manglespec *spec, struct outbuf *out, size_t *header_r)
{
    struct strbuf mended = STRBUF_INIT((size_t)MANGLE_INPUT_MAX + 1);
    const char *message = mend(bytes, n, &mended, &n);

    convert(message, n, spec, out, header_r);
    strbuf_free(&mended);
}
