/*
 * reply: POP3 framing (RFC 1939 section 3, RFC 2449 section 8): status lines with response codes, multi-line bodies.
 *
 * Replies are at most 512 octets with CRLF (RFC 2449): longer text is cut. Whatever the text is made of, the reply
 * stays one line: control characters become blanks. -ERR is printable ASCII, bytes above 126 become '?'; +OK may carry
 * a header of a message (EUIDL, XLST), whose bytes pass as they are, as in RETR. Nothing is logged
 * here, and nothing is flushed.
 */
#ifndef WIRE_REPLY_H
#define WIRE_REPLY_H

#include "common/outbuf.h"

#define REPLY_MAX 512 /* octets of a status line, CRLF counted */

/* Response codes (RFC 2449, 3206). REPLY_NONE: no bracket. */
enum reply_code { REPLY_NONE, REPLY_IN_USE, REPLY_AUTH, REPLY_SYS_TEMP, REPLY_SYS_PERM };

const char *reply_code_text(enum reply_code code); /* "[IN-USE] ", ..., "" */

void reply_ok(struct outbuf *out, const char *text); /* "+OK text"; trailing blanks are kept (the greeting has them) */
void reply_err(struct outbuf *out, enum reply_code code, const char *text); /* "-ERR [CODE] text" */
void reply_end(struct outbuf *out);                                         /* ".\r\n" */

#endif
