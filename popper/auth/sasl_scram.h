/*
 * sasl_scram: the messages of SCRAM (RFC 5802, 7677), with channel binding (RFC 5929, 9266). Part of sasl.
 *
 * Syntax is taken strictly: one order of attributes, no mandatory extension, printable nonces. Optional extensions at
 * the end of a message are passed over.
 */
#ifndef AUTH_SASL_SCRAM_H
#define AUTH_SASL_SCRAM_H

#include "auth/sasl.h"

/* Parts of client-first-message; all point into it. */
struct sasl_scram_first {
    char flag;                 /* 'n', 'y' or 'p' */
    const char *binding;       /* the name behind p=, not ended by NUL */
    size_t binding_length;
    size_t header_length;      /* bytes of gs2-header */
    const char *bare;          /* what follows it */
    size_t bare_length;
    const char *nonce;
    size_t nonce_length;
};

/* False when it is malformed. */
bool sasl_scram_parse_first(const char *token, size_t n, struct sasl_scram_first *first_r,
                            struct sasl_identity *identity_r);

struct sasl_scram;

struct sasl_scram *sasl_scram_begin(const struct sasl_start *start, enum scram_hash hash);
void sasl_scram_end(struct sasl_scram **scram);
enum sasl_outcome sasl_scram_step(struct sasl_scram *scram, const char *token, size_t n, struct strbuf *reply,
                                  struct strbuf *why);

#endif
