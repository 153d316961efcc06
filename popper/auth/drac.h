/*
 * drac: the contract between the process that tells a DRAC server (process/dracteller) and the module popper-drac.so
 * (drac.c), the only code that knows ONC RPC. The server does not link the library: a session without drac-host never
 * loads it.
 *
 * DRAC ("dynamic relay authorization control") lets the address of whoever just logged in send mail through this site
 * for a while. It is an ONC RPC over UDP (facts page section 7): program 900101, version 1, procedure 1, one IPv4
 * address as an unsigned 32-bit number in host order; the result is an enum.
 */
#ifndef AUTH_DRAC_H
#define AUTH_DRAC_H

#include <stdint.h>

#include "common/strbuf.h"

struct drac;

struct drac_calls {
    const char *version; /* first: module_find looks at it */

    /* Finds the host (a name or an address) by the name service, and makes all that talking to it needs. What it returns goes
       with the process. NULL and why, which says what to do. */
    struct drac *(*prepare)(const char *host, struct strbuf *why);

    /* Tells the server there about an address in host order; asks that host's rpcbind first. It only sends and receives over the
       socket of prepare: it opens nothing. The steps may take timeout_ms each: the caller has a deadline of its own. 0; or -1 and why,
       which says what to do. */
    int (*tell)(struct drac *d, uint32_t address, int timeout_ms, struct strbuf *why);
};

#define DRAC_MODULE_NAME "popper-drac.so"
#define DRAC_MODULE_SYMBOL "drac_module" /* const struct drac_calls */

#endif
