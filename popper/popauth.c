/*
 * popauth: keeps the database of secrets for APOP, CRAM-MD5 and SCRAM. See popauth(8).
 *
 * Users may run it with the rights of the database's owner (set-uid), so: all that was inherited is put right first
 * (setuid.h), files that the caller names are opened as the caller, who may do what is decided in one function, the
 * question for the secret comes before the lock, what was looked up before it is looked up again under the lock, and during
 * a change no signal arrives. While a database is locked nothing is written anywhere else: the caller could make that last.
 * Nothing here writes a secret anywhere but into the database.
 */
#include <config.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/apopdb.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/prompt.h"
#include "common/setuid.h"
#include "popauth_args.h"
#include "popauth_say.h"
#include "settings/defaults.h"

#define WAIT_MS 10000 /* for the lock */
#define LIST_MAX ((size_t)1 << 30) /* more than any database has names */

/* ---- saying things */

static int complain(int status, const char *text)
{
    popauth_say(POPAUTH_SAY_ERROR, text);
    return status;
}

static int complain_why(int status, struct strbuf *why)
{
    complain(status, why->data);
    strbuf_free(why);
    return status;
}

static void debug(const struct job *job, const char *text)
{
    popauth_say(job->debug ? POPAUTH_SAY_DEBUG : POPAUTH_SAY_LOG, text);
}

/* What changed, on stdout, and for the administrator's log with who did it. */
static void report(const struct job *job, const char *what)
{
    struct strbuf shown = STRBUF_INIT(300);

    log_escape(&shown, job->name, strlen(job->name), sizeof job->name);
    printf("%s %s\n", what, shown.data);
    log_write(LOG_NOTICE, "%s \"%s\" in %s, by uid %ld", what, shown.data, job->file, (long)job->ids.caller);
    strbuf_free(&shown);
}

/* ---- who may do what */

/* The caller's own name in name, from the user database. */
static bool find_own_name(struct job *job)
{
    struct passwd *pw = getpwuid(job->ids.caller);

    if (!pw || strlen(pw->pw_name) > APOPDB_NAME_MAX)
        return false;
    strcpy(job->name, pw->pw_name);
    return true;
}

static bool is_caller(const struct job *job, const char *name)
{
    struct passwd *pw = getpwnam(name);

    return pw && pw->pw_uid == job->ids.caller;
}

/* Whom it is about, in name. A status. */
static int find_user(struct job *job)
{
    if (job->list_all)
        return DONE;
    job->is_own = true;
    if (!job->user && !find_own_name(job))
        return complain(FORBIDDEN, "your user id has no name in the user database; ask the administrator");
    if (!job->user)
        return DONE;
    if (!apopdb_name_valid(job->user))
        return complain(USAGE, "a user's name has 1 to 64 bytes, and starts with no blank or control character");
    strcpy(job->name, job->user);
    job->is_own = is_caller(job, job->name);
    return DONE;
}

/* Whether the caller may do anything to the database: the super-user, its owner, and who names one with -file and has no
   other rights than his own (the kernel then decides). */
static bool rules_database(const struct job *job, uid_t file_owner)
{
    return job->ids.caller == 0 || job->ids.caller == file_owner || (!job->ids.elevated && job->file_given);
}

/* The rules of popauth(8). file_owner: whose the database is. A status. */
static int check_rights(const struct job *job, uid_t file_owner)
{
    if (rules_database(job, file_owner))
        return DONE;
    if (job->task == TASK_DELETE)
        return complain(FORBIDDEN, "only the super-user and the owner of the database may remove a user");
    if (job->list_all)
        return complain(FORBIDDEN, "only the super-user and the owner of the database may list everybody");
    if (!job->is_own)
        return complain(FORBIDDEN, "only the super-user and the owner of the database may do that to another user");
    return DONE;
}

/* ---- opening */

static void find_owner(struct job *job)
{
    struct passwd *pw = getpwnam(APOP_OWNER);

    job->owner = pw ? pw->pw_uid : (uid_t)-1;
    job->owner_group = pw ? pw->pw_gid : 0;
}

/* Locked until close_database, which is to be called in any case. */
static int open_database(const struct job *job, bool change, struct apopdb **db_r)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    enum apopdb_result result = apopdb_open(job->file, job->owner, change, WAIT_MS, db_r, &why);

    popauth_say_later();
    if (result != APOPDB_OK)
        return complain_why(NO_DATABASE, &why);
    debug(job, change ? "opened the database for a change" : "opened the database");
    return DONE;
}

static void close_database(struct apopdb **db)
{
    apopdb_close(db);
    popauth_say_now();
}

/* What is stored of the user, without his secret, and whether the caller may change it. */
static int judge(const struct job *job, struct apopdb *db, struct apopdb_user *user_r)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    int status = check_rights(job, apopdb_owner(db));

    if (status == DONE && apopdb_find(db, job->name, user_r, &why) != APOPDB_OK)
        status = complain(NO_DATABASE, why.data);
    else if (status == DONE && !user_r->present && job->task == TASK_DELETE)
        status = complain(UNKNOWN_USER, "there is no such user in the database");
    else if (status == DONE && !user_r->present && !rules_database(job, apopdb_owner(db)))
        status = complain(UNKNOWN_USER, "you are not in the database; ask the administrator to add you");
    mem_wipe(user_r->secret, sizeof user_r->secret);
    strbuf_free(&why);
    return status;
}

static int look_up(const struct job *job)
{
    struct apopdb_user user;
    struct apopdb *db;
    int status = open_database(job, false, &db);

    if (status == DONE)
        status = judge(job, db, &user);
    close_database(&db);
    return status;
}

/* ---- changing */

enum change { CHANGE_SECRET, CHANGE_SCRAM, CHANGE_DELETE };

/* Who has verifiers keeps having them and nothing else. */
static enum change choose(const struct job *job, const struct apopdb_user *user)
{
    if (job->task == TASK_DELETE)
        return CHANGE_DELETE;
    return job->scram || (user->present && !user->has_secret && user->scram[SCRAM_SHA256].iterations > 0) ? CHANGE_SCRAM : CHANGE_SECRET;
}

static enum apopdb_result apply(struct apopdb *db, const char *name, enum change change, const char *secret,
                                struct strbuf *why)
{
    switch (change) {
    case CHANGE_SECRET:
        return apopdb_set_secret(db, name, secret, why);
    case CHANGE_SCRAM:
        return apopdb_set_scram(db, name, secret, why);
    default:
        return apopdb_delete(db, name, why);
    }
}

static int commit(const struct job *job, struct apopdb *db, enum change change, const char *secret)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    enum apopdb_result result = apply(db, job->name, change, secret, &why);

    if (result == APOPDB_OK)
        result = apopdb_commit(db, &why);
    if (result != APOPDB_OK)
        return complain_why(NO_DATABASE, &why);
    return DONE;
}

/* Nobody can interrupt this: the caller's signals are blocked, and from now on he may send none. Since he was asked for the
   secret an administrator may have removed him. */
static int make_change(const struct job *job, const char *secret)
{
    static const char *const told[][2] = { [CHANGE_SECRET] = { "added secret of", "changed secret of" },
                                           [CHANGE_SCRAM] = { "added SCRAM verifiers of", "changed SCRAM verifiers of" },
                                           [CHANGE_DELETE] = { "removed", "removed" } };
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    enum change change = CHANGE_SECRET;
    struct apopdb_user user;
    struct apopdb *db;
    sigset_t all;
    int status;

    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    if (setuid_forget_caller(&job->ids, &why) < 0)
        return complain_why(NO_DATABASE, &why);
    status = open_database(job, true, &db);
    if (status == DONE)
        status = judge(job, db, &user);
    if (status == DONE) {
        change = choose(job, &user);
        status = commit(job, db, change, secret);
    }
    close_database(&db);
    if (status == DONE)
        report(job, told[change][user.present]);
    return status;
}

/* The secret of the command line, or asked for. A status. */
static int get_secret(const struct job *job, struct strbuf *secret)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX), ask = STRBUF_INIT(200);
    int result = 0;

    strbuf_addf(&ask, "New secret for %s: ", job->name);
    if (job->password)
        strbuf_adds(secret, job->password);
    else
        result = prompt_secret(ask.data, "Again: ", secret, &why);
    if (job->password && secret->cut)
        result = strbuf_fail(&why, "the secret is longer than %d bytes", APOPDB_SECRET_MAX);
    else if (result == 0 && secret->len == 0)
        result = strbuf_fail(&why, "an empty secret protects nothing");
    else if (result == 0 && !apopdb_secret_valid(secret->data))
        result = strbuf_fail(&why, "the secret holds control characters, which no client could send");
    strbuf_free(&ask);
    if (result < 0)
        complain(BAD_SECRET, why.data);
    strbuf_free(&why);
    return result < 0 ? BAD_SECRET : DONE;
}

static int change(struct job *job)
{
    struct strbuf secret = STRBUF_INIT(APOPDB_SECRET_MAX);
    int status = look_up(job);

    if (status == DONE)
        status = get_secret(job, &secret);
    if (status == DONE)
        status = make_change(job, secret.data);
    strbuf_free(&secret);
    return status;
}

/* ---- listing */

struct names {
    char (*all)[APOPDB_NAME_MAX + 1];
    size_t count, room;
};

static bool collect(void *context, const char *name)
{
    struct names *names = context;

    mem_reserve(&names->all, &names->room, names->count + 1, sizeof *names->all);
    strcpy(names->all[names->count++], name);
    return true;
}

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* A line in text. */
static enum apopdb_result show(struct apopdb *db, const char *name, struct strbuf *text, struct strbuf *why)
{
    struct apopdb_user user;
    enum apopdb_result result = apopdb_find(db, name, &user, why);
    bool scram = user.scram[SCRAM_SHA1].iterations > 0 || user.scram[SCRAM_SHA256].iterations > 0;

    if (result == APOPDB_OK && user.present) {
        log_escape(text, name, strlen(name), APOPDB_NAME_MAX);
        strbuf_addf(text, "\t%s\n", user.has_secret ? "APOP" : scram ? "SCRAM" : "unusable");
    }
    mem_wipe(&user, sizeof user);
    return result;
}

static enum apopdb_result show_all(struct apopdb *db, struct strbuf *text, struct strbuf *why)
{
    struct names names = { 0 };
    enum apopdb_result result = apopdb_list(db, collect, &names, why);
    size_t i;

    if (names.count > 0)
        qsort(names.all, names.count, sizeof *names.all, compare);
    for (i = 0; i < names.count && result == APOPDB_OK; i++)
        result = show(db, names.all[i], text, why);
    mem_free(names.all);
    return result;
}

static int list_from(const struct job *job, struct apopdb *db, struct strbuf *text)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    int status = check_rights(job, apopdb_owner(db));

    if (status != DONE)
        return status;
    if ((job->list_all ? show_all(db, text, &why) : show(db, job->name, text, &why)) != APOPDB_OK)
        return complain_why(NO_DATABASE, &why);
    if (!job->list_all && text->len == 0)
        return complain(UNKNOWN_USER, "there is no such user in the database");
    return DONE;
}

static int list(struct job *job)
{
    struct strbuf text = STRBUF_INIT(LIST_MAX);
    struct apopdb *db;
    int status = open_database(job, false, &db);

    if (status == DONE)
        status = list_from(job, db, &text);
    close_database(&db);
    fputs(text.data, stdout);
    strbuf_free(&text);
    return status;
}

/* ---- a new database */

/* Asks before secrets are thrown away, where there is somebody to ask. */
static bool may_replace(const struct job *job)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX), ask = STRBUF_INIT(1000);
    bool there = apopdb_look(job->file, &why) != APOPDB_MISSING, yes = true;

    if (there && prompt_at_terminal()) {
        strbuf_addf(&ask, "There is a database %s. Throw away all secrets in it? (yes or no) ", job->file);
        yes = prompt_yes(ask.data);
    }
    strbuf_free(&why);
    strbuf_free(&ask);
    return yes;
}

static int init(struct job *job)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    bool super = job->ids.caller == 0;
    uid_t owner = super && job->owner != (uid_t)-1 ? job->owner : job->ids.uid;
    gid_t group = super ? job->owner_group : job->ids.gid;
    enum apopdb_result result;

    if (!super && (job->ids.elevated || !job->file_given))
        return complain(FORBIDDEN, "only the super-user may make a database");
    if (!job->safe && !may_replace(job))
        return complain(FORBIDDEN, "nothing was done");
    result = apopdb_create(job->file, owner, group, !job->safe, WAIT_MS, &why);
    if (result == APOPDB_EXISTS) {
        printf("%s is there already; nothing was done\n", job->file);
        strbuf_free(&why);
        return DONE;
    }
    if (result != APOPDB_OK)
        return complain_why(NO_DATABASE, &why);
    printf("made an empty database %s\n", job->file);
    log_write(LOG_NOTICE, "made an empty database %s, by uid %ld", job->file, (long)job->ids.caller);
    if (super && job->owner == (uid_t)-1)
        printf("there is no user " APOP_OWNER ", so it belongs to root: nobody else can change secrets\n");
    return DONE;
}

/* ---- */

/* The trace file is opened with the caller's rights: it is he who names it (CVE-2001-1487). */
static int open_trace(const struct job *job)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX), later = STRBUF_INIT(STRBUF_WHY_MAX);
    int result;

    if (!job->trace)
        return DONE;
    result = setuid_wear_caller(&job->ids, &why);
    if (result == 0)
        result = log_trace_open(job->trace, &why);
    if (setuid_wear_own(&job->ids, &later) < 0)
        return complain_why(NO_DATABASE, &later);
    return result < 0 ? complain_why(FORBIDDEN, &why) : DONE;
}

static int start(struct job *job)
{
    if (job->file_given && job->ids.elevated && job->ids.caller != 0)
        return complain(FORBIDDEN, "-file is refused while popauth has more rights than you");
    log_open("popauth", LOG_AUTH);
    log_set_debug(job->debug || job->trace);
    find_owner(job);
    return open_trace(job);
}

static int run(struct job *job)
{
    int status = start(job);

    if (status == DONE && job->task != TASK_INIT)
        status = find_user(job);
    if (status != DONE)
        return status;
    switch (job->task) {
    case TASK_INIT:
        return init(job);
    case TASK_LIST:
        return list(job);
    case TASK_DELETE:
        status = look_up(job);
        return status == DONE ? make_change(job, NULL) : status;
    default:
        return change(job);
    }
}

int main(int argc, char **argv)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct job job = { .task = TASK_CHANGE, .file = DEFAULT_APOP_FILE };
    int status;

    if (setuid_begin(&job.ids, &why) < 0)
        return complain_why(FORBIDDEN, &why);
    if (!popauth_args_read(&job, argc, argv, &why)) {
        fprintf(stderr, "popauth: %s\n%s", why.data, popauth_usage);
        status = USAGE;
    } else if (job.task == TASK_HELP) {
        status = fputs(popauth_usage, stdout) < 0 ? USAGE : DONE;
    } else if (job.task == TASK_VERSION) {
        printf("popauth of popper %s\n", PACKAGE_VERSION);
        status = DONE;
    } else {
        status = run(&job);
    }
    if (job.password)
        mem_free_secret(job.password, strlen(job.password));
    /* A change that could not be told is a change all the same. */
    if (fflush(stdout) != 0 && status == DONE && job.task >= TASK_LIST)
        status = complain(NO_DATABASE, "the output cannot be written");
    return status;
}
