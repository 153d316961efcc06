/*
 * tlsrole: the relay's own process (how others deal with it: tlsrelay.h). See the rights at the head of tlsrole.c.
 */
#ifndef PROCESS_TLSROLE_H
#define PROCESS_TLSROLE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/strbuf.h"
#include "process/tls.h"
#include "settings/options.h"
#include "wire/peer.h"

struct tlsrole {
    const struct settings *settings;
    const struct peer *peer;
    int client_in, client_out;
    bool stls;      /* one byte comes on the plain stream before the client begins */
    int plain;      /* our end of the plain stream */
    int monitor;    /* our end of the privmsg pair */
    const struct tls_calls *calls; /* NULL until tlsrole_load was successful; so the next two */
    struct tls_site *site;
    struct tls *tls;
};

/* Serves the client and ends the process. First of all it answers (REQUEST_ANSWER: number 1, or number 0 and text why)
   whether it can work. */
_Noreturn void tlsrole_main(struct tlsrole *r);

/* The same in parts, for process/tlsmaker and tlsspare. Takes client, streams and who he is from the channel of a monitor (process/tlschannel), within
   ms each; peer is room for r->peer. 0 or -1. */
int tlsrole_meet(struct tlsrole *r, int channel, int ms, struct peer *peer);
/* Loads what tlsrole_load does, and gives up all rights; descriptors from 3 on are closed, except keep (the log's among them are closed
   at the end). 0; or -1 and why. */
int tlsrole_get_ready(struct tlsrole *r, const int *keep, size_t count, struct strbuf *why);
/* After both: answers that it can work, and serves. */
_Noreturn void tlsrole_serve(struct tlsrole *r);

/* Its steps, for who only tries them. Nothing that is in memory after this gets into a core file or before a
   debugger. */
void tlsrole_hide_memory(void);
/* Module, certificates and keys, with the rights of the moment; what does not keep TLS from working is logged. 0; or
   -1 and why. */
int tlsrole_load(struct tlsrole *r, struct strbuf *why);
void tlsrole_report(const struct tlsrole *r, bool well, const char *why);
/* For the process that other relays will descend from (process/tlsmaker): loads the module and readies the library, so that they need not,
   each of them. What does not work is left to them. It reads the library's own configuration, and nothing of ours. */
void tlsrole_preload(void);
/* Wipes the keys. */
_Noreturn void tlsrole_end(struct tlsrole *r, int status);

#endif
