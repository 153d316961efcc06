/*
 * proxyheader: the header of the PROXY protocol, version 1 (text) and 2 (binary), by which a proxy says who its client
 * is (HAProxy's doc/proxy-protocol.txt). Parses bytes of strangers: only processes without rights call it.
 */
#ifndef WIRE_PROXYHEADER_H
#define WIRE_PROXYHEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/strbuf.h"
#include "settings/options.h"
#include "wire/peer.h"

#define PROXYHEADER_MAX 4096 /* bytes; extensions (TLVs) beyond that are refused */

enum proxyheader_result {
    PROXYHEADER_MORE,    /* *more_r further bytes belong to it for certain: reading them never reads beyond it */
    PROXYHEADER_CLIENT,  /* the client's address is known */
    PROXYHEADER_UNKNOWN, /* there is a client, but not of IPv4 or IPv6 by TCP, or the proxy does not know */
    PROXYHEADER_LOCAL,   /* the proxy itself: a health check */
    PROXYHEADER_BAD      /* no header, or a broken one; why says */
};

struct proxyheader_client {
    char ip[64]; /* in text, as peer has it */
    uint16_t port;
};

/* Looks at the first n bytes of a connection. */
enum proxyheader_result proxyheader_parse(const void *bytes, size_t n, size_t *more_r,
                                          struct proxyheader_client *client_r, struct strbuf *why);

/* Whether the address is in one of the networks (option proxy-networks). */
bool proxyheader_expected(const struct option_list *networks, const struct peer *peer);

#endif
