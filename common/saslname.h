/*
 * saslname: the mechanisms of AUTH (RFC 5034) by the names that IANA registers, and lists of these names as settings have them.
 */
#ifndef COMMON_SASLNAME_H
#define COMMON_SASLNAME_H

#include "common/strbuf.h"

enum sasl_mechanism {
    SASL_SCRAM_SHA_256_PLUS,
    SASL_SCRAM_SHA_256,
    SASL_SCRAM_SHA_1_PLUS,
    SASL_SCRAM_SHA_1,
    SASL_CRAM_MD5,
    SASL_GSSAPI,
    SASL_PLAIN,
    SASL_LOGIN,
    SASL_MECHANISMS
};

/* By its name in any case; SASL_MECHANISMS when there is none of that name. */
enum sasl_mechanism saslname_find(const char *name);
const char *saslname_of(enum sasl_mechanism mechanism);

/* "all", or a list (words.h) of names; "" names none. The bits 1 << mechanism of those that are not in it. 0, or -1 and why ("must be ..."). */
int saslname_barred(const char *list, unsigned *barred_r, struct strbuf *why);

#endif
