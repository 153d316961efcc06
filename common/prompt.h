/*
 * prompt: asks a person at the terminal, or reads the answer from a pipe that a script writes to.
 */
#ifndef COMMON_PROMPT_H
#define COMMON_PROMPT_H

#include <stdbool.h>

#include "common/strbuf.h"

/* Whether descriptor 0 is a terminal. */
bool prompt_at_terminal(void);

/* A secret, replacing the content of secret; how long it may be, secret says. At a terminal: asks on stderr without
   echo, twice when again is not NULL (both must be the same); a signal that ends or stops the process does so with the
   terminal as it was. Otherwise: the first line of descriptor 0. 0; or -1 and why, and secret is empty. */
int prompt_secret(const char *ask, const char *again, struct strbuf *secret, struct strbuf *why);

/* Asks on stderr and reads a line; true when it is "yes". At a terminal only. */
bool prompt_yes(const char *ask);

#endif
