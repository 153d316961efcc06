/*
 * cmd_mail: the TRANSACTION state (RFC 1939 section 5): STAT LIST RETR DELE NOOP RSET TOP UIDL LAST CAPA QUIT, those of cmd_xtnd, and
 * UPDATE on QUIT. Knows the maildrop, not how the user logged in.
 */
#ifndef PROTOCOL_CMD_MAIL_H
#define PROTOCOL_CMD_MAIL_H

#include "mail/maildrop.h"
#include "protocol/transaction.h"
#include "settings/options.h"
#include "wire/peer.h"

/* Replies to the login ("+OK USER has N visible messages (H hidden) in S octets."), serves until the end, runs UPDATE
   on QUIT (on EOF, timeout and I/O errors of the connection only with update-on-abort, on a takeover never), and writes
   the Stats line before it. asks is borrowed. update_ns_r, unless NULL: how long
   UPDATE took, for stats_timing. Sets netio's timeout. The maildrop stays the caller's. */
enum command_end cmd_mail_serve(struct netio *io, const struct settings *settings, const struct peer *peer,
                                const char *host, const char *user, struct maildrop *drop,
                                const struct transaction_asks *asks, int64_t *update_ns_r);

#endif
