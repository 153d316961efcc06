/*
 * mangle_html_block: text on its way from HTML: blanks run together, empty lines appear where a paragraph ends and never
 * twice. One block is what stands in one place: the page, a quotation, a list's item, a table's cell.
 */
#ifndef MAIL_MANGLE_HTML_BLOCK_H
#define MAIL_MANGLE_HTML_BLOCK_H

#include <stdbool.h>
#include <stddef.h>

#include "common/strbuf.h"

#define MANGLE_HTML_BLOCK_MAX (4u << 20)

struct mangle_html_block {
    struct strbuf text;
    unsigned gap;       /* line ends that are due before the next text: 0, 1, 2 */
    bool space;         /* a blank is */
};

#define MANGLE_HTML_BLOCK_INIT { .text = STRBUF_INIT(MANGLE_HTML_BLOCK_MAX) }

/* At least that many line ends before what comes next: 1 a new line, 2 an empty one. */
void mangle_html_block_gap(struct mangle_html_block *b, unsigned lines);

/* A line end that stands there: <br>. */
void mangle_html_block_break(struct mangle_html_block *b);

/* Text with blanks as HTML has them, or as they are (in <pre>). */
void mangle_html_block_add(struct mangle_html_block *b, const char *text, size_t n);
void mangle_html_block_add_as_is(struct mangle_html_block *b, const char *text, size_t n);

/* Finished lines, with something before the first and the others. */
void mangle_html_block_add_lines(struct mangle_html_block *b, const char *text, size_t n, const char *first,
                                 const char *others);

#endif
