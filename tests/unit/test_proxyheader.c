/* proxyheader: good and bad headers, byte by byte; who must send one. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "wire/proxyheader.h"

#define V2 "\r\n\r\n\0\r\nQUIT\n"
#define BYTES(text) text, sizeof(text) - 1

static const struct {
    const char *name;
    const char *bytes;
    size_t length;
    enum proxyheader_result result;
    const char *ip; /* of PROXYHEADER_CLIENT, or a part of why of PROXYHEADER_BAD */
    int port;
} cases[] = {
    { "v1, IPv4", BYTES("PROXY TCP4 192.0.2.7 198.51.100.1 4711 110\r\n"), PROXYHEADER_CLIENT, "192.0.2.7", 4711 },
    { "v1, IPv6", BYTES("PROXY TCP6 2001:db8::7 ::1 65535 110\r\n"), PROXYHEADER_CLIENT, "2001:db8::7", 65535 },
    { "v1, longest", BYTES("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
      PROXYHEADER_CLIENT, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535 },
    { "v1, mapped", BYTES("PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n"), PROXYHEADER_CLIENT, "192.0.2.7", 1 },
    { "v1, unknown", BYTES("PROXY UNKNOWN\r\n"), PROXYHEADER_UNKNOWN, NULL, 0 },
    { "v1, unknown with addresses", BYTES("PROXY UNKNOWN ffff::1 ::1 1 2\r\n"), PROXYHEADER_UNKNOWN, NULL, 0 },
    { "a command", BYTES("USER alice\r\n"), PROXYHEADER_BAD, "does not begin", 0 },
    { "TLS", BYTES("\x16\x03\x01\x02"), PROXYHEADER_BAD, "does not begin", 0 },
    { "v1, lower case", BYTES("proxy TCP4"), PROXYHEADER_BAD, "does not begin", 0 },
    { "v1, LF alone", BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n"), PROXYHEADER_BAD, "CRLF", 0 },
    { "v1, nothing", BYTES("PROXY \r\n"), PROXYHEADER_BAD, "protocol", 0 },
    { "v1, wrong protocol", BYTES("PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n"), PROXYHEADER_BAD, "protocol", 0 },
    { "v1, wrong family", BYTES("PROXY TCP4 ::1 ::1 1 2\r\n"), PROXYHEADER_BAD, "address", 0 },
    { "v1, address too long", BYTES("PROXY TCP4 1.2.3.4.5 1.2.3.4 1 2\r\n"), PROXYHEADER_BAD, "address", 0 },
    { "v1, a port too large", BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n"), PROXYHEADER_BAD, "port", 0 },
    { "v1, a port with a sign", BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 +2\r\n"), PROXYHEADER_BAD, "port", 0 },
    { "v1, a port with a zero", BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 02\r\n"), PROXYHEADER_BAD, "port", 0 },
    { "v1, three words", BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n"), PROXYHEADER_BAD, "four", 0 },
    { "v1, five words", BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n"), PROXYHEADER_BAD, "four", 0 },
    { "v1, a blank at the end", BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n"), PROXYHEADER_BAD, "four", 0 },
    { "v1, two blanks", BYTES("PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n"), PROXYHEADER_BAD, "four", 0 },
    { "v1, an empty word", BYTES("PROXY TCP6  ::1 ::1 1 2\r\n"), PROXYHEADER_BAD, "four", 0 },
    { "v1, an empty word and four words", BYTES("PROXY TCP6  31:2: 6553 110\r\n"), PROXYHEADER_BAD, "four", 0 },
    { "v1, a word too few and an empty one", BYTES("PROXY TCP4 1.2.3.4  1 2\r\n"), PROXYHEADER_BAD, "four", 0 },
    { "v1, NUL", BYTES("PROXY TCP4 1.2.3.4\0 1.2.3.4 1 2\r\n"), PROXYHEADER_BAD, "NUL", 0 },
    { "v1, too long", BYTES("PROXY UNKNOWN aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"),
      PROXYHEADER_BAD, "107", 0 },
    { "v2, IPv4", BYTES(V2 "\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\x12\x67\0\x6e"), PROXYHEADER_CLIENT, "192.0.2.7", 4711 },
    { "v2, IPv6", BYTES(V2 "\x21\x21\0\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x12\x67\0\x6e"),
      PROXYHEADER_CLIENT, "2001:db8::7", 4711 },
    { "v2, with an extension", BYTES(V2 "\x21\x11\0\x10\xc0\0\x02\x07\xc6\x33\x64\x01\x12\x67\0\x6e\x04\0\x01x"), PROXYHEADER_CLIENT,
      "192.0.2.7", 4711 },
    { "v2, LOCAL", BYTES(V2 "\x20\x00\0\0"), PROXYHEADER_LOCAL, NULL, 0 },
    { "v2, LOCAL with addresses", BYTES(V2 "\x20\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\x12\x67\0\x6e"), PROXYHEADER_LOCAL, NULL, 0 },
    { "v2, UNSPEC", BYTES(V2 "\x21\x00\0\x02xx"), PROXYHEADER_UNKNOWN, NULL, 0 },
    { "v2, UDP", BYTES(V2 "\x21\x12\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\x12\x67\0\x6e"), PROXYHEADER_UNKNOWN, NULL, 0 },
    { "v2, UNIX", BYTES(V2 "\x21\x31\0\x01x"), PROXYHEADER_UNKNOWN, NULL, 0 },
    { "v2, version 3", BYTES(V2 "\x31\x11\0\0"), PROXYHEADER_BAD, "version", 0 },
    { "v2, command 2", BYTES(V2 "\x22\x11\0\0"), PROXYHEADER_BAD, "version", 0 },
    { "v2, too short", BYTES(V2 "\x21\x11\0\x0b\xc0\0\x02\x07\xc6\x33\x64\x01\x12\x67\0"), PROXYHEADER_BAD, "short", 0 },
    { "v2, too long", BYTES(V2 "\x21\x11\xff\xff"), PROXYHEADER_BAD, "too long", 0 },
    { "v2, too long by one", BYTES(V2 "\x21\x11\x0f\xf1"), PROXYHEADER_BAD, "too long", 0 },
    { "v2, broken signature", BYTES("\r\n\r\n\0\r\nQUIT\r"), PROXYHEADER_BAD, "does not begin", 0 },
};

/* Asks as a reader does: never for more than there is in a good header, and at least for one byte. */
START_TEST(headers)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct proxyheader_client client;
    enum proxyheader_result result;
    size_t n = 0, more;

    while ((result = proxyheader_parse(cases[_i].bytes, n, &more, &client, &why)) == PROXYHEADER_MORE) {
        ck_assert_msg(more > 0 && n + more <= PROXYHEADER_MAX, "%s: %zu bytes more after %zu", cases[_i].name, more, n);
        if (n + more > cases[_i].length) {
            /* Only a broken one may end before what its beginning promises. */
            ck_assert_msg(cases[_i].result == PROXYHEADER_BAD, "%s: reads on at %zu", cases[_i].name, n);
            n = cases[_i].length;
            result = proxyheader_parse(cases[_i].bytes, n, &more, &client, &why);
            break;
        }
        n += more;
    }
    ck_assert_msg(result == cases[_i].result, "%s: result %d: %s", cases[_i].name, result, why.data);
    if (result == PROXYHEADER_CLIENT) {
        ck_assert_str_eq(client.ip, cases[_i].ip);
        ck_assert_int_eq(client.port, cases[_i].port);
    }
    if (result == PROXYHEADER_BAD)
        ck_assert_msg(strstr(why.data, cases[_i].ip) != NULL, "%s: why: %s", cases[_i].name, why.data);
    else
        ck_assert_uint_eq(n, cases[_i].length);
    strbuf_free(&why);
}
END_TEST

static const struct {
    const char *networks, *ip;
    bool expected;
} networks[] = {
    { "192.0.2.0/24", "192.0.2.255", true },
    { "192.0.2.0/24", "192.0.3.0", false },
    { "192.0.2.128/25", "192.0.2.127", false },
    { "192.0.2.128/25", "192.0.2.128", true },
    { "192.0.2.7", "192.0.2.7", true },
    { "192.0.2.7", "192.0.2.6", false },
    { "10.0.0.0/8,2001:db8::/33", "2001:db8:7fff::1", true },
    { "10.0.0.0/8,2001:db8::/33", "2001:db8:8000::1", false },
    { "10.0.0.0/8,2001:db8::/33", "10.255.0.1", true },
    { "0.0.0.0/0", "192.0.2.7", true },
    { "0.0.0.0/0", "::1", false },
    { "::/0", "192.0.2.7", false },
    { "::/0", "unknown", false },
    { "0.0.0.0/0", "unknown", false },
};

START_TEST(who_must_send_one)
{
    char *items[] = { "203.0.113.9", (char *)networks[_i].networks };
    struct option_list list = { items, 2 };
    struct peer peer = { .port = 1 };

    strcpy(peer.ip, networks[_i].ip);
    ck_assert_msg(proxyheader_expected(&list, &peer) == networks[_i].expected, "%s in %s", networks[_i].ip, networks[_i].networks);
    list.count = 0;
    ck_assert(!proxyheader_expected(&list, &peer));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("proxyheader");
    TCase *tcase = tcase_create("proxyheader");

    tcase_add_loop_test(tcase, headers, 0, sizeof cases / sizeof *cases);
    tcase_add_loop_test(tcase, who_must_send_one, 0, sizeof networks / sizeof *networks);
    suite_add_tcase(suite, tcase);
    return unit_main(suite);
}
