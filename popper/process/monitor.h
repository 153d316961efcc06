/*
 * monitor: the process that inetd started: it holds the rights, parses no byte from the network, and answers what
 * preauth asks.
 */
#ifndef PROCESS_MONITOR_H
#define PROCESS_MONITOR_H

#include "settings/options.h"

/* Serves the client on descriptors 0 and 1 from the greeting to the end; after the login it is the keeper. Returns
   the exit status: 0 also when the client hung up or failed to log in, 75 when something of ours failed. */
int monitor_run(const struct settings *settings);

#endif
