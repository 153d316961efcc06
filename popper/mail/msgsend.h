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
#include "mail/msgwindow.h"

#define MSGSEND_ALL UINT64_MAX

/* Sends message m from fd: header, blank line and at most body_lines lines of the body (TOP), byte-stuffed, without the
   final dot. 0; -1 when fd cannot be read or is too short (why): the caller must end the session, since part of the
   message went out. A client that is gone shows in out->failed. *octets_r, unless NULL: octets sent before
   byte-stuffing.
   The file is read through the window; what is in its view counts as what is in the file. ahead: an offset in the file; when the message follows the
   one sent before, what is behind it is read with it up to there. 0: never. */
int msgsend_message(struct msgwindow *window, int fd, uint64_t ahead, const struct message *m, const char *uid, uint64_t body_lines, struct outbuf *out,
                    uint64_t *octets_r, struct strbuf *why);

/* Reads what msgsend_message with the same arguments will read first: all of the message, unless it is longer than the window. 0, or -1 (why). */
int msgsend_prepare(struct msgwindow *window, int fd, uint64_t ahead, const struct message *m, uint64_t body_lines, struct strbuf *why);

/* For tests: bytes a read (16 .. 262144), 0 for the normal value. */
void msgsend_set_block(size_t block);

#endif
