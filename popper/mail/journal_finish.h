/*
 * journal_finish: carries out a committed journal: T over M, cut, what goes along, DONE (DESIGN section 4, steps 4 and
 * 5). The same code runs in UPDATE and in recovery, so that the crash matrix proves both at once. It never begins
 * anything: without a COMMIT it has nothing to do.
 */
#ifndef MAIL_JOURNAL_FINISH_H
#define MAIL_JOURNAL_FINISH_H

#include <stdint.h>

#include "common/strbuf.h"
#include "mail/journal_record.h"
#include "mail/mailhost.h"

enum journal_finished {
    JOURNAL_FINISHED, /* M is right and durable, J is gone (or set aside) */
    JOURNAL_STOPPED   /* J stays; why says what failed */
};

/* journal is COMMITTED or COPIED and trusted (journal_tail_trusted). What follows the old end by now is new mail and is
   kept. With commit.more J stays, and the caller goes on with it. */
enum journal_finished journal_finish(struct journal *journal, int drop_fd, const struct mailhost *host,
                                     struct strbuf *why);

/* Writes the last records before a COMMIT and the COMMIT itself, durably. `commit` has first, old_end, new_end, moved
   and what goes along; the rest is filled in. samples: how many pieces of M are taken; 0: those of the last COMMIT
   stay, for what M holds by now may be half copied, and not what the disk holds. 0; or -1 with why: nothing is
   committed, unless the sync of the COMMIT failed (*doubt_r). */
int journal_seal(struct journal *journal, int drop_fd, struct journal_commit *commit, const struct journal_plan *plan,
                 size_t samples, bool *doubt_r, struct strbuf *why);

/* How many line ends are lacking before the next message when what stands before it ends in these n (0 to 2) bytes. */
size_t journal_lacking(const char *end, size_t n);

/* Where the mail that begins at or after `from` and before `to` in M really starts, and how many line ends have to
   stand before it when what precedes it ends like the last bytes of `before` (at most 2 count): a delivery agent that
   found a torn end chose its separator by that. -1 with errno. */
int journal_join(int drop_fd, uint64_t from, uint64_t to, const char *before, size_t before_len, uint64_t *start_r,
                 size_t *newlines_r);

/* Removes J, or sets it aside. */
enum journal_finished journal_retire(bool keep, const struct mailhost *host, struct strbuf *why);

/* "the maildrop PATH" for messages. */
const char *journal_shown(const struct mailhost *host);

#endif
