/*
 * checker_ahead: the process of the next check, made before there is anything to check, so that who logs in does not wait
 * for it.
 */
#ifndef PROCESS_CHECKER_AHEAD_H
#define PROCESS_CHECKER_AHEAD_H

#include <sys/types.h>

#include "auth/auth.h"
#include "settings/options.h"

/* Whether a check may end with a PAM session that somebody has to hold, for which a pipe must be there before the fork. */
bool checker_ahead_session(const struct settings *settings);

/* Makes it, unless there is one. Nothing where that cannot be: the check makes its own. It ends when its maker does. */
void checker_ahead_make(const struct settings *settings);

/* It gets the attempt: its process id, and *end_r, which the caller owns, where it will answer. 0: there is none; then the caller makes
   one. An attempt with a ticket, which does not fit into a message, is for another one: whoever waits is ended. */
pid_t checker_ahead_use(const struct auth_attempt *attempt, int *end_r);

void checker_ahead_end(void); /* who waits, if anybody */

#endif
