/*
 * tlsready: see tlsready.h. Runs in the listener, which makes and buries that process, and in the monitors, with their rights, which ask
 * it; what it does itself: tlsmaker.c.
 */
#include "process/tlsready.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/strbuf.h"
#include "process/child.h"
#include "process/supervised.h"
#include "process/tlschannel.h"
#include "process/tlslinger.h"
#include "process/tlsmaker.h"
#include "process/tlsrole.h"
#include "wire/netio.h"
#include "wire/privmsg.h"

#define ANSWER_MS 5000 /* for a fork, the forks of others before it, and the library's start */
#define SECOND INT64_C(1000000000)
#define PAUSE SECOND /* from the end of one to the next; twice as long after each that did not live long */
#define PAUSE_MAX (300 * SECOND)
#define LONG_LIFE (60 * SECOND)

/* The one of our time: the listener's, and known to what it forks. */
static struct {
    pid_t pid; /* 0: there is none */
    int end;   /* what it is asked over, -1: not */
    int64_t made;
    int64_t pause, due; /* due 0: nothing is to be made */
    bool silent;
} ready = { .end = -1 };

/* ---- in the listener */

static void let_go(void)
{
    tlsready_leave();
    ready.pid = 0;
    ready.due = 0;
    ready.silent = false;
}

void tlsready_make(const struct settings *settings, int64_t now)
{
    int ends[2] = { -1, -1 };
    pid_t pid;

    let_go();
    if (settings->tls_support == TLS_SUPPORT_NONE || !child_can_be_pinned())
        return;
    pid = privmsg_pair(ends) < 0 ? -1 : fork();
    if (pid == 0)
        tlsmaker_main(settings, ends[1]);
    if (pid > 0) {
        close(ends[1]);
        ready.pid = pid;
        ready.end = ends[0];
        ready.made = now;
        return;
    }
    log_write(LOG_WARNING, "no process that has the TLS library ready: %s; it is tried again, until then each session that needs it loads it",
              strerror(errno));
    file_close_pair(ends);
    ready.pause = PAUSE_MAX;
    ready.due = now + ready.pause;
}

/* From the end of the last one to the next. */
static void plan_next(int64_t now)
{
    if (ready.pause == 0 || now - ready.made >= LONG_LIFE)
        ready.pause = PAUSE;
    else
        ready.pause = ready.pause < PAUSE_MAX / 2 ? 2 * ready.pause : PAUSE_MAX;
    ready.due = now + ready.pause;
}

bool tlsready_gone(pid_t pid, int status, bool last, int64_t now)
{
    struct strbuf next = STRBUF_INIT(STRBUF_WHY_MAX);
    bool silent = ready.silent;

    if (pid != ready.pid)
        return false;
    let_go();
    if (!last) {
        plan_next(now);
        strbuf_addf(&next, "another one takes its place in %d s, until then ", (int)(ready.pause / SECOND));
    }
    log_write(LOG_WARNING, "the process that has the TLS library ready %s (%s %d); %seach session that needs it loads it",
              silent ? "did not answer and was killed" : "has ended", WIFSIGNALED(status) ? "signal" : "exit status",
              WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), next.data);
    strbuf_free(&next);
    return true;
}

bool tlsready_silent(pid_t pid)
{
    if (pid <= 0 || pid != ready.pid || ready.silent)
        return false;
    ready.silent = true;
    tlsready_leave();
    child_dismiss(pid);
    return true;
}

int64_t tlsready_pause(int64_t now)
{
    if (ready.due == 0)
        return -1;
    return ready.due > now ? ready.due - now : 0;
}

/* ---- in the monitors */

int tlsready_end(void)
{
    return ready.end;
}

void tlsready_leave(void)
{
    if (ready.end >= 0)
        close(ready.end);
    ready.end = -1;
}

bool tlsready_expected(const struct settings *settings)
{
    return ready.end >= 0 || tlslinger_wanted(settings);
}

/* A channel of which the other end is there, or will be when MAKE comes: that end is other_r, else -1. */
static int open_channel(const struct settings *settings, int *other_r, pid_t *pid_r)
{
    int channel[2];

    *other_r = -1;
    *pid_r = ready.pid;
    if (ready.end < 0)
        return tlslinger_call(settings, pid_r);
    if (privmsg_pair(channel) < 0)
        return -1;
    *other_r = channel[1];
    return channel[0];
}

/* All that a relay needs lies in the channel before it is asked for: nobody waits for us. */
static bool ask(int channel, int other, const struct tlsrole *role)
{
    return tlschannel_give(channel, role->peer, role->client_in, role->plain, role->monitor) == 0 &&
           (other < 0 || tlschannel_put(ready.end, TLSCHANNEL_MAKE, 0, "", 0, other) == 0);
}

pid_t tlsready_ask(const struct tlsrole *role, struct tlsready_child *child_r)
{
    uint64_t pid = 0;
    int channel, other;
    pid_t maker;
    bool asked;

    *child_r = (struct tlsready_child)TLSREADY_NO_CHILD;
    channel = open_channel(role->settings, &other, &maker);
    if (channel < 0)
        return -1;
    asked = ask(channel, other, role);
    if (other >= 0)
        close(other);
    if (asked && tlschannel_get(channel, ANSWER_MS, TLSCHANNEL_MADE, &pid, NULL, 0, &child_r->pinned) == 0) {
        child_r->life = channel;
        return (pid_t)pid;
    }
    if (errno == ETIMEDOUT && other >= 0)
        supervised_tls_silent(maker);
    else if (errno == ETIMEDOUT)
        tlslinger_silent(role->settings, maker);
    close(channel);
    return -1;
}

void tlsready_kill(const struct tlsready_child *child)
{
    (void)syscall(SYS_pidfd_send_signal, child->pinned, SIGKILL, NULL, 0);
}

bool tlsready_ends_within(const struct tlsready_child *child, int ms)
{
    int64_t limit = netio_now() + ms * INT64_C(1000000), left;
    struct pollfd p = { .fd = child->pinned, .events = POLLIN };
    int got;

    do {
        left = (limit - netio_now()) / 1000000;
        got = poll(&p, 1, left > 0 ? (int)left : 0);
    } while (got < 0 && errno == EINTR && left > 0);
    return got > 0;
}

int tlsready_status(struct tlsready_child *child)
{
    uint64_t status = 0;

    if (tlschannel_get(child->life, CHILD_LINGER_MS, TLSCHANNEL_ENDED, &status, NULL, 0, NULL) < 0)
        status = 0;
    close(child->life);
    close(child->pinned);
    *child = (struct tlsready_child)TLSREADY_NO_CHILD;
    return (int)status;
}
