/*
 * tlsrelay: see tlsrelay.h.
 *
 * Rights of this role: those of the monitor while it loads the TLS module, certificates and keys; then, before it reads
 * the client's first byte, none: the privsep user, locked into an empty directory, in the sandbox. It holds the
 * client's descriptors, one end of the plain stream and one end of a privmsg pair, and in its memory the private keys,
 * which no other process of the session ever has: it is not dumpable and makes no core file from the beginning, and
 * wipes them at the end. It says log records and one REQUEST_ESTABLISHED to the monitor, and answers REQUEST_SETTLE.
 */
#include "process/tlsrelay.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <config.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/module.h"
#include "process/privsep.h"
#include "process/request.h"
#include "process/ticketkeys.h"
#include "process/tlspump.h"
#include "wire/netio.h"
#include "wire/privmsg.h"

#define LOAD_MS 30000
#define MESSAGES_MAX 100 /* that nobody waits for: records, mostly; more is an attack on the log */
#define FINISH_GRACE_MS 10000 /* beyond the relay's own time limits */
#define ANSWER_GRACE_MS 2000
#define SECOND INT64_C(1000000000)

/* ---- in the relay's process */

struct relay {
    const struct settings *settings;
    const struct peer *peer;
    bool stls;
    int plain;
    int monitor;
    const char *examined_as; /* a trial by the doctor; NULL: none */
    const struct tls_calls *calls;
    struct tls_site *site;
    struct tls *tls;
};

/* The first and only answer: whether this relay can work. */
static void report(const struct relay *r, bool well, const char *why)
{
    struct privmsg m;

    privmsg_init(&m, REQUEST_ANSWER);
    privmsg_put_number(&m, well);
    privmsg_put_text(&m, why);
    (void)privmsg_send(r->monitor, &m);
    privmsg_free(&m);
}

static _Noreturn void end_relay(struct relay *r, int status)
{
    if (r->calls) {
        r->calls->end(&r->tls);
        r->calls->close(&r->site);
    }
    ticketkeys_forget();
    _exit(status);
}

static int load(struct relay *r, struct strbuf *why)
{
    const struct tls_calls *calls = module_find(TLS_MODULE_NAME, TLS_MODULE_SYMBOL, why);
    const unsigned char *keys;
    size_t key_count;

    if (!calls)
        return -1;
    if (strcmp(calls->version, PACKAGE_VERSION) != 0 || calls->settings_size != sizeof *r->settings)
        return strbuf_fail(
            why, "%s is of another version or build (%s) than popper (" PACKAGE_VERSION "); install both again",
            TLS_MODULE_NAME, calls->version);
    keys = ticketkeys_get(&key_count);
    r->site = calls->open(r->settings, keys, key_count, why);
    if (!r->site)
        return -1;
    r->calls = calls;
    r->tls = calls->start(r->site);
    return r->tls ? 0 : strbuf_fail(why, "no memory for a TLS connection");
}

/* Nothing that is in memory from here on gets into a core file or before a debugger. */
static void hide_memory(void)
{
    const struct rlimit none = { 0, 0 };

    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    setrlimit(RLIMIT_CORE, &none);
}

/* It ends when the session does, in order, whatever order to end the session gets. */
static void ignore_signals(void)
{
    const int ignored[] = { SIGTERM, SIGHUP, SIGINT, SIGURG, SIGPIPE };
    size_t i;

    for (i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
}

static void prepare(struct relay *r)
{
    const int keep[] = { r->plain, r->monitor };
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    bool well;

    ignore_signals();
    hide_memory();
    request_log_through(r->monitor);
    log_close();
    file_sanitize_descriptors(3, keep, sizeof keep / sizeof *keep);
    well = load(r, &why) == 0 && privsep_enter(SANDBOX_RELAY, r->settings->sandbox, 0, &why) == 0;
    report(r, well, why.data);
    strbuf_free(&why);
    if (!well)
        end_relay(r, MEM_EXIT_STATUS);
}

/* The byte that preauth sends when the +OK is with the client. */
static void wait_for_word(struct relay *r)
{
    char byte;
    ssize_t n;

    do {
        n = recv(r->plain, &byte, 1, 0);
    } while (n < 0 && errno == EINTR);
    if (n != 1)
        end_relay(r, 0);
}

static void say_established(const struct relay *r)
{
    struct tls_facts facts;
    struct privmsg m;

    r->calls->facts(r->tls, &facts);
    log_write(LOG_NOTICE, "(v%s) %s handshake with client at %s (%s); %s session-id; cipher: %s (%s), %d bits",
              PACKAGE_VERSION, facts.protocol, r->peer->host, r->peer->ip, facts.resumed ? "reused" : "new",
              facts.cipher, facts.cipher_text, facts.bits);
    privmsg_init(&m, REQUEST_ESTABLISHED);
    privmsg_put_bytes(&m, facts.exporter, facts.exporter_length);
    privmsg_put_bytes(&m, facts.end_point, facts.end_point_length);
    (void)privmsg_send(r->monitor, &m);
    privmsg_free(&m);
    mem_wipe(&facts, sizeof facts);
}

/* 0 when there is TLS now. */
static int shake_hands(struct relay *r, struct tlspump *pump)
{
    const struct settings *settings = r->settings;
    int seconds = settings->timeout < settings->preauth_timeout ? settings->timeout : settings->preauth_timeout;
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    enum tlspump_end end = tlspump_handshake(pump, netio_now() + seconds * SECOND, &why);

    switch (end) {
    case TLSPUMP_DONE:
        say_established(r);
        break;
    case TLSPUMP_SILENCE:
        log_write(LOG_DEBUG, "client at %s (%s) left without a word of TLS", r->peer->host, r->peer->ip);
        break;
    case TLSPUMP_TIMEOUT:
        log_write(LOG_NOTICE, "TLS handshake with client at %s (%s) not finished within %d seconds", r->peer->host,
                  r->peer->ip, seconds);
        break;
    case TLSPUMP_LOST:
    case TLSPUMP_BROKEN:
        log_write(LOG_NOTICE, "TLS handshake with client at %s (%s) failed: %s", r->peer->host, r->peer->ip, why.data);
        break;
    case TLSPUMP_ALONE:
        break;
    }
    strbuf_free(&why);
    return end == TLSPUMP_DONE ? 0 : -1;
}

static void relay(struct relay *r, struct tlspump *pump)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);

    switch (tlspump_run(pump, &why)) {
    case TLSPUMP_BROKEN:
        log_write(LOG_NOTICE, "TLS connection with client at %s (%s) ended: %s", r->peer->host, r->peer->ip, why.data);
        break;
    case TLSPUMP_TIMEOUT:
        log_write(LOG_NOTICE,
                  "TLS connection with client at %s (%s) ended: it took nothing of what was sent for too long",
                  r->peer->host, r->peer->ip);
        break;
    default:
        log_write(LOG_DEBUG, "TLS connection with client at %s (%s) ended%s%s", r->peer->host, r->peer->ip,
                  why.len ? ": " : "", why.data);
        break;
    }
    strbuf_free(&why);
}

static _Noreturn void relay_main(struct relay *r)
{
    struct tlspump pump = { .client_in = 0,
                            .client_out = 1,
                            .plain = r->plain,
                            .control = r->monitor,
                            .timeout_ms = r->settings->timeout * 1000 };

    prepare(r);
    pump.calls = r->calls;
    pump.tls = r->tls;
    netio_tune_descriptor(1);
    if (r->stls)
        wait_for_word(r);
    if (shake_hands(r, &pump) == 0)
        relay(r, &pump);
    end_relay(r, 0);
}

/* ---- in the monitor's and the keeper's process */

static void take_binding(struct privmsg *m, unsigned char *to, size_t *length_r)
{
    const char *bytes = privmsg_get_bytes(m, TLSRELAY_BINDING_MAX, length_r);

    memcpy(to, bytes, *length_r);
}

static void lose(struct tlsrelay *r)
{
    if (r->end >= 0)
        close(r->end);
    r->end = -1;
}

/* What the relay says. Counts as hostile: what breaks the rules closes its mouth, and with the descriptors that it
   holds it could do no more anyway. */
static void hear(struct tlsrelay *r, struct privmsg *m)
{
    int priority;
    const char *text;
    size_t n;

    if (r->messages++ >= MESSAGES_MAX) {
        log_write(LOG_ERR, "the TLS relay says too much; nothing more is taken from it");
        lose(r);
        return;
    }
    switch (m->type) {
    case REQUEST_LOG:
        priority = (int)privmsg_get_number(m);
        text = privmsg_get_bytes(m, LOG_RECORD_MAX, &n);
        if (privmsg_complete(m))
            log_record(priority, text, n);
        break;
    case REQUEST_ESTABLISHED:
        take_binding(m, r->exporter, &r->exporter_length);
        take_binding(m, r->end_point, &r->end_point_length);
        m->bad = m->bad || r->established;
        r->established = privmsg_complete(m);
        break;
    case REQUEST_ANSWER: /* of a relay that nobody waited for */
        r->failed = privmsg_get_number(m) == 0;
        if (r->failed)
            log_write(LOG_ERR, "TLS is not possible: %s", privmsg_get_text(m, STRBUF_WHY_MAX));
        else
            privmsg_get_text(m, STRBUF_WHY_MAX);
        break;
    default:
        m->bad = true;
    }
    if (privmsg_complete(m) && m->fd < 0)
        return;
    log_write(LOG_ERR, "the TLS relay sent a broken or unexpected %s; nothing more is taken from it",
              request_name(m->type));
    lose(r);
}

/* One message within the time: 1, 0 none (or the relay is gone: end is -1 then), -1 EINTR. */
static int hear_one(struct tlsrelay *r, int timeout_ms)
{
    struct privmsg m;
    int got = privmsg_receive(r->end, &m, timeout_ms);

    if (got > 0)
        hear(r, &m);
    else if (got < 0 && errno == EINTR)
        return -1;
    else if (got == 0 || errno != ETIMEDOUT)
        lose(r);
    privmsg_free(&m);
    return got > 0;
}

/* Waits for an answer, taking everything else that comes before. Its number, or -1: none. With why it has a text,
   too. */
static int64_t wait_for_answer(struct tlsrelay *r, int timeout_ms, struct strbuf *why)
{
    int64_t limit = netio_now() + timeout_ms * (SECOND / 1000), answer;

    for (;;) {
        int64_t left = (limit - netio_now()) / (SECOND / 1000);
        struct privmsg m;
        int got = privmsg_receive(r->end, &m, left > 0 ? (int)left : 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -1;
        if (m.type != REQUEST_ANSWER) {
            hear(r, &m);
            privmsg_free(&m);
            if (r->end < 0)
                return -1;
            continue;
        }
        answer = (int64_t)(privmsg_get_number(&m) & 3);
        if (why)
            strbuf_fail(why, "%s", privmsg_get_text(&m, STRBUF_WHY_MAX));
        answer = privmsg_complete(&m) ? answer : -1;
        privmsg_free(&m);
        return answer;
    }
}

/* Until the relay can work. */
static int wait_until_loaded(struct tlsrelay *r, struct strbuf *why)
{
    switch (wait_for_answer(r, LOAD_MS, why)) {
    case 1:
        return 0;
    case 0:
        return -1;
    default:
        return strbuf_fail(why, "the process that does TLS did not get ready");
    }
}

int tlsrelay_start(struct tlsrelay *r, const struct settings *settings, const struct peer *peer, bool stls,
                   int *plain_r, struct strbuf *why)
{
    struct relay relay = { .settings = settings, .peer = peer, .stls = stls };
    int ends[2] = { -1, -1 }, plain[2];

    *r = (struct tlsrelay)TLSRELAY_NONE;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, plain) < 0)
        return strbuf_fail(why, "no TLS for %s: socketpair: %s", peer->ip, strerror(errno));
    r->pid = privmsg_pair(ends) < 0 ? -1 : fork();
    if (r->pid == 0) {
        relay.plain = plain[1];
        relay.monitor = ends[1];
        relay_main(&relay);
    }
    r->end = ends[0];
    close(plain[1]);
    close(ends[1]);
    if (r->pid < 0)
        strbuf_fail(why, "no TLS for %s: no process: %s", peer->ip, strerror(errno));
    else if (!stls || wait_until_loaded(r, why) == 0) {
        *plain_r = plain[0];
        return 0;
    }
    if (r->pid > 0)
        r->dismissed = kill(r->pid, SIGKILL) == 0;
    close(plain[0]);
    tlsrelay_finish(r, settings, peer);
    return -1;
}

int tlsrelay_wait(struct tlsrelay *r, int other, int timeout_ms)
{
    while (r->end >= 0) {
        struct pollfd both[2] = { { .fd = r->end, .events = POLLIN }, { .fd = other, .events = POLLIN } };
        int n = poll(both, 2, timeout_ms);

        if (n <= 0)
            return n;
        if (!both[0].revents)
            return 1;
        if (hear_one(r, 0) < 0)
            return -1;
    }
    return 1;
}

int tlsrelay_settle(struct tlsrelay *r, int timeout_ms)
{
    struct privmsg m;
    int64_t settled;
    bool asked;

    if (r->end < 0)
        return REQUEST_SETTLED_NEVER;
    privmsg_init(&m, REQUEST_SETTLE);
    privmsg_put_number(&m, (uint64_t)timeout_ms);
    asked = privmsg_send(r->end, &m) == 0;
    privmsg_free(&m);
    settled = asked ? wait_for_answer(r, timeout_ms + ANSWER_GRACE_MS, NULL) : -1;
    return settled == REQUEST_SETTLED_YES || settled == REQUEST_SETTLED_NOT_YET ? (int)settled : REQUEST_SETTLED_NEVER;
}

static void say_how_it_ended(struct tlsrelay *r, int status, const struct peer *peer)
{
    struct strbuf text = STRBUF_INIT(STRBUF_WHY_MAX);

    r->failed = r->failed || WIFSIGNALED(status);
    if (sandbox_killed(status, SANDBOX_RELAY, &text))
        log_write(LOG_CRIT, "client %s: %s", peer->ip, text.data);
    else if (WIFSIGNALED(status) && !(r->dismissed && WTERMSIG(status) == SIGKILL))
        log_write(LOG_ERR, "the process that does TLS for %s was killed by signal %d (%s)", peer->ip, WTERMSIG(status),
                  strsignal(WTERMSIG(status)));
    strbuf_free(&text);
}

/* It cannot be killed by the keeper, who has another uid: one that lingers is left to init. */
static bool reap(pid_t pid, int64_t limit, int *status_r)
{
    for (;;) {
        pid_t got = waitpid(pid, status_r, WNOHANG);

        if (got == pid)
            return true;
        if ((got < 0 && errno != EINTR) || netio_now() >= limit)
            return false;
        usleep(1000);
    }
}

void tlsrelay_finish(struct tlsrelay *r, const struct settings *settings, const struct peer *peer)
{
    int64_t limit = netio_now() + settings->timeout * SECOND + FINISH_GRACE_MS * (SECOND / 1000);
    int status;

    while (r->end >= 0 && netio_now() < limit)
        hear_one(r, (int)((limit - netio_now()) / (SECOND / 1000)));
    lose(r);
    if (r->pid > 0) {
        if (reap(r->pid, limit, &status))
            say_how_it_ended(r, status, peer);
        else
            log_write(LOG_ERR, "the process %ld that does TLS for %s does not end", (long)r->pid, peer->ip);
    }
    r->pid = 0;
}

/* ---- a trial */

static _Noreturn void check_main(struct relay *r)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    bool well;

    hide_memory();
    request_log_through(r->monitor);
    log_close();
    well = load(r, &why) == 0;
    if (well && r->examined_as)
        r->calls->examine(r->site, r->examined_as);
    report(r, well, why.data);
    end_relay(r, 0);
}

/* host: NULL, or what it is examined as. */
static int try_it(const struct settings *settings, const char *host, struct strbuf *why)
{
    struct relay relay = { .settings = settings, .examined_as = host };
    struct peer nobody = { .ip = "nobody" };
    struct tlsrelay r = TLSRELAY_NONE;
    int ends[2], result;

    if (settings->tls_support == TLS_SUPPORT_NONE)
        return 0;
    if (privmsg_pair(ends) < 0)
        return strbuf_fail(why, "TLS cannot be checked: socketpair: %s", strerror(errno));
    r.pid = fork();
    if (r.pid == 0) {
        relay.monitor = ends[1];
        check_main(&relay);
    }
    close(ends[1]);
    r.end = ends[0];
    result =
        r.pid < 0 ? strbuf_fail(why, "TLS cannot be checked: fork: %s", strerror(errno)) : wait_until_loaded(&r, why);
    tlsrelay_finish(&r, settings, &nobody);
    return result;
}

int tlsrelay_check(const struct settings *settings, struct strbuf *why)
{
    return try_it(settings, NULL, why);
}

int tlsrelay_examine(const struct settings *settings, const char *host, struct strbuf *why)
{
    return try_it(settings, host, why);
}
