/*
 * sasl: the mechanisms of AUTH (RFC 5034) as one axis, beside auth's stores: which there are, what each needs, how its
 * client messages name the user, and the server's side of an exchange.
 *
 * Two places use it. preauth knows the table, and reads the user's name out of a message, because somebody has to say
 * whose record is wanted. The SASL process (process/saslstate) has that one user's record, reads the message again,
 * refuses it when it is about anybody else, and decides whether the client knows the secret. PLAIN and LOGIN carry a
 * password, which is checked like that of PASS, so that they have no server's side here; that of GSSAPI, whose messages nobody
 * else can read, is auth/sasl_gssapi.
 *
 * Nothing here does any input or output, and nothing depends on whether the user exists but the outcome: who has no
 * record has one that nobody fits (usable is false), with a salt that is always the same.
 */
#ifndef AUTH_SASL_H
#define AUTH_SASL_H

#include <stdbool.h>
#include <stddef.h>

#include "auth/auth.h"
#include "common/apopdb.h"
#include "common/saslname.h"
#include "common/scram.h"

#define SASL_TOKEN_MAX 1024   /* bytes of a message, decoded */
#define SASL_TICKET_MAX 6000  /* the same of GSSAPI, whose tickets list the groups of a user */
#define SASL_NAME_MAX 512     /* bytes of a user's name as a client sends it; longer ones are malformed */
#define SASL_BINDING_MAX 64
#define SASL_NONCE_MAX 64
#define SASL_MESSAGES_MAX 4   /* of the client in one exchange */
#define SASL_LIST_MAX 120     /* bytes of sasl_list */

/* What this connection allows. */
struct sasl_offer {
    bool passwords; /* clear-text-password lets anybody send one here */
    bool secrets;   /* there is a database of secrets */
    bool binding;   /* the connection is inside TLS, and has something that can be bound to */
    bool tickets; /* gssapi lets anybody bring a Kerberos ticket here */
    unsigned barred; /* bits 1 << mechanism: not in the option sasl-mechanisms */
};

bool sasl_carries_password(enum sasl_mechanism mechanism); /* PLAIN, LOGIN */
bool sasl_needs_binding(enum sasl_mechanism mechanism);    /* the -PLUS variants */
bool sasl_server_first(enum sasl_mechanism mechanism);     /* the server speaks first, so no initial response is taken */
bool sasl_is_scram(enum sasl_mechanism mechanism, enum scram_hash *hash_r);

/* Whether an exchange could begin here. */
bool sasl_offered(enum sasl_mechanism mechanism, const struct sasl_offer *offer);

/* The names of all offered ones, best first, separated by blanks; "" when there are none. */
void sasl_list(const struct sasl_offer *offer, struct strbuf *list);

/* Who a client's message is about. */
struct sasl_identity {
    char name[SASL_NAME_MAX + 1];
    char authzid[SASL_NAME_MAX + 1]; /* on whose behalf; "" his own */
};

/* The name in the first message of SCRAM, in the response of CRAM-MD5, and in PLAIN (then *password_r is what follows,
   up to n; password_r may be NULL otherwise). False when the message is malformed: other syntax, NULs in wrong places,
   names that are empty or too long. */
bool sasl_identity(enum sasl_mechanism mechanism, const char *token, size_t n, struct sasl_identity *identity_r,
                   const char **password_r);

/* Nobody logs in for somebody else: whether authzid is empty or the user himself. canonical: his name in the store, ""
   when not known. */
bool sasl_is_himself(const struct sasl_identity *identity, const char *canonical);

/* ---- the server's side */

/* One user's record. A secret, so to be wiped. */
struct sasl_record {
    char name[AUTH_NAME_MAX + 1]; /* canonical; "": it can be nobody's name */
    bool usable;                  /* false: whatever the client proves, it is refused */
    bool has_secret;              /* otherwise, for SCRAM, keys are what was stored */
    char secret[APOPDB_SECRET_MAX + 1];
    struct scram_keys keys;       /* SCRAM: salt and iterations always */
};

struct sasl_start {
    enum sasl_mechanism mechanism;
    const char *name;               /* as preauth read it */
    const struct sasl_record *record;
    const char *challenge;          /* CRAM-MD5: that was sent */
    const char *nonce;              /* SCRAM: the server's part, printable without commas */
    bool binding_offered;           /* a -PLUS mechanism was offered */
    const unsigned char *exporter, *end_point; /* channel bindings tls-exporter, tls-server-end-point */
    size_t exporter_length, end_point_length;  /* 0: none */
};

enum sasl_outcome {
    SASL_GO_ON,     /* the reply is for the client */
    SASL_PROVED,    /* it is the user */
    SASL_DISPROVED, /* and why */
    SASL_MALFORMED  /* no message that could stand here; why */
};

struct sasl_exchange;

/* start is borrowed until the end. */
struct sasl_exchange *sasl_begin(const struct sasl_start *start);
void sasl_end(struct sasl_exchange **exchange); /* wipes; NULL is allowed */

/* The client's next message. After anything but GO_ON the exchange is over. reply (at least SASL_TOKEN_MAX) is replaced;
   why: a phrase for the log, without client text. */
enum sasl_outcome sasl_step(struct sasl_exchange *exchange, const char *token, size_t n, struct strbuf *reply,
                            struct strbuf *why);

#endif
