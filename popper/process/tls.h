/*
 * tls: the contract between the relay (tlsrole.c, in the server) and the module popper-tls.so (tls.c, tls_site.c,
 * tls_certificate.c), the only code that knows the TLS library. The server does not link the library: a session without
 * TLS never loads it.
 *
 * The module does no I/O with clients: it turns bytes of one side into bytes of the other. Only tls_open reads files.
 * It calls strbuf, mem, file and log of the program that loads it (popper/module.syms).
 */
#ifndef PROCESS_TLS_H
#define PROCESS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "common/strbuf.h"
#include "settings/options.h"

#define TLS_PLAIN_MAX 65536 /* bytes that one write takes */
#define TLS_RECORD_MAX 16384 /* plain bytes that one read can give */

/* Keys of session tickets: so many bytes each; the first one seals, all of them open. */
#define TLS_TICKET_KEY 80
#define TLS_TICKET_KEYS 4

struct tls_site; /* what all connections share: certificates, keys, rules */
struct tls;      /* one connection */

enum tls_result {
    TLS_OK,
    TLS_WAITS,  /* for more input, or for its output to be taken */
    TLS_ENDED,  /* the client said that it sends no more */
    TLS_FAILED  /* nothing more can be said but what is in the output */
};

/* What a handshake led to. Texts are borrowed from the library or the connection. */
struct tls_facts {
    const char *protocol;     /* "TLSv1.3" */
    const char *cipher;
    char cipher_text[128];    /* the library's description, single blanks */
    int bits;
    bool resumed;
    /* For SASL's channel binding: tls-exporter (RFC 9266) and tls-server-end-point (RFC 5929); lengths 0: not to be
       had. */
    unsigned char exporter[32];
    size_t exporter_length;
    unsigned char end_point[64];
    size_t end_point_length;
};

struct tls_calls {
    const char *version;      /* of the module: must be the program's */
    size_t settings_size;

    /* For a process that others are forked from: does what each of them would have to do first and that concerns no
       certificate, key or client. Without it tls_open does. Failing is left to that. */
    void (*warm)(void);
    /* Reads certificates and keys with the rights of the moment and checks them. keys: ticket_keys x TLS_TICKET_KEY
       bytes; 0: no session is resumed unless tls-ticket-key-file says so. What does not keep TLS from working is
       logged. NULL and why (names the file and the remedy) otherwise. */
    struct tls_site *(*open)(const struct settings *settings, const unsigned char *keys, size_t ticket_keys,
                             struct strbuf *why);
    void (*close)(struct tls_site **site); /* wipes the keys */
    /* Logs what is in the certificates (LOG_INFO), and what clients that know this host as `host` will not like
       (LOG_WARNING). Reads the list of authorities that this host trusts. */
    void (*examine)(const struct tls_site *site, const char *host);

    struct tls *(*start)(struct tls_site *site); /* server side; NULL: no memory */
    void (*end)(struct tls **tls);

    /* Where bytes from the client are to be put, and how many of them there are then. Room is 0 while earlier ones
       wait. received(0): it sent its last. */
    unsigned char *(*input)(struct tls *tls, size_t *room_r);
    void (*received)(struct tls *tls, size_t n);
    /* What is to be sent to the client, and how much of that was. */
    const unsigned char *(*output)(const struct tls *tls, size_t *n_r);
    void (*sent)(struct tls *tls, size_t n);

    enum tls_result (*handshake)(struct tls *tls, struct strbuf *why);
    void (*facts)(struct tls *tls, struct tls_facts *facts_r);
    /* Up to max plain bytes of the client. TLS_OK and *n_r > 0, or why not. */
    enum tls_result (*read)(struct tls *tls, void *buf, size_t max, size_t *n_r, struct strbuf *why);
    /* Turns n (1 to TLS_PLAIN_MAX) plain bytes into output; may only be called when there is none. TLS_OK: all of
       them. */
    enum tls_result (*write)(struct tls *tls, const void *buf, size_t n, struct strbuf *why);
    /* Adds the goodbye (close_notify) to the output. */
    void (*goodbye)(struct tls *tls);
};

#define TLS_MODULE_NAME "popper-tls.so"
#define TLS_MODULE_SYMBOL "tls_module" /* const struct tls_calls */

#endif
