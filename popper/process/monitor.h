/*
 * monitor: the process that inetd started: it holds the rights, parses no byte from the network, and answers what
 * preauth asks.
 */
#ifndef PROCESS_MONITOR_H
#define PROCESS_MONITOR_H

#include <stdbool.h>

#include "settings/options.h"

/* Serves the client on descriptors 0 and 1 from the greeting to the end; after the login it is the keeper. Returns
   the exit status: 0 also when the client hung up or failed to log in, 75 when something of ours failed. */
int monitor_run(const struct settings *settings);

/* The same where the process was made before there is a client: it waits for him at `supervisor` (process/supervised).
   Descriptors 0 and 1 are nobody's. door: -1, or where preauth waits for him, which is made at once; closed here. Without
   a client 0. */
int monitor_run_ahead(struct settings *settings, int supervisor, int door);

/* Whether preauth can be made before its client: nothing else comes between him and the greeting. */
bool monitor_preauth_ahead(const struct settings *settings);

#endif
