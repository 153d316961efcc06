/*
 * cmd_auth_sasl: the command AUTH (RFC 5034; RFC 1734 before it): one exchange of SASL with the client, whose messages
 * go on to the monitor, or whose password is asked about like that of PASS. Part of cmd_auth.
 */
#ifndef PROTOCOL_CMD_AUTH_SASL_H
#define PROTOCOL_CMD_AUTH_SASL_H

#include "auth/sasl.h"
#include "protocol/cmd_auth.h"

struct cmd_auth_sasl {
    struct netio *io;
    const struct settings *settings;
    const struct peer *peer;
    const struct cmd_auth_asks *asks;
    const char *challenge;   /* for CRAM-MD5; "" without a database of secrets */
    struct sasl_offer offer;
    struct strbuf *name;     /* set to what the client called itself, for the reply */
    int line_max;            /* bytes of the line that the client may send now */
    int64_t arrived;         /* when its last message came */
};

/* The exchange. command->args are its arguments (at least one).
   The mechanism, if there is one of that name, is allowed here as policy_offers says.
   COMMAND_NEXT_STATE: logged in. COMMAND_ERR_END: the login failed, and *verdict_r says how; the caller answers at the
   fixed instant after `arrived`. COMMAND_ERR: the exchange was cancelled or malformed, or cannot begin; answer is filled,
   and the caller counts. COMMAND_CLOSE: the client is gone (logged). */
enum command_event cmd_auth_sasl_run(struct cmd_auth_sasl *s, const struct command *command, struct answer *answer,
                                     enum cmd_auth_verdict *verdict_r);

#endif
