/*
 * stats: the records that log readers parse (facts page 4.3), each made in exactly one place: Stats, POP login, failed
 * login, timing.
 */
#ifndef PROTOCOL_STATS_H
#define PROTOCOL_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "settings/options.h"
#include "wire/peer.h"

/* "Stats: USER DELMSGS DELBYTES LEFTMSGS LEFTBYTES CLIENTNAME IP", notice. Written at the start of UPDATE when
   statistics is on. */
void stats_session(const struct settings *settings, const char *user, const struct peer *peer, uint64_t deleted,
                   uint64_t deleted_octets, uint64_t left, uint64_t left_octets);

/* log-login with %0 version %1 user %2 host %3 ip, notice. */
void stats_login(const struct settings *settings, const char *user, const struct peer *peer);

/* "apop "USER"", info: a login by APOP. */
void stats_apop(const char *user);

/* "auth MECHANISM "USER"", info: a login by AUTH without a password. */
void stats_sasl(const char *user, const char *mechanism);

/* "[AUTH] Failed attempted login to USER from host (HOST) IP", notice; the reason, when there is one, in a second
   record at info. */
void stats_failed_login(const char *user, const struct peer *peer, const char *reason);

/* "(vV) Timing for USER@CLIENT (normal|error) auth=N init=N clean=N" in seconds, info, when timing is on. */
void stats_timing(const struct settings *settings, const char *user, const struct peer *peer, bool normal,
                  int64_t auth_ns, int64_t init_ns, int64_t clean_ns);

#endif
