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
#include <strings.h>
#include <unistd.h>

#include "auth/auth_kerberos.h"
#include "auth/auth_passwd.h"
#include "auth/auth_secrets.h"
#include "auth/pamlink.h"
#include "auth/policy.h"
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

/* ---- owners */

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

/* ---- logins */

/* One login on its way to the verdict. Secret. */
struct login {
    const struct settings *settings;
    char name[AUTH_NAME_MAX + 1]; /* canonical; "" when it is none */
    struct policy_facts facts;
    struct auth_account account;
    struct apopdb_user secrets;
    bool no_mime;
    struct strbuf trouble; /* why the database of secrets cannot be used */
    struct strbuf said;    /* what PAM or Kerberos says about the proof; empty: nothing */
};

/* Whatever it finds it goes through all steps; at most the rest of the work differs by which line of a file matched. */
static void find_account(struct login *login)
{
    const struct settings *settings = login->settings;
    struct policy_facts *facts = &login->facts;
    const char *shown = facts->name_possible ? login->name : "nobody";
    enum auth_found found;

    facts->in_nonauth = listed_in_nonauth(settings, shown);
    facts->not_in_auth = missing_in_auth(settings, shown);
    found = auth_passwd_find(settings, shown, &login->account);
    facts->found = found == AUTH_FOUND || found == AUTH_FOUND_BROKEN;
    facts->store_broken = found == AUTH_FOUND_BROKEN || found == AUTH_NOT_FOUND_BROKEN;
    facts->account_barred = login->account.refusal[0] != '\0';
    facts->uid = login->account.user.uid;
    facts->block_uid = (uid_t)settings->block_uid;
    if (!facts->name_possible || !facts->found)
        login->account.hash[0] = '\0';
}

static enum policy_secrets find_secrets(struct login *login)
{
    enum policy_asks asks = policy_asks_database(login->facts.how, &login->facts.at);

    if (asks == POLICY_ASKS_NOTHING)
        return SECRETS_NONE;
    switch (auth_secrets_find(login->settings, login->name, asks == POLICY_NEEDS, &login->secrets, &login->trouble)) {
    case AUTH_GRANTED:
        break;
    case AUTH_UNUSABLE:
        return SECRETS_UNUSABLE;
    default:
        return SECRETS_UNAVAILABLE;
    }
    if (!login->secrets.present)
        return SECRETS_NONE;
    return login->secrets.has_secret ? SECRETS_FULL : SECRETS_VERIFIERS;
}

static void find_named(struct login *login, const char *given)
{
    login->facts.name_possible = auth_canonical_name(login->settings, given, login->name);
    find_account(login);
}

/* own_r: "" when no user can have that name. */
static bool has_other_name(const struct login *login, char own_r[AUTH_NAME_MAX + 1])
{
    return login->facts.name_possible && login->account.own_name[0] &&
           (!auth_canonical_name(login->settings, login->account.own_name, own_r) || strcmp(own_r, login->name) != 0);
}

/* Directories take other spellings of a name (case, a domain). The one that they answer with counts, so that there is one
   maildrop, and no way past lists and secrets. */
static void look_up(struct login *login, const char *given)
{
    char own[AUTH_NAME_MAX + 1];

    find_named(login, given);
    if (has_other_name(login, own) && own[0])
        find_named(login, own);
    if (has_other_name(login, own)) {
        snprintf(login->account.refusal, sizeof login->account.refusal,
                 "the name service has another name for this user, by which nobody can be served");
        login->facts.account_barred = true;
    }
    login->facts.secrets = find_secrets(login);
}

/* Whether it ended so; it does not any more. */
static bool cut_ending(char *name, const char *ending)
{
    size_t n = strlen(name), m = strlen(ending);

    if (n < m || strcasecmp(name + n - m, ending) != 0)
        return false;
    name[n - m] = '\0';
    return true;
}

/* Who it is and how he wants his mail, for all ways to log in. */
static void read_name(struct login *login, const char *given)
{
    const struct settings *settings = login->settings;
    char *name = mem_strdup(given);

    if (settings->xmangle && options_feature_built(FEATURE_GMIME)) {
        login->no_mime = cut_ending(name, AUTH_NO_MIME);
        if (settings->trim_domain && !login->no_mime) {
            name[strcspn(name, "@")] = '\0';
            login->no_mime = cut_ending(name, AUTH_NO_MIME);
        }
    }
    look_up(login, name);
    mem_free(name);
}

static void begin(struct login *login, const struct settings *settings, const struct auth_attempt *attempt)
{
    memset(login, 0, sizeof *login);
    login->settings = settings;
    login->trouble = (struct strbuf)STRBUF_INIT(STRBUF_WHY_MAX);
    login->said = (struct strbuf)STRBUF_INIT(STRBUF_WHY_MAX);
    login->facts.how = attempt->how;
    policy_connection_of(settings, attempt->tls, attempt->local, &login->facts.at);
    read_name(login, attempt->name);
}

static void finish(struct login *login)
{
    strbuf_free(&login->trouble);
    strbuf_free(&login->said);
    mem_wipe(login, sizeof *login);
}

/* ---- PAM */

/* Users of passwd-files are none of PAM's. Names that nobody has, are. */
static bool is_for_pam(const struct login *login)
{
    return pamlink_applies(login->settings) && login->facts.name_possible &&
           !(login->facts.found && login->account.user.is_virtual);
}

static void bar_account(struct login *login)
{
    snprintf(login->account.refusal, sizeof login->account.refusal, "%s", login->said.data);
    strbuf_reset(&login->said);
    login->facts.account_barred = true;
}

/* The modules have another name for the user (the same account of a directory, say): it counts, with all that speaks
   against it. */
static void take_name(struct login *login, const char *name)
{
    if (strcmp(name, login->name) == 0)
        return;
    look_up(login, name);
    if (login->account.user.is_virtual) {
        strbuf_fail(&login->said, "PAM made another user of this one, who is in passwd-file");
        bar_account(login);
    }
}

/* As long as the given one, but never empty: hashes may take their time from that. No client says it, and no user has it. */
static const char *nobodys_password(const char *given, char text_r[AUTH_PASSWORD_MAX + 1])
{
    static const char text[] = "\b\n\r\177 nobody's ";
    size_t n = strlen(given);

    if (n == 0 || n > AUTH_PASSWORD_MAX)
        n = sizeof text - 1;
    for (size_t i = 0; i < n; i++)
        text_r[i] = text[i % (sizeof text - 1)];
    text_r[n] = '\0';
    return text_r;
}

/* password: NULL when the login was proved in another way. Who may not log in anyway costs the same, but for him no
   password is right, so that no module counts it as a login. */
static enum policy_proof ask_pam(struct login *login, const struct auth_attempt *attempt, const char *password)
{
    struct pamlink_question question = { .user = login->name, .password = password, .rhost = attempt->rhost };
    char nobodys[AUTH_PASSWORD_MAX + 1];

    if (password && (policy_bars(&login->facts) || strlen(password) > AUTH_PASSWORD_MAX))
        question.password = nobodys_password(password, nobodys);
    switch (pamlink_check(login->settings, &question, &login->said)) {
    case AUTH_PAM_YES:
        take_name(login, pamlink_user());
        return PROOF_RIGHT;
    case AUTH_PAM_BARRED:
        bar_account(login);
        return PROOF_RIGHT;
    case AUTH_PAM_WRONG:
        return PROOF_WRONG;
    case AUTH_PAM_UNAVAILABLE:
        break;
    }
    return PROOF_UNAVAILABLE;
}

/* ---- the proof */

static enum policy_proof prove_password(const struct login *login, const char *password)
{
    char dummy[AUTH_HASH_MAX + 1];
    enum auth_match match;

    auth_passwd_dummy(login->settings, dummy);
    match = auth_passwd_match(login->account.hash, dummy, password);
    mem_wipe(dummy, sizeof dummy);
    if (match == AUTH_MATCH)
        return PROOF_RIGHT;
    if (match == AUTH_HASH_UNKNOWN)
        return PROOF_UNKNOWN;
    return login->account.no_password ? PROOF_IMPOSSIBLE : PROOF_WRONG;
}

/* What speaks against the account counts first anyway: then nobody's home is looked into. */
static enum policy_proof prove_ticket(struct login *login, const struct auth_attempt *attempt)
{
    struct policy_facts otherwise = login->facts;

    otherwise.proof = PROOF_RIGHT;
    if (policy_decide(&otherwise).verdict != AUTH_GRANTED)
        return PROOF_WRONG;
    switch (auth_kerberos_allows(attempt->ticket, &login->account.user, attempt->ask_home, &login->said)) {
    case 1:
        return PROOF_RIGHT;
    case 0:
        return PROOF_WRONG;
    default:
        return PROOF_UNAVAILABLE;
    }
}

static enum policy_proof prove_here(struct login *login, const struct auth_attempt *attempt)
{
    switch (attempt->how) {
    case AUTH_BY_PASSWORD:
        return is_for_pam(login) ? ask_pam(login, attempt, attempt->response) : prove_password(login, attempt->response);
    case AUTH_BY_APOP:
        return auth_secrets_digest_fits(&login->secrets, attempt->stamp, attempt->response) && attempt->stamp[0]
                   ? PROOF_RIGHT
                   : PROOF_WRONG;
    case AUTH_BY_KERBEROS:
    case AUTH_BY_GSSAPI:
        return prove_ticket(login, attempt);
    default:
        return PROOF_RIGHT;
    }
}

/* What was proved in another way is still to be judged. */
static enum policy_proof prove(struct login *login, const struct auth_attempt *attempt)
{
    enum policy_proof proof = prove_here(login, attempt);

    if (attempt->how != AUTH_BY_PASSWORD && proof == PROOF_RIGHT && is_for_pam(login) && !policy_bars(&login->facts))
        proof = ask_pam(login, attempt, NULL);
    return proof;
}

static void explain(const struct login *login, const struct auth_attempt *attempt, enum policy_reason why, struct strbuf *reason)
{
    strbuf_reset(reason);
    switch (why) {
    case REASON_DATABASE:
        strbuf_adds(reason, login->trouble.data);
        break;
    case REASON_PROOF_UNAVAILABLE:
        strbuf_adds(reason, login->said.data);
        break;
    case REASON_BARRED:
        strbuf_adds(reason, login->account.refusal);
        break;
    case REASON_LOW_UID:
        strbuf_addf(reason, "uid %lu is not above block-uid %lu", (unsigned long)login->facts.uid,
                    (unsigned long)login->facts.block_uid);
        break;
    case REASON_WRONG:
        strbuf_adds(reason, login->said.len > 0 ? login->said.data : policy_text(login->facts.how, why));
        if (attempt->ticket)
            strbuf_addf(reason, " (%s), who is neither this user in our realm nor listed in his ~/.k5login", attempt->ticket->principal);
        break;
    default:
        strbuf_adds(reason, policy_text(login->facts.how, why));
    }
}

/* A virtual user who is refused hears what a name that nobody has would hear. */
static enum auth_verdict final_verdict(const struct login *login, enum auth_verdict verdict)
{
    if (verdict == AUTH_REFUSED && login->account.user.is_virtual &&
        auth_passwd_system_broken(login->settings, login->account.user.name))
        return AUTH_UNAVAILABLE;
    return verdict;
}

enum auth_verdict auth_check(const struct settings *settings, const struct auth_attempt *attempt,
                             struct auth_user *user_r, struct strbuf *reason)
{
    struct login login;
    struct policy_decision decision;

    if (attempt->how == AUTH_AS_OWNER)
        return auth_find_owner(settings, attempt->name, user_r, reason);
    begin(&login, settings, attempt);
    login.facts.proof = prove(&login, attempt);
    decision = policy_decide(&login.facts);
    explain(&login, attempt, decision.reason, reason);
    *user_r = login.account.user;
    user_r->no_mime = login.no_mime;
    decision.verdict = final_verdict(&login, decision.verdict);
    if (attempt->only_asked)
        pamlink_end();
    else
        decision.verdict = pamlink_finish(settings, decision.verdict, reason);
    finish(&login);
    return decision.verdict;
}

void auth_look_up(const struct settings *settings, const struct auth_attempt *attempt, struct auth_user *user_r,
                  struct auth_prospect *prospect_r, struct strbuf *reason)
{
    struct login login;
    struct policy_decision decision;

    begin(&login, settings, attempt);
    login.facts.proof = PROOF_WRONG;
    prospect_r->disproved = final_verdict(&login, policy_decide(&login.facts).verdict);
    login.facts.proof = PROOF_RIGHT;
    decision = policy_decide(&login.facts);
    prospect_r->proved = decision.verdict == AUTH_REFUSED ? prospect_r->disproved : decision.verdict;
    prospect_r->closed = decision.reason == REASON_DATABASE;
    explain(&login, attempt, decision.reason, reason);
    memcpy(prospect_r->name, login.name, sizeof prospect_r->name);
    prospect_r->secrets = login.secrets;
    *user_r = login.account.user;
    user_r->no_mime = login.no_mime;
    finish(&login);
}
