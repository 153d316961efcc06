/*
 * checker: a login is checked, or an account looked up, in a process of its own, so that password, shadow file, secrets
 * and the stores' libraries are gone when it ends.
 */
#ifndef PROCESS_CHECKER_H
#define PROCESS_CHECKER_H

#include "auth/auth.h"
#include "auth/auth_sasl.h"
#include "common/strbuf.h"
#include "settings/options.h"

#define CHECKER_WAIT_MS 60000 /* for slow stores; then the process is killed and the verdict is UNAVAILABLE */

/* Forks, waits, and believes nothing but a well-formed answer. asker: whoever wants to know; when that end is closed
   by the other side the check is abandoned; -1: nobody. user_r is filled when GRANTED; reason is for the log.
   session_r: a descriptor; the PAM session of the user is closed when the last copy of it is. Usually -1. */
enum auth_verdict checker_run(const struct settings *settings, const struct auth_attempt *attempt, int asker,
                              struct auth_user *user_r, int *session_r, struct strbuf *reason);

/* Looks a user up for an exchange of SASL. */
struct checker_record {
    enum sasl_mechanism mechanism;
    int to; /* where the record is sent (saslstate_send_record), unless there can be no exchange */
};

/* The same for auth_sasl_find. What this returns is the verdict for who proves to be that user, and user_r who that is:
   the only one whose record was handed out. */
enum auth_verdict checker_find(const struct settings *settings, const char *given, const struct checker_record *wanted,
                               int asker, struct auth_user *user_r, struct auth_sasl *sasl_r, struct strbuf *reason);

/* What a check that let somebody in leaves is taken apart by the kernel while he is served; this waits for it, and ends
   who waits for an attempt (checker_ahead). */
void checker_finish(void);

#endif
