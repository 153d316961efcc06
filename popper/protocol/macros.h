/*
 * macros: the names that a client has given to arguments with MDEF (facts page 5.5), for one session.
 *
 * Names are lower-cased: printable ASCII without blanks and parentheses, 1 to MACROS_NAME_MAX bytes, not a number (which
 * would make RETR 1 mean another message). A definition of a name that is there replaces its value.
 */
#ifndef PROTOCOL_MACROS_H
#define PROTOCOL_MACROS_H

#include <stddef.h>

#include "common/strbuf.h"

#define MACROS_MAX 10
#define MACROS_NAME_MAX 100

struct macros {
    struct { char *name, *value; } items[MACROS_MAX];
    size_t count;
};

/* definition: "name(value)"; the value goes up to the last byte, which must be the parenthesis that closes the first
   one, and may be empty. 0 and *name_r (lower-cased, borrowed until it is defined again); -1 and why, without client
   text in it. */
int macros_define(struct macros *macros, const char *definition, const char **name_r, struct strbuf *why);

/* The value that stands for an argument of this name (any case), borrowed; the argument itself when there is none. */
const char *macros_expand(const struct macros *macros, const char *argument);

/* Forgets and frees all. */
void macros_free(struct macros *macros);

#endif
