/*
 * mangle_html_link: see mangle_html_link.h.
 */
#include "mail/mangle_html_link.h"

#include <string.h>
#include <strings.h>

const char *mangle_html_link_shown(char *link)
{
    char *question;

    if (strncasecmp(link, "mailto:", 7) == 0) {
        question = strchr(link, '?');
        if (question)
            *question = '\0';
        return link[7] ? link + 7 : NULL;
    }
    if (strncasecmp(link, "http:", 5) == 0 || strncasecmp(link, "https:", 6) == 0 || strncasecmp(link, "ftp:", 4) == 0)
        return link;
    return NULL;
}

bool mangle_html_link_said(const char *text, size_t n, const char *link)
{
    const char *after = strstr(link, "//");
    size_t length;

    if (n == strlen(link) && memcmp(text, link, n) == 0)
        return true;
    if (!after)
        return false;
    link = after + 2;
    length = strlen(link);
    if (length > 0 && link[length - 1] == '/')
        length--;
    if (n > 0 && text[n - 1] == '/')
        n--;
    return n == length && memcmp(text, link, n) == 0;
}
