/*
 * tls_site: see tls_site.h. It decides nothing that an option does not say, and refuses what an option says wrongly: no
 * weaker rule takes its place.
 */
#include "process/tls_site.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "process/tls_certificate.h"
#include "process/tls_examine.h"

/* Forward secrecy and authenticated encryption, in the order in which the server prefers them; clients of the last
   ten years have all of it. */
#define DEFAULT_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"
#define TICKET_SECONDS 7200
#define KEY_NAME 16
#define KEY_MAC 32
#define KEY_CIPHER 32

struct tls_site {
    SSL_CTX *context;
    struct tls_certificate *certificates;
    size_t count;
    struct strbuf keys; /* of tickets; wiped when freed */
};

const char *tls_site_error(struct strbuf *text)
{
    unsigned long error = ERR_get_error();
    const char *reason = error ? ERR_reason_error_string(error) : NULL;

    strbuf_fail(text, "%s", reason ? reason : "unknown error of the TLS library");
    ERR_clear_error();
    return text->data;
}

/* ---- versions and ciphers */

static void range_of(enum tls_version version, int *low_r, int *high_r)
{
    *low_r = TLS1_2_VERSION;
    *high_r = 0;
    switch (version) {
    case TLS_VERSION_DEFAULT:
        break;
    case TLS_VERSION_1_2:
        *high_r = TLS1_2_VERSION;
        break;
    case TLS_VERSION_1_3:
        *low_r = TLS1_3_VERSION;
        break;
    case TLS_VERSION_ALL:
        *low_r = 0;
        break;
    }
}

static int set_versions(SSL_CTX *context, enum tls_version version, struct strbuf *why)
{
    struct strbuf text = STRBUF_INIT(STRBUF_WHY_MAX);
    int low, high, done;

    range_of(version, &low, &high);
    done = SSL_CTX_set_min_proto_version(context, low) && SSL_CTX_set_max_proto_version(context, high);
    if (!done)
        strbuf_fail(why, "tls-version: %s", tls_site_error(&text));
    strbuf_free(&text);
    return done ? 0 : -1;
}

static int set_ciphers(SSL_CTX *context, const struct settings *settings, struct strbuf *why)
{
    const char *list = settings->tls_cipher_list ? settings->tls_cipher_list : DEFAULT_CIPHERS;

    if (!SSL_CTX_set_cipher_list(context, list))
        return strbuf_fail(why,
                           "tls-cipher-list = %s: the TLS library knows no such ciphers; try openssl ciphers -v '%s'",
                           list, list);
    if (settings->tls_ciphersuites && !SSL_CTX_set_ciphersuites(context, settings->tls_ciphersuites))
        return strbuf_fail(why,
                           "tls-ciphersuites = %s: the TLS library knows no such ciphersuites; `openssl ciphers "
                           "-tls1_3 -s -v` lists them",
                           settings->tls_ciphersuites);
    return 0;
}

static void set_options(SSL_CTX *context, const struct settings *settings)
{
    uint64_t bits = SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                    SSL_OP_PRIORITIZE_CHACHA | SSL_OP_NO_TICKET;

    if (settings->tls_workarounds)
        bits |= SSL_OP_ALL;
    SSL_CTX_set_options(context, bits | settings->tls_options);
    /* What the relay hands over may move, and its output has room for a batch of records. */
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

/* ---- ALPN: a client that names protocols and not ours was led here by somebody else (RFC 7301; cross-protocol
   attacks) */

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *length, const unsigned char *offered,
                           unsigned offered_length, void *nothing)
{
    static const unsigned char ours[] = "\4pop3";

    (void)ssl;
    (void)nothing;
    if (SSL_select_next_proto((unsigned char **)out, length, ours, sizeof ours - 1, offered, offered_length) ==
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_OK;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* ---- certificates */

static int use_certificate(SSL *ssl, const struct tls_certificate *c)
{
    return SSL_use_cert_and_key(ssl, c->leaf, c->key, c->chain, 1);
}

/* One of each kind of key may be in use; the first one of a kind wins. */
static bool key_is_taken(const struct tls_certificate *const *taken, size_t count, const struct tls_certificate *c)
{
    size_t i;

    for (i = 0; i < count; i++)
        if (EVP_PKEY_get_base_id(taken[i]->key) == EVP_PKEY_get_base_id(c->key))
            return true;
    return false;
}

/* Of several certificates: those for the host that the client names, or those that are as good as the first one. */
static int choose_certificates(SSL *ssl, void *context)
{
    const struct tls_site *site = context;
    const char *host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const struct tls_certificate *taken[4];
    size_t i, count = 0;

    for (i = 0; host && i < site->count && count < 4; i++)
        if (tls_certificate_serves(&site->certificates[i], host) && !key_is_taken(taken, count, &site->certificates[i]))
            taken[count++] = &site->certificates[i];
    if (count == 0)
        taken[count++] = &site->certificates[0];
    for (i = 1; !host && i < site->count && count < 4; i++)
        if (tls_certificate_replaces(&site->certificates[i], taken[0]) &&
            !key_is_taken(taken, count, &site->certificates[i]))
            taken[count++] = &site->certificates[i];
    SSL_certs_clear(ssl);
    for (i = 0; i < count; i++)
        if (!use_certificate(ssl, taken[i]))
            return 0;
    return 1;
}

static int load_certificates(struct tls_site *site, const struct settings *settings, struct strbuf *why)
{
    const struct option_list *certs = &settings->tls_server_cert_file, *keys = &settings->tls_private_key_file;
    time_t now = time(NULL);
    size_t i;

    if (certs->count == 0)
        return strbuf_fail(why, "tls-server-cert-file does not say where the certificate is");
    site->certificates = mem_new(certs->count, sizeof *site->certificates);
    for (i = 0; i < certs->count; i++, site->count++)
        if (tls_certificate_load(&site->certificates[i], certs->item[i], i < keys->count ? keys->item[i] : NULL, now,
                                 why) < 0)
            return -1;
    return 0;
}

/* The library looks at a certificate more strictly than we did: keys too short, hashes too weak. */
static int install_certificates(struct tls_site *site, const struct settings *settings, struct strbuf *why)
{
    struct strbuf text = STRBUF_INIT(STRBUF_WHY_MAX);
    size_t i;

    for (i = site->count; i-- > 0;) {
        const struct tls_certificate *c = &site->certificates[i];

        if (SSL_CTX_use_cert_and_key(site->context, c->leaf, c->key, c->chain, 1))
            continue;
        strbuf_fail(why, "the TLS library does not accept the certificate in %s: %s",
                    settings->tls_server_cert_file.item[i], tls_site_error(&text));
        strbuf_free(&text);
        return -1;
    }
    if (site->count > 1)
        SSL_CTX_set_cert_cb(site->context, choose_certificates, site);
    return 0;
}

/* ---- session tickets: the only memory from one connection to the next, kept by the client; the keys outlive
   processes */

static const unsigned char *find_key(const struct tls_site *site, const unsigned char *name, size_t *at_r)
{
    const unsigned char *keys = (const unsigned char *)site->keys.data;

    for (*at_r = 0; *at_r < site->keys.len / TLS_TICKET_KEY; ++*at_r)
        if (memcmp(keys + *at_r * TLS_TICKET_KEY, name, KEY_NAME) == 0)
            return keys + *at_r * TLS_TICKET_KEY;
    return NULL;
}

static int set_mac_key(EVP_MAC_CTX *mac, const unsigned char *key)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = { OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key, KEY_MAC),
                            OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                            OSSL_PARAM_construct_end() };

    return EVP_MAC_CTX_set_params(mac, params);
}

/* 0: no such key, a full handshake; 1: done; 2: done, and the client gets a new ticket, since its own is of an older
   key; -1: error. */
static int ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                      int sealing)
{
    const struct tls_site *site = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    const unsigned char *key = (const unsigned char *)site->keys.data;
    size_t at = 0;

    if (sealing) {
        memcpy(name, key, KEY_NAME);
        if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) <= 0)
            return -1;
    } else if (!(key = find_key(site, name, &at))) {
        return 0;
    }
    if (!EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key + KEY_NAME + KEY_MAC, iv, sealing) ||
        !set_mac_key(mac, key + KEY_NAME))
        return -1;
    return at == 0 ? 1 : 2;
}

static int read_keys(struct strbuf *keys, const char *path, struct strbuf *why)
{
    if (tls_certificate_read_secret(path, "the ticket key file", TLS_TICKET_KEY * TLS_TICKET_KEYS, keys, why) < 0)
        return -1;
    if (keys->len % TLS_TICKET_KEY == 0)
        return 0;
    return strbuf_fail(why,
                       "the ticket key file %s must have %d bytes for each key, one to %d keys; make one with openssl "
                       "rand -out %s %d",
                       path, TLS_TICKET_KEY, TLS_TICKET_KEYS, path, TLS_TICKET_KEY);
}

static int set_tickets(struct tls_site *site, const struct settings *settings, const unsigned char *keys, size_t count,
                       struct strbuf *why)
{
    strbuf_init(&site->keys, TLS_TICKET_KEY * TLS_TICKET_KEYS);
    if (settings->tls_ticket_key_file) {
        if (read_keys(&site->keys, settings->tls_ticket_key_file, why) < 0)
            return -1;
    } else {
        strbuf_add(&site->keys, keys, count * TLS_TICKET_KEY);
    }
    SSL_CTX_set_session_cache_mode(site->context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(site->context, site->keys.len > 0 ? 1 : 0);
    if (site->keys.len == 0)
        return 0;
    SSL_CTX_clear_options(site->context, SSL_OP_NO_TICKET & ~settings->tls_options);
    SSL_CTX_set_timeout(site->context, TICKET_SECONDS);
    SSL_CTX_set_app_data(site->context, site);
    SSL_CTX_set_session_id_context(site->context, (const unsigned char *)"pop3", 4);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(site->context, ticket_key);
    return 0;
}

/* ---- all of it */

/* Made ahead; untouched, so that it suits all settings. It holds no secret that we use: tickets are sealed with keys of
   our own, or not at all. */
static SSL_CTX *spare;

void tls_site_warm(void)
{
    /* Nothing of it is to be taken apart by each process that ends. */
    if (!spare && OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, NULL))
        spare = SSL_CTX_new(TLS_server_method());
    ERR_clear_error();
}

static SSL_CTX *take_context(void)
{
    SSL_CTX *context = spare;

    spare = NULL;
    return context ? context : SSL_CTX_new(TLS_server_method());
}

struct tls_site *tls_site_open(const struct settings *settings, const unsigned char *keys, size_t ticket_keys,
                               struct strbuf *why)
{
    struct strbuf text = STRBUF_INIT(STRBUF_WHY_MAX);
    struct tls_site *site = mem_new(1, sizeof *site);

    strbuf_init(&site->keys, 0);
    site->context = take_context();
    if (!site->context) {
        strbuf_fail(why, "the TLS library does not start: %s; is its configuration (openssl.cnf) right?",
                    tls_site_error(&text));
    } else {
        set_options(site->context, settings);
        SSL_CTX_set_alpn_select_cb(site->context, choose_protocol, NULL);
        if (set_versions(site->context, settings->tls_version, why) == 0 &&
            set_ciphers(site->context, settings, why) == 0 && load_certificates(site, settings, why) == 0 &&
            install_certificates(site, settings, why) == 0 &&
            set_tickets(site, settings, keys, ticket_keys, why) == 0) {
            strbuf_free(&text);
            return site;
        }
    }
    strbuf_free(&text);
    ERR_clear_error();
    tls_site_close(&site);
    return NULL;
}

void tls_site_close(struct tls_site **site)
{
    size_t i;

    if (!*site)
        return;
    SSL_CTX_free((*site)->context);
    for (i = 0; i < (*site)->count; i++)
        tls_certificate_free(&(*site)->certificates[i]);
    mem_free((*site)->certificates);
    strbuf_free(&(*site)->keys);
    mem_free(*site);
    *site = NULL;
}

void tls_site_examine(const struct tls_site *site, const char *host)
{
    tls_examine(site->certificates, site->count, host);
}

SSL *tls_site_connection(struct tls_site *site)
{
    return SSL_new(site->context);
}
