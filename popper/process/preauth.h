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
    pid_t monitor_pid;
};

/* In a fresh child: gives up all rights, serves descriptors 0 and 1, hands over or not, ends the process. */
_Noreturn void preauth_main(const struct preauth_start *start);

#endif
