/*
 * tls_site: the TLS library set up by tls-* options: versions, ciphers, certificates by server name, session tickets,
 * ALPN. Part of the module popper-tls.so.
 */
#ifndef PROCESS_TLS_SITE_H
#define PROCESS_TLS_SITE_H

#include <openssl/ssl.h>

#include "process/tls.h"

/* tls.h says what each is for. */
void tls_site_warm(void);
struct tls_site *tls_site_open(const struct settings *settings, const unsigned char *keys, size_t ticket_keys,
                               struct strbuf *why);
void tls_site_close(struct tls_site **site);
void tls_site_examine(const struct tls_site *site, const char *host);
SSL *tls_site_connection(struct tls_site *site); /* NULL: no memory */

/* The first error that the library noted since, as a phrase; empties its list. */
const char *tls_site_error(struct strbuf *text);

#endif
