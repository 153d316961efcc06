/*
 * checker_message: what the monitor and the process that checks passwords say to each other: an attempt, unless fork has
 * brought it along, and the verdict.
 */
#ifndef PROCESS_CHECKER_MESSAGE_H
#define PROCESS_CHECKER_MESSAGE_H

#include "auth/auth.h"
#include "auth/auth_sasl.h"
#include "common/strbuf.h"
#include "settings/options.h"
#include "wire/privmsg.h"

#define CHECKER_REASON_MAX 300

/* All of an attempt but a ticket. 0, or -1 as privmsg_send. */
int checker_send_attempt(int end, const struct auth_attempt *attempt);

/* m as received; it must stay as long as the attempt does. False when it is none. */
bool checker_take_attempt(struct privmsg *m, struct auth_attempt *attempt_r);

/* stays: the process holds a PAM session. Nobody waits for it who does not read this. */
void checker_send_verdict(int end, enum auth_verdict verdict, const struct auth_user *user, const struct strbuf *reason,
                          const struct auth_sasl *sasl, bool stays);

/* Believes nothing: who is granted has a canonical name, ids that are not root's, groups that fit and an absolute home; otherwise the
   answer is broken, which is UNAVAILABLE. *stays_r is set when GRANTED. */
enum auth_verdict checker_read_verdict(const struct settings *settings, struct privmsg *m, struct auth_user *user_r,
                                       struct strbuf *reason, struct auth_sasl *sasl_r, bool *stays_r);

#endif
