/*
 * auth_kerberos: the contract between the server and the module popper-krb5.so (auth_kerberos.c), the only code that knows
 * the Kerberos library. The server does not link the library: only processes of connections with option kerberos load it.
 *
 * KPOP (facts page section 7): before the greeting the client proves who it is by the protocol of krb5_sendauth; then
 * the session is an ordinary one in clear text, in which PASS says nothing.
 */
#ifndef AUTH_AUTH_KERBEROS_H
#define AUTH_AUTH_KERBEROS_H

#include <stdbool.h>

#include "auth/auth.h"
#include "common/strbuf.h"

#define AUTH_KERBEROS_PRINCIPAL_MAX 255 /* bytes; longer names may not log in */

/* Who the client proved to be. */
struct auth_kerberos_client {
    char principal[AUTH_KERBEROS_PRINCIPAL_MAX + 1]; /* "ann@EXAMPLE.ORG", quoted as the library does */
    char local[AUTH_NAME_MAX + 1]; /* its only component, when the realm is ours; otherwise "" */
    char version[32];              /* what the client calls its protocol; usually KPOPV1.0 */
};

struct auth_kerberos; /* the service's keys and rules */

struct auth_kerberos_calls {
    const char *version; /* first: module_find looks at it */

    /* Reads krb5.conf and copies the keys of SERVICE/any-host from the keytab (NULL: the one that krb5.conf or the library
       names) into memory, with the rights of the moment; nothing of it is read again. replay: path of the file in which
       receive will note what it has seen. NULL, and why (names the file, and what to do). */
    struct auth_kerberos *(*open)(const char *service, const char *keytab, const char *replay, struct strbuf *why);

    /* krb5_recvauth on a connected descriptor, in both directions. Reads exactly what belongs to it. Waits without a
       limit, and takes the memory that the client asks for: the caller has seen to both. 0; or -1 and why. */
    int (*receive)(struct auth_kerberos *k, int fd, struct auth_kerberos_client *client_r, struct strbuf *why);

    /* Who a client is whose principal another protocol has proved, as the library writes it, by the rules that open read. 0; or -1
       and why. */
    int (*name)(struct auth_kerberos *k, const char *principal, struct auth_kerberos_client *client_r, struct strbuf *why);

    /* krb5_kuserok: ~/.k5login, or the rules of krb5.conf. To be asked by a process that has become that
       user: it opens what he put there, and waits without a limit. 1, 0; or -1 and why. */
    int (*may_log_in)(const char *principal, const char *user, struct strbuf *why);
};

#define AUTH_KERBEROS_MEMORY "MEMORY:popper" /* the keytab of open, of this process */
#define AUTH_KERBEROS_MODULE_NAME "popper-krb5.so"
#define AUTH_KERBEROS_MODULE_SYMBOL "auth_kerberos_module" /* const struct auth_kerberos_calls */

/* The module, loaded with the rights of the moment. NULL and why. */
const struct auth_kerberos_calls *auth_kerberos_load(struct strbuf *why);

/* Whether who proved to be that principal may be the user: local is his name; or, for users of this host, ask says so
   (NULL: no). 1, 0; -1 and why when it cannot be known. */
int auth_kerberos_allows(const struct auth_kerberos_client *client, const struct auth_user *user, auth_home_asker *ask,
                         struct strbuf *why);

#endif
