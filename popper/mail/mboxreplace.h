/*
 * mboxreplace: makes the maildrop hold what a plan says by writing a new file and giving it the maildrop's name (option
 * fast-update). Half the writing of mboxupdate, and no journal; in exchange it gives up the inode (I2): what a delivery
 * agent writes that opened M before is lost, unless it was quick.
 *
 * As safe against a crash as mboxupdate: M is the old file, untouched, until the name changes in one step, and the new
 * one is complete on the disk by then. Deletions are durable before DONE is said.
 */
#ifndef MAIL_MBOXREPLACE_H
#define MAIL_MBOXREPLACE_H

#include "common/strbuf.h"
#include "mail/mailhost.h"
#include "mail/mboxplan.h"
#include "mail/mboxupdate.h"

/* As mboxupdate_apply, without what goes along. *new_fd_r: the maildrop from now on, to be closed by the caller; -1 when
   it still is drop_fd. FAILED: M is as it was (why says what failed; mboxupdate_apply may still succeed, for the new
   file needs room). UNSETTLED: the new file has the name, but perhaps not for good, should the machine crash now. */
enum mboxupdate_result mboxreplace_apply(int drop_fd, uint64_t size, const struct mboxplan *plan,
                                         const struct mailhost *host, int *new_fd_r, struct strbuf *why);

#endif
