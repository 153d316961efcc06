/*
 * tlschannel: what a monitor (tlsready) and the process that forks TLS relays (tlsmaker) say to each other. No client's byte
 * travels here.
 *
 * A monitor asks by one MAKE with one descriptor, its end of a new SOCK_SEQPACKET pair, the channel, in which all that a relay needs
 * lies already: CLIENT (bytes peer, descriptor), PLAIN and MONITOR (descriptor). Then come from there MADE (number pid, descriptor
 * its pidfd) and ENDED (number wait status). A monitor that waits no longer closes the channel: then MADE does not arrive, and the
 * relay is killed. It has not met the client yet, since the byte that it waits for on its plain stream comes from who got MADE.
 */
#ifndef PROCESS_TLSCHANNEL_H
#define PROCESS_TLSCHANNEL_H

#include <stddef.h>
#include <stdint.h>

#include "wire/peer.h"

enum tlschannel_word {
    TLSCHANNEL_MAKE = 1,
    TLSCHANNEL_CLIENT,
    TLSCHANNEL_PLAIN,
    TLSCHANNEL_MONITOR,
    TLSCHANNEL_MADE,
    TLSCHANNEL_ENDED
};

/* Says it, with n bytes and a descriptor (-1: none), which stays open here. 0, or -1 with errno. */
int tlschannel_put(int end, enum tlschannel_word word, uint64_t number, const void *bytes, size_t n, int fd);

/* The next one, which must be this, with n bytes, and come within ms. fd_r: NULL where there is to be no descriptor; else the caller closes it. 0,
   and n bytes are in bytes_r; or -1 with errno (0: the other side is gone). ms -1: no limit. */
int tlschannel_get(int end, int ms, enum tlschannel_word word, uint64_t *number_r, void *bytes_r, size_t n, int *fd_r);

/* All that a relay needs. 0, or -1 with errno. The descriptors stay open here. */
int tlschannel_give(int channel, const struct peer *peer, int client, int plain, int monitor);
/* Within ms each. 0, and the descriptors are the caller's; or -1. */
#define TLSCHANNEL_CALLER_MS 5000 /* for who has called, and is about to say it */
int tlschannel_take(int channel, int ms, struct peer *peer_r, int *client_r, int *plain_r, int *monitor_r);

#endif
