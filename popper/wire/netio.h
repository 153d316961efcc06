/*
 * netio: the client's descriptors: lines in with a limit, bytes out through an outbuf, deadlines that no caller can
 * forget.
 *
 * Works on sockets, pipes and terminals; never sets O_NONBLOCK (the descriptors are shared with inetd). On sockets the
 * timeout is SO_RCVTIMEO/SO_SNDTIMEO, set when first needed, so that a lock-step command costs one read and one write; elsewhere
 * poll(2) guards each call. Output waits in the buffer only while another complete command is already buffered
 * (pipelining): netio_line flushes before it reads.
 */
#ifndef WIRE_NETIO_H
#define WIRE_NETIO_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/outbuf.h"

enum netio_status {
    NETIO_LINE,        /* a line, without its CRLF or LF */
    NETIO_TOO_LONG,    /* a line over the limit, read to its LF; its first line_max bytes are given, the rest is gone */
    NETIO_EOF,         /* the client closed or half-closed; an unfinished last line is not a command */
    NETIO_TIMEOUT,     /* nothing came within the timeout, the deadline passed, or the client did not take our output */
    NETIO_ERROR,       /* reset or another error; errno says */
    NETIO_INTERRUPTED  /* the interrupt flag was set by a signal; nothing is lost, call again */
};

struct netio;

/* line_max: longest line in bytes, CRLF not counted. out_cap: bytes of output buffer. Descriptors are borrowed. */
struct netio *netio_new(int in_fd, int out_fd, size_t line_max, size_t out_cap);

/* Another limit, for the lines to come: at most that of netio_new or NETIO_UNREAD_MAX - 3, whichever is more. */
void netio_set_line_max(struct netio *io, size_t line_max);
void netio_close(struct netio **io); /* frees and wipes the buffers; the descriptors stay open; does not flush */

void netio_set_timeout(struct netio *io, int seconds);               /* for each wait, in and out; 1..86400 */
void netio_set_deadline(struct netio *io, int64_t monotonic_ns);     /* for everything together; 0: none */
/* flag is looked at when a wait ends by EINTR, and before each wait. Input then returns NETIO_INTERRUPTED; output
   asks ends (may be NULL: go on) and fails when it says true. Whoever answers resets the flag. */
void netio_set_interrupt(struct netio *io, const volatile sig_atomic_t *flag, bool (*ends)(void *context),
                         void *context);
/* Sets TCP_NODELAY, keepalive (60 s + 3 x 20 s) and TCP_USER_TIMEOUT on the client's connection, if it is one of TCP. */
void netio_tune_socket(struct netio *io);
bool netio_tune_descriptor(int fd); /* the same for any descriptor; false: it is no TCP connection */
/* Off: each line of output is a write of its own. On (the default): what waits in the buffer goes out at once. */
void netio_set_chunky(struct netio *io, bool on);
/* Other descriptors were put in the place of io's (dup2): looks at them, and drops all input as netio_discard_input. */
void netio_replaced(struct netio *io);

/* *line_r points into the buffer (valid until the next call, NUL-terminated, may hold NULs), *len_r its length. */
enum netio_status netio_line(struct netio *io, char **line_r, size_t *len_r);

/* Text that is not lines of commands (XTND XMIT): at least one byte of what is buffered or comes with one read, valid until the next call.
   NETIO_LINE, or why there is none. netio_give_back returns the last n of them to the input. Not in the middle of a line over the limit. */
enum netio_status netio_bytes(struct netio *io, const char **bytes_r, size_t *n_r);
void netio_give_back(struct netio *io, size_t n);

struct outbuf *netio_out(struct netio *io);
int netio_flush(struct netio *io);           /* 0, -1 client gone or deadline */
/* Flushes and, where the client is on TCP, waits until its machine has acknowledged everything: then it did not vanish
   while we sent. At most for the timeout. 0, or -1 (gone, or it does not take our output). */
int netio_settle(struct netio *io);
/* For descriptors that are not the client's own connection (TLS): netio_settle then asks settle, which answers within
   timeout_ms whether the client's machine has acknowledged everything: 1; 0: not yet; -1: the client is gone. */
void netio_set_settle(struct netio *io, int (*settle)(void *context, int timeout_ms), void *context);
/* Whether the other side's machine has acknowledged, at this moment, all that was sent; true where it is no TCP. */
bool netio_acknowledged(int fd);

/* What was read but not yet consumed: given on to the next process, which puts it in front (at most NETIO_UNREAD_MAX
   bytes). */
#define NETIO_UNREAD_MAX 8192
size_t netio_unread(const struct netio *io, const char **bytes_r);
int netio_prepend(struct netio *io, const void *bytes, size_t n); /* -1 when it does not fit */
void netio_discard_input(struct netio *io);  /* STLS: what was pipelined in clear text is dropped and wiped */
void netio_wipe_consumed(struct netio *io);  /* overwrites the consumed part of the buffer (a password stood there) */

/* Waits until the monotonic time, reading nothing; 0 when it came, -1 as soon as the client hangs up (sockets: also
   when it half-closes, which cannot be told from closing; pipes: when nobody reads our output any more). */
int netio_sleep_until(struct netio *io, int64_t monotonic_ns);

/* Whether the client has said its last: it has hung up (sockets: or half-closed), and nothing that it said waits to be read. */
bool netio_gone(struct netio *io);

int64_t netio_now(void);                      /* clock_now */
int64_t netio_last_moved(const struct netio *io); /* when a byte last came in or went out */

#endif
