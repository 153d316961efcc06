/*
 * policy: who may log in how, over what, from where. Functions of facts and nothing else: they look nothing up and say
 * nothing, so that a test can try every combination.
 *
 * Two questions:
 * - May this way to log in be used on this connection? Asked before anybody said a name (USER, CAPA, AUTH), and the
 *   answer is the same for everybody. Asked again by the process that checks, because preauth is not to be trusted.
 * - Everything was looked up, and proved or not: who is granted what, and what does the log say?
 *
 * A new way is a value of enum auth_how and a row in policy.c; tests/unit/test_policy.c then tries it with the others.
 */
#ifndef AUTH_POLICY_H
#define AUTH_POLICY_H

#include <stdbool.h>
#include <sys/types.h>

#include "auth/auth.h"
#include "settings/options.h"

/* What the way is called; NULL: no client uses it. */
const char *policy_way(enum auth_how how);

/* What is known before anybody said a name. */
struct policy_connection {
    enum clear_text clear_text; /* option clear-text-password */
    bool tls;
    bool local;                 /* from 127/8 or ::1 */
    bool kerberos;              /* option kerberos: the client proved who it is before the greeting (KPOP) */
    bool gssapi;                /* AUTH GSSAPI takes Kerberos tickets */
    bool has_database;          /* this build has the database of secrets */
};

void policy_connection_of(const struct settings *settings, bool tls, bool local, struct policy_connection *at_r);

enum policy_offer {
    POLICY_OFFERED,
    POLICY_NOT_BUILT,  /* the build lacks a part that it needs, or gssapi is not set */
    POLICY_TICKET_ONLY, /* there is a ticket that says who it is, and nothing else is taken; or the other way round */
    POLICY_NO_CLEAR,   /* it sends a password in clear text, which is taken from nobody */
    POLICY_LOCAL_ONLY, /* the same, from this host itself only */
    POLICY_TLS_ONLY    /* the same, inside TLS only */
};
enum policy_offer policy_offers(enum auth_how how, const struct policy_connection *at);

/* What USER and PASS are here. */
enum auth_how policy_pass(const struct policy_connection *at);

/* Whether the database of secrets is to be asked about the user, and whether it must be there. */
enum policy_asks { POLICY_ASKS_NOTHING, POLICY_ASKS, POLICY_NEEDS };
enum policy_asks policy_asks_database(enum auth_how how, const struct policy_connection *at);

enum policy_secrets {
    SECRETS_NONE,        /* of this user; also when it was not asked */
    SECRETS_FULL,        /* a secret */
    SECRETS_VERIFIERS,   /* only what SCRAM needs */
    SECRETS_UNAVAILABLE, /* the database cannot be read */
    SECRETS_UNUSABLE     /* the database must not be used as it is */
};

enum policy_proof {
    PROOF_RIGHT,
    PROOF_WRONG,
    PROOF_IMPOSSIBLE,  /* the hash says that no password is right */
    PROOF_UNKNOWN,     /* the hash is of a kind that nobody knows */
    PROOF_UNAVAILABLE  /* what should have checked it could not */
};

struct policy_facts {
    enum auth_how how;
    struct policy_connection at;
    bool name_possible;
    bool in_nonauth;     /* listed in nonauth-file */
    bool not_in_auth;    /* there is an auth-file, and it does not list the name */
    bool found;          /* in a store of users */
    bool store_broken;   /* a store of users cannot be read */
    bool account_barred; /* the store says that it may not log in: locked, expired, ... */
    uid_t uid, block_uid;
    enum policy_secrets secrets;
    enum policy_proof proof;
};

/* In the order in which they count. */
enum policy_reason {
    REASON_NONE,           /* granted */
    REASON_DATABASE,       /* of secrets: cannot or must not be used */
    REASON_PROOF_UNAVAILABLE,
    REASON_NOT_OFFERED,
    REASON_BAD_NAME,
    REASON_NONAUTH,
    REASON_NOT_IN_AUTH,
    REASON_STORE_BROKEN,   /* so that nobody knows whether there is such a user */
    REASON_NO_USER,
    REASON_BARRED,         /* the store knows why */
    REASON_ROOT,
    REASON_LOW_UID,
    REASON_NO_SECRET,
    REASON_VERIFIERS_ONLY,
    REASON_NO_PASSWORD,
    REASON_HASH_UNKNOWN,
    REASON_WRONG,
    REASON_HAS_SECRET,     /* clear-text-password = default wants it used */
    REASON_COUNT
};

struct policy_decision {
    enum auth_verdict verdict;
    enum policy_reason reason;
};

/* Whether the account may not log in whatever is proved: the proof is of no use then. */
bool policy_bars(const struct policy_facts *facts);

/* A store that cannot be read is said to everybody who is not granted, so that it tells nothing about the name. */
struct policy_decision policy_decide(const struct policy_facts *facts);

/* For the log; "" for those of which only the caller knows more (NONE, DATABASE, BARRED, LOW_UID, PROOF_UNAVAILABLE). */
const char *policy_text(enum auth_how how, enum policy_reason reason);

#endif
