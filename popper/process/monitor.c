/*
 * monitor: see monitor.h.
 *
 * What may run as root, completely (tests/layers.sh sees that each file of process/ and auth/ stands in one of these lists):
 * - main.c, startup.c, systemd.c; in standalone mode standalone.c, admission.c, pool.c, turns.c, listener.c, visitors.c, background.c, reload.c,
 *   tlsready.c, tlsmaker.c, tlsspare.c, tlschannel.c (with tls-linger these, and tlslinger.c, also under inetd); ticketkeys.c, supervised.c, privsep.c, child.c; sandbox.c, of which only the judgement how somebody ended is root's.
 * - In the monitor: monitor.c, monitor_login.c, monitor_sasl.c, checker.c, checker_ahead.c, checker_message.c, request.c, tlsrelay.c, and what they need of
 *   sasl.c (names of mechanisms), protocol/stats.c, settings/, wire/peer.c, privmsg.c, netio.c (the clock) and common/.
 * - The process that checks a password: checker_child.c, and what auth_check calls: auth.c, auth_passwd.c, auth_sasl.c, auth_secrets.c, policy.c, pamlink.c and
 *   the module popper-pam.so (auth_pam.c), libpam and the modules of the site, libcrypt, libgdbm, the name service; auth_kerberos_user.c compares names.
 * - Up to their privsep or identity_become: preauth.c, proxyreader.c, resolver.c, saslstate.c, dracteller.c, bulldb.c, keeper.c (become.c; places.c: spool_gid,
 *   make_hash_dirs), k5login.c (while it loads popper-krb5.so).
 * - The same, but while they load certificates and keys: tlsrole.c and tlstrial.c with the module popper-tls.so (tls.c, tls_certificate.c, tls_site.c,
 *   tls_examine.c) and the TLS library; kpop.c and saslticket.c with the modules popper-krb5.so (auth_kerberos.c) and popper-gsasl.so (sasl_gssapi.c,
 *   sasl_gssapi_user.c), the Kerberos library and GNU SASL. popper-tls.so and its library are also in the
 *   process that has them ready (tlsmaker.c: in standalone mode, and with tls-linger), without certificates and keys, and never in the listener.
 * - With --recover and --check, without a client: recover.c, recover_names.c, check*.c and what they call of these.
 * Never: session.c, keeper_*.c, sessionlock.c, xmit.c, mangler.c, mangleworker.c (a program of its own), tlspump.c, sasl_scram.c, drac.c; sandbox_gen.c is
 * no part of popper. After a login nothing runs as root, but for the process that waits to close the PAM session (checker_child.c, with pam-session).
 *
 * Rights of this role: those it was started with. It never reads from the client's descriptors. What preauth says
 * counts as hostile: a table says which requests are answered now; anything else ends the session.
 */
#include "process/monitor.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <config.h>

#include "auth/auth.h"
#include "auth/auth_secrets.h"
#include "common/log.h"
#include "common/mem.h"
#include "process/checker.h"
#include "process/checker_ahead.h"
#include "process/child.h"
#include "process/keeper.h"
#include "process/kpop.h"
#include "process/monitor_login.h"
#include "process/preauth.h"
#include "process/proxyreader.h"
#include "process/sandbox.h"
#include "process/supervised.h"
#include "process/tlsready.h"
#include "wire/netio.h"
#include "wire/privmsg.h"

#define RECORDS_MAX 300      /* log records of one preauth; more is an attack on the disk */
#define GRACE_SECONDS 90     /* beyond preauth-timeout and failure-delay, which preauth keeps itself */

struct row {
    enum request type;
    bool once;   /* closes when it is asked */
    enum monitor_next (*serve)(struct monitor *mon, struct privmsg *m);
};

static enum monitor_next serve_log(struct monitor *mon, struct privmsg *m)
{
    int priority = (int)privmsg_get_number(m);
    size_t n;
    const char *text = privmsg_get_bytes(m, LOG_RECORD_MAX, &n);

    if (privmsg_complete(m) && mon->records++ < RECORDS_MAX)
        request_log_record(priority, text, n);
    return NEXT_GO_ON;
}

static enum monitor_next serve_handover(struct monitor *mon, struct privmsg *m)
{
    size_t n;
    const char *bytes = privmsg_get_bytes(m, NETIO_UNREAD_MAX, &n);

    if (!privmsg_complete(m))
        return NEXT_GO_ON;
    mon->unread = mem_new(n + 1, 1);
    memcpy(mon->unread, bytes, n);
    mon->unread_count = n;
    return NEXT_KEEPER;
}

/* Where no password is taken outside TLS, nearly every client asks for STLS: certificates and keys are loaded while it
   reads the greeting. Without a process for that it is tried again when the client asks. */
static void expect_stls(struct monitor *mon)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);

    if (mon->settings->tls_support == TLS_SUPPORT_STLS && tlsrelay_expected(mon->settings))
        (void)tlsrelay_begin(&mon->early, mon->settings, &mon->peer, &mon->early_plain, &why);
    strbuf_free(&why);
}

static void expect_no_stls(struct monitor *mon)
{
    if (mon->early.pid > 0 && !mon->early.dismissed)
        tlsrelay_dismiss(&mon->early, &mon->peer, mon->early_plain);
}

/* While it loads, the process that will check the password is made. */
static int take_relay(struct monitor *mon, int *plain_r, struct strbuf *why)
{
    if (mon->early.pid <= 0 &&
        tlsrelay_begin(&mon->early, mon->settings, &mon->peer, &mon->early_plain, why) < 0)
        return -1;
    checker_ahead_make(mon->settings);
    if (tlsrelay_ready(&mon->early, &mon->peer, mon->early_plain, why) < 0)
        return -1;
    mon->relay = mon->early;
    mon->early = (struct tlsrelay)TLSRELAY_NONE;
    *plain_r = mon->early_plain;
    return 0;
}

/* From here on descriptors 0 and 1 are the stream behind the relay. */
static int start_tls(struct monitor *mon, bool stls, int *plain_r, struct strbuf *why)
{
    int started = stls ? take_relay(mon, plain_r, why)
                       : tlsrelay_start(&mon->relay, mon->settings, &mon->peer, plain_r, why);

    if (started < 0)
        return -1;
    if (dup2(*plain_r, 0) < 0 || dup2(*plain_r, 1) < 0)
        return strbuf_fail(why, "dup2: %s", strerror(errno));
    return 0;
}

static enum monitor_next serve_stls(struct monitor *mon, struct privmsg *m)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct privmsg answer;
    int sent, plain = -1;

    if (!privmsg_complete(m))
        return NEXT_GO_ON;
    if (start_tls(mon, true, &plain, &why) < 0)
        log_write(LOG_ERR, "STLS from %s refused: %s", mon->peer.ip, why.data);
    strbuf_free(&why);
    privmsg_init(&answer, REQUEST_ANSWER);
    privmsg_put_number(&answer, plain >= 0);
    if (plain >= 0)
        privmsg_put_fd(&answer, plain);
    tlsready_leave();
    sent = privmsg_send(mon->preauth, &answer);
    privmsg_free(&answer); /* and closes plain, which is 0 and 1 now */
    return sent < 0 ? NEXT_GONE : NEXT_GO_ON;
}

static const struct row rows[] = {
    { REQUEST_LOG, false, serve_log },
    { REQUEST_PASSWORD, true, monitor_login_password },
    { REQUEST_APOP, true, monitor_login_password },
    { REQUEST_SASL_START, true, monitor_login_sasl_start },
    { REQUEST_SASL_STEP, true, monitor_login_sasl_step },
    { REQUEST_SASL_CANCEL, true, monitor_login_sasl_cancel },
    { REQUEST_BINDING, false, monitor_login_binding },
    { REQUEST_HANDOVER, true, serve_handover },
    { REQUEST_STLS, true, serve_stls },
};

/* The row that answers this type now, or NULL. */
static const struct row *row_of(const struct monitor *mon, uint32_t type)
{
    size_t i;

    for (i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].type == type && (mon->open_rows & (1u << type)))
            return &rows[i];
    return NULL;
}

static enum monitor_next serve(struct monitor *mon, struct privmsg *m)
{
    const struct row *row = row_of(mon, m->type);
    enum monitor_next next;

    if (!row || m->fd >= 0) {
        log_write(LOG_ERR,
                  "the process that meets clients first asked for %s%s, which it may not now; the session from %s ends",
                  request_name(m->type), m->fd >= 0 ? " with a descriptor" : "", mon->peer.ip);
        return NEXT_END;
    }
    if (row->once)
        mon->open_rows &= ~(1u << row->type);
    next = row->serve(mon, m);
    if (privmsg_complete(m))
        return next;
    log_write(LOG_ERR, "the process that meets clients first sent a broken %s; the session from %s ends",
              request_name(m->type), mon->peer.ip);
    return NEXT_END;
}

/* Until preauth hands over, ends, breaks a rule or takes too long. */
static enum monitor_next serve_all(struct monitor *mon)
{
    int seconds = mon->settings->preauth_timeout + mon->settings->failure_delay + GRACE_SECONDS;
    int64_t limit = netio_now() + seconds * INT64_C(1000000000);
    enum monitor_next next = NEXT_GO_ON;

    while (next == NEXT_GO_ON) {
        struct privmsg m;
        int64_t left = (limit - netio_now()) / 1000000;
        int got = -1;

        privmsg_init(&m, 0);
        /* Even one who always has something to say. */
        if (left <= 0)
            errno = ETIMEDOUT;
        else if (tlsrelay_wait(&mon->relay, mon->preauth, (int)left) >= 0)
            got = privmsg_receive(mon->preauth, &m, (int)left);
        if (got > 0)
            next = serve(mon, &m);
        else if (got == 0)
            next = NEXT_GONE;
        else if (errno != EINTR) {
            log_write(LOG_ERR, "the process that serves the login from %s: %s; it is ended", mon->peer.ip,
                      strerror(errno));
            next = NEXT_END;
        }
        privmsg_free(&m);
    }
    return next;
}

/* Ends preauth for certain: from here on it reads nothing more from the client. False when it did not end well. */
static bool reap_preauth(struct monitor *mon, enum monitor_next next)
{
    struct strbuf text = STRBUF_INIT(STRBUF_WHY_MAX);
    int status = child_reap(mon->preauth_pid, next == NEXT_GONE);
    bool well = next == NEXT_GONE && WIFEXITED(status) && WEXITSTATUS(status) == 0;

    close(mon->preauth);
    if (sandbox_killed(status, SANDBOX_PREAUTH, &text))
        log_write(LOG_CRIT, "client %s: %s", mon->peer.ip, text.data);
    else if (next == NEXT_GONE && WIFSIGNALED(status))
        log_write(LOG_ERR, "the process that serves the login from %s was killed by signal %d (%s)", mon->peer.ip,
                  WTERMSIG(status),
                  strsignal(WTERMSIG(status)));
    strbuf_free(&text);
    return well;
}

/* door: see preauth.h. */
static bool start_preauth(struct monitor *mon, int door)
{
    struct preauth_start start = {
        .settings = mon->settings, .peer = &mon->peer, .host = mon->host, .stamp = mon->stamp,
        .tls = mon->relay.pid > 0, .door = door, .monitor_pid = mon->pid,
    };
    int ends[2];

    if (privmsg_pair(ends) < 0) {
        log_write(LOG_ERR, "no session for %s: socketpair: %s", mon->peer.ip, strerror(errno));
        return false;
    }
    mon->preauth_pid = fork();
    if (mon->preauth_pid == 0) {
        start.monitor = ends[1];
        preauth_main(&start);
    }
    close(ends[1]);
    mon->preauth = ends[0];
    if (mon->preauth_pid > 0)
        return true;
    log_write(LOG_ERR, "no session for %s: fork: %s", mon->peer.ip, strerror(errno));
    return false;
}

static int become_keeper(struct monitor *mon)
{
    struct strbuf list = STRBUF_INIT(SASL_LIST_MAX);
    struct keeper_start start = {
        .settings = mon->settings, .peer = &mon->peer, .pid = mon->pid, .host = mon->host, .user = &mon->user, .unread = mon->unread,
        .unread_count = mon->unread_count, .auth_ns = mon->auth_ns, .relay = &mon->relay, .early = &mon->early, .preauth = mon->preauth_pid,
    };
    int status;

    child_dismiss(mon->preauth_pid);
    close(mon->preauth);
    tlsready_leave();
    expect_no_stls(mon);
    monitor_sasl_list(mon->settings, &mon->peer, &mon->relay, mon->stamp[0] != '\0', &list);
    start.sasl = list.data;
    status = keeper_run(&start);
    mem_free(mon->unread);
    return status;
}

/* alternate-port: the client begins with TLS. Certificates and keys are loaded while preauth starts. */
static bool begin_with_tls(struct monitor *mon)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    int plain;

    if (mon->settings->tls_support != TLS_SUPPORT_ALTERNATE_PORT)
        return true;
    if (start_tls(mon, false, &plain, &why) < 0) {
        log_write(LOG_ERR, "no session for %s: %s", mon->peer.ip, why.data);
        strbuf_free(&why);
        return false;
    }
    close(plain);
    tlsready_leave();
    return true;
}

/* Nobody serves the client any more. */
static void end_tls(struct monitor *mon)
{
    if (mon->relay.pid <= 0)
        return;
    dup2(2, 0);
    dup2(2, 1);
    tlsrelay_finish(&mon->relay, mon->settings, &mon->peer);
}

static void begin(struct monitor *mon, const struct settings *settings)
{
    mon->settings = settings;
    mon->pid = getpid();
    mon->session = -1;
    mon->relay = mon->early = (struct tlsrelay)TLSRELAY_NONE;
    mon->sasl = (struct monitor_sasl)MONITOR_SASL_NONE;
    if (gethostname(mon->host, sizeof mon->host - 1) < 0 || !mon->host[0])
        strcpy(mon->host, "localhost");
}

/* From the client's first moment to the end. */
static int serve_client(struct monitor *mon)
{
    const struct settings *settings = mon->settings;
    enum monitor_next next;
    bool well;

    mon->started = netio_now();
    if (!proxyreader_run(settings, &mon->peer))
        return 0;
    if (settings->proxy_networks.count > 0)
        supervised_peer(mon->peer.ip);
    resolver_start(&mon->resolver, settings, &mon->peer);
    log_write(LOG_DEBUG, "(v%s) Servicing request from \"%s\" at %s", PACKAGE_VERSION, mon->peer.host, mon->peer.ip);
    if (!begin_with_tls(mon))
        return MEM_EXIT_STATUS;
    if (settings->kerberos && !kpop_run(settings, &mon->peer, &mon->ticket)) {
        resolver_stop(&mon->resolver);
        end_tls(mon);
        return 0;
    }
    expect_stls(mon);
    if (mon->preauth_pid <= 0 && !start_preauth(mon, -1))
        return MEM_EXIT_STATUS; /* what was started ends with us */
    /* While preauth begins, or hands are shaken. By itself, who waits for his client has one already, and of the others only so many check. */
    if (mon->relay.pid > 0 || !supervised())
        checker_ahead_make(settings);
    monitor_permit(mon, REQUEST_LOG);
    monitor_permit(mon, REQUEST_BINDING);
    monitor_login_open(mon);
    if (settings->tls_support == TLS_SUPPORT_STLS)
        monitor_permit(mon, REQUEST_STLS);
    next = serve_all(mon);
    resolver_stop(&mon->resolver);
    monitor_sasl_stop(&mon->sasl);
    checker_finish();
    if (next == NEXT_KEEPER)
        return become_keeper(mon);
    well = reap_preauth(mon, next);
    expect_no_stls(mon);
    end_tls(mon);
    tlsrelay_abandon(&mon->early, &mon->peer, 1);
    well = well && !mon->relay.failed;
    log_write(LOG_DEBUG, "(v%s) Ending request from \"%s\" at (%s) %s", PACKAGE_VERSION,
              mon->granted ? mon->user.name : "", mon->peer.host, mon->peer.ip);
    return well ? 0 : MEM_EXIT_STATUS;
}

int monitor_run(const struct settings *settings)
{
    struct monitor mon = { .preauth = -1 };

    begin(&mon, settings);
    peer_of_descriptor(&mon.peer, 0);
    if (auth_secrets_offered(settings) && !settings->kerberos)
        auth_secrets_stamp(mon.host, mon.stamp);
    return serve_client(&mon);
}

/* ---- before there is a client */

bool monitor_preauth_ahead(const struct settings *settings)
{
    return settings->proxy_networks.count == 0 && settings->tls_support != TLS_SUPPORT_ALTERNATE_PORT &&
           !settings->kerberos;
}

int monitor_run_ahead(struct settings *settings, int supervisor, int door)
{
    struct monitor mon = { .preauth = -1 };
    struct supervised_client client;

    begin(&mon, settings);
    if (!settings->kerberos)
        auth_secrets_stamp(mon.host, mon.stamp);
    if (door >= 0) {
        if (!start_preauth(&mon, door))
            return MEM_EXIT_STATUS;
        close(door);
    }
    checker_ahead_make(settings);
    supervised_enter(supervisor);
    if (supervised_take(supervisor, &client) == 0)
        return 0;
    if (dup2(client.fd, 0) < 0 || dup2(client.fd, 1) < 0)
        return MEM_EXIT_STATUS;
    close(client.fd);
    mon.peer = client.peer;
    settings->failure_delay = client.delay;
    if (!client.secrets)
        mon.stamp[0] = '\0';
    return serve_client(&mon);
}
