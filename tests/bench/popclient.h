/*
 * popclient: one POP3 conversation of the load client, blocking, plain or in TLS (RFC 1939, RFC 2595). Everything that
 * is read is checked: status indicators, line ends, terminators. Functions return 0, or -1 with the reason in
 * popclient.why; after -1 only popclient_close is allowed.
 */
#ifndef BENCH_POPCLIENT_H
#define BENCH_POPCLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>

struct popclient {
    int fd;
    SSL *ssl;           /* NULL: plain */
    bool delays_acks;   /* as an ordinary client; otherwise each read is acknowledged at once */
    char *buffer;
    size_t first, end;  /* unread bytes of buffer */
    char line[1024];    /* the last line read, without its end, cut off when longer */
    char why[1200];
    uint64_t received;
};

/* What a multi-line reply held. */
struct popclient_body {
    uint64_t octets;    /* after byte-stuffing was undone, without the terminator */
    uint64_t stuffed;   /* lines that began with a stuffed dot */
};

/* Connects to a port of 127.0.0.1. timeout: seconds that a read or write may take. */
int popclient_open(struct popclient *c, int port, bool delays_acks, int timeout);

/* The TLS handshake; nothing may be unread. The certificate is not checked. */
int popclient_start_tls(struct popclient *c, SSL_CTX *tls);

/* Notes why it fails. Returns -1. The first reason is kept. */
int popclient_fail(struct popclient *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

int popclient_send(struct popclient *c, const char *bytes, size_t n);

/* Sends one command; CRLF is added. At most 500 bytes. */
int popclient_say(struct popclient *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Reads one line into c->line. */
int popclient_line(struct popclient *c);

/* Reads a line, which must be a +OK; what names the command in the reason. */
int popclient_ok(struct popclient *c, const char *what);

/* popclient_say and popclient_ok. */
int popclient_ask(struct popclient *c, const char *command);

int popclient_body(struct popclient *c, struct popclient_body *body_r);

/* Reads to the end of the connection. Without `anything`, a byte that comes is an error. */
int popclient_drain(struct popclient *c, bool anything);

void popclient_close(struct popclient *c);

#endif
