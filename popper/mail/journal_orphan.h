/*
 * journal_orphan: what to do with a journal that does not speak of M as it is: M was replaced, restored, emptied or
 * rewritten by another program before recovery, or the journal is damaged. It never replays and never deletes: every
 * whole message of T that M does not hold is appended to M (by an update of its own, whose journal is the same file), J
 * is set aside, and both are logged.
 */
#ifndef MAIL_JOURNAL_ORPHAN_H
#define MAIL_JOURNAL_ORPHAN_H

#include "common/strbuf.h"
#include "mail/journal_finish.h"
#include "mail/journal_record.h"
#include "mail/mailhost.h"

/* *drop_fd_r: M, or -1 when there is none: it is made when J holds mail. */
enum journal_finished journal_orphan(struct journal *journal, int *drop_fd_r, const struct mailhost *host,
                                     struct strbuf *why);

#endif
