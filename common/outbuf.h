/*
 * outbuf: bytes on their way out, gathered into large writes. The rooms that produce text (message sending, replies) fill it
 * without knowing where it goes; the owner (netio, a test) gives it the function that empties it.
 */
#ifndef COMMON_OUTBUF_H
#define COMMON_OUTBUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Takes all n bytes: 0; or -1 when nothing can be taken any more (client gone, deadline). */
typedef int outbuf_drain(void *context, const char *bytes, size_t n);

struct outbuf {
    char *data;
    size_t len;           /* bytes waiting */
    size_t cap;
    size_t most;          /* bytes from data on that were ever written to */
    outbuf_drain *drain;
    void *context;
    uint64_t total;       /* bytes ever added, drained or not */
    bool failed;          /* drain failed: all later bytes are dropped, silently */
};

/* cap: size of the buffer, taken lazily. outbuf_free frees it, dropping what waits. */
void outbuf_init(struct outbuf *out, size_t cap, outbuf_drain *drain, void *context);
void outbuf_free(struct outbuf *out);

void outbuf_add(struct outbuf *out, const void *bytes, size_t n);
void outbuf_adds(struct outbuf *out, const char *text);
void outbuf_addf(struct outbuf *out, const char *format, ...) __attribute__((format(printf, 2, 3))); /* up to 1000 bytes */
void outbuf_add_number(struct outbuf *out, uint64_t n); /* decimal, fast */
/* A line of LIST or UIDL: the number, a blank, the text or second number, CRLF. Written in place where the buffer has room for a whole line. */
void outbuf_add_pair(struct outbuf *out, uint64_t n, const char *text, size_t length);
void outbuf_add_numbers(struct outbuf *out, uint64_t n, uint64_t second);

/* For producers that write in place: a pointer to at least `least` free bytes (least <= cap), *room_r says how many there are;
   drains first when there is too little. Follow with outbuf_commit(the number written). */
char *outbuf_room(struct outbuf *out, size_t least, size_t *room_r);
void outbuf_commit(struct outbuf *out, size_t n);

/* Empties it. 0, or -1 once it has failed. */
int outbuf_flush(struct outbuf *out);

#endif
