/*
 * auth_kerberos: the module popper-krb5.so, see auth_kerberos.h. open runs as root and reads files of root only; receive
 * runs without rights (process/kpop) and reads what strangers send; may_log_in runs as the user.
 *
 * The server's principal is not computed from our host name, which would ask the DNS and fail on hosts with several
 * names: any key of SERVICE/anything will do, and there are no others in memory.
 */
#include "auth/auth_kerberos.h"

#include <config.h>

#include <errno.h>
#include <krb5.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

struct auth_kerberos {
    krb5_context context;
    krb5_keytab keys; /* in memory */
    char *realm;      /* ours */
};

/* ---- what the library says */

static int explain(krb5_context context, krb5_error_code code, const char *what, const char *remedy, struct strbuf *why)
{
    const char *text = krb5_get_error_message(context, code);

    strbuf_fail(why, "%s: %s%s%s", what, text, *remedy ? "; " : "", remedy);
    krb5_free_error_message(context, text);
    return -1;
}

static const char *remedy_of(krb5_error_code code)
{
    switch (code) {
    case KRB5KRB_AP_ERR_SKEW:
        return "the clocks of client and server differ by more than krb5.conf's clockskew: set both by NTP";
    case KRB5KRB_AP_ERR_REPEAT:
        return "somebody sent what a client had sent before: if this is not an attack, two clients share a clock and a key";
    case KRB5_KT_NOTFOUND:
    case KRB5KRB_AP_ERR_NOKEY:
    case KRB5KRB_AP_WRONG_PRINC:
    case KRB5KRB_AP_ERR_NOT_US:
        return "the client has a ticket for a service or host whose key is not in the keytab: add it (kadmin: ktadd), or set "
               "kerberos-service to what clients ask for";
    case KRB5KRB_AP_ERR_BADKEYVER:
    case KRB5_KT_KVNONOTFOUND:
    case KRB5KRB_AP_ERR_BAD_INTEGRITY:
        return "the key in the keytab is not the one of the KDC: make the keytab anew (kadmin: ktadd), and let clients get new tickets "
               "(kdestroy, kinit)";
    case KRB5KRB_AP_ERR_TKT_EXPIRED:
        return "the client needs a new ticket (kinit)";
    case KRB5_SENDAUTH_BADAUTHVERS:
        return "that is no client of KPOP: clients without Kerberos need another port, without option kerberos";
    case ECONNABORTED:
        return "the client ended the connection";
    case ENOMEM:
        return "it announced more than any ticket has: no client of KPOP";
    default:
        return "";
    }
}

/* ---- with rights */

/* The same messages, whether there is no file, it is empty or has other keys. */
static int no_keys(struct auth_kerberos *k, krb5_error_code code, const char *name, const char *service, struct strbuf *why)
{
    const char *text = code ? krb5_get_error_message(k->context, code) : NULL;

    strbuf_fail(why, "keytab %s has no key for %s/HOST%s%s; make one on the KDC (kadmin: addprinc -randkey %s/HOST, ktadd -k FILE %s/HOST), or set "
                "kerberos-keytab or kerberos-service", name, service, text ? ": " : "", text ? text : "", service, service);
    if (text)
        krb5_free_error_message(k->context, text);
    return -1;
}

static bool is_for(krb5_const_principal p, const char *service)
{
    return p->length == 2 && p->data[0].length == strlen(service) && memcmp(p->data[0].data, service, p->data[0].length) == 0;
}

static krb5_error_code copy_key(struct auth_kerberos *k, krb5_keytab_entry *entry, const char *service, unsigned *count)
{
    krb5_error_code code = 0;

    if (is_for(entry->principal, service)) {
        code = krb5_kt_add_entry(k->context, k->keys, entry);
        *count += code == 0;
    }
    krb5_free_keytab_entry_contents(k->context, entry);
    return code;
}

static int copy_keys(struct auth_kerberos *k, krb5_keytab from, const char *service, struct strbuf *why)
{
    krb5_keytab_entry entry;
    krb5_kt_cursor cursor;
    krb5_error_code code;
    unsigned count = 0;
    char name[1024];

    if (krb5_kt_get_name(k->context, from, name, sizeof name) != 0)
        strcpy(name, "(unknown)");
    code = krb5_kt_start_seq_get(k->context, from, &cursor);
    if (code)
        return no_keys(k, code, name, service, why);
    while (code == 0 && (code = krb5_kt_next_entry(k->context, from, &entry, &cursor)) == 0)
        code = copy_key(k, &entry, service, &count);
    krb5_kt_end_seq_get(k->context, from, &cursor);
    if (code != KRB5_KT_END || count == 0)
        return no_keys(k, code == KRB5_KT_END ? 0 : code, name, service, why);
    return 0;
}

static int read_keys(struct auth_kerberos *k, const char *service, const char *keytab, struct strbuf *why)
{
    krb5_keytab from;
    krb5_error_code code = krb5_kt_resolve(k->context, AUTH_KERBEROS_MEMORY, &k->keys);
    int result;

    if (code)
        return explain(k->context, code, "no keytab in memory", "", why);
    code = keytab ? krb5_kt_resolve(k->context, keytab, &from) : krb5_kt_default(k->context, &from);
    if (code)
        return explain(k->context, code, "the keytab cannot be opened", "correct kerberos-keytab, or default_keytab_name in krb5.conf", why);
    result = copy_keys(k, from, service, why);
    krb5_kt_close(k->context, from);
    return result;
}

static struct auth_kerberos *open_service(const char *service, const char *keytab, const char *replay, struct strbuf *why)
{
    struct strbuf name = STRBUF_INIT(STRBUF_WHY_MAX);
    struct auth_kerberos *k = mem_new(1, sizeof *k);
    krb5_error_code code;

    /* The only way to tell the library: it looks when the ticket is there. */
    strbuf_addf(&name, "file2:%s", replay);
    setenv("KRB5RCACHENAME", name.data, 1);
    strbuf_free(&name);
    code = krb5_init_context(&k->context);
    if (code) {
        explain(NULL, code, "Kerberos cannot be set up", "look into /etc/krb5.conf", why);
        return NULL;
    }
    code = krb5_get_default_realm(k->context, &k->realm);
    if (code) {
        explain(k->context, code, "our realm is not known", "set default_realm in /etc/krb5.conf", why);
        return NULL;
    }
    return read_keys(k, service, keytab, why) == 0 ? k : NULL;
}

/* ---- without rights */

static void take_text(char *to, size_t room, const krb5_data *from)
{
    size_t n = from->length < room - 1 ? from->length : room - 1;

    memcpy(to, from->data, n);
    to[n] = '\0';
}

/* The name that a one-component principal of our realm is for this host. */
static void take_local(const struct auth_kerberos *k, krb5_const_principal p, char local_r[AUTH_NAME_MAX + 1])
{
    bool ours = p->realm.length == strlen(k->realm) && memcmp(p->realm.data, k->realm, p->realm.length) == 0;

    local_r[0] = '\0';
    if (ours && p->length == 1 && p->data[0].length <= AUTH_NAME_MAX && !memchr(p->data[0].data, '\0', p->data[0].length))
        take_text(local_r, AUTH_NAME_MAX + 1, &p->data[0]);
}

static int take_client(struct auth_kerberos *k, krb5_const_principal p, struct auth_kerberos_client *client_r, struct strbuf *why)
{
    char *name = NULL;
    krb5_error_code code = krb5_unparse_name(k->context, p, &name);
    size_t length = code ? 0 : strlen(name);

    if (code)
        return explain(k->context, code, "the client's name", "", why);
    if (length <= AUTH_KERBEROS_PRINCIPAL_MAX)
        memcpy(client_r->principal, name, length + 1);
    krb5_free_unparsed_name(k->context, name);
    if (length > AUTH_KERBEROS_PRINCIPAL_MAX)
        return strbuf_fail(why, "the client's principal has more than %d bytes", AUTH_KERBEROS_PRINCIPAL_MAX);
    take_local(k, p, client_r->local);
    return 0;
}

static int receive(struct auth_kerberos *k, int fd, struct auth_kerberos_client *client_r, struct strbuf *why)
{
    krb5_auth_context auth = NULL;
    krb5_ticket *ticket = NULL;
    krb5_data version = { 0 };
    /* Server NULL: whatever key there is. */
    krb5_error_code code = krb5_recvauth_version(k->context, &auth, &fd, NULL, 0, k->keys, &ticket, &version);
    int result = 0;

    memset(client_r, 0, sizeof *client_r);
    /* After a failure nothing of the others is ours: the library has freed version, but not said so. */
    if (code) {
        result = explain(k->context, code, "no good ticket came", remedy_of(code), why);
    } else {
        take_text(client_r->version, sizeof client_r->version, &version);
        result = take_client(k, ticket->enc_part2->client, client_r, why);
        krb5_free_data_contents(k->context, &version);
        krb5_free_ticket(k->context, ticket);
        krb5_auth_con_free(k->context, auth);
    }
    krb5_kt_close(k->context, k->keys); /* the last one to use it in memory: its keys are overwritten */
    return result;
}

static int name_client(struct auth_kerberos *k, const char *principal, struct auth_kerberos_client *client_r, struct strbuf *why)
{
    krb5_principal parsed;
    krb5_error_code code = krb5_parse_name(k->context, principal, &parsed);
    int result;

    memset(client_r, 0, sizeof *client_r);
    if (code)
        return explain(k->context, code, "the client's principal", "", why);
    result = take_client(k, parsed, client_r, why);
    krb5_free_principal(k->context, parsed);
    return result;
}

/* ---- as the user */

static int may_log_in(const char *principal, const char *user, struct strbuf *why)
{
    krb5_context context;
    krb5_principal parsed;
    krb5_error_code code = krb5_init_context(&context);
    bool may;

    if (code)
        return explain(NULL, code, "Kerberos cannot be set up", "look into /etc/krb5.conf", why);
    code = krb5_parse_name(context, principal, &parsed);
    if (code)
        return explain(context, code, "the client's principal", "", why);
    may = krb5_kuserok(context, parsed, user);
    krb5_free_principal(context, parsed);
    krb5_free_context(context);
    return may;
}

__attribute__((visibility("default"))) const struct auth_kerberos_calls auth_kerberos_module = {
    .version = PACKAGE_VERSION, .open = open_service, .receive = receive, .name = name_client, .may_log_in = may_log_in
};
