/*
 * checker: see checker.h.
 *
 * Rights of this role: those of the monitor (root, because the shadow file needs it), for the time of one check. It
 * reads no byte from the client's descriptor, writes none, and knows one attempt to log in. Its parent treats its
 * answer as hostile, because it ran libraries of others.
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
#include "process/child.h"
#include "process/k5login.h"
#include "process/saslstate.h"
#include "process/ticketkeys.h"
#include "wire/netio.h"
#include "wire/privmsg.h"

#define REASON_MAX 300
#define CHECKER_VERDICT 1

static pid_t leaving; /* one that has answered: killed, and not waited for yet */

/* ---- the child */

static void send_verdict(int end, enum auth_verdict verdict, const struct auth_user *user, const struct strbuf *reason,
                         const struct auth_sasl *sasl, bool stays)
{
    struct privmsg m;

    privmsg_init(&m, CHECKER_VERDICT);
    privmsg_put_number(&m, verdict);
    privmsg_put_bytes(&m, reason->data, reason->len < REASON_MAX ? reason->len : REASON_MAX);
    privmsg_put_number(&m, sasl->refusal);
    privmsg_put_number(&m, sasl->closed);
    if (verdict == AUTH_GRANTED) {
        privmsg_put_text(&m, user->name);
        privmsg_put_number(&m, user->uid);
        privmsg_put_number(&m, user->gid);
        privmsg_put_text(&m, user->home);
        privmsg_put_number(&m, user->is_virtual);
        privmsg_put_number(&m, stays);
        privmsg_put_number(&m, user->no_mime);
        privmsg_put_number(&m, (uint64_t)user->groups.n);
        for (int i = 0; i < user->groups.n; i++)
            privmsg_put_number(&m, user->groups.list[i]);
    }
    privmsg_send(end, &m);
    privmsg_free(&m);
}

/* A crash leaves no password in a core, and what whoever started us may use up is not the site's modules' limit. */
static void reset_limits(void)
{
    const struct rlimit none = { 0, 0 }, any = { RLIM_INFINITY, RLIM_INFINITY };

    setrlimit(RLIMIT_CORE, &none);
    if (identity_privileged()) {
        setrlimit(RLIMIT_CPU, &any);
        setrlimit(RLIMIT_FSIZE, &any);
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
    close(end);
    /* The copy that came with fork. */
    if (attempt->response)
        mem_wipe((char *)(uintptr_t)attempt->response, strlen(attempt->response));
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

/* wanted: NULL, or a record is. */
static _Noreturn void check(const struct settings *settings, const struct auth_attempt *attempt,
                            const struct checker_record *wanted, int end, int life)
{
    struct auth_user user = { 0 };
    struct auth_sasl sasl = { .closed = false };
    struct strbuf reason = STRBUF_INIT(REASON_MAX);
    struct auth_attempt here = *attempt;
    enum auth_verdict verdict;
    int keep[6] = { end, life, wanted ? wanted->to : -1 };
    size_t count = 3 + log_descriptors(keep + 3);

    /* Descriptor 2 is /dev/null; the client's are not for this process. */
    dup2(2, 0);
    dup2(2, 1);
    file_close_others(3, keep, count);
    reset_limits();
    /* Modules of others are not to see them, and with a session this process outlives them. */
    ticketkeys_forget();
    here.ask_home = k5login_ask;
    if (wanted)
        verdict = find_record(settings, attempt, wanted, &user, &sasl, &reason);
    else
        verdict = auth_check(settings, &here, &user, &reason);
    /* Here, so that the name service is asked in no process that stays. */
    if (verdict == AUTH_GRANTED && !user.is_virtual && identity_privileged())
        identity_look_up(user.name, user.gid, &user.groups);
    send_verdict(end, verdict, &user, &reason, &sasl, pamlink_holds_session());
    if (pamlink_holds_session())
        hold_session(attempt, end, life);
    /* What holds the password goes with the process: no exit handlers of anybody's library. */
    _exit(0);
}

/* ---- the parent */

/* Copies text that fits. */
static bool take_text(struct privmsg *m, char *to, size_t room)
{
    const char *text = privmsg_get_text(m, room - 1);

    memcpy(to, text, strlen(text) + 1);
    return !m->bad;
}

/* The name becomes part of paths, the ids become ours: looked at again, whatever the child did. */
static bool is_sane(const struct settings *settings, const struct auth_user *user, uint64_t uid, uint64_t gid)
{
    char name[AUTH_NAME_MAX + 1];

    return auth_canonical_name(settings, user->name, name) && strcmp(name, user->name) == 0 && uid > 0 &&
           uid < (uid_t)-1 && gid < (gid_t)-1 && user->home[0] == '/';
}

/* No more than fit, whatever is said. */
static void take_groups(struct privmsg *m, struct identity_groups *groups_r)
{
    uint64_t n = privmsg_get_number(m);

    m->bad = m->bad || n > IDENTITY_GROUPS_MAX;
    for (uint64_t i = 0; i < n && !m->bad; i++) {
        uint64_t gid = privmsg_get_number(m);

        m->bad = m->bad || gid >= (gid_t)-1;
        groups_r->list[groups_r->n++] = (gid_t)gid;
    }
}

/* A verdict that is not to grant anything. */
static enum auth_verdict refusal_of(uint64_t verdict)
{
    return verdict == AUTH_REFUSED || verdict == AUTH_UNUSABLE ? (enum auth_verdict)verdict : AUTH_UNAVAILABLE;
}

static enum auth_verdict read_verdict(const struct settings *settings, struct privmsg *m, struct auth_user *user_r,
                                      struct strbuf *reason, struct auth_sasl *sasl_r, bool *stays_r)
{
    uint64_t verdict = privmsg_get_number(m), uid, gid;
    size_t n;
    const char *said = privmsg_get_bytes(m, REASON_MAX, &n);

    strbuf_reset(reason);
    strbuf_add(reason, said, n);
    sasl_r->refusal = refusal_of(privmsg_get_number(m));
    sasl_r->closed = privmsg_get_number(m) != 0;
    if (verdict != AUTH_GRANTED) {
        sasl_r->closed = sasl_r->closed || !privmsg_complete(m);
        return privmsg_complete(m) ? refusal_of(verdict) : AUTH_UNAVAILABLE;
    }
    memset(user_r, 0, sizeof *user_r);
    take_text(m, user_r->name, sizeof user_r->name);
    uid = privmsg_get_number(m);
    gid = privmsg_get_number(m);
    take_text(m, user_r->home, sizeof user_r->home);
    user_r->is_virtual = privmsg_get_number(m) == 1;
    *stays_r = privmsg_get_number(m) == 1;
    user_r->no_mime = privmsg_get_number(m) == 1;
    take_groups(m, &user_r->groups);
    user_r->uid = (uid_t)uid;
    user_r->gid = (gid_t)gid;
    if (!privmsg_complete(m) || !is_sane(settings, user_r, uid, gid)) {
        strbuf_fail(reason, "the process that checks passwords gave a broken answer");
        sasl_r->closed = true;
        return AUTH_UNAVAILABLE;
    }
    return AUTH_GRANTED;
}

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
        verdict = read_verdict(settings, &m, user_r, reason, sasl_r, stays_r);
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

/* The pipe whose end tells the child that the session is over; both -1 where no session can be. */
static int make_life(const struct settings *settings, int life_r[2])
{
    life_r[0] = life_r[1] = -1;
    return settings->pam_session && pamlink_applies(settings) ? pipe2(life_r, O_CLOEXEC) : 0;
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
        check(settings, attempt, wanted, ends[1], life[0]);
    }
    if (child > 0)
        return child;
    strbuf_fail(reason, "no process for checking the password: fork: %s", strerror(errno));
    close_both(ends);
    close_both(life);
    return -1;
}

/* Until an answer says otherwise there can be no exchange of SASL. */
static enum auth_verdict run(const struct settings *settings, const struct auth_attempt *attempt,
                             const struct checker_record *wanted, int asker, struct auth_user *user_r, int *session_r,
                             struct auth_sasl *sasl_r, struct strbuf *reason)
{
    enum auth_verdict verdict;
    int ends[2], life[2], status;
    bool answered, stays = false;
    pid_t child;

    checker_finish();
    *sasl_r = (struct auth_sasl){ .refusal = AUTH_UNAVAILABLE, .closed = true };
    strbuf_reset(reason);
    *session_r = -1;
    child = start_child(settings, attempt, wanted, ends, life, reason);
    if (child < 0)
        return AUTH_UNAVAILABLE;
    close(ends[1]);
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
    /* One that has opened a PAM session sees that nobody waits, and closes it. */
    status = child_reap(child, answered || life[1] >= 0);
    if (verdict == AUTH_UNAVAILABLE && reason->len == 0)
        explain_end(status, reason);
    return verdict;
}

void checker_finish(void)
{
    child_gone(leaving);
    leaving = 0;
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
