/*
 * tlsmaker: the process that has the TLS library ready, seen from inside; who makes and asks it: tlsready. What it is asked: tlschannel.
 */
#ifndef PROCESS_TLSMAKER_H
#define PROCESS_TLSMAKER_H

#include "settings/options.h"

struct tlsmaker_start {
    const struct settings *settings;
    const char *argv0; /* for the log */
};

/* In a fork of the listener: loads the module and readies the library, then forks relays for whoever asks over `end`, until nobody
   can ask any more and the last relay has ended, of which it says how to who asked. */
_Noreturn void tlsmaker_main(const struct tlsmaker_start *start, int end);

#endif
