/*
 * keeper_options: the option files of one user (options user-options and spool-options) and the groups that switch server mode.
 * Read after the login by the process that is the user, before the maildrop is looked for.
 */
#ifndef PROCESS_KEEPER_OPTIONS_H
#define PROCESS_KEEPER_OPTIONS_H

#include "auth/auth.h"
#include "settings/options.h"

/* settings is the user's copy. The home file first, then the spool file, so that the administrator's counts. Missing files are fine;
   bad lines are logged and skipped. */
void keeper_options_read(struct settings *settings, const struct auth_user *user);

#endif
