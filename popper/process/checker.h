/*
 * checker: a login is checked, or an account looked up, in a process of its own, so that password, shadow file, secrets
 * and the stores' libraries are gone when it ends.
 */
#ifndef PROCESS_CHECKER_H
#define PROCESS_CHECKER_H

#include "auth/auth.h"
#include "common/strbuf.h"
#include "settings/options.h"

#define CHECKER_WAIT_MS 60000 /* for slow stores; then the process is killed and the verdict is UNAVAILABLE */

/* Forks, waits, and believes nothing but a well-formed answer. asker: whoever wants to know; when that end is closed
   by the other side the check is abandoned; -1: nobody. user_r is filled when GRANTED; reason is for the log.
   session_r: a descriptor; the PAM session of the user is closed when the last copy of it is. Usually -1. */
enum auth_verdict checker_run(const struct settings *settings, const struct auth_attempt *attempt, int asker,
                              struct auth_user *user_r, int *session_r, struct strbuf *reason);

#endif
