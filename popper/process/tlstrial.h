/*
 * tlstrial: the tls-* options and their files, tried in a process of its own as a session would.
 */
#ifndef PROCESS_TLSTRIAL_H
#define PROCESS_TLSTRIAL_H

#include "common/strbuf.h"
#include "settings/options.h"

/* What is wrong but does not keep TLS from working is logged. 0 (also without tls-support), or -1 and why. */
int tlstrial_check(const struct settings *settings, struct strbuf *why);

/* The same, and logs what clients will find at the certificates of a server of that name: names, issuers, times. */
int tlstrial_examine(const struct settings *settings, const char *host, struct strbuf *why);

#endif
