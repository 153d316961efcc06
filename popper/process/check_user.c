/*
 * check_user: the doctor's look at one user: may he log in and how; what a session would find in his maildrop and
 * beside it. See check.h.
 *
 * Rights: accounts and secrets are looked up as a login does it; everything that is the user's, and every file in a
 * directory where he can make some, by a child that has become him for good.
 */
#include "process/check_parts.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/auth_passwd.h"
#include "auth/auth_secrets.h"
#include "common/identity.h"
#include "common/mem.h"
#include "mail/maildrop_look.h"
#include "process/become.h"
#include "process/bulldb.h"
#include "process/keeper_bulletins.h"
#include "process/keeper_files.h"
#include "process/keeper_options.h"

/* ---- the login */

static const char *who_may_send(const struct settings *s, const struct apopdb_user *secrets)
{
    switch (s->clear_text_password) {
    case CLEAR_TEXT_NEVER:
        return "not in clear text (clear-text-password = never)";
    case CLEAR_TEXT_LOCAL:
        return "from this host only (clear-text-password = local)";
    case CLEAR_TEXT_TLS:
        return s->tls_support == TLS_SUPPORT_NONE ? "never: clear-text-password = tls, and tls-support is off"
                                                  : "inside TLS (clear-text-password = tls)";
    case CLEAR_TEXT_DEFAULT:
        return secrets->present ? "not at all: who has a secret does not (clear-text-password = default)" : "anywhere";
    case CLEAR_TEXT_ALWAYS:
        break;
    }
    return "anywhere";
}

/* What the account and the database of secrets have to compare with. */
static void tell_means(const struct settings *s, const char *name)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct auth_account account;
    struct apopdb_user secrets;
    bool has_hash;

    auth_passwd_find(s, name, &account);
    has_hash = account.hash[0] != '\0';
    mem_wipe(&account, sizeof account);
    if (auth_secrets_find(s, name, false, &secrets, &why) != AUTH_GRANTED)
        check_say(CHECK_ERROR, "%s: %s", name, why.data);
    if (has_hash)
        check_say(CHECK_OK, "%s has a password, which may be sent: %s", name, who_may_send(s, &secrets));
    if (secrets.present)
        check_say(CHECK_OK, "%s is in apop-file: %s", name, secrets.has_secret ? "APOP" : "SCRAM only");
    if (!has_hash && !secrets.present)
        check_say(CHECK_WARNING, "%s has neither a password nor a secret to log in with", name);
    mem_wipe(&secrets, sizeof secrets);
    strbuf_free(&why);
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
    struct strbuf reason = STRBUF_INIT(STRBUF_WHY_MAX);
    const struct auth_attempt attempt = { .how = AUTH_PROVED, .name = c->given, .only_asked = true };
    char name[AUTH_NAME_MAX + 1];
    struct auth_user user;

    if (!auth_canonical_name(c->settings, c->given, name)) {
        check_say(CHECK_ERROR, "\"%s\" can be nobody's name", c->given);
        return;
    }
    if (strcmp(name, c->given) != 0)
        check_say(CHECK_OK, "%s logs in as %s", c->given, name);
    if (auth_check(c->settings, &attempt, &user, &reason) == AUTH_GRANTED) {
        check_say(CHECK_OK, "%s may log in: uid %ld, gid %ld, home %s%s", name, (long)user.uid, (long)user.gid, user.home,
                  user.is_virtual ? ", of a passwd-file" : "");
        tell_means(c->settings, name);
    } else if (geteuid() != 0 && strcmp(reason.data, "no such user") == 0)
        check_say(CHECK_WARNING, "whether %s may log in is looked up by root only", name);
    else
        check_say(CHECK_ERROR, "%s may not log in: %s", name, reason.data);
    find_owner(c, name);
    strbuf_free(&reason);
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
        check_say(CHECK_WARNING, "%s can be read by everybody (mode %04o); chmod o-r", p->file[MAILFILE_DROP].shown,
                  (unsigned)(st.st_mode & 07777));
}

static void look_at_drop(struct check *c, const struct settings *s, struct keeper_files *f, struct bulldb *db)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct keeper_bulletins bulletins = { 0 };
    struct maildrop_view view;

    if (f->open.journal)
        check_journal(&f->places.file[MAILFILE_JOURNAL]);
    else if (s->bulldir && keeper_bulletins_find(&bulletins, f, db, c->host, &why) < 0)
        check_say(s->bulldb_nonfatal ? CHECK_WARNING : CHECK_ERROR, "bulletins: %s", why.data);
    else if (f->open.bulletins)
        check_say(CHECK_OK, "%zu new bulletins", f->open.bulletins->count);
    /* Nothing that parses what users wrote holds the spool's group. */
    if (identity_forget_gid(&why) < 0)
        check_say(CHECK_ERROR, "%s", why.data);
    else if (maildrop_look(&f->open, s, &view, &why) == MAILDROP_OK)
        tell_view(s, f, &view);
    else
        check_say(CHECK_ERROR, "%s", why.data);
    strbuf_free(&why);
}

static void check_places(const struct settings *s, const struct places *p)
{
    const struct place *drop = &p->file[MAILFILE_DROP], *temp = &p->file[MAILFILE_TEMPDROP];

    if (drop->dir < 0)
        check_say(CHECK_ERROR, "%s: the directory cannot be opened: %s", drop->shown, strerror(drop->error));
    else
        check_locks(s, drop->dir, drop->shown);
    if (temp->dir < 0 && !s->server_mode)
        check_say(CHECK_WARNING, "%s: the directory cannot be opened: %s; sessions read the maildrop itself", temp->shown,
                  strerror(temp->error));
    if (p->index.dir < 0 && s->index)
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

    if (bulldb_start(&db, c->settings, c->user.name, &why) < 0)
        check_say(c->settings->bulldb_nonfatal ? CHECK_WARNING : CHECK_ERROR, "bulletins: %s", why.data);
    if (become_user(c->settings, &c->user, &why) < 0) {
        check_say(CHECK_ERROR, "%s is not served: %s", c->user.name, why.data);
        return;
    }
    own = keeper_options_read(c->settings, &c->user);
    if (keeper_files_look(&f, own, &c->user, &why) != MAILDROP_OK)
        check_say(CHECK_ERROR, "%s", why.data);
    else {
        check_session(&f.places.index, f.open.index);
        check_beside(&f.places);
        check_places(own, &f.places);
        look_at_drop(c, own, &f, &db);
    }
    bulldb_end(&db);
    strbuf_free(&why);
}

void check_maildrop(struct check *c)
{
    check_in_child(c, look_as_user, c->user.name);
}
