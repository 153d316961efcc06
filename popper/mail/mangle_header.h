/*
 * mangle_header: fields of a header for people: encoded words (RFC 2047) decoded, folded lines made whole, nothing in
 * them that could be taken for another field.
 */
#ifndef MAIL_MANGLE_HEADER_H
#define MAIL_MANGLE_HEADER_H

#include <gmime/gmime.h>
#include <stdbool.h>

#include "common/outbuf.h"
#include "common/strbuf.h"
#include "mail/mangle_charset.h"

#define MANGLE_HEADER_MAX 65536      /* octets of all fields; more are left out */
#define MANGLE_HEADER_FIELD_MAX 8192 /* of one; the rest is cut off */

typedef bool mangle_header_wants(const void *context, const char *name, size_t n);

/* Appends "Name: value\n" in clean UTF-8 for each field that is wanted, in the order of the message. */
void mangle_header_fields(GMimeMessage *message, GMimeParserOptions *options, mangle_header_wants *wants,
                          const void *context, struct strbuf *out);

/* Writes such fields in a charset, folded at blanks (RFC 5322 section 2.2.3). */
void mangle_header_write(const struct strbuf *fields, struct mangle_encoder *encoder, struct outbuf *out);

#endif
