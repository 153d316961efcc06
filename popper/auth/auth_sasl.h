/*
 * auth_sasl: a login by SASL as far as the stores go: the account, the policy, and the record with which somebody else
 * (process/saslstate) will see whether the client is that user. Runs in the same short-lived child as auth_check.
 */
#ifndef AUTH_AUTH_SASL_H
#define AUTH_AUTH_SASL_H

#include "auth/auth.h"
#include "auth/sasl.h"

struct auth_sasl {
    enum auth_verdict refusal; /* when the client does not prove to be the user */
    bool closed;               /* there can be no exchange: the verdict stands, and is the same for everybody */
};

/* How auth calls the mechanism. */
enum auth_how auth_sasl_how(enum sasl_mechanism mechanism);

/* The verdict that counts when the client proves to be the user: GRANTED (user_r and a usable record), or another one and
   the reason: then the record fits nobody, but looks like that of everybody else. The caller wipes it. */
enum auth_verdict auth_sasl_find(const struct settings *settings, const char *given, enum sasl_mechanism mechanism,
                                 struct auth_user *user_r, struct sasl_record *record_r, struct auth_sasl *sasl_r,
                                 struct strbuf *reason);

#endif
