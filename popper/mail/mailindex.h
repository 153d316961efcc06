/*
 * mailindex: what the last session learned about the maildrop, so that the next one need not read it (DESIGN section 4, Index).
 *
 * The file belongs to the user: whoever reads it believes nothing. Read in one read(2) into one block, checksum, every number checked against M's size
 * and its neighbours. Written in place (never renamed: the file also carries the session lock), only while the maildrop's locks are held
 * or the answer is provably the one of `st`. A wrong or missing index costs one scan, never a wrong answer.
 */
#ifndef MAIL_MAILINDEX_H
#define MAIL_MAILINDEX_H

#include <stdint.h>
#include <sys/stat.h>

#include "mail/mboxscan.h"
#include "mail/msglist.h"

enum mailindex_state {
    MAILINDEX_NONE,    /* missing, damaged, another version, other rules: scan everything */
    MAILINDEX_VALID,   /* describes M exactly as it is */
    MAILINDEX_RACY,    /* would be valid, but was written so soon after M changed that M may have changed again: verify */
    MAILINDEX_GROWN    /* M has the same beginning and is longer: scan from the last message on */
};

/* Reads the index (fd may be -1) and compares with M (fd, status taken now). The list is filled unless NONE.
   *end_r: size of M that the list describes. A debug log line says why an index was not used. */
enum mailindex_state mailindex_load(int fd, int drop_fd, const struct stat *drop, const struct mboxscan_rules *rules, struct msglist *list,
                                    uint64_t *end_r, uint32_t *imap_validity_r);

/* Replaces the content: list describes drop_fd, whose status is st (taken under the locks after the last write), size st->st_size. Only MSGSRC_DROP messages.
   0; or -1 with errno: the index is then made invalid (or was), which only costs the next session a scan. */
int mailindex_store(int fd, int drop_fd, const struct stat *st, const struct mboxscan_rules *rules, const struct msglist *list, uint32_t imap_validity);

#endif
