/*
 * kpop: see kpop.h.
 *
 * Rights of this role: those of the monitor while it loads the module popper-krb5.so and the Kerberos library, reads
 * krb5.conf and copies the service's keys from the keytab into memory; it is not dumpable before it does. Then, before it
 * reads the client's first byte, none: the privsep user, in a sandbox that lets it open files, locked into a directory
 * that holds one file, the replay cache. So the library finds neither keytab nor krb5.conf nor plugins there, and needs
 * none of them any more. Its memory is limited, because the client says in its first word how much it will send, and so is
 * its time, by a signal that ends it. It holds the client's descriptors and one end of a privmsg pair, says one message
 * and ends; with it go the keys.
 *
 * The replay cache is a file, not memory, because each connection has a process of its own; it is not the library's usual
 * /var/tmp/krb5_UID.rcache2, because other processes of the privsep user could change that (privsep_enter_with_file).
 *
 * The process that knows the keys says who the client is, and that is believed; nothing else that it says is.
 */
#include "process/kpop.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <config.h>

#include "common/file.h"
#include "common/identity.h"
#include "common/log.h"
#include "common/mem.h"
#include "process/child.h"
#include "process/privsep.h"
#include "process/supervised.h"
#include "process/ticketkeys.h"
#include "wire/privmsg.h"

#define MESSAGE 1 /* number enum outcome, texts principal, local, version; bytes why */
#define REASON_MAX 600
#define REPLAY_FILE "replay"
#define GRACE_MS 5000

/* The same for whatever was wrong. */
#define REFUSAL "-ERR [AUTH] Kerberos authentication failed.\r\n"

enum outcome { OUTCOME_PROVED, OUTCOME_NOT_PROVED, OUTCOME_CANNOT };

static int seconds_of(const struct settings *settings)
{
    return settings->timeout < settings->preauth_timeout ? settings->timeout : settings->preauth_timeout;
}

/* ---- the child */

static bool is_two_way(int fd)
{
    int type;
    socklen_t length = sizeof type;

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_STREAM;
}

static struct auth_kerberos *prepare(const struct settings *settings, const struct auth_kerberos_calls **calls_r, pid_t parent, struct strbuf *why)
{
    struct strbuf replay = STRBUF_INIT(OPTION_VALUE_MAX + sizeof REPLAY_FILE + 1);
    const struct rlimit none = { 0, 0 };
    struct auth_kerberos *k;

    *calls_r = auth_kerberos_load(why);
    if (!*calls_r)
        return NULL;
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    setrlimit(RLIMIT_CORE, &none);
    strbuf_addf(&replay, "%s/" REPLAY_FILE, identity_privileged() ? "" : settings->kerberos_replay_dir);
    k = (*calls_r)->open(settings->kerberos_service, settings->kerberos_keytab, replay.data, why);
    strbuf_free(&replay);
    if (k && privsep_enter_with_file(settings->kerberos_replay_dir, REPLAY_FILE, SANDBOX_TICKET, settings->sandbox, parent, why) < 0)
        return NULL;
    return k;
}

static enum outcome take_ticket(const struct settings *settings, pid_t parent, struct auth_kerberos_client *client_r, struct strbuf *why)
{
    const struct auth_kerberos_calls *calls;
    struct auth_kerberos *k;

    if (!is_two_way(0)) {
        strbuf_fail(why, "Kerberos needs a client on a socket; start popper from inetd, systemd or by itself");
        return OUTCOME_CANNOT;
    }
    if (!settings->kerberos_replay_dir || !settings->kerberos_service) {
        strbuf_fail(why, "kerberos-replay-dir and kerberos-service must be set");
        return OUTCOME_CANNOT;
    }
    k = prepare(settings, &calls, parent, why);
    if (!k)
        return OUTCOME_CANNOT;
    alarm((unsigned)seconds_of(settings));
    return calls->receive(k, 0, client_r, why) == 0 ? OUTCOME_PROVED : OUTCOME_NOT_PROVED;
}

static _Noreturn void be_taker(const struct settings *settings, int end, pid_t parent)
{
    struct strbuf why = STRBUF_INIT(REASON_MAX);
    struct auth_kerberos_client client = { .version = "" };
    enum outcome outcome;
    struct privmsg m;

    log_set_sink(NULL, NULL);
    log_close();
    ticketkeys_forget();
    file_sanitize_descriptors(3, &end, 1);
    outcome = take_ticket(settings, parent, &client, &why);
    if (outcome != OUTCOME_PROVED)
        (void)!write(0, REFUSAL, sizeof REFUSAL - 1);
    privmsg_init(&m, MESSAGE);
    privmsg_put_number(&m, outcome);
    privmsg_put_text(&m, client.principal);
    privmsg_put_text(&m, client.local);
    privmsg_put_text(&m, client.version);
    privmsg_put_bytes(&m, why.data, why.len);
    privmsg_send(end, &m);
    _exit(0);
}

/* ---- the parent */

static void take_text(struct privmsg *m, char *to, size_t room)
{
    const char *text = privmsg_get_text(m, room - 1);

    memcpy(to, text, strlen(text) + 1);
}

/* What the child says is bounded here; log_write escapes. */
static enum outcome take_answer(struct privmsg *m, struct auth_kerberos_client *client_r, struct strbuf *why)
{
    uint64_t outcome = privmsg_get_number(m);
    size_t n;
    const char *reason;

    take_text(m, client_r->principal, sizeof client_r->principal);
    take_text(m, client_r->local, sizeof client_r->local);
    take_text(m, client_r->version, sizeof client_r->version);
    reason = privmsg_get_bytes(m, REASON_MAX, &n);
    strbuf_fail(why, "%.*s", (int)n, reason);
    if (privmsg_complete(m) && m->fd < 0 && outcome <= OUTCOME_CANNOT && (outcome != OUTCOME_PROVED || client_r->principal[0]))
        return (enum outcome)outcome;
    strbuf_fail(why, "the process that takes Kerberos tickets gave a broken answer");
    return OUTCOME_CANNOT;
}

static enum outcome hear_child(int end, int seconds, struct auth_kerberos_client *client_r, struct strbuf *why)
{
    enum outcome outcome = OUTCOME_CANNOT;
    struct privmsg m;
    int got = privmsg_await(end, &m, seconds * 1000 + GRACE_MS);

    if (got > 0)
        outcome = take_answer(&m, client_r, why);
    else
        strbuf_fail(why, "the process that takes Kerberos tickets %s", got == 0 ? "ended without a word" : strerror(errno));
    privmsg_free(&m);
    return outcome;
}

/* How it ended may be the reason. */
static enum outcome reap(pid_t pid, int seconds, enum outcome outcome, struct strbuf *why)
{
    int status = child_reap(pid, true);

    if (sandbox_killed(status, SANDBOX_TICKET, why))
        return OUTCOME_CANNOT;
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGALRM)
        return outcome;
    strbuf_fail(why, "no complete ticket came within %d seconds", seconds);
    return OUTCOME_NOT_PROVED;
}

static enum outcome run_child(const struct settings *settings, struct auth_kerberos_client *client_r, struct strbuf *why)
{
    int seconds = seconds_of(settings);
    enum outcome outcome;
    int ends[2];
    pid_t pid, parent;

    if (privmsg_pair(ends) < 0) {
        strbuf_fail(why, "socketpair: %s", strerror(errno));
        return OUTCOME_CANNOT;
    }
    parent = getpid();
    pid = fork();
    if (pid == 0)
        be_taker(settings, ends[1], parent);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        strbuf_fail(why, "fork: %s", strerror(errno));
        return OUTCOME_CANNOT;
    }
    outcome = hear_child(ends[0], seconds, client_r, why);
    close(ends[0]);
    return reap(pid, seconds, outcome, why);
}

bool kpop_run(const struct settings *settings, const struct peer *peer, struct auth_kerberos_client *client_r)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    enum outcome outcome = run_child(settings, client_r, &why);

    if (outcome == OUTCOME_PROVED)
        log_write(LOG_INFO, "(v%s) Kerberos: client %s is %s (%s)", PACKAGE_VERSION, peer->ip, client_r->principal,
                  client_r->version[0] ? client_r->version : "no version");
    else if (outcome == OUTCOME_NOT_PROVED)
        log_write(LOG_NOTICE, "[AUTH] Kerberos authentication of client %s failed: %s", peer->ip, why.data);
    else
        log_write(LOG_ERR, "no Kerberos for client %s: %s", peer->ip, why.data);
    if (outcome == OUTCOME_NOT_PROVED)
        supervised_failed();
    strbuf_free(&why);
    return outcome == OUTCOME_PROVED;
}
