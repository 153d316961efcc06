/*
 * tlsmaker: see tlsmaker.h.
 *
 * Rights of this role: those of the listener. It reads no byte from a client and opens nothing after the library's start; what it
 * is asked is one packet with one descriptor, a channel, from a monitor before its login. It holds its end of that, one channel for each
 * relay that lives, and the log; no listening socket, and nothing of a client: these lie in the channel, and only the fork that becomes
 * the relay takes them out. It is not dumpable and makes no core file. The signals that end popper are not for it: who asks needs it
 * until his own end.
 */
#include "process/tlsmaker.h"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "process/child.h"
#include "process/startup.h"
#include "process/ticketkeys.h"
#include "process/tlschannel.h"
#include "process/tlsrole.h"
#include "wire/privmsg.h"

#define SPARE_DESCRIPTORS 64

struct relay {
    pid_t pid;
    int channel;
};

struct maker {
    const struct tlsmaker_start *start;
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
    if (tlschannel_get(channel, 0, TLSCHANNEL_CLIENT, &nothing, &peer, sizeof peer, &client) < 0 ||
        tlschannel_get(channel, 0, TLSCHANNEL_PLAIN, &nothing, NULL, 0, &role.plain) < 0 ||
        tlschannel_get(channel, 0, TLSCHANNEL_MONITOR, &nothing, NULL, 0, &role.monitor) < 0 || dup2(client, 0) < 0 || dup2(client, 1) < 0)
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

    if (got > 0 && m.type == TLSCHANNEL_MAKE && m.fd >= 0) {
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
                (void)tlschannel_put(z->relays[i].channel, TLSCHANNEL_ENDED, (uint64_t)status, "", 0, -1);
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

_Noreturn void tlsmaker_main(const struct tlsmaker_start *start, int end)
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
