/*
 * headerfield: see headerfield.h. Most lines are told by their first letter alone.
 */
#include "mail/headerfield.h"

#include <strings.h>

static const struct {
    const char *name;
    size_t length;
} names[HEADERFIELD_COUNT] = {
#define NAME(text) { text, sizeof text - 1 }
    [HEADERFIELD_OTHER] = { "", 0 },
    [HEADERFIELD_RECEIVED] = NAME("Received:"),
    [HEADERFIELD_DATE] = NAME("Date:"),
    [HEADERFIELD_MESSAGE_ID] = NAME("Message-Id:"),
    [HEADERFIELD_SUBJECT] = NAME("Subject:"),
    [HEADERFIELD_STATUS] = NAME("Status:"),
    [HEADERFIELD_X_UIDL] = NAME("X-UIDL:"),
    [HEADERFIELD_X_UID] = NAME("X-UID:"),
    [HEADERFIELD_X_IMAPBASE] = NAME("X-IMAPbase:"),
    [HEADERFIELD_X_IMAP] = NAME("X-IMAP:"),
    [HEADERFIELD_FROM] = NAME("From:"),
    [HEADERFIELD_CONTENT_LENGTH] = NAME("Content-Length:"),
};

static enum headerfield one_of(const char *line, size_t n, enum headerfield first, enum headerfield last)
{
    for (enum headerfield f = first; f <= last; f++) {
        size_t length = names[f].length;

        if (n >= length && line[length - 1] == ':' && strncasecmp(line, names[f].name, length) == 0)
            return f;
    }
    return HEADERFIELD_OTHER;
}

enum headerfield headerfield_of(const char *line, size_t n)
{
    switch (n > 0 ? line[0] | 0x20 : 0) {
    case 'r': return one_of(line, n, HEADERFIELD_RECEIVED, HEADERFIELD_RECEIVED);
    case 'd': return one_of(line, n, HEADERFIELD_DATE, HEADERFIELD_DATE);
    case 'm': return one_of(line, n, HEADERFIELD_MESSAGE_ID, HEADERFIELD_MESSAGE_ID);
    case 's': return one_of(line, n, HEADERFIELD_SUBJECT, HEADERFIELD_STATUS);
    case 'x': return one_of(line, n, HEADERFIELD_X_UIDL, HEADERFIELD_X_IMAP);
    case 'f': return one_of(line, n, HEADERFIELD_FROM, HEADERFIELD_FROM);
    case 'c': return one_of(line, n, HEADERFIELD_CONTENT_LENGTH, HEADERFIELD_CONTENT_LENGTH);
    default: return HEADERFIELD_OTHER;
    }
}

size_t headerfield_name_length(enum headerfield field)
{
    return names[field].length;
}
