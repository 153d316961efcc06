/*
 * reload: reads the configuration again in standalone mode. A child tries it first, so that a broken one changes nothing.
 */
#ifndef PROCESS_RELOAD_H
#define PROCESS_RELOAD_H

#include "settings/options.h"

struct reload {
    int argc;
    char **argv;
    const char *argv0;
    int directory; /* where we were started: relative names count from there */
};

void reload_prepare(struct reload *r, int argc, char **argv, const char *argv0);

/* Opens log and trace file anew and replaces *settings, or keeps them and logs why. Tells systemd. Addresses and
   pid-file stay as they were. Returns whether they were replaced. A child that tried them and hangs is left for the caller's
   waitpid(2). */
bool reload_do(const struct reload *r, struct settings **settings);

#endif
