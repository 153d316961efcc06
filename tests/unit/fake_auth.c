/*
 * fake_auth: see fake_auth.h.
 */
#include "tests/unit/fake_auth.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/auth.h"
#include "auth/pamlink.h"

struct fake_pam fake_pam;
volatile int *fake_sessions_open;
bool fake_wants_origin;

bool pamlink_applies(const struct settings *settings)
{
    (void)settings;
    return fake_pam.applies;
}

bool pamlink_holds_session(void)
{
    return fake_pam.session;
}

void pamlink_end(void)
{
    (*fake_sessions_open)--;
}

bool auth_canonical_name(const struct settings *settings, const char *given, char name_r[AUTH_NAME_MAX + 1])
{
    (void)settings;
    name_r[0] = '\0';
    if (strchr(given, '/') || strlen(given) > AUTH_NAME_MAX)
        return false;
    strcpy(name_r, given);
    return true;
}

enum auth_verdict auth_check(const struct settings *settings, const struct auth_attempt *attempt,
                             struct auth_user *user_r, struct strbuf *reason)
{
    const char *given = attempt->name, *password = attempt->response;

    (void)settings;
    if (fake_wants_origin && (!attempt->rhost || !attempt->local)) {
        strbuf_fail(reason, attempt->tls ? "from nowhere" : "without TLS");
        return AUTH_REFUSED;
    }
    if (attempt->how == AUTH_AS_OWNER) {
        *user_r = (struct auth_user){ .uid = 64003, .gid = 64004, .name = "owner", .home = "/home/owner" };
        return AUTH_GRANTED;
    }
    /* The right digest is the stamp that was offered. */
    if (attempt->how == AUTH_BY_APOP && strcmp(password, attempt->stamp) != 0)
        return AUTH_REFUSED;
    if (strcmp(password, "crash") == 0)
        abort();
    if (strcmp(password, "silence") == 0)
        _exit(0);
    if (strcmp(password, "hang") == 0)
        pause();
    if (strcmp(password, "session") == 0) {
        fake_pam.session = true;
        (*fake_sessions_open)++;
        usleep(300000);
    }
    if (strcmp(password, "unavailable") == 0) {
        strbuf_fail(reason, "the store is away");
        return AUTH_UNAVAILABLE;
    }
    if (strcmp(password, "unusable") == 0) {
        strbuf_fail(reason, "the store is open to all");
        return AUTH_UNUSABLE;
    }
    if (strcmp(password, "wrong") == 0) {
        strbuf_fail(reason, "wrong password");
        return AUTH_REFUSED;
    }
    *user_r = (struct auth_user){ .uid = strcmp(password, "root") == 0 ? 0 : 64001, .gid = 64002, .is_virtual = true };
    strcpy(user_r->name, strcmp(password, "path") == 0 ? "../etc/passwd" : given);
    strcpy(user_r->home, strcmp(password, "relative") == 0 ? "home" : "/home/alice");
    user_r->groups = (struct identity_groups){ .list = { 64002, strcmp(password, "nogroup") == 0 ? (gid_t)-1 : 64005 }, .n = 2 };
    if (strcmp(password, "crowd") == 0)
        user_r->groups.n = IDENTITY_GROUPS_MAX + 1;
    return AUTH_GRANTED;
}

/* alice and bob have secrets, ghost is nobody, "broken" breaks the database, "crash" the checker. */
void auth_look_up(const struct settings *settings, const struct auth_attempt *attempt, struct auth_user *user_r,
                  struct auth_prospect *prospect_r, struct strbuf *reason)
{
    bool known = strcmp(attempt->name, "alice") == 0 || strcmp(attempt->name, "bob") == 0;

    (void)settings;
    memset(prospect_r, 0, sizeof *prospect_r);
    if (strcmp(attempt->name, "crash") == 0)
        abort();
    prospect_r->closed = strcmp(attempt->name, "broken") == 0;
    prospect_r->disproved = prospect_r->closed ? AUTH_UNUSABLE : AUTH_REFUSED;
    prospect_r->proved = known ? AUTH_GRANTED : prospect_r->disproved;
    strcpy(prospect_r->name, attempt->name);
    prospect_r->secrets.has_secret = prospect_r->secrets.present = true;
    strcpy(prospect_r->secrets.secret, "tanstaaf");
    if (!known)
        strbuf_fail(reason, prospect_r->closed ? "the database is open to all" : "no such user");
    *user_r = (struct auth_user){ .uid = 64001, .gid = 64002, .home = "/home/alice" };
    strcpy(user_r->name, attempt->name);
}
