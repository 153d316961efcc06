/*
 * monitor_login: how the monitor answers what preauth asks about logins: names, passwords and exchanges of SASL, each in
 * its turn, at most one attempt that is judged. Nobody but monitor.c includes it.
 */
#ifndef PROCESS_MONITOR_LOGIN_H
#define PROCESS_MONITOR_LOGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "auth/auth.h"
#include "auth/auth_kerberos.h"
#include "auth/auth_secrets.h"
#include "process/monitor_sasl.h"
#include "process/resolver.h"
#include "wire/netio.h"
#include "wire/peer.h"
#include "wire/privmsg.h"

struct monitor {
    const struct settings *settings;
    struct peer peer;
    pid_t pid;                  /* of this process */
    char host[256];
    char stamp[AUTH_STAMP_MAX]; /* for APOP; "" when it is not offered */
    int64_t started;
    int64_t auth_ns;
    int preauth;          /* our end */
    pid_t preauth_pid;
    unsigned records;
    bool granted;
    struct auth_user user;
    int session;          /* whose end closes the PAM session of the user; stays open in the keeper. -1: none */
    char *unread;         /* handed over; owned */
    size_t unread_count;
    struct tlsrelay relay;
    struct tlsrelay early;  /* one that loads already, for a client that is likely to ask; takes relay's place then, or is dismissed */
    int early_plain;
    struct resolver resolver;
    struct monitor_sasl sasl;
    struct auth_kerberos_client ticket; /* option kerberos: who the client proved to be */
    unsigned open_rows;   /* bit set of enum request: what may be asked now */
};

enum monitor_next { NEXT_GO_ON, NEXT_KEEPER, NEXT_GONE, NEXT_END };

/* From now on preauth may ask for this. */
static inline void monitor_permit(struct monitor *mon, enum request type)
{
    mon->open_rows |= 1u << type;
}

/* Names and passwords may be asked about, and exchanges of SASL that are left. */
void monitor_login_open(struct monitor *mon);

/* Rows of the monitor's table: each reads its message to the end, or leaves it bad or incomplete, which the caller takes
   as a broken rule; answers it, NEXT_GONE when preauth takes no answer, and opens the rows that may come next: after an
   attempt that was granted, the handover; after one that was refused, nothing. */
enum monitor_next monitor_login_password(struct monitor *mon, struct privmsg *m); /* REQUEST_PASSWORD, REQUEST_APOP */
enum monitor_next monitor_login_sasl_start(struct monitor *mon, struct privmsg *m);
enum monitor_next monitor_login_sasl_step(struct monitor *mon, struct privmsg *m);
enum monitor_next monitor_login_sasl_cancel(struct monitor *mon, struct privmsg *m);
enum monitor_next monitor_login_binding(struct monitor *mon, struct privmsg *m);

#endif
