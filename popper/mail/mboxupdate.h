/*
 * mboxupdate: makes the maildrop hold what a plan says, so that a crash at any instant loses nothing (DESIGN section
 * 4).
 *
 * Invariants it keeps: I1 (only under the locks), I2 (inode, owner, mode stay), I3, I4. Nothing to change: nothing is
 * written. What is kept is a prefix: one ftruncate and fsync. Otherwise the journal; the move-down variant for long
 * tails or when there is no room for a journal.
 */
#ifndef MAIL_MBOXUPDATE_H
#define MAIL_MBOXUPDATE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/strbuf.h"
#include "mail/mailhost.h"
#include "mail/mboxplan.h"

enum mboxupdate_result {
    MBOXUPDATE_DONE,     /* durable: +OK may be said */
    MBOXUPDATE_FAILED,   /* M is as it was, durably; why says what failed */
    MBOXUPDATE_UNSETTLED /* committed or in doubt: J stays and the next login recovers; -ERR [SYS/TEMP] */
};

struct mboxupdate_along {
    bool leftover_consumed; /* the leftover temp drop's content is in the plan: TEMPDROP is emptied and removed after
                               the commit, also by recovery, if it is the file that was read: */
    int leftover_fd;        /* that file */
    uint64_t leftover_size; /* as it was then */
    bool set_popbull;       /* POPBULL gets `popbull` as its new value, likewise */
    uint64_t popbull;
    bool may_empty_spare; /* spare_fd may be emptied when the disk is full, to make room for the journal: the index */
    int spare_fd;
    bool replaced; /* another program has just made M: its bytes and its name may not be on the disk yet */
};

/* Above how many bytes of T the move-down variant is considered, unless tests say otherwise. */
#define MBOXUPDATE_MOVE_ABOVE (UINT64_C(8) << 20)

/* drop_fd: M, opened read-write, locks held by the caller; size: its size now, under the locks (everything below is
   described by the plan). The ranges of M stand in ascending order. Every message should end in an empty line when
   another may follow. All signals but KILL wait meanwhile. FAILED may be said as well when M turned out to be larger
   than size: somebody delivered without our locks; plan again. */
enum mboxupdate_result mboxupdate_apply(int drop_fd, uint64_t size, const struct mboxplan *plan,
                                        const struct mboxupdate_along *along, const struct mailhost *host,
                                        struct strbuf *why);

/* The same with a threshold of its own: 0 takes the move-down variant wherever it is possible, UINT64_MAX only when
 * there is no room. */
enum mboxupdate_result mboxupdate_apply_above(int drop_fd, uint64_t size, const struct mboxplan *plan,
                                              const struct mboxupdate_along *along, uint64_t move_above,
                                              const struct mailhost *host, struct strbuf *why);

#endif
