/*
 * tlsready: the process of standalone mode that has the TLS library ready in its memory, and forks the TLS relays of
 * the sessions from there, so that neither each relay must load it nor each fork of all the others carry it.
 *
 * Under inetd a session leaves one behind (process/tlslinger), which is asked alike.
 *
 * There is one for the settings and ticket keys of its time. It loads the module and readies the library, without
 * certificates, keys or clients; monitors that were made in its time ask it for relays until their login. It ends when nobody
 * can ask any more, and the last relay has ended, of which it says how to who asked. Where there is none, or it does not answer,
 * the monitors fork their relays themselves (process/tlsrelay), which costs more and is the same for the client.
 */
#ifndef PROCESS_TLSREADY_H
#define PROCESS_TLSREADY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "settings/options.h"

struct tlsrole;

/* ---- for the listener. now: CLOCK_MONOTONIC in ns */

/* Makes one, where the settings want TLS, and lets go of the one before. Without one (no process to be had: logged; no pidfd in
   this kernel) there is nothing to ask. */
void tlsready_make(const struct settings *settings, int64_t now);

/* Whether this process was the one; now it is gone, with that wait status, and is in the log. last: no other one is to take its place. */
bool tlsready_gone(pid_t pid, int status, bool last, int64_t now);

/* A monitor got no answer from it. False: it is another one by now. It is killed, and logged when it is gone. */
bool tlsready_silent(pid_t pid);

/* ns until a new one is to be made in the place of one that is gone; -1: nothing is to be done. */
int64_t tlsready_pause(int64_t now);

/* ---- for what it forks */

/* What it is asked over, or -1: for callers that close all others. */
int tlsready_end(void);
/* Whether there is somebody to ask, or might be (under inetd: process/tlslinger). */
bool tlsready_expected(const struct settings *settings);
/* From now on this process, and what it forks, does not ask. */
void tlsready_leave(void);

/* A relay that is the child of the process that has the library ready. */
struct tlsready_child {
    int life;   /* says how it ended; -1: this is none */
    int pinned; /* its pidfd */
};
#define TLSREADY_NO_CHILD { .life = -1, .pinned = -1 }

/* Has a relay made that does what role says (peer, plain, monitor; settings are those that it knows) for the client on
   descriptor 0. All three descriptors stay open here. It always waits for a byte on the plain stream first. Its pid; or -1: there is
   none, and never will be. */
pid_t tlsready_ask(const struct tlsrole *role, struct tlsready_child *child_r);

void tlsready_kill(const struct tlsready_child *child);
bool tlsready_ends_within(const struct tlsready_child *child, int ms);
/* Its wait status, when it has ended; 0 when nobody says it (any more). Closes both. */
int tlsready_status(struct tlsready_child *child);

#endif
