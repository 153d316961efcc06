/*
 * manglespec: what a client wants of a message that it asks for with XMANGLE (facts page 5.5):
 *
 *   XMANGLE, X-MANGLE or MANGLE, then perhaps "(" attribute *(";" attribute) ")"; nothing in it depends on case.
 *   text=plain|html       enriched and richtext count as plain
 *   headers=to:,cc:       fields that are sent, colons optional; default MANGLESPEC_FIELDS
 *   charset=name          default UTF-8
 *   wrap=columns          0: lines of plain text stay as they are (the default); others count as 20 to 990
 *   lang=anything         accepted
 *
 * Blanks around names and values and empty attributes do no harm. The last one of a name counts.
 */
#ifndef MAIL_MANGLESPEC_H
#define MAIL_MANGLESPEC_H

#include <stdbool.h>
#include <stddef.h>

#include "common/strbuf.h"

#define MANGLESPEC_MAX 1024 /* bytes of the argument */
#define MANGLESPEC_NAME_MAX 64 /* of a header field's name */
#define MANGLESPEC_CHARSET_MAX 40
#define MANGLESPEC_FIELDS "to cc subject from date reply-to x-priority x-uidl"
#define MANGLESPEC_WRAP_MIN 20
#define MANGLESPEC_WRAP_MAX 990

struct manglespec {
    bool html;
    unsigned wrap;                             /* 0: not asked for */
    char charset[MANGLESPEC_CHARSET_MAX + 1];  /* letters, digits and "._:+-" */
    char fields[MANGLESPEC_MAX + 1];           /* names, lower case, each followed by a blank */
};

/* Whether an argument is meant as one: the keyword, alone or before a parenthesis. */
bool manglespec_is(const char *argument);

/* 0; -1 and why, without client text in it, when it is not written as above. */
int manglespec_parse(struct manglespec *spec, const char *argument, struct strbuf *why);

/* Whether the field with this name of n bytes (any case) is to be sent. Never what describes the content: that is made
   anew. */
bool manglespec_wants(const struct manglespec *spec, const char *name, size_t n);

#endif
