/*
 * journal: the file J beside the maildrop that makes an UPDATE atomic (DESIGN section 4): append-only records, each with length, sequence
 * and checksum; the last valid one wins; nothing is overwritten. It begins with a magic line that can never be mail.
 *
 * journal_recover settles what a crash left. It is run by whoever holds the locks next, in a process without privileges; it trusts neither M nor J
 * (their owner can write both): every number is checked against the sizes of the files.
 */
#ifndef MAIL_JOURNAL_H
#define MAIL_JOURNAL_H

#include <stdint.h>
#include <sys/stat.h>

#include "common/strbuf.h"
#include "mail/mailhost.h"

enum journal_phase {
    JOURNAL_EMPTY,      /* no valid record: M is as it was */
    JOURNAL_INTENT,     /* M may have been extended by newlines from old_end to intent_end */
    JOURNAL_COMMITTED,  /* T is complete in J: M shall become M[0..first) + T */
    JOURNAL_COPIED,     /* T stands in M from first on; M is to be cut to new_end (nonce at new_end tells) */
    JOURNAL_MOVING,     /* move-down variant: a plan with marks */
    JOURNAL_DONE        /* nothing is left but to remove J */
};

enum journal_settled {
    JOURNAL_SETTLED,    /* M is right; J is gone (or set aside, which is logged) */
    JOURNAL_UNSETTLED   /* could not (I/O error, full disk): M may be neither served nor changed; why says what to do */
};

/* Finishes or undoes what J (descriptor, may be -1: opened through host) says about M. The caller holds the locks. */
enum journal_settled journal_recover(int drop_fd, const struct mailhost *host, struct strbuf *why);

#endif
