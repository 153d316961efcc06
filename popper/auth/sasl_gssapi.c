/*
 * sasl_gssapi: the module popper-gsasl.so, see sasl_gssapi.h. begin runs with rights, before the client has sent a token;
 * step without (process/saslstate), and reads what strangers send. It must never say yes itself about a user's name: who may
 * be whom is auth's to decide.
 */
#include "auth/sasl_gssapi.h"

#include <config.h>

#include <gsasl.h>
#include <string.h>

#include "common/mem.h"

struct sasl_gssapi {
    Gsasl *context;
    Gsasl_session *session;
    const char *service;
    struct sasl_gssapi_client client;
    bool named; /* client is filled */
};

static bool copy(char *to, size_t room, const char *from)
{
    size_t n = from ? strlen(from) : 0;

    if (n >= room)
        return false;
    memcpy(to, from ? from : "", n + 1);
    return true;
}

static int take_client(struct sasl_gssapi *x, Gsasl_session *session)
{
    x->named = copy(x->client.principal, sizeof x->client.principal, gsasl_property_fast(session, GSASL_GSSAPI_DISPLAY_NAME)) &&
               copy(x->client.authzid, sizeof x->client.authzid, gsasl_property_fast(session, GSASL_AUTHZID)) &&
               x->client.principal[0];
    return x->named ? GSASL_OK : GSASL_AUTHENTICATION_ERROR;
}

/* What the library wants to know. An empty host is any: whatever key of the service there is will do, and no name of ours is
   looked up. */
static int serve(Gsasl *context, Gsasl_session *session, Gsasl_property property)
{
    struct sasl_gssapi *x = gsasl_callback_hook_get(context);

    switch (property) {
    case GSASL_SERVICE:
        return gsasl_property_set(session, property, x->service);
    case GSASL_HOSTNAME:
        return gsasl_property_set(session, property, "");
    case GSASL_VALIDATE_GSSAPI:
        return take_client(x, session);
    default:
        return GSASL_NO_CALLBACK;
    }
}

/* The library gets the service's keys, loads mechanisms and reads their files with the first message. So it gets one that nobody
   sent, while it still can; it must find nothing wrong but this message. */
static int warm_up(struct sasl_gssapi *x)
{
    Gsasl_session *session;
    char *out = NULL;
    size_t length;
    int code = gsasl_server_start(x->context, "GSSAPI", &session);

    if (code != GSASL_OK)
        return code;
    code = gsasl_step(session, "-", 1, &out, &length);
    gsasl_free(out);
    gsasl_finish(session);
    return code == GSASL_GSSAPI_ACCEPT_SEC_CONTEXT_ERROR ? GSASL_OK : code;
}

/* The server's empty challenge, which the client has had already; for it the session gets name and keys. */
static int ask_first(struct sasl_gssapi *x)
{
    char *out = NULL;
    size_t length = 0;
    int code = gsasl_step(x->session, NULL, 0, &out, &length);

    gsasl_free(out);
    return code == GSASL_NEEDS_MORE && length == 0 ? GSASL_OK : code == GSASL_OK ? GSASL_AUTHENTICATION_ERROR : code;
}

static struct sasl_gssapi *begin(const char *service, struct strbuf *why)
{
    struct sasl_gssapi *x = mem_new(1, sizeof *x);
    int code = gsasl_init(&x->context);

    x->service = service;
    if (code == GSASL_OK) {
        gsasl_callback_hook_set(x->context, x);
        gsasl_callback_set(x->context, serve);
        code = warm_up(x);
    }
    if (code == GSASL_OK)
        code = gsasl_server_start(x->context, "GSSAPI", &x->session);
    if (code == GSASL_OK)
        code = ask_first(x);
    if (code == GSASL_OK)
        return x;
    strbuf_fail(why, "GNU SASL cannot begin GSSAPI: %s; look into /etc/gssapi_mech.conf and krb5.conf", gsasl_strerror(code));
    mem_free(x);
    return NULL;
}

static enum sasl_outcome step(struct sasl_gssapi *x, const char *token, size_t n, struct strbuf *reply,
                              struct sasl_gssapi_client *client_r, struct strbuf *why)
{
    char *out = NULL;
    size_t length = 0;
    int code = gsasl_step(x->session, token, n, &out, &length);

    strbuf_reset(reply);
    strbuf_reset(why);
    if (code == GSASL_OK || code == GSASL_NEEDS_MORE)
        strbuf_add(reply, out, length);
    gsasl_free(out);
    if (code == GSASL_NEEDS_MORE)
        return SASL_GO_ON;
    if (code == GSASL_OK && x->named) {
        *client_r = x->client;
        return SASL_PROVED;
    }
    strbuf_fail(why, "no good Kerberos ticket came by AUTH GSSAPI: %s", gsasl_strerror(code));
    return SASL_DISPROVED;
}

__attribute__((visibility("default"))) const struct sasl_gssapi_calls sasl_gssapi_module = {
    .version = PACKAGE_VERSION, .begin = begin, .step = step
};
