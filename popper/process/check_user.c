/*
 * check_user: the part of --check that looks at one user: may he log in and how; what a session would find in his maildrop and
 * beside it. See check.h.
 *
 * Rights: accounts and secrets are looked up as a login does it; everything that is the user's, and every file in a
 * directory where he can make some, by a child that has become him for good.
 */
#include "process/check_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/auth_passwd.h"
#include "auth/auth_sasl.h"
#include "auth/auth_secrets.h"
#include "auth/pamlink.h"
#include "auth/policy.h"
#include "common/identity.h"
#include "common/mem.h"
#include "mail/maildrop_look.h"
#include "process/become.h"
#include "process/bulldb.h"
#include "process/keeper_bulletins.h"
#include "process/keeper_files.h"
#include "process/keeper_lock.h"
#include "process/keeper_options.h"

/* ---- the login */

/* By AUTH only, and sasl-mechanisms names no mechanism that does it. */
static bool is_barred(const struct settings *s, enum auth_how how)
{
    bool by_auth = false;

    if (how == AUTH_BY_PASSWORD)
        return false;
    for (int m = 0; m < SASL_MECHANISMS; m++)
        if (auth_sasl_how((enum sasl_mechanism)m) == how) {
            by_auth = true;
            if (!(s->sasl_barred >> m & 1))
                return false;
        }
    return by_auth;
}

/* Over which connections this way may be used, whoever comes; NULL: over none. */
static const char *offered_where(const struct settings *s, enum auth_how how)
{
    struct policy_connection plain, tls, local;

    policy_connection_of(s, false, false, &plain);
    policy_connection_of(s, true, false, &tls);
    policy_connection_of(s, false, true, &local);
    if (!policy_way(how) || is_barred(s, how) || (policy_asks_database(how, &plain) == POLICY_NEEDS && !auth_secrets_offered(s)))
        return NULL;
    if (policy_offers(how, &plain) == POLICY_OFFERED)
        return "over every connection";
    if (s->tls_support != TLS_SUPPORT_NONE && policy_offers(how, &tls) == POLICY_OFFERED)
        return "inside TLS";
    if (policy_offers(how, &local) == POLICY_OFFERED)
        return "from this host itself";
    return NULL;
}

/* PAM knows passwords that we cannot see. */
static bool has_password(const struct settings *s, const char *name)
{
    struct auth_account account;
    bool has;

    auth_passwd_find(s, name, &account);
    has = account.hash[0] != '\0' || (pamlink_applies(s) && !account.user.is_virtual);
    mem_wipe(&account, sizeof account);
    return has;
}

/* What would be said to somebody who brings the right proof. */
static bool is_a_way(const struct settings *s, enum auth_how how, const char *name, struct strbuf *reason)
{
    const struct auth_attempt attempt = { .how = how, .name = name, .tls = true, .local = true };
    struct auth_prospect prospect;
    struct auth_user user;
    bool granted;

    auth_look_up(s, &attempt, &user, &prospect, reason);
    granted = prospect.proved == AUTH_GRANTED;
    if (!granted && prospect.proved != AUTH_REFUSED)
        check_say(CHECK_ERROR, "%s by %s: %s", name, policy_way(how), reason->data);
    mem_wipe(&prospect, sizeof prospect);
    return granted;
}

static void tell_ways(const struct settings *s, const char *name)
{
    struct strbuf reason = STRBUF_INIT(STRBUF_WHY_MAX);
    unsigned ways = 0;

    for (int how = 0; how < AUTH_HOW_COUNT; how++) {
        const char *where = offered_where(s, (enum auth_how)how);
        bool works;

        if (!where)
            continue;
        works = is_a_way(s, (enum auth_how)how, name, &reason);
        if (works && how == AUTH_BY_PASSWORD && !has_password(s, name)) {
            strbuf_fail(&reason, "has no password");
            works = false;
        }
        if (works)
            check_say(CHECK_OK, "%s may log in by %s %s", name, policy_way((enum auth_how)how), where);
        else
            check_say(CHECK_OK, "%s may not log in by %s: %s", name, policy_way((enum auth_how)how), reason.data);
        ways += works;
    }
    if (ways == 0)
        check_say(CHECK_WARNING, "%s has no way to log in: neither a password that may be sent nor a secret", name);
    strbuf_free(&reason);
}

/* Whom a login by the given name is about, as auth has it: the name service's own name for him counts. */
static bool find_name(const struct check *c, char name_r[AUTH_NAME_MAX + 1])
{
    struct auth_account account;
    char own[AUTH_NAME_MAX + 1];

    if (!auth_canonical_name(c->settings, c->given, name_r))
        return false;
    auth_passwd_find(c->settings, name_r, &account);
    if (account.own_name[0] && auth_canonical_name(c->settings, account.own_name, own))
        strcpy(name_r, own);
    mem_wipe(&account, sizeof account);
    return true;
}

/* In a child: PAM may change anything of a process. */
static void look_at_login(struct check *c)
{
    struct strbuf reason = STRBUF_INIT(STRBUF_WHY_MAX);
    const struct auth_attempt attempt = { .how = AUTH_PROVED, .name = c->given, .only_asked = true };
    char name[AUTH_NAME_MAX + 1];
    struct auth_user user;

    find_name(c, name);
    if (auth_check(c->settings, &attempt, &user, &reason) == AUTH_GRANTED) {
        check_say(CHECK_OK, "%s may log in: uid %ld, gid %ld, home %s%s", name, (long)user.uid, (long)user.gid, user.home,
                  user.is_virtual ? ", of a passwd-file" : "");
        tell_ways(c->settings, name);
    } else if (geteuid() != 0 && strcmp(reason.data, policy_text(AUTH_PROVED, REASON_NO_USER)) == 0)
        check_say(CHECK_WARNING, "whether %s may log in is looked up by root only", name);
    else
        check_say(CHECK_ERROR, "%s may not log in: %s", name, reason.data);
}

/* Who is refused may have mail all the same. */
static void find_owner(struct check *c, const char *name)
{
    struct strbuf reason = STRBUF_INIT(STRBUF_WHY_MAX);

    c->user_found = auth_find_owner(c->settings, name, &c->user, &reason) == AUTH_GRANTED;
    if (!c->user_found)
        check_say(CHECK_ERROR, "%s: %s; his maildrop is not looked at", name, reason.data);
    else if (geteuid() != 0 && c->user.uid != geteuid()) {
        check_say(CHECK_WARNING, "the maildrop of %s is not looked at: only root and uid %ld may", name,
                  (long)c->user.uid);
        c->user_found = false;
    }
    strbuf_free(&reason);
}

void check_login(struct check *c)
{
    char name[AUTH_NAME_MAX + 1];

    if (!find_name(c, name)) {
        check_say(CHECK_ERROR, "\"%s\" can be nobody's name", c->given);
        return;
    }
    if (strcmp(name, c->given) != 0)
        check_say(CHECK_OK, "%s logs in as %s", c->given, name);
    check_in_child(c, look_at_login, name);
    find_owner(c, name);
}

/* ---- the maildrop */

static void check_session(const struct place *index, int fd)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    if (fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
        check_say(CHECK_OK, "%s: a session is open (process %ld)", index->shown, (long)lock.l_pid);
}

static void tell_view(const struct settings *s, const struct keeper_files *f, const struct maildrop_view *v)
{
    static const char *const states[] = { "not of use: the next login reads all of the maildrop", "valid",
                                          "to be verified by the next login", "valid, mail came since" };
    const struct places *p = &f->places;
    struct stat st;

    check_say(v->moving ? CHECK_WARNING : CHECK_OK, "%s%s%s: %zu messages, %llu octets%s", p->file[MAILFILE_DROP].shown,
              f->open.drop < 0 ? " (not there yet)" : "", s->server_mode ? ", in server mode" : "", v->messages,
              (unsigned long long)v->octets, v->moving ? "; somebody was changing it, ask again" : "");
    if (!s->index)
        check_say(CHECK_OK, "no index is kept (reset index): each login reads all of the maildrop");
    else if (f->open.index < 0)
        check_say(CHECK_OK, "%s: no index yet", p->index.shown);
    else if (f->open.drop >= 0)
        check_say(CHECK_OK, "%s: the index is %s", p->index.shown, states[v->index]);
    if (f->open.drop >= 0 && fstat(f->open.drop, &st) == 0 && (st.st_mode & S_IROTH))
        check_say(CHECK_WARNING, "%s can be read by everybody (mode %04o); chmod o-r %s", p->file[MAILFILE_DROP].shown,
                  (unsigned)(st.st_mode & 07777), p->file[MAILFILE_DROP].shown);
}

static void look_at_drop(struct check *c, const struct settings *s, struct keeper_files *f, struct bulldb *db)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct keeper_bulletins bulletins = { 0 };
    struct maildrop_view view;

    if (s->bulldir && keeper_bulletins_find(&bulletins, f, db, c->host, &why) < 0)
        check_say(s->bulldb_nonfatal ? CHECK_WARNING : CHECK_ERROR, "bulletins: %s", why.data);
    else if (f->open.bulletins)
        check_say(CHECK_OK, "%zu new bulletins", f->open.bulletins->count);
    /* Nothing that parses what users wrote holds the spool's group. */
    if (identity_forget_gid(&why) < 0) {
        check_say(CHECK_ERROR, "%s", why.data);
        return;
    }
    if (f->open.journal)
        check_journal(&f->places.file[MAILFILE_JOURNAL]);
    if (maildrop_look(&f->open, s, &view, &why) == MAILDROP_OK)
        tell_view(s, f, &view);
    else
        check_say(CHECK_ERROR, "%s", why.data);
    strbuf_free(&why);
}

/* As places.c does it at a login. */
static bool will_be_made(const struct settings *s, const struct place *place)
{
    return place->error == ENOENT && s->hash_spool > 0 && s->check_hash_dir;
}

/* said: check_directories has spoken about temp-dir. */
static void check_places(const struct settings *s, const struct places *p, bool said)
{
    const struct place *drop = &p->file[MAILFILE_DROP], *temp = &p->file[MAILFILE_TEMPDROP];

    if (drop->dir < 0)
        check_say(CHECK_ERROR, "%s: the directory cannot be opened: %s", drop->shown, strerror(drop->error));
    else
        check_locks(s, drop->dir, drop->shown);
    if (temp->dir < 0 && !s->server_mode && !said && !will_be_made(s, temp))
        check_say(CHECK_WARNING, "%s: the directory cannot be opened: %s; sessions send mail from the maildrop itself", temp->shown,
                  strerror(temp->error));
    if (p->index.dir < 0 && s->index && !(said && !s->cache_dir) && !will_be_made(s, &p->index))
        check_say(CHECK_WARNING, "%s: the directory cannot be opened: %s; no index", p->index.shown,
                  strerror(p->index.error));
}

/* In a child. Before rights are gone, the database of bulletins. */
static void look_as_user(struct check *c)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct bulldb db = { .end = -1 };
    struct settings *own;
    struct keeper_files f;
    enum maildrop_status found;
    bool said;

    if (bulldb_start(&db, c->settings, c->user.name, &why) < 0)
        check_say(c->settings->bulldb_nonfatal ? CHECK_WARNING : CHECK_ERROR, "bulletins: %s", why.data);
    if (become_user(c->settings, &c->user, &why) < 0) {
        check_say(CHECK_ERROR, "%s is not served: %s", c->user.name, why.data);
        return;
    }
    own = keeper_options_read(c->settings, &c->user);
    said = c->no_temp_dir && own->temp_dir && strcmp(own->temp_dir, c->no_temp_dir) == 0;
    found = keeper_files_look(&f, own, &c->user, &why);
    if (found != MAILDROP_OK && will_be_made(own, &f.places.file[MAILFILE_DROP]))
        check_say(CHECK_OK, "%s: its directory is not there yet; the first login makes it (check-hash-dir)", f.places.file[MAILFILE_DROP].shown);
    else if (found != MAILDROP_OK)
        check_say(CHECK_ERROR, "%s", why.data);
    else {
        check_session(&f.places.index, f.open.index);
        check_beside(&f.places);
        check_places(own, &f.places, said);
        if (!keeper_lock_possible(&f, own) && !(said && (!own->index || !own->cache_dir)))
            check_say(CHECK_ERROR, "%s cannot have a session: neither %s nor %s can be made, and one of them carries its lock; make the "
                      "directory with mode 1777, or 2775 and a group such as mail", c->user.name, f.places.index.shown,
                      f.places.file[MAILFILE_TEMPDROP].shown);
        look_at_drop(c, own, &f, &db);
    }
    bulldb_end(&db);
    strbuf_free(&why);
}

void check_maildrop(struct check *c)
{
    check_in_child(c, look_as_user, c->user.name);
}
