/*
 * mangle: a message of any kind as one part of text that a person can read (facts page 5.5): MIME by GMime, HTML by
 * libxml2. Bounded in time and memory by the limits of the rooms mangle_parts, mangle_body and mangle_text.
 *
 * Runs in the worker (process/mangleworker.c), the tests and the fuzzer, nowhere else.
 */
#ifndef MAIL_MANGLE_H
#define MAIL_MANGLE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/outbuf.h"
#include "common/strbuf.h"
#include "mail/manglespec.h"

#define MANGLE_INPUT_MAX (128u << 20)  /* octets of a message; longer ones are refused */
#define MANGLE_OUTPUT_MAX (8u << 20)   /* octets of text that come out; the rest is left out with a note */

/* Once in a process, before the sandbox: loads what needs files. */
void mangle_load(void);

/* Whether text can be written in that charset. */
bool mangle_knows(const char *charset);

/* Converts the n bytes of a message (LF or CRLF) to out: header, empty line, lines, an empty line more (as in a
   maildrop), all with LF. *header_r: octets of the header with its empty line. The charset must be known. */
void mangle_message(const char *bytes, size_t n, const struct manglespec *spec, struct outbuf *out, size_t *header_r);

#endif
