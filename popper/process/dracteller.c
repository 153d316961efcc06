/*
 * dracteller: see dracteller.h. Two processes: one talks to the network, and one waits for it and may write to the log.
 *
 * Rights of both: none, the privsep user, and neither has the client's descriptors. They give up the monitor's rights
 * as soon as there are two of them (the limit of processes of the privsep user, who serves all logins, is not for this), so that
 * the module and the RPC library are loaded without. The one that talks has one end of a
 * privmsg pair and is not locked in while it asks the name service, which reads files and opens sockets whenever it
 * likes, and with the modules of nsswitch.conf may call anything (like the resolver); before it hears rpcbind and the
 * DRAC server it enters the sandbox "drac". The one that waits keeps the log and one end to the keeper; what the other
 * one says counts as hostile. Both are gone for certain a little after DRACTELLER_SECONDS.
 */
#include "process/dracteller.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <config.h>

#include "auth/drac.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/module.h"
#include "process/child.h"
#include "process/privsep.h"
#include "process/sandbox.h"
#include "wire/privmsg.h"

#define TELL 1   /* text host, number IPv4 address in host order; from the keeper, and on to who talks */
#define TOLD 2   /* number 1; or 0 and text why */
#define TALK_MS 2500         /* a step of the conversation, so that its end is known before our patience ends */
#define GRACE_SECONDS 2      /* beyond that the kernel ends who is left */
#define HOST_MAX OPTION_VALUE_MAX

struct errand {
    char host[HOST_MAX + 1];
    uint32_t address;
};

static void put_errand(struct privmsg *m, const struct errand *e)
{
    privmsg_init(m, TELL);
    privmsg_put_text(m, e->host);
    privmsg_put_number(m, e->address);
}

/* Waits for one. False: there is none. */
static bool receive_errand(int end, struct errand *e_r)
{
    struct privmsg m;
    const char *host;
    bool well;

    if (privmsg_await(end, &m, -1) <= 0)
        return false;
    host = privmsg_get_text(&m, HOST_MAX);
    e_r->address = (uint32_t)privmsg_get_number(&m);
    well = m.type == TELL && privmsg_complete(&m) && m.fd < 0;
    memcpy(e_r->host, host, strlen(host) + 1);
    privmsg_free(&m);
    return well;
}

/* ---- who talks */

static _Noreturn void report(int end, int result, const struct strbuf *why)
{
    struct privmsg m;

    privmsg_init(&m, TOLD);
    privmsg_put_number(&m, result == 0);
    privmsg_put_text(&m, result == 0 ? "" : why->data);
    privmsg_send(end, &m);
    _exit(0);
}

static int talk_to(const struct drac_calls *calls, const struct errand *e, enum sandbox_mode mode, struct strbuf *why)
{
    struct drac *drac = calls->prepare(e->host, why);

    if (!drac || (sandbox_enter(SANDBOX_DRAC, mode, why) < 0 && mode == SANDBOX_MODE_ENFORCE))
        return -1;
    return calls->tell(drac, e->address, TALK_MS, why);
}

static _Noreturn void talk(int end, enum sandbox_mode mode)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    const struct drac_calls *calls = NULL;
    struct errand e;
    int result = -1;

    log_set_sink(NULL, NULL);
    log_close();
    file_sanitize_descriptors(3, &end, 1);
    if (privsep_become_nobody(&why) == 0)
        calls = module_find(DRAC_MODULE_NAME, DRAC_MODULE_SYMBOL, &why);
    /* Only now: the change of uid would have cleared it. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!receive_errand(end, &e))
        _exit(0);
    if (calls)
        result = talk_to(calls, &e, mode, &why);
    report(end, result, &why);
}

/* ---- who waits */

static void log_outcome(const char *user, const struct errand *e, bool told, const char *why)
{
    struct in_addr address = { .s_addr = htonl(e->address) };
    char ip[INET_ADDRSTRLEN];

    inet_ntop(AF_INET, &address, ip, sizeof ip);
    if (told)
        log_write(LOG_DEBUG, "the DRAC server on %s was told that %s has logged in from %s", e->host, user, ip);
    else
        log_write(LOG_ERR, "DRAC was not told that %s has logged in from %s, so mail from there may be refused: %s", user, ip, why);
}

/* talker_r: 0 when its end was seen. */
static void hear(int end, const char *user, const struct errand *e, pid_t *talker_r)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct privmsg m;
    bool told = false;
    int got = privmsg_await(end, &m, DRACTELLER_SECONDS * 1000);

    if (got < 0 && errno == ETIMEDOUT)
        strbuf_fail(&why, "neither the name service, nor rpcbind or the DRAC server on drac-host %s answered within %d seconds; look whether that host "
                    "and its rpcbind run, or `set drac-host = \"\"`", e->host, DRACTELLER_SECONDS);
    else if (got <= 0) {
        if (!sandbox_killed(child_reap(*talker_r, true), SANDBOX_DRAC, &why))
            strbuf_fail(&why, "the process that talks to the DRAC server on %s ended without a word; please report this", e->host);
        *talker_r = 0;
    }
    if (got > 0) {
        told = privmsg_get_number(&m) == 1;
        strbuf_fail(&why, "%s", privmsg_get_text(&m, STRBUF_WHY_MAX));
        if (m.type != TOLD || !privmsg_complete(&m)) {
            told = false;
            strbuf_fail(&why, "the process that talks to the DRAC server gave a broken answer; please report this");
        }
    }
    log_outcome(user, e, told, why.data);
    privmsg_free(&m);
    strbuf_free(&why);
}

static _Noreturn void wait_for_talker(int keeper, const char *user, enum sandbox_mode mode)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    int pair[2] = { -1, -1 }, keep[5];
    struct errand e;
    struct privmsg m;
    bool asked = false;
    pid_t pid;

    dup2(2, 0);
    dup2(2, 1);
    pid = privmsg_pair(pair) < 0 ? -1 : fork();
    if (pid == 0)
        talk(pair[1], mode);
    if (privsep_become_nobody(&why) < 0) {
        log_write(LOG_ERR, "no process for DRAC: %s", why.data);
        _exit(MEM_EXIT_STATUS);
    }
    keep[0] = keeper;
    keep[1] = pair[0];
    file_sanitize_descriptors(3, keep, 2 + log_descriptors(keep + 2));
    if (receive_errand(keeper, &e)) {
        alarm(DRACTELLER_SECONDS + GRACE_SECONDS);
        put_errand(&m, &e);
        asked = pid > 0 && privmsg_send(pair[0], &m) == 0;
        if (asked)
            hear(pair[0], user, &e, &pid);
        else
            log_outcome(user, &e, false, "there is no process that could do it; the host has too many, or too little memory");
    }
    alarm(GRACE_SECONDS);
    close(pair[0]);
    if (pid > 0)
        child_reap(pid, !asked);
    _exit(0);
}

/* ---- the keeper's side */

static bool may_be_wanted(const struct settings *settings)
{
    return options_feature_built(FEATURE_DRAC) && (settings->drac_host || settings->user_options || settings->spool_options);
}

void dracteller_start(struct dracteller *d, const struct settings *settings, const char *user)
{
    int ends[2] = { -1, -1 };

    *d = (struct dracteller){ .end = -1 };
    if (!may_be_wanted(settings))
        return;
    d->pid = privmsg_pair(ends) < 0 ? -1 : fork();
    if (d->pid == 0) {
        close(ends[0]);
        wait_for_talker(ends[1], user, settings->sandbox);
    }
    if (d->pid > 0) {
        d->end = ends[0];
        close(ends[1]);
        return;
    }
    log_write(LOG_ERR, "no process for DRAC: %s", strerror(errno));
    d->pid = 0;
    file_close_pair(ends);
}

void dracteller_tell(struct dracteller *d, const struct settings *settings, const struct peer *peer)
{
    struct errand e = { .address = 0 };
    struct in_addr address;
    struct privmsg m;

    if (d->pid == 0)
        return;
    if (!settings->drac_host)
        log_write(LOG_DEBUG, "DRAC is not told: drac-host is not set for this user");
    else if (inet_pton(AF_INET, peer->ip, &address) != 1)
        log_write(LOG_DEBUG, "DRAC is not told about client %s: it knows only IPv4 addresses", peer->ip);
    else {
        e.address = ntohl(address.s_addr);
        memcpy(e.host, settings->drac_host, strlen(settings->drac_host) + 1);
        put_errand(&m, &e);
        privmsg_send(d->end, &m);
        privmsg_free(&m);
    }
    close(d->end);
    d->end = -1;
}

void dracteller_finish(struct dracteller *d)
{
    if (d->pid == 0)
        return;
    if (d->end >= 0)
        close(d->end);
    /* It cannot be killed, it has another uid; it ends by itself. */
    child_gone(d->pid);
    *d = (struct dracteller){ .end = -1 };
}
