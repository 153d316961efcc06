/*
 * fake_netio: see fake_netio.h. It defines every function of netio.h, so that the real one is not linked.
 */
#include "tests/unit/fake_netio.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/mem.h"

#define NS INT64_C(1000000000)

struct netio {
    struct strbuf script;
    size_t at;
    const char *behind;
    char line[8192];
    enum netio_status then;
    int interrupts, interrupts_left;
    struct outbuf out;
    struct strbuf heard;
    size_t flushed, deaf_after;
    bool hangs_up, never_settles;
    int wipes;
    int timeout;
    int64_t slept_until, deadline, first_deadline, moved;
};

static int64_t now = 1000 * NS;

int64_t netio_now(void)
{
    return now;
}

/* In place of the C library's: what is told about the time of day is always the same. */
time_t time(time_t *at)
{
    const time_t then = 1795723200;

    if (at)
        *at = then;
    return then;
}

void fake_clock_add(double seconds)
{
    now += (int64_t)(seconds * (double)NS);
}

static int drain(void *context, const char *bytes, size_t n)
{
    struct netio *io = context;

    if (io->flushed + n > io->deaf_after)
        return -1;
    strbuf_add(&io->heard, bytes, n);
    io->flushed += n;
    return 0;
}

struct netio *fake_netio_new(void)
{
    setenv("TZ", "NST+3:30", 1);
    tzset();
    return netio_new(0, 1, 1024, 65536);
}

/* Scripts have whole lines, of any length. */
void netio_set_line_max(struct netio *io, size_t line_max)
{
    (void)io;
    (void)line_max;
}

struct netio *netio_new(int in_fd, int out_fd, size_t line_max, size_t out_cap)
{
    struct netio *io = mem_new(1, sizeof *io);

    (void)in_fd, (void)out_fd, (void)line_max;
    strbuf_init(&io->script, 1 << 20);
    strbuf_init(&io->heard, 1 << 24);
    outbuf_init(&io->out, out_cap, drain, io);
    io->then = NETIO_EOF;
    io->behind = "";
    io->deaf_after = SIZE_MAX;
    io->moved = now;
    return io;
}

void netio_close(struct netio **io)
{
    strbuf_free(&(*io)->script);
    strbuf_free(&(*io)->heard);
    outbuf_free(&(*io)->out);
    mem_free(*io);
    *io = NULL;
}

void fake_say_bytes(struct netio *io, const char *bytes, size_t n)
{
    strbuf_add(&io->script, bytes, n);
}

void fake_say(struct netio *io, const char *text)
{
    fake_say_bytes(io, text, strlen(text));
}

void fake_then(struct netio *io, enum netio_status status)
{
    io->then = status;
}

void fake_interrupt(struct netio *io, int times)
{
    io->interrupts = io->interrupts_left = times;
}

const char *fake_heard(struct netio *io)
{
    outbuf_flush(&io->out);
    return io->heard.data;
}

size_t fake_flushed(struct netio *io)
{
    return io->flushed;
}

void fake_deaf_after(struct netio *io, size_t n)
{
    io->deaf_after = n;
}

void fake_never_settles(struct netio *io)
{
    io->never_settles = true;
}

void fake_hang_up(struct netio *io)
{
    io->hangs_up = true;
}

int fake_wipes(struct netio *io)
{
    return io->wipes;
}

int64_t fake_slept_until(struct netio *io)
{
    return io->slept_until;
}

int64_t fake_deadline(struct netio *io)
{
    return io->deadline;
}

int64_t fake_first_deadline(struct netio *io)
{
    return io->first_deadline;
}

enum netio_status netio_line(struct netio *io, char **line_r, size_t *len_r)
{
    char *from = io->script.data + io->at;
    char *lf = memchr(from, '\n', io->script.len - io->at);
    size_t n;
    bool too_long;

    if (io->interrupts_left > 0) {
        io->interrupts_left--;
        return NETIO_INTERRUPTED;
    }
    io->interrupts_left = io->interrupts;
    if (!lf) {
        outbuf_flush(&io->out);
        return io->then;
    }
    n = (size_t)(lf - from);
    io->at += n + 1;
    if (n > 0 && from[n - 1] == '\r')
        n--;
    too_long = n > 1024;
    if (too_long)
        n = 1024;
    memcpy(io->line, from, n);
    io->line[n] = '\0';
    io->moved = now;
    *line_r = io->line;
    *len_r = n;
    return too_long ? NETIO_TOO_LONG : NETIO_LINE;
}

enum netio_status netio_bytes(struct netio *io, const char **bytes_r, size_t *n_r)
{
    *bytes_r = io->script.data + io->at;
    *n_r = io->script.len - io->at;
    outbuf_flush(&io->out);
    io->at = io->script.len;
    return *n_r > 0 ? NETIO_LINE : io->then;
}

void netio_give_back(struct netio *io, size_t n)
{
    io->at -= n;
}

struct outbuf *netio_out(struct netio *io)
{
    return &io->out;
}

int netio_flush(struct netio *io)
{
    return outbuf_flush(&io->out);
}

int netio_settle(struct netio *io)
{
    if (netio_flush(io) < 0)
        return -1;
    return io->never_settles ? -1 : 0;
}

/* What the consumed line held is gone, as it is in the real one: who uses it afterwards fails here. */
void netio_wipe_consumed(struct netio *io)
{
    mem_wipe(io->line, sizeof io->line);
    io->wipes++;
}

int netio_sleep_until(struct netio *io, int64_t monotonic_ns)
{
    io->slept_until = monotonic_ns;
    if (io->hangs_up)
        return -1;
    if (monotonic_ns > now)
        now = monotonic_ns;
    return 0;
}

void netio_set_timeout(struct netio *io, int seconds)
{
    io->timeout = seconds;
}

void netio_set_deadline(struct netio *io, int64_t monotonic_ns)
{
    io->deadline = monotonic_ns;
    if (io->first_deadline == 0)
        io->first_deadline = monotonic_ns;
}

int64_t netio_last_moved(const struct netio *io)
{
    return io->moved;
}

void netio_set_interrupt(struct netio *io, const volatile sig_atomic_t *flag, bool (*ends)(void *context),
                         void *context)
{
    (void)io, (void)flag, (void)ends, (void)context;
}

void netio_tune_socket(struct netio *io)
{
    (void)io;
}

size_t netio_unread(const struct netio *io, const char **bytes_r)
{
    *bytes_r = io->script.data + io->at;
    return io->script.len - io->at;
}

int netio_prepend(struct netio *io, const void *bytes, size_t n)
{
    (void)io, (void)bytes, (void)n;
    return -1;
}

void netio_discard_input(struct netio *io)
{
    io->at = io->script.len;
}

void netio_replaced(struct netio *io)
{
    netio_discard_input(io);
    strbuf_adds(&io->script, io->behind);
}

bool netio_tune_descriptor(int fd)
{
    (void)fd;
    return false;
}

void netio_set_settle(struct netio *io, int (*settle)(void *context, int timeout_ms), void *context)
{
    (void)io, (void)settle, (void)context;
}

bool netio_acknowledged(int fd)
{
    (void)fd;
    return true;
}

void fake_say_behind(struct netio *io, const char *text)
{
    io->behind = text;
}
