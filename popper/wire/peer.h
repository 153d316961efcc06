/*
 * peer: who the client is: address, name for the log, whether it is on this host.
 */
#ifndef WIRE_PEER_H
#define WIRE_PEER_H

#include <stdbool.h>
#include <sys/socket.h>

struct peer {
    /* name for logs and policy; the address in text when there is no verified name; "unknown" for pipes and
       terminals */
    char host[256];
    /* address in text without port; IPv4-mapped IPv6 as IPv4; "unknown" for pipes, terminals and local sockets */
    char ip[64];
    int port;
    bool local;            /* 127/8, ::1 */
};

/* Fills p from getpeername(fd). Never fails: what is not a socket is "unknown". Does not resolve names. */
void peer_of_descriptor(struct peer *p, int fd);

/* Fills p from an address (PROXY header, tests). */
void peer_of_address(struct peer *p, const struct sockaddr *address, socklen_t length);

#endif
