/*
 * privmsg: the only way between the processes of a session: typed, bounded messages over a SOCK_SEQPACKET socketpair,
 * at most one descriptor each. Whoever receives treats the other side as hostile: every get checks what is left, and a
 * message with too little, too much, an unexpected type or descriptor ends the conversation (the connection that broke,
 * not only the request).
 */
#ifndef WIRE_PRIVMSG_H
#define WIRE_PRIVMSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/strbuf.h"

#define PRIVMSG_MAX 16384 /* bytes of body */

struct privmsg {
    uint32_t type;
    struct strbuf body;
    int fd;            /* -1, or the descriptor that came with it, owned by whoever holds the message */
    size_t at;         /* how far the gets have read */
    bool bad;          /* a get did not fit; sticky */
};

/* Two connected ends, both close-on-exec. 0 or -1 with errno. */
int privmsg_pair(int ends_r[2]);

void privmsg_init(struct privmsg *m, uint32_t type);
void privmsg_free(struct privmsg *m); /* wipes the body, closes the descriptor */

void privmsg_put_number(struct privmsg *m, uint64_t n);
void privmsg_put_bytes(struct privmsg *m, const void *bytes, size_t n); /* with its length; NULs allowed */
void privmsg_put_text(struct privmsg *m, const char *text);
void privmsg_put_fd(struct privmsg *m, int fd); /* borrowed until sent */

uint64_t privmsg_get_number(struct privmsg *m);
/* Points into the body; at most max bytes, else bad. */
const char *privmsg_get_bytes(struct privmsg *m, size_t max, size_t *n_r);
/* The same, without NULs in it, NUL-terminated; "" when bad. */
const char *privmsg_get_text(struct privmsg *m, size_t max);
/* True when all gets fit and nothing is left over. */
bool privmsg_complete(const struct privmsg *m);

/* 0, or -1 when the other side is gone (errno EPIPE), has not read for PRIVMSG_SEND_MS (ETIMEDOUT), or the message
   is too large (EMSGSIZE). Goes on after EINTR; SIGPIPE never comes. */
#define PRIVMSG_SEND_MS 30000
int privmsg_send(int end, const struct privmsg *m);

/* m need not be initialised; it is empty unless 1 is returned. 1 a message, 0 the other side closed, -1 error or
   timeout (errno ETIMEDOUT) or broken message (EBADMSG). timeout_ms -1: no limit. EINTR is reported (errno EINTR) so
   that callers can look at their flags. */
int privmsg_receive(int end, struct privmsg *m, int timeout_ms);

/* The same for who has no flags to look at: goes on after EINTR, until the same limit. */
int privmsg_await(int end, struct privmsg *m, int timeout_ms);

#endif
