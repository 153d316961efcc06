/*
 * cmd_mail: the TRANSACTION state (RFC 1939 section 5): STAT LIST RETR DELE NOOP RSET TOP UIDL LAST CAPA QUIT, and UPDATE on QUIT.
 * Knows the maildrop, not how the user logged in.
 */
#ifndef PROTOCOL_CMD_MAIL_H
#define PROTOCOL_CMD_MAIL_H

#include "mail/maildrop.h"
#include "protocol/command.h"
#include "settings/options.h"
#include "wire/peer.h"

/* Replies to the login ("+OK USER has N visible messages (H hidden) in S octets."), serves until the end, runs UPDATE on QUIT (on other ends
   only with update-on-abort), writes the Stats line. interrupted: see command.h, for takeover. */
enum command_end cmd_mail_serve(struct netio *io, const struct settings *settings, const struct peer *peer, const char *host,
                                const char *user, struct maildrop *drop, bool (*interrupted)(void *context), void *context);

#endif
