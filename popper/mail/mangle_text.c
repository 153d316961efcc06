/*
 * mangle_text: see mangle_text.h. Everything here is one pass over its text.
 */
#include "mail/mangle_text.h"

#include <glib.h>
#include <stdarg.h>
#include <string.h>

#define OCTETS_MAX 990        /* of a line, less than RFC 5322's 998 */
#define OCTETS_MAX_OTHER 290  /* in UTF-8, when it becomes another charset: ISO-2022-JP makes up to 10 octets of 3 */
#define OCTETS_MAX_ESCAPED 190 /* each may become &amp; */
#define NOTE_MAX 400
#define INDENT_MAX 40
#define COLUMNS_MIN 10 /* that wrapping leaves to a deep quotation */

/* ---- cleaning */

static bool is_dropped(gunichar c)
{
    return (c < 0x20 && c != '\t') || (c >= 0x7f && c < 0xa0) || c == 0xfeff;
}

/* Where it does not fit none of it is added: half a character is no text. */
static void add_whole(const char *character, size_t n, struct strbuf *out)
{
    if (n <= out->max - out->len)
        strbuf_add(out, character, n);
    else
        out->cut = true;
}

void mangle_text_clean(const char *text, size_t n, struct strbuf *out)
{
    const char *end = text + n;

    while (text < end && !out->cut) {
        const char *next = g_utf8_next_char(text);
        gunichar c = g_utf8_get_char_validated(text, end - text);

        if (next > end)
            next = end;
        if (c == '\r' && next < end && *next == '\n')
            next++;
        if (c == '\r' || c == '\n' || c == 0x2028 || c == 0x2029)
            strbuf_addc(out, '\n');
        else if (c == (gunichar)-1 || c == (gunichar)-2) {
            strbuf_addc(out, '?');
            next = text + 1;
        } else if (!is_dropped(c)) {
            add_whole(text, (size_t)(next - text), out);
        }
        text = next;
    }
}

/* ---- writing */

static size_t octets_max(const struct mangle_text *t)
{
    if (t->html)
        return OCTETS_MAX_ESCAPED;
    return t->encoder->utf8 ? OCTETS_MAX : OCTETS_MAX_OTHER;
}

static void put(struct mangle_text *t, const struct strbuf *line)
{
    struct strbuf encoded = STRBUF_INIT(8 * OCTETS_MAX);

    mangle_encoder_add(t->encoder, line->data, line->len, &encoded);
    t->cut = t->cut || encoded.len + 1 > t->left;
    if (!t->cut) {
        outbuf_add(t->out, encoded.data, encoded.len);
        outbuf_add(t->out, "\n", 1);
        t->left -= encoded.len + 1;
        t->begun = true;
        t->blank = line->len == 0;
    }
    strbuf_free(&encoded);
}

static void escape(const char *text, size_t n, struct strbuf *out)
{
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '<')
            strbuf_adds(out, "&lt;");
        else if (text[i] == '>')
            strbuf_adds(out, "&gt;");
        else if (text[i] == '&')
            strbuf_adds(out, "&amp;");
        else
            strbuf_addc(out, text[i]);
    }
}

/* One line as it will be, without blanks at its end; a signature's "-- " keeps its own. */
static void put_line(struct mangle_text *t, const char *text, size_t n)
{
    struct strbuf line = STRBUF_INIT(6 * OCTETS_MAX);

    while (n > 0 && text[n - 1] == ' ' && !(n == 3 && memcmp(text, "-- ", 3) == 0))
        n--;
    if (t->html)
        escape(text, n, &line);
    else
        strbuf_add(&line, text, n);
    put(t, &line);
    strbuf_free(&line);
}

/* ---- wrapping */

/* What the lines that continue this one begin with: the marks of a quotation, the indentation of a list's item. */
static void hanging_prefix(const char *line, size_t n, struct strbuf *prefix)
{
    size_t i = 0;

    while (i < n && (line[i] == '>' || line[i] == ' ') && i < INDENT_MAX)
        strbuf_addc(prefix, line[i++]);
    if (i + 1 < n && (line[i] == '*' || line[i] == '-') && line[i + 1] == ' ')
        strbuf_adds(prefix, "  ");
    else if (i > 0) {
        size_t digits = 0;

        while (i + digits < n && line[i + digits] >= '0' && line[i + digits] <= '9' && digits < 4)
            digits++;
        if (digits > 0 && i + digits + 1 < n && line[i + digits] == '.' && line[i + digits + 1] == ' ')
            for (size_t k = 0; k < digits + 2; k++)
                strbuf_addc(prefix, ' ');
    }
}

static unsigned width(gunichar c)
{
    return g_unichar_iszerowidth(c) ? 0 : g_unichar_iswide(c) ? 2 : 1;
}

/* How many bytes of the n at line go on this line: at most that many columns and octets, to a blank or between wide
   characters; a word that is longer stays whole as far as octets allow. */
static size_t fitting(const char *line, size_t n, unsigned columns, size_t octets, bool *blank_r)
{
    size_t i = 0, best = 0;
    unsigned used = 0;
    bool wide = false;

    *blank_r = false;
    while (i < n) {
        gunichar c = g_utf8_get_char(line + i);
        size_t length = (size_t)(g_utf8_next_char(line + i) - (line + i));
        bool now_wide = g_unichar_iswide(c);

        if (i > 0 && (c == ' ' || now_wide || wide)) {
            if (used <= columns || best == 0) {
                best = i;
                *blank_r = c == ' ';
            }
        }
        used += width(c);
        if ((best > 0 && used > columns && c != ' ') || i + length > octets)
            break;
        wide = now_wide;
        i += length;
    }
    if (i >= n)
        return n;
    return best > 0 ? best : i;
}

static void put_wrapped(struct mangle_text *t, const char *line, size_t n, unsigned columns)
{
    struct strbuf prefix = STRBUF_INIT(INDENT_MAX + 8), piece = STRBUF_INIT(2 * OCTETS_MAX);
    size_t start = 0, room, head, taken;

    hanging_prefix(line, n, &prefix);
    room = columns > prefix.len + COLUMNS_MIN ? columns - prefix.len : COLUMNS_MIN;
    /* On the first line the prefix is the line's own: no break comes within it. */
    head = prefix.len < n ? prefix.len : 0;
    while (start < n && !t->cut) {
        bool blank;

        taken = head + fitting(line + start + head, n - start - head, (unsigned)room, octets_max(t) - prefix.len, &blank);
        strbuf_reset(&piece);
        if (start > 0)
            strbuf_add(&piece, prefix.data, prefix.len);
        strbuf_add(&piece, line + start, taken);
        put_line(t, piece.data, piece.len);
        start += taken;
        while (blank && start < n && line[start] == ' ')
            start++;
        head = 0;
    }
    strbuf_free(&piece);
    strbuf_free(&prefix);
}

/* Too long for mail though nobody wants it wrapped. */
static void put_cut(struct mangle_text *t, const char *line, size_t n)
{
    while (n > 0 && !t->cut) {
        bool blank;
        size_t taken = n <= octets_max(t) ? n : fitting(line, n, (unsigned)octets_max(t), octets_max(t), &blank);

        put_line(t, line, taken);
        line += taken;
        n -= taken;
    }
}

/* Tabs count as one column: they are rare in what is wrapped. */
static unsigned columns_of(const char *line, size_t n)
{
    unsigned used = 0;

    for (const char *p = line; p < line + n && used < MANGLE_TEXT_COLUMNS * 100; p = g_utf8_next_char(p))
        used += width(g_utf8_get_char(p));
    return used;
}

static void add_line(struct mangle_text *t, const char *line, size_t n, unsigned columns)
{
    const char *mark = memchr(line, MANGLE_TEXT_FIXED, n);
    struct strbuf fixed = STRBUF_INIT(n);

    if (mark) {
        for (size_t i = 0; i < n; i++)
            if (line[i] != MANGLE_TEXT_FIXED)
                strbuf_addc(&fixed, line[i]);
        line = fixed.data;
        n = fixed.len;
        columns = 0;
    }
    if (columns > 0 && columns_of(line, n) > columns)
        put_wrapped(t, line, n, columns);
    else if (n > octets_max(t))
        put_cut(t, line, n);
    else
        put_line(t, line, n);
    strbuf_free(&fixed);
}

void mangle_text_add(struct mangle_text *t, const char *text, size_t n, unsigned columns)
{
    const char *valid;

    /* A buffer that was full may end in the middle of a character. */
    if (!g_utf8_validate_len(text, n, &valid))
        n = (size_t)(valid - text);
    while (n > 0 && !t->cut) {
        const char *lf = memchr(text, '\n', n);
        size_t length = lf ? (size_t)(lf - text) : n;

        add_line(t, text, length, columns);
        length += lf != NULL;
        text += length;
        n -= length;
    }
}

void mangle_text_add_html(struct mangle_text *t, const char *text, size_t n)
{
    bool html = t->html;

    t->html = false;
    mangle_text_add(t, text, n, 0);
    t->html = html;
}

void mangle_text_gap(struct mangle_text *t)
{
    if (t->begun && !t->blank && !t->html)
        put_line(t, "", 0);
}

void mangle_text_note(struct mangle_text *t, const char *format, ...)
{
    struct strbuf note = STRBUF_INIT(NOTE_MAX), line = STRBUF_INIT(NOTE_MAX + 4);
    va_list ap;

    va_start(ap, format);
    strbuf_addv(&note, format, ap);
    va_end(ap);
    strbuf_addc(&line, '[');
    mangle_text_clean(note.data, note.len, &line);
    strbuf_addc(&line, ']');
    for (size_t i = 0; i < line.len; i++)
        if (line.data[i] == '\n')
            line.data[i] = ' ';
    if (t->html)
        mangle_text_add_html(t, "<p>", 3);
    mangle_text_gap(t);
    mangle_text_add(t, line.data, line.len, 0);
    mangle_text_gap(t);
    if (t->html)
        mangle_text_add_html(t, "</p>", 4);
    strbuf_free(&note);
    strbuf_free(&line);
}

/* ---- format=flowed */

static void add_quotation(struct strbuf *out, size_t depth)
{
    for (size_t i = 0; i < depth && i < INDENT_MAX; i++)
        strbuf_addc(out, '>');
    if (depth > 0)
        strbuf_addc(out, ' ');
}

void mangle_text_unflow(const char *text, size_t n, bool delsp, struct strbuf *out)
{
    size_t depth_before = 0;
    bool flows = false;

    while (n > 0 && !out->cut) {
        const char *lf = memchr(text, '\n', n), *line = text;
        size_t whole = lf ? (size_t)(lf - text) : n, length = whole, depth = 0;
        bool signature;

        while (depth < length && line[depth] == '>')
            depth++;
        line += depth;
        length -= depth;
        if (length > 0 && *line == ' ') { /* space-stuffed */
            line++;
            length--;
        }
        signature = length == 3 && memcmp(line, "-- ", 3) == 0;
        if (flows && (depth != depth_before || signature)) {
            strbuf_addc(out, '\n');
            flows = false;
        }
        if (!flows)
            add_quotation(out, depth);
        flows = length > 0 && line[length - 1] == ' ' && !signature;
        strbuf_add(out, line, length - (flows && delsp));
        if (!flows)
            strbuf_addc(out, '\n');
        depth_before = depth;
        whole += lf != NULL;
        text += whole;
        n -= whole;
    }
    if (flows)
        strbuf_addc(out, '\n');
}
