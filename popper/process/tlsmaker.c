/*
 * tlsmaker: see tlsmaker.h.
 *
 * Rights of this role: those of the listener, or of the monitor that left it behind. It reads no byte from a client and opens nothing after
 * the library's start; what it is asked is one packet with one descriptor, a channel, or a connection that is one, from a monitor before its
 * login. It holds its end of that, one channel for each relay that lives, the door of the relay that was made ahead (tlsspare), and the log; no socket
 * at which clients come, and nothing of a client: these lie in the channel, and only the fork that becomes the relay takes them out. It is not
 * dumpable and makes no core file. What the monitor that left it behind knew lies in its memory: the client's address, perhaps the name that he gave to SCRAM, and no
 * secret, as a password that was refused ends the session. The signals that end popper are not for the listener's: who asks needs it until his own end.
 */
#include "process/tlsmaker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "process/child.h"
#include "process/privsep.h"
#include "process/startup.h"
#include "process/ticketkeys.h"
#include "process/tlschannel.h"
#include "process/tlsrole.h"
#include "process/tlsspare.h"
#include "wire/netio.h"
#include "wire/privmsg.h"

#define SPARE_DESCRIPTORS 64
#define SECOND INT64_C(1000000000)

struct relay {
    pid_t pid;
    int channel;
};

struct maker {
    const struct settings *settings;
    int end;                /* what it is asked over, -1: nobody asks any more */
    void (*unlist)(void);   /* tlsmaker_linger's, or NULL */
    int64_t last;           /* with unlist: when it takes no more, whatever comes (netio_now) */
    int64_t heard;          /* when there was a relay the last time, or the beginning */
    struct relay *relays;
    size_t count, room;
    struct tlsspare spare;
};

/* Everything lies there already, or nobody wants it any more; who called may be about to say it. */
static _Noreturn void become_relay(const struct maker *z, int channel)
{
    struct peer peer;
    struct tlsrole role = { .settings = z->settings, .stls = true };
    int keep[4] = { channel };
    size_t count = 1 + log_descriptors(keep + 1);

    startup_signals();
    file_close_others(3, keep, count); /* the channels of all others may have left no room */
    if (tlsrole_meet(&role, channel, z->unlist ? TLSCHANNEL_CALLER_MS : 0, &peer) < 0)
        _exit(MEM_EXIT_STATUS);
    tlsrole_main(&role);
}

/* Not waited for: until then its pid is nobody else's. */
static bool tell_made(int channel, pid_t pid)
{
    int look_ms, pinned = child_pin(pid, &look_ms);
    bool told = pinned >= 0 && tlschannel_put(channel, TLSCHANNEL_MADE, (uint64_t)pid, "", 0, pinned) == 0;

    if (pinned >= 0)
        close(pinned);
    return told;
}

static void make(struct maker *z, int channel)
{
    pid_t pid = tlsspare_give(&z->spare, z->settings, channel);

    if (pid < 0 && (pid = fork()) == 0)
        become_relay(z, channel);
    tlsspare_want(&z->spare, netio_now());
    if (pid > 0 && tell_made(channel, pid)) {
        mem_reserve(&z->relays, &z->room, z->count + 1, sizeof *z->relays);
        z->relays[z->count++] = (struct relay){ .pid = pid, .channel = channel };
        return;
    }
    if (pid > 0)
        child_dismiss(pid);
    close(channel);
}

static void take_no_more(struct maker *z)
{
    if (z->end < 0)
        return;
    if (z->unlist)
        z->unlist();
    close(z->end);
    z->end = -1;
    tlsspare_drop(&z->spare);
    ticketkeys_forget();
}

/* What is broken, or came without its descriptor because there was no room for one, is for its sender to notice. */
static void hear(struct maker *z)
{
    struct privmsg m;
    int got = privmsg_receive(z->end, &m, 0);

    if (got > 0 && m.type == TLSCHANNEL_MAKE && m.fd >= 0) {
        make(z, m.fd);
        m.fd = -1;
    } else if (got == 0)
        take_no_more(z);
    privmsg_free(&m);
}

/* Without room for another one it makes way for a process that has. */
static void answer_call(struct maker *z)
{
    int channel = accept4(z->end, NULL, NULL, SOCK_CLOEXEC);

    if (channel >= 0) {
        if (ticketkeys_renew())
            tlsspare_drop(&z->spare);
        make(z, channel);
    } else if (errno != EINTR && errno != ECONNABORTED)
        take_no_more(z);
}

static void bury(struct maker *z)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (size_t i = 0; i < z->count; i++)
            if (z->relays[i].pid == pid) {
                (void)tlschannel_put(z->relays[i].channel, TLSCHANNEL_ENDED, (uint64_t)status, "", 0, -1);
                close(z->relays[i].channel);
                z->relays[i] = z->relays[--z->count];
                z->heard = netio_now();
                break;
            }
}

static volatile sig_atomic_t asked_end;

static void wake(int number)
{
    if (number != SIGCHLD)
        asked_end = 1;
}

/* They are seen only while we wait. Who was forked by the listener is not for the signals that end popper. */
static void handle_signals(bool lingers, sigset_t *awake)
{
    const int signals[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP };
    const struct sigaction obey = { .sa_handler = wake }, ignore = { .sa_handler = SIG_IGN };
    sigset_t ours;

    startup_signals();
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&ours);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        sigaction(signals[i], lingers || signals[i] == SIGCHLD ? &obey : &ignore, NULL);
        sigaddset(&ours, signals[i]);
    }
    sigprocmask(SIG_BLOCK, &ours, awake);
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

/* Before the first one is asked for. */
static void get_ready(struct maker *z, sigset_t *awake)
{
    int keep[4] = { z->end };
    size_t count = 1 + log_descriptors(keep + 1);

    tlsrole_hide_memory();
    handle_signals(z->unlist != NULL, awake);
    file_close_others(3, keep, count);
    log_reopen();
    raise_limit(z->settings);
    tlsrole_preload();
}

/* ns until nobody is heard any more if nobody comes; -1: that does not happen. */
static int64_t idle_left(const struct maker *z, int64_t now)
{
    int64_t idle = z->heard + z->settings->tls_linger * SECOND - now, left = z->last - now;

    if (!z->unlist || z->end < 0)
        return -1;
    if (z->count == 0 && idle < left)
        left = idle;
    return left > 0 ? left : 0;
}

/* NULL: without a limit. */
static const struct timespec *patience(const struct maker *z, int64_t now, struct timespec *time)
{
    int64_t idle = idle_left(z, now), spare = tlsspare_pause(&z->spare, now), ns = idle < 0 || (spare >= 0 && spare < idle) ? spare : idle;

    if (ns < 0)
        return NULL;
    *time = (struct timespec){ .tv_sec = ns / SECOND, .tv_nsec = ns % SECOND };
    return time;
}

static _Noreturn void run(struct maker *z)
{
    struct timespec time;
    sigset_t awake;

    get_ready(z, &awake);
    z->heard = netio_now();
    while (z->end >= 0 || z->count > 0) {
        struct pollfd p[2] = { { .fd = z->end, .events = POLLIN }, { .fd = z->spare.door, .events = z->spare.ready ? 0 : POLLIN } };
        int got = ppoll(p, 2, patience(z, netio_now(), &time), &awake);

        bury(z);
        if (got > 0 && p[1].revents)
            tlsspare_hear(&z->spare);
        if (asked_end || idle_left(z, netio_now()) == 0)
            take_no_more(z);
        else if (got > 0 && p[0].revents && z->unlist)
            answer_call(z);
        else if (got > 0 && p[0].revents)
            hear(z);
        tlsspare_turn(&z->spare, z->settings, netio_now());
    }
    _exit(0);
}

_Noreturn void tlsmaker_main(const struct settings *settings, int end)
{
    run(&(struct maker){ .settings = settings, .end = end, .spare = TLSSPARE_NONE });
}

_Noreturn void tlsmaker_linger(const struct settings *settings, int place, void (*unlist)(void))
{
    privsep_remember();
    run(&(struct maker){ .settings = settings, .end = place, .unlist = unlist, .spare = TLSSPARE_NONE, .last = netio_now() + TLSMAKER_LIFE * SECOND });
}
