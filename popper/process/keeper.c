/*
 * keeper: see keeper.h.
 *
 * Rights of this role: real, effective and saved uid of the user, his groups, and where only the spool's group may make
 * files in spool-dir, that group as saved gid, raised around single calls (places_spool_gid). Never root again. It has
 * no sandbox and may not have no_new_privs, because sendmail, which it will start, may be set-gid; it is not dumpable.
 * It parses neither maildrop nor journal nor a byte from the client, and closes the client's descriptors when the
 * session runs. What the session says counts as hostile: files are named by role, a table says what is answered.
 */
#include "process/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <config.h>

#include "common/file.h"
#include "common/identity.h"
#include "common/log.h"
#include "common/maillock.h"
#include "common/mem.h"
#include "process/bulldb.h"
#include "process/child.h"
#include "process/keeper_bulletins.h"
#include "process/keeper_files.h"
#include "process/keeper_options.h"
#include "process/request.h"
#include "process/sandbox.h"
#include "process/session.h"
#include "process/xmit.h"
#include "wire/privmsg.h"

#define REFRESH_MS 30000      /* how often a held dot lock is touched */
#define UPDATE_WAIT_MS 10000
#define LOGIN_WAIT_MS 3000
#define SETTLE_MAX_MS 5000
#define RECORDS_MAX 20000     /* log records of one session; more is an attack on the disk */

struct keeper {
    const struct keeper_start *start;
    struct settings *settings;  /* the user's own copy */
    struct keeper_files files;
    struct keeper_bulletins bulletins;
    struct bulldb bulldb;
    char *no_bulldb;            /* why a database that should be there cannot be used; or NULL */
    struct maillock *lock;
    int end;                    /* our end to the child */
    int letter;                 /* file of XTND XMIT, -1 */
    unsigned records;
    struct strbuf *complaint;   /* the last error that the child logged, for who waits for recovery; NULL */
    bool done;                  /* the child said how it ends */
    bool gone;                  /* it closed its end */
    int status;
};

/* ---- signals: the session decides what they mean */

static volatile pid_t child;
static volatile sig_atomic_t waiting; /* a signal to end that came before there was a session */

static void pass_on(int number)
{
    int saved = errno;

    if (child > 0)
        kill(child, number);
    else if (number != SIGURG)
        waiting = number;
    errno = saved;
}

static void handle_signals(void)
{
    const int passed[] = { SIGURG, SIGTERM, SIGHUP, SIGINT };
    struct sigaction act = { .sa_handler = pass_on };
    size_t i;

    for (i = 0; i < sizeof passed / sizeof *passed; i++)
        sigaction(passed[i], &act, NULL);
}

/* ---- answering the session */

static void answer_file(struct keeper *k, int error, const struct strbuf *why, int fd)
{
    struct privmsg answer;

    privmsg_init(&answer, REQUEST_ANSWER);
    privmsg_put_number(&answer, (uint64_t)error);
    privmsg_put_text(&answer, error ? why->data : "");
    if (fd >= 0)
        privmsg_put_fd(&answer, fd);
    privmsg_send(k->end, &answer);
    answer.fd = -1;
    privmsg_free(&answer);
}

static void answer_number(struct keeper *k, uint64_t n, const char *text)
{
    struct privmsg answer;

    privmsg_init(&answer, REQUEST_ANSWER);
    privmsg_put_number(&answer, n);
    if (text)
        privmsg_put_text(&answer, text);
    privmsg_send(k->end, &answer);
    privmsg_free(&answer);
}

static void serve_log(struct keeper *k, struct privmsg *m)
{
    int priority = (int)privmsg_get_number(m);
    size_t n;
    const char *text = privmsg_get_bytes(m, LOG_RECORD_MAX, &n);

    if (privmsg_complete(m) && k->records++ < RECORDS_MAX)
        log_record(priority, text, n);
    if (k->complaint && !m->bad && priority == LOG_ERR)
        strbuf_fail(k->complaint, "%.*s", (int)n, text);
}

static void serve_lock(struct keeper *k, struct privmsg *m)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    bool updating = privmsg_get_number(m) == 1;
    enum maillock_result result = MAILLOCK_OK;

    if (!privmsg_complete(m))
        return;
    if (!maillock_held(k->lock))
        result = maillock_acquire(k->lock, k->files.open.drop, updating ? UPDATE_WAIT_MS : LOGIN_WAIT_MS, &why);
    if (result == MAILLOCK_OK && !keeper_files_same_drop(&k->files, &why)) {
        maillock_release(k->lock);
        result = MAILLOCK_ERROR;
    }
    answer_number(k, result, why.data);
    strbuf_free(&why);
}

static void serve_unlock(struct keeper *k, struct privmsg *m)
{
    (void)m;
    maillock_release(k->lock);
    answer_number(k, 0, NULL);
}

static void serve_lock_is_ours(struct keeper *k, struct privmsg *m)
{
    bool ours = maillock_held(k->lock) && maillock_is_ours(k->lock);

    (void)m;
    if (ours)
        maillock_refresh(k->lock);
    answer_number(k, ours, NULL);
}

/* The role that the message names; MAILFILE_COUNT and bad when there is none such. */
static enum mailfile get_role(struct privmsg *m)
{
    uint64_t which = privmsg_get_number(m);

    if (which < MAILFILE_COUNT)
        return (enum mailfile)which;
    m->bad = true;
    return MAILFILE_COUNT;
}

static void serve_open(struct keeper *k, struct privmsg *m)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    enum mailfile which = get_role(m);
    uint64_t how = privmsg_get_number(m);
    bool keep;
    int fd;

    if (!privmsg_complete(m))
        return;
    fd = keeper_files_serve_open(&k->files, which, how == MAILOPEN_NEW ? MAILOPEN_NEW : MAILOPEN_EXISTING, &keep, &why);
    answer_file(k, fd < 0 ? (errno ? errno : EIO) : 0, &why, fd);
    if (fd >= 0 && !keep)
        close(fd);
    strbuf_free(&why);
}

typedef int file_act(struct keeper *k, enum mailfile which, struct strbuf *why);

static void serve_file(struct keeper *k, struct privmsg *m, file_act *act)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    enum mailfile which = get_role(m);
    int result;

    if (!privmsg_complete(m))
        return;
    result = act(k, which, &why);
    answer_file(k, result < 0 ? (errno ? errno : EIO) : 0, &why, -1);
    strbuf_free(&why);
}

static int remove_file(struct keeper *k, enum mailfile which, struct strbuf *why)
{
    return keeper_files_remove(&k->files, which, why);
}

static int set_file_aside(struct keeper *k, enum mailfile which, struct strbuf *why)
{
    return keeper_files_set_aside(&k->files, which, k->lock, why);
}

static int sync_directory(struct keeper *k, enum mailfile which, struct strbuf *why)
{
    return keeper_files_sync_dir(&k->files, which, why);
}

static void serve_remove(struct keeper *k, struct privmsg *m)
{
    serve_file(k, m, remove_file);
}

static void serve_set_aside(struct keeper *k, struct privmsg *m)
{
    serve_file(k, m, set_file_aside);
}

static void serve_sync_dir(struct keeper *k, struct privmsg *m)
{
    serve_file(k, m, sync_directory);
}

static void serve_xmit_open(struct keeper *k, struct privmsg *m)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    int fd;

    (void)m;
    if (k->letter >= 0)
        close(k->letter);
    errno = EPERM;
    k->letter = k->settings->xmit ? keeper_files_make_xmit(&k->files, &why) : strbuf_fail(&why, "xmit is off");
    fd = k->letter;
    answer_file(k, fd < 0 ? (errno ? errno : EIO) : 0, &why, fd);
    strbuf_free(&why);
}

static void serve_xmit_send(struct keeper *k, struct privmsg *m)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    int result = strbuf_fail(&why, "there is no message");

    (void)m;
    if (k->letter >= 0) {
        result = xmit_send(k->settings, k->start->user, k->letter, &why);
        close(k->letter);
        k->letter = -1;
    }
    answer_file(k, result < 0 ? EIO : 0, &why, -1);
    strbuf_free(&why);
}

static void serve_settle(struct keeper *k, struct privmsg *m)
{
    uint64_t ms = privmsg_get_number(m);

    if (privmsg_complete(m))
        answer_number(k, (uint64_t)tlsrelay_settle(k->start->relay, ms < SETTLE_MAX_MS ? (int)ms : SETTLE_MAX_MS),
                      NULL);
}

static void serve_done(struct keeper *k, struct privmsg *m)
{
    k->status = privmsg_get_number(m) == 0 ? 0 : MEM_EXIT_STATUS;
    k->done = privmsg_complete(m);
}

static void serve_note_bulletin(struct keeper *k, struct privmsg *m)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    uint64_t last = privmsg_get_number(m);
    int error = ENOTSUP;

    if (!privmsg_complete(m))
        return;
    strbuf_fail(&why, "%s", k->no_bulldb ? k->no_bulldb : "there is no database of bulletins");
    if (k->no_bulldb)
        error = EIO;
    if (k->bulldb.end >= 0)
        error = bulldb_set(&k->bulldb, last, &why) == 0 ? 0 : EIO;
    answer_file(k, error, &why, -1);
    strbuf_free(&why);
}

/* When a row is open. */
enum when {
    WHEN_EVER,
    WHEN_OPEN,   /* the maildrop could be opened */
    WHEN_LOCKED  /* its locks are held: the request changes what they guard */
};

struct row {
    enum request type;
    enum when when;
    void (*serve)(struct keeper *k, struct privmsg *m);
};

static const struct row rows[] = {
    { REQUEST_LOG, WHEN_EVER, serve_log },
    { REQUEST_LOCK, WHEN_OPEN, serve_lock },
    { REQUEST_UNLOCK, WHEN_OPEN, serve_unlock },
    { REQUEST_LOCK_IS_OURS, WHEN_OPEN, serve_lock_is_ours },
    { REQUEST_OPEN, WHEN_OPEN, serve_open },
    { REQUEST_REMOVE, WHEN_LOCKED, serve_remove },
    { REQUEST_SET_ASIDE, WHEN_LOCKED, serve_set_aside },
    { REQUEST_SYNC_DIR, WHEN_OPEN, serve_sync_dir },
    { REQUEST_XMIT_OPEN, WHEN_OPEN, serve_xmit_open },
    { REQUEST_XMIT_SEND, WHEN_OPEN, serve_xmit_send },
    { REQUEST_SETTLE, WHEN_OPEN, serve_settle },
    { REQUEST_NOTE_BULLETIN, WHEN_OPEN, serve_note_bulletin },
    { REQUEST_DONE, WHEN_EVER, serve_done },
};

static bool held(const struct keeper *k)
{
    return k->lock && maillock_held(k->lock);
}

static bool is_open(const struct keeper *k, const struct row *row)
{
    if (k->done)
        return false;
    return row->when == WHEN_EVER || (row->when == WHEN_OPEN && k->lock) || held(k);
}

/* 0, or -1 when the child broke the rules: the conversation ends. */
static int serve(struct keeper *k, struct privmsg *m)
{
    size_t i;

    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].type != m->type || m->fd >= 0 || !is_open(k, &rows[i]))
            continue;
        rows[i].serve(k, m);
        if (privmsg_complete(m))
            return 0;
        break;
    }
    k->done = false;
    log_write(LOG_ERR, "the session of %s asked for %s, %s; it is ended", k->start->user->name, request_name(m->type),
              i < sizeof rows / sizeof *rows ? "but brokenly" : "which it may not now");
    return -1;
}

static void serve_all(struct keeper *k)
{
    for (;;) {
        struct privmsg m;
        int ms = held(k) ? REFRESH_MS : -1;
        int got = tlsrelay_wait(k->start->relay, k->end, ms);
        bool ended;

        privmsg_init(&m, 0);
        if (got == 0)
            errno = ETIMEDOUT;
        got = got > 0 ? privmsg_receive(k->end, &m, ms) : -1;
        ended = got == 0;
        k->gone = got == 0;
        if (got > 0)
            ended = serve(k, &m) < 0;
        else if (got < 0 && errno == ETIMEDOUT)
            maillock_refresh(k->lock);
        else if (got < 0 && errno != EINTR)
            ended = true;
        privmsg_free(&m);
        if (ended)
            return;
    }
}

/* ---- children */

static struct session_start session_start_of(const struct keeper *k, enum maildrop_status status,
                                             const struct strbuf *why)
{
    return (struct session_start){
        .settings = k->settings, .peer = k->start->peer, .host = k->start->host, .user = k->start->user->name,
        .unread = k->start->unread, .unread_count = k->start->unread_count, .auth_ns = k->start->auth_ns,
        .keeper_pid = getpid(),
        .files = k->files.open, .status = status, .why = why->data, .tls = k->start->relay->pid > 0,
    };
}

/* The child has closed its end, or is to be ended. How it went is in the log when it did not say so itself. */
static void reap_child(struct keeper *k, const char *what)
{
    struct strbuf text = STRBUF_INIT(STRBUF_WHY_MAX);
    pid_t pid = child;
    int status;

    child = 0;
    status = child_reap(pid, k->gone);
    close(k->end);
    if (sandbox_killed(status, SANDBOX_SESSION, &text))
        log_write(LOG_CRIT, "%s of %s: %s", what, k->start->user->name, text.data);
    else if (!k->done)
        log_write(LOG_ERR, "%s of %s ended without a word (%s %d)", what, k->start->user->name,
                  WIFSIGNALED(status) ? "signal" : "exit status",
                  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    strbuf_free(&text);
}

/* Runs one child to its end. -1 when there could be none. */
static int run_child(struct keeper *k, void (*run)(const struct session_start *start), struct session_start *start,
                     const char *what)
{
    int ends[2];
    pid_t pid;

    k->done = false;
    k->status = MEM_EXIT_STATUS;
    if (privmsg_pair(ends) < 0) {
        log_write(LOG_ERR, "no %s for %s: socketpair: %s", what, k->start->user->name, strerror(errno));
        return -1;
    }
    pid = fork();
    if (pid == 0) {
        child = 0;
        start->keeper = ends[1];
        run(start);
    }
    close(ends[1]);
    k->end = ends[0];
    if (pid < 0) {
        log_write(LOG_ERR, "no %s for %s: fork: %s", what, k->start->user->name, strerror(errno));
        close(ends[0]);
        return -1;
    }
    child = pid;
    if (waiting)
        kill(pid, waiting);
    /* From here on the connection is the child's: when it ends, the client sees it. */
    dup2(2, 0);
    dup2(2, 1);
    serve_all(k);
    reap_child(k, what);
    return 0;
}

/* Whether the journal was settled. */
static bool recover(struct keeper *k)
{
    struct strbuf nothing = STRBUF_INIT(1);
    struct session_start start = session_start_of(k, MAILDROP_OK, &nothing);

    return run_child(k, session_recover, &start, "recovery") == 0 && k->done && k->status == 0;
}

/* A session that died may have left a journal: settled at once, before the locks go. */
static void recover_after_death(struct keeper *k)
{
    if (k->lock && !k->done && keeper_files_journal_exists(&k->files)) {
        recover(k);
        k->status = MEM_EXIT_STATUS;
    }
}

/* ---- beginning and end */

/* Becomes the user for good. Whether it worked; a process with root's rights that cannot give them up ends here. */
static bool become_user(const struct keeper_start *start, struct strbuf *why)
{
    const struct auth_user *user = start->user;
    gid_t spool_gid = IDENTITY_NO_GID;

    if (identity_privileged()) {
        places_make_hash_dirs(start->settings, user);
        spool_gid = places_spool_gid(start->settings, user);
    }
    if (identity_become(user->is_virtual ? NULL : user->name, user->uid, user->gid, spool_gid, why) == 0) {
        /* The probe: an ACL may let him in without. */
        if (spool_gid == IDENTITY_NO_GID || !places_writable(start->settings) || identity_forget_gid(why) == 0)
            return true;
    }
    log_write(LOG_ERR, "%s is not served: %s", user->name, why->data);
    if (identity_privileged())
        _exit(MEM_EXIT_STATUS);
    return false;
}

/* What the options came to, for who wants to know why. */
static void tell_places(const struct keeper *k)
{
    const struct places *p = &k->files.places;

    log_write(LOG_DEBUG, "%s: maildrop %s%s, locks %s%s; index %s; temp drop %s", k->start->user->name,
              p->file[MAILFILE_DROP].shown, k->settings->server_mode ? " in server mode" : "", k->settings->mail_locks,
              k->settings->no_atomic_open ? " (dot lock by link)" : "",
              k->files.open.index >= 0 ? p->index.shown : "none", p->file[MAILFILE_TEMPDROP].shown);
}

static bool be_the_user(struct keeper *k, struct strbuf *why)
{
    /* Before the rights to become somebody else are gone. */
    if (bulldb_start(&k->bulldb, k->start->settings, k->start->user->name, why) < 0)
        k->no_bulldb = mem_strdup(why->data);
    if (!become_user(k->start, why))
        return false;
    settings_free(&k->settings);
    k->settings = keeper_options_read(k->start->settings, k->start->user);
    places_make_hash_dirs(k->settings, k->start->user);
    return true;
}

/* A user who names a directory of his own has no part in the database. Recovery comes before all bulletins. */
static enum maildrop_status find_bulletins(struct keeper *k, struct strbuf *why)
{
    const char *ours = k->start->settings->bulldir, *his = k->settings->bulldir;
    bool same = ours && his && strcmp(ours, his) == 0;
    bool failed = same && k->no_bulldb;

    if (k->files.open.journal)
        return MAILDROP_OK;
    if (failed)
        strbuf_fail(why, "%s", k->no_bulldb);
    else
        failed = keeper_bulletins_find(&k->bulletins, &k->files, same ? &k->bulldb : NULL, k->start->host, why) < 0;
    if (!k->files.open.bulletins)
        bulldb_end(&k->bulldb); /* nothing to note */
    if (!failed)
        return MAILDROP_OK;
    if (!k->settings->bulldb_nonfatal)
        return MAILDROP_TEMP;
    log_write(LOG_WARNING, "no bulletins for %s: %s", k->start->user->name, why->data);
    return MAILDROP_OK;
}

static enum maildrop_status prepare(struct keeper *k, struct strbuf *why)
{
    enum maildrop_status status;
    const struct place *drop;

    status = keeper_files_open(&k->files, k->settings, k->start->user, why);
    if (status != MAILDROP_OK)
        return status;
    status = find_bulletins(k, why);
    if (status != MAILDROP_OK)
        return status;
    drop = &k->files.places.file[MAILFILE_DROP];
    k->lock = maillock_new(drop->dir, drop->name, drop->shown, k->settings->mail_lock_mask,
                           k->settings->no_atomic_open);
    if (drop->in_home) /* the user could point that directory elsewhere */
        maillock_spare_gid(k->lock);
    tell_places(k);
    return MAILDROP_OK;
}

static struct keeper keeper_of(const struct keeper_start *start)
{
    return (struct keeper){
        .start = start,
        .settings = settings_clone(start->settings),
        .end = -1,
        .bulldb = { .end = -1 },
        .letter = -1,
        .status = MEM_EXIT_STATUS,
        .files = { .lock = -1, .next_drop = -1, .open = { .drop = -1, .index = -1, .leftover = -1 } },
    };
}

static void close_all(struct keeper *k)
{
    if (k->letter >= 0)
        close(k->letter);
    if (k->lock)
        maillock_close(&k->lock);
    bulldb_end(&k->bulldb);
    mem_free(k->no_bulldb);
    keeper_bulletins_close(&k->bulletins);
    keeper_files_close(&k->files);
    settings_free(&k->settings);
}

/* Without a lock, so that nothing is made where there is nothing to do. */
static enum keeper_recovered look_for_journal(struct keeper *k, struct strbuf *why)
{
    const struct place *journal = &k->files.places.file[MAILFILE_JOURNAL];
    enum keeper_recovered result = KEEPER_NOTHING;

    places_find(&k->files.places, k->settings, k->start->user);
    if (keeper_files_journal_exists(&k->files))
        result = KEEPER_SETTLED;
    else if (journal->dir < 0 && journal->error != ENOENT)
        result = KEEPER_UNSETTLED;
    if (result == KEEPER_UNSETTLED)
        strbuf_fail(why, "%s: the directory cannot be opened: %s", journal->shown, strerror(journal->error));
    places_close(&k->files.places);
    return result;
}

static enum keeper_recovered settle(struct keeper *k, struct strbuf *why)
{
    enum keeper_recovered result;

    if (!be_the_user(k, why))
        return KEEPER_UNSETTLED;
    result = look_for_journal(k, why);
    if (result != KEEPER_SETTLED)
        return result;
    if (prepare(k, why) != MAILDROP_OK)
        return KEEPER_UNSETTLED;
    k->complaint = why;
    strbuf_fail(why, "the process that settles it did not say why; see the log");
    return recover(k) ? KEEPER_SETTLED : KEEPER_UNSETTLED;
}

enum keeper_recovered keeper_recover(const struct keeper_start *start, struct strbuf *why)
{
    struct keeper k = keeper_of(start);
    enum keeper_recovered result;

    handle_signals();
    result = settle(&k, why);
    close_all(&k);
    return result;
}

int keeper_run(const struct keeper_start *start)
{
    struct keeper k = keeper_of(start);
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct session_start session;
    enum maildrop_status status;

    tlsrelay_forget_keys();
    handle_signals();
    status = be_the_user(&k, &why) ? prepare(&k, &why) : MAILDROP_PERM;
    session = session_start_of(&k, status, &why);
    if (run_child(&k, session_main, &session, "session") == 0)
        recover_after_death(&k);
    close_all(&k);
    if (start->relay->pid > 0) {
        dup2(2, 0);
        dup2(2, 1);
        tlsrelay_finish(start->relay, start->settings, start->peer);
    }
    log_write(LOG_DEBUG, "(v%s) Ending request from \"%s\" at (%s) %s", PACKAGE_VERSION, start->user->name,
              start->peer->host, start->peer->ip);
    strbuf_free(&why);
    return k.status;
}
