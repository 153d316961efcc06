/*
 * keeper: what the monitor becomes after a login: the user, for good. See the rights at the head of keeper.c.
 */
#ifndef PROCESS_KEEPER_H
#define PROCESS_KEEPER_H

#include <stddef.h>
#include <stdint.h>

#include "auth/auth.h"
#include "process/tlsrelay.h"
#include "settings/options.h"
#include "wire/peer.h"

struct keeper_start {
    const struct settings *settings;
    const struct peer *peer;
    pid_t pid;                 /* of this process */
    const char *host;          /* our name */
    const struct auth_user *user;
    const char *unread;        /* handed over by preauth */
    size_t unread_count;
    int64_t auth_ns;
    const char *sasl;          /* what CAPA says about AUTH, before and after the login */
    struct tlsrelay *relay;    /* the client speaks TLS when it has a process */
    struct tlsrelay *early;    /* one that is dismissed and may not have ended yet */
    pid_t preauth;             /* dismissed, not waited for yet; 0: nobody */
};

/* Serves the user on descriptors 0 and 1 to the end. The exit status of the process. */
int keeper_run(const struct keeper_start *start);

enum keeper_recovered {
    KEEPER_SETTLED,
    KEEPER_NOTHING,  /* there is no journal; nothing was locked or made */
    KEEPER_UNSETTLED /* why, which may quote the user's files */
};

/* Becomes the user for good (start: no client) and settles what an interrupted update of his maildrop left. The caller
   ends the process then. A process with root's rights that cannot give them up ends here. */
enum keeper_recovered keeper_recover(const struct keeper_start *start, struct strbuf *why);

#endif
