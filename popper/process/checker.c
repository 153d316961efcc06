/*
 * checker: see checker.h. Runs in the monitor, with its rights; what the child says (checker_child) counts as hostile.
 */
#include "process/checker.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "process/checker_ahead.h"
#include "process/checker_child.h"
#include "process/checker_message.h"
#include "process/child.h"
#include "wire/privmsg.h"

#define SESSION_CLOSE_MS 10000 /* for closing a PAM session that nobody wants any more */
#define NAME_SHOWN 64

static pid_t leaving; /* one that has answered: killed, and not waited for yet */

struct check {
    pid_t child;
    int end;
    int life; /* whose end tells the child that the session is over; -1: it can hold none */
};

static void see_off(void)
{
    child_gone(leaving);
    leaving = 0;
}

/* ---- the beginning */

/* life_r: the pipe of a PAM session; both -1 where there can be none. */
static int make_life(const struct settings *settings, const struct checker_record *wanted, int life_r[2])
{
    return !wanted && checker_ahead_session(settings) ? pipe2(life_r, O_CLOEXEC) : 0;
}

static int begin_fresh(struct check *c, const struct settings *settings, const struct auth_attempt *attempt,
                       const struct checker_record *wanted, struct strbuf *reason)
{
    int ends[2] = { -1, -1 }, life[2] = { -1, -1 }, result = 0;

    if (make_life(settings, wanted, life) < 0)
        result = strbuf_fail(reason, "pipe: %s", strerror(errno));
    else if (privmsg_pair(ends) < 0)
        result = strbuf_fail(reason, "socketpair: %s", strerror(errno));
    else if ((c->child = fork()) < 0)
        result = strbuf_fail(reason, "no process for checking the password: fork: %s", strerror(errno));
    if (result < 0) {
        file_close_pair(ends);
        file_close_pair(life);
        return -1;
    }
    if (c->child == 0)
        checker_child_check(settings, attempt, wanted, ends[1], life[0]); /* closes the others */
    file_close_pair((const int[]){ ends[1], life[0] });
    c->end = ends[0];
    c->life = life[1];
    return 0;
}

/* Who was made ahead looks no record up. */
static int begin(struct check *c, const struct settings *settings, const struct auth_attempt *attempt,
                 const struct checker_record *wanted, struct strbuf *reason)
{
    *c = (struct check){ .end = -1, .life = -1 };
    if (wanted)
        checker_ahead_end();
    else
        c->child = checker_ahead_use(attempt, &c->end);
    return c->child > 0 ? 0 : begin_fresh(c, settings, attempt, wanted, reason);
}

/* ---- the answer */

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

/* ---- the end */

/* Who has let somebody in: his PAM session is left to hold; or nothing is left to do, and the kernel takes the process apart while he is served.
   False: neither. */
static bool leave_alone(const struct check *c, const struct checker_record *wanted, bool stays, int *session_r)
{
    if (stays && c->life >= 0) {
        *session_r = c->life;
        return true;
    }
    if (wanted || c->life >= 0)
        return false;
    child_dismiss(c->child);
    leaving = c->child;
    return true;
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
    bool answered, stays = false;
    struct check c;
    int status;

    see_off();
    *sasl_r = (struct auth_sasl){ .refusal = AUTH_UNAVAILABLE, .closed = true };
    *session_r = -1;
    strbuf_reset(reason);
    if (begin(&c, settings, attempt, wanted, reason) < 0)
        return AUTH_UNAVAILABLE;
    verdict = receive_verdict(settings, c.end, asker, user_r, reason, &answered, sasl_r, &stays);
    close(c.end);
    if (verdict == AUTH_GRANTED && leave_alone(&c, wanted, stays, session_r))
        return verdict;
    if (c.life >= 0)
        close(c.life);
    status = c.life >= 0 ? reap_with_session(c.child, attempt->name) : child_reap(c.child, answered);
    if (verdict == AUTH_UNAVAILABLE && reason->len == 0)
        explain_end(status, reason);
    return verdict;
}

void checker_finish(void)
{
    checker_ahead_end();
    see_off();
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
