/*
 * oracle: a small mbox reader that shares no code with popper's: what a plain mail reader would find in the maildrop.
 */
#ifndef TESTS_CRASH_ORACLE_H
#define TESTS_CRASH_ORACLE_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/crash/letters.h"

#define ORACLE_MAX 200

enum oracle_state {
    ORACLE_EXACT, /* byte for byte the letter */
    ORACLE_LOOSE, /* but for empty lines at its end */
    ORACLE_BROKEN
};

struct oracle_message {
    struct letter letter; /* serial 0: it has none */
    enum oracle_state state;
    size_t at, n; /* in the file */
};

struct oracle_reading {
    struct oracle_message messages[ORACLE_MAX];
    size_t count;
    bool leading_junk; /* something stands before the first message */
};

void oracle_read(const char *bytes, size_t n, struct oracle_reading *reading);

/* How many whole copies of the letter there are, in either form. */
size_t oracle_count(const struct oracle_reading *reading, unsigned serial);

#endif
