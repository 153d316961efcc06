/*
 * resolver: see resolver.h.
 *
 * Rights of this role: none of ours: the privsep user, no client, one end of a privmsg pair. It is not locked in,
 * because the name service reads files and opens sockets. Its answers come from whoever owns the client's part of the
 * DNS: the parent looks at the name again.
 */
#include "process/resolver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <config.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "process/child.h"
#include "process/privsep.h"
#include "process/ticketkeys.h"
#include "wire/netio.h"
#include "wire/privmsg.h"

#define MESSAGE 1
#define REASON_MAX 200
#define HOST_NAME_MAX_BYTES 253
#define LABEL_MAX_BYTES 63

enum answer {
    ANSWER_NAME,    /* forward-confirmed */
    ANSWER_NONE,    /* the reason and its number say why */
    ANSWER_UNKNOWN, /* the name does not exist, or is none */
    ANSWER_OTHER    /* the name has other addresses */
};

static bool is_label(const char *label, size_t n)
{
    static const char legal[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

    return n > 0 && n <= LABEL_MAX_BYTES && strspn(label, legal) >= n && label[0] != '-' && label[n - 1] != '-';
}

bool resolver_is_host_name(const char *name)
{
    const char *label = name;

    if (strlen(name) > HOST_NAME_MAX_BYTES)
        return false;
    for (;;) {
        size_t n = strcspn(label, ".");

        if (!is_label(label, n))
            return false;
        if (!label[n])
            break;
        label += n + 1;
    }
    /* The last label of an address is a number. */
    return strspn(label, "0123456789") != strlen(label) && strncasecmp(label, "0x", 2) != 0;
}

/* ---- the child */

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } socket;
    socklen_t length;
};

/* As peer has it in text: IPv4 in IPv6 is IPv4. */
static bool address_of(const char *ip, struct address *a_r)
{
    *a_r = (struct address){ .length = sizeof a_r->socket.in };
    a_r->socket.in.sin_family = AF_INET;
    if (inet_pton(AF_INET, ip, &a_r->socket.in.sin_addr) == 1)
        return true;
    a_r->socket.in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6 };
    a_r->length = sizeof a_r->socket.in6;
    return inet_pton(AF_INET6, ip, &a_r->socket.in6.sin6_addr) == 1;
}

static bool is_listed(const struct addrinfo *list, const struct address *a)
{
    for (; list; list = list->ai_next) {
        if (list->ai_family != a->socket.any.sa_family)
            continue;
        if (list->ai_family == AF_INET &&
            memcmp(&((struct sockaddr_in *)list->ai_addr)->sin_addr, &a->socket.in.sin_addr, 4) == 0)
            return true;
        if (list->ai_family == AF_INET6 &&
            memcmp(&((struct sockaddr_in6 *)list->ai_addr)->sin6_addr, &a->socket.in6.sin6_addr, 16) == 0)
            return true;
    }
    return false;
}

static enum answer look_up(const char *ip, char name_r[NI_MAXHOST], int *error_r)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
    struct address address;
    enum answer answer;

    if (!address_of(ip, &address))
        return ANSWER_NONE;
    hints.ai_family = address.socket.any.sa_family;
    *error_r = getnameinfo(&address.socket.any, address.length, name_r, NI_MAXHOST, NULL, 0, NI_NAMEREQD);
    if (*error_r)
        return ANSWER_NONE;
    if (!resolver_is_host_name(name_r))
        return ANSWER_UNKNOWN;
    *error_r = getaddrinfo(name_r, NULL, &hints, &list);
    if (*error_r)
        return *error_r == EAI_AGAIN ? ANSWER_NONE : ANSWER_UNKNOWN;
    answer = is_listed(list, &address) ? ANSWER_NAME : ANSWER_OTHER;
    freeaddrinfo(list);
    return answer;
}

static _Noreturn void ask(const char *ip, int end)
{
    struct strbuf why = STRBUF_INIT(REASON_MAX);
    char name[NI_MAXHOST] = "";
    int error = 0;
    enum answer answer;
    struct privmsg m;

    log_set_sink(NULL, NULL);
    log_close();
    ticketkeys_forget();
    dup2(2, 0);
    dup2(2, 1);
    file_sanitize_descriptors(3, &end, 1);
    if (privsep_become_nobody(&why) < 0)
        _exit(MEM_EXIT_STATUS);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    answer = look_up(ip, name, &error);
    privmsg_init(&m, MESSAGE);
    privmsg_put_number(&m, answer);
    privmsg_put_bytes(&m, name, strlen(name));
    privmsg_put_number(&m, (uint64_t)-error); /* they are negative */
    privmsg_send(end, &m);
    _exit(0);
}

/* ---- the parent */

void resolver_start(struct resolver *r, const struct settings *settings, const struct peer *peer)
{
    struct address address;
    int ends[2];

    *r = (struct resolver){ .end = -1 };
    if (!settings->reverse_lookup || !address_of(peer->ip, &address) || privmsg_pair(ends) < 0)
        return;
    r->pid = fork();
    if (r->pid == 0)
        ask(peer->ip, ends[1]);
    close(ends[1]);
    r->end = ends[0];
    r->deadline = netio_now() + RESOLVER_SECONDS * INT64_C(1000000000);
    if (r->pid < 0) {
        log_write(LOG_WARNING, "client %s: its name is not looked up: fork: %s", peer->ip, strerror(errno));
        close(r->end);
        *r = (struct resolver){ .end = -1 };
    }
}

static void end_it(struct resolver *r, bool about_to_end)
{
    close(r->end);
    child_reap(r->pid, about_to_end);
    *r = (struct resolver){ .end = -1 };
}

void resolver_stop(struct resolver *r)
{
    if (r->pid > 0)
        end_it(r, false);
}

static void log_no_name(const struct peer *peer, const char *reason, int number)
{
    log_write(LOG_DEBUG, "(v%s) Unable to get canonical name of client %s: %s (%d)", PACKAGE_VERSION, peer->ip, reason,
              number);
}

/* Believes no answer: a name that is none is a name that nobody knows. */
static void take_answer(struct privmsg *m, struct peer *peer)
{
    struct strbuf shown = STRBUF_INIT(4 * NI_MAXHOST);
    uint64_t answer = privmsg_get_number(m);
    size_t n;
    const char *bytes = privmsg_get_bytes(m, NI_MAXHOST - 1, &n);
    int error = -(int)(privmsg_get_number(m) & 0xffff);
    char name[NI_MAXHOST];

    if (!privmsg_complete(m) || m->fd >= 0) {
        log_no_name(peer, "a broken answer", EPROTO);
        return;
    }
    memcpy(name, bytes, n);
    name[n] = '\0';
    log_escape(&shown, bytes, n, HOST_NAME_MAX_BYTES);
    if (answer == ANSWER_NAME && resolver_is_host_name(name))
        memcpy(peer->host, name, strlen(name) + 1);
    else if (answer == ANSWER_NONE)
        log_no_name(peer, gai_strerror(error), error);
    else if (answer == ANSWER_OTHER)
        log_write(LOG_NOTICE, "Client address \"%s\" not listed for its host name \"%s\"", peer->ip, shown.data);
    else
        log_write(LOG_NOTICE, "Client at \"%s\" resolves to an unknown host name \"%s\"", peer->ip, shown.data);
    strbuf_free(&shown);
}

void resolver_finish(struct resolver *r, struct peer *peer)
{
    struct privmsg m;
    int64_t left = (r->deadline - netio_now()) / 1000000;
    int got;

    if (r->pid <= 0)
        return;
    got = privmsg_await(r->end, &m, left > 0 ? (int)left : 0);
    if (got > 0)
        take_answer(&m, peer);
    else if (got < 0 && errno == ETIMEDOUT)
        log_no_name(peer, "no answer in time", ETIMEDOUT);
    else
        log_no_name(peer, "the process that asks has ended", ECHILD);
    privmsg_free(&m);
    end_it(r, got >= 0);
}
