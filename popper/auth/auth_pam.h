/*
 * auth_pam: the contract between auth and the module popper-pam.so (auth_pam.c), the only code that knows PAM. The
 * server does not link libpam: only a process that checks a login, with pam-service set, loads the module.
 *
 * PAM proves and judges; who the user is (uid, gid, home) is for the name service to say. The module calls strbuf, mem
 * and log of the program that loads it (popper/module.syms), and code of the site: whatever it does, the process that
 * called it must end.
 */
#ifndef AUTH_AUTH_PAM_H
#define AUTH_AUTH_PAM_H

#include <stdbool.h>

#include "common/strbuf.h"

#define AUTH_PAM_MODULE_NAME "popper-pam.so"
#define AUTH_PAM_MODULE_SYMBOL "auth_pam_calls"
#define AUTH_PAM_TTY "pop3" /* there is no terminal, but modules want to hear of one */

struct auth_pam; /* a transaction */

/* What PAM is asked. All borrowed; user, password and rhost for the call only. */
struct auth_pam_question {
    const char *service;  /* the file in /etc/pam.d */
    const char *user;     /* canonical */
    const char *password; /* NULL: proved in another way; only the account is judged */
    const char *rhost;    /* the client's address, PAM_RHOST; NULL: not known */
    bool expired_may;     /* a password that must be changed does not matter */
};

enum auth_pam_answer {
    AUTH_PAM_YES,
    AUTH_PAM_WRONG,       /* unknown user, wrong password, or modules that did not do their work: all the same */
    AUTH_PAM_BARRED,      /* the account may not log in */
    AUTH_PAM_UNAVAILABLE  /* PAM cannot be used, whoever the user is */
};

struct auth_pam_calls {
    const char *version; /* first: module_find looks at it */

    void (*look)(const char *service); /* logs that there are no rules for it, if so; check does, too */

    /* Authenticates (with a password) and judges the account. pam_r is to be ended by the caller whatever the answer,
       and may be NULL. why: a phrase for the log unless YES. No delay of PAM's happens here. */
    enum auth_pam_answer (*check)(const struct auth_pam_question *question, struct auth_pam **pam_r,
                                  struct strbuf *why);

    /* The name that the modules made of the user's; borrowed, any text. */
    const char *(*user)(struct auth_pam *pam);

    /* After YES: sets credentials and, if asked, opens a session. */
    enum auth_pam_answer (*establish)(struct auth_pam *pam, bool session, struct strbuf *why);

    /* Closes the session and deletes the credentials, if there are any, and ends the transaction. */
    void (*end)(struct auth_pam **pam);
};

extern const struct auth_pam_calls auth_pam_calls; /* in the module, to be found by its name */

#endif
