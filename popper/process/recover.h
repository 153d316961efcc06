/*
 * recover: `popper --recover [USER]`: settles the journals that interrupted updates left, before anybody logs in: to be
 * run when the host starts.
 */
#ifndef PROCESS_RECOVER_H
#define PROCESS_RECOVER_H

#include "settings/options.h"

/* user: one maildrop (any spelling that a client could use), NULL: all. Prints a line for each journal on descriptor 1:
   "NAME: settled", or why not. The exit status: 0 when there is none left to be settled, else 1. */
int recover_run(const struct settings *settings, const char *user);

#endif
