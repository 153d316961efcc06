/*
 * nearest: which of our words somebody may have meant by one that we do not know: the one or two that are fewest letters away
 * (one wrong, missing, too many, or two that changed places is one away), in any case, - and _ alike; or that begin with it.
 */
#ifndef COMMON_NEAREST_H
#define COMMON_NEAREST_H

#include <stdbool.h>
#include <stddef.h>

#include "common/strbuf.h"

#define NEAREST_WORD_MAX 40 /* bytes; nothing is near a longer word */

struct nearest {
    const char *word;
    size_t length;
    const char *name[2]; /* NULL: none (more) is near */
    size_t away;         /* letters, of both */
};

/* word is borrowed, and need not end with a NUL. */
void nearest_begin(struct nearest *n, const char *word, size_t length);

/* One of our words (borrowed). Near is what is at most a third of the word's letters away; the second one counts only where it is as
   near as the first. */
void nearest_offer(struct nearest *n, const char *name);

/* Adds `; did you mean NAME?`, with two `NAME or NAME`, each after `before` (such as "-"). False, and nothing: none was near. */
bool nearest_say(const struct nearest *n, const char *before, struct strbuf *out);

#endif
