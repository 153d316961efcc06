/*
 * journal_undo: newlines by which M is made longer before a COMMIT, and taking them back when none came (DESIGN section
 * 4, INTENT). It touches nothing below the end that M had.
 */
#ifndef MAIL_JOURNAL_UNDO_H
#define MAIL_JOURNAL_UNDO_H

#include <stdint.h>

#include "common/strbuf.h"
#include "mail/journal_record.h"
#include "mail/mailhost.h"

/* Appends newlines to M from `from` (its end) up to `to`, durably. -1 with errno. */
int journal_extend(int drop_fd, uint64_t from, uint64_t to);

enum journal_undone {
    JOURNAL_UNDONE,        /* M is as it was; J is still there */
    JOURNAL_UNDONE_UPDATE, /* likewise, by an update of its own, because mail stood behind the newlines: J is gone
                              unless it is an orphan's */
    JOURNAL_UNDO_FAILED    /* why; J stays */
};

/* Removes what the INTENT of this journal appended. M that is not the file it speaks of is left alone. */
enum journal_undone journal_undo(struct journal *journal, int drop_fd, const struct mailhost *host, struct strbuf *why);

#endif
