/*
 * xmit: runs mail-command (sendmail) on a message that a client sent with XTND XMIT.
 */
#ifndef PROCESS_XMIT_H
#define PROCESS_XMIT_H

#include "auth/auth.h"
#include "common/strbuf.h"
#include "settings/options.h"

#define XMIT_SECONDS 300 /* or the timeout option if that is less; then mail-command is killed (its own process group with it) */

/* Runs `mail-command -t -i -oem` as the user we are, with the file as its standard input, and waits. 0: it exited with 0.
   -1 and why, which quotes the beginning of what it complained. fd stays the caller's. */
int xmit_send(const struct settings *settings, const struct auth_user *user, int fd, struct strbuf *why);

#endif
