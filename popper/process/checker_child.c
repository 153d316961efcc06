/*
 * checker_child: see checker_child.h.
 *
 * Rights of this role: those of the monitor (root, because the shadow file needs it), for the time of one check (and,
 * made ahead, of the wait for it, which ends with the login). It reads no byte from the client's descriptor, writes none, and
 * knows one attempt to log in. Its parent treats its answer as hostile, because it ran libraries of others.
 *
 * With pam-session it stays as root after a login that was granted, to close the PAM session: it then holds nothing but
 * log and the reading end of a pipe, reads nothing but its end, and ends itself. The writing end is in the monitor,
 * which becomes the keeper, and nowhere else: however the session ends, the pipe does.
 */
#include "process/checker_child.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "auth/pamlink.h"
#include "common/file.h"
#include "common/identity.h"
#include "common/log.h"
#include "common/mem.h"
#include "process/checker_message.h"
#include "process/k5login.h"
#include "process/saslstate.h"
#include "process/ticketkeys.h"
#include "wire/privmsg.h"

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

_Noreturn void checker_child_check(const struct settings *settings, const struct auth_attempt *attempt,
                                   const struct checker_record *wanted, int end, int life)
{
    settle_in(end, life, wanted ? wanted->to : -1);
    check(settings, attempt, wanted, end, life);
}

_Noreturn void checker_child_wait(const struct settings *settings, int end)
{
    struct auth_attempt attempt;
    struct privmsg m;
    int got;

    settle_in(end, -1, -1);
    got = privmsg_await(end, &m, -1);
    if (got <= 0 || !checker_take_attempt(&m, &attempt))
        _exit(got == 0 ? 0 : MEM_EXIT_STATUS);
    check(settings, &attempt, NULL, end, -1);
}
