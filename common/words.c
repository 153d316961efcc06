/*
 * words: see words.h.
 */
#include "common/words.h"

#include <string.h>

#define BLANKS " \t"

const char *words_next(const char **rest, size_t *n_r)
{
    const char *word, *behind;

    if (!*rest)
        return NULL;
    word = *rest + strspn(*rest, BLANKS);
    *n_r = strcspn(word, "," BLANKS);
    behind = word + *n_r + strspn(word + *n_r, BLANKS);
    *rest = *behind ? behind + (*behind == ',') : NULL;
    return word;
}
