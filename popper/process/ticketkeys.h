/*
 * ticketkeys: the keys of TLS session tickets, which one process keeps in memory for all sessions that it starts
 * (standalone mode), so that a client that comes back needs no whole handshake. tls-ticket-key-file is the same for
 * inetd and for several hosts; the TLS module reads that one itself.
 *
 * Whoever has a key can read what was recorded of connections that were resumed with it: each lives for hours, and
 * processes that start no relay forget them.
 */
#ifndef PROCESS_TICKETKEYS_H
#define PROCESS_TICKETKEYS_H

#include <stdbool.h>
#include <stddef.h>

/* To be called before each session is started: sees to it that there is a key that is not old. The keys before it still
   open tickets for a while. True: there is a new one. */
bool ticketkeys_renew(void);

/* Wipes them all: in children that start no relay, and at the end. */
void ticketkeys_forget(void);

/* *count_r keys of TLS_TICKET_KEY bytes each, the newest first; 0 outside standalone mode. They stay ours. */
const unsigned char *ticketkeys_get(size_t *count_r);

#endif
