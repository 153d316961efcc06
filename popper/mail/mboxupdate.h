/*
 * mboxupdate: makes the maildrop hold what a plan says, so that a crash at any instant loses nothing (DESIGN section 4).
 *
 * Invariants it keeps: I1 (only under the locks), I2 (inode, owner, mode stay), I3, I4. Nothing to change: nothing is written. What is kept is a prefix: one
 * ftruncate and fsync. Otherwise the journal; the move-down variant for long tails or when there is no room for a journal.
 */
#ifndef MAIL_MBOXUPDATE_H
#define MAIL_MBOXUPDATE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/strbuf.h"
#include "mail/mailhost.h"
#include "mail/mboxplan.h"

enum mboxupdate_result {
    MBOXUPDATE_DONE,      /* durable: +OK may be said */
    MBOXUPDATE_FAILED,    /* M is as it was, durably; why says what failed */
    MBOXUPDATE_UNSETTLED  /* committed or in doubt: J stays and the next login recovers; -ERR [SYS/TEMP] */
};

struct mboxupdate_along {
    bool leftover_consumed;  /* the leftover temp drop's content is in the plan: TEMPDROP is emptied and removed after the commit, also by recovery */
    bool set_popbull;        /* POPBULL gets `popbull` as its new value, likewise */
    uint64_t popbull;
};

/* drop_fd: M, opened read-write, locks held by the caller; size: its size now, under the locks (everything below is described by the plan). */
enum mboxupdate_result mboxupdate_apply(int drop_fd, uint64_t size, const struct mboxplan *plan, const struct mboxupdate_along *along,
                                        const struct mailhost *host, struct strbuf *why);

#endif
