/*
 * auth_kerberos_user: the server's side of auth_kerberos.h: it loads the module and compares names. Runs in the process
 * that checks a login (root; it only compares), in the one that takes the ticket, and in process/k5login.c's (they load).
 */
#include "auth/auth_kerberos.h"

#include <string.h>

#include "common/module.h"

const struct auth_kerberos_calls *auth_kerberos_load(struct strbuf *why)
{
    return module_find(AUTH_KERBEROS_MODULE_NAME, AUTH_KERBEROS_MODULE_SYMBOL, why);
}

int auth_kerberos_allows(const struct auth_kerberos_client *client, const struct auth_user *user, auth_home_asker *ask,
                         struct strbuf *why)
{
    if (client->local[0] && strcmp(client->local, user->name) == 0)
        return 1;
    /* The library would look into the home of the user of this host who has the same name. */
    if (user->is_virtual)
        return 0;
    return ask ? ask(client, user, why) : 0;
}
