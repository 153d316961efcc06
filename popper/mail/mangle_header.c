/*
 * mangle_header: see mangle_header.h.
 */
#include "mail/mangle_header.h"

#include <string.h>
#include <strings.h>

#include "mail/mangle_text.h"

#define COLUMNS 76
#define WORD_MAX 270 /* octets of UTF-8 without a blank; longer ones are cut. In ISO-2022-JP 900, on one line with a name */

static bool has_addresses(const char *name)
{
    static const char *const names[] = { "from", "to", "cc", "bcc", "reply-to", "sender", "resent-from", "resent-to",
                                         "resent-cc", "mail-followup-to" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return false;
}

/* GMime puts a name in quotes where it needs them, but not one with quotes in it: those become apostrophes. */
static void tame_names(InternetAddressList *list)
{
    for (int i = 0; i < internet_address_list_length(list); i++) {
        InternetAddress *address = internet_address_list_get_address(list, i);
        char *name = g_strdup(internet_address_get_name(address));

        if (name && strpbrk(name, "\"\\"))
            internet_address_set_name(address, g_strdelimit(name, "\"\\", '\''));
        g_free(name);
        if (INTERNET_ADDRESS_IS_GROUP(address))
            tame_names(internet_address_group_get_members((InternetAddressGroup *)address));
    }
}

/* The value decoded; the caller frees with g_free. A list of addresses is read as one: what was encoded may need quotes
   now. */
static char *decode(GMimeParserOptions *options, const char *name, const char *raw)
{
    InternetAddressList *list = has_addresses(name) ? internet_address_list_parse(options, raw) : NULL;
    char *value = NULL;

    if (list) {
        tame_names(list);
        value = internet_address_list_to_string(list, NULL, FALSE);
        g_object_unref(list);
    }
    return value ? value : g_mime_utils_header_decode_text(options, raw);
}

/* Appends one line without control characters, with single blanks. */
static void add_line(const char *text, size_t n, struct strbuf *out)
{
    struct strbuf clean = STRBUF_INIT(MANGLE_HEADER_FIELD_MAX);
    bool blank = true;

    mangle_text_clean(text, n, &clean);
    for (size_t i = 0; i < clean.len; i++) {
        bool now = strchr(" \t\n", clean.data[i]) != NULL;

        if (!now || !blank)
            strbuf_addc(out, now ? ' ' : clean.data[i]);
        blank = now;
    }
    strbuf_free(&clean);
}

static void add_field(GMimeHeader *header, GMimeParserOptions *options, struct strbuf *out)
{
    struct strbuf field = STRBUF_INIT(2 * MANGLE_HEADER_FIELD_MAX);
    const char *name = g_mime_header_get_name(header), *raw = g_mime_header_get_raw_value(header);
    char *value;

    if (!raw)
        return;
    value = decode(options, name, raw);
    strbuf_addf(&field, "%s: ", name);
    if (value)
        add_line(value, strlen(value), &field);
    strbuf_addc(&field, '\n');
    if (out->len + field.len <= MANGLE_HEADER_MAX)
        strbuf_add(out, field.data, field.len);
    strbuf_free(&field);
    g_free(value);
}

void mangle_header_fields(GMimeMessage *message, GMimeParserOptions *options, mangle_header_wants *wants,
                          const void *context, struct strbuf *out)
{
    GMimeHeaderList *list = g_mime_object_get_header_list((GMimeObject *)message);

    for (int i = 0; i < g_mime_header_list_get_count(list); i++) {
        GMimeHeader *header = g_mime_header_list_get_header_at(list, i);
        const char *name = g_mime_header_get_name(header);

        if (wants(context, name, strlen(name)))
            add_field(header, options, out);
    }
}

/* ---- writing */

/* Bytes of the n at text up to a blank that keep within max and end with a whole character. */
static size_t word_at(const char *text, size_t n, size_t max)
{
    const char *blank = memchr(text, ' ', n);
    size_t length = blank ? (size_t)(blank - text) : n;

    if (length <= max)
        return length;
    while (max > 1 && ((unsigned char)text[max] & 0xc0) == 0x80)
        max--;
    return max;
}

static void write_field(const char *text, size_t n, struct mangle_encoder *encoder, struct outbuf *out)
{
    struct strbuf line = STRBUF_INIT(4 * MANGLE_HEADER_FIELD_MAX);
    size_t column = 0;

    for (size_t at = 0; at < n;) {
        size_t length = word_at(text + at, n - at, WORD_MAX);
        bool blank = at > 0 && text[at - 1] == ' ';

        if (column > 0 && column + 1 + length > COLUMNS && at > strcspn(text, ":") + 2) {
            strbuf_adds(&line, "\n ");
            column = 1;
        } else if (blank) {
            strbuf_addc(&line, ' ');
            column++;
        }
        strbuf_add(&line, text + at, length);
        column += length;
        at += length;
        at += at < n && text[at] == ' ';
    }
    strbuf_addc(&line, '\n');
    for (size_t at = 0; at < line.len;) {
        size_t length = strcspn(line.data + at, "\n") + 1;
        struct strbuf encoded = STRBUF_INIT(8 * MANGLE_HEADER_FIELD_MAX);

        mangle_encoder_add(encoder, line.data + at, length, &encoded);
        outbuf_add(out, encoded.data, encoded.len);
        strbuf_free(&encoded);
        at += length;
    }
    strbuf_free(&line);
}

void mangle_header_write(const struct strbuf *fields, struct mangle_encoder *encoder, struct outbuf *out)
{
    const char *at = fields->data, *lf;

    for (; (lf = strchr(at, '\n')) != NULL; at = lf + 1)
        write_field(at, (size_t)(lf - at), encoder, out);
}
