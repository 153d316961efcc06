/*
 * check_stores: the part of --check that looks at users, the database of secrets, bulletins and their database. See check.h.
 *
 * The stores are asked for somebody whom nobody has, as a login would ask; what cannot be read the server's code says.
 */
#include "process/check_parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/auth_secrets.h"
#include "auth/sasl.h"
#include "auth/pamlink.h"
#include "common/apopdb.h"
#include "common/file.h"
#include "common/mem.h"
#include "mail/bulletin.h"
#include "process/bulldb.h"
#include "process/privsep.h"
#include "settings/defaults.h"

#define NOBODYS_NAME "no.such.user"
#define WAIT_MS 3000 /* for a popauth that is at work */

/* ---- users */

/* In a child: what the name service and PAM load stays out of ours. */
static void check_users(struct check *c)
{
    const struct settings *s = c->settings;
    struct strbuf reason = STRBUF_INIT(STRBUF_WHY_MAX);
    unsigned before = check_count();
    const struct auth_attempt attempt = { .how = AUTH_PROVED, .name = NOBODYS_NAME, .only_asked = true };
    struct auth_user user;

    if (auth_check(s, &attempt, &user, &reason) != AUTH_REFUSED)
        check_say(CHECK_ERROR, "users: logins fail until that is mended");
    else if (check_count() == before)
        check_say(CHECK_OK, "users: %s%s%s%s", s->passwd_file.count > 0 ? "those of passwd-file, and " : "",
                  geteuid() == 0 ? "the system's" : "as root the system's", s->auth_file ? "; only those in auth-file" : "",
                  s->nonauth_file ? "; not those in nonauth-file" : "");
    strbuf_free(&reason);
}

/* Whether PAM can be had, and knows the service; what the latter lacks is logged. */
static void check_pam(struct check *c)
{
    const struct settings *s = c->settings;
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    unsigned before = check_count();

    if (pamlink_look(s, &why) < 0)
        check_say(CHECK_ERROR, "pam-service: %s; users of the system cannot log in", why.data);
    else if (check_count() == before)
        check_say(CHECK_OK, "pam-service: PAM judges the system's users by the rules for %s", s->pam_service);
    strbuf_free(&why);
}

static bool count(void *context, const char *name)
{
    size_t *n = (size_t *)context;

    (void)name;
    (*n)++;
    return true;
}

static bool offers_secrets(const struct settings *s)
{
    const struct sasl_offer offer = { .secrets = true, .barred = s->sasl_barred };
    struct strbuf list = STRBUF_INIT(SASL_LIST_MAX);
    bool some;

    sasl_list(&offer, &list);
    some = list.len > 0;
    strbuf_free(&list);
    return some;
}

/* How many there are. The file was found to be as it must be. */
static void check_secrets_in(const struct settings *s, const char *path)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    const struct passwd *owner = getpwnam(APOP_OWNER);
    struct apopdb *db;
    size_t n = 0;

    if (apopdb_open(path, owner ? owner->pw_uid : (uid_t)-1, false, WAIT_MS, &db, &why) == APOPDB_OK) {
        apopdb_list(db, count, &n, &why);
        apopdb_close(&db);
        if (n == 0 && why.len == 0)
            check_say(CHECK_WARNING, "apop-file %s holds nobody's secret, but clients are offered APOP%s, and those that prefer "
                      "one of these are refused: add users (popauth -user), or remove the file", path, offers_secrets(s) ? ", CRAM-MD5 and SCRAM" : "");
    }
    if (why.len > 0)
        check_say(CHECK_WARNING, "apop-file: %s", why.data);
    else if (n > 0)
        check_say(CHECK_OK, "apop-file %s holds secrets of %zu; all clients are offered APOP%s", path, n,
                  offers_secrets(s) ? " and AUTH by it; where only some users have secrets leave CRAM-MD5 and SCRAM out of sasl-mechanisms" : "");
    strbuf_free(&why);
}

static void check_secrets(const struct settings *s)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct apopdb_user secrets;

    if (!options_feature_built(FEATURE_APOP) || !s->apop_file)
        return;
    switch (apopdb_look(s->apop_file, &why)) {
    case APOPDB_OK:
        if (auth_secrets_find(s, NOBODYS_NAME, true, &secrets, &why) == AUTH_GRANTED)
            check_secrets_in(s, s->apop_file);
        else
            check_say(CHECK_ERROR, "apop-file: %s", why.data);
        mem_wipe(&secrets, sizeof secrets);
        break;
    case APOPDB_MISSING:
        check_say(CHECK_OK, "apop-file %s is not there: no APOP (popauth -init makes one)", s->apop_file);
        break;
    default:
        check_say(CHECK_ERROR, "apop-file: %s", why.data);
    }
    strbuf_free(&why);
}

/* Who is left where no password is taken on any connection. After a KPOP ticket the option does not count. */
static void check_clear_text(const struct settings *s)
{
    bool without_tls = s->clear_text_password == CLEAR_TEXT_TLS && s->tls_support == TLS_SUPPORT_NONE;
    bool secrets = auth_secrets_offered(s), tickets = s->gssapi && !(s->sasl_barred >> SASL_GSSAPI & 1);
    enum check_level level = secrets || tickets ? CHECK_WARNING : CHECK_ERROR;

    if (s->kerberos)
        return;
    if (without_tls)
        check_say(level, "clear-text-password = tls, but tls-support is off, so that %s%s%s%s can log in; set tls-support = stls, with a certificate, or "
                  "another clear-text-password", level == CHECK_ERROR ? "nobody" : "only who has ", secrets ? "a secret in apop-file" : "",
                  secrets && tickets ? " or " : "", tickets ? "a Kerberos ticket" : "");
    else if (s->clear_text_password == CLEAR_TEXT_NEVER && level == CHECK_ERROR)
        check_say(level, "clear-text-password = never, and there is no database of secrets, so that nobody can log in; make one (popauth -init), or set "
                  "another clear-text-password");
}

void check_stores(struct check *c)
{
    if (pamlink_applies(c->settings))
        check_in_child(c, check_pam, "PAM");
    check_in_child(c, check_users, "users");
    check_secrets(c->settings);
    check_clear_text(c->settings);
}

/* ---- bulletins */

/* As a session shows it. */
static void check_bulletin(const struct settings *s, int dir, const char *name)
{
    const struct file_rules rules = { .any_owner = true, .many_links = true };
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX), path = STRBUF_INIT(STRBUF_WHY_MAX);
    struct strbuf text = STRBUF_INIT(BULLETIN_BYTES_MAX), shown = STRBUF_INIT(2 * BULLETIN_BYTES_MAX);
    struct stat st;
    int fd;

    strbuf_addf(&path, "%s/%s", s->bulldir, name);
    fd = file_open(dir, name, path.data, O_RDONLY, 0, &rules, &st, &why);
    if (fd < 0 || file_slurp(fd, BULLETIN_BYTES_MAX, path.data, &text, &why) < 0)
        check_say(CHECK_WARNING, "bulletin not shown to everybody: %s; chmod a+r %s", why.data, path.data);
    else if (!bulletin_render(text.data, text.len, "user@host", "1.1", &shown))
        check_say(CHECK_WARNING, "bulletin not shown: %s does not begin with a From_ line (From you@here Wed Jan 10 "
                  "10:00:00 2024)", path.data);
    if (fd >= 0)
        close(fd);
    strbuf_free(&why);
    strbuf_free(&path);
    strbuf_free(&text);
    strbuf_free(&shown);
}

/* By somebody without rights: users must be able to read all of it. */
static void check_bulldir(struct check *c)
{
    const char *path = c->settings->bulldir;
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    DIR *dir = privsep_become_nobody(&why) < 0 ? NULL : opendir(path);
    unsigned before = check_count();
    const struct dirent *entry;
    uint64_t number;
    size_t count = 0;

    if (!dir) {
        check_say(CHECK_WARNING, "bulldir %s cannot be read by everybody: %s; no bulletins are shown: install -d -m 755 %s",
                  path, why.len > 0 ? why.data : strerror(errno), path);
        strbuf_free(&why);
        return;
    }
    while ((entry = readdir(dir))) {
        if (!bulletin_number(entry->d_name, &number))
            continue;
        count++;
        check_bulletin(c->settings, dirfd(dir), entry->d_name);
    }
    closedir(dir);
    if (check_count() == before)
        check_say(CHECK_OK, "bulldir %s: %zu bulletins", path, count);
    strbuf_free(&why);
}

static void check_bulldir_mode(const char *path)
{
    struct stat st;

    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & S_IWOTH))
        check_say(CHECK_ERROR, "bulldir %s: everybody can put a bulletin there for everybody (mode %04o); chmod o-w %s", path,
                  (unsigned)(st.st_mode & 07777), path);
}

static void check_bulldb(struct check *c)
{
    enum check_level level = c->settings->bulldb_nonfatal ? CHECK_WARNING : CHECK_ERROR;
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct bulldb db = { .end = -1 };
    uint64_t last;

    if (bulldb_start(&db, c->settings, NOBODYS_NAME, &why) < 0 || (db.end >= 0 && bulldb_get(&db, &last, &why) < 0))
        check_say(level, "%s", why.data);
    else if (db.end >= 0)
        check_say(CHECK_OK, "database of bulletins in %s", c->settings->bulldir);
    bulldb_end(&db);
    strbuf_free(&why);
}

void check_bulletins(struct check *c)
{
    if (!c->settings->bulldir)
        return;
    check_bulldir_mode(c->settings->bulldir);
    check_in_child(c, check_bulldir, "bulldir");
    if (options_feature_built(FEATURE_BULLDB))
        check_bulldb(c);
}
