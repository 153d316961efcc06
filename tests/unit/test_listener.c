/* listener: what the addresses of the command line mean, and that they are listened at. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "process/listener.h"
#include "settings/defaults.h"

#define ANY "any"

static const struct {
    const char *given, *address; /* NULL: refused */
    int port;
} cases[] = {
    { "8110", ANY, 8110 },
    { ":8110", ANY, 8110 },
    { "127.0.0.1", "127.0.0.1", STANDALONE_PORT },
    { "127.0.0.1:995", "127.0.0.1", 995 },
    { "[::1]", "::1", STANDALONE_PORT },
    { "[::1]:65535", "::1", 65535 },
    { "[2001:db8::1]:110", "2001:db8::1", 110 },
    { "0", NULL, 0 },
    { ":", NULL, 0 },
    { ":0", NULL, 0 },
    { "65536", NULL, 0 },
    { "127.0.0.1:", NULL, 0 },
    { "127.0.0.1:65536", NULL, 0 },
    { "127.0.0.1:1x", NULL, 0 },
    { "127.0.0.256", NULL, 0 },
    { "127.0.0.1.:110", NULL, 0 },
    { "1.2", NULL, 0 },
    { "[::1", NULL, 0 },
    { "[::1]110", NULL, 0 },
    { "[127.0.0.1]:110", NULL, 0 },
    { "[]:110", NULL, 0 },
    { "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:110", NULL, 0 },
};

START_TEST(addresses)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct sockaddr_storage address;
    char text[INET6_ADDRSTRLEN] = ANY;
    uint16_t port;
    int result = listener_parse(cases[_i].given, &address, &port, &why);

    ck_assert_int_eq(result, cases[_i].address ? 0 : -1);
    ck_assert_int_eq(why.len > 0, result < 0);
    if (result == 0) {
        if (address.ss_family == AF_INET)
            inet_ntop(AF_INET, &((struct sockaddr_in *)&address)->sin_addr, text, sizeof text);
        else if (address.ss_family == AF_INET6)
            inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&address)->sin6_addr, text, sizeof text);
        ck_assert_str_eq(text, cases[_i].address);
        ck_assert_int_eq(port, cases[_i].port);
    }
    strbuf_free(&why);
}
END_TEST

START_TEST(a_port_in_use_is_said)
{
    struct listeners one = { .count = 0 }, two = { .count = 0 };
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct sockaddr_in bound = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof bound;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char address[32], expected[64], *addresses[] = { address };

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&bound, sizeof bound), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&bound, &length), 0);
    snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(bound.sin_port));
    ck_assert_int_eq(listeners_open(&one, addresses, 1, &why), -1);
    snprintf(expected, sizeof expected, "%s in use", address);
    ck_assert_str_eq(why.data, expected);
    ck_assert_int_eq(listeners_adopt(&two, fd, 1, &why), 0);
    ck_assert_str_eq(two.item[0].name, address);
    listeners_close(&two);
    ck_assert_int_eq(listeners_open(&one, addresses, 1, &why), 0);
    ck_assert_str_eq(one.item[0].name, address);
    listeners_close(&one);
    ck_assert_int_eq(listeners_adopt(&two, 0, 1, &why), -1);
    strbuf_free(&why);
}
END_TEST

/* accept would fail at once, again and again. */
START_TEST(a_socket_that_does_not_listen_is_none)
{
    const int types[] = { SOCK_STREAM, SOCK_DGRAM };
    struct listeners none = { .count = 0 };
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);

    for (size_t i = 0; i < 2; i++) {
        struct sockaddr_in bound = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, types[i], 0);

        ck_assert_int_eq(bind(fd, (struct sockaddr *)&bound, sizeof bound), 0);
        ck_assert_int_eq(listeners_adopt(&none, fd, 1, &why), -1);
        ck_assert_uint_eq(none.count, 0);
        ck_assert_ptr_nonnull(strstr(why.data, "does not listen"));
        close(fd);
    }
    strbuf_free(&why);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("listener");
    TCase *tcase = tcase_create("listener");

    tcase_add_loop_test(tcase, addresses, 0, sizeof cases / sizeof *cases);
    tcase_add_test(tcase, a_port_in_use_is_said);
    tcase_add_test(tcase, a_socket_that_does_not_listen_is_none);
    suite_add_tcase(suite, tcase);
    return unit_main(suite);
}
