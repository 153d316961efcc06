/*
 * capa: the list of capabilities (RFC 2449), the same in both states and in the order of facts page 5.1. Announces
 * nothing that does not work on this connection.
 */
#ifndef PROTOCOL_CAPA_H
#define PROTOCOL_CAPA_H

#include <stdbool.h>

#include "common/outbuf.h"
#include "protocol/command.h"
#include "settings/options.h"

struct capa {
    bool user_allowed; /* USER and PASS may be used here (clear-text-password) */
    bool stls_allowed; /* STLS would be answered +OK now; RFC 2595 announces it in that state only */
    const char *sasl;  /* mechanisms of AUTH (RFC 5034); NULL or "": none */
    bool logged_in;    /* shy hides IMPLEMENTATION before that */
};

/* CAPA: the same first line in both states; the body is theirs. */
enum command_event capa_run(void *state, const struct command *command, struct answer *answer);

/* Adds the lines, without the final dot. */
void capa_list(const struct capa *capa, const struct settings *settings, struct outbuf *out);

/* Whether policy lets a password in over some connection: for those who do not know what they are on. */
bool capa_user_possible(const struct settings *settings);

#endif
