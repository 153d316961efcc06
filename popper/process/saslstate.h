/*
 * saslstate: the process that has the server's side of one SASL exchange: see the rights at the head of saslstate.c.
 * This is how the monitor deals with it. The record of the user comes to it from the checker directly, so that the
 * monitor never holds a secret.
 */
#ifndef PROCESS_SASLSTATE_H
#define PROCESS_SASLSTATE_H

#include <sys/types.h>

#include "auth/auth_kerberos.h"
#include "auth/sasl.h"
#include "common/strbuf.h"
#include "process/tlsrelay.h"
#include "settings/options.h"

#define SASLSTATE_WAIT_MS 20000 /* for an answer; the work is some milliseconds */

/* One exchange, or none (pid 0). */
struct saslstate {
    pid_t pid;
    int end;          /* ours */
    int record;       /* where the checker sends the record; -1 when it has */
    unsigned records; /* of the log */
    bool by_ticket;   /* GSSAPI */
    struct auth_kerberos_client client; /* GSSAPI: who it is, when PROVED; stays when the exchange is over */
    char authzid[SASL_NAME_MAX + 1];    /* and on whose behalf, "" when it did not say */
};
#define SASLSTATE_NONE { .end = -1, .record = -1 }

/* Forks it. name: as the client sent it; challenge: of CRAM-MD5; relay: the channel bindings, if it is established. All
   are read before this returns, or in the child's memory. 0, or -1 and why. */
int saslstate_start(struct saslstate *s, const struct settings *settings, enum sasl_mechanism mechanism,
                    const char *name, const char *challenge, const struct tlsrelay *relay, struct strbuf *why);

/* In the checker: gives it the record. */
void saslstate_send_record(int record, const struct sasl_record *record_of_user);

/* In the monitor, when the checker has its end: closes ours. */
void saslstate_record_given(struct saslstate *s);

/* The client's next message. asker: gives up when nobody is at its other end any more. An enum sasl_outcome with reply
   (for GO_ON) and reason; or -1 and reason: it failed, which is our fault. After anything but GO_ON it is gone. */
int saslstate_step(struct saslstate *s, const char *token, size_t n, int asker, struct strbuf *reply,
                   struct strbuf *reason);

/* Ends it for certain. Harmless when there is none. */
void saslstate_stop(struct saslstate *s);

#endif
