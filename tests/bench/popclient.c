/*
 * popclient: see popclient.h.
 */
#include "popclient.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define BUFFER_BYTES (256 * 1024)

int popclient_fail(struct popclient *c, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    if (!c->why[0])
        vsnprintf(c->why, sizeof c->why, format, ap);
    va_end(ap);
    return -1;
}

int popclient_open(struct popclient *c, int port, bool delays_acks, int timeout)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval limit = { timeout, 0 };
    int one = 1;

    *c = (struct popclient){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .delays_acks = delays_acks };
    c->buffer = malloc(BUFFER_BYTES);
    if (c->fd < 0 || !c->buffer)
        return popclient_fail(c, "socket: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0)
        return popclient_fail(c, "connect: %s", strerror(errno));
    return 0;
}

int popclient_start_tls(struct popclient *c, SSL_CTX *tls)
{
    if (c->first != c->end)
        return popclient_fail(c, "data before the TLS handshake");
    c->ssl = SSL_new(tls);
    if (!c->ssl || SSL_set_fd(c->ssl, c->fd) != 1 || SSL_connect(c->ssl) != 1)
        return popclient_fail(c, "the TLS handshake failed");
    return 0;
}

static ssize_t receive(struct popclient *c, char *to, size_t n)
{
    ssize_t got;
    int one = 1;

    if (c->ssl)
        return SSL_read(c->ssl, to, (int)n);
    do
        got = recv(c->fd, to, n, 0);
    while (got < 0 && errno == EINTR);
    /* Spares a server that lets Nagle wait for our acknowledgement. */
    if (!c->delays_acks && got > 0)
        setsockopt(c->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
    return got;
}

static int fill(struct popclient *c)
{
    ssize_t got;

    if (c->first == c->end)
        c->first = c->end = 0;
    else if (c->end == BUFFER_BYTES) {
        memmove(c->buffer, c->buffer + c->first, c->end - c->first);
        c->end -= c->first;
        c->first = 0;
    }
    got = receive(c, c->buffer + c->end, BUFFER_BYTES - c->end);
    if (got <= 0)
        return popclient_fail(c, got == 0 || c->ssl ? "the server closed the connection" : "recv: %s", strerror(errno));
    c->end += (size_t)got;
    c->received += (uint64_t)got;
    return 0;
}

int popclient_send(struct popclient *c, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t put = c->ssl ? SSL_write(c->ssl, bytes, (int)n) : send(c->fd, bytes, n, MSG_NOSIGNAL);

        if (put < 0 && errno == EINTR && !c->ssl)
            continue;
        if (put <= 0)
            return popclient_fail(c, "send: %s", strerror(errno));
        bytes += put;
        n -= (size_t)put;
    }
    return 0;
}

int popclient_say(struct popclient *c, const char *format, ...)
{
    char text[512];
    va_list ap;
    int n;

    va_start(ap, format);
    n = vsnprintf(text, sizeof text - 2, format, ap);
    va_end(ap);
    memcpy(text + n, "\r\n", 2);
    return popclient_send(c, text, (size_t)n + 2);
}

static int take_line(struct popclient *c, size_t n)
{
    const char *from = c->buffer + c->first;
    size_t kept;

    if (n == 0 || from[n - 1] != '\r')
        return popclient_fail(c, "a line that does not end in CRLF");
    kept = n - 1 < sizeof c->line - 1 ? n - 1 : sizeof c->line - 1;
    memcpy(c->line, from, kept);
    c->line[kept] = 0;
    c->first += n + 1;
    return 0;
}

int popclient_line(struct popclient *c)
{
    for (;;) {
        const char *from = c->buffer + c->first;
        const char *end = c->end > c->first ? memchr(from, '\n', c->end - c->first) : NULL;

        if (end)
            return take_line(c, (size_t)(end - from));
        if (c->end - c->first >= BUFFER_BYTES / 2)
            return popclient_fail(c, "a reply line of more than %d bytes", BUFFER_BYTES / 2);
        if (fill(c) < 0)
            return -1;
    }
}

int popclient_ok(struct popclient *c, const char *what)
{
    if (popclient_line(c) < 0)
        return popclient_fail(c, "%s: no reply", what);
    if (strncmp(c->line, "+OK", 3) != 0 || (c->line[3] && c->line[3] != ' '))
        return popclient_fail(c, "%s: %s", what, c->line);
    return 0;
}

int popclient_ask(struct popclient *c, const char *command)
{
    return popclient_say(c, "%s", command) < 0 ? -1 : popclient_ok(c, command);
}

/* At the start of a line that begins with a dot: 1 when it is the terminator, 0 when the dot was stuffed, -1. */
static int take_dot(struct popclient *c)
{
    const char *p;

    while (c->end - c->first < 3)
        if (fill(c) < 0)
            return -1;
    p = c->buffer + c->first;
    if (p[1] == '\r' && p[2] == '\n') {
        c->first += 3;
        return 1;
    }
    if (p[1] != '.')
        return popclient_fail(c, "a line that begins with a dot that is not stuffed");
    c->first++;
    return 0;
}

int popclient_body(struct popclient *c, struct popclient_body *body_r)
{
    bool line_start = true;

    *body_r = (struct popclient_body){ 0 };
    for (;;) {
        const char *p, *end, *next;

        if (c->first == c->end && fill(c) < 0)
            return -1;
        if (line_start && c->buffer[c->first] == '.') {
            int dot = take_dot(c);

            if (dot != 0)
                return dot < 0 ? -1 : 0;
            body_r->stuffed++;
        }
        /* As far as no line begins with a dot. */
        p = c->buffer + c->first;
        end = c->buffer + c->end;
        line_start = false;
        while (p < end && !line_start && (next = memchr(p, '\n', (size_t)(end - p)))) {
            p = next + 1;
            line_start = p == end || *p == '.';
        }
        if (!line_start)
            p = end;
        body_r->octets += (uint64_t)(p - (c->buffer + c->first));
        c->first = (size_t)(p - c->buffer);
    }
}

int popclient_drain(struct popclient *c, bool anything)
{
    for (;;) {
        ssize_t got = receive(c, c->buffer, BUFFER_BYTES);

        if (got <= 0)
            return 0;
        c->received += (uint64_t)got;
        if (!anything)
            return popclient_fail(c, "data after the reply to QUIT");
    }
}

void popclient_close(struct popclient *c)
{
    SSL_free(c->ssl);
    if (c->fd >= 0)
        close(c->fd);
    free(c->buffer);
}
