/*
 * tlsrelay: see tlsrelay.h. Runs in the monitor, and then in the keeper; the relay's own process is tlsrole.c.
 */
#include "process/tlsrelay.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <config.h>

#include "common/log.h"
#include "process/child.h"
#include "process/request.h"
#include "process/sandbox.h"
#include "process/tlslinger.h"
#include "process/tlsrole.h"
#include "wire/netio.h"
#include "wire/privmsg.h"

#define LOAD_MS 30000
#define MESSAGES_MAX 100 /* that nobody waits for: records, mostly; more is an attack on the log */
#define FINISH_GRACE_MS 10000 /* beyond the relay's own time limits */
#define ANSWER_GRACE_MS 2000
#define SECOND INT64_C(1000000000)

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
            request_log_record(priority, text, n);
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

int tlsrelay_wait_ready(struct tlsrelay *r, struct strbuf *why)
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

bool tlsrelay_expected(const struct settings *settings)
{
    return settings->tls_support == TLS_SUPPORT_ALTERNATE_PORT ||
           (settings->tls_support == TLS_SUPPORT_STLS && settings->clear_text_password == CLEAR_TEXT_TLS);
}

static pid_t fork_here(struct tlsrelay *r, struct tlsrole *role)
{
    pid_t pid = fork();

    (void)r;
    if (pid == 0)
        tlsrole_main(role);
    return pid;
}

static pid_t fork_there(struct tlsrelay *r, struct tlsrole *role)
{
    return tlsready_ask(role, &r->there);
}

/* Each way has streams of its own: whoever did not answer may still have them. 0, or -1 with errno. */
static int make(struct tlsrelay *r, struct tlsrole *role, pid_t (*way)(struct tlsrelay *r, struct tlsrole *role), int *plain_r)
{
    int ends[2] = { -1, -1 }, plain[2], error;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, plain) < 0)
        return -1;
    role->plain = plain[1];
    if (privmsg_pair(ends) == 0) {
        role->monitor = ends[1];
        r->pid = way(r, role);
    }
    error = errno;
    r->end = ends[0];
    close(plain[1]);
    close(ends[1]);
    *plain_r = plain[0];
    if (r->pid > 0)
        return 0;
    lose(r);
    close(plain[0]);
    errno = error;
    return -1;
}

static int start(struct tlsrelay *r, const struct settings *settings, const struct peer *peer, bool stls, int *plain_r,
                 struct strbuf *why)
{
    struct tlsrole role = { .settings = settings, .peer = peer, .client_out = 1, .stls = stls };
    bool expected = tlsready_expected(settings);

    *r = (struct tlsrelay)TLSRELAY_NONE;
    if (expected && make(r, &role, fork_there, plain_r) == 0) {
        if (!stls)
            (void)!send(*plain_r, "", 1, MSG_NOSIGNAL); /* it waits for the word of somebody */
        return 0;
    }
    if (make(r, &role, fork_here, plain_r) == 0) {
        if (tlslinger_wanted(settings))
            tlslinger_leave(settings);
        return 0;
    }
    return strbuf_fail(why, "no TLS for %s: no process: %s", peer->ip, strerror(errno));
}

int tlsrelay_begin(struct tlsrelay *r, const struct settings *settings, const struct peer *peer, int *plain_r,
                   struct strbuf *why)
{
    return start(r, settings, peer, true, plain_r, why);
}

int tlsrelay_ready(struct tlsrelay *r, const struct peer *peer, int plain, struct strbuf *why)
{
    if (tlsrelay_wait_ready(r, why) == 0)
        return 0;
    tlsrelay_dismiss(r, peer, plain);
    return -1;
}

int tlsrelay_start(struct tlsrelay *r, const struct settings *settings, const struct peer *peer, int *plain_r,
                   struct strbuf *why)
{
    return start(r, settings, peer, false, plain_r, why);
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

/* ---- its end */

static bool ends_within(const struct tlsrelay *r, int ms)
{
    return r->there.life >= 0 ? tlsready_ends_within(&r->there, ms) : child_ends_within(r->pid, ms);
}

static int status_of(struct tlsrelay *r)
{
    return r->there.life >= 0 ? tlsready_status(&r->there) : child_gone(r->pid);
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

/* ---- one that nobody needs */

void tlsrelay_dismiss(struct tlsrelay *r, const struct peer *peer, int plain)
{
    if (r->there.life >= 0)
        tlsready_kill(&r->there);
    else
        child_dismiss(r->pid);
    r->dismissed = true;
    if (plain >= 0)
        close(plain);
    while (r->end >= 0 && hear_one(r, 0) != 0)
        continue;
    lose(r);
    (void)tlsrelay_buried(r, peer, 0);
}

bool tlsrelay_buried(struct tlsrelay *r, const struct peer *peer, int ms)
{
    if (r->pid <= 0)
        return true;
    if (!ends_within(r, ms))
        return false;
    say_how_it_ended(r, status_of(r), peer);
    r->pid = 0;
    return true;
}

void tlsrelay_abandon(struct tlsrelay *r, const struct peer *peer, int client)
{
    if (tlsrelay_buried(r, peer, CHILD_LINGER_MS))
        return;
    log_write(LOG_ERR, "the process %ld that was to do TLS for %s cannot be killed; does the file system with the certificate and the key answer?",
              (long)r->pid, peer->ip);
    shutdown(client, SHUT_RDWR);
    r->pid = 0;
}

/* ---- the end of one that was needed */

/* It cannot be killed by the keeper, who has another uid: one that lingers is left to init. */
void tlsrelay_finish(struct tlsrelay *r, const struct settings *settings, const struct peer *peer)
{
    int64_t limit = netio_now() + settings->timeout * SECOND + FINISH_GRACE_MS * (SECOND / 1000);
    int64_t left;

    while (r->end >= 0 && netio_now() < limit)
        hear_one(r, (int)((limit - netio_now()) / (SECOND / 1000)));
    lose(r);
    if (r->pid > 0) {
        left = (limit - netio_now()) / (SECOND / 1000);
        if (ends_within(r, left > 0 ? (int)left : 0))
            say_how_it_ended(r, status_of(r), peer);
        else
            log_write(LOG_ERR, "the process %ld that does TLS for %s does not end", (long)r->pid, peer->ip);
    }
    r->pid = 0;
}
