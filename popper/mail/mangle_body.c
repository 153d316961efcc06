/*
 * mangle_body: see mangle_body.h.
 */
#include "mail/mangle_body.h"

#include <string.h>
#include <strings.h>

#include "mail/mangle_charset.h"
#include "mail/mangle_header.h"
#include "mail/mangle_html.h"
#include "mail/mangle_uu.h"

#define NAME_SHOWN 80 /* bytes of a file's name or type in a note */
#define UTF8_MAX (3 * MANGLE_PART_MAX)

struct body {
    const struct manglespec *spec;
    GMimeParserOptions *options;
    struct mangle_text *text;
};

/* ---- content */

/* The decoded content through a filter, from its beginning; NULL when there is none. */
static GMimeStream *open_content(GMimePart *part)
{
    GMimeDataWrapper *content = g_mime_part_get_content(part);
    GMimeStream *stream = content ? g_mime_data_wrapper_get_stream(content) : NULL, *decoded;
    GMimeFilter *filter;

    if (!stream || g_mime_stream_reset(stream) != 0)
        return NULL;
    decoded = g_mime_stream_filter_new(stream);
    filter = g_mime_filter_basic_new(g_mime_part_get_content_encoding(part), FALSE);
    g_mime_stream_filter_add((GMimeStreamFilter *)decoded, filter);
    g_object_unref(filter);
    return decoded;
}

/* Reads up to max bytes of it; the number of all of them is returned when max is not reached. */
static size_t read_content(GMimePart *part, struct strbuf *bytes)
{
    GMimeStream *stream = open_content(part);
    char block[16384];
    size_t total = 0;
    ssize_t n;

    while (stream && !(bytes && bytes->cut) && (n = g_mime_stream_read(stream, block, sizeof block)) > 0) {
        total += (size_t)n;
        if (bytes)
            strbuf_add(bytes, block, (size_t)n);
    }
    if (stream)
        g_object_unref(stream);
    return total;
}

static const char *parameter(GMimePart *part, const char *name)
{
    return g_mime_content_type_get_parameter(g_mime_object_get_content_type((GMimeObject *)part), name);
}

static bool parameter_is(GMimePart *part, const char *name, const char *value)
{
    const char *given = parameter(part, name);

    return given && strcasecmp(given, value) == 0;
}

/* ---- text */

/* Clean UTF-8 of the bytes. */
static void to_clean_utf8(const char *charset, const char *bytes, size_t n, struct strbuf *clean)
{
    struct strbuf utf8 = STRBUF_INIT(UTF8_MAX);

    mangle_charset_decode(charset, bytes, n, &utf8);
    mangle_text_clean(utf8.data, utf8.len, clean);
    strbuf_free(&utf8);
}

static void write_text(const struct body *b, GMimePart *part, const char *bytes, size_t n)
{
    struct strbuf clean = STRBUF_INIT(UTF8_MAX), paragraphs = STRBUF_INIT(3 * UTF8_MAX);
    bool flowed = part && parameter_is(part, "format", "flowed");
    const struct strbuf *lines = flowed ? &paragraphs : &clean;
    unsigned columns = b->spec->wrap;

    to_clean_utf8(part ? parameter(part, "charset") : NULL, bytes, n, &clean);
    if (flowed)
        mangle_text_unflow(clean.data, clean.len, parameter_is(part, "delsp", "yes"), &paragraphs);
    if (flowed && columns == 0)
        columns = MANGLE_TEXT_COLUMNS;
    mangle_text_add(b->text, lines->data, lines->len, columns);
    strbuf_free(&clean);
    strbuf_free(&paragraphs);
}

/* The text with a note in place of each uuencoded file. */
static void write_text_and_files(const struct body *b, GMimePart *part, const char *bytes, size_t n)
{
    struct mangle_uu file;

    while (n > 0 && mangle_uu_find(bytes, n, &file)) {
        int shown = (int)(file.name_length < NAME_SHOWN ? file.name_length : NAME_SHOWN);

        write_text(b, part, bytes, file.start);
        mangle_text_note(b->text, "attachment not shown: %.*s (uuencoded, %zu bytes)", shown, file.name, file.size);
        bytes += file.end;
        n -= file.end;
    }
    write_text(b, part, bytes, n);
}

static void begin_verbatim(const struct body *b)
{
    mangle_text_gap(b->text);
    if (b->text->html)
        mangle_text_add_html(b->text, "<pre>", 5);
}

static void end_verbatim(const struct body *b)
{
    if (b->text->html)
        mangle_text_add_html(b->text, "</pre>", 6);
}

static void tell_cut(const struct body *b, const struct strbuf *bytes)
{
    if (bytes->cut)
        mangle_text_note(b->text, "the rest of this part, after %zu bytes, is not shown", bytes->len);
}

static void write_text_part(const struct body *b, GMimePart *part)
{
    struct strbuf bytes = STRBUF_INIT(MANGLE_PART_MAX);

    read_content(part, &bytes);
    begin_verbatim(b);
    write_text_and_files(b, part, bytes.data, bytes.len);
    end_verbatim(b);
    tell_cut(b, &bytes);
    strbuf_free(&bytes);
}

static void write_html_part(const struct body *b, GMimePart *part)
{
    struct strbuf bytes = STRBUF_INIT(MANGLE_HTML_MAX), clean = STRBUF_INIT(UTF8_MAX), text = STRBUF_INIT(UTF8_MAX);
    const char *charset = parameter(part, "charset");
    char named[64];

    read_content(part, &bytes);
    if (!charset && mangle_charset_of_html(bytes.data, bytes.len, named, sizeof named))
        charset = named;
    to_clean_utf8(charset, bytes.data, bytes.len, &clean);
    mangle_text_gap(b->text);
    if (b->text->html) {
        mangle_text_add_html(b->text, clean.data, clean.len);
    } else {
        mangle_html_to_text(clean.data, clean.len, &text);
        mangle_text_add(b->text, text.data, text.len, b->spec->wrap ? b->spec->wrap : MANGLE_TEXT_COLUMNS);
    }
    tell_cut(b, &bytes);
    strbuf_free(&bytes);
    strbuf_free(&clean);
    strbuf_free(&text);
}

/* ---- notes */

static void write_attachment(const struct body *b, GMimeObject *object)
{
    GMimePart *part = GMIME_IS_PART(object) ? (GMimePart *)object : NULL;
    const char *name = part ? g_mime_part_get_filename(part) : NULL;
    char *type = g_mime_content_type_get_mime_type(g_mime_object_get_content_type(object));

    mangle_text_note(b->text, "attachment not shown: %.*s (%.*s, %zu bytes)", NAME_SHOWN, name && *name ? name : "without a name",
                     NAME_SHOWN, type, part ? read_content(part, NULL) : 0);
    g_free(type);
}

static bool is_short_header(const void *context, const char *name, size_t n)
{
    static const char *const names[] = { "from", "to", "date", "subject" };

    (void)context, (void)n;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return false;
}

static void write_included(const struct body *b, const struct mangle_item *item)
{
    struct strbuf fields = STRBUF_INIT(MANGLE_HEADER_MAX);

    mangle_text_note(b->text, "%s", item->remark);
    mangle_header_fields(item->object, b->options, is_short_header, NULL, &fields);
    begin_verbatim(b);
    mangle_text_add(b->text, fields.data, fields.len, b->spec->wrap);
    end_verbatim(b);
    mangle_text_gap(b->text);
    strbuf_free(&fields);
}

/* No part could be told from another: the lines are shown as they stand there. */
static void write_preamble(const struct body *b, GMimeMultipart *multipart)
{
    const char *text = g_mime_multipart_get_prologue(multipart);

    mangle_text_note(b->text, "no parts could be found in this message; this is how it reads");
    if (!text)
        return;
    begin_verbatim(b);
    write_text_and_files(b, NULL, text, strlen(text));
    end_verbatim(b);
}

static void write_item(const struct body *b, const struct mangle_item *item)
{
    switch (item->kind) {
    case MANGLE_TEXT:
        write_text_part(b, item->object);
        break;
    case MANGLE_HTML:
        write_html_part(b, item->object);
        break;
    case MANGLE_ATTACHMENT:
        write_attachment(b, item->object);
        break;
    case MANGLE_INCLUDED:
        write_included(b, item);
        break;
    case MANGLE_PREAMBLE:
        write_preamble(b, item->object);
        break;
    case MANGLE_REMARK:
        mangle_text_note(b->text, "%s", item->remark);
        break;
    }
}

void mangle_body_write(const struct mangle_parts *parts, const struct manglespec *spec, GMimeParserOptions *options,
                       struct mangle_text *text)
{
    const struct body b = { .spec = spec, .options = options, .text = text };

    for (size_t i = 0; i < parts->count && !text->cut; i++)
        write_item(&b, &parts->items[i]);
    if (parts->unlisted > 0)
        mangle_text_note(text, "%zu more parts are not shown", parts->unlisted);
}
