/*
 * sasl_gssapi: the contract between the server and the module popper-gsasl.so (sasl_gssapi.c), the only code that knows
 * GNU SASL. The server does not link the library: only the process of an exchange of AUTH GSSAPI (RFC 4752) loads it.
 */
#ifndef AUTH_SASL_GSSAPI_H
#define AUTH_SASL_GSSAPI_H

#include "auth/auth_kerberos.h"
#include "auth/sasl.h"
#include "common/strbuf.h"

struct sasl_gssapi; /* one exchange */

/* Who the client proved to be, and on whose behalf it comes. */
struct sasl_gssapi_client {
    char principal[AUTH_KERBEROS_PRINCIPAL_MAX + 1]; /* quoted as the library does */
    char authzid[SASL_NAME_MAX + 1];                 /* "": it did not say */
};

struct sasl_gssapi_calls {
    const char *version; /* first: module_find looks at it */

    /* Takes the keys of service/any-host from the keytab that KRB5_KTNAME names, with the rights of the moment. Opens what it
       will ever need, but for the replay cache. NULL, and why. */
    struct sasl_gssapi *(*begin)(const char *service, struct strbuf *why);

    /* As sasl_step, for messages up to SASL_TICKET_MAX. No security layer is offered. client_r is meant when PROVED. */
    enum sasl_outcome (*step)(struct sasl_gssapi *x, const char *token, size_t n, struct strbuf *reply,
                              struct sasl_gssapi_client *client_r, struct strbuf *why);
};

#define SASL_GSSAPI_MODULE_NAME "popper-gsasl.so"
#define SASL_GSSAPI_MODULE_SYMBOL "sasl_gssapi_module" /* const struct sasl_gssapi_calls */

/* The module, loaded with the rights of the moment. NULL and why. */
const struct sasl_gssapi_calls *sasl_gssapi_load(struct strbuf *why);

#endif
