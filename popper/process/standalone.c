/*
 * standalone: see standalone.h.
 *
 * Rights of this role: those it was started with. It reads no byte from a client: it accepts, and hands the connection
 * to a process of its own (pool, monitor), which says over `supervised` when it wants to check a password and when
 * somebody has logged in. Signals: HUP reads the configuration again, after a child has found it good; TERM and INT
 * stop accepting and wait for the sessions, the second one ends them, the third one waits for nobody.
 */
#include "process/standalone.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <config.h>

#include "auth/auth_secrets.h"
#include "common/log.h"
#include "common/mem.h"
#include "process/admission.h"
#include "process/background.h"
#include "process/listener.h"
#include "process/pool.h"
#include "process/privsep.h"
#include "process/reload.h"
#include "process/startup.h"
#include "process/supervised.h"
#include "process/systemd.h"
#include "process/ticketkeys.h"
#include "process/tlsready.h"
#include "process/tlstrial.h"
#include "process/turns.h"
#include "process/visitors.h"
#include "wire/netio.h"
#include "wire/peer.h"
#include "wire/proxyheader.h"

#define SECOND INT64_C(1000000000)
#define PAUSE_NS SECOND      /* without accepting, when the host has no more descriptors or processes */
#define SPARE_DESCRIPTORS 64
#define REASON_MAX 100
#define GREETING_NS (SECOND / 1000) /* a new client has the processors for himself so long, unless few wait for others */

struct standalone {
    struct settings *settings;
    const struct standalone_start *start;
    struct listeners listeners;
    struct visitors visitors;
    struct admission refusals;
    struct pool pool;
    struct turns turns;
    struct reload reload;
    sigset_t awake;              /* the mask while waiting */
    unsigned ends;               /* SIGTERMs obeyed */
    int64_t pause_until;
    int64_t grow_at;             /* not before that more processes are made ahead */
};

/* ---- signals */

static volatile sig_atomic_t asked_reload, asked_end, child_ended;

static void on_signal(int number)
{
    if (number == SIGHUP)
        asked_reload = 1;
    else if (number == SIGCHLD)
        child_ended = 1;
    else
        asked_end++;
}

static const int signals[] = { SIGHUP, SIGTERM, SIGINT, SIGCHLD };
#define SIGNALS (sizeof signals / sizeof *signals)

/* They come only while we wait. */
static void handle_signals(struct standalone *st)
{
    struct sigaction action = { .sa_handler = on_signal };
    sigset_t ours;

    sigemptyset(&ours);
    for (size_t i = 0; i < SIGNALS; i++) {
        sigaddset(&ours, signals[i]);
        sigaction(signals[i], &action, NULL);
    }
    sigprocmask(SIG_BLOCK, &ours, &st->awake);
}

/* ---- what is made ahead */

static void ready_tls(struct standalone *st)
{
    tlsready_make(st->settings, netio_now());
}

/* Who waits for a client, or has the TLS library ready, knows the settings and keys of its time. */
static void make_anew(struct standalone *st)
{
    pool_empty(&st->pool);
    ready_tls(st);
}

/* ---- clients */

/* True in the child, with its exit status. */
static bool start_session(struct standalone *st, const struct supervised_client *client, const char *source, int *status_r)
{
    char reason[REASON_MAX];
    pid_t pid;
    int end;

    if (ticketkeys_renew())
        make_anew(st);
    pid = pool_serve(&st->pool, st->settings, client, &end, status_r);
    if (pid > 0) {
        visitors_add(&st->visitors, pid, end, source);
        st->grow_at = 2 * st->pool.count < (size_t)st->settings->prefork ? 0 : netio_now() + GREETING_NS;
    } else if (pid < 0) {
        snprintf(reason, sizeof reason, "refused: there is no process for it: %s", strerror(errno));
        admission_refuse(&st->refusals, st->settings, client->fd, client->peer.ip, reason);
        st->pause_until = netio_now() + PAUSE_NS;
    }
    return pid == 0;
}

static bool take_client(struct standalone *st, int client, int *status_r)
{
    struct supervised_client who = { .fd = client, .secrets = auth_secrets_offered(st->settings) };
    char source[VISITORS_SOURCE_MAX] = "";
    const char *reason;

    peer_of_descriptor(&who.peer, client);
    if (!proxyheader_expected(&st->settings->proxy_networks, &who.peer))
        visitors_source(who.peer.ip, source);
    who.delay = visitors_delay(&st->visitors, source, st->settings->failure_delay, netio_now());
    reason = admission_obstacle(&st->refusals, &st->visitors, st->settings, source);
    if (!reason)
        return start_session(st, &who, source, status_r);
    admission_refuse(&st->refusals, st->settings, client, who.peer.ip, reason);
    return false;
}

/* True in a child. */
static bool accept_one(struct standalone *st, const struct listener *listener, int *status_r)
{
    int client = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
    bool child;

    if (client < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            admission_note(&st->refusals, listener->name, strerror(errno));
            st->pause_until = netio_now() + PAUSE_NS;
        }
        return false;
    }
    child = take_client(st, client, status_r);
    if (!child)
        close(client);
    return child;
}

/* ---- what the monitors say */

static void stop_listening_to(struct visitor *who)
{
    if (who->end >= 0)
        close(who->end);
    who->end = -1;
}

/* The same word comes from who is no proxy: then it is nothing new. */
static void take_true_peer(struct standalone *st, struct visitor *who, const char *ip)
{
    char source[VISITORS_SOURCE_MAX];

    visitors_source(ip, source);
    if (strcmp(who->source, source) == 0)
        return;
    if (visitors_from(&st->visitors, source) >= (size_t)st->settings->max_sessions_per_address) {
        admission_note(&st->refusals, ip, "ended: max-sessions-per-address is reached");
        admission_end(who);
    }
    memcpy(who->source, source, sizeof source);
}

static void hear(struct standalone *st, struct visitor *who)
{
    char message[SUPERVISED_MESSAGE_MAX + 1];
    ssize_t n = recv(who->end, message, sizeof message - 1, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    message[n > 0 ? n : 0] = '\0';
    switch (message[0]) {
    case SUPERVISED_CHECK:
        visitors_ask(&st->visitors, who);
        break;
    case SUPERVISED_CHECKED:
        who->state = VISITOR_PREAUTH;
        break;
    case SUPERVISED_FAILED:
        visitors_failed(&st->visitors, who->source, netio_now());
        break;
    case SUPERVISED_PEER:
        take_true_peer(st, who, message + 1);
        break;
    case SUPERVISED_TLS_SILENT:
        if (tlsready_silent((pid_t)atol(message + 1)))
            pool_empty(&st->pool); /* they would ask it, too */
        break;
    case SUPERVISED_LOGGED_IN:
        who->state = VISITOR_SESSION;
        stop_listening_to(who);
        break;
    default:
        stop_listening_to(who);
    }
}

/* One that has no client. */
static void reap_other(struct standalone *st, pid_t pid, int status)
{
    int64_t now = netio_now();

    if (!tlsready_gone(pid, status, st->ends > 0, now) && pool_forget(&st->pool, pid, now) && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM))
        log_write(LOG_WARNING, "a process that waited for a client has ended (%s %d); another one will take its place",
                  WIFSIGNALED(status) ? "signal" : "exit status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void reap(struct standalone *st)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct visitor *who = visitors_of_pid(&st->visitors, pid);

        if (!who) {
            reap_other(st, pid, status);
            continue;
        }
        if (WIFSIGNALED(status) && !who->ending)
            log_write(LOG_ERR, "the process of the session from %s was killed by signal %d (%s)",
                      who->source[0] ? who->source : "unknown", WTERMSIG(status), strsignal(WTERMSIG(status)));
        stop_listening_to(who);
        visitors_remove(&st->visitors, who);
    }
}

/* ---- the end */

static void obey_end(struct standalone *st)
{
    st->ends++;
    if (st->ends == 1) {
        listeners_close(&st->listeners);
        pool_empty(&st->pool);
        systemd_notify("STOPPING=1\nSTATUS=waiting for %zu sessions", st->visitors.count);
        log_write(LOG_NOTICE, "(v%s) no more clients are served; %zu sessions go on until they end, or until the next SIGTERM",
                  PACKAGE_VERSION, st->visitors.count);
        return;
    }
    log_write(LOG_NOTICE, "%zu sessions are ended", st->visitors.count);
    for (size_t i = 0; i < st->visitors.count; i++)
        admission_end(&st->visitors.item[i]);
}

static bool at_end(const struct standalone *st)
{
    return (st->ends > 0 && st->visitors.count == 0) || st->ends > 2;
}

/* ---- the loop */

/* The listeners first, then the visitors who may say something; places[i] says whose the i-th of these is. */
static size_t fill_polls(struct standalone *st, struct pollfd *p, pid_t *pids)
{
    bool accepting = netio_now() >= st->pause_until;
    size_t n = 0;

    for (size_t i = 0; i < st->listeners.count; i++)
        p[n++] = (struct pollfd){ .fd = accepting ? st->listeners.item[i].fd : -1, .events = POLLIN };
    for (size_t i = 0; i < st->visitors.count; i++)
        if (st->visitors.item[i].end >= 0) {
            pids[n] = st->visitors.item[i].pid;
            p[n++] = (struct pollfd){ .fd = st->visitors.item[i].end, .events = POLLIN };
        }
    return n;
}

/* From those that we were started with: one descriptor for each client who has not logged in, two for each that is prepared for. */
static void raise_limits(struct standalone *st)
{
    rlim_t wanted = (rlim_t)st->settings->max_preauth + SPARE_DESCRIPTORS + LISTENERS_MAX +
                    POOL_MAX * POOL_DESCRIPTORS;
    struct rlimit more = st->pool.descriptors;

    if (more.rlim_cur < wanted)
        more.rlim_cur = more.rlim_max < wanted ? more.rlim_max : wanted;
    setrlimit(RLIMIT_NOFILE, &more);
}

/* Certificates are loaded anew for each client anyway; new keys for TLS tickets are as good as a restart. */
static void obey_reload(struct standalone *st)
{
    if (reload_do(&st->reload, &st->settings)) {
        raise_limits(st);
        privsep_remember();
        ticketkeys_renew();
        make_anew(st);
        turns_begin(&st->turns);
    }
}

static void obey_signals(struct standalone *st)
{
    if (child_ended) {
        child_ended = 0;
        reap(st);
    }
    if (asked_reload) {
        asked_reload = 0;
        if (st->ends == 0)
            obey_reload(st);
    }
    for (; asked_end > 0; asked_end--)
        obey_end(st);
}

static bool is_hungry(const struct standalone *st, int64_t now)
{
    return st->ends == 0 && pool_hungry(&st->pool, st->settings, now);
}

/* NULL: until somebody wants something. */
static const struct timespec *patience(const struct standalone *st, int64_t now, struct timespec *time)
{
    int64_t ns = -1, tls = st->ends == 0 ? tlsready_pause(now) : -1;

    if (is_hungry(st, now))
        ns = st->grow_at > now ? st->grow_at - now : 0;
    else if (now < st->pause_until || now < st->pool.pause_until)
        ns = SECOND;
    if (tls >= 0 && (ns < 0 || tls < ns))
        ns = tls;
    if (ns < 0)
        return NULL;
    *time = (struct timespec){ .tv_sec = ns / SECOND, .tv_nsec = ns % SECOND };
    return time;
}

/* Those who are here first: what they say makes room. */
static void hear_visitors(struct standalone *st, const struct pollfd *p, const pid_t *pids, size_t first, size_t n)
{
    for (size_t i = first; i < n; i++)
        if (p[i].revents)
            hear(st, visitors_of_pid(&st->visitors, pids[i]));
    if (turns_grant(&st->turns, &st->visitors, st->settings))
        st->grow_at = 0; /* its client waits, and we have nothing better to do */
}

/* True in a child. */
static bool wait_once(struct standalone *st, int *status_r)
{
    size_t room = st->listeners.count + st->visitors.count, listening = st->listeners.count, n;
    struct pollfd *p = mem_new(room + 1, sizeof *p);
    pid_t *pids = mem_new(room + 1, sizeof *pids);
    int64_t now = netio_now();
    struct timespec time;
    bool child = false;
    int ready;

    n = fill_polls(st, p, pids);
    ready = ppoll(p, n, patience(st, now, &time), &st->awake);
    if (ready > 0)
        hear_visitors(st, p, pids, listening, n);
    else if (ready == 0 && is_hungry(st, now))
        child = pool_grow(&st->pool, st->settings, now, status_r); /* time for those who will come */
    for (size_t i = 0; ready > 0 && !child && i < listening; i++)
        if (p[i].revents)
            child = accept_one(st, &st->listeners.item[i], status_r);
    mem_free(p);
    mem_free(pids);
    return child;
}

static int run(struct standalone *st)
{
    int status = 0;

    while (!at_end(st)) {
        if (wait_once(st, &status))
            return status;
        obey_signals(st);
        if (st->ends == 0 && tlsready_pause(netio_now()) == 0)
            make_anew(st);
        (void)turns_grant(&st->turns, &st->visitors, st->settings);
    }
    background_remove_pid_file();
    log_write(LOG_NOTICE, "(v%s) ended", PACKAGE_VERSION);
    return 0;
}

/* ---- the beginning */

static int listen_everywhere(struct standalone *st, struct strbuf *why)
{
    const struct config_action *action = st->start->action;
    int given = systemd_sockets();

    if (listeners_adopt(&st->listeners, SYSTEMD_FIRST_FD, (size_t)given, why) < 0)
        return -1;
    if (given > 0 && action->address_count == 0)
        return 0;
    return listeners_open(&st->listeners, action->addresses, action->address_count, why);
}

static void announce(const struct standalone *st)
{
    for (size_t i = 0; i < st->listeners.count; i++)
        log_write(LOG_NOTICE, "(v%s) listening at %s", PACKAGE_VERSION, st->listeners.item[i].name);
    systemd_notify("READY=1\nSTATUS=listening at %s%s", st->listeners.item[0].name,
                   st->listeners.count > 1 ? " and elsewhere" : "");
}

static int complain(const char *text)
{
    fprintf(stderr, "popper: %s\n", text);
    log_write(LOG_ERR, "%s", text);
    return 1;
}

int standalone_run(struct settings *settings, const struct standalone_start *start)
{
    struct standalone st = { .settings = settings, .start = start, .pool = { .argv0 = start->argv0 } };
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    int ready = -1;

    if (tlstrial_check(settings, &why) < 0)
        return complain(why.data);
    reload_prepare(&st.reload, start->argc, start->argv, start->argv0);
    if (listen_everywhere(&st, &why) < 0)
        return complain(why.data);
    if (settings->daemon && background_enter(&ready, &why) < 0)
        return complain(why.data);
    log_open(start->argv0, settings->log_facility);
    if (background_write_pid_file(settings, &why) < 0)
        return complain(why.data);
    startup_detach();
    if (dup2(2, 0) < 0 || dup2(2, 1) < 0)
        return MEM_EXIT_STATUS;
    if (getrlimit(RLIMIT_NOFILE, &st.pool.descriptors) == 0)
        raise_limits(&st);
    privsep_remember();
    turns_begin(&st.turns);
    ticketkeys_renew();
    ready_tls(&st);
    handle_signals(&st);
    announce(&st);
    background_ready(ready);
    return run(&st);
}
