/*
 * mangle_html: HTML to text that a person can read: paragraphs, lists, quotations and tables keep their form, links their
 * address. Reads nothing but what it is given: no file, no network.
 */
#ifndef MAIL_MANGLE_HTML_H
#define MAIL_MANGLE_HTML_H

#include <stddef.h>

#include "common/strbuf.h"

#define MANGLE_HTML_MAX (2u << 20) /* bytes of HTML that are looked at */

/* Appends the text of n bytes of clean HTML (mangle_text_clean) to out: one line a paragraph, to be wrapped; lines with
   MANGLE_TEXT_FIXED are not to be. Whatever the HTML is made of: time grows with n, memory is bounded. */
void mangle_html_to_text(const char *html, size_t n, struct strbuf *out);

#endif
