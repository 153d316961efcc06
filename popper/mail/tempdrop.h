/*
 * tempdrop: the session's private copy of the maildrop (normal mode), and the leftover temp drops of crashed old servers.
 *
 * The copy is made under the locks when the first message text is asked for. A non-empty temp drop that we did not make is mail: it is
 * scanned as MSGSRC_LEFTOVER, listed first, messages that also stand in M (same unique id and length) once; it is never opened for writing
 * before its content is durable in M.
 */
#ifndef MAIL_TEMPDROP_H
#define MAIL_TEMPDROP_H

#include <stdint.h>

#include "common/strbuf.h"
#include "mail/mailhost.h"

/* Copies the first n bytes of drop_fd into a temp drop of our own (created through host; marked as ours by not being reachable as mail: it
   is unlinked at once, so a crash leaves nothing). The descriptor, or -1 with errno and why. The caller holds the locks. */
int tempdrop_copy(int drop_fd, uint64_t n, const struct mailhost *host, struct strbuf *why);

#endif
