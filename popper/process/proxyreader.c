/*
 * proxyreader: see proxyreader.h.
 *
 * Rights of this role: none, like preauth's: privsep user, empty directory, sandbox. It holds the client's descriptors
 * and one end of a privmsg pair, says one message and ends. Its parent, which has the rights, parses addresses again
 * and nothing else.
 */
#include "process/proxyreader.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "process/child.h"
#include "process/privsep.h"
#include "process/ticketkeys.h"
#include "wire/netio.h"
#include "wire/privmsg.h"
#include "wire/proxyheader.h"

#define MESSAGE 1
#define REASON_MAX 200

/* ---- the child */

static int64_t deadline_of(const struct settings *settings)
{
    int seconds = settings->preauth_timeout < PROXYREADER_SECONDS ? settings->preauth_timeout : PROXYREADER_SECONDS;

    return netio_now() + seconds * INT64_C(1000000000);
}

/* At most n bytes. The count; 0 and why at the end of the connection or of patience. */
static size_t read_some(unsigned char *to, size_t n, int64_t deadline, struct strbuf *why)
{
    for (;;) {
        struct pollfd p = { .fd = 0, .events = POLLIN };
        int64_t left = (deadline - netio_now()) / 1000000;
        int ready = left > 0 ? poll(&p, 1, (int)left) : 0;
        ssize_t got;

        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0) {
            strbuf_fail(why, "it did not come in time");
            return 0;
        }
        got = read(0, to, n);
        if (got > 0)
            return (size_t)got;
        if (got == 0 || errno != EINTR) {
            strbuf_fail(why, "the connection ended before it");
            return 0;
        }
    }
}

static enum proxyheader_result read_header(const struct settings *settings, struct proxyheader_client *client_r,
                                           struct strbuf *why)
{
    int64_t deadline = deadline_of(settings);
    unsigned char bytes[PROXYHEADER_MAX];
    enum proxyheader_result result;
    size_t n = 0, more, got;

    while ((result = proxyheader_parse(bytes, n, &more, client_r, why)) == PROXYHEADER_MORE) {
        got = more <= sizeof bytes - n ? read_some(bytes + n, more, deadline, why) : 0;
        if (got == 0)
            return PROXYHEADER_BAD;
        n += got;
    }
    return result;
}

static _Noreturn void be_reader(const struct settings *settings, int end, pid_t parent)
{
    struct strbuf why = STRBUF_INIT(REASON_MAX);
    struct proxyheader_client client = { .port = 0 };
    enum proxyheader_result result = PROXYHEADER_BAD;
    struct privmsg m;

    log_set_sink(NULL, NULL);
    log_close();
    ticketkeys_forget();
    file_sanitize_descriptors(3, &end, 1);
    if (privsep_enter(SANDBOX_PREAUTH, settings->sandbox, parent, &why) == 0)
        result = read_header(settings, &client, &why);
    privmsg_init(&m, MESSAGE);
    privmsg_put_number(&m, result);
    privmsg_put_text(&m, client.ip);
    privmsg_put_number(&m, client.port);
    privmsg_put_bytes(&m, why.data, why.len);
    privmsg_send(end, &m);
    _exit(0);
}

/* ---- the parent */

/* 127.0.0.1 is the proxy's host, which is ours only if he is here, too. */
static bool take_client(struct peer *peer, const char *ip, uint64_t port)
{
    bool is_here = peer->local;
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };

    if (inet_pton(AF_INET, ip, &in.sin_addr) == 1)
        peer_of_address(peer, (struct sockaddr *)&in, sizeof in);
    else if (inet_pton(AF_INET6, ip, &in6.sin6_addr) == 1)
        peer_of_address(peer, (struct sockaddr *)&in6, sizeof in6);
    else
        return false;
    peer->local = peer->local && is_here;
    return true;
}

/* What the child says is bounded and looked at again; log_write escapes. */
static bool take_answer(struct privmsg *m, struct peer *peer, struct strbuf *why)
{
    uint64_t result = privmsg_get_number(m);
    const char *ip = privmsg_get_text(m, sizeof peer->ip - 1);
    uint64_t port = privmsg_get_number(m);
    size_t n;
    const char *reason = privmsg_get_bytes(m, REASON_MAX, &n);

    strbuf_fail(why, "the process that reads it gave a broken answer");
    if (!privmsg_complete(m) || m->fd >= 0 || port > UINT16_MAX)
        return false;
    switch (result) {
    case PROXYHEADER_CLIENT:
        return take_client(peer, ip, port);
    case PROXYHEADER_UNKNOWN:
        /* Whoever it is, he is not on this host because his proxy is. */
        peer->local = false;
        return true;
    case PROXYHEADER_LOCAL:
        return true;
    default:
        strbuf_fail(why, "%.*s", (int)n, reason);
        return false;
    }
}

static bool hear_child(int end, struct peer *peer, struct strbuf *why)
{
    struct privmsg m;
    bool well = false;
    int got = privmsg_await(end, &m, (PROXYREADER_SECONDS + 5) * 1000);

    if (got > 0)
        well = take_answer(&m, peer, why);
    else
        strbuf_fail(why, "the process that reads it %s", got == 0 ? "ended" : strerror(errno));
    privmsg_free(&m);
    return well;
}

static bool read_in_child(const struct settings *settings, struct peer *peer, struct strbuf *why)
{
    struct strbuf text = STRBUF_INIT(STRBUF_WHY_MAX);
    int ends[2], status;
    bool well;
    pid_t pid, parent;

    if (privmsg_pair(ends) < 0)
        return strbuf_fail(why, "socketpair: %s", strerror(errno)) == 0;
    parent = getpid();
    pid = fork();
    if (pid == 0)
        be_reader(settings, ends[1], parent);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return strbuf_fail(why, "fork: %s", strerror(errno)) == 0;
    }
    well = hear_child(ends[0], peer, why);
    close(ends[0]);
    status = child_reap(pid, true);
    if (sandbox_killed(status, SANDBOX_PREAUTH, &text))
        log_write(LOG_CRIT, "client %s: %s", peer->ip, text.data);
    strbuf_free(&text);
    return well;
}

bool proxyreader_run(const struct settings *settings, struct peer *peer)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    char proxy[sizeof peer->ip];
    bool well;

    if (!proxyheader_expected(&settings->proxy_networks, peer))
        return true;
    memcpy(proxy, peer->ip, sizeof proxy);
    well = read_in_child(settings, peer, &why);
    if (!well)
        log_write(LOG_NOTICE, "the connection from proxy %s is closed: no good PROXY protocol header: %s", proxy, why.data);
    else
        log_write(LOG_DEBUG, "client %s comes through proxy %s", peer->ip, proxy);
    strbuf_free(&why);
    return well;
}
