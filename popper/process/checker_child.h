/*
 * checker_child: the process that checks one login, or looks one account up, and answers with a verdict (checker_message).
 */
#ifndef PROCESS_CHECKER_CHILD_H
#define PROCESS_CHECKER_CHILD_H

#include "auth/auth.h"
#include "process/checker.h"
#include "settings/options.h"

/* After the fork. end: of the pair to whoever waits for the verdict. wanted: NULL, or the record that is looked up instead. life: the end of a pipe that closes
   when the session is over, for a PAM session; -1: there can be none. */
_Noreturn void checker_child_check(const struct settings *settings, const struct auth_attempt *attempt,
                                   const struct checker_record *wanted, int end, int life);

/* The same for one that was made before there is an attempt: waits for it at `end`. Who made it and has none closes his end. */
_Noreturn void checker_child_wait(const struct settings *settings, int end);

#endif
