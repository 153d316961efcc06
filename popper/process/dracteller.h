/*
 * dracteller: tells the DRAC server (option drac-host) from where somebody has logged in, without the session waiting
 * for it or suffering from it. See auth/drac.h for what is said.
 */
#ifndef PROCESS_DRACTELLER_H
#define PROCESS_DRACTELLER_H

#include <sys/types.h>

#include "settings/options.h"
#include "wire/peer.h"

#define DRACTELLER_SECONDS 3 /* from the login; then it is given up, and the log says so */

struct dracteller {
    pid_t pid; /* 0: there is none */
    int end;
};

/* Starts the processes while we may still change uids: when there is a drac-host, or a file of the user may name one. To be called with the monitor's
   rights, before signals are handled. user: for the log. */
void dracteller_start(struct dracteller *d, const struct settings *settings, const char *user);

/* Has them tell the host that settings (the user's) name, and returns at once. No host, or a client without an IPv4
   address: they end. What goes wrong is logged by them, once. */
void dracteller_tell(struct dracteller *d, const struct settings *settings, const struct peer *peer);

/* Waits for their end, at most until DRACTELLER_SECONDS after the login and a little. */
void dracteller_finish(struct dracteller *d);

#endif
