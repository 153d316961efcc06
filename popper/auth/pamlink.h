/*
 * pamlink: loads the module popper-pam.so where PAM judges logins (option pam-service), and holds the one transaction
 * that a process may have. For the process that checks a login, which must end afterwards: the module and what it loads
 * may have changed anything of it.
 */
#ifndef AUTH_PAMLINK_H
#define AUTH_PAMLINK_H

#include <stdbool.h>

#include "auth/auth.h"
#include "auth/auth_pam.h"
#include "settings/options.h"

/* Whether PAM judges the system's users: pam-service is set, and we are root. */
bool pamlink_applies(const struct settings *settings);

/* Loads the module; it logs what speaks against the service. 0, or -1 and why. */
int pamlink_look(const struct settings *settings, struct strbuf *why);

struct pamlink_question {
    const char *user;     /* canonical */
    const char *password; /* NULL: proved in another way, only the account is judged */
    const char *rhost;    /* NULL: not known */
};

/* As auth_pam_calls.check; UNAVAILABLE, too, when the module cannot be loaded. At most once in a process. */
enum auth_pam_answer pamlink_check(const struct settings *settings, const struct pamlink_question *question,
                                   struct strbuf *why);
const char *pamlink_user(void); /* after YES: the name that the modules made of the user's; borrowed, any text */

/* The login has got this verdict; if GRANTED, and PAM was asked: credentials are set and, with pam-session, a session
   opened, which may change the verdict (then with a reason). Otherwise ends the transaction, if there is one. */
enum auth_verdict pamlink_finish(const struct settings *settings, enum auth_verdict verdict, struct strbuf *reason);

/* Whether a PAM session is open now; pamlink_end closes it when the user has gone. */
bool pamlink_holds_session(void);
void pamlink_end(void);

#endif
