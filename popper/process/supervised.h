/*
 * supervised: what the monitor of one session and the standalone process that made it say to each other, over a
 * SOCK_SEQPACKET pair: one byte a message, and a text after some. Without standalone mode all of it does
 * nothing. No client's byte travels here but the address that a listed proxy named, in our own words.
 *
 * A monitor that was made before its client is told of him first, over the same pair, by a privmsg; so is the process
 * that will speak to him, over a pair of its own, its door, at which nothing else is ever said.
 */
#ifndef PROCESS_SUPERVISED_H
#define PROCESS_SUPERVISED_H

#include <stdbool.h>
#include <sys/types.h>

#include "wire/peer.h"

enum supervised_word {
    SUPERVISED_CHECK = 'C',   /* may I check a password? */
    SUPERVISED_GO = 'G',      /* the answer */
    SUPERVISED_CHECKED = 'D', /* the check is done */
    SUPERVISED_FAILED = 'F',  /* a login failed */
    SUPERVISED_LOGGED_IN = 'L', /* and the check, if there was one, is done */
    SUPERVISED_PEER = 'P',    /* who the client really is: address in text */
    SUPERVISED_TLS_SILENT = 'T' /* the process that has the TLS library ready did not answer: its pid in text */
};

#define SUPERVISED_WAIT_MS 20000
#define SUPERVISED_MESSAGE_MAX 80

/* A client for a process that waits for one. */
struct supervised_client {
    int fd;           /* his connection */
    int delay;        /* failure-delay for him, seconds */
    bool secrets;     /* there is a database of secrets now: APOP may be offered */
    struct peer peer;
};

/* The standalone process gives, and keeps its own descriptor; 0, or -1: nobody takes him there. The other side waits
   without a limit: 1, and owns the descriptor; 0: the standalone process wants it no longer, or is gone. */
int supervised_give(int end, const struct supervised_client *client);
int supervised_take(int end, struct supervised_client *client_r);

/* In the fresh child: its end of the pair. */
void supervised_enter(int end);

/* Whether there is a standalone process. */
bool supervised(void);

/* Waits for this session's turn to check a password; at most SUPERVISED_WAIT_MS, and only while nobody closes `asker`.
   False: not now. */
bool supervised_check_begin(int asker);
void supervised_check_end(void);

void supervised_failed(void);
void supervised_peer(const char *ip);
void supervised_tls_silent(pid_t pid);

/* After the login there is nothing left to say: also closes the end. */
void supervised_logged_in(void);

#endif
