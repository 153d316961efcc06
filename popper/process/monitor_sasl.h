/*
 * monitor_sasl: an exchange of SASL as the monitor sees it: whose record was handed out, and what becomes of him when
 * the process that got it says that the client is that user. Messages of the client pass through as bytes.
 */
#ifndef PROCESS_MONITOR_SASL_H
#define PROCESS_MONITOR_SASL_H

#include "auth/auth_sasl.h"
#include "process/request.h"
#include "process/saslstate.h"
#include "process/tlsrelay.h"

struct monitor_sasl {
    unsigned tries;              /* exchanges that were begun */
    struct saslstate state;
    enum sasl_mechanism mechanism;
    char name[SASL_NAME_MAX + 1]; /* as preauth read it: for the log, and to look the user up */
    struct auth_user user;       /* whom the record is about: the only one who can be logged in by this exchange */
    enum auth_verdict verdict;   /* when the client proves to be him */
    enum auth_verdict refusal;   /* when not */
    char reason[300];            /* why it is not GRANTED */
};
#define MONITOR_SASL_NONE { .state = SASLSTATE_NONE }

/* What came of a message of the client. verdict: when it IS_OVER; reason: for the log. */
struct monitor_sasl_result {
    enum request_sasl how;
    enum auth_verdict verdict;
    struct strbuf reply, reason;
};

/* Begins an exchange (x->mechanism and x->name are set) and takes the client's first message. asker: preauth; when it is
   gone the exchange is given up. */
void monitor_sasl_start(struct monitor_sasl *x, const struct settings *settings, const struct tlsrelay *relay,
                        const char *challenge, int asker, const char *token, size_t n, struct monitor_sasl_result *r);

/* The next message. */
void monitor_sasl_step(struct monitor_sasl *x, int asker, const char *token, size_t n, struct monitor_sasl_result *r);

void monitor_sasl_stop(struct monitor_sasl *x);

/* Whether TLS is there, and has something to bind to. */
bool monitor_sasl_binding(const struct tlsrelay *relay);

/* The mechanisms that this connection allows, as CAPA lists them. secrets: there is a database of them. */
void monitor_sasl_list(const struct settings *settings, const struct peer *peer, const struct tlsrelay *relay,
                       bool secrets, struct strbuf *list);

#endif
