/*
 * sasl: see sasl.h. It must never answer a client about a user sooner, or otherwise, than about a user who does not
 * exist.
 */
#include "auth/sasl.h"

#include <string.h>

#include "auth/sasl_scram.h"
#include "common/digest.h"
#include "common/mem.h"

/* ---- the table */

enum need { NEED_PASSWORDS, NEED_SECRETS, NEED_BINDING, NEED_TICKETS };

static const struct {
    enum need need;
    bool server_first;
} mechanisms[SASL_MECHANISMS] = {
    [SASL_SCRAM_SHA_256_PLUS] = { NEED_BINDING, false },
    [SASL_SCRAM_SHA_256] = { NEED_SECRETS, false },
    [SASL_SCRAM_SHA_1_PLUS] = { NEED_BINDING, false },
    [SASL_SCRAM_SHA_1] = { NEED_SECRETS, false },
    [SASL_CRAM_MD5] = { NEED_SECRETS, true },
    [SASL_GSSAPI] = { NEED_TICKETS, false },
    [SASL_PLAIN] = { NEED_PASSWORDS, false },
    [SASL_LOGIN] = { NEED_PASSWORDS, false },
};

bool sasl_carries_password(enum sasl_mechanism mechanism)
{
    return mechanisms[mechanism].need == NEED_PASSWORDS;
}

bool sasl_needs_binding(enum sasl_mechanism mechanism)
{
    return mechanisms[mechanism].need == NEED_BINDING;
}

bool sasl_server_first(enum sasl_mechanism mechanism)
{
    return mechanisms[mechanism].server_first;
}

bool sasl_is_scram(enum sasl_mechanism mechanism, enum scram_hash *hash_r)
{
    *hash_r = mechanism == SASL_SCRAM_SHA_1 || mechanism == SASL_SCRAM_SHA_1_PLUS ? SCRAM_SHA1 : SCRAM_SHA256;
    return mechanism <= SASL_SCRAM_SHA_1;
}

bool sasl_offered(enum sasl_mechanism mechanism, const struct sasl_offer *offer)
{
    if (offer->barred >> mechanism & 1)
        return false;
    switch (mechanisms[mechanism].need) {
    case NEED_PASSWORDS:
        return offer->passwords;
    case NEED_SECRETS:
        return offer->secrets;
    case NEED_TICKETS:
        return offer->tickets;
    case NEED_BINDING:
        return offer->secrets && offer->binding;
    }
    return false;
}

void sasl_list(const struct sasl_offer *offer, struct strbuf *list)
{
    int i;

    strbuf_reset(list);
    for (i = 0; i < SASL_MECHANISMS; i++)
        if (sasl_offered((enum sasl_mechanism)i, offer))
            strbuf_addf(list, "%s%s", list->len ? " " : "", saslname_of((enum sasl_mechanism)i));
}

/* ---- names */

static bool take_name(const char *bytes, size_t n, char name_r[SASL_NAME_MAX + 1])
{
    if (n > SASL_NAME_MAX || memchr(bytes, '\0', n))
        return false;
    memcpy(name_r, bytes, n);
    name_r[n] = '\0';
    return true;
}

/* RFC 4616: authzid NUL name NUL password. */
static bool parse_plain(const char *token, size_t n, struct sasl_identity *identity_r, const char **password_r)
{
    const char *end = token + n;
    const char *name = memchr(token, '\0', n), *password;

    if (!name || !take_name(token, (size_t)(name - token), identity_r->authzid))
        return false;
    name++;
    password = memchr(name, '\0', (size_t)(end - name));
    if (!password || !take_name(name, (size_t)(password - name), identity_r->name))
        return false;
    password++;
    *password_r = password;
    return password < end && !memchr(password, '\0', (size_t)(end - password));
}

/* RFC 2195: name, blank, digest. The digest has no blank. */
static bool parse_cram(const char *token, size_t n, struct sasl_identity *identity_r, const char **digest_r)
{
    const char *blank = memrchr(token, ' ', n);

    if (!blank || memchr(token, '\0', n))
        return false;
    *digest_r = blank + 1;
    return take_name(token, (size_t)(blank - token), identity_r->name);
}

bool sasl_identity(enum sasl_mechanism mechanism, const char *token, size_t n, struct sasl_identity *identity_r,
                   const char **password_r)
{
    struct sasl_scram_first first;
    const char *rest;
    bool well = false;

    memset(identity_r, 0, sizeof *identity_r);
    if (mechanism == SASL_PLAIN)
        well = parse_plain(token, n, identity_r, password_r);
    else if (mechanism == SASL_CRAM_MD5)
        well = parse_cram(token, n, identity_r, &rest);
    else if (mechanism != SASL_LOGIN && mechanism != SASL_GSSAPI)
        well = sasl_scram_parse_first(token, n, &first, identity_r);
    return well && identity_r->name[0];
}

bool sasl_is_himself(const struct sasl_identity *identity, const char *canonical)
{
    return !identity->authzid[0] || strcmp(identity->authzid, identity->name) == 0 ||
           (canonical[0] && strcmp(identity->authzid, canonical) == 0);
}

/* ---- the server's side */

struct sasl_exchange {
    const struct sasl_start *start;
    struct sasl_scram *scram; /* NULL for CRAM-MD5 */
    unsigned messages;
};

struct sasl_exchange *sasl_begin(const struct sasl_start *start)
{
    struct sasl_exchange *exchange = mem_new(1, sizeof *exchange);
    enum scram_hash hash;

    exchange->start = start;
    if (sasl_is_scram(start->mechanism, &hash))
        exchange->scram = sasl_scram_begin(start, hash);
    return exchange;
}

void sasl_end(struct sasl_exchange **exchange)
{
    if (!*exchange)
        return;
    sasl_scram_end(&(*exchange)->scram);
    mem_free(*exchange);
    *exchange = NULL;
}

/* RFC 2195. */
static enum sasl_outcome step_cram(const struct sasl_start *start, const char *token, size_t n, struct strbuf *why)
{
    const struct sasl_record *record = start->record;
    const char *secret = record->has_secret ? record->secret : "a secret that nobody has", *digest;
    struct strbuf hex = STRBUF_INIT(2 * DIGEST_MD5_SIZE);
    struct sasl_identity identity = { .name = "" };
    unsigned char right[DIGEST_MD5_SIZE];
    bool fits;

    if (!parse_cram(token, n, &identity, &digest) || strcmp(identity.name, start->name) != 0) {
        strbuf_fail(why, "not a response of CRAM-MD5 by that user");
        return SASL_MALFORMED;
    }
    digest_hmac_md5(secret, strlen(secret), start->challenge, strlen(start->challenge), right);
    digest_hex(&hex, right, sizeof right);
    fits = (size_t)(token + n - digest) == hex.len && mem_equal(digest, hex.data, hex.len) && record->usable &&
           record->has_secret && start->challenge[0];
    mem_wipe(right, sizeof right);
    strbuf_free(&hex);
    if (fits)
        return SASL_PROVED;
    strbuf_fail(why, "wrong digest (CRAM-MD5)");
    return SASL_DISPROVED;
}

enum sasl_outcome sasl_step(struct sasl_exchange *exchange, const char *token, size_t n, struct strbuf *reply,
                            struct strbuf *why)
{
    strbuf_reset(reply);
    strbuf_reset(why);
    if (n > SASL_TOKEN_MAX || exchange->messages++ == SASL_MESSAGES_MAX) {
        strbuf_fail(why, "too much for one exchange");
        return SASL_MALFORMED;
    }
    if (!exchange->scram)
        return step_cram(exchange->start, token, n, why);
    return sasl_scram_step(exchange->scram, token, n, reply, why);
}
