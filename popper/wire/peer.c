/*
 * peer: see peer.h. Asks the kernel, never the resolver.
 */
#include "wire/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static void from_ipv4(struct peer *p, const struct in_addr *address)
{
    inet_ntop(AF_INET, address, p->ip, sizeof p->ip);
    p->local = ntohl(address->s_addr) >> 24 == 127;
}

static void from_ipv6(struct peer *p, const struct in6_addr *address)
{
    struct in_addr mapped;

    if (IN6_IS_ADDR_V4MAPPED(address)) {
        memcpy(&mapped, address->s6_addr + 12, sizeof mapped);
        from_ipv4(p, &mapped);
        return;
    }
    inet_ntop(AF_INET6, address, p->ip, sizeof p->ip);
    p->local = IN6_IS_ADDR_LOOPBACK(address);
}

void peer_of_address(struct peer *p, const struct sockaddr *address, socklen_t length)
{
    struct sockaddr_storage copy = { .ss_family = AF_UNSPEC }; /* aligned, whatever was given */

    memset(p, 0, sizeof *p);
    snprintf(p->ip, sizeof p->ip, "unknown");
    if (length > sizeof copy)
        length = sizeof copy;
    memcpy(&copy, address, length);
    if (copy.ss_family == AF_INET && length >= sizeof(struct sockaddr_in)) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&copy;

        from_ipv4(p, &in->sin_addr);
        p->port = ntohs(in->sin_port);
    } else if (copy.ss_family == AF_INET6 && length >= sizeof(struct sockaddr_in6)) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&copy;

        from_ipv6(p, &in6->sin6_addr);
        p->port = ntohs(in6->sin6_port);
    }
    snprintf(p->host, sizeof p->host, "%s", p->ip);
}

void peer_of_descriptor(struct peer *p, int fd)
{
    struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
    socklen_t length = sizeof address;

    if (getpeername(fd, (struct sockaddr *)&address, &length) == 0) {
        peer_of_address(p, (struct sockaddr *)&address, length);
        return;
    }
    memset(p, 0, sizeof *p);
    snprintf(p->ip, sizeof p->ip, "unknown");
    snprintf(p->host, sizeof p->host, "unknown");
}
