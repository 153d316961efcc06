/*
 * cmd_xtnd: what Qpopper adds to the TRANSACTION state: XTND XLST, XLIST and XMIT, EUIDL (facts page 4.2, 5.4).
 * Handlers for cmd_mail's table; their state is struct transaction. Never sees how the user logged in, TLS, or the other processes.
 */
#ifndef PROTOCOL_CMD_XTND_H
#define PROTOCOL_CMD_XTND_H

#include "protocol/command.h"

#define CMD_XTND_MESSAGE_MAX (UINT64_C(256) << 20) /* bytes of a message that XTND XMIT takes */

/* XTND XLST header [msg], XTND XLIST header [msg], XTND XMIT. */
enum command_event cmd_xtnd_run(void *state, const struct command *command, struct answer *answer);
enum command_event cmd_xtnd_body(void *state, const struct command *command, struct outbuf *out);

/* EUIDL [msg]: like UIDL, with size and sender behind the unique id. */
enum command_event cmd_xtnd_run_euidl(void *state, const struct command *command, struct answer *answer);
enum command_event cmd_xtnd_body_euidl(void *state, const struct command *command, struct outbuf *out);

#endif
