/*
 * mailindex: what the last session learned about the maildrop, so that the next one need not read it (DESIGN section
 * 4, Index).
 *
 * The file belongs to the user: whoever reads it believes nothing. The header first, then records and ids straight to
 * where the list keeps them (its owner may truncate it: a short read is a damaged index); checksum over everything,
 * every number checked against M's size and its neighbours. Written in place (never renamed: the file also carries
 * the session lock). A wrong or missing index costs one scan, never a wrong answer.
 */
#ifndef MAIL_MAILINDEX_H
#define MAIL_MAILINDEX_H

#include <stdint.h>
#include <sys/stat.h>

#include "mail/dropmark.h"
#include "mail/mboxscan.h"
#include "mail/msglist.h"

enum mailindex_state {
    MAILINDEX_NONE,    /* missing, damaged, another version, other rules, M changed: scan everything */
    MAILINDEX_VALID,   /* describes M exactly as it is */
    MAILINDEX_RACY,    /* would be valid, but was made so soon after M changed that M may have changed again: verify */
    MAILINDEX_GROWN    /* M has the same beginning and is longer: scan from the last message on */
};

#define MAILINDEX_VERSION 3    /* to be raised whenever the scanner would answer otherwise than before for the same bytes */
#define MAILINDEX_DOUBTS_MAX 8 /* a list that has grown so often by samples alone is made anew (dropmark.h) */

/* Reads the index (fd may be -1) and compares with M, whose status now is st. Unless NONE the list (empty before,
   msglist_init) holds the messages of M's first mark_r->size bytes, in order and without a gap. With NONE the list is
   empty. A debug log line says why an index was not used. */
enum mailindex_state mailindex_load(int fd, int drop_fd, const struct stat *st, const struct mboxscan_rules *rules,
                                    struct msglist *list, struct dropmark *mark_r, uint32_t *imap_validity_r);

/* Replaces the content: the MSGSRC_DROP messages of list, of which mark (with its fingerprint) was taken. The caller
   has made sure that M is still so, by the locks or by its status. Flags of the session are left out.
   0; or -1 with errno: the index is then invalid, which only costs the next session a scan (and so is one too large
   to be read again, EFBIG). */
int mailindex_store(int fd, const struct dropmark *mark, const struct mboxscan_rules *rules, const struct msglist *list,
                    uint32_t imap_validity);

#endif
