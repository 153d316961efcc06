/*
 * checker: see checker.h.
 *
 * Rights of this role: those of the monitor (root, because the shadow file needs it), for the time of one check (and,
 * made ahead in standalone mode, of the wait for it). It reads no byte from the client's descriptor, writes none, and
 * knows one attempt to log in. Its parent treats its answer as hostile, because it ran libraries of others.
 *
 * With pam-session it stays as root after a login that was granted, to close the PAM session: it then holds nothing but
 * log and the reading end of a pipe, reads nothing but its end, and ends itself. The writing end is in the monitor,
 * which becomes the keeper, and nowhere else: however the session ends, the pipe does.
 */
#include "process/checker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auth/pamlink.h"
#include "common/file.h"
#include "common/identity.h"
#include "common/log.h"
#include "common/mem.h"
#include "process/checker_message.h"
#include "process/child.h"
#include "process/k5login.h"
#include "process/saslstate.h"
#include "process/ticketkeys.h"
#include "wire/netio.h"
#include "wire/privmsg.h"

#define SESSION_CLOSE_MS 10000 /* for closing a PAM session that nobody wants any more */
#define NAME_SHOWN 64

static pid_t leaving; /* one that has answered: killed, and not waited for yet */
static struct {
    pid_t pid;        /* one that waits for its attempt; 0: nobody */
    int end;
} ahead;

/* ---- the child */

/* As far as it goes: without CAP_SYS_RESOURCE, which root in a container may lack, up to the hard limit. */
static void lift_limit(int resource)
{
    struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

    if (setrlimit(resource, &limit) == 0 || getrlimit(resource, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(resource, &limit);
}

/* A crash leaves no password in a core, and what whoever started us may use up is not the site's modules' limit. */
static void reset_limits(void)
{
    const struct rlimit none = { 0, 0 };

    setrlimit(RLIMIT_CORE, &none);
    if (identity_privileged()) {
        lift_limit(RLIMIT_CPU);
        lift_limit(RLIMIT_FSIZE);
    }
}

/* Until the keeper is gone, whatever else ends: signals to all processes of the service are for it to heed. */
static void hold_session(const struct auth_attempt *attempt, int end, int life)
{
    const int ignored[] = { SIGTERM, SIGHUP, SIGINT };
    char byte;
    ssize_t n;

    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
    /* The copy that came with fork; before the end is closed, by which others know that all is done. */
    if (attempt->response)
        mem_wipe((char *)(uintptr_t)attempt->response, strlen(attempt->response));
    close(end);
    do {
        n = read(life, &byte, 1);
    } while (n > 0 || (n < 0 && errno == EINTR));
    pamlink_end();
}

/* The record goes where it is used, not to our parent. */
static enum auth_verdict find_record(const struct settings *settings, const struct auth_attempt *attempt,
                                     const struct checker_record *wanted, struct auth_user *user_r,
                                     struct auth_sasl *sasl_r, struct strbuf *reason)
{
    struct sasl_record record;
    enum auth_verdict verdict =
        auth_sasl_find(settings, attempt->name, wanted->mechanism, user_r, &record, sasl_r, reason);

    if (!sasl_r->closed)
        saslstate_send_record(wanted->to, &record);
    mem_wipe(&record, sizeof record);
    return verdict;
}

/* The three that this process needs; -1: not this one. */
static void settle_in(int end, int life, int record)
{
    int keep[6] = { end, life, record };
    size_t count = 3 + log_descriptors(keep + 3);

    /* Descriptor 2 is /dev/null; the client's are not for this process. */
    dup2(2, 0);
    dup2(2, 1);
    file_close_others(3, keep, count);
    reset_limits();
    /* Modules of others are not to see them, and with a session this process outlives them. */
    ticketkeys_forget();
}

/* wanted: NULL, or a record is. */
static _Noreturn void check(const struct settings *settings, const struct auth_attempt *attempt,
                            const struct checker_record *wanted, int end, int life)
{
    struct auth_user user = { 0 };
    struct auth_sasl sasl = { .closed = false };
    struct strbuf reason = STRBUF_INIT(CHECKER_REASON_MAX);
    struct auth_attempt here = *attempt;
    enum auth_verdict verdict;

    here.ask_home = k5login_ask;
    if (wanted)
        verdict = find_record(settings, attempt, wanted, &user, &sasl, &reason);
    else
        verdict = auth_check(settings, &here, &user, &reason);
    /* Here, so that the name service is not asked in a process that stays. But not before the proof: how long it takes would tell who exists. */
    if (verdict == AUTH_GRANTED && !wanted && !user.is_virtual && identity_privileged())
        identity_look_up(user.name, user.gid, &user.groups);
    checker_send_verdict(end, verdict, &user, &reason, &sasl, pamlink_holds_session());
    if (pamlink_holds_session())
        hold_session(attempt, end, life);
    /* What holds the password goes with the process: no exit handlers of anybody's library. */
    _exit(0);
}

/* Whoever made it and has no attempt for it closes its end. */
static _Noreturn void wait_and_check(const struct settings *settings, int end)
{
    struct auth_attempt attempt;
    struct privmsg m;
    int got;

    settle_in(end, -1, -1);
    do
        got = privmsg_receive(end, &m, -1);
    while (got < 0 && errno == EINTR);
    if (got <= 0 || !checker_take_attempt(&m, &attempt))
        _exit(got == 0 ? 0 : MEM_EXIT_STATUS);
    check(settings, &attempt, NULL, end, -1);
}

/* ---- the parent */

/* answered_r: or has ended without an answer. */
static enum auth_verdict receive_verdict(const struct settings *settings, int end, int asker, struct auth_user *user_r,
                                         struct strbuf *reason, bool *answered_r, struct auth_sasl *sasl_r,
                                         bool *stays_r)
{
    struct privmsg m;
    enum auth_verdict verdict = AUTH_UNAVAILABLE;
    int got = child_wait(end, asker, CHECKER_WAIT_MS);

    if (got < 0 && errno == ETIMEDOUT)
        strbuf_fail(reason, "the check took longer than %d seconds and was abandoned", CHECKER_WAIT_MS / 1000);
    else if (got < 0)
        strbuf_fail(reason, "poll: %s", strerror(errno));
    *answered_r = got > 0;
    if (got == 0)
        strbuf_fail(reason, "the client or its process is gone");
    if (got <= 0)
        return AUTH_UNAVAILABLE;
    got = privmsg_receive(end, &m, -1);
    if (got > 0)
        verdict = checker_read_verdict(settings, &m, user_r, reason, sasl_r, stays_r);
    else if (got < 0)
        strbuf_fail(reason, "the answer of the process that checks passwords: %s", strerror(errno));
    privmsg_free(&m);
    return verdict;
}

/* How it ended that gave no answer. */
static void explain_end(int status, struct strbuf *reason)
{
    if (WIFSIGNALED(status))
        strbuf_fail(reason, "the process that checks passwords was killed by signal %d (%s)", WTERMSIG(status),
                    strsignal(WTERMSIG(status)));
    else
        strbuf_fail(reason, "the process that checks passwords ended without an answer (exit status %d)",
                    WEXITSTATUS(status));
}

static void close_end(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void close_both(const int ends[2])
{
    close_end(ends[0]);
    close_end(ends[1]);
}

static bool may_hold_session(const struct settings *settings)
{
    return settings->pam_session && pamlink_applies(settings);
}

/* The pipe whose end tells the child that the session is over; both -1 where no session can be. */
static int make_life(const struct settings *settings, int life_r[2])
{
    life_r[0] = life_r[1] = -1;
    return may_hold_session(settings) ? pipe2(life_r, O_CLOEXEC) : 0;
}

/* The child, or -1. ends and life: the parent closes the one of each that is the child's. */
static pid_t start_child(const struct settings *settings, const struct auth_attempt *attempt,
                         const struct checker_record *wanted, int ends[2], int life[2], struct strbuf *reason)
{
    pid_t child;

    life[0] = life[1] = -1;
    if (!wanted && make_life(settings, life) < 0)
        return strbuf_fail(reason, "pipe: %s", strerror(errno));
    if (privmsg_pair(ends) < 0) {
        close_both(life);
        return strbuf_fail(reason, "socketpair: %s", strerror(errno));
    }
    child = fork();
    if (child == 0) {
        close_end(life[1]);
        settle_in(ends[1], life[0], wanted ? wanted->to : -1);
        check(settings, attempt, wanted, ends[1], life[0]);
    }
    if (child > 0)
        return child;
    strbuf_fail(reason, "no process for checking the password: fork: %s", strerror(errno));
    close_both(ends);
    close_both(life);
    return -1;
}

/* What a ticket, a record or a session needs is not in a message. */
static bool suits_ahead(const struct settings *settings)
{
    return !settings->kerberos && !may_hold_session(settings);
}

static void end_ahead(void)
{
    if (ahead.pid <= 0)
        return;
    close(ahead.end);
    child_dismiss(ahead.pid);
    child_gone(ahead.pid);
    ahead.pid = 0;
}

/* The one that waits, which now has the attempt; 0: there is none for it. Its end is the caller's. */
static pid_t use_ahead(const struct auth_attempt *attempt, const struct checker_record *wanted, int *end_r)
{
    pid_t child = ahead.pid;

    if (child <= 0)
        return 0;
    if (wanted || attempt->ticket || checker_send_attempt(ahead.end, attempt) < 0) {
        end_ahead();
        return 0;
    }
    *end_r = ahead.end;
    ahead.pid = 0;
    return child;
}

/* One that has opened a PAM session, or is about to, sees that nobody waits, and closes it. */
static int reap_with_session(pid_t child, const char *given)
{
    struct strbuf name = STRBUF_INIT(NAME_SHOWN * 4);

    log_escape(&name, given, strlen(given), NAME_SHOWN);
    if (!child_ends_within(child, SESSION_CLOSE_MS))
        log_write(LOG_WARNING, "%s: PAM has not ended the session of a client who is gone within %d seconds, and is ended itself; what its session "
                  "modules have begun (a mount, a record in utmp) may be left", name.data, SESSION_CLOSE_MS / 1000);
    strbuf_free(&name);
    return child_reap(child, false);
}

/* Until an answer says otherwise there can be no exchange of SASL. */
static enum auth_verdict run(const struct settings *settings, const struct auth_attempt *attempt,
                             const struct checker_record *wanted, int asker, struct auth_user *user_r, int *session_r,
                             struct auth_sasl *sasl_r, struct strbuf *reason)
{
    enum auth_verdict verdict;
    int ends[2] = { -1, -1 }, life[2] = { -1, -1 }, status;
    bool answered, stays = false;
    pid_t child;

    child_gone(leaving);
    leaving = 0;
    *sasl_r = (struct auth_sasl){ .refusal = AUTH_UNAVAILABLE, .closed = true };
    strbuf_reset(reason);
    *session_r = -1;
    child = use_ahead(attempt, wanted, &ends[0]);
    if (child == 0)
        child = start_child(settings, attempt, wanted, ends, life, reason);
    if (child < 0)
        return AUTH_UNAVAILABLE;
    close_end(ends[1]);
    close_end(life[0]);
    verdict = receive_verdict(settings, ends[0], asker, user_r, reason, &answered, sasl_r, &stays);
    close(ends[0]);
    if (verdict == AUTH_GRANTED && stays && life[1] >= 0) {
        *session_r = life[1];
        return verdict;
    }
    if (verdict == AUTH_GRANTED && !wanted && life[1] < 0) {
        child_dismiss(child);
        leaving = child;
        return verdict;
    }
    close_end(life[1]);
    status = life[1] >= 0 ? reap_with_session(child, attempt->name) : child_reap(child, answered);
    if (verdict == AUTH_UNAVAILABLE && reason->len == 0)
        explain_end(status, reason);
    return verdict;
}

void checker_finish(void)
{
    end_ahead();
    child_gone(leaving);
    leaving = 0;
}

void checker_prepare(const struct settings *settings)
{
    int ends[2];

    if (ahead.pid > 0 || !suits_ahead(settings) || privmsg_pair(ends) < 0)
        return;
    ahead.pid = fork();
    if (ahead.pid == 0)
        wait_and_check(settings, ends[1]);
    close(ends[1]);
    ahead.end = ends[0];
    if (ahead.pid < 0)
        close(ends[0]);
}

enum auth_verdict checker_run(const struct settings *settings, const struct auth_attempt *attempt, int asker,
                              struct auth_user *user_r, int *session_r, struct strbuf *reason)
{
    struct auth_sasl sasl;

    return run(settings, attempt, NULL, asker, user_r, session_r, &sasl, reason);
}

enum auth_verdict checker_find(const struct settings *settings, const char *given, const struct checker_record *wanted,
                               int asker, struct auth_user *user_r, struct auth_sasl *sasl_r, struct strbuf *reason)
{
    const struct auth_attempt attempt = { .how = auth_sasl_how(wanted->mechanism), .name = given };
    int session;

    return run(settings, &attempt, wanted, asker, user_r, &session, sasl_r, reason);
}
