/*
 * keeper_options: the option files of one user (options user-options and spool-options) and the groups that switch
 * server mode. Read after the login by the process that is the user, before the maildrop is looked for.
 */
#ifndef PROCESS_KEEPER_OPTIONS_H
#define PROCESS_KEEPER_OPTIONS_H

#include "auth/auth.h"
#include "settings/options.h"

/* The settings of this user's session, to be freed: a copy of the site's with what the files say; the home file
   first, then the spool file, so that the administrator's counts. Missing files are fine; bad lines are logged and
   skipped; what cannot work as a whole is logged and left out. */
struct settings *keeper_options_read(const struct settings *site, const struct auth_user *user);

#endif
