/*
 * uidl: unique ids (RFC 1939 section 7 UIDL; facts page 5.2; DESIGN I7): 1 to 70 bytes of 0x21..0x7E.
 *
 * Made of the From_ line and the Received, Date, Message-Id and Subject headers: never of anything that a mail reader
 * changes. Formats (option uidl-format): qpopper: 20 characters in base 80 (facts 5.2) of MD5 over From_, those headers
 * in order, From_; md5 (old-style-uid): 32 hex digits of MD5 over From_, those headers; dovecot: %08Xu%08Xv of X-UID
 * and X-IMAPbase's validity where both exist, qpopper otherwise; uw: %08Xv%08Xu likewise. Lines are hashed without their CR or LF and with one
 * LF after each, so that a missing last line end makes no difference. A stored, valid X-UIDL header wins in every
 * format. The first of several equal ids in a list keeps it; the k-th gets ".k" at its end (uidl_resolve_duplicates).
 */
#ifndef MAIL_UIDL_H
#define MAIL_UIDL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/digest.h"
#include "common/md5lanes.h"
#include "mail/msglist.h"
#include "settings/options.h" /* enum uidl_format */

#define UIDL_MAX 70

#define UIDL_TEXT 4096 /* hashed bytes of a message that are kept; longer ones are hashed as they come */

/* What is hashed of a message, until enough of them are there to be hashed together. */
struct uidl_text {
    size_t index;          /* of the message in the list */
    size_t n;
    unsigned char bytes[UIDL_TEXT + MD5LANES_PADDING];
};

struct uidl {
    enum uidl_format format;
    struct msglist *list;
    struct uidl_text texts[MD5LANES_MAX]; /* the first `waiting` are complete, the next one is the message at hand */
    size_t waiting;

    /* the message at hand */
    size_t from_len;       /* of its From_ line with the LF, which is the beginning of its text */
    bool is_long;          /* its text did not fit: hash goes on instead */
    struct digest_md5 hash;
    char stored[UIDL_MAX + 1];
    uint32_t imap_uid;     /* X-UID of this message, 0: none. The scanner sets it. */
};

/* Ids of messages that are being added to list (borrowed). Some are missing there until uidl_flush. */
void uidl_init(struct uidl *u, enum uidl_format format, struct msglist *list);

/* The next message. from: the From_ line without its line end, less than UIDL_TEXT bytes. */
void uidl_begin(struct uidl *u, const char *from, size_t n);

/* Bytes of a Received, Date, Message-Id or Subject field: its lines with an LF after each, in pieces of any size. */
void uidl_hash(struct uidl *u, const char *bytes, size_t n);

/* The value of an X-UIDL field (blanks around it do not count). The first valid one is kept. */
void uidl_stored(struct uidl *u, const char *value, size_t n);

/* Writes the id, or as many characters as it will have: uidl_flush writes it later. The caller adds the message to the
   list with it, at once. imap_validity: X-IMAPbase of this maildrop, 0 when there is none. True when the id stands in
   the message. */
bool uidl_end(struct uidl *u, uint32_t imap_validity, char id[UIDL_MAX + 1]);

/* Completes the ids in the list. */
void uidl_flush(struct uidl *u);

/* Whether ids of this format rest on X-IMAPbase and X-UID. */
bool uidl_is_of_imap(enum uidl_format format);

/* 1..70 bytes of 0x21..0x7E. */
bool uidl_valid(const char *id, size_t n);

/* Gives each later message of a group with equal ids its own: ID.2, ID.3, ... (behind all of a stored id, which may end
   in another server's number). Messages below `settled` keep what they have (they come from the index); an ordinal
   above all that are there is taken, so that an id that such a message once had is not given to another. Octets of
   MSG_EDITED messages are corrected, since they contain the id. Time grows with the number of messages only. */
void uidl_resolve_duplicates(struct msglist *list, size_t settled);

#define UIDL_BASE_MAX (UIDL_MAX - 11) /* leaves room for "." and any ordinal */

/* How many bytes of an id are common to all of its group: what its duplicates' ordinals stand behind. stored: it stands in the
   message (MSG_UID_STORED); then a number at its end is no ordinal. At most UIDL_BASE_MAX: ids that have so many in common may
   be of different groups. */
size_t uidl_base_length(const char *id, bool stored);

#endif
