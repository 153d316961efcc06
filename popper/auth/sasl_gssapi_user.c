/*
 * sasl_gssapi_user: the server's side of sasl_gssapi.h: it loads the module.
 */
#include "auth/sasl_gssapi.h"

#include "common/module.h"

const struct sasl_gssapi_calls *sasl_gssapi_load(struct strbuf *why)
{
    return module_find(SASL_GSSAPI_MODULE_NAME, SASL_GSSAPI_MODULE_SYMBOL, why);
}
