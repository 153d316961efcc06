/*
 * proxyheader: see proxyheader.h. Allocates nothing; every length is checked before it is believed.
 */
#include "wire/proxyheader.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define V1_MAX 107 /* with CRLF, by the specification */
#define V2_FIXED 16

static const char v1_begin[] = "PROXY ";
static const char v2_begin[] = "\r\n\r\n\0\r\nQUIT\n";
#define V2_BEGIN_LENGTH (sizeof v2_begin - 1)

static enum proxyheader_result bad(struct strbuf *why, const char *text)
{
    strbuf_fail(why, "%s", text);
    return PROXYHEADER_BAD;
}

/* ---- version 1 */

/* The next word, up to a blank or the end; NULL when there is none. Words are separated by exactly one blank. */
static const char *take_word(char **rest)
{
    char *word = *rest, *blank;

    if (!word || !*word)
        return NULL;
    blank = strchr(word, ' ');
    if (blank)
        *blank = '\0';
    *rest = blank ? blank + 1 : NULL;
    return *word ? word : NULL;
}

static bool take_port(const char *word, uint16_t *port_r)
{
    size_t length = word ? strlen(word) : 0;
    unsigned long number;

    if (length == 0 || length > 5 || strspn(word, "0123456789") != length || (word[0] == '0' && length > 1))
        return false;
    number = strtoul(word, NULL, 10);
    *port_r = (uint16_t)number;
    return number <= 65535;
}

static void take_address(struct proxyheader_client *client_r, int family, const void *address)
{
    struct in6_addr in6;
    struct in_addr in;

    if (family == AF_INET6) {
        memcpy(&in6, address, sizeof in6);
        /* As peer has it: IPv4 in IPv6 is IPv4. */
        if (IN6_IS_ADDR_V4MAPPED(&in6)) {
            memcpy(&in, in6.s6_addr + 12, sizeof in);
            inet_ntop(AF_INET, &in, client_r->ip, sizeof client_r->ip);
        } else
            inet_ntop(AF_INET6, &in6, client_r->ip, sizeof client_r->ip);
    } else
        inet_ntop(AF_INET, address, client_r->ip, sizeof client_r->ip);
}

/* The line after "PROXY ", without its end. */
static enum proxyheader_result parse_words(char *line, struct proxyheader_client *client_r, struct strbuf *why)
{
    const char *protocol = take_word(&line), *source, *destination, *source_port, *destination_port;
    unsigned char from[16], to[16];
    uint16_t port;
    int family;

    if (protocol && strcmp(protocol, "UNKNOWN") == 0)
        return PROXYHEADER_UNKNOWN;
    family = protocol && strcmp(protocol, "TCP4") == 0 ? AF_INET : protocol && strcmp(protocol, "TCP6") == 0 ? AF_INET6 : 0;
    if (!family)
        return bad(why, "its protocol is none of TCP4, TCP6 and UNKNOWN");
    source = take_word(&line);
    destination = take_word(&line);
    source_port = take_word(&line);
    destination_port = take_word(&line);
    /* An empty word, between two blanks, does not end the line. */
    if (!source || !destination || !source_port || !destination_port || line)
        return bad(why, "it has not four words after the protocol");
    if (inet_pton(family, source, from) != 1 || inet_pton(family, destination, to) != 1)
        return bad(why, "an address in it is none");
    if (!take_port(destination_port, &port) || !take_port(source_port, &client_r->port))
        return bad(why, "a port in it is none");
    take_address(client_r, family, from);
    return PROXYHEADER_CLIENT;
}

static enum proxyheader_result parse_v1(const char *bytes, size_t n, size_t *more_r, struct proxyheader_client *client_r,
                                        struct strbuf *why)
{
    const char *end = memchr(bytes, '\n', n);
    char line[V1_MAX + 1];
    size_t length;

    if (!end) {
        if (n >= V1_MAX)
            return bad(why, "its line is longer than 107 bytes");
        /* CR and LF are still to come, or LF alone. */
        *more_r = bytes[n - 1] == '\r' || n + 1 == V1_MAX ? 1 : 2;
        return PROXYHEADER_MORE;
    }
    length = (size_t)(end - bytes);
    if (length + 1 > V1_MAX || bytes[length - 1] != '\r' || memchr(bytes, '\0', length) || length + 1 != n)
        return bad(why, "its line does not end in CRLF, or has a NUL in it");
    memcpy(line, bytes, length - 1);
    line[length - 1] = '\0';
    return parse_words(line + sizeof v1_begin - 1, client_r, why);
}

/* ---- version 2 */

static enum proxyheader_result parse_v2(const unsigned char *bytes, size_t n, size_t *more_r,
                                        struct proxyheader_client *client_r, struct strbuf *why)
{
    const unsigned char *body = bytes + V2_FIXED;
    size_t length, address_length;
    int family;

    if (n < V2_FIXED) {
        *more_r = V2_FIXED - n;
        return PROXYHEADER_MORE;
    }
    length = (size_t)bytes[14] << 8 | bytes[15];
    if (bytes[12] >> 4 != 2 || (bytes[12] & 15) > 1)
        return bad(why, "its version is not 2, or its command neither LOCAL nor PROXY");
    if (V2_FIXED + length > PROXYHEADER_MAX)
        return bad(why, "it is too long");
    if (n < V2_FIXED + length) {
        *more_r = V2_FIXED + length - n;
        return PROXYHEADER_MORE;
    }
    if (n > V2_FIXED + length)
        return bad(why, "there is more than it");
    if ((bytes[12] & 15) == 0)
        return PROXYHEADER_LOCAL;
    family = bytes[13] == 0x11 ? AF_INET : bytes[13] == 0x21 ? AF_INET6 : 0;
    if (!family)
        return PROXYHEADER_UNKNOWN;
    address_length = family == AF_INET ? 4 : 16;
    if (length < 2 * address_length + 4)
        return bad(why, "it is too short for its addresses");
    client_r->port = (uint16_t)(body[2 * address_length] << 8 | body[2 * address_length + 1]);
    take_address(client_r, family, body);
    return PROXYHEADER_CLIENT;
}

/* ---- both */

static bool may_begin(const void *bytes, size_t n, const char *begin, size_t length)
{
    return memcmp(bytes, begin, n < length ? n : length) == 0;
}

enum proxyheader_result proxyheader_parse(const void *bytes, size_t n, size_t *more_r,
                                          struct proxyheader_client *client_r, struct strbuf *why)
{
    *client_r = (struct proxyheader_client){ .port = 0 };
    *more_r = 0;
    if (n == 0) {
        *more_r = sizeof v1_begin - 1;
        return PROXYHEADER_MORE;
    }
    if (may_begin(bytes, n, v1_begin, sizeof v1_begin - 1)) {
        if (n < sizeof v1_begin - 1) {
            *more_r = sizeof v1_begin - 1 - n;
            return PROXYHEADER_MORE;
        }
        return parse_v1(bytes, n, more_r, client_r, why);
    }
    if (may_begin(bytes, n, v2_begin, V2_BEGIN_LENGTH)) {
        if (n < V2_BEGIN_LENGTH) {
            *more_r = V2_FIXED - n;
            return PROXYHEADER_MORE;
        }
        return parse_v2(bytes, n, more_r, client_r, why);
    }
    return bad(why, "the connection does not begin with one");
}

/* ---- networks */

static bool same_bits(const unsigned char *a, const unsigned char *b, unsigned bits)
{
    unsigned bytes = bits / 8, rest = bits % 8;

    return memcmp(a, b, bytes) == 0 && (!rest || (a[bytes] ^ b[bytes]) >> (8 - rest) == 0);
}

/* ADDRESS or ADDRESS/BITS of n bytes, which settings have checked. */
static bool contains(const char *text, size_t n, int family, const unsigned char *address)
{
    char copy[INET6_ADDRSTRLEN + 5], *slash;
    unsigned char network[16];
    unsigned bits = family == AF_INET ? 32 : 128;

    if (n >= sizeof copy)
        return false;
    memcpy(copy, text, n);
    copy[n] = '\0';
    slash = strchr(copy, '/');
    if (slash)
        *slash = '\0';
    if (inet_pton(family, copy, network) != 1)
        return false;
    if (slash && (unsigned)atoi(slash + 1) < bits)
        bits = (unsigned)atoi(slash + 1);
    return same_bits(network, address, bits);
}

bool proxyheader_expected(const struct option_list *networks, const struct peer *peer)
{
    unsigned char address[16];
    int family = inet_pton(AF_INET, peer->ip, address) == 1 ? AF_INET : AF_INET6;

    if (family == AF_INET6 && inet_pton(AF_INET6, peer->ip, address) != 1)
        return false;
    for (size_t i = 0; i < networks->count; i++)
        for (const char *part = networks->item[i]; *part; part += *part == ',') {
            size_t n = strcspn(part, ",");

            if (contains(part, n, family, address))
                return true;
            part += n;
        }
    return false;
}
