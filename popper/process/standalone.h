/*
 * standalone: popper as its own listener: accepts connections, keeps the limits, and makes a monitor for each client.
 */
#ifndef PROCESS_STANDALONE_H
#define PROCESS_STANDALONE_H

#include "settings/config.h"
#include "settings/options.h"

struct standalone_start {
    int argc;       /* read again on SIGHUP */
    char **argv;
    const char *argv0;
    const struct config_action *action; /* its addresses */
};

/* Listens at the addresses and at the sockets that systemd handed over, until SIGTERM or SIGINT; takes the settings
   over. Errors up to the listening go to stderr. With option daemon the process that was started ends once the one in
   the background listens. Returns the exit status; in the process of a session that of monitor_run. */
int standalone_run(struct settings *settings, const struct standalone_start *start);

#endif
