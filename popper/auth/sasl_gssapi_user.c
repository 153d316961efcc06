/*
 * sasl_gssapi_user: the server's side of sasl_gssapi.h: it loads the module.
 */
#include "auth/sasl_gssapi.h"

#include <string.h>

#include <config.h>

#include "common/module.h"

const struct sasl_gssapi_calls *sasl_gssapi_load(struct strbuf *why)
{
    const struct sasl_gssapi_calls *calls = module_find(SASL_GSSAPI_MODULE_NAME, SASL_GSSAPI_MODULE_SYMBOL, why);

    if (calls && strcmp(calls->version, PACKAGE_VERSION) != 0) {
        strbuf_fail(why, "%s is of another version (%s) than popper (" PACKAGE_VERSION "); install both again, and restart a popper that listens itself",
                    SASL_GSSAPI_MODULE_NAME, calls->version);
        return NULL;
    }
    return calls;
}
