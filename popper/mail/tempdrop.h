/*
 * tempdrop: the session's private copy of the maildrop (normal mode), and the leftover temp drops of crashed old
 * servers.
 *
 * The copy is made under the locks when the first message text is asked for, in a file without a name, so that a
 * crash leaves nothing. A non-empty temp drop that was there before us is mail: listed first, messages that also
 * stand in M once. It is only read here; what becomes of it is UPDATE's business.
 */
#ifndef MAIL_TEMPDROP_H
#define MAIL_TEMPDROP_H

#include <stdint.h>

#include "common/strbuf.h"
#include "mail/mailhost.h"
#include "mail/mboxscan.h"
#include "mail/msglist.h"

/* Copies the first n bytes of drop_fd into a temp drop of our own (made through host). The descriptor, or -1 with
   errno and why. The caller holds the locks. */
int tempdrop_copy(int drop_fd, uint64_t n, const struct mailhost *host, struct strbuf *why);

/* Puts the messages of a leftover (descriptor, read-only) before those of *list, which are M's (drop_fd, -1 when
   there is no M). One that also stands in M, with the same id and the same bytes (line ends at the very end aside),
   is left out: *doubles_r of them. Ids of M's messages stay. imap_validity: M's base of IMAP ids, which UPDATE gives to
   the leftover's messages too, so that they are listed with it; 0: there is none, and the leftover's own counts, but
   not for whether one stands in M. *size_r: the leftover's size.
   MBOXSCAN_OK; otherwise the list is as it was and why says what is wrong with the leftover. */
enum mboxscan_result tempdrop_leftover(int fd, int drop_fd, const struct mboxscan_rules *rules, uint32_t imap_validity,
                                       struct msglist *list, uint64_t *size_r, size_t *doubles_r, struct strbuf *why);

#endif
