/*
 * mangle_text: UTF-8 text from anywhere becomes lines that mail and people can take: control characters are dropped, line
 * ends are LF, no line is longer than mail allows (998 octets, RFC 5322), lines are wrapped, and all of it is bounded.
 */
#ifndef MAIL_MANGLE_TEXT_H
#define MAIL_MANGLE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/outbuf.h"
#include "common/strbuf.h"
#include "mail/mangle_charset.h"

#define MANGLE_TEXT_COLUMNS 78 /* what is wrapped anyway (HTML, format=flowed) unless the client said otherwise */
/* In the text: this line is kept as it is. No such character comes from outside, since control characters are
   dropped before. */
#define MANGLE_TEXT_FIXED '\001'

struct mangle_text {
    struct outbuf *out;
    struct mangle_encoder *encoder;
    bool html;      /* text is escaped for HTML, notes are paragraphs */
    size_t left;    /* octets that may still be written */
    bool cut;       /* some were not */
    bool begun;     /* something was written */
    bool blank;     /* and the last line of it was empty */
};

/* Appends the text without control characters and byte order marks, with LF as line end; tabs stay. What does not fit is cut
   off between two characters. */
void mangle_text_clean(const char *text, size_t n, struct strbuf *out);

/* Writes clean text line by line, the last one with or without LF, wrapped at that many columns (0: not). */
void mangle_text_add(struct mangle_text *t, const char *text, size_t n, unsigned columns);

/* Writes HTML as it is, in lines that are not too long. */
void mangle_text_add_html(struct mangle_text *t, const char *text, size_t n);

/* One line in brackets, alone between empty lines. */
void mangle_text_note(struct mangle_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The next thing begins after an empty line. */
void mangle_text_gap(struct mangle_text *t);

/* format=flowed (RFC 3676) to one line a paragraph. */
void mangle_text_unflow(const char *text, size_t n, bool delsp, struct strbuf *out);

#endif
