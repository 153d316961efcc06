/*
 * policy: see policy.h. No reason may lead to a verdict that tells a client which of them it was.
 */
#include "auth/policy.h"

/* What a way to log in is made of. */
struct way {
    const char *name;     /* as a client would say it */
    bool sends_password;  /* the password itself travels, so that clear-text-password is asked */
    bool from_ticket;     /* the proof came before the greeting */
    bool by_gssapi;       /* the proof is a ticket inside AUTH */
    bool from_database;   /* the proof is by the database of secrets */
    bool needs_secret;    /* of which verifiers are not enough */
    const char *wrong;    /* what the log calls a wrong proof */
};

static const struct way ways[AUTH_HOW_COUNT] = {
    [AUTH_BY_PASSWORD] = { .name = "USER and PASS", .sends_password = true, .wrong = "wrong password" },
    [AUTH_BY_APOP] = { .name = "APOP", .from_database = true, .needs_secret = true, .wrong = "wrong digest (APOP)" },
    [AUTH_BY_CRAM_MD5] = { .name = "AUTH CRAM-MD5", .from_database = true, .needs_secret = true, .wrong = "wrong digest (CRAM-MD5)" },
    [AUTH_BY_SCRAM] = { .name = "AUTH SCRAM", .from_database = true, .wrong = "wrong secret (SCRAM)" },
    [AUTH_BY_KERBEROS] = { .name = "a Kerberos ticket (KPOP)", .from_ticket = true, .wrong = "the Kerberos ticket is for somebody else" },
    [AUTH_BY_GSSAPI] = { .name = "AUTH GSSAPI", .by_gssapi = true, .wrong = "the Kerberos ticket is for somebody else" },
    [AUTH_PROVED] = { .wrong = "not proved" },
};

const char *policy_way(enum auth_how how)
{
    return ways[how].name;
}

void policy_connection_of(const struct settings *settings, bool tls, bool local, struct policy_connection *at_r)
{
    *at_r = (struct policy_connection){ .clear_text = settings->clear_text_password,
                                        .tls = tls,
                                        .local = local,
                                        .kerberos = settings->kerberos,
                                        .gssapi = settings->gssapi,
                                        .has_database = options_feature_built(FEATURE_APOP) };
}

static enum policy_offer clear_text_offer(const struct policy_connection *at)
{
    switch (at->clear_text) {
    case CLEAR_TEXT_NEVER:
        return POLICY_NO_CLEAR;
    case CLEAR_TEXT_LOCAL:
        return at->local ? POLICY_OFFERED : POLICY_LOCAL_ONLY;
    case CLEAR_TEXT_TLS:
        return at->tls ? POLICY_OFFERED : POLICY_TLS_ONLY;
    case CLEAR_TEXT_DEFAULT: /* whether the user has a secret instead shows later */
    case CLEAR_TEXT_ALWAYS:
        break;
    }
    return POLICY_OFFERED;
}

enum policy_offer policy_offers(enum auth_how how, const struct policy_connection *at)
{
    const struct way *way = &ways[how];

    if ((way->from_database && !at->has_database) || (way->by_gssapi && !at->gssapi))
        return POLICY_NOT_BUILT;
    if (how != AUTH_PROVED && at->kerberos != way->from_ticket)
        return POLICY_TICKET_ONLY;
    return way->sends_password ? clear_text_offer(at) : POLICY_OFFERED;
}

enum auth_how policy_pass(const struct policy_connection *at)
{
    return at->kerberos ? AUTH_BY_KERBEROS : AUTH_BY_PASSWORD;
}

enum policy_asks policy_asks_database(enum auth_how how, const struct policy_connection *at)
{
    if (ways[how].from_database)
        return POLICY_NEEDS;
    return ways[how].sends_password && at->clear_text == CLEAR_TEXT_DEFAULT ? POLICY_ASKS : POLICY_ASKS_NOTHING;
}

/* What speaks against the name and the account, whatever the proof. */
static enum policy_reason account_reason(const struct policy_facts *facts)
{
    if (!facts->name_possible)
        return REASON_BAD_NAME;
    if (facts->in_nonauth)
        return REASON_NONAUTH;
    if (facts->not_in_auth)
        return REASON_NOT_IN_AUTH;
    if (!facts->found)
        return facts->store_broken ? REASON_STORE_BROKEN : REASON_NO_USER;
    if (facts->account_barred)
        return REASON_BARRED;
    if (facts->uid == 0)
        return REASON_ROOT;
    return facts->uid <= facts->block_uid ? REASON_LOW_UID : REASON_NONE;
}

bool policy_bars(const struct policy_facts *facts)
{
    return policy_offers(facts->how, &facts->at) != POLICY_OFFERED || account_reason(facts) != REASON_NONE;
}

static enum policy_reason proof_reason(const struct policy_facts *facts)
{
    const struct way *way = &ways[facts->how];

    if (way->from_database && facts->secrets == SECRETS_NONE)
        return REASON_NO_SECRET;
    if (way->needs_secret && facts->secrets == SECRETS_VERIFIERS)
        return REASON_VERIFIERS_ONLY;
    switch (facts->proof) {
    case PROOF_RIGHT:
        return REASON_NONE;
    case PROOF_IMPOSSIBLE:
        return REASON_NO_PASSWORD;
    case PROOF_UNKNOWN:
        return REASON_HASH_UNKNOWN;
    case PROOF_UNAVAILABLE:
    case PROOF_WRONG:
        break;
    }
    return REASON_WRONG;
}

/* clear-text-password = default: who has a secret is to use it. */
static bool should_use_secret(const struct policy_facts *facts)
{
    return policy_asks_database(facts->how, &facts->at) == POLICY_ASKS && facts->secrets != SECRETS_NONE;
}

static enum policy_reason first_reason(const struct policy_facts *facts)
{
    enum policy_reason reason;

    if (facts->proof == PROOF_UNAVAILABLE)
        return REASON_PROOF_UNAVAILABLE;
    if (policy_offers(facts->how, &facts->at) != POLICY_OFFERED)
        return REASON_NOT_OFFERED;
    reason = account_reason(facts);
    if (reason == REASON_NONE)
        reason = proof_reason(facts);
    if (reason == REASON_NONE && should_use_secret(facts))
        reason = REASON_HAS_SECRET;
    return reason;
}

/* Nobody is granted anything where the database of secrets should have been asked and could not. */
static bool database_fails(const struct policy_facts *facts)
{
    return policy_asks_database(facts->how, &facts->at) != POLICY_ASKS_NOTHING &&
           (facts->secrets == SECRETS_UNAVAILABLE || facts->secrets == SECRETS_UNUSABLE);
}

struct policy_decision policy_decide(const struct policy_facts *facts)
{
    struct policy_decision decision = { AUTH_GRANTED, first_reason(facts) };

    if (database_fails(facts)) {
        decision.reason = REASON_DATABASE;
        decision.verdict = facts->secrets == SECRETS_UNUSABLE ? AUTH_UNUSABLE : AUTH_UNAVAILABLE;
    } else if (decision.reason == REASON_PROOF_UNAVAILABLE || (decision.reason != REASON_NONE && facts->store_broken)) {
        decision.verdict = AUTH_UNAVAILABLE;
    } else if (decision.reason != REASON_NONE) {
        decision.verdict = AUTH_REFUSED;
    }
    return decision;
}

const char *policy_text(enum auth_how how, enum policy_reason reason)
{
    static const char *const texts[REASON_COUNT] = {
        [REASON_NOT_OFFERED] = "this way to log in is not allowed on this connection (clear-text-password, kerberos)",
        [REASON_BAD_NAME] = "not a possible user name",
        [REASON_NONAUTH] = "listed in nonauth-file",
        [REASON_NOT_IN_AUTH] = "not listed in auth-file",
        [REASON_STORE_BROKEN] = "a store of users cannot be read",
        [REASON_NO_USER] = "no such user",
        [REASON_ROOT] = "uid 0 may not log in",
        [REASON_NO_SECRET] = "no secret in apop-file",
        [REASON_VERIFIERS_ONLY] = "has verifiers for SCRAM only, but this way to log in needs a secret",
        [REASON_NO_PASSWORD] = "account is locked",
        [REASON_HASH_UNKNOWN] = "the hash of the password is of a kind that libcrypt does not know",
        [REASON_HAS_SECRET] = "has a secret in apop-file, so that clear-text-password = default lets no password in",
    };

    if (reason == REASON_WRONG)
        return ways[how].wrong;
    return texts[reason] ? texts[reason] : "";
}
