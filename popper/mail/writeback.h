/*
 * writeback: the header that a message gets when UPDATE writes it back with update-status-headers (facts page 5.3):
 * the From_ line, then X-UIDL as the first field (lines that continue no field stay before it), other X-UIDL fields
 * dropped; Status becomes RO when the message was retrieved, by this session or an earlier one, else stays; where there
 * is none RO or U is put at the end. All other bytes stay. It decides nothing about which messages are written, and
 * writes no file.
 */
#ifndef MAIL_WRITEBACK_H
#define MAIL_WRITEBACK_H

#include <stdbool.h>

#include "common/strbuf.h"
#include "mail/msglist.h"

#define WRITEBACK_MAX (256 * 1024) /* longer headers stay as they are */

/* Replaces *header by what shall stand where the first msglist_header_len(m) bytes of m stand. 1; 0 when they are to
   stay (the header is too long);
   -1 with why when fd cannot be read. */
int writeback_header(int fd, const struct message *m, const char *uid, struct strbuf *header, struct strbuf *why);

/* The same, but only the lines of m behind which a field may be put, as they stand, however long the header is. */
int writeback_start(int fd, const struct message *m, struct strbuf *start, struct strbuf *why);

/* Puts a field, with its line end, at the start of a header (or of what writeback_start gave), where X-UIDL would be put. */
void writeback_insert(struct strbuf *header, const char *field);

/* The X-IMAPbase field of m, on which the ids of uidl-format dovecot rest and which only the first message of a
   maildrop carries; made of X-IMAP where that is what there is. Empty when there is none, or the header is too long.
   0, or -1 and why. */
int writeback_imapbase(int fd, const struct message *m, struct strbuf *field, struct strbuf *why);

/* Whether m has a Message-Id that is not empty. False when the header is too long or cannot be read. */
bool writeback_has_message_id(int fd, const struct message *m);

#endif
