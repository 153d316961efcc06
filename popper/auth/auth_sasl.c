/*
 * auth_sasl: see auth_sasl.h. It must never give away a secret of somebody who may not log in.
 */
#include "auth/auth_sasl.h"

#include <string.h>

#include "common/mem.h"

enum auth_how auth_sasl_how(enum sasl_mechanism mechanism)
{
    enum scram_hash hash;

    if (sasl_carries_password(mechanism))
        return AUTH_BY_PASSWORD;
    if (mechanism == SASL_GSSAPI)
        return AUTH_BY_GSSAPI;
    return sasl_is_scram(mechanism, &hash) ? AUTH_BY_SCRAM : AUTH_BY_CRAM_MD5;
}

/* Everybody has the same number of iterations, and a salt that stays. A plain secret counts before verifiers: an old
   popauth changes only that one. */
static void make_keys(const struct apopdb_user *secrets, enum scram_hash hash, struct scram_keys *keys_r)
{
    if (!secrets->has_secret && secrets->scram[hash].iterations > 0) {
        *keys_r = secrets->scram[hash];
        return;
    }
    memset(keys_r, 0, sizeof *keys_r);
    keys_r->iterations = SCRAM_ITERATIONS;
    keys_r->salt_length = SCRAM_SALT_NEW;
    memcpy(keys_r->salt, secrets->salt[hash], SCRAM_SALT_NEW);
}

/* Who may not log in keeps salt and iterations, since everybody has those. */
static void make_record(const struct auth_prospect *prospect, enum sasl_mechanism mechanism,
                        struct sasl_record *record_r)
{
    const struct apopdb_user *secrets = &prospect->secrets;
    enum scram_hash hash;
    bool scram = sasl_is_scram(mechanism, &hash);

    memset(record_r, 0, sizeof *record_r);
    memcpy(record_r->name, prospect->name, sizeof record_r->name);
    make_keys(secrets, hash, &record_r->keys);
    record_r->usable = prospect->proved == AUTH_GRANTED &&
                       (secrets->has_secret || (scram && secrets->scram[hash].iterations > 0));
    record_r->has_secret = record_r->usable && secrets->has_secret;
    if (record_r->has_secret)
        memcpy(record_r->secret, secrets->secret, sizeof record_r->secret);
    if (!record_r->usable) {
        mem_wipe(record_r->keys.stored, sizeof record_r->keys.stored);
        mem_wipe(record_r->keys.server, sizeof record_r->keys.server);
    }
}

enum auth_verdict auth_sasl_find(const struct settings *settings, const char *given, enum sasl_mechanism mechanism,
                                 struct auth_user *user_r, struct sasl_record *record_r, struct auth_sasl *sasl_r,
                                 struct strbuf *reason)
{
    const struct auth_attempt attempt = { .how = auth_sasl_how(mechanism), .name = given };
    struct auth_prospect prospect;

    auth_look_up(settings, &attempt, user_r, &prospect, reason);
    make_record(&prospect, mechanism, record_r);
    *sasl_r = (struct auth_sasl){ .refusal = prospect.disproved, .closed = prospect.closed };
    mem_wipe(&prospect.secrets, sizeof prospect.secrets);
    return prospect.proved;
}
