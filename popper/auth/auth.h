/*
 * auth: may this user log in, and as whom? Policy in one place, stores behind it.
 *
 * auth_check_password runs inside a short-lived child that the monitor forked (root when the shadow file is needed, which is the reason for the child): it is
 * given one name and one password, and its answer is a verdict. Every refusal costs the same and looks the same to the client; the reason is for the log only.
 * Order (facts page 7): name syntax (I9), trim-domain, downcase-user, nonauth-file, auth-file, block-uid, store, expiry.
 */
#ifndef AUTH_AUTH_H
#define AUTH_AUTH_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/strbuf.h"
#include "settings/options.h"

#define AUTH_NAME_MAX 64
#define AUTH_PASSWORD_MAX 512
#define AUTH_HOME_MAX 1024

struct auth_user {
    char name[AUTH_NAME_MAX + 1];  /* canonical: after trim-domain and downcase-user */
    uid_t uid;
    gid_t gid;
    char home[AUTH_HOME_MAX];
    bool is_virtual;               /* from a passwd-file: no supplementary groups are looked up */
};

enum auth_verdict {
    AUTH_GRANTED,
    AUTH_REFUSED,     /* whatever the reason: unknown, wrong, locked, expired, blocked, listed in nonauth-file */
    AUTH_UNAVAILABLE  /* a store cannot be read: [SYS/TEMP], the log says what to mend */
};

/* Applies trim-domain and downcase-user and checks the syntax [A-Za-z0-9_][A-Za-z0-9._@+-]{0,63} without "..".
   False: this can be nobody's name (still goes through the motions in auth_check_password). */
bool auth_canonical_name(const struct settings *settings, const char *given, char name_r[AUTH_NAME_MAX + 1]);

/* reason: one phrase for the log ("no such user", "password expired 12 days ago", ...). Takes the time of one crypt whatever the verdict. */
enum auth_verdict auth_check_password(const struct settings *settings, const char *given, const char *password, struct auth_user *user_r,
                                      struct strbuf *reason);

#endif
