/*
 * mangle_html_attribute: the attributes of an HTML element as libxml2's SAX interface gives them: names and values in
 * turn, ended by NULL; NULL when there are none.
 */
#ifndef MAIL_MANGLE_HTML_ATTRIBUTE_H
#define MAIL_MANGLE_HTML_ATTRIBUTE_H

#include <stdbool.h>

/* The value of the one with that name, "" when it has none; NULL when it is not there. */
const char *mangle_html_attribute(const unsigned char **attributes, const char *name);

/* Whether they hide the element: hidden, or a style with display:none. */
bool mangle_html_attributes_hide(const unsigned char **attributes);

#endif
