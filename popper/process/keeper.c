/*
 * keeper: see keeper.h.
 *
 * Rights of this role: real, effective and saved uid of the user, his groups, and where only the spool's group may make
 * files in spool-dir, that group as saved gid, raised around single calls (places_spool_gid). Never root again. It has
 * no sandbox and may not have no_new_privs, because sendmail, which it will start, may be set-gid; it is not dumpable.
 * It parses neither maildrop nor journal nor a byte from the client (it copies the maildrop, keeper_copy), and closes the client's descriptors when the
 * session runs. What it answers, and when, says keeper_requests.c.
 */
#include "process/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <config.h>

#include "common/identity.h"
#include "common/log.h"
#include "common/maillock.h"
#include "common/mem.h"
#include "process/become.h"
#include "process/bulldb.h"
#include "process/child.h"
#include "process/dracteller.h"
#include "process/keeper_bulletins.h"
#include "process/keeper_files.h"
#include "process/keeper_options.h"
#include "process/keeper_requests.h"
#include "process/sandbox.h"
#include "process/session.h"
#include "process/ticketkeys.h"
#include "wire/privmsg.h"

#define RELAY_MS 50 /* for the death of one that was killed before: usually nothing is left of it */

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

/* ---- children */

static struct session_start session_start_of(const struct keeper *k, enum maildrop_status status,
                                             const struct strbuf *why)
{
    return (struct session_start){
        .settings = k->settings, .peer = k->start->peer, .host = k->start->host, .user = k->start->user->name,
        .unread = k->start->unread, .unread_count = k->start->unread_count, .auth_ns = k->start->auth_ns,
        .keeper_pid = k->start->pid,
        .files = k->files.open, .status = status, .why = why->data, .tls = k->start->relay->pid > 0, .sasl = k->start->sasl,
        .no_mime = k->start->user->no_mime,
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
    keeper_requests_serve(k);
    reap_child(k, what);
    return 0;
}

/* Whether the journal was settled. */
static bool recover(struct keeper *k)
{
    struct strbuf nothing = STRBUF_INIT(1);
    struct session_start start = session_start_of(k, MAILDROP_OK, &nothing);

    k->recovers = true;
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

/* Whether it worked; a process with root's rights that cannot give them up ends here. */
static bool become(const struct keeper_start *start, struct strbuf *why)
{
    if (identity_privileged())
        places_make_hash_dirs(start->settings, start->user);
    if (become_user(start->settings, start->user, why) == 0)
        return true;
    log_write(LOG_ERR, "%s is not served: %s", start->user->name, why->data);
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
              k->settings->no_atomic_open ? " (dot lock by link only)" : "",
              k->files.open.index >= 0 ? p->index.shown : "none", p->file[MAILFILE_TEMPDROP].shown);
}

static bool be_the_user(struct keeper *k, struct strbuf *why)
{
    /* Before the rights to become somebody else are gone. */
    if (bulldb_start(&k->bulldb, k->start->settings, k->start->user->name, why) < 0)
        k->no_bulldb = mem_strdup(why->data);
    if (!become(k->start, why)) {
        k->settings = settings_clone(k->start->settings);
        return false;
    }
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
        maillock_hold_no_gid(k->lock);
    k->recovers = k->files.open.journal;
    tell_places(k);
    return MAILDROP_OK;
}

static struct keeper keeper_of(const struct keeper_start *start)
{
    return (struct keeper){
        .start = start,
        .end = -1,
        .bulldb = { .end = -1 },
        .mangler = MANGLER_INIT,
        .letter = -1,
        .copy = KEEPER_COPY_INIT,
        .status = MEM_EXIT_STATUS,
        .files = { .lock = -1, .meeting = -1, .next_drop = -1, .open = { .drop = -1, .index = -1, .leftover = -1 } },
    };
}

/* What others see is ended and taken back. */
static void leave_all(struct keeper *k)
{
    mangler_end(&k->mangler);
    if (k->lock)
        maillock_close(&k->lock);
    bulldb_end(&k->bulldb);
    keeper_files_leave(&k->files);
}

/* What goes with the process anyway. */
static void close_all(struct keeper *k)
{
    keeper_copy_end(&k->copy);
    if (k->letter >= 0)
        close(k->letter);
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
    leave_all(&k);
    close_all(&k);
    return result;
}

int keeper_run(const struct keeper_start *start)
{
    struct keeper k = keeper_of(start);
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct session_start session;
    enum maildrop_status status = MAILDROP_PERM;
    struct dracteller drac;
    int held; /* the client's connection, while somebody else may have it who cannot be killed */

    ticketkeys_forget();
    dracteller_start(&drac, start->settings, start->user->name);
    handle_signals();
    if (be_the_user(&k, &why)) {
        dracteller_tell(&drac, k.settings, start->peer);
        status = prepare(&k, &why);
    }
    session = session_start_of(&k, status, &why);
    child_gone(start->preauth); /* nobody else reads from the client any more */
    held = tlsrelay_buried(start->early, start->peer, RELAY_MS) ? -1 : fcntl(1, F_DUPFD_CLOEXEC, 3);
    if (run_child(&k, session_main, &session, "session") == 0)
        recover_after_death(&k);
    leave_all(&k);
    /* The locks are not held while others are waited for. */
    if (start->relay->pid > 0 || start->early->pid > 0 || drac.pid > 0 || sandbox_instrumented())
        close_all(&k);
    tlsrelay_abandon(start->early, start->peer, held);
    if (held >= 0)
        close(held);
    if (start->relay->pid > 0) {
        dup2(2, 0);
        dup2(2, 1);
        tlsrelay_finish(start->relay, start->settings, start->peer);
    }
    dracteller_finish(&drac);
    log_write(LOG_DEBUG, "(v%s) Ending request from \"%s\" at (%s) %s", PACKAGE_VERSION, start->user->name,
              start->peer->host, start->peer->ip);
    strbuf_free(&why);
    return k.status;
}
