/*
 * tlspump: moves bytes between a client that speaks TLS and a stream of plain bytes, in both directions at once:
 * bounded buffers (one batch of records to the client, one record from it), no reading while the other side does not
 * take (back-pressure), each side's end passed on, time limits.
 *
 * Never sets O_NONBLOCK: the client's descriptors are shared with whoever gave them to us.
 */
#ifndef PROCESS_TLSPUMP_H
#define PROCESS_TLSPUMP_H

#include <stdint.h>

#include "common/strbuf.h"
#include "process/tls.h"

struct tlspump {
    const struct tls_calls *calls;
    struct tls *tls;
    int client_in, client_out; /* any kind of descriptor */
    int plain;                 /* a stream socket */
    int control;               /* REQUEST_SETTLE comes here and is answered; -1: nobody asks */
    int timeout_ms;            /* for a client that takes no output */
};

enum tlspump_end {
    TLSPUMP_DONE,    /* handshake: it is up. run: both sides ended in order */
    TLSPUMP_SILENCE, /* handshake: the client left without a word */
    TLSPUMP_TIMEOUT,
    TLSPUMP_LOST,    /* the client is gone: why */
    TLSPUMP_BROKEN,  /* what the client sent is no proper TLS, or the two have nothing in common: why */
    TLSPUMP_ALONE    /* handshake: nobody is at the other end of the plain stream any more */
};

/* deadline: CLOCK_MONOTONIC in ns. */
enum tlspump_end tlspump_handshake(struct tlspump *p, int64_t deadline, struct strbuf *why);

/* Until the plain stream ends and everything is sent, goodbye included, or the client is gone. */
enum tlspump_end tlspump_run(struct tlspump *p, struct strbuf *why);

#endif
