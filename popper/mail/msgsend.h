/*
 * msgsend: puts the text of a message on the wire: by blocks, LF to CRLF and byte-stuffing in one pass.
 *
 * What is sent, and counted as octets before byte-stuffing (I6): everything after the From_ line, LF and CRLF both as
 * CRLF; NUL as a blank; a last line without line end gets one. The header always ends in an empty line: it is added
 * where a message has no body and lacks it. Not sent are NULs after the last line end (padding, see mboxscan) and then
 * the empty line at the end of the body, which separates messages; exactly one, and never the one that ends the header.
 * With update-status-headers (MSG_EDITED) stored X-UIDL and Content-Length fields are left out and "X-UIDL: id" stands
 * before the first Status field or at the end of the header (facts 5.3); otherwise the header is sent as stored.
 */
#ifndef MAIL_MSGSEND_H
#define MAIL_MSGSEND_H

#include <stddef.h>
#include <stdint.h>

#include "common/outbuf.h"
#include "common/strbuf.h"
#include "mail/msglist.h"

#define MSGSEND_ALL UINT64_MAX

/* Sends message m from fd: header, blank line and at most body_lines lines of the body (TOP), byte-stuffed, without the
   final dot. 0; -1 when fd cannot be read or is too short (why): the caller must end the session, since part of the
   message went out. A client that is gone shows in out->failed. *octets_r, unless NULL: octets sent before
   byte-stuffing. */
int msgsend_message(int fd, const struct message *m, const char *uid, uint64_t body_lines, struct outbuf *out,
                    uint64_t *octets_r, struct strbuf *why);

/* For tests: bytes a read (16 .. 262144), 0 for the normal value. */
void msgsend_set_block(size_t block);

#endif
