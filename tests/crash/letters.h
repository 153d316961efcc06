/*
 * letters: the messages of the crash matrix: each is made of its serial number alone, so that a reader can tell whether
 * it is whole. Bodies are random.
 */
#ifndef TESTS_CRASH_LETTERS_H
#define TESTS_CRASH_LETTERS_H

#include <stddef.h>

#include "common/strbuf.h"

enum letter_form { LETTER_PLAIN, LETTER_SEEN /* with a Status header */, LETTER_FORMS };

struct letter {
    unsigned serial;
    enum letter_form form;
};

#define LETTER_STATUS "Status: RO\n"

#define LETTER_SERIALS 1000

/* The letter with its From_ line and the empty line behind it; borrowed, made once. */
const struct strbuf *letter_text(unsigned serial, enum letter_form form);

/* Where in a plain letter the Status header goes. */
size_t letter_status_at(unsigned serial);

#endif
