/*
 * mangle_html_link: where the links of HTML lead, as a text says it.
 */
#ifndef MAIL_MANGLE_HTML_LINK_H
#define MAIL_MANGLE_HTML_LINK_H

#include <stdbool.h>
#include <stddef.h>

/* What an address (href) looks like in text, within link, which may be cut: without "mailto:" and its subject. NULL when
   it leads nowhere that a person could go. */
const char *mangle_html_link_shown(char *link);

/* Whether the n bytes of text that are linked say that address already, perhaps without "https://" and the last slash. */
bool mangle_html_link_said(const char *text, size_t n, const char *link);

#endif
