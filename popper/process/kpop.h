/*
 * kpop: who the client of a connection with option kerberos is, found out before the greeting by a process of its own.
 * See auth/auth_kerberos.h for the protocol and the head of kpop.c for the rights.
 */
#ifndef PROCESS_KPOP_H
#define PROCESS_KPOP_H

#include <stdbool.h>

#include "auth/auth_kerberos.h"
#include "settings/options.h"
#include "wire/peer.h"

/* Takes the ticket from the client on descriptor 0. True, and client_r; false: it has none that is good, or it cannot be
   checked; then it was answered, the log says why, and the session is over. At most for the shorter of timeout and
   preauth-timeout. */
bool kpop_run(const struct settings *settings, const struct peer *peer, struct auth_kerberos_client *client_r);

#endif
