/*
 * cmd_auth: the AUTHORIZATION state (RFC 1939 section 4): USER, PASS, CAPA, QUIT; later STLS, APOP, AUTH.
 * Runs in preauth, without privileges. It knows nobody's password database: it asks through a table of functions that the process floor fills.
 */
#ifndef PROTOCOL_CMD_AUTH_H
#define PROTOCOL_CMD_AUTH_H

#include "protocol/command.h"
#include "settings/options.h"
#include "wire/peer.h"

enum cmd_auth_verdict { CMD_AUTH_GRANTED, CMD_AUTH_REFUSED, CMD_AUTH_UNAVAILABLE };

struct cmd_auth_asks {
    void *context;
    /* Blocks until the monitor's answer. */
    enum cmd_auth_verdict (*password)(void *context, const char *name, const char *password);
};

/* Sends the greeting and serves the state. host: our name for greeting and QUIT. COMMAND_END_NEXT_STATE: logged in, nothing was replied yet.
   A refused login is answered failure-delay seconds after its PASS arrived, logged by the monitor, and ends the session. */
enum command_end cmd_auth_serve(struct netio *io, const struct settings *settings, const struct peer *peer, const char *host,
                                const char *stamp, const struct cmd_auth_asks *asks);

#endif
