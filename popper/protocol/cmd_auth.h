/*
 * cmd_auth: the AUTHORIZATION state (RFC 1939 section 4): USER, PASS, APOP, AUTH, STLS, CAPA, QUIT.
 * Runs in preauth, without privileges. It knows nobody's password database: it asks through a table of functions that
 * the process floor fills.
 */
#ifndef PROTOCOL_CMD_AUTH_H
#define PROTOCOL_CMD_AUTH_H

#include "auth/sasl.h"
#include "protocol/command.h"
#include "settings/options.h"
#include "wire/peer.h"

enum cmd_auth_verdict { CMD_AUTH_GRANTED, CMD_AUTH_REFUSED, CMD_AUTH_UNAVAILABLE, CMD_AUTH_UNUSABLE };

enum cmd_auth_sasl_state {
    CMD_AUTH_SASL_IS_OVER,  /* *verdict_r says how */
    CMD_AUTH_SASL_GOES_ON,  /* reply is for the client */
    CMD_AUTH_SASL_MALFORMED /* another try may follow */
};

#define CMD_AUTH_TRIES 3 /* cancelled or malformed AUTH commands; the last one ends the session */

struct cmd_auth_asks {
    void *context;
    /* Blocks until the monitor's answer. name and password are as the client sent them, 1 to COMMAND_LINE_MAX bytes. */
    enum cmd_auth_verdict (*password)(void *context, const char *name, const char *password);
    /* The same for the two arguments of APOP. */
    enum cmd_auth_verdict (*apop)(void *context, const char *name, const char *digest);
    /* An exchange of SASL: the client's first message, in which it calls itself `name`, and the next ones. Not for
       mechanisms that carry a password. reply is replaced. */
    enum cmd_auth_sasl_state (*sasl_start)(void *context, enum sasl_mechanism mechanism, const char *name,
                                           const char *token, size_t n, struct strbuf *reply,
                                           enum cmd_auth_verdict *verdict_r);
    enum cmd_auth_sasl_state (*sasl_step)(void *context, const char *token, size_t n, struct strbuf *reply,
                                          enum cmd_auth_verdict *verdict_r);
    void (*sasl_cancel)(void *context);
    /* Inside TLS: whether there is something in it that SASL can be bound to. */
    bool (*binding)(void *context);
    /* STLS: gets TLS ready; false: it cannot be had, and the log says why. Then, when the +OK is with the client,
       enter_tls puts the other stream in the place of io's descriptors, and sets tls. NULL: STLS is not offered. */
    bool (*prepare_tls)(void *context);
    void (*enter_tls)(void *context);
    bool tls; /* the connection is inside TLS */
};

/* Sends the greeting and serves the state. host: our name for greeting and QUIT. stamp: "<PID.TIME@HOST>" for APOP,
   NULL or "" when there is no database of secrets. COMMAND_END_NEXT_STATE: logged in, nothing was replied yet, what the
   client sent ahead is unread in io. USER never tells who exists. A refused PASS, APOP or AUTH (and one that could not
   be checked) is answered at a fixed instant, failure-delay seconds after it arrived, or a multiple of that when the check took
   longer; it is logged by the monitor, and ends the session. A client that hangs up before gets COMMAND_END_IO at once.
   Sets netio's timeout and its deadline (option preauth-timeout); on return there is no deadline. */
enum command_end cmd_auth_serve(struct netio *io, const struct settings *settings, const struct peer *peer,
                                const char *host, const char *stamp, const struct cmd_auth_asks *asks);

#endif
