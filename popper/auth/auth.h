/*
 * auth: may this user log in, and as whom? Policy in one place, stores behind it.
 *
 * Two axes: an account says who somebody is and whether he may log in at all (auth_passwd: passwd-files, the system's
 * users); a check says whether the client is that somebody (crypt here; PAM, secrets, Kerberos in rooms of their own).
 * auth_find_user is the first axis alone, for mechanisms that bring their own check; auth_check_password is both.
 *
 * These run inside a short-lived child that the monitor forked (root when the shadow file is needed, which is the
 * reason for the child): it is given one name and one password (or digest), and its answer is a verdict. Every refusal
 * costs the same and looks the same to the client; the reason is for the log only. Order (facts page 7): name syntax
 * (I9), trim-domain, downcase-user, nonauth-file, auth-file, store, block-uid, expiry.
 */
#ifndef AUTH_AUTH_H
#define AUTH_AUTH_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/strbuf.h"
#include "settings/options.h"

#define AUTH_NAME_MAX 64
#define AUTH_PASSWORD_MAX 511 /* bytes; longer ones are nobody's (the limit of crypt) */
#define AUTH_HOME_MAX 1024

struct auth_user {
    char name[AUTH_NAME_MAX + 1];  /* canonical: after trim-domain and downcase-user */
    uid_t uid;                     /* never 0 */
    gid_t gid;
    char home[AUTH_HOME_MAX];      /* absolute */
    bool is_virtual;               /* from a passwd-file: no supplementary groups are looked up */
};

enum auth_verdict {
    AUTH_GRANTED,
    AUTH_REFUSED,    /* whatever the reason: unknown, wrong, locked, expired, blocked, listed in nonauth-file */
    AUTH_UNAVAILABLE, /* a store cannot be read: [SYS/TEMP], the log says what to mend. Said to everybody who is not
                         granted, so that it tells nothing. */
    AUTH_UNUSABLE     /* a store must not be used as it is (its mode, its format): [SYS/PERM], otherwise the same */
};

/* What a client has brought forward to be somebody. */
struct auth_attempt {
    enum auth_how { AUTH_BY_PASSWORD, AUTH_BY_APOP, AUTH_AS_OWNER /* no check: whose mail is it? */ } how;
    const char *name;     /* as the client sent it */
    const char *response; /* the password, or APOP's digest */
    const char *stamp;    /* for APOP: that of the greeting; "" when it had none */
};

/* Applies trim-domain and downcase-user and checks the syntax [A-Za-z0-9_][A-Za-z0-9._@+-]{0,63} without "..".
   False: this can be nobody's name (still goes through the motions in auth_check_password); name_r is "". */
bool auth_canonical_name(const struct settings *settings, const char *given, char name_r[AUTH_NAME_MAX + 1]);

/* The account and the policy, without a password. user_r is only meant when granted. */
enum auth_verdict auth_find_user(const struct settings *settings, const char *given, struct auth_user *user_r,
                                 struct strbuf *reason);

/* Whose mail it is, whether he may log in or not: for work that the host does for him. name is canonical. GRANTED, or
   why he is nobody (uid 0 among them). Who is not root finds users of passwd-files and himself. */
enum auth_verdict auth_find_owner(const struct settings *settings, const char *name, struct auth_user *user_r,
                                  struct strbuf *reason);

/* given and password: any bytes without NUL, any length. reason: one phrase for the log ("no such user", "password
   expired 12 days ago", ...), empty when granted. Makes exactly one hash of a password whatever the verdict. Broken
   stores and files are logged here. */
enum auth_verdict auth_check_password(const struct settings *settings, const char *given, const char *password,
                                      struct auth_user *user_r, struct strbuf *reason);

/* APOP (RFC 1939 section 7): the digest of stamp and secret. The secret stands in for the password of the account only:
   who may not log in may not by APOP either. */
enum auth_verdict auth_check_apop(const struct settings *settings, const char *given, const char *stamp,
                                  const char *digest, struct auth_user *user_r, struct strbuf *reason);

/* Whichever of these the attempt is for. */
enum auth_verdict auth_check(const struct settings *settings, const struct auth_attempt *attempt,
                             struct auth_user *user_r, struct strbuf *reason);

#endif
