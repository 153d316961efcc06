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

struct drac_calls {
    const char *version; /* of the module: must be the program's */

    /* Tells the server on host (a name or an address) about an address in host order; asks the name service and that
       host's rpcbind. The steps may take timeout_ms each: the caller has a deadline of its own. 0; or -1 and why, which
       says what to do. */
    int (*add)(const char *host, uint32_t address, int timeout_ms, struct strbuf *why);
};

#define DRAC_MODULE_NAME "popper-drac.so"
#define DRAC_MODULE_SYMBOL "drac_module" /* const struct drac_calls */

#endif
