/*
 * session: the process that serves mail after the login, and the one that recovers when it died. See the rights at the
 * head of session.c.
 */
#ifndef PROCESS_SESSION_H
#define PROCESS_SESSION_H

#include <stddef.h>
#include <stdint.h>

#include "mail/maildrop.h"
#include "settings/options.h"
#include "wire/peer.h"

struct session_start {
    const struct settings *settings;
    const struct peer *peer;
    const char *host;            /* our name */
    const char *user;
    const char *unread;          /* what the client sent ahead, still unjudged */
    size_t unread_count;
    int64_t auth_ns;             /* how long the login took */
    int keeper;                  /* its end of the privmsg pair */
    pid_t keeper_pid;
    struct maildrop_files files;
    const char *sasl;            /* what CAPA says about AUTH */
    bool no_mime;                /* the user wants everything as plain text */
    bool tls;                    /* the client is behind a TLS relay */
    enum maildrop_status status; /* not OK: the keeper could not open the maildrop; only that is said to the client */
    const char *why;
};

/* In a fresh child of the keeper: gives up what is left, serves descriptors 0 and 1, ends the process. */
_Noreturn void session_main(const struct session_start *start);

/* In a fresh child of the keeper: settles the journal that a dead session left, without a client. Uses settings,
   user, keeper, files. */
_Noreturn void session_recover(const struct session_start *start);

#endif
