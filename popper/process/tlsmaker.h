/*
 * tlsmaker: the process that has the TLS library ready, seen from inside. Who makes and asks it: tlsready, and under inetd tlslinger.
 * What it is asked: tlschannel.
 */
#ifndef PROCESS_TLSMAKER_H
#define PROCESS_TLSMAKER_H

#include "settings/options.h"

/* In a fork of the listener: loads the module and readies the library, then forks relays for whoever asks over `end`, until nobody
   can ask any more and the last relay has ended, of which it says how to who asked. */
_Noreturn void tlsmaker_main(const struct settings *settings, int end);

/* The same where nobody stays who could ask: place is a listening socket, at which each connection is a channel. It calls unlist, and takes no
   more, when it had no relay for tls-linger seconds, after TLSMAKER_LIFE seconds (the library may have been replaced since), and on
   SIGTERM. It has ticket keys of its own. */
#define TLSMAKER_LIFE 3600
_Noreturn void tlsmaker_linger(const struct settings *settings, int place, void (*unlist)(void));

#endif
