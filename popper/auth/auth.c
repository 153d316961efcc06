/*
 * auth: see auth.h. No refusal may be quicker than another, and none may say more to the caller's client than that it
 * is one.
 */
#include "auth/auth.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/auth_passwd.h"
#include "auth/auth_secrets.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"

/* ---- names */

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool name_valid(const char *name)
{
    if (!is_letter_or_digit(name[0]) || strstr(name, ".."))
        return false;
    for (const char *at = name; *at; at++)
        if (!is_letter_or_digit(*at) && !strchr(".@+-", *at))
            return false;
    return true;
}

bool auth_canonical_name(const struct settings *settings, const char *given, char name_r[AUTH_NAME_MAX + 1])
{
    size_t length = settings->trim_domain ? strcspn(given, "@") : strlen(given);

    name_r[0] = '\0';
    if (length > AUTH_NAME_MAX)
        return false;
    for (size_t i = 0; i < length; i++)
        name_r[i] =
            settings->downcase_user && given[i] >= 'A' && given[i] <= 'Z' ? (char)(given[i] - 'A' + 'a') : given[i];
    name_r[length] = '\0';
    if (name_valid(name_r))
        return true;
    name_r[0] = '\0';
    return false;
}

/* ---- auth-file and nonauth-file */

/* The line without blanks and line end behind the name. */
static void trim_line(char *line, ssize_t n)
{
    while (n > 0 && strchr(" \t\r\n", line[n - 1]))
        line[--n] = '\0';
}

/* 1 the file lists the name, 0 it does not, -1 it cannot be read (why). */
static int list_holds(const char *path, const char *name, mode_t forbidden, struct strbuf *why)
{
    const struct file_rules rules = { .any_owner = true, .forbidden = forbidden, .many_links = true };
    struct stat st;
    int fd = file_open(AT_FDCWD, path, path, O_RDONLY, 0, &rules, &st, why);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    int found = 0;

    if (!file) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    while (!found && (n = getline(&line, &cap, file)) > 0) {
        trim_line(line, n);
        found = line[0] != '#' && strcmp(line, name) == 0;
    }
    if (ferror(file))
        found = strbuf_fail(why, "%s cannot be read: %s", path, strerror(errno));
    free(line);
    fclose(file);
    return found;
}

static bool listed_in_nonauth(const struct settings *settings, const char *name)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    int found;

    if (!settings->nonauth_file)
        return false;
    found = list_holds(settings->nonauth_file, name, 0, &why);
    if (found < 0)
        log_write(LOG_ERR, "nonauth-file cannot be read, so it denies nobody: %s", why.data);
    strbuf_free(&why);
    return found == 1;
}

static bool missing_in_auth(const struct settings *settings, const char *name)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    int found;

    if (!settings->auth_file)
        return false;
    found = list_holds(settings->auth_file, name, S_IWOTH, &why);
    if (found < 0)
        log_write(LOG_ERR, "auth-file cannot be used, so nobody may log in: %s", why.data);
    strbuf_free(&why);
    return found != 1;
}

/* ---- policy */

/* Whether the account may log in at all; else the reason. Whatever it finds it goes through all steps, at most the rest
   of the work differs by which line of a file matched. */
static enum auth_verdict find_account(const struct settings *settings, const char *given,
                                      struct auth_account *account_r, struct strbuf *reason)
{
    char name[AUTH_NAME_MAX + 1];
    bool possible = auth_canonical_name(settings, given, name);
    const char *shown = possible ? name : "nobody";
    bool denied = listed_in_nonauth(settings, shown);
    bool unlisted = missing_in_auth(settings, shown);
    enum auth_found found = auth_passwd_find(settings, shown, account_r);
    bool absent = found == AUTH_NOT_FOUND || found == AUTH_NOT_FOUND_BROKEN;
    uid_t uid = account_r->user.uid;

    strbuf_reset(reason);
    if (!possible)
        strbuf_fail(reason, "not a possible user name");
    else if (denied)
        strbuf_fail(reason, "listed in nonauth-file");
    else if (unlisted)
        strbuf_fail(reason, "not listed in auth-file");
    else if (found == AUTH_NOT_FOUND_BROKEN)
        strbuf_fail(reason, "a store of users cannot be read");
    else if (absent)
        strbuf_fail(reason, "no such user");
    else if (account_r->refusal[0])
        strbuf_fail(reason, "%s", account_r->refusal);
    else if (uid == 0)
        strbuf_fail(reason, "uid 0 may not log in");
    else if (uid <= (uid_t)settings->block_uid)
        strbuf_fail(reason, "uid %lu is not above block-uid %d", (unsigned long)uid, settings->block_uid);
    if (!possible || absent)
        account_r->hash[0] = '\0';
    if (found == AUTH_FOUND_BROKEN || found == AUTH_NOT_FOUND_BROKEN)
        return AUTH_UNAVAILABLE;
    return reason->len > 0 ? AUTH_REFUSED : AUTH_GRANTED;
}

enum auth_verdict auth_find_user(const struct settings *settings, const char *given, struct auth_user *user_r,
                                 struct strbuf *reason)
{
    struct auth_account account;
    enum auth_verdict verdict = find_account(settings, given, &account, reason);

    /* The account was found and is good; what is broken lies elsewhere. */
    if (verdict == AUTH_UNAVAILABLE && reason->len == 0)
        verdict = AUTH_GRANTED;
    *user_r = account.user;
    mem_wipe(&account, sizeof account);
    return verdict;
}

/* The system's users are looked up by root only, for their passwords; who we are ourselves is no secret. */
static bool find_myself(const char *name, struct auth_user *user_r)
{
    const struct passwd *entry = geteuid() == 0 ? NULL : getpwuid(geteuid());

    if (!entry || strcmp(entry->pw_name, name) != 0)
        return false;
    *user_r = (struct auth_user){ .uid = entry->pw_uid, .gid = entry->pw_gid };
    snprintf(user_r->name, sizeof user_r->name, "%s", name);
    return (size_t)snprintf(user_r->home, sizeof user_r->home, "%s", entry->pw_dir) < sizeof user_r->home;
}

enum auth_verdict auth_find_owner(const struct settings *settings, const char *name, struct auth_user *user_r,
                                  struct strbuf *reason)
{
    struct auth_account account;
    enum auth_found found = auth_passwd_find(settings, name, &account);
    bool absent = found == AUTH_NOT_FOUND || found == AUTH_NOT_FOUND_BROKEN;

    strbuf_reset(reason);
    *user_r = account.user;
    if (absent && find_myself(name, user_r))
        absent = false;
    else if (found == AUTH_NOT_FOUND_BROKEN)
        strbuf_fail(reason, "a store of users cannot be read");
    else if (absent)
        strbuf_fail(reason, "no such user");
    else if (user_r->home[0] != '/')
        strbuf_fail(reason, "%s", account.refusal);
    if (!absent && user_r->uid == 0)
        strbuf_fail(reason, "the user has uid 0");
    mem_wipe(&account, sizeof account);
    if (reason->len == 0)
        return AUTH_GRANTED;
    return found == AUTH_NOT_FOUND_BROKEN ? AUTH_UNAVAILABLE : AUTH_REFUSED;
}

/* With clear-text-password = default who has a secret may not send the password; REFUSED and the reason. */
static enum auth_verdict may_send_password(const struct settings *settings, const char *given, struct strbuf *reason)
{
    char name[AUTH_NAME_MAX + 1];
    struct apopdb_user secrets;
    enum auth_verdict verdict;

    if (settings->clear_text_password != CLEAR_TEXT_DEFAULT)
        return AUTH_GRANTED;
    auth_canonical_name(settings, given, name);
    verdict = auth_secrets_find(settings, name, false, &secrets, reason);
    if (verdict == AUTH_GRANTED && secrets.present) {
        strbuf_fail(reason, "has a secret in apop-file, so that clear-text-password = default lets no password in");
        verdict = AUTH_REFUSED;
    }
    mem_wipe(&secrets, sizeof secrets);
    return verdict;
}

/* A virtual user who is refused hears what a name that nobody has would hear. */
static enum auth_verdict final_verdict(const struct settings *settings, const struct auth_user *user,
                                       enum auth_verdict verdict)
{
    if (verdict == AUTH_REFUSED && user->is_virtual && auth_passwd_system_broken(settings, user->name))
        return AUTH_UNAVAILABLE;
    return verdict;
}

static const char *mismatch(const struct auth_account *account, enum auth_match match)
{
    if (match == AUTH_HASH_UNKNOWN)
        return "the hash of the password is of a kind that libcrypt does not know";
    return account->no_password ? "account is locked" : "wrong password";
}

enum auth_verdict auth_check_password(const struct settings *settings, const char *given, const char *password,
                                      struct auth_user *user_r, struct strbuf *reason)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct auth_account account;
    char dummy[AUTH_HASH_MAX + 1];
    enum auth_verdict verdict = find_account(settings, given, &account, reason);
    enum auth_verdict allowed = may_send_password(settings, given, &why);
    enum auth_match match;

    auth_passwd_dummy(settings, dummy);
    match = auth_passwd_match(account.hash, dummy, password);
    if (reason->len == 0 && match == AUTH_MATCH) {
        verdict = AUTH_GRANTED;
    } else if (reason->len == 0) {
        verdict = verdict == AUTH_GRANTED ? AUTH_REFUSED : verdict;
        strbuf_fail(reason, "%s", mismatch(&account, match));
    }
    if (allowed != AUTH_GRANTED && (verdict == AUTH_GRANTED || allowed != AUTH_REFUSED)) {
        verdict = allowed;
        strbuf_fail(reason, "%s", why.data);
    }
    *user_r = account.user;
    mem_wipe(&account, sizeof account);
    mem_wipe(dummy, sizeof dummy);
    strbuf_free(&why);
    return final_verdict(settings, user_r, verdict);
}

/* What the log says about a digest that does not fit. */
static const char *misfit(const struct apopdb_user *secrets)
{
    if (secrets->has_secret)
        return "wrong digest (APOP)";
    return secrets->present ? "has verifiers for SCRAM only, but APOP needs a secret" : "no secret in apop-file";
}

enum auth_verdict auth_check_apop(const struct settings *settings, const char *given, const char *stamp,
                                  const char *digest, struct auth_user *user_r, struct strbuf *reason)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct apopdb_user secrets;
    char name[AUTH_NAME_MAX + 1];
    enum auth_verdict verdict = auth_find_user(settings, given, user_r, reason), found;
    bool fits;

    auth_canonical_name(settings, given, name);
    found = auth_secrets_find(settings, name, true, &secrets, &why);
    fits = auth_secrets_digest_fits(&secrets, stamp, digest) && stamp[0];
    if (found != AUTH_GRANTED) {
        verdict = found;
        strbuf_fail(reason, "%s", why.data);
    } else if (verdict == AUTH_GRANTED && !fits) {
        verdict = AUTH_REFUSED;
        strbuf_fail(reason, "%s", misfit(&secrets));
    }
    mem_wipe(&secrets, sizeof secrets);
    strbuf_free(&why);
    return final_verdict(settings, user_r, verdict);
}

enum auth_verdict auth_check(const struct settings *settings, const struct auth_attempt *attempt,
                             struct auth_user *user_r, struct strbuf *reason)
{
    if (attempt->how == AUTH_AS_OWNER)
        return auth_find_owner(settings, attempt->name, user_r, reason);
    if (attempt->how == AUTH_BY_APOP)
        return auth_check_apop(settings, attempt->name, attempt->stamp, attempt->response, user_r, reason);
    return auth_check_password(settings, attempt->name, attempt->response, user_r, reason);
}
