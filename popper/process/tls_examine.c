/*
 * tls_examine: see tls_examine.h. It judges by the authorities that this host trusts, since it knows no client's.
 */
#include "process/tls_examine.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "common/log.h"

#define NAMES_BYTES 400

/* ---- names */

/* A name without a dot stands for a name whose domain this host does not know. */
static bool fits(const struct tls_certificate *c, const char *host, const char *name, size_t length)
{
    size_t n = strlen(host);

    if (strchr(host, '.'))
        return tls_certificate_serves(c, host);
    return (length >= n && strncasecmp(name, host, n) == 0 && (length == n || name[n] == '.')) || (length > 2 && name[0] == '*');
}

/* Appends the hosts of the certificate; whether ours is among them. */
static bool list_names(const struct tls_certificate *c, const char *host, struct strbuf *list)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(c->leaf, NID_subject_alt_name, NULL, NULL);
    bool found = false;
    int i;

    for (i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        const char *text;
        size_t length;

        if (name->type != GEN_DNS)
            continue;
        text = (const char *)ASN1_STRING_get0_data(name->d.dNSName);
        length = (size_t)ASN1_STRING_length(name->d.dNSName);
        strbuf_addf(list, "%s%.*s", list->len ? ", " : "", (int)length, text);
        found = found || fits(c, host, text, length);
    }
    GENERAL_NAMES_free(names);
    return found || (strchr(host, '.') && tls_certificate_serves(c, host));
}

/* ---- issuers */

static bool is_self_signed(X509 *leaf)
{
    return X509_check_issued(leaf, leaf) == X509_V_OK;
}

/* X509_V_OK, or the library's reason why a client would not trust the chain that it is sent. Expiry is not looked at. */
static int verify(const struct tls_certificate *c)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    int error = X509_V_ERR_OUT_OF_MEM;

    if (store && context && X509_STORE_set_default_paths(store) == 1 &&
        X509_STORE_CTX_init(context, store, c->leaf, c->chain) == 1) {
        X509_STORE_CTX_set_flags(context, X509_V_FLAG_NO_CHECK_TIME);
        X509_STORE_CTX_set_default(context, "ssl_server");
        error = X509_verify_cert(context) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(context);
    }
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    ERR_clear_error();
    return error;
}

static void examine_issuers(const struct tls_certificate *c)
{
    int error = verify(c);

    if (error == X509_V_OK)
        return;
    if (is_self_signed(c->leaf))
        log_write(LOG_WARNING, "the certificate in %s is signed by itself: clients will refuse it unless each is told to "
                  "trust it; a certificate of an authority is free at Let's Encrypt and the like", c->file);
    else
        log_write(LOG_WARNING, "clients that trust the authorities that this host trusts will refuse the certificate in %s: "
                  "%s%s", c->file, X509_verify_cert_error_string(error),
                  sk_X509_num(c->chain) == 0 ? "; its issuers' certificates are missing from the file: use the full chain"
                                             : "");
}

static void examine_one(const struct tls_certificate *c, const char *host, bool *found)
{
    struct strbuf names = STRBUF_INIT(NAMES_BYTES);
    int days = 0, seconds = 0;

    *found = list_names(c, host, &names) || *found;
    (void)ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(c->leaf));
    log_write(LOG_INFO, "certificate in %s: for %s; %d days are left; issuers in the file: %d", c->file,
              names.len ? names.data : "no host by name", days, sk_X509_num(c->chain));
    examine_issuers(c);
    strbuf_free(&names);
}

void tls_examine(const struct tls_certificate *certificates, size_t count, const char *host)
{
    bool found = false;
    size_t i;

    for (i = 0; i < count; i++)
        examine_one(&certificates[i], host, &found);
    if (!found)
        log_write(LOG_WARNING, "no certificate is for %s, the name of this host; clients that connect to that name will "
                  "refuse it", host);
}
