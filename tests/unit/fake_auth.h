/*
 * fake_auth: auth and PAM for tests of what asks them: the password says what happens.
 */
#ifndef TESTS_UNIT_FAKE_AUTH_H
#define TESTS_UNIT_FAKE_AUTH_H

#include <stdbool.h>

/* A PAM whose session is opened by the password "session", slowly. */
extern struct fake_pam {
    bool applies, session;
} fake_pam;

extern volatile int *fake_sessions_open; /* in all processes */
extern bool fake_wants_origin;           /* an attempt that does not say where it comes from is refused */

#endif
