/*
 * mangle_charset: see mangle_charset.h. The table below is both: which converters are loaded, and under which names mail
 * asks for them. A converter that is open keeps its module in memory.
 */
#include "mail/mangle_charset.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <strings.h>

#define REPLACEMENT "\xef\xbf\xbd"
#define META_LOOK 2048 /* bytes of HTML that are searched for its charset */

/* iconv's name of the charset that text under this name is read as. */
static const struct { const char *name, *read_as; } known[] = {
    { "us-ascii", NULL }, { "ascii", NULL }, { "unknown-8bit", NULL }, { "x-unknown", NULL }, { "8bit", NULL }, { "utf8", "UTF-8" },
    { "utf-8", "UTF-8" },
    { "iso-8859-1", "CP1252" }, { "iso8859-1", "CP1252" }, { "latin1", "CP1252" }, { "windows-1252", "CP1252" }, { "cp1252", "CP1252" },
    { "iso-8859-2", "ISO-8859-2" }, { "iso-8859-3", "ISO-8859-3" }, { "iso-8859-4", "ISO-8859-4" }, { "iso-8859-5", "ISO-8859-5" },
    { "iso-8859-6", "ISO-8859-6" }, { "iso-8859-7", "ISO-8859-7" }, { "iso-8859-8", "ISO-8859-8" }, { "iso-8859-8-i", "ISO-8859-8" },
    { "iso-8859-9", "CP1254" }, { "iso-8859-10", "ISO-8859-10" }, { "iso-8859-11", "CP874" }, { "iso-8859-13", "ISO-8859-13" },
    { "iso-8859-14", "ISO-8859-14" }, { "iso-8859-15", "ISO-8859-15" }, { "iso-8859-16", "ISO-8859-16" },
    { "windows-1250", "CP1250" }, { "windows-1251", "CP1251" }, { "windows-1253", "CP1253" }, { "windows-1254", "CP1254" },
    { "windows-1255", "CP1255" }, { "windows-1256", "CP1256" }, { "windows-1257", "CP1257" }, { "windows-1258", "CP1258" },
    { "windows-874", "CP874" }, { "tis-620", "CP874" }, { "koi8-r", "KOI8-R" }, { "koi8-u", "KOI8-U" }, { "ibm866", "CP866" },
    { "cp866", "CP866" }, { "cp437", "CP437" }, { "ibm437", "CP437" }, { "cp850", "CP850" }, { "ibm850", "CP850" }, { "cp852", "CP852" },
    { "macintosh", "MACINTOSH" }, { "x-mac-roman", "MACINTOSH" },
    { "iso-2022-jp", "ISO-2022-JP" }, { "iso-2022-jp-1", "ISO-2022-JP-2" }, { "iso-2022-jp-2", "ISO-2022-JP-2" },
    { "iso-2022-kr", "ISO-2022-KR" }, { "iso-2022-cn", "ISO-2022-CN" }, { "euc-jp", "EUC-JP" }, { "shift_jis", "CP932" },
    { "shift-jis", "CP932" }, { "x-sjis", "CP932" }, { "cp932", "CP932" }, { "windows-31j", "CP932" },
    { "gb2312", "GB18030" }, { "gbk", "GB18030" }, { "x-gbk", "GB18030" }, { "cp936", "GB18030" }, { "gb18030", "GB18030" },
    { "hz-gb-2312", "HZ" }, { "big5", "BIG5-HKSCS" }, { "big5-hkscs", "BIG5-HKSCS" }, { "cp950", "BIG5-HKSCS" },
    { "euc-kr", "UHC" }, { "ks_c_5601-1987", "UHC" }, { "cp949", "UHC" }, { "windows-949", "UHC" },
    { "utf-7", "UTF-7" }, { "unicode-1-1-utf-7", "UTF-7" }, { "utf-16", "UTF-16" }, { "utf-16le", "UTF-16LE" },
    { "utf-16be", "UTF-16BE" }, { "utf-32", "UTF-32" },
};
#define KNOWN (sizeof known / sizeof *known)

/* What clients may ask for under its own name, beside those above. */
static const char *const exact[] = { "ISO-8859-1", "ISO-8859-9", "GBK", "EUC-CN", "BIG5", "EUC-KR", "SJIS", "TIS-620" };

/* Never closed. */
static iconv_t held[KNOWN + sizeof exact / sizeof *exact + 1];
static size_t held_count;

static void hold(const char *to, const char *from)
{
    held[held_count++] = iconv_open(to, from);
}

void mangle_charset_load(void)
{
    for (size_t i = 0; i < KNOWN; i++)
        if (known[i].read_as && (i == 0 || known[i].read_as != known[i - 1].read_as))
            hold("UTF-8", known[i].read_as);
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
        hold("UTF-8", exact[i]);
    hold("US-ASCII//TRANSLIT", "UTF-8");
}

/* ---- to UTF-8 */

static bool is_utf8(const char *bytes, size_t n)
{
    const unsigned char *p = (const unsigned char *)bytes, *end = p + n;

    while (p < end) {
        size_t more = *p < 0x80 ? 0 : *p >= 0xc2 && *p < 0xe0 ? 1 : (*p & 0xf0) == 0xe0 ? 2 : *p >= 0xf0 && *p < 0xf5 ? 3 : 9;

        if (more > 3 || (size_t)(end - p) <= more)
            return false;
        if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) || (*p == 0xf0 && p[1] < 0x90) ||
            (*p == 0xf4 && p[1] > 0x8f))
            return false;
        for (p++; more > 0; more--, p++)
            if ((*p & 0xc0) != 0x80)
                return false;
    }
    return true;
}

/* All of it through cd; what it chokes on becomes a replacement, byte by byte. */
static void convert(iconv_t cd, const char *bytes, size_t n, const char *replacement, struct strbuf *out)
{
    char *in = (char *)bytes, room[8192];

    while (n > 0 && !out->cut) {
        char *to = room;
        size_t left = sizeof room;
        size_t got = iconv(cd, &in, &n, &to, &left);

        strbuf_add(out, room, (size_t)(to - room));
        if (got != (size_t)-1 || errno == E2BIG)
            continue;
        strbuf_adds(out, replacement);
        if (errno == EINVAL) /* it ends in the middle of a character */
            break;
        in++;
        n--;
    }
}

static void convert_from(const char *read_as, const char *bytes, size_t n, struct strbuf *out)
{
    iconv_t cd = iconv_open("UTF-8", read_as);

    if (cd == (iconv_t)-1)
        return;
    convert(cd, bytes, n, REPLACEMENT, out);
    iconv_close(cd);
}

static void decode_unknown(const char *bytes, size_t n, struct strbuf *out)
{
    if (is_utf8(bytes, n))
        strbuf_add(out, bytes, n);
    else
        convert_from("CP1252", bytes, n, out);
}

void mangle_charset_decode(const char *charset, const char *bytes, size_t n, struct strbuf *out)
{
    const char *read_as = NULL;

    for (size_t i = 0; charset && i < KNOWN; i++)
        if (strcasecmp(known[i].name, charset) == 0)
            read_as = known[i].read_as;
    if (read_as && strcmp(read_as, "UTF-8") != 0)
        convert_from(read_as, bytes, n, out);
    else if (read_as && !is_utf8(bytes, n))
        convert_from("UTF-8", bytes, n, out);
    else
        decode_unknown(bytes, n, out);
}

bool mangle_charset_of_html(const char *bytes, size_t n, char *name, size_t size)
{
    static const char legal[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:+-";
    const char *end = bytes + (n < META_LOOK ? n : META_LOOK);
    bool in_meta = false;

    for (const char *p = bytes; p + 8 < end; p++) {
        size_t length = 0;

        if (*p == '<')
            in_meta = strncasecmp(p, "<meta", 5) == 0;
        if (!in_meta || strncasecmp(p, "charset=", 8) != 0)
            continue;
        p += 8;
        p += p < end && (*p == '"' || *p == '\'');
        while (p + length < end && length + 1 < size && p[length] && strchr(legal, p[length]))
            length++;
        memcpy(name, p, length);
        name[length] = '\0';
        return length > 0 && strncasecmp(name, "utf-16", 6) != 0 && strncasecmp(name, "utf-32", 6) != 0 && strcasecmp(name, "unicode") != 0;
    }
    return false;
}

/* ---- from UTF-8 */

/* Lines can be told apart in it, and dots and blanks are what they are. */
static bool holds_ascii(struct mangle_encoder *encoder)
{
    static const char sample[] = "To: a.b@c\n\n.\n";
    struct strbuf text = STRBUF_INIT(100);
    bool same;

    mangle_encoder_add(encoder, sample, sizeof sample - 1, &text);
    same = strcmp(text.data, sample) == 0;
    strbuf_free(&text);
    return same;
}

bool mangle_encoder_open(struct mangle_encoder *encoder, const char *charset)
{
    *encoder = (struct mangle_encoder){ .utf8 = strcasecmp(charset, "UTF-8") == 0 || strcasecmp(charset, "utf8") == 0,
                                        .seven_bits = strcasecmp(charset, "us-ascii") == 0 || strncasecmp(charset, "iso-2022-", 9) == 0,
                                        .cd = (iconv_t)-1, .similar = (iconv_t)-1 };
    if (encoder->utf8)
        return true;
    encoder->cd = iconv_open(charset, "UTF-8");
    encoder->similar = iconv_open("US-ASCII//TRANSLIT", "UTF-8");
    if (encoder->cd != (iconv_t)-1 && encoder->similar != (iconv_t)-1 && holds_ascii(encoder))
        return true;
    mangle_encoder_close(encoder);
    return false;
}

void mangle_encoder_close(struct mangle_encoder *encoder)
{
    if (encoder->cd != (iconv_t)-1)
        iconv_close(encoder->cd);
    if (encoder->similar != (iconv_t)-1)
        iconv_close(encoder->similar);
    encoder->cd = encoder->similar = (iconv_t)-1;
}

/* Not by the sign: char has none on ARM and POWER. */
static bool is_ascii(char c)
{
    return c != '\0' && ((unsigned char)c & 0x80) == 0;
}

/* Through the converter because of its state. Whether it has something for that. */
static bool add_ascii(struct mangle_encoder *encoder, char c, char **to, size_t *left)
{
    char *at = &c;
    size_t n = 1;

    return is_ascii(c) && iconv(encoder->cd, &at, &n, to, left) != (size_t)-1;
}

/* ASCII that looks like it: the letter without its accent, or what iconv makes of it, which may be a question mark. */
static void similar_ascii(const struct mangle_encoder *encoder, const char *character, size_t n, char *text, size_t size)
{
    char *decomposed = g_utf8_normalize(character, (gssize)n, G_NORMALIZE_DEFAULT), *in = (char *)character;
    size_t left = size - 1;

    if (decomposed && is_ascii(decomposed[0])) {
        text[0] = decomposed[0];
        text[1] = '\0';
    } else {
        (void)iconv(encoder->similar, &in, &n, &text, &left);
        *text = '\0';
        (void)iconv(encoder->similar, NULL, NULL, NULL, NULL);
    }
    g_free(decomposed);
}

/* What stands for a character that the charset does not have. */
static void add_similar(struct mangle_encoder *encoder, const char *character, size_t n, char **to, size_t *left)
{
    char text[16];
    bool added = false;

    similar_ascii(encoder, character, n, text, sizeof text);
    for (const char *p = text; *p; p++)
        added = add_ascii(encoder, *p, to, left) || added;
    if (!added)
        add_ascii(encoder, '?', to, left);
}

/* The bytes of the character at p. */
static size_t length_at(const char *p, size_t n)
{
    size_t length = 1;

    while (length < n && ((unsigned char)p[length] & 0xc0) == 0x80)
        length++;
    return length;
}

void mangle_encoder_add(struct mangle_encoder *encoder, const char *text, size_t n, struct strbuf *out)
{
    char *in = (char *)text, room[8192], *to = room;
    size_t left = sizeof room;

    if (encoder->utf8) {
        strbuf_add(out, text, n);
        return;
    }
    while (n > 0 && !out->cut) {
        size_t got = iconv(encoder->cd, &in, &n, &to, &left), length;

        strbuf_add(out, room, (size_t)(to - room));
        to = room;
        left = sizeof room;
        if (got != (size_t)-1 || errno == E2BIG)
            continue;
        length = length_at(in, n);
        add_similar(encoder, in, length, &to, &left);
        in += length;
        n -= length;
    }
    (void)iconv(encoder->cd, NULL, NULL, &to, &left);
    strbuf_add(out, room, (size_t)(to - room));
}
