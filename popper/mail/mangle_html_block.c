/*
 * mangle_html_block: see mangle_html_block.h.
 */
#include "mail/mangle_html_block.h"

#include <string.h>

#include "mail/mangle_text.h"

void mangle_html_block_gap(struct mangle_html_block *b, unsigned lines)
{
    if (b->text.len > 0 && b->gap < lines)
        b->gap = lines;
    b->space = false;
}

void mangle_html_block_break(struct mangle_html_block *b)
{
    if (b->text.len == 0)
        return;
    b->gap = b->gap < 2 ? b->gap + 1 : 2;
    b->space = false;
}

static bool at_line_start(const struct mangle_html_block *b)
{
    return b->text.len == 0 || b->text.data[b->text.len - 1] == '\n';
}

/* What is due before a character. */
static void settle(struct mangle_html_block *b)
{
    for (; b->gap > 0; b->gap--)
        strbuf_addc(&b->text, '\n');
    if (b->space && !at_line_start(b))
        strbuf_addc(&b->text, ' ');
    b->space = false;
}

/* Bytes of the blank at p, 0 when it is none: also no-break spaces, which layouts are filled with. */
static size_t blank_at(const char *p, size_t n)
{
    if (*p == ' ' || *p == '\t' || *p == '\n')
        return 1;
    return n > 1 && memcmp(p, "\xc2\xa0", 2) == 0 ? 2 : 0;
}

/* Bytes of what nobody sees: soft hyphens, grapheme joiners, zero width spaces. */
static size_t nothing_at(const char *p, size_t n)
{
    if (n > 1 && (memcmp(p, "\xc2\xad", 2) == 0 || memcmp(p, "\xcd\x8f", 2) == 0))
        return 2;
    return n > 2 && memcmp(p, "\xe2\x80\x8b", 3) == 0 ? 3 : 0;
}

void mangle_html_block_add(struct mangle_html_block *b, const char *text, size_t n)
{
    while (n > 0) {
        size_t blank = blank_at(text, n), skipped = blank ? blank : nothing_at(text, n);

        if (blank)
            b->space = true;
        if (skipped == 0) {
            settle(b);
            strbuf_addc(&b->text, *text);
            skipped = 1;
        }
        text += skipped;
        n -= skipped;
    }
}

void mangle_html_block_add_as_is(struct mangle_html_block *b, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\n') {
            b->gap++;
            continue;
        }
        settle(b);
        if (at_line_start(b))
            strbuf_addc(&b->text, MANGLE_TEXT_FIXED);
        strbuf_addc(&b->text, text[i]);
    }
}

void mangle_html_block_add_lines(struct mangle_html_block *b, const char *text, size_t n, const char *first,
                                 const char *others)
{
    const char *prefix = first;

    while (n > 0 && text[n - 1] == '\n')
        n--;
    b->space = false;
    while (n > 0) {
        const char *lf = memchr(text, '\n', n);
        size_t length = lf ? (size_t)(lf - text) : n;

        settle(b);
        strbuf_adds(&b->text, prefix);
        strbuf_add(&b->text, text, length);
        prefix = others;
        length += lf != NULL;
        text += length;
        n -= length;
        b->gap = n > 0;
    }
}
