/*
 * tlsrelay: the process between a client that speaks TLS and the others, who never know: it has the client's
 * descriptors, they have one end of a stream of plain bytes as descriptors 0 and 1. This is how monitor and keeper deal with it;
 * what it does itself: tlsrole.
 */
#ifndef PROCESS_TLSRELAY_H
#define PROCESS_TLSRELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/strbuf.h"
#include "process/tlsready.h"
#include "settings/options.h"
#include "wire/peer.h"

#define TLSRELAY_BINDING_MAX 64

/* Zero (end -1) when there is none. What stands in it comes from a process that met the client: only the lengths are
   checked. */
struct tlsrelay {
    pid_t pid;
    struct tlsready_child there; /* how its end is seen, when it is not our child */
    int end;              /* ours */
    unsigned messages;
    bool failed;          /* it could not work, or was killed */
    bool dismissed;       /* killed by us: nobody needs to know */
    bool established;     /* the handshake is done; with it came: */
    unsigned char exporter[TLSRELAY_BINDING_MAX]; /* channel binding tls-exporter (RFC 9266) */
    size_t exporter_length;                       /* 0: none */
    unsigned char end_point[TLSRELAY_BINDING_MAX]; /* channel binding tls-server-end-point (RFC 5929) */
    size_t end_point_length;
};
#define TLSRELAY_NONE { .there = TLSREADY_NO_CHILD, .end = -1 }

/* Whether nearly each client will need one: TLS comes first, or no password is taken outside it. */
bool tlsrelay_expected(const struct settings *settings);

/* Makes the relay (by process/tlsready where that can be asked, else by fork) for the client on descriptors 0 and 1 (which stay open here, too: the caller puts *plain_r in
   their place, and whoever serves the client uses that). The handshake begins at once, and what is wrong is logged by
   tlsrelay_wait. 0; or -1 and why. */
int tlsrelay_start(struct tlsrelay *r, const struct settings *settings, const struct peer *peer, int *plain_r,
                   struct strbuf *why);

/* For STLS, in two steps. The first one forks; what the relay says stays unheard until the second one, which waits until
   certificates and keys are loaded. The handshake begins only after one byte came in on the plain stream, which says
   that the client has its +OK. 0; or -1 and why (names file and remedy): then there is none, or one that is dismissed, and
   plain is closed. After the first one's 0 either the second one follows, or tlsrelay_dismiss. */
int tlsrelay_begin(struct tlsrelay *r, const struct settings *settings, const struct peer *peer, int *plain_r,
                   struct strbuf *why);
int tlsrelay_ready(struct tlsrelay *r, const struct peer *peer, int plain, struct strbuf *why);

/* Kills a relay that no client met, takes what it has said, and does not wait: while the kernel waits for a file system that does
   not answer, nothing can be killed. For the monitor, who may kill it. plain: is closed. Then, as often as one likes: whether it
   ends within so many ms, or there is none; how is logged when that was not well. */
void tlsrelay_dismiss(struct tlsrelay *r, const struct peer *peer, int plain);
bool tlsrelay_buried(struct tlsrelay *r, const struct peer *peer, int ms);

/* At the end of a session without TLS: one that was dismissed and does not end even now is logged and left alone; so that the client sees
   the end, his connection, which it still holds, is shut down. client: his descriptor, or -1. */
void tlsrelay_abandon(struct tlsrelay *r, const struct peer *peer, int client);

/* Takes what the relay says until it says whether it can work. 0; or -1 and why. */
int tlsrelay_wait_ready(struct tlsrelay *r, struct strbuf *why);

/* Waits until `other` has something to read (or was closed) and takes what the relay says meanwhile; everything that
   it said before is taken first. 1; 0 after timeout_ms (-1: none); -1 with errno (EINTR). Without a relay it returns
   1 at once: whoever reads waits. */
int tlsrelay_wait(struct tlsrelay *r, int other, int timeout_ms);

/* Whether the client's machine has acknowledged all that was written to the plain stream before: an enum
   request_settled, at the latest after so many ms and a little. */
int tlsrelay_settle(struct tlsrelay *r, int timeout_ms);

/* When nobody holds the plain stream any more: lets the relay send the rest, takes its last words, and waits for its
   end, at most for its own time limits. How it ended is logged when that was not well. */
void tlsrelay_finish(struct tlsrelay *r, const struct settings *settings, const struct peer *peer);

#endif
