/*
 * tls_certificate: see tls_certificate.h. It never asks for a passphrase, and copies of a private key outside the
 * library's own memory are wiped.
 */
#include "process/tls_certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"

#define FILE_MAX (1 << 20)
#define CHAIN_MAX 100
#define SOON_DAYS 14
#define DAY 86400

/* ---- files */

static int check_stat(const struct stat *st, const char *path, const char *what, bool secret, struct strbuf *why)
{
    if (!S_ISREG(st->st_mode))
        return strbuf_fail(why, "%s %s is not a regular file", what, path);
    if (st->st_uid != 0 && st->st_uid != geteuid())
        return strbuf_fail(why, "%s %s belongs to uid %ld, who could change it; chown it to %s", what, path,
                           (long)st->st_uid, geteuid() == 0 ? "root" : "root or to the user popper runs as");
    if (st->st_mode & 022)
        return strbuf_fail(why, "%s %s can be written to by others than its owner (mode %04o); chmod go-w %s", what,
                           path, (unsigned)(st->st_mode & 07777), path);
    if (secret && (st->st_mode & (st->st_uid == 0 ? 007 : 077)))
        return strbuf_fail(why,
                           "%s %s can be read by others than its owner (mode %04o); chmod 600 %s, and replace the key, "
                           "as somebody may have copied it",
                           what, path, (unsigned)(st->st_mode & 07777), path);
    if (st->st_size == 0)
        return strbuf_fail(why, "%s %s is empty", what, path);
    return 0;
}

/* Follows symbolic links: tools that renew certificates keep the newest one behind one. */
static int read_file(const char *path, const char *what, bool secret, size_t max, struct strbuf *content,
                     struct strbuf *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    int result = -1;

    if (fd < 0)
        return strbuf_fail(why, "%s %s cannot be opened: %s%s", what, path, strerror(errno),
                           errno == EACCES ? "; popper must be started as root, or the file be readable for the user "
                                             "it is started as"
                                           : "");
    if (fstat(fd, &st) < 0)
        strbuf_fail(why, "%s %s: %s", what, path, strerror(errno));
    else if (check_stat(&st, path, what, secret, why) == 0)
        result = file_slurp(fd, max, path, content, why);
    close(fd);
    return result;
}

int tls_certificate_read_secret(const char *path, const char *what, size_t max, struct strbuf *content,
                                struct strbuf *why)
{
    return read_file(path, what, true, max, content, why);
}

/* ---- what is in them */

static int no_passphrase(char *buf, int size, int writing, void *asked)
{
    (void)buf;
    (void)size;
    (void)writing;
    *(bool *)asked = true;
    return -1;
}

/* Where the key begins, which may stand behind certificates. */
static const char *find_key(const struct strbuf *pem)
{
    const char *at = strstr(pem->data, "PRIVATE KEY-----");

    while (at && at > pem->data && at[-1] != '\n')
        at--;
    return at;
}

/* A key of the kind that the certificate has. Whoever tells the library the kind spares it most of its decoders, each of
   which costs at the first key of a process; and each session's relay reads its first. */
static EVP_PKEY *read_expected_key(const X509 *leaf, const struct strbuf *pem, bool *asked)
{
    const EVP_PKEY *public = X509_get0_pubkey(leaf);
    const char *kind = public ? EVP_PKEY_get0_type_name(public) : NULL, *at = find_key(pem);
    EVP_PKEY *key = NULL;
    OSSL_DECODER_CTX *decoder =
        kind && at ? OSSL_DECODER_CTX_new_for_pkey(&key, "PEM", NULL, kind, EVP_PKEY_KEYPAIR, NULL, NULL) : NULL;
    BIO *bio = decoder ? BIO_new_mem_buf(at, (int)(pem->len - (size_t)(at - pem->data))) : NULL;

    if (bio && OSSL_DECODER_CTX_set_pem_password_cb(decoder, no_passphrase, asked))
        (void)OSSL_DECODER_from_bio(decoder, bio);
    BIO_free(bio);
    OSSL_DECODER_CTX_free(decoder);
    return key;
}

static EVP_PKEY *read_any_key(const struct strbuf *pem, bool *asked)
{
    BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, asked) : NULL;

    BIO_free(bio);
    return key;
}

static int take_key(struct tls_certificate *c, const struct strbuf *pem, const char *path, struct strbuf *why)
{
    bool asked = false;

    c->key = read_expected_key(c->leaf, pem, &asked);
    if (!c->key)
        c->key = read_any_key(pem, &asked);
    ERR_clear_error();
    if (c->key)
        return 0;
    if (asked)
        return strbuf_fail(why,
                           "the private key in %s is encrypted, and nobody is there to give the passphrase; decrypt it "
                           "with openssl pkey -in %s",
                           path, path);
    return strbuf_fail(why, "there is no private key in PEM format in %s", path);
}

static int take_certificates(struct tls_certificate *c, const struct strbuf *pem, const char *path, struct strbuf *why)
{
    BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
    X509 *next;

    c->chain = sk_X509_new_null();
    if (bio && c->chain) {
        c->leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        while (c->leaf && sk_X509_num(c->chain) < CHAIN_MAX &&
               (next = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
            sk_X509_push(c->chain, next);
    }
    BIO_free(bio);
    ERR_clear_error();
    if (c->leaf)
        return 0;
    return strbuf_fail(why, "there is no certificate in PEM format in %s", path);
}

static int check_match(const struct tls_certificate *c, const char *cert_file, const char *key_file, struct strbuf *why)
{
    int i;

    if (X509_check_private_key(c->leaf, c->key) == 1)
        return 0;
    for (i = 0; i < sk_X509_num(c->chain); i++)
        if (X509_check_private_key(sk_X509_value(c->chain, i), c->key) == 1)
            break;
    ERR_clear_error();
    if (i < sk_X509_num(c->chain))
        return strbuf_fail(why,
                           "the private key in %s belongs to certificate %d in %s; move that certificate to the "
                           "beginning of the file, its issuers "
                           "behind it",
                           key_file, i + 2, cert_file);
    return strbuf_fail(
        why, "the private key in %s does not belong to the certificate in %s; one of the two files is not the newest",
        key_file, cert_file);
}

/* ---- how long they are good for */

static void put_day(struct strbuf *text, const ASN1_TIME *when)
{
    struct tm tm;

    if (ASN1_TIME_to_tm(when, &tm))
        strbuf_addf(text, "%04d-%02d-%02d %02d:%02d UTC", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                    tm.tm_min);
    else
        strbuf_adds(text, "an unreadable time");
}

/* n counts from 1, as in the file. */
static void look_at_time(const X509 *certificate, int n, const char *path, time_t now)
{
    const ASN1_TIME *begins = X509_get0_notBefore(certificate), *ends = X509_get0_notAfter(certificate);
    time_t soon = now + SOON_DAYS * DAY;
    struct strbuf day = STRBUF_INIT(64), which = STRBUF_INIT(64);

    if (n == 1)
        strbuf_adds(&which, "the certificate");
    else
        strbuf_addf(&which, "certificate %d (an issuer's)", n);
    if (X509_cmp_time(ends, &now) <= 0) {
        put_day(&day, ends);
        log_write(LOG_ERR, "%s in %s expired at %s; clients will refuse it: renew it", which.data, path, day.data);
    } else if (X509_cmp_time(begins, &now) > 0) {
        put_day(&day, begins);
        log_write(LOG_ERR, "%s in %s is not valid before %s; clients will refuse it: is the clock of this host right?",
                  which.data, path, day.data);
    } else if (X509_cmp_time(ends, &soon) <= 0) {
        put_day(&day, ends);
        log_write(LOG_WARNING, "%s in %s expires at %s; renew it", which.data, path, day.data);
    }
    strbuf_free(&day);
    strbuf_free(&which);
}

static void look_at_times(const struct tls_certificate *c, const char *path, time_t now)
{
    int i;

    look_at_time(c->leaf, 1, path, now);
    for (i = 0; i < sk_X509_num(c->chain); i++)
        look_at_time(sk_X509_value(c->chain, i), i + 2, path, now);
}

/* ---- all of it */

static int load_parts(struct tls_certificate *c, const char *cert_file, const char *key_file, struct strbuf *why)
{
    struct strbuf pem = STRBUF_INIT(FILE_MAX);
    int result = read_file(cert_file, key_file ? "the certificate" : "the file of certificate and private key",
                           !key_file, FILE_MAX, &pem, why);

    if (result == 0)
        result = take_certificates(c, &pem, cert_file, why);
    if (result == 0 && key_file) {
        strbuf_wipe(&pem);
        result = read_file(key_file, "the private key", true, FILE_MAX, &pem, why);
    }
    if (result == 0)
        result = take_key(c, &pem, key_file ? key_file : cert_file, why);
    strbuf_free(&pem);
    return result;
}

int tls_certificate_load(struct tls_certificate *c, const char *cert_file, const char *key_file, time_t now,
                         struct strbuf *why)
{
    *c = (struct tls_certificate){ .file = cert_file };
    if (load_parts(c, cert_file, key_file, why) == 0 &&
        check_match(c, cert_file, key_file ? key_file : cert_file, why) == 0) {
        look_at_times(c, cert_file, now);
        return 0;
    }
    tls_certificate_free(c);
    return -1;
}

void tls_certificate_free(struct tls_certificate *c)
{
    X509_free(c->leaf);
    sk_X509_pop_free(c->chain, X509_free);
    EVP_PKEY_free(c->key);
    *c = (struct tls_certificate){ 0 };
}

/* ---- names */

bool tls_certificate_serves(const struct tls_certificate *c, const char *host)
{
    return X509_check_host(c->leaf, host, 0, 0, NULL) == 1;
}

/* The first host in the certificate, or one of those that a wildcard means; the caller frees. NULL: none. */
static char *first_host(const X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    char *host = NULL;
    int i;

    for (i = 0; i < sk_GENERAL_NAME_num(names) && !host; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        if (name->type == GEN_DNS)
            host = OPENSSL_strndup((const char *)ASN1_STRING_get0_data(name->d.dNSName),
                                   (size_t)ASN1_STRING_length(name->d.dNSName));
    }
    GENERAL_NAMES_free(names);
    if (host && host[0] == '*')
        host[0] = 'x';
    return host;
}

bool tls_certificate_replaces(const struct tls_certificate *c, const struct tls_certificate *other)
{
    char *host = first_host(other->leaf);
    bool replaces = host && tls_certificate_serves(c, host);

    OPENSSL_free(host);
    return replaces;
}
