/*
 * resolver: the name of the client's address (option reverse-lookup), asked for by a process without rights while the
 * session goes on, so that only the record of the login waits for it, and not for long.
 */
#ifndef PROCESS_RESOLVER_H
#define PROCESS_RESOLVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "settings/options.h"
#include "wire/peer.h"

#define RESOLVER_SECONDS 3 /* from the start; then the address has no name */

struct resolver {
    pid_t pid; /* 0: nothing is asked */
    int end;
    int64_t deadline;
};

/* Starts to ask, when the option is on and the client has an address. */
void resolver_start(struct resolver *r, const struct settings *settings, const struct peer *peer);

/* Waits for the answer, at most until the deadline. peer->host becomes the name if it is one, and if the name has the
   address; otherwise it stays and why is logged (facts page 4.3). Nothing asked, or finished already: nothing. */
void resolver_finish(struct resolver *r, struct peer *peer);

/* Ends it without waiting for the answer. */
void resolver_stop(struct resolver *r);

/* Letters, digits, '-', '_' in labels of 1 to 63 bytes, at most 253 bytes, and nothing that looks like an address. */
bool resolver_is_host_name(const char *name);

#endif
