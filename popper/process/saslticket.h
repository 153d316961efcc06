/*
 * saslticket: what the process of saslstate does for AUTH GSSAPI: it needs the service's keys, so it prepares with the
 * rights that it was started with, and gives them up before it is given the client's first message.
 */
#ifndef PROCESS_SASLTICKET_H
#define PROCESS_SASLTICKET_H

#include <sys/types.h>

#include "auth/auth_kerberos.h"
#include "auth/sasl.h"
#include "settings/options.h"

#define SASLTICKET_SERVICE "pop" /* RFC 5034 section 4 */

/* Loads the modules, copies the keys into memory, and enters the jail of the replay cache (SANDBOX_GSSAPI). 0; or -1 and why: the
   process must end. */
int saslticket_enter(const struct settings *settings, pid_t parent, struct strbuf *why);

/* The client's next message. client_r and authzid_r: who it is, when PROVED. */
enum sasl_outcome saslticket_step(const char *token, size_t n, struct strbuf *reply, struct auth_kerberos_client *client_r,
                                  char authzid_r[SASL_NAME_MAX + 1], struct strbuf *why);

#endif
