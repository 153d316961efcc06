/*
 * cmd_mangle: RETR, TOP and LIST with XMANGLE as their last argument, and RETR and TOP of a user who logged in with
 * -no-mime: the message as text (facts page 5.5). The commands themselves are cmd_mail's; here is what differs.
 *
 * What is said about the size of a converted message is the size that RETR sends of it (I6).
 */
#ifndef PROTOCOL_CMD_MANGLE_H
#define PROTOCOL_CMD_MANGLE_H

#include "protocol/transaction.h"

/* Whether XMANGLE and -no-mime do something here. */
bool cmd_mangle_offered(const struct settings *settings);

/* Looks whether the last argument is one, which the command then has *count_r without; sets t->mangle. least,
   most: how many arguments the command takes without it. Not COMMAND_OK: the answer says why (bad syntax, not offered, wrong number). */
enum command_event cmd_mangle_modifier(struct transaction *t, const struct command *command, size_t least,
                                       size_t most, const char *usage, size_t *count_r, struct answer *answer);

/* Converts message number as t->mangle says, in place of the +OK of RETR and TOP: COMMAND_OK_BODY, or the answer says
   why not, and the session goes on (COMMAND_ERR) or ends. */
enum command_event cmd_mangle_run(struct transaction *t, uint64_t number, struct answer *answer);

/* Sends what cmd_mangle_run converted, at most so many lines of its body. COMMAND_OK or COMMAND_CLOSE. */
enum command_event cmd_mangle_send(struct transaction *t, uint64_t lines, struct outbuf *out);

/* LIST n XMANGLE: COMMAND_OK and the answer, or as cmd_mangle_run. */
enum command_event cmd_mangle_size(struct transaction *t, uint64_t number, struct answer *answer);

/* The lines of LIST XMANGLE. A message that could not be converted (the log says why) is listed with its own size. */
enum command_event cmd_mangle_list(struct transaction *t, struct outbuf *out);

#endif
