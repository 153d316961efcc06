/*
 * tls: see tls.h. One connection of the TLS library between two buffers; and the table that the relay finds in the
 * module popper-tls.so.
 *
 * The library reads ciphertext from `in` and writes it to `out` through a BIO of our own, so it never meets a
 * descriptor, never waits and never meets SIGPIPE; the relay moves many records with one system call. Both buffers are
 * bounded: a handshake that does not fit into `out` waits, a batch of TLS_PLAIN_MAX plain bytes always fits.
 */
#include "process/tls.h"

#include "config.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stddef.h>
#include <string.h>

#include "common/mem.h"
#include "process/tls_site.h"

#define RECORDS (TLS_PLAIN_MAX / TLS_RECORD_MAX)
#define RECORD_OVERHEAD 512                       /* header, nonce, padding, tag: RFC 8446 allows 256 */
#define IN_BYTES (2 * (TLS_RECORD_MAX + RECORD_OVERHEAD))
#define OUT_BYTES                                                                                                      \
    (TLS_PLAIN_MAX + RECORDS * RECORD_OVERHEAD + TLS_RECORD_MAX) /* and what the library says itself meanwhile */
#define EXPORTER_LABEL "EXPORTER-Channel-Binding" /* RFC 9266 */

struct tls {
    SSL *ssl;
    bool in_ended;     /* the client sends no more */
    bool said_goodbye;
    size_t in_start, in_end;
    size_t out_start, out_end;
    size_t in_most, out_most; /* bytes of the buffers that were ever written to: all that is wiped, and costs pages */
    unsigned char in[IN_BYTES], out[OUT_BYTES];
};

/* ---- the library's side of the buffers */

static int bio_read(BIO *bio, char *to, size_t max, size_t *n_r)
{
    struct tls *tls = BIO_get_data(bio);
    size_t n = tls->in_end - tls->in_start;

    BIO_clear_retry_flags(bio);
    if (n == 0) {
        if (!tls->in_ended)
            BIO_set_retry_read(bio);
        return 0;
    }
    if (n > max)
        n = max;
    memcpy(to, tls->in + tls->in_start, n);
    tls->in_start += n;
    *n_r = n;
    return 1;
}

static int bio_write(BIO *bio, const char *from, size_t n, size_t *n_r)
{
    struct tls *tls = BIO_get_data(bio);
    size_t room = OUT_BYTES - tls->out_end;

    BIO_clear_retry_flags(bio);
    if (room == 0) {
        BIO_set_retry_write(bio);
        return 0;
    }
    if (n > room)
        n = room;
    memcpy(tls->out + tls->out_end, from, n);
    tls->out_end += n;
    if (tls->out_end > tls->out_most)
        tls->out_most = tls->out_end;
    *n_r = n;
    return 1;
}

static long bio_ctrl(BIO *bio, int what, long number, void *pointer)
{
    const struct tls *tls = BIO_get_data(bio);

    (void)number;
    (void)pointer;
    switch (what) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return tls->in_ended && tls->in_start == tls->in_end;
    default:
        return 0;
    }
}

static BIO *make_bio(struct tls *tls)
{
    static BIO_METHOD *method;
    BIO *bio;

    if (!method && (method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "popper buffers")) != NULL) {
        BIO_meth_set_read_ex(method, bio_read);
        BIO_meth_set_write_ex(method, bio_write);
        BIO_meth_set_ctrl(method, bio_ctrl);
    }
    bio = method ? BIO_new(method) : NULL;
    if (bio) {
        BIO_set_data(bio, tls);
        BIO_set_init(bio, 1);
    }
    return bio;
}

/* ---- the relay's side */

static unsigned char *input(struct tls *tls, size_t *room_r)
{
    if (tls->in_start == tls->in_end)
        tls->in_start = tls->in_end = 0;
    *room_r = tls->in_ended ? 0 : IN_BYTES - tls->in_end;
    return tls->in + tls->in_end;
}

static void received(struct tls *tls, size_t n)
{
    if (n == 0)
        tls->in_ended = true;
    else
        tls->in_end += n;
    if (tls->in_end > tls->in_most)
        tls->in_most = tls->in_end;
}

static const unsigned char *output(const struct tls *tls, size_t *n_r)
{
    *n_r = tls->out_end - tls->out_start;
    return tls->out + tls->out_start;
}

static void sent(struct tls *tls, size_t n)
{
    tls->out_start += n;
    if (tls->out_start == tls->out_end)
        tls->out_start = tls->out_end = 0;
}

/* ---- connections */

static void end(struct tls **tls)
{
    if (!*tls)
        return;
    SSL_free((*tls)->ssl);
    mem_wipe((*tls)->in, (*tls)->in_most);
    mem_wipe((*tls)->out, (*tls)->out_most);
    mem_free(*tls);
    *tls = NULL;
}

static struct tls *start(struct tls_site *site)
{
    struct tls *tls = mem_bytes(sizeof *tls);
    BIO *bio;

    memset(tls, 0, offsetof(struct tls, in));
    bio = make_bio(tls);
    tls->ssl = tls_site_connection(site);
    if (!bio || !tls->ssl) {
        BIO_free(bio);
        end(&tls);
        return NULL;
    }
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_accept_state(tls->ssl);
    return tls;
}

/* The library's words, and what they mean where that does not meet the eye. */
static void explain(struct strbuf *why)
{
    static const struct {
        int reason;
        const char *means;
    } known[] = {
        { SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, "the client does not accept our certificate" },
        { SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, "the client does not accept our certificate" },
        { SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, "our certificate has expired, says the client" },
        { SSL_R_TLSV1_ALERT_UNKNOWN_CA, "the client does not know who issued our certificate: is the chain complete?" },
        { SSL_R_UNSUPPORTED_PROTOCOL, "the client has only versions of TLS that tls-version does not allow" },
        { SSL_R_NO_SHARED_CIPHER, "the client has none of our ciphers" },
        { SSL_R_WRONG_VERSION_NUMBER, "what the client sent is not TLS" },
        { SSL_R_HTTP_REQUEST, "what the client sent is not TLS" },
        { SSL_R_NO_APPLICATION_PROTOCOL, "the client wants another protocol than POP3" },
    };
    int reason = ERR_GET_REASON(ERR_peek_error());
    struct strbuf text = STRBUF_INIT(STRBUF_WHY_MAX);
    size_t i;

    for (i = 0; i < sizeof known / sizeof *known && known[i].reason != reason; i++)
        continue;
    tls_site_error(&text);
    if (i < sizeof known / sizeof *known)
        strbuf_fail(why, "%s (%s)", known[i].means, text.data);
    else
        strbuf_fail(why, "%s", text.data);
    strbuf_free(&text);
}

/* What a call of the library that returned no success means. */
static enum tls_result judge(struct tls *tls, int result, struct strbuf *why)
{
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return TLS_WAITS;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_ENDED;
    case SSL_ERROR_SSL:
        if (ERR_GET_REASON(ERR_peek_error()) != SSL_R_UNEXPECTED_EOF_WHILE_READING) {
            explain(why);
            return TLS_FAILED;
        }
        break;
    default:
        break;
    }
    ERR_clear_error();
    strbuf_fail(why, "the client closed the connection");
    return TLS_FAILED;
}

static enum tls_result handshake(struct tls *tls, struct strbuf *why)
{
    int result;

    ERR_clear_error();
    result = SSL_do_handshake(tls->ssl);
    return result == 1 ? TLS_OK : judge(tls, result, why);
}

static enum tls_result read_plain(struct tls *tls, void *buf, size_t max, size_t *n_r, struct strbuf *why)
{
    int result;

    ERR_clear_error();
    result = SSL_read_ex(tls->ssl, buf, max, n_r);
    return result == 1 ? TLS_OK : judge(tls, result, why);
}

static enum tls_result write_plain(struct tls *tls, const void *buf, size_t n, struct strbuf *why)
{
    const char *at = buf;

    ERR_clear_error();
    while (n > 0) {
        size_t put;
        int result = SSL_write_ex(tls->ssl, at, n, &put);

        if (result != 1)
            return judge(tls, result, why);
        at += put;
        n -= put;
    }
    return TLS_OK;
}

static void goodbye(struct tls *tls)
{
    if (!tls->said_goodbye && SSL_is_init_finished(tls->ssl))
        SSL_shutdown(tls->ssl);
    tls->said_goodbye = true;
    ERR_clear_error();
}

/* ---- facts */

/* The library's table of blanks and columns in one line. */
static void put_description(char *to, size_t size, const SSL_CIPHER *cipher)
{
    char text[128] = "";
    size_t n = 0;
    const char *at;

    SSL_CIPHER_description(cipher, text, sizeof text);
    for (at = text; *at && n + 1 < size; at++) {
        bool blank = *at == ' ' || *at == '\n';

        if (!blank)
            to[n++] = *at;
        else if (n > 0 && to[n - 1] != ' ')
            to[n++] = ' ';
    }
    while (n > 0 && to[n - 1] == ' ')
        n--;
    to[n] = '\0';
}

/* RFC 5929 section 4.1: the hash of the certificate's signature, SHA-256 instead of MD5 and SHA-1. */
static size_t end_point(SSL *ssl, unsigned char *to, size_t size)
{
    const X509 *certificate = SSL_get_certificate(ssl);
    int hash = NID_undef;
    const EVP_MD *md;
    unsigned length = 0;

    if (!certificate || !X509_get_signature_info((X509 *)certificate, &hash, NULL, NULL, NULL))
        return 0;
    if (hash == NID_md5 || hash == NID_sha1)
        hash = NID_sha256;
    md = EVP_get_digestbynid(hash);
    if (!md || (size_t)EVP_MD_get_size(md) > size || !X509_digest(certificate, md, to, &length))
        return 0;
    return length;
}

static void facts(struct tls *tls, struct tls_facts *facts_r)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(tls->ssl);

    *facts_r = (struct tls_facts){ .protocol = SSL_get_version(tls->ssl), .cipher = SSL_CIPHER_get_name(cipher),
                                   .bits = SSL_CIPHER_get_bits(cipher, NULL), .resumed = SSL_session_reused(tls->ssl) };
    put_description(facts_r->cipher_text, sizeof facts_r->cipher_text, cipher);
    /* Before TLS 1.3 it binds only with the extended master secret (RFC 9266 section 3). */
    if (SSL_version(tls->ssl) >= TLS1_3_VERSION || SSL_get_extms_support(tls->ssl) == 1)
        if (SSL_export_keying_material(tls->ssl, facts_r->exporter, sizeof facts_r->exporter, EXPORTER_LABEL,
                                       strlen(EXPORTER_LABEL), NULL, 0, 1) == 1)
            facts_r->exporter_length = sizeof facts_r->exporter;
    facts_r->end_point_length = end_point(tls->ssl, facts_r->end_point, sizeof facts_r->end_point);
    ERR_clear_error();
}

const struct tls_calls tls_module = {
    .version = PACKAGE_VERSION,
    .settings_size = sizeof(struct settings),
    .warm = tls_site_warm,
    .open = tls_site_open,
    .close = tls_site_close,
    .examine = tls_site_examine,
    .start = start,
    .end = end,
    .input = input,
    .received = received,
    .output = output,
    .sent = sent,
    .handshake = handshake,
    .facts = facts,
    .read = read_plain,
    .write = write_plain,
    .goodbye = goodbye,
};
