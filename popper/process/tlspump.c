/*
 * tlspump: see tlspump.h.
 *
 * Down is what goes from the client to the session, up what goes to the client. A side is only polled for what it is
 * wanted for at the moment, so a side that has hung up cannot make the loop spin. In lock-step a command costs poll,
 * recv, send down and poll, recv, send up; in bulk a batch of 64 KiB costs three.
 */
#include "process/tlspump.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/mem.h"
#include "process/request.h"
#include "wire/netio.h"
#include "wire/privmsg.h"

#define MS INT64_C(1000000)
#define PIPE_PIECE 4096        /* what a pipe that is ready takes without waiting */
#define LAST_WORD_MS 30000     /* without progress, for a client when nobody serves it any more */
#define LINGER_MS 2000         /* for the client's own end after ours, so that no reset overtakes our last bytes */
#define LINGER_BYTES (1 << 20)
#define SETTLE_FIRST_MS 1
#define SETTLE_MOST_MS 50

struct state {
    struct tlspump *p;
    bool client_in_socket, client_out_socket;
    bool client_ended;    /* sends no more */
    bool client_lost;     /* takes no more */
    bool plain_ended;     /* nobody writes to the client any more */
    bool plain_closed;    /* nobody reads what it sends any more */
    bool down_passed_on;  /* client_ended was told to the plain side */
    bool failed;          /* the TLS of this connection is broken: why */
    bool read_waits;      /* the library has no plain bytes before more input comes */
    bool settling;        /* somebody waits for REQUEST_SETTLE's answer */
    bool plain_drained;   /* the last look at the plain stream found nothing */
    int settle_pause;     /* ms */
    int64_t settle_limit;
    size_t down_start, down_end;
    char *down, *up;
    size_t down_most, up_most; /* bytes of them that were ever written to */
    int64_t moved;        /* when the client last took something, or had nothing to take */
    struct strbuf *why;
};

static void note_most(size_t *most, ssize_t n)
{
    if (n > 0 && (size_t)n > *most)
        *most = (size_t)n;
}

static bool is_socket(int fd)
{
    int type;
    socklen_t length = sizeof type;

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0;
}

static bool again(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* ---- the four moves; each true when something moved */

/* A descriptor that is no socket is only read when poll said so. */
static bool receive_from_client(struct state *s)
{
    size_t room;
    unsigned char *to = s->p->calls->input(s->p->tls, &room);
    ssize_t n;

    if (room == 0 || s->client_ended)
        return false;
    n = s->client_in_socket ? recv(s->p->client_in, to, room, MSG_DONTWAIT) : read(s->p->client_in, to, room);
    if (n < 0 && again())
        return false;
    s->read_waits = false;
    s->p->calls->received(s->p->tls, n > 0 ? (size_t)n : 0);
    if (n <= 0)
        s->client_ended = true;
    return true;
}

static bool send_to_client(struct state *s)
{
    size_t n;
    const unsigned char *from = s->p->calls->output(s->p->tls, &n);
    ssize_t put;

    if (n == 0)
        return false;
    if (s->client_lost)
        put = (ssize_t)n;
    else if (s->client_out_socket)
        put = send(s->p->client_out, from, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    else
        put = write(s->p->client_out, from, n < PIPE_PIECE ? n : PIPE_PIECE);
    if (put < 0 && again())
        return false;
    if (put < 0) {
        strbuf_fail(s->why, "the connection to the client is lost: %s", strerror(errno));
        s->client_lost = true;
        return true;
    }
    s->p->calls->sent(s->p->tls, (size_t)put);
    s->moved = netio_now();
    return true;
}

static bool output_waits(const struct state *s)
{
    size_t n;

    s->p->calls->output(s->p->tls, &n);
    return n > 0;
}

static bool decrypt(struct state *s)
{
    size_t n = 0;

    if (s->down_start < s->down_end || s->read_waits || s->down_passed_on)
        return false;
    switch (s->p->calls->read(s->p->tls, s->down, TLS_RECORD_MAX, &n, s->why)) {
    case TLS_OK:
        s->down_start = 0;
        s->down_end = n;
        note_most(&s->down_most, (ssize_t)n);
        return true;
    case TLS_WAITS:
        s->read_waits = true;
        return false;
    case TLS_ENDED:
        s->client_ended = true;
        break;
    case TLS_FAILED:
        /* A client that closes without goodbye has ended all the same. */
        s->failed = !s->client_ended;
        s->client_ended = true;
        break;
    }
    shutdown(s->p->plain, SHUT_WR);
    s->down_passed_on = true;
    return true;
}

static bool send_down(struct state *s)
{
    ssize_t put;

    if (s->down_start == s->down_end)
        return false;
    put = s->plain_closed
              ? (ssize_t)(s->down_end - s->down_start)
              : send(s->p->plain, s->down + s->down_start, s->down_end - s->down_start, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put < 0 && again())
        return false;
    if (put < 0)
        s->plain_closed = true;
    else
        s->down_start += (size_t)put;
    return true;
}

static bool take_up(struct state *s)
{
    ssize_t n;

    if (s->plain_ended || s->failed || output_waits(s))
        return false;
    n = recv(s->p->plain, s->up, TLS_PLAIN_MAX, MSG_DONTWAIT);
    note_most(&s->up_most, n);
    if (n < 0 && again()) {
        s->plain_drained = true;
        return false;
    }
    s->plain_drained = false;
    if (n <= 0)
        s->plain_ended = true;
    else if (s->p->calls->write(s->p->tls, s->up, (size_t)n, s->why) != TLS_OK)
        s->failed = true;
    return true;
}

/* ---- REQUEST_SETTLE */

static void answer_settle(struct state *s, enum request_settled settled)
{
    struct privmsg m;

    s->settling = false;
    privmsg_init(&m, REQUEST_ANSWER);
    privmsg_put_number(&m, settled);
    (void)privmsg_send(s->p->control, &m);
    privmsg_free(&m);
}

static void hear_control(struct state *s)
{
    struct privmsg m;
    uint64_t ms;

    if (privmsg_receive(s->p->control, &m, 0) <= 0) {
        s->p->control = -1;
        return;
    }
    ms = privmsg_get_number(&m);
    if (m.type == REQUEST_SETTLE && privmsg_complete(&m) && ms <= INT_MAX) {
        s->settling = true;
        s->settle_limit = netio_now() + (int64_t)ms * MS;
        s->settle_pause = SETTLE_FIRST_MS;
        s->plain_drained = false;
    }
    privmsg_free(&m);
}

/* Looks whether everything has arrived. A connection that was reset has nothing unacknowledged either: errors come
   first. */
static void try_to_settle(struct state *s)
{
    struct pollfd client = { .fd = s->p->client_out };

    if (!s->settling)
        return;
    if (poll(&client, 1, 0) > 0)
        answer_settle(s, REQUEST_SETTLED_NEVER);
    else if (s->plain_drained && !output_waits(s) && netio_acknowledged(s->p->client_out))
        answer_settle(s, REQUEST_SETTLED_YES);
    else if (netio_now() >= s->settle_limit)
        answer_settle(s, REQUEST_SETTLED_NOT_YET);
    else if (s->settle_pause < SETTLE_MOST_MS)
        s->settle_pause *= 2;
}

/* ---- waiting */

enum { CLIENT_IN, CLIENT_OUT, PLAIN, CONTROL, SLOTS };

static int shorter(int a, int b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* How long the client may still take for what waits for it, in ms; -1: nothing waits. */
static int patience(const struct state *s)
{
    int64_t limit = s->p->timeout_ms, left;

    if (!output_waits(s))
        return -1;
    if (s->plain_ended || s->plain_closed)
        limit = limit < LAST_WORD_MS ? limit : LAST_WORD_MS;
    left = limit - (netio_now() - s->moved) / MS;
    return left < 0 ? 0 : (int)left;
}

/* What is wanted of each side now. */
static void set_wishes(const struct state *s, struct pollfd *slots)
{
    const struct tlspump *p = s->p;
    size_t room;

    p->calls->input(p->tls, &room);
    slots[CLIENT_IN] =
        (struct pollfd){ .fd = !s->client_ended && s->read_waits && room > 0 ? p->client_in : -1, .events = POLLIN };
    slots[CLIENT_OUT] = (struct pollfd){ .fd = output_waits(s) ? p->client_out : -1, .events = POLLOUT };
    slots[PLAIN] = (struct pollfd){ .fd = p->plain };
    if (!output_waits(s) && !s->plain_ended && !s->failed)
        slots[PLAIN].events |= POLLIN;
    if (s->down_start < s->down_end && !s->plain_closed)
        slots[PLAIN].events |= POLLOUT;
    if (!slots[PLAIN].events && s->plain_closed)
        slots[PLAIN].fd = -1;
    slots[CONTROL] = (struct pollfd){ .fd = p->control, .events = POLLIN };
}

/* 1 something is ready; 0 the client's time is over (or settling goes on); -1 error. */
static int wait_for(const struct state *s, struct pollfd *slots)
{
    int n;

    set_wishes(s, slots);
    n = poll(slots, SLOTS, shorter(patience(s), s->settling ? s->settle_pause : -1));
    if (n < 0 && errno == EINTR)
        return 1;
    return n < 0 ? -1 : n > 0;
}

static bool ready(const struct pollfd *slot)
{
    return slot->fd >= 0 && slot->revents != 0;
}

/* ---- beginning and end */

static void begin(struct state *s, struct tlspump *p, struct strbuf *why)
{
    *s = (struct state){ .p = p, .why = why, .moved = netio_now() };
    s->client_in_socket = is_socket(p->client_in);
    s->client_out_socket = is_socket(p->client_out);
}

/* What is left in the library goes out, within the client's patience. */
static bool flush(struct state *s)
{
    struct pollfd out = { .fd = s->p->client_out, .events = POLLOUT };

    while (output_waits(s) && !s->client_lost) {
        /* A pipe must be asked before each write. */
        if (s->client_out_socket && send_to_client(s))
            continue;
        if (poll(&out, 1, patience(s)) == 0)
            return false;
        if (!s->client_out_socket)
            send_to_client(s);
    }
    return !s->client_lost;
}

/* Our end is said; the client's is awaited for a moment. */
static void linger(struct state *s)
{
    struct pollfd in = { .fd = s->p->client_in, .events = POLLIN };
    int64_t limit = netio_now() + LINGER_MS * MS;
    size_t most = LINGER_BYTES;

    if (!s->client_out_socket || shutdown(s->p->client_out, SHUT_WR) < 0)
        return;
    while (!s->client_ended && most > 0) {
        int64_t left = (limit - netio_now()) / MS;
        ssize_t n;

        if (left <= 0 || poll(&in, 1, (int)left) <= 0)
            return;
        n = recv(s->p->client_in, s->up, most < TLS_PLAIN_MAX ? most : TLS_PLAIN_MAX, MSG_DONTWAIT);
        note_most(&s->up_most, n);
        if (n <= 0)
            return;
        most -= (size_t)n;
    }
}

static enum tlspump_end judge_end(struct state *s)
{
    bool flushed;

    if (!s->failed && !s->client_lost)
        s->p->calls->goodbye(s->p->tls);
    s->moved = netio_now();
    flushed = flush(s);
    if (s->settling)
        answer_settle(s, REQUEST_SETTLED_NEVER);
    if (flushed)
        linger(s);
    if (s->failed)
        return TLSPUMP_BROKEN;
    if (s->client_lost)
        return TLSPUMP_LOST;
    return flushed ? TLSPUMP_DONE : TLSPUMP_TIMEOUT;
}

/* ---- the two phases */

enum tlspump_end tlspump_handshake(struct tlspump *p, int64_t deadline, struct strbuf *why)
{
    struct state s;
    struct pollfd slots[3];
    bool heard = false;

    begin(&s, p, why);
    for (;;) {
        enum tls_result result = p->calls->handshake(p->tls, why);
        int64_t left = (deadline - netio_now()) / MS;

        if (result == TLS_FAILED) {
            flush(&s); /* the alert */
            return heard ? TLSPUMP_BROKEN : TLSPUMP_SILENCE;
        }
        if (s.client_out_socket)
            send_to_client(&s);
        if (s.client_lost)
            return TLSPUMP_LOST;
        if (result == TLS_OK && !output_waits(&s))
            return TLSPUMP_DONE;
        slots[0] = (struct pollfd){ .fd = result == TLS_WAITS ? p->client_in : -1, .events = POLLIN };
        slots[1] = (struct pollfd){ .fd = output_waits(&s) ? p->client_out : -1, .events = POLLOUT };
        slots[2] = (struct pollfd){ .fd = p->plain };
        if (left <= 0 || poll(slots, 3, left < INT_MAX ? (int)left : INT_MAX) == 0)
            return TLSPUMP_TIMEOUT;
        if (slots[2].revents)
            return TLSPUMP_ALONE;
        if (ready(&slots[0]))
            heard = (receive_from_client(&s) && !s.client_ended) || heard;
        if (ready(&slots[1]))
            send_to_client(&s);
    }
}

/* All that can be done without waiting, for what poll said. */
static void move(struct state *s, const struct pollfd *slots)
{
    bool moved;

    if (ready(&slots[CONTROL]))
        hear_control(s);
    if (ready(&slots[CLIENT_IN]))
        receive_from_client(s);
    if (ready(&slots[CLIENT_OUT]))
        send_to_client(s);
    if (slots[PLAIN].revents & (POLLHUP | POLLERR))
        s->plain_closed = true;
    do {
        moved = decrypt(s);
        moved = send_down(s) || moved;
    } while (moved);
    if (ready(&slots[PLAIN]) || s->settling) {
        while (take_up(s) && (!s->client_out_socket || send_to_client(s)) && !s->client_lost && s->settling)
            continue;
    }
}

enum tlspump_end tlspump_run(struct tlspump *p, struct strbuf *why)
{
    struct pollfd slots[SLOTS] = { { .fd = -1 }, { .fd = -1 }, { .fd = -1 }, { .fd = -1 } };
    enum tlspump_end end = TLSPUMP_DONE;
    struct state s;

    begin(&s, p, why);
    s.down = mem_bytes(TLS_RECORD_MAX);
    s.up = mem_bytes(TLS_PLAIN_MAX);
    for (;;) {
        move(&s, slots);
        if (s.failed || s.client_lost || (s.plain_ended && !output_waits(&s)))
            break;
        if (!output_waits(&s))
            s.moved = netio_now();
        try_to_settle(&s);
        if (wait_for(&s, slots) <= 0 && patience(&s) == 0) {
            strbuf_fail(why, "it takes no output");
            end = TLSPUMP_TIMEOUT;
            break;
        }
    }
    if (end == TLSPUMP_DONE)
        end = judge_end(&s);
    else if (s.settling)
        answer_settle(&s, REQUEST_SETTLED_NEVER);
    mem_free_secret(s.down, s.down_most);
    mem_free_secret(s.up, s.up_most);
    return end;
}
