/*
 * preauth: the process that speaks to a client nobody knows yet. See the rights at the head of preauth.c.
 */
#ifndef PROCESS_PREAUTH_H
#define PROCESS_PREAUTH_H

#include <sys/types.h>

#include "settings/options.h"
#include "wire/peer.h"

struct preauth_start {
    const struct settings *settings;
    const struct peer *peer;
    const char *host;   /* our name */
    const char *stamp;  /* for APOP, or NULL */
    bool tls;           /* descriptors 0 and 1 are inside TLS from the beginning */
    int monitor;        /* its end of the privmsg pair */
    int door;           /* -1; or the client comes there (supervised_take): peer and descriptors 0 and 1 are nobody's yet */
    pid_t monitor_pid;
};

/* In a fresh child: gives up all rights, serves descriptors 0 and 1, hands over or not, ends the process. With a door it
   waits there first, when it has given them up; without a client it ends. */
_Noreturn void preauth_main(const struct preauth_start *start);

#endif
