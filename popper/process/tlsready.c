/*
 * tlsready: see tlsready.h.
 *
 * Rights of this role: those of the listener. It reads no byte from a client and opens nothing after the library's start; what it
 * is asked is one packet with one descriptor, a channel, from a monitor before its login. It holds its end of that, one channel for each
 * relay that lives, and the log; no listening socket, and nothing of a client: these lie in the channel, and only the fork that becomes
 * the relay takes them out. It is not dumpable and makes no core file. The signals that end popper are not for it: who asks needs it
 * until his own end.
 *
 * In the channel: from the monitor CLIENT (bytes peer, descriptor), PLAIN and MONITOR (descriptor); then from here MADE (number pid,
 * descriptor its pidfd) and ENDED (number wait status). A monitor that waits no longer closes it: then MADE does not arrive, and
 * the relay is killed. It has not met the client yet, since the byte that it waits for on its plain stream comes from who got MADE.
 */
#include "process/tlsready.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "process/child.h"
#include "process/startup.h"
#include "process/supervised.h"
#include "process/ticketkeys.h"
#include "process/tlsrole.h"
#include "wire/netio.h"
#include "wire/privmsg.h"

#define ANSWER_MS 5000 /* for a fork, the forks of others before it, and the library's start */
#define SECOND INT64_C(1000000000)
#define PAUSE SECOND /* from the end of one to the next; twice as long after each that did not live long */
#define PAUSE_MAX (300 * SECOND)
#define LONG_LIFE (60 * SECOND)
#define SPARE_DESCRIPTORS 64

enum word { WORD_MAKE = 1, WORD_CLIENT, WORD_PLAIN, WORD_MONITOR, WORD_MADE, WORD_ENDED };

/* The one of our time: the listener's, and known to what it forks. */
static struct {
    pid_t pid; /* 0: there is none */
    int end;   /* what it is asked over, -1: not */
    int64_t made;
    int64_t pause, due; /* due 0: nothing is to be made */
    bool silent;
} ready = { .end = -1 };

static int put(int end, enum word word, uint64_t number, const void *bytes, size_t n, int fd)
{
    struct privmsg m;
    int result;

    privmsg_init(&m, word);
    privmsg_put_number(&m, number);
    privmsg_put_bytes(&m, bytes, n);
    privmsg_put_fd(&m, fd);
    result = privmsg_send(end, &m);
    m.fd = -1;
    privmsg_free(&m);
    return result;
}

/* The next one, which must be this and come within the time. 0, and n bytes are in bytes_r; or -1 with errno (0: the other side
   is gone). */
static int get(int end, int ms, enum word word, uint64_t *number_r, void *bytes_r, size_t n, int *fd_r)
{
    struct privmsg m;
    int got = privmsg_await(end, &m, ms), result = -1;
    const char *bytes;
    size_t length;

    if (got <= 0) {
        errno = got == 0 ? 0 : errno;
        return -1;
    }
    *number_r = privmsg_get_number(&m);
    bytes = privmsg_get_bytes(&m, n, &length);
    if (m.type == (uint32_t)word && privmsg_complete(&m) && length == n && (m.fd >= 0) == (fd_r != NULL)) {
        if (n > 0)
            memcpy(bytes_r, bytes, n);
        if (fd_r)
            *fd_r = m.fd;
        m.fd = -1;
        result = 0;
    }
    privmsg_free(&m);
    errno = EBADMSG;
    return result;
}

/* ---- the process itself */

struct relay {
    pid_t pid;
    int channel;
};

struct maker {
    const struct tlsready_start *start;
    int end;
    struct relay *relays;
    size_t count, room;
};

/* Everything lies there already, or nobody wants it any more. */
static _Noreturn void become_relay(const struct maker *z, int channel)
{
    struct peer peer;
    struct tlsrole role = { .settings = z->start->settings, .peer = &peer, .stls = true };
    uint64_t nothing;
    int keep[4] = { channel }, client;
    size_t count = 1 + log_descriptors(keep + 1);

    startup_signals();
    file_close_others(3, keep, count); /* the channels of all others may have left no room */
    if (get(channel, 0, WORD_CLIENT, &nothing, &peer, sizeof peer, &client) < 0 ||
        get(channel, 0, WORD_PLAIN, &nothing, NULL, 0, &role.plain) < 0 ||
        get(channel, 0, WORD_MONITOR, &nothing, NULL, 0, &role.monitor) < 0 || dup2(client, 0) < 0 || dup2(client, 1) < 0)
        _exit(MEM_EXIT_STATUS);
    tlsrole_main(&role);
}

/* Not waited for: until then its pid is nobody else's. */
static bool tell_made(int channel, pid_t pid)
{
    int look_ms, pinned = child_pin(pid, &look_ms);
    bool told = pinned >= 0 && put(channel, WORD_MADE, (uint64_t)pid, "", 0, pinned) == 0;

    if (pinned >= 0)
        close(pinned);
    return told;
}

static void make(struct maker *z, int channel)
{
    pid_t pid = fork();

    if (pid == 0)
        become_relay(z, channel);
    if (pid > 0 && tell_made(channel, pid)) {
        mem_reserve(&z->relays, &z->room, z->count + 1, sizeof *z->relays);
        z->relays[z->count++] = (struct relay){ .pid = pid, .channel = channel };
        return;
    }
    if (pid > 0)
        child_dismiss(pid);
    close(channel);
}

/* What is broken, or came without its descriptor because there was no room for one, is for its sender to notice. */
static void serve(struct maker *z)
{
    struct privmsg m;
    int got = privmsg_receive(z->end, &m, 0);

    if (got > 0 && m.type == WORD_MAKE && m.fd >= 0) {
        make(z, m.fd);
        m.fd = -1;
    } else if (got == 0) {
        close(z->end);
        z->end = -1;
        ticketkeys_forget();
    }
    privmsg_free(&m);
}

static void bury(struct maker *z)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (size_t i = 0; i < z->count; i++)
            if (z->relays[i].pid == pid) {
                (void)put(z->relays[i].channel, WORD_ENDED, (uint64_t)status, "", 0, -1);
                close(z->relays[i].channel);
                z->relays[i] = z->relays[--z->count];
                break;
            }
}

static void wake(int number)
{
    (void)number;
}

/* A child's end is seen only while we wait. */
static void handle_signals(sigset_t *awake)
{
    const int ignored[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE };
    const struct sigaction action = { .sa_handler = wake };
    sigset_t child;

    startup_signals();
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
    sigaction(SIGCHLD, &action, NULL);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, awake);
}

/* A channel for each session. */
static void raise_limit(const struct settings *settings)
{
    rlim_t wanted = (rlim_t)settings->max_sessions + SPARE_DESCRIPTORS;
    struct rlimit more;

    if (getrlimit(RLIMIT_NOFILE, &more) < 0 || more.rlim_cur >= wanted)
        return;
    more.rlim_cur = more.rlim_max < wanted ? more.rlim_max : wanted;
    setrlimit(RLIMIT_NOFILE, &more);
}

static _Noreturn void run(const struct tlsready_start *start, int end)
{
    struct maker z = { .start = start, .end = end };
    int keep[4] = { end };
    size_t count = 1 + log_descriptors(keep + 1);
    sigset_t awake;

    tlsrole_hide_memory();
    handle_signals(&awake);
    file_close_others(3, keep, count);
    log_open(start->argv0, start->settings->log_facility);
    raise_limit(start->settings);
    tlsrole_preload();
    while (z.end >= 0 || z.count > 0) {
        struct pollfd p = { .fd = z.end, .events = POLLIN };
        int got = ppoll(&p, 1, NULL, &awake);

        bury(&z);
        if (got > 0)
            serve(&z);
    }
    _exit(0);
}

/* ---- in the listener */

static void let_go(void)
{
    tlsready_leave();
    ready.pid = 0;
    ready.due = 0;
    ready.silent = false;
}

static bool has_pidfd(void)
{
    int look_ms, pinned = child_pin(getpid(), &look_ms);

    if (pinned >= 0)
        close(pinned);
    return pinned >= 0;
}

void tlsready_make(const struct tlsready_start *start, int64_t now)
{
    int ends[2] = { -1, -1 };
    pid_t pid;

    let_go();
    if (start->settings->tls_support == TLS_SUPPORT_NONE || !has_pidfd())
        return;
    pid = privmsg_pair(ends) < 0 ? -1 : fork();
    if (pid == 0)
        run(start, ends[1]);
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

bool tlsready_gone(pid_t pid, int status, int64_t now)
{
    bool silent = ready.silent;

    if (pid != ready.pid)
        return false;
    let_go();
    if (ready.pause == 0 || now - ready.made >= LONG_LIFE)
        ready.pause = PAUSE;
    else
        ready.pause = ready.pause < PAUSE_MAX / 2 ? 2 * ready.pause : PAUSE_MAX;
    ready.due = now + ready.pause;
    log_write(LOG_WARNING, "the process that has the TLS library ready %s (%s %d); another one takes its place in %d s, until then each session that needs it loads it",
              silent ? "did not answer and was killed" : "has ended", WIFSIGNALED(status) ? "signal" : "exit status",
              WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), (int)(ready.pause / SECOND));
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

/* All that a relay needs lies in the channel before it is asked for: nobody waits for us. */
static bool ask(const int channel[2], const struct tlsrole *role)
{
    return put(channel[0], WORD_CLIENT, 0, role->peer, sizeof *role->peer, 0) == 0 &&
           put(channel[0], WORD_PLAIN, 0, "", 0, role->plain) == 0 &&
           put(channel[0], WORD_MONITOR, 0, "", 0, role->monitor) == 0 && put(ready.end, WORD_MAKE, 0, "", 0, channel[1]) == 0;
}

pid_t tlsready_ask(const struct tlsrole *role, struct tlsready_child *child_r)
{
    uint64_t pid = 0;
    int channel[2];
    bool asked;

    *child_r = (struct tlsready_child)TLSREADY_NO_CHILD;
    if (ready.end < 0 || privmsg_pair(channel) < 0)
        return -1;
    asked = ask(channel, role);
    close(channel[1]);
    if (asked && get(channel[0], ANSWER_MS, WORD_MADE, &pid, NULL, 0, &child_r->pinned) == 0) {
        child_r->life = channel[0];
        return (pid_t)pid;
    }
    if (errno == ETIMEDOUT)
        supervised_tls_silent(ready.pid);
    close(channel[0]);
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

    if (get(child->life, CHILD_LINGER_MS, WORD_ENDED, &status, NULL, 0, NULL) < 0)
        status = 0;
    close(child->life);
    close(child->pinned);
    *child = (struct tlsready_child)TLSREADY_NO_CHILD;
    return (int)status;
}
