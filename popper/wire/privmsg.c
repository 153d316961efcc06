/*
 * privmsg: see privmsg.h. A packet is a header (type, length of the body) and the body; the body is a row of items,
 * each with a tag, so that a get of another kind than the put is noticed: 'N' and 8 bytes, or 'B', a length, the bytes
 * and a NUL. Numbers are in host order: both ends are the same program on the same host. Nothing here knows what a type
 * means.
 */
#include "wire/privmsg.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"

#define TAG_NUMBER 'N'
#define TAG_BYTES 'B'

struct header {
    uint32_t type;
    uint32_t length;
};

/* Where packets arrive, so that a short one costs memory for what it holds only. Holds nothing between two calls. */
static char room[PRIVMSG_MAX];

int privmsg_pair(int ends_r[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends_r);
}

void privmsg_init(struct privmsg *m, uint32_t type)
{
    *m = (struct privmsg){ .type = type, .fd = -1 };
    strbuf_init(&m->body, PRIVMSG_MAX);
}

void privmsg_free(struct privmsg *m)
{
    strbuf_free(&m->body);
    if (m->fd >= 0)
        close(m->fd);
    privmsg_init(m, 0);
}

void privmsg_put_number(struct privmsg *m, uint64_t n)
{
    strbuf_addc(&m->body, TAG_NUMBER);
    strbuf_add(&m->body, &n, sizeof n);
}

void privmsg_put_bytes(struct privmsg *m, const void *bytes, size_t n)
{
    uint32_t length = n > PRIVMSG_MAX ? PRIVMSG_MAX : (uint32_t)n;

    strbuf_addc(&m->body, TAG_BYTES);
    strbuf_add(&m->body, &length, sizeof length);
    strbuf_add(&m->body, bytes, n);
    strbuf_addc(&m->body, '\0');
}

void privmsg_put_text(struct privmsg *m, const char *text)
{
    privmsg_put_bytes(m, text, strlen(text));
}

void privmsg_put_fd(struct privmsg *m, int fd)
{
    m->fd = fd;
}

/* The next n bytes of the body, or NULL (and bad) when there are fewer. */
static const char *take(struct privmsg *m, size_t n)
{
    const char *at = m->body.data + m->at;

    if (m->bad || n > m->body.len - m->at) {
        m->bad = true;
        return NULL;
    }
    m->at += n;
    return at;
}

static bool take_tag(struct privmsg *m, char tag)
{
    const char *at = take(m, 1);

    if (at && *at != tag)
        m->bad = true;
    return !m->bad;
}

uint64_t privmsg_get_number(struct privmsg *m)
{
    const char *at = take_tag(m, TAG_NUMBER) ? take(m, sizeof(uint64_t)) : NULL;
    uint64_t n = 0;

    if (at)
        memcpy(&n, at, sizeof n);
    return n;
}

const char *privmsg_get_bytes(struct privmsg *m, size_t max, size_t *n_r)
{
    const char *at = take_tag(m, TAG_BYTES) ? take(m, sizeof(uint32_t)) : NULL;
    uint32_t n = 0;

    *n_r = 0;
    if (!at)
        return "";
    memcpy(&n, at, sizeof n);
    if (n > max) {
        m->bad = true;
        return "";
    }
    at = take(m, (size_t)n + 1);
    if (!at || at[n] != '\0') {
        m->bad = true;
        return "";
    }
    *n_r = n;
    return at;
}

const char *privmsg_get_text(struct privmsg *m, size_t max)
{
    size_t n;
    const char *text = privmsg_get_bytes(m, max, &n);

    if (memchr(text, '\0', n)) {
        m->bad = true;
        return "";
    }
    return text;
}

bool privmsg_complete(const struct privmsg *m)
{
    return !m->bad && m->at == m->body.len;
}

/* Puts the descriptor into the control part. */
static void attach(struct msghdr *msg, void *control, size_t control_size, int fd)
{
    struct cmsghdr *c;

    memset(control, 0, control_size);
    msg->msg_control = control;
    msg->msg_controllen = control_size;
    c = CMSG_FIRSTHDR(msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
}

/* 1 when events came, 0 on timeout, -1 with errno. */
static int wait_for(int end, short events, int timeout_ms)
{
    struct pollfd p = { .fd = end, .events = events };

    return poll(&p, 1, timeout_ms);
}

static int wait_for_room(int end)
{
    int n;

    do {
        n = wait_for(end, POLLOUT, PRIVMSG_SEND_MS);
    } while (n < 0 && errno == EINTR);
    if (n == 0)
        errno = ETIMEDOUT;
    return n > 0 ? 0 : -1;
}

int privmsg_send(int end, const struct privmsg *m)
{
    struct header header = { .type = m->type, .length = (uint32_t)m->body.len };
    struct iovec part[2] = {
        { .iov_base = &header, .iov_len = sizeof header },
        { .iov_base = m->body.data, .iov_len = m->body.len },
    };
    struct msghdr msg = { .msg_iov = part, .msg_iovlen = 2 };
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];

    if (m->body.cut) {
        errno = EMSGSIZE;
        return -1;
    }
    if (m->fd >= 0)
        attach(&msg, control, sizeof control, m->fd);
    for (;;) {
        if (sendmsg(end, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
            return 0;
        if (errno == ECONNRESET)
            errno = EPIPE;
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN || wait_for_room(end) < 0)
            return -1;
    }
}

/* Takes the descriptors out of the control part: at most one may be there. False when there were more. */
static bool detach(struct msghdr *msg, int *fd_r)
{
    struct cmsghdr *c;
    size_t count = 0;

    for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        size_t i, n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (i = 0; i < n; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (count++ == 0)
                *fd_r = fd;
            else
                close(fd);
        }
    }
    return count <= 1;
}

static int broken(struct privmsg *m)
{
    mem_wipe(room, sizeof room);
    privmsg_free(m);
    errno = EBADMSG;
    return -1;
}

int privmsg_receive(int end, struct privmsg *m, int timeout_ms)
{
    struct header header = { 0 };
    struct iovec part[2] = { { .iov_base = &header, .iov_len = sizeof header }, { .iov_base = room, .iov_len = sizeof room } };
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    struct msghdr msg = { .msg_iov = part, .msg_iovlen = 2, .msg_control = control, .msg_controllen = sizeof control };
    ssize_t n;
    bool one;

    privmsg_init(m, 0);
    if (timeout_ms >= 0) {
        int ready = wait_for(end, POLLIN, timeout_ms);

        if (ready == 0)
            errno = ETIMEDOUT;
        if (ready <= 0)
            return -1;
    }
    n = recvmsg(end, &msg, MSG_CMSG_CLOEXEC);
    if (n <= 0) {
        int error = errno;

        privmsg_free(m);
        errno = error;
        return n == 0 || error == ECONNRESET ? 0 : -1;
    }
    one = detach(&msg, &m->fd);
    if (!one || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || (size_t)n < sizeof header ||
        header.length != (size_t)n - sizeof header)
        return broken(m);
    m->type = header.type;
    strbuf_add(&m->body, room, header.length);
    mem_wipe(room, header.length);
    return 1;
}

int privmsg_await(int end, struct privmsg *m, int timeout_ms)
{
    int64_t limit = clock_now() + timeout_ms * INT64_C(1000000);
    int got;

    do {
        int64_t left = timeout_ms < 0 ? -1 : (limit - clock_now()) / 1000000;

        got = privmsg_receive(end, m, timeout_ms >= 0 && left < 0 ? 0 : (int)left);
    } while (got < 0 && errno == EINTR);
    return got;
}
