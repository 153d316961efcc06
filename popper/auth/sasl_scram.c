/*
 * sasl_scram: see sasl_scram.h. It must never say whether a user exists: what it sends before the proof is looked at
 * depends on the record's salt alone, which everybody has.
 */
#include "auth/sasl_scram.h"

#include <string.h>

#include "common/digest.h"
#include "common/mem.h"

#define CLIENT_NONCE_MAX 256
#define MESSAGE_MAX 4096 /* of AuthMessage: three messages that were looked at */

/* ---- client-first-message */

/* The bytes up to `end`, which must be there; *at moves behind it. NULL when there are none such. */
static const char *up_to(const char **at, const char *limit, char end, size_t *n_r)
{
    const char *begin = *at, *stop = memchr(begin, end, (size_t)(limit - begin));

    if (!stop)
        return NULL;
    *n_r = (size_t)(stop - begin);
    *at = stop + 1;
    return begin;
}

/* saslname: '=' only as =2C (a comma) and =3D. */
static bool decode_name(const char *text, size_t n, char name_r[SASL_NAME_MAX + 1])
{
    size_t i, length = 0;

    for (i = 0; i < n && length < SASL_NAME_MAX; i++) {
        if (text[i] == '\0')
            return false;
        if (text[i] != '=') {
            name_r[length++] = text[i];
            continue;
        }
        if (n - i < 3 || (memcmp(text + i, "=2C", 3) != 0 && memcmp(text + i, "=3D", 3) != 0))
            return false;
        name_r[length++] = text[i + 1] == '2' ? ',' : '=';
        i += 2;
    }
    name_r[length] = '\0';
    return i == n;
}

/* Printable, no comma, no blank, at least one. */
static bool is_nonce(const char *text, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        if (text[i] <= ' ' || text[i] > '~' || text[i] == ',')
            return false;
    return n > 0;
}

/* gs2-header: flag, comma, a=authzid or nothing, comma. */
static bool parse_header(const char **at, const char *limit, struct sasl_scram_first *first, char *authzid)
{
    size_t n;
    const char *part = up_to(at, limit, ',', &n);

    if (!part || n == 0)
        return false;
    first->flag = part[0];
    if (first->flag == 'p') {
        if (n < 3 || part[1] != '=')
            return false;
        first->binding = part + 2;
        first->binding_length = n - 2;
    } else if (n != 1 || (first->flag != 'n' && first->flag != 'y')) {
        return false;
    }
    part = up_to(at, limit, ',', &n);
    if (!part)
        return false;
    return n == 0 || (n > 2 && part[0] == 'a' && part[1] == '=' && decode_name(part + 2, n - 2, authzid));
}

bool sasl_scram_parse_first(const char *token, size_t n, struct sasl_scram_first *first_r,
                            struct sasl_identity *identity_r)
{
    const char *at = token, *limit = token + n, *part, *end;
    size_t length;

    memset(first_r, 0, sizeof *first_r);
    if (!parse_header(&at, limit, first_r, identity_r->authzid))
        return false;
    first_r->header_length = (size_t)(at - token);
    first_r->bare = at;
    first_r->bare_length = (size_t)(limit - at);
    /* m= would come here: an extension that must be understood, and there is none that we do. */
    part = up_to(&at, limit, ',', &length);
    if (!part || length < 3 || part[0] != 'n' || part[1] != '=' || !decode_name(part + 2, length - 2, identity_r->name))
        return false;
    if (limit - at < 3 || at[0] != 'r' || at[1] != '=' || memchr(at, '\0', (size_t)(limit - at)))
        return false;
    end = memchr(at, ',', (size_t)(limit - at));
    first_r->nonce = at + 2;
    first_r->nonce_length = (size_t)((end ? end : limit) - first_r->nonce);
    return first_r->nonce_length <= CLIENT_NONCE_MAX && is_nonce(first_r->nonce, first_r->nonce_length);
}

/* ---- the exchange */

struct sasl_scram {
    const struct sasl_start *start;
    enum scram_hash hash;
    enum { AWAITS_FIRST, AWAITS_PROOF, AWAITS_NOTHING } state;
    struct strbuf binding; /* what c= must be: gs2-header and channel binding, in base64 */
    struct strbuf nonce;   /* the client's and ours */
    struct strbuf message; /* AuthMessage, as far as it is known */
};

struct sasl_scram *sasl_scram_begin(const struct sasl_start *start, enum scram_hash hash)
{
    struct sasl_scram *s = mem_new(1, sizeof *s);

    s->start = start;
    s->hash = hash;
    strbuf_init(&s->binding, 2 * SASL_TOKEN_MAX);
    strbuf_init(&s->nonce, SASL_TOKEN_MAX + SASL_NONCE_MAX);
    strbuf_init(&s->message, MESSAGE_MAX);
    return s;
}

void sasl_scram_end(struct sasl_scram **scram)
{
    if (!*scram)
        return;
    strbuf_free(&(*scram)->binding);
    strbuf_free(&(*scram)->nonce);
    strbuf_free(&(*scram)->message);
    mem_free(*scram);
    *scram = NULL;
}

static enum sasl_outcome fail(enum sasl_outcome outcome, struct strbuf *why, const char *text)
{
    strbuf_fail(why, "%s", text);
    return outcome;
}

static bool is_named(const struct sasl_scram_first *first, const char *name)
{
    return first->binding_length == strlen(name) && memcmp(first->binding, name, first->binding_length) == 0;
}

/* Whether the client binds as it must; bytes: what it binds to. */
static enum sasl_outcome choose_binding(const struct sasl_scram *s, const struct sasl_scram_first *first,
                                        const unsigned char **bytes_r, size_t *n_r, struct strbuf *why)
{
    const struct sasl_start *start = s->start;
    bool plus = sasl_needs_binding(start->mechanism);

    *bytes_r = NULL;
    *n_r = 0;
    /* RFC 5802 section 6: it can bind and was told that we cannot. */
    if (first->flag == 'y' && start->binding_offered)
        return fail(SASL_DISPROVED, why, "somebody on the way hides channel binding (the -PLUS mechanisms) from the client");
    if (plus != (first->flag == 'p'))
        return fail(SASL_MALFORMED, why, plus ? "a -PLUS mechanism without channel binding"
                                              : "channel binding in a mechanism that is not -PLUS");
    if (!plus)
        return SASL_GO_ON;
    if (is_named(first, "tls-exporter")) {
        *bytes_r = start->exporter;
        *n_r = start->exporter_length;
    } else if (is_named(first, "tls-server-end-point")) {
        *bytes_r = start->end_point;
        *n_r = start->end_point_length;
    }
    return *n_r > 0 ? SASL_GO_ON : fail(SASL_MALFORMED, why, "a channel binding that this connection does not have");
}

static void remember_binding(struct sasl_scram *s, const char *header, size_t header_length, const void *bytes, size_t n)
{
    struct strbuf input = STRBUF_INIT(SASL_TOKEN_MAX + SASL_BINDING_MAX);

    strbuf_add(&input, header, header_length);
    strbuf_add(&input, bytes ? bytes : "", n);
    digest_base64(&s->binding, input.data, input.len);
    strbuf_free(&input);
}

static enum sasl_outcome step_first(struct sasl_scram *s, const char *token, size_t n, struct strbuf *reply,
                                    struct strbuf *why)
{
    const struct scram_keys *keys = &s->start->record->keys;
    struct sasl_identity identity = { .name = "" };
    struct sasl_scram_first first;
    const unsigned char *bytes;
    enum sasl_outcome outcome;
    size_t bytes_length;

    if (!sasl_scram_parse_first(token, n, &first, &identity) || strcmp(identity.name, s->start->name) != 0)
        return fail(SASL_MALFORMED, why, "not a first message of SCRAM by that user");
    if (!sasl_is_himself(&identity, s->start->record->name))
        return fail(SASL_MALFORMED, why, "wants to log in for somebody else");
    outcome = choose_binding(s, &first, &bytes, &bytes_length, why);
    if (outcome != SASL_GO_ON)
        return outcome;
    remember_binding(s, token, first.header_length, bytes, bytes_length);
    strbuf_add(&s->nonce, first.nonce, first.nonce_length);
    strbuf_adds(&s->nonce, s->start->nonce);
    strbuf_addf(reply, "r=%s,s=", s->nonce.data);
    digest_base64(reply, keys->salt, keys->salt_length);
    strbuf_addf(reply, ",i=%u", keys->iterations);
    strbuf_add(&s->message, first.bare, first.bare_length);
    strbuf_addf(&s->message, ",%s,", reply->data);
    s->state = AWAITS_PROOF;
    return SASL_GO_ON;
}

/* client-final-message: c=binding,r=nonce,p=proof. Its length without the proof, or 0: malformed. */
static size_t parse_final(const char *token, size_t n, const char **c_r, size_t *c_length_r, const char **r_r,
                          size_t *r_length_r, const char **p_r)
{
    const char *at = token, *limit = token + n, *next;
    size_t length;

    *c_r = up_to(&at, limit, ',', c_length_r);
    if (!*c_r || *c_length_r < 2 || memcmp(*c_r, "c=", 2) != 0)
        return 0;
    *r_r = up_to(&at, limit, ',', r_length_r);
    if (!*r_r || *r_length_r < 2 || memcmp(*r_r, "r=", 2) != 0)
        return 0;
    while ((next = memchr(at, ',', (size_t)(limit - at)))) /* optional extensions */
        at = next + 1;
    length = (size_t)(at - token) - 1;
    *p_r = at + 2;
    return limit - at > 2 && memcmp(at, "p=", 2) == 0 ? length : 0;
}

static bool is_text(const char *part, size_t n, const struct strbuf *expected)
{
    return n - 2 == expected->len && mem_equal(part + 2, expected->data, expected->len);
}

/* The same work whoever the user is: keys are derived once, unless stored ones fit already. */
static bool proof_fits(struct sasl_scram *s, const unsigned char *proof, struct strbuf *reply)
{
    const struct sasl_record *record = s->start->record;
    struct scram_keys derived = { .iterations = 0 };
    unsigned char signature[SCRAM_SIZE_MAX];
    const struct scram_keys *keys = &record->keys;
    bool fits = scram_proof_fits(s->hash, keys, s->message.data, s->message.len, proof) && !record->has_secret && record->usable;

    if (!fits) {
        scram_derive(s->hash, record->secret, keys->salt, keys->salt_length, SCRAM_ITERATIONS, &derived);
        keys = &derived;
        fits = scram_proof_fits(s->hash, keys, s->message.data, s->message.len, proof) && record->has_secret && record->usable;
    }
    scram_signature(s->hash, keys, s->message.data, s->message.len, signature);
    if (fits) {
        strbuf_adds(reply, "v=");
        digest_base64(reply, signature, scram_size(s->hash));
    }
    mem_wipe(&derived, sizeof derived);
    mem_wipe(signature, sizeof signature);
    return fits;
}

static enum sasl_outcome step_proof(struct sasl_scram *s, const char *token, size_t n, struct strbuf *reply,
                                    struct strbuf *why)
{
    struct strbuf proof = STRBUF_INIT(SCRAM_SIZE_MAX);
    const char *c, *r, *p;
    size_t c_length, r_length, length = parse_final(token, n, &c, &c_length, &r, &r_length, &p);
    bool well = length > 0 && digest_base64_decode(p, (size_t)(token + n - p), &proof) == 0 &&
                proof.len == scram_size(s->hash);
    bool fits = false, bound = false;

    if (well) {
        bound = is_text(c, c_length, &s->binding) && is_text(r, r_length, &s->nonce);
        strbuf_add(&s->message, token, length);
        fits = proof_fits(s, (const unsigned char *)proof.data, reply) && !s->message.cut;
    }
    strbuf_free(&proof);
    if (!well)
        return fail(SASL_MALFORMED, why, "not a last message of SCRAM");
    if (fits && bound) {
        s->state = AWAITS_NOTHING;
        return SASL_GO_ON;
    }
    strbuf_reset(reply);
    return fail(SASL_DISPROVED, why, fits ? "the secret is right, but not the channel binding or nonce: is somebody on the way?"
                                          : "wrong secret (SCRAM)");
}

enum sasl_outcome sasl_scram_step(struct sasl_scram *s, const char *token, size_t n, struct strbuf *reply,
                                  struct strbuf *why)
{
    switch (s->state) {
    case AWAITS_FIRST:
        return step_first(s, token, n, reply, why);
    case AWAITS_PROOF:
        return step_proof(s, token, n, reply, why);
    case AWAITS_NOTHING: /* the client has seen that we know the secret, too */
        break;
    }
    return n == 0 ? SASL_PROVED : fail(SASL_MALFORMED, why, "something after the end of SCRAM");
}
