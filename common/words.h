/*
 * words: lists of words in the value of an option. Between two words stands a comma, or blanks, or a comma with blanks around it.
 */
#ifndef COMMON_WORDS_H
#define COMMON_WORDS_H

#include <stddef.h>

/* The next word of *rest, which is the list at first, and its length; NULL when there is none. A list that is empty has an empty
   word, and so has one with a comma too much: none that the caller knows. */
const char *words_next(const char **rest, size_t *n_r);

#endif
