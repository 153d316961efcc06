/*
 * auth_secrets: the database of secrets (apopdb) as a store: who is in it, and whether the client of an APOP command
 * knows the secret. Who may log in is for auth to say.
 */
#ifndef AUTH_AUTH_SECRETS_H
#define AUTH_AUTH_SECRETS_H

#include <stdbool.h>

#include "auth/auth.h"
#include "common/apopdb.h"

#define AUTH_STAMP_MAX 300 /* bytes of "<PID.TIME@HOST>" */

/* Whether APOP is to be offered: the database is there and looks as it must. By a look at its name, which costs next
   to nothing; what else is wrong with it shows when somebody uses it. */
bool auth_secrets_offered(const struct settings *settings);

/* A stamp that nobody can foresee and that is not made twice (RFC 1939 section 7, form of facts page 4.1). */
void auth_secrets_stamp(const char *host, char stamp_r[AUTH_STAMP_MAX]);

/* What is stored of a canonical name; the caller wipes it. GRANTED: it was looked up, and user_r->present tells;
   UNAVAILABLE or UNUSABLE and why: what to mend. No database: nobody is in it, unless `needed`: then UNAVAILABLE. */
enum auth_verdict auth_secrets_find(const struct settings *settings, const char *name, bool needed,
                                    struct apopdb_user *user_r, struct strbuf *why);

/* Whether digest (hexadecimal MD5) is that of stamp and the user's secret. Users without one cost the same. */
bool auth_secrets_digest_fits(const struct apopdb_user *user, const char *stamp, const char *digest);

#endif
