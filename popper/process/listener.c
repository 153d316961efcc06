/*
 * listener: see listener.h. Runs as root (ports below 1024); reads nothing from any socket.
 */
#include "process/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "settings/defaults.h"

#define SHOWN 80

static int fail_address(const char *text, struct strbuf *why)
{
    return strbuf_fail(why, "the address \"%.*s\" is none: ADDRESS, :PORT, ADDRESS:PORT or [IPV6]:PORT in numbers",
                       SHOWN, text);
}

/* Digits only, 1 to 65535. */
static bool take_port(const char *text, uint16_t *port_r)
{
    unsigned number = 0;

    if (!*text || strlen(text) > 5 || text[strspn(text, "0123456789")])
        return false;
    for (; *text; text++)
        number = number * 10 + (unsigned)(*text - '0');
    *port_r = (uint16_t)number;
    return number >= 1 && number <= 65535;
}

static bool take_ipv6(const char *text, size_t n, struct sockaddr_storage *address)
{
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;
    char copy[INET6_ADDRSTRLEN];

    if (n >= sizeof copy)
        return false;
    memcpy(copy, text, n);
    copy[n] = '\0';
    in6->sin6_family = AF_INET6;
    return inet_pton(AF_INET6, copy, &in6->sin6_addr) == 1;
}

static bool take_ipv4(const char *text, size_t n, struct sockaddr_storage *address)
{
    struct sockaddr_in *in = (struct sockaddr_in *)address;
    char copy[INET_ADDRSTRLEN];

    if (n >= sizeof copy)
        return false;
    memcpy(copy, text, n);
    copy[n] = '\0';
    in->sin_family = AF_INET;
    return inet_pton(AF_INET, copy, &in->sin_addr) == 1;
}

int listener_parse(const char *text, struct sockaddr_storage *address_r, uint16_t *port_r, struct strbuf *why)
{
    const char *rest = text;

    memset(address_r, 0, sizeof *address_r);
    *port_r = STANDALONE_PORT;
    if (take_port(text, port_r))
        return 0;
    if (text[0] == '[') {
        size_t n = strcspn(text, "]");

        if (!text[n] || !take_ipv6(text + 1, n - 1, address_r))
            return fail_address(text, why);
        rest = text + n + 1;
    } else if (text[0] != ':') {
        size_t n = strcspn(text, ":");

        if (!take_ipv4(text, n, address_r))
            return fail_address(text, why);
        rest = text + n;
    }
    if (!*rest && rest != text)
        return 0;
    return *rest == ':' && take_port(rest + 1, port_r) ? 0 : fail_address(text, why);
}

static void name_it(struct listener *item, const struct sockaddr_storage *address)
{
    char text[INET6_ADDRSTRLEN] = "";

    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;

        inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
        snprintf(item->name, sizeof item->name, "%s:%u", text, ntohs(in->sin_port));
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;

        inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text);
        snprintf(item->name, sizeof item->name, "[%s]:%u", text, ntohs(in6->sin6_port));
    } else
        snprintf(item->name, sizeof item->name, "descriptor %d", item->fd);
}

static int fail_listen(const struct listener *item, const char *what, struct strbuf *why)
{
    int error = errno;

    if (item->fd >= 0)
        close(item->fd);
    if (error == EADDRINUSE)
        strbuf_fail(why, "%s in use", item->name);
    else
        strbuf_fail(why, "cannot listen at %s: %s: %s", item->name, what, strerror(error));
    errno = error;
    return -1;
}

static int open_one(struct listeners *l, const struct sockaddr_storage *address, struct strbuf *why)
{
    struct listener *item = &l->item[l->count];
    int on = 1;

    if (l->count == LISTENERS_MAX)
        return strbuf_fail(why, "more than %d addresses", LISTENERS_MAX);
    item->fd = -1;
    name_it(item, address);
    item->fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (item->fd < 0)
        return fail_listen(item, "socket", why);
    setsockopt(item->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->ss_family == AF_INET6)
        setsockopt(item->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(item->fd, (const struct sockaddr *)address,
             address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6)) < 0)
        return fail_listen(item, "bind", why);
    if (listen(item->fd, SOMAXCONN) < 0)
        return fail_listen(item, "listen", why);
    l->count++;
    return 0;
}

static void set_port(struct sockaddr_storage *address, uint16_t port)
{
    if (address->ss_family == AF_INET)
        ((struct sockaddr_in *)address)->sin_port = htons(port);
    else
        ((struct sockaddr_in6 *)address)->sin6_port = htons(port);
}

/* All addresses: one socket for IPv4 and one for IPv6, so that the log never shows mapped addresses; a host that has
   only one of them is none the worse. */
static int open_everywhere(struct listeners *l, uint16_t port, struct strbuf *why)
{
    const sa_family_t families[] = { AF_INET, AF_INET6 };
    size_t before = l->count;

    for (size_t i = 0; i < 2; i++) {
        struct sockaddr_storage address = { .ss_family = families[i] };

        set_port(&address, port);
        if (open_one(l, &address, why) < 0 && errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL)
            return -1;
    }
    return l->count > before ? 0 : -1;
}

int listeners_open(struct listeners *l, char *const *addresses, size_t count, struct strbuf *why)
{
    struct sockaddr_storage address;
    uint16_t port;

    if (count == 0)
        return open_everywhere(l, STANDALONE_PORT, why);
    for (size_t i = 0; i < count; i++) {
        if (listener_parse(addresses[i], &address, &port, why) < 0)
            return -1;
        if (address.ss_family != AF_UNSPEC)
            set_port(&address, port);
        if ((address.ss_family == AF_UNSPEC ? open_everywhere(l, port, why) : open_one(l, &address, why)) < 0)
            return -1;
    }
    return 0;
}

bool listener_listens(int fd)
{
    int listening = 0;
    socklen_t length = sizeof listening;

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0 && listening;
}

int listeners_adopt(struct listeners *l, int first, size_t count, struct strbuf *why)
{
    for (size_t i = 0; i < count; i++) {
        struct listener *item = &l->item[l->count];
        struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
        socklen_t length = sizeof address;

        if (l->count == LISTENERS_MAX)
            return strbuf_fail(why, "more than %d sockets", LISTENERS_MAX);
        item->fd = first + (int)i;
        if (getsockname(item->fd, (struct sockaddr *)&address, &length) < 0)
            return strbuf_fail(why, "descriptor %d, which was handed over for listening, is no socket: %s", item->fd,
                               strerror(errno));
        name_it(item, &address);
        if (!listener_listens(item->fd)) /* poll would report it for ever, and accept always fail */
            return strbuf_fail(why, "%s, which was handed over as descriptor %d, does not listen; a unit of systemd needs "
                               "ListenStream=, and Accept=no unless it hands over one connection", item->name, item->fd);
        l->count++;
    }
    return 0;
}

void listeners_close(struct listeners *l)
{
    while (l->count > 0)
        close(l->item[--l->count].fd);
}
