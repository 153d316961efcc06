/*
 * auth: may this user log in, and as whom? The decision is policy's; the stores are behind this.
 *
 * Two axes: an account says who somebody is and whether he may log in at all (auth_passwd: passwd-files, the system's
 * users); a check says whether the client is that somebody (crypt here; PAM, secrets, Kerberos in rooms of their own).
 * AUTH_PROVED is the first axis alone, for mechanisms that bring their own check. Here facts are gathered; policy decides.
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

#include "common/apopdb.h"
#include "common/identity.h"
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
    struct identity_groups groups; /* when they were looked up: not before a login is granted */
    bool is_virtual;               /* from a passwd-file: no supplementary groups are looked up */
    bool no_mime;                  /* he added AUTH_NO_MIME to his name */
};

enum auth_verdict {
    AUTH_GRANTED,
    AUTH_REFUSED,    /* whatever the reason: unknown, wrong, locked, expired, blocked, listed in nonauth-file */
    AUTH_UNAVAILABLE, /* a store cannot be read: [SYS/TEMP], the log says what to mend. Said to everybody who is not
                         granted, so that it tells nothing. */
    AUTH_UNUSABLE     /* a store must not be used as it is (its mode, its format): [SYS/PERM], otherwise the same */
};

/* The ways to log in (policy.c has a row for each), and what else is asked about an account. */
enum auth_how {
    AUTH_BY_PASSWORD, /* USER and PASS */
    AUTH_BY_APOP,     /* RFC 1939 section 7: a digest of stamp and secret */
    AUTH_BY_CRAM_MD5, /* RFC 2195: likewise, by AUTH */
    AUTH_BY_SCRAM,    /* RFC 5802, 7677: by AUTH, with a secret or verifiers made of one */
    AUTH_BY_KERBEROS, /* USER and PASS after the ticket of KPOP; the password says nothing */
    AUTH_BY_GSSAPI,   /* RFC 4752: by AUTH, with a Kerberos ticket */
    AUTH_PROVED,      /* the caller has seen to the proof: may the account log in? */
    AUTH_AS_OWNER,    /* no login: whose mail is it? */
    AUTH_HOW_COUNT
};

struct auth_kerberos_client;

/* Whether the user's own files let that client in: 1, 0; -1 and why. Forks, so it comes from the process floor. */
typedef int auth_home_asker(const struct auth_kerberos_client *client, const struct auth_user *user, struct strbuf *why);

/* What a client has brought forward to be somebody. */
struct auth_attempt {
    enum auth_how how;
    const char *name;     /* as the client sent it: any bytes without NUL, any length */
    const char *response; /* the password, or APOP's digest; likewise */
    const char *stamp;    /* for APOP: that of the greeting; "" when it had none */
    const char *rhost;    /* for PAM: the client's address; NULL: not known */
    const struct auth_kerberos_client *ticket; /* for Kerberos: who the client proved to be */
    auth_home_asker *ask_home; /* for Kerberos; NULL: nobody's home is looked into */
    bool tls, local;      /* the connection: inside TLS, from this host itself */
    bool only_asked;      /* whether he might log in, which he does not: PAM sets no credentials, opens no session */
};

/* Behind a name, in any case, before or after the domain that trim-domain cuts: asks for all mail as plain text (facts
   page 5.5). Not part of the name, unless xmangle is off or not built. */
#define AUTH_NO_MIME "-no-mime"

/* Applies trim-domain and downcase-user and checks the syntax [A-Za-z0-9_][A-Za-z0-9._@+-]{0,63} without "..".
   False: this can be nobody's name (still goes through the motions in auth_check); name_r is "". */
bool auth_canonical_name(const struct settings *settings, const char *given, char name_r[AUTH_NAME_MAX + 1]);

/* Whose mail it is, whether he may log in or not: for work that the host does for him. name is canonical. GRANTED, or
   why he is nobody (uid 0 among them). Who is not root finds users of passwd-files and himself. */
enum auth_verdict auth_find_owner(const struct settings *settings, const char *name, struct auth_user *user_r,
                                  struct strbuf *reason);

/* A login as the attempt says: look-ups, proof, and policy_decide. reason: one phrase for the log ("no such user",
   "password expired 12 days ago", ...), empty when granted. user_r is only meant when granted. A password costs exactly
   one hash whatever the verdict; a digest costs one, too, and the account counts as for a password: who may not log in
   may not by another way. Broken stores and files are logged here. AUTH_AS_OWNER is auth_find_owner.
   With pam-service PAM proves passwords of the system's users, and judges their accounts whatever the way; it may have
   changed everything of this process afterwards (pamlink). */
enum auth_verdict auth_check(const struct settings *settings, const struct auth_attempt *attempt,
                             struct auth_user *user_r, struct strbuf *reason);

/* auth_check for ways whose proof comes later, elsewhere (AUTH_BY_CRAM_MD5, AUTH_BY_SCRAM). */
struct auth_prospect {
    char name[AUTH_NAME_MAX + 1];        /* canonical, "" when it is none */
    enum auth_verdict proved, disproved; /* the verdict then */
    bool closed;                         /* the database of secrets cannot be used, so nothing can be proved: both
                                            verdicts are the same, and for everybody */
    struct apopdb_user secrets;          /* a secret: the caller wipes it */
};

/* user_r is only meant when `proved` is GRANTED; otherwise reason says why not. PAM has not been asked then: where it
   judges logins, auth_check with AUTH_PROVED is still to follow. */
void auth_look_up(const struct settings *settings, const struct auth_attempt *attempt, struct auth_user *user_r,
                  struct auth_prospect *prospect_r, struct strbuf *reason);

#endif
