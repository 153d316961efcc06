/*
 * writeback: the header that a message gets when UPDATE writes it back with update-status-headers (facts page 5.3):
 * the From_ line, then X-UIDL as the first field, other X-UIDL fields dropped; Status becomes RO when the message was
 * retrieved, by this session or an earlier one, else stays; where there is none RO or U is put at the end. All other
 * bytes stay. It decides nothing about which messages are written, and writes no file.
 */
#ifndef MAIL_WRITEBACK_H
#define MAIL_WRITEBACK_H

#include "common/strbuf.h"
#include "mail/msglist.h"

#define WRITEBACK_MAX (256 * 1024) /* longer headers stay as they are */

/* Replaces *header by what shall stand where the first msglist_header_len(m) bytes of m stand. 1; 0 when they are to
   stay (the header is too long);
   -1 with why when fd cannot be read. */
int writeback_header(int fd, const struct message *m, const char *uid, struct strbuf *header, struct strbuf *why);

#endif
