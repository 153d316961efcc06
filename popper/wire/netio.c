/*
 * netio: see netio.h. Input waits in a linebuf, output in an outbuf. On sockets the kernel keeps the time of read and
 * send (SO_RCVTIMEO, SO_SNDTIMEO); otherwise, and shortly before a deadline, poll comes first; for a send only when there
 * was no room at once.
 */
#include "wire/netio.h"

#include <errno.h>
#include <limits.h>
#include <linux/tcp.h> /* its tcp_info is longer than that of netinet/tcp.h */
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"
#include "wire/linebuf.h"

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
#define SETTLE_PIECE (500 * NS_PER_MS) /* between two looks at what signals said */

enum kind { UNKNOWN, SOCKET, OTHER };

struct netio {
    int in_fd, out_fd;
    enum kind in_kind, out_kind; /* looked at where it matters */
    struct linebuf in;
    struct outbuf out;
    bool line_by_line;
    int out_error;       /* errno of the first failed output */
    int timeout;         /* seconds */
    bool in_timed, out_timed; /* the kernel has been told of it */
    int64_t deadline;    /* 0: none */
    const volatile sig_atomic_t *interrupt;
    bool (*ends)(void *context);
    void *ends_context;
    int (*settle)(void *context, int timeout_ms);
    void *settle_context;
    _Atomic int64_t moved; /* read by signal handlers */
};

int64_t netio_now(void)
{
    return clock_now();
}

static int drain(void *context, const char *bytes, size_t n);

static bool is_socket(int fd, enum kind *kind)
{
    int type;
    socklen_t length = sizeof type;

    if (*kind == UNKNOWN)
        *kind = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 ? SOCKET : OTHER;
    return *kind == SOCKET;
}

struct netio *netio_new(int in_fd, int out_fd, size_t line_max, size_t out_cap)
{
    struct netio *io = mem_new(1, sizeof *io);

    io->in_fd = in_fd;
    io->out_fd = out_fd;
    linebuf_init(&io->in, line_max, NETIO_UNREAD_MAX);
    outbuf_init(&io->out, out_cap, drain, io);
    io->timeout = 86400;
    io->moved = netio_now();
    return io;
}

void netio_set_line_max(struct netio *io, size_t line_max)
{
    linebuf_set_line_max(&io->in, line_max);
}

void netio_close(struct netio **io)
{
    if (!*io)
        return;
    linebuf_free(&(*io)->in);
    if ((*io)->out.data)
        mem_wipe((*io)->out.data, (*io)->out.most);
    outbuf_free(&(*io)->out);
    mem_free(*io);
    *io = NULL;
}

void netio_set_timeout(struct netio *io, int seconds)
{
    io->timeout = seconds;
    io->in_timed = io->out_timed = false;
}

void netio_set_deadline(struct netio *io, int64_t monotonic_ns)
{
    io->deadline = monotonic_ns;
}

void netio_set_settle(struct netio *io, int (*settle)(void *context, int timeout_ms), void *context)
{
    io->settle = settle;
    io->settle_context = context;
}

void netio_set_interrupt(struct netio *io, const volatile sig_atomic_t *flag, bool (*ends)(void *context),
                         void *context)
{
    io->interrupt = flag;
    io->ends = ends;
    io->ends_context = context;
}

void netio_set_chunky(struct netio *io, bool on)
{
    io->line_by_line = !on;
}

/* Not setsockopt(3): on i386 that is socketcall(2), which shows the sandbox's filter no arguments, and is not let through. */
static int give_option(int fd, int level, int name, const void *value, size_t size)
{
    return (int)syscall(SYS_setsockopt, fd, level, name, value, size);
}

static void set_option(int fd, int level, int name, int value)
{
    give_option(fd, level, name, &value, sizeof value);
}

bool netio_tune_descriptor(int fd)
{
    int on = 1;

    if (give_option(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        return false;
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 20);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 120 * 1000);
    return true;
}

void netio_tune_socket(struct netio *io)
{
    if (netio_tune_descriptor(io->out_fd))
        io->out_kind = SOCKET;
}

void netio_replaced(struct netio *io)
{
    io->in_kind = io->out_kind = UNKNOWN;
    netio_set_timeout(io, io->timeout);
    netio_discard_input(io);
}

/* ---- waiting */

static bool interrupted(const struct netio *io)
{
    return io->interrupt && *io->interrupt;
}

static bool told_to_end(const struct netio *io)
{
    return interrupted(io) && io->ends && io->ends(io->ends_context);
}

/* When the wait that begins now has lasted too long. */
static int64_t limit_of(const struct netio *io, int64_t now)
{
    int64_t limit = now + io->timeout * NS_PER_S;

    return io->deadline != 0 && io->deadline < limit ? io->deadline : limit;
}

/* Waits for events on fd until the monotonic time: 1, 0 when it came first, -1 with errno (EINTR). */
static int wait_until(int fd, short events, int64_t limit)
{
    struct pollfd p = { .fd = fd, .events = events };
    int64_t left = limit - netio_now();
    int64_t ms = left <= 0 ? 0 : (left + NS_PER_MS - 1) / NS_PER_MS;

    return poll(&p, 1, ms > INT_MAX ? INT_MAX : (int)ms);
}

/* Whether the kernel keeps the time itself: then no poll is needed before the call. It is told the timeout here, thus never where deadlines
   are nearer (before the login), and its answer shows what the descriptor is. */
static bool kernel_keeps_time(const struct netio *io, int64_t limit, int64_t now, int fd, int option, enum kind *kind, bool *told)
{
    struct timeval t = { .tv_sec = io->timeout };

    if (*kind == OTHER || limit - now < io->timeout * NS_PER_S)
        return false;
    if (!*told)
        *kind = give_option(fd, SOL_SOCKET, option, &t, sizeof t) == 0 ? SOCKET : OTHER;
    *told = true;
    return *kind == SOCKET;
}

/* ---- input */

/* One read: more bytes are there (NETIO_LINE), or why not. */
static enum netio_status read_more(struct netio *io)
{
    int64_t now = netio_now(), limit = limit_of(io, now);
    bool polled = !kernel_keeps_time(io, limit, now, io->in_fd, SO_RCVTIMEO, &io->in_kind, &io->in_timed);
    size_t room;
    char *at = linebuf_room(&io->in, &room);

    for (;;) {
        ssize_t n;

        if (interrupted(io))
            return NETIO_INTERRUPTED;
        if (polled) {
            int ready = wait_until(io->in_fd, POLLIN, limit);

            if (ready == 0)
                return NETIO_TIMEOUT;
            if (ready < 0 && errno == EINTR)
                continue;
        }
        n = read(io->in_fd, at, room);
        if (n > 0) {
            linebuf_came(&io->in, (size_t)n);
            io->moved = netio_now();
            return NETIO_LINE;
        }
        if (n == 0) /* a signal handler may have shut the socket down, so that this read does not wait */
            return interrupted(io) ? NETIO_INTERRUPTED : NETIO_EOF;
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return NETIO_ERROR;
        if (netio_now() >= limit)
            return NETIO_TIMEOUT;
        polled = true; /* O_NONBLOCK was set by somebody else, or the kernel's clock is a tick early */
    }
}

/* Nobody reads on before the client has what was said. */
static enum netio_status flush_first(struct netio *io)
{
    if (netio_flush(io) == 0)
        return NETIO_LINE;
    return errno == ETIMEDOUT ? NETIO_TIMEOUT : errno == EINTR ? NETIO_INTERRUPTED : NETIO_ERROR;
}

enum netio_status netio_line(struct netio *io, char **line_r, size_t *len_r)
{
    *line_r = (char *)"";
    *len_r = 0;
    for (;;) {
        enum linebuf_status line = linebuf_line(&io->in, line_r, len_r);
        enum netio_status status;

        if (line != LINEBUF_PART)
            return line == LINEBUF_LINE ? NETIO_LINE : NETIO_TOO_LONG;
        status = flush_first(io);
        if (status == NETIO_LINE)
            status = read_more(io);
        if (status != NETIO_LINE)
            return status;
    }
}

enum netio_status netio_bytes(struct netio *io, const char **bytes_r, size_t *n_r)
{
    enum netio_status status = NETIO_LINE;

    if (linebuf_waiting(&io->in, bytes_r) == 0) {
        status = flush_first(io);
        if (status == NETIO_LINE)
            status = read_more(io);
    }
    *n_r = linebuf_all(&io->in, bytes_r);
    return status;
}

void netio_give_back(struct netio *io, size_t n)
{
    linebuf_give_back(&io->in, n);
}

size_t netio_unread(const struct netio *io, const char **bytes_r)
{
    return linebuf_waiting(&io->in, bytes_r);
}

int netio_prepend(struct netio *io, const void *bytes, size_t n)
{
    return linebuf_prepend(&io->in, bytes, n);
}

void netio_discard_input(struct netio *io)
{
    linebuf_discard(&io->in);
}

void netio_wipe_consumed(struct netio *io)
{
    linebuf_wipe_consumed(&io->in);
}

/* ---- output */

/* One piece out: the bytes that went, or -1 with errno. After poll a pipe takes PIPE_BUF bytes without blocking, not
   more. */
static ssize_t write_some(struct netio *io, const char *bytes, size_t n, bool may_wait)
{
    if (is_socket(io->out_fd, &io->out_kind))
        return send(io->out_fd, bytes, n, MSG_NOSIGNAL | (may_wait ? 0 : MSG_DONTWAIT));
    return write(io->out_fd, bytes, n < PIPE_BUF ? n : PIPE_BUF);
}

/* Moves at least one byte out before the limit: how many, or -1 with errno (ETIMEDOUT, EINTR when `ends` said so,
   ...). */
static ssize_t write_before(struct netio *io, const char *bytes, size_t n, int64_t now)
{
    int64_t limit = limit_of(io, now);
    bool may_wait = kernel_keeps_time(io, limit, now, io->out_fd, SO_SNDTIMEO, &io->out_kind, &io->out_timed);
    bool polled = !is_socket(io->out_fd, &io->out_kind), waited = false;

    for (;;) {
        ssize_t done;

        if (waited && told_to_end(io)) {
            errno = EINTR;
            return -1;
        }
        waited = true; /* time spent before the first attempt was not the client's */
        if (polled) {
            int ready = wait_until(io->out_fd, POLLOUT, limit);

            if (ready == 0) {
                errno = ETIMEDOUT;
                return -1;
            }
            if (ready < 0 && errno == EINTR)
                continue;
        }
        done = write_some(io, bytes, n, may_wait);
        if (done > 0)
            return done;
        if (done < 0 && errno != EINTR && errno != EAGAIN)
            return -1;
        if (errno == EINTR)
            continue;
        if (netio_now() >= limit) {
            errno = ETIMEDOUT;
            return -1;
        }
        polled = true; /* a socket that has room, as it mostly does, is not asked first */
        may_wait = false;
    }
}

/* How much of it goes out in one write. */
static size_t piece_of(const struct netio *io, const char *bytes, size_t n)
{
    const char *end = io->line_by_line ? memchr(bytes, '\n', n) : NULL;

    return end ? (size_t)(end - bytes) + 1 : n;
}

static int drain(void *context, const char *bytes, size_t n)
{
    struct netio *io = context;

    while (n > 0) {
        ssize_t done = write_before(io, bytes, piece_of(io, bytes, n), netio_now());

        if (done < 0) {
            io->out_error = errno;
            return -1;
        }
        io->moved = netio_now();
        bytes += done;
        n -= (size_t)done;
    }
    return 0;
}

struct outbuf *netio_out(struct netio *io)
{
    return &io->out;
}

int netio_flush(struct netio *io)
{
    if (outbuf_flush(&io->out) == 0)
        return 0;
    errno = io->out_error; /* outbuf drains when it is full, too: the reason may be an old one */
    return -1;
}

bool netio_acknowledged(int fd)
{
    struct tcp_info info;
    socklen_t length = sizeof info;

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0)
        return true;
    if (length < offsetof(struct tcp_info, tcpi_notsent_bytes) + sizeof info.tcpi_notsent_bytes)
        return true;
    return info.tcpi_unacked == 0 && info.tcpi_notsent_bytes == 0;
}

/* Asks somebody else, in pieces, so that signals are seen. */
static int ask_settle(struct netio *io, int64_t limit)
{
    int state = 0;

    while (state == 0) {
        int64_t left = limit - netio_now();

        if (left <= 0 || told_to_end(io))
            return -1;
        state = io->settle(io->settle_context, (int)((left < SETTLE_PIECE ? left : SETTLE_PIECE) / NS_PER_MS) + 1);
    }
    return state > 0 ? 0 : -1;
}

static int wait_settled(struct netio *io, int64_t limit)
{
    int64_t pause = NS_PER_MS;

    for (;;) {
        /* A connection that was reset has nothing unacknowledged either: errors come first. */
        int ready = wait_until(io->out_fd, 0, netio_now());

        if (ready > 0 || (ready < 0 && errno != EINTR))
            return -1;
        if (netio_acknowledged(io->out_fd))
            return 0;
        if (netio_now() >= limit || told_to_end(io))
            return -1;
        wait_until(io->out_fd, 0, netio_now() + pause);
        pause = pause < 50 * NS_PER_MS ? 2 * pause : pause;
    }
}

int netio_settle(struct netio *io)
{
    int64_t limit = limit_of(io, netio_now());

    if (netio_flush(io) < 0)
        return -1;
    return io->settle ? ask_settle(io, limit) : wait_settled(io, limit);
}

int netio_sleep_until(struct netio *io, int64_t monotonic_ns)
{
    /* Without events asked for, poll still reports errors: for a pipe that its reader is gone. */
    bool socket = is_socket(io->in_fd, &io->in_kind);
    int fd = socket ? io->in_fd : io->out_fd;
    short events = socket ? POLLRDHUP : 0;

    for (;;) {
        int ready = wait_until(fd, events, monotonic_ns);

        if (ready == 0)
            return 0;
        if (ready > 0)
            return -1;
        if (errno != EINTR)
            return -1;
    }
}

bool netio_gone(struct netio *io)
{
    const char *bytes;
    char byte;
    ssize_t n;

    if (linebuf_waiting(&io->in, &bytes) > 0)
        return false;
    if (!is_socket(io->in_fd, &io->in_kind))
        return wait_until(io->out_fd, 0, 0) > 0;
    n = recv(io->in_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

int64_t netio_last_moved(const struct netio *io)
{
    return io->moved;
}
