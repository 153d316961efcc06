/*
 * tls_certificate: certificate and key files: reads them, checks who may read or change them, that they belong
 * together, and how long they are good for. Part of the module popper-tls.so.
 */
#ifndef PROCESS_TLS_CERTIFICATE_H
#define PROCESS_TLS_CERTIFICATE_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <time.h>

#include "common/strbuf.h"

struct tls_certificate {
    const char *file; /* borrowed: cert_file */
    X509 *leaf;
    STACK_OF(X509) *chain;
    EVP_PKEY *key;
};

/* key_file NULL: the key is in cert_file. A certificate that has expired, is not valid yet or expires within 14 days
   of now is logged and used all the same: clients decide. 0; or -1 and why (names the file and the remedy). */
int tls_certificate_load(struct tls_certificate *c, const char *cert_file, const char *key_file, time_t now,
                         struct strbuf *why);
void tls_certificate_free(struct tls_certificate *c);

/* Whether the certificate is for that host. */
bool tls_certificate_serves(const struct tls_certificate *c, const char *host);
/* Whether it is for the host that the other one names first. */
bool tls_certificate_replaces(const struct tls_certificate *c, const struct tls_certificate *other);

/* Reads a whole file that only root (or who runs us) may change, and that nobody else may read: mode 0600, or 0640
   when root owns it, for a group such as ssl-cert. max bytes at most, never fewer than 1. 0; or -1 and why. The
   caller wipes. */
int tls_certificate_read_secret(const char *path, const char *what, size_t max, struct strbuf *content,
                                struct strbuf *why);

#endif
