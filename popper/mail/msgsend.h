/*
 * msgsend: puts the text of a message on the wire: by blocks, LF to CRLF and byte-stuffing in one pass.
 *
 * What is sent, and counted as octets before byte-stuffing (I6): everything after the From_ line up to the end of the message less the one
 * separating empty line; LF and CRLF both as CRLF; NUL as a blank; a last line without line end gets one. With update-status-headers (MSG_EDITED) stored
 * X-UIDL and Content-Length fields are left out and "X-UIDL: id" stands before Status or at the end of the header (facts 5.3); otherwise
 * the header is sent as stored.
 */
#ifndef MAIL_MSGSEND_H
#define MAIL_MSGSEND_H

#include <stdint.h>

#include "common/outbuf.h"
#include "common/strbuf.h"
#include "mail/msglist.h"

#define MSGSEND_ALL UINT64_MAX

/* Sends message m from fd: header, blank line and at most body_lines lines of the body (TOP), byte-stuffed, without the final dot.
   0; -1 when fd cannot be read or is too short (why): the caller must end the session, since part of the message went out.
   A client that is gone shows in out->failed. *octets_r, unless NULL: octets sent before byte-stuffing. */
int msgsend_message(int fd, const struct message *m, const char *uid, uint64_t body_lines, struct outbuf *out, uint64_t *octets_r,
                    struct strbuf *why);

#endif
