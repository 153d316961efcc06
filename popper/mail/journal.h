/*
 * journal: the file J beside the maildrop that makes an UPDATE atomic (DESIGN section 4): append-only records, each
 * with length, sequence and checksum; the last valid one wins; nothing is overwritten. It begins with a magic line that
 * can never be mail.
 *
 * journal_recover settles what a crash left. It is run by whoever holds the locks next, in a process without
 * privileges; it trusts neither M nor J (their owner can write both): every number is checked against the sizes of the
 * files.
 */
#ifndef MAIL_JOURNAL_H
#define MAIL_JOURNAL_H

#include <stdint.h>
#include <sys/stat.h>

#include "common/strbuf.h"
#include "mail/mailhost.h"

enum journal_settled {
    JOURNAL_SETTLED,  /* M is right; J is gone (or set aside, which is logged) */
    JOURNAL_UNSETTLED /* could not (I/O error, full disk): M may be neither served nor changed; why says what to do */
};

/* Finishes or undoes what J (opened through host; there may be none) says about M. The caller holds the locks.
   *drop_fd_r is M, read-write, or -1 when there is none: it is then made if J holds mail for it, and *drop_fd_r is the
   caller's. Begins with fsync of M and J. Logs whatever it did beyond finishing; UNSETTLED puts what to do into why. */
enum journal_settled journal_recover(int *drop_fd_r, const struct mailhost *host, struct strbuf *why);

#endif
