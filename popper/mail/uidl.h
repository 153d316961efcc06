/*
 * uidl: unique ids (RFC 1939 section 7 UIDL; facts page 5.2; DESIGN I7): 1 to 70 bytes of 0x21..0x7E.
 *
 * Made of the From_ line and the Received, Date, Message-Id and Subject headers: never of anything that a mail reader changes.
 * Formats (option uidl-format): qpopper: 20 characters in base 80 (facts 5.2) of MD5 over From_, those headers in order, From_; md5 (old-style-uid): 32 hex
 * digits of MD5 over From_, those headers; dovecot: %08Xu%08Xv of X-UID and X-IMAPbase's validity where both exist, qpopper otherwise.
 * A stored, valid X-UIDL header wins in every format. Equal ids in a list are told apart by an ordinal that goes into the hash
 * (uidl_resolve_duplicates), so that the first keeps the plain one.
 */
#ifndef MAIL_UIDL_H
#define MAIL_UIDL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/digest.h"
#include "mail/msglist.h"
#include "settings/options.h" /* enum uidl_format */

#define UIDL_MAX 70

struct uidl {
    struct digest_md5 hash;
    enum uidl_format format;
    const char *from;      /* From_ line, borrowed until uidl_end */
    size_t from_len;
    char stored[UIDL_MAX + 1];
    uint32_t imap_uid, imap_validity;
};

/* from: the From_ line without its line end. imap_validity: X-IMAPbase of this maildrop, 0 when not seen. */
void uidl_begin(struct uidl *u, enum uidl_format format, const char *from, size_t from_len, uint32_t imap_validity);

/* One header field with its continuation lines, as it stands in the file without the last line end. Cheap for fields that do not matter. */
void uidl_field(struct uidl *u, const char *field, size_t n);

/* Writes the id. True when it was stored in the message. */
bool uidl_end(struct uidl *u, char id[UIDL_MAX + 1]);

/* 1..70 bytes of 0x21..0x7E. */
bool uidl_valid(const char *id, size_t n);

/* Gives each later message of a group with equal ids its own. Messages below `settled` keep what they have (they come from the index). */
void uidl_resolve_duplicates(struct msglist *list, size_t settled);

#endif
