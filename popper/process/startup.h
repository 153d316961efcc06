/*
 * startup: what a process that inetd started must put right before anything else: descriptors, umask, signals,
 * environment.
 */
#ifndef PROCESS_STARTUP_H
#define PROCESS_STARTUP_H

#include <stdbool.h>

/* Descriptors 0 to 2 valid and the rest closed (but the listening sockets that systemd handed over), umask 077, signals
   and mask as new, SIGPIPE and SIGXFSZ ignored, the environment replaced by an allow-list (TZ as given, PATH and LANG
   fixed). Ends the process (75) when that cannot be. */
void startup_clean(void);

/* Signals and mask as new, SIGPIPE and SIGXFSZ ignored; part of startup_clean, and for what standalone forks. */
void startup_signals(void);

/* Under inetd descriptor 2 is the client: once nothing is to be said there any more it becomes /dev/null. Also
   changes to /. */
void startup_detach(void);

/* Descriptor 0 is a connected socket: inetd or systemd started us for one client, whatever the build does by default. */
bool startup_has_client(void);

#endif
