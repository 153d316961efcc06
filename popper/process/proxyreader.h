/*
 * proxyreader: the process that reads the PROXY protocol header of a connection from a listed proxy, before anything
 * else (TLS included) happens on it.
 */
#ifndef PROCESS_PROXYREADER_H
#define PROCESS_PROXYREADER_H

#include <stdbool.h>

#include "settings/options.h"
#include "wire/peer.h"

#define PROXYREADER_SECONDS 10 /* a proxy sends it at once; less when preauth-timeout is less */

/* Reads the header from descriptor 0, and no byte more, when peer is in proxy-networks; peer becomes who it names.
   Otherwise nothing happens. False: the connection is to be closed; why was logged. */
bool proxyreader_run(const struct settings *settings, struct peer *peer);

#endif
