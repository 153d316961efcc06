/*
 * mangle_html_attribute: see mangle_html_attribute.h.
 */
#include "mail/mangle_html_attribute.h"

#include <string.h>
#include <strings.h>

const char *mangle_html_attribute(const unsigned char **attributes, const char *name)
{
    for (; attributes && attributes[0]; attributes += 2)
        if (strcasecmp((const char *)attributes[0], name) == 0)
            return attributes[1] ? (const char *)attributes[1] : "";
    return NULL;
}

bool mangle_html_attributes_hide(const unsigned char **attributes)
{
    const char *style = mangle_html_attribute(attributes, "style"), *at = style;

    if (mangle_html_attribute(attributes, "hidden"))
        return true;
    while (at && (at = strcasestr(at, "display")) != NULL) {
        at += 7;
        at += strspn(at, " \t\n:");
        if (strncasecmp(at, "none", 4) == 0)
            return true;
    }
    return false;
}
