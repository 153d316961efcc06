/*
 * auth_secrets: see auth_secrets.h. It must never let a secret stay in memory that it gives back, nor tell by the work
 * it does who has one.
 */
#include "auth/auth_secrets.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/digest.h"
#include "common/mem.h"
#include "settings/defaults.h"

#define WAIT_MS 3000 /* for a popauth that is changing it */

/* A test or demo server without root does not count the host's database, which it may not read, as its own. */
static bool is_others(const char *path)
{
    return geteuid() != 0 && access(path, R_OK) < 0 && errno == EACCES;
}

static bool is_configured(const struct settings *settings)
{
    return options_feature_built(FEATURE_APOP) && settings->apop_file && settings->apop_file[0] &&
           !is_others(settings->apop_file);
}

bool auth_secrets_offered(const struct settings *settings)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    bool offered = is_configured(settings) && apopdb_look(settings->apop_file, &why) == APOPDB_OK;

    strbuf_free(&why);
    return offered;
}

void auth_secrets_stamp(const char *host, char stamp_r[AUTH_STAMP_MAX])
{
    uint32_t random;

    digest_random(&random, sizeof random);
    snprintf(stamp_r, AUTH_STAMP_MAX, "<%ld.%lld%09lu@%.250s>", (long)getpid(), (long long)time(NULL),
             (unsigned long)random % 1000000000, host);
}

static enum auth_verdict verdict_of(enum apopdb_result result)
{
    switch (result) {
    case APOPDB_OK:
        return AUTH_GRANTED;
    case APOPDB_UNSAFE:
    case APOPDB_FOREIGN:
        return AUTH_UNUSABLE;
    default:
        return AUTH_UNAVAILABLE;
    }
}

/* Only root has somebody's database before him. */
static uid_t owner_uid(void)
{
    struct passwd *pw = geteuid() == 0 ? getpwnam(APOP_OWNER) : NULL;

    return pw ? pw->pw_uid : (uid_t)-1;
}

static enum apopdb_result look_up(const char *path, const char *name, struct apopdb_user *user_r, struct strbuf *why)
{
    struct apopdb *db;
    enum apopdb_result result = apopdb_look(path, why);

    /* Most sites have none: the name service, which may be slow about a user it does not know, is not asked then. */
    if (result == APOPDB_MISSING)
        return result;
    result = apopdb_open(path, owner_uid(), false, WAIT_MS, &db, why);
    if (result == APOPDB_OK)
        result = apopdb_find(db, name, user_r, why);
    apopdb_close(&db);
    return result;
}

enum auth_verdict auth_secrets_find(const struct settings *settings, const char *name, bool needed,
                                    struct apopdb_user *user_r, struct strbuf *why)
{
    enum apopdb_result result = APOPDB_MISSING;

    memset(user_r, 0, sizeof *user_r);
    if (is_configured(settings))
        result = look_up(settings->apop_file, name, user_r, why);
    else
        strbuf_fail(why, "there is no database of secrets");
    if (result == APOPDB_MISSING && !needed)
        result = APOPDB_OK;
    return verdict_of(result);
}

bool auth_secrets_digest_fits(const struct apopdb_user *user, const char *stamp, const char *digest)
{
    struct strbuf text = STRBUF_INIT(AUTH_STAMP_MAX + APOPDB_SECRET_MAX), hex = STRBUF_INIT(2 * DIGEST_MD5_SIZE);
    unsigned char right[DIGEST_MD5_SIZE];
    bool fits;

    strbuf_adds(&text, stamp);
    strbuf_adds(&text, user->has_secret ? user->secret : "a secret that nobody has");
    digest_md5(text.data, text.len, right);
    digest_hex(&hex, right, sizeof right);
    fits = strlen(digest) == hex.len && mem_equal(digest, hex.data, hex.len) && user->has_secret;
    mem_wipe(right, sizeof right);
    strbuf_free(&hex);
    strbuf_free(&text);
    return fits;
}
