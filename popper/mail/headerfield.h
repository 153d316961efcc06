/*
 * headerfield: which of the header fields that mean something to us a header line begins. It looks at names only (RFC
 * 5322: letters of either case, then a colon), never at values, and knows no message or file.
 */
#ifndef MAIL_HEADERFIELD_H
#define MAIL_HEADERFIELD_H

#include <stdbool.h>
#include <stddef.h>

enum headerfield {
    HEADERFIELD_OTHER,
    HEADERFIELD_RECEIVED,
    HEADERFIELD_DATE,
    HEADERFIELD_MESSAGE_ID,
    HEADERFIELD_SUBJECT,
    HEADERFIELD_STATUS,
    HEADERFIELD_X_UIDL,
    HEADERFIELD_X_UID,
    HEADERFIELD_X_IMAPBASE,
    HEADERFIELD_X_IMAP,
    HEADERFIELD_FROM,
    HEADERFIELD_CONTENT_LENGTH,
    HEADERFIELD_COUNT
};

#define HEADERFIELD_LOOK 16 /* bytes of a line that are enough to tell */

/* The field whose first line this is (n bytes, possibly not all of it: HEADERFIELD_LOOK are enough). Continuation lines
   are OTHER. */
enum headerfield headerfield_of(const char *line, size_t n);

/* Length of its name with the colon: where the value begins. 0 for OTHER. */
size_t headerfield_name_length(enum headerfield field);

/* Whether the line goes on with the field before it (RFC 5322 folding). */
static inline bool headerfield_continues(const char *line, size_t n)
{
    return n > 0 && (line[0] == ' ' || line[0] == '\t');
}

/* Bytes of the line's n without its LF or CRLF. */
static inline size_t headerfield_bare(const char *line, size_t n)
{
    if (n > 0 && line[n - 1] == '\n')
        n--;
    if (n > 0 && line[n - 1] == '\r')
        n--;
    return n;
}

#endif
