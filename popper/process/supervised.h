/*
 * supervised: what the monitor of one session and the standalone process that made it say to each other, over a
 * SOCK_SEQPACKET pair: one byte a message, and an address after SUPERVISED_PEER. Without standalone mode all of it does
 * nothing. No client's byte travels here but the address that a listed proxy named, in our own words.
 */
#ifndef PROCESS_SUPERVISED_H
#define PROCESS_SUPERVISED_H

#include <stdbool.h>

enum supervised_word {
    SUPERVISED_CHECK = 'C',   /* may I check a password? */
    SUPERVISED_GO = 'G',      /* the answer */
    SUPERVISED_CHECKED = 'D', /* the check is done */
    SUPERVISED_FAILED = 'F',  /* a login failed */
    SUPERVISED_LOGGED_IN = 'L', /* and the check, if there was one, is done */
    SUPERVISED_PEER = 'P'     /* who the client really is: address in text */
};

#define SUPERVISED_WAIT_MS 20000
#define SUPERVISED_MESSAGE_MAX 80

/* In the fresh child: its end of the pair. */
void supervised_enter(int end);

/* Waits for this session's turn to check a password; at most SUPERVISED_WAIT_MS, and only while nobody closes `asker`.
   False: not now. */
bool supervised_check_begin(int asker);
void supervised_check_end(void);

void supervised_failed(void);
void supervised_peer(const char *ip);

/* After the login there is nothing left to say: also closes the end. */
void supervised_logged_in(void);

#endif
