/* peer: addresses as text, and which of them are this host. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "wire/peer.h"

static const struct {
    int family;
    const char *given, *ip;
    bool local;
} cases[] = {
    { AF_INET, "192.0.2.7", "192.0.2.7", false },
    { AF_INET, "127.0.0.1", "127.0.0.1", true },
    { AF_INET, "127.255.1.2", "127.255.1.2", true },
    { AF_INET, "128.0.0.1", "128.0.0.1", false },
    { AF_INET6, "2001:db8::1", "2001:db8::1", false },
    { AF_INET6, "::1", "::1", true },
    { AF_INET6, "::ffff:192.0.2.7", "192.0.2.7", false },
    { AF_INET6, "::ffff:127.0.0.9", "127.0.0.9", true },
    { AF_INET6, "fe80::1", "fe80::1", false },
};

START_TEST(addresses)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(4711) };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(4711) };
    bool v4 = cases[_i].family == AF_INET;
    struct peer p;

    ck_assert_int_eq(inet_pton(cases[_i].family, cases[_i].given, v4 ? (void *)&in.sin_addr : (void *)&in6.sin6_addr),
                     1);
    if (v4)
        peer_of_address(&p, (struct sockaddr *)&in, sizeof in);
    else
        peer_of_address(&p, (struct sockaddr *)&in6, sizeof in6);
    ck_assert_str_eq(p.ip, cases[_i].ip);
    ck_assert_str_eq(p.host, cases[_i].ip);
    ck_assert_int_eq(p.port, 4711);
    ck_assert_int_eq(p.local, cases[_i].local);
}
END_TEST

static void assert_unknown(const struct peer *p)
{
    ck_assert_str_eq(p->ip, "unknown");
    ck_assert_str_eq(p->host, "unknown");
    ck_assert(!p->local);
}

START_TEST(pipes_and_local_sockets_are_unknown)
{
    int pipe_ends[2], ends[2];
    struct peer p;

    ck_assert_int_eq(pipe(pipe_ends), 0);
    peer_of_descriptor(&p, pipe_ends[0]);
    assert_unknown(&p);
    peer_of_descriptor(&p, -1);
    assert_unknown(&p);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    peer_of_descriptor(&p, ends[0]);
    assert_unknown(&p);
}
END_TEST

START_TEST(a_short_address_is_unknown)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    struct peer p;

    peer_of_address(&p, (struct sockaddr *)&in, sizeof(sa_family_t));
    assert_unknown(&p);
}
END_TEST

START_TEST(a_connected_socket)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof in;
    int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0), served;
    struct peer p;

    ck_assert_int_eq(bind(server, (struct sockaddr *)&in, sizeof in), 0);
    ck_assert_int_eq(listen(server, 1), 0);
    ck_assert_int_eq(getsockname(server, (struct sockaddr *)&in, &length), 0);
    ck_assert_int_eq(connect(client, (struct sockaddr *)&in, sizeof in), 0);
    served = accept(server, NULL, NULL);
    peer_of_descriptor(&p, served);
    ck_assert_str_eq(p.ip, "127.0.0.1");
    ck_assert(p.local);
    ck_assert_int_ne(p.port, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("peer");
    TCase *tc = tcase_create("peer");

    tcase_add_loop_test(tc, addresses, 0, (int)(sizeof cases / sizeof *cases));
    tcase_add_test(tc, pipes_and_local_sockets_are_unknown);
    tcase_add_test(tc, a_short_address_is_unknown);
    tcase_add_test(tc, a_connected_socket);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
