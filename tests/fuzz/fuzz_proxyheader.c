/*
 * fuzz_proxyheader: the first bytes of a connection. Promised: the parser asks for at least one byte and never for more
 * than PROXYHEADER_MAX in all; what it takes for an address is one; a broken header has a reason.
 */
#include <arpa/inet.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "wire/proxyheader.h"

static void check_client(const struct proxyheader_client *client)
{
    struct in6_addr address;

    FUZZ_REQUIRE(inet_pton(AF_INET, client->ip, &address) == 1 || inet_pton(AF_INET6, client->ip, &address) == 1, "%s", client->ip);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    enum proxyheader_result result = PROXYHEADER_MORE;
    struct proxyheader_client client;
    size_t n = 0, more;

    while (result == PROXYHEADER_MORE) {
        /* A copy of its own, so that reading beyond n is seen. */
        uint8_t *seen = malloc(n ? n : 1);

        memcpy(seen, data, n);
        result = proxyheader_parse(seen, n, &more, &client, &why);
        free(seen);
        if (result == PROXYHEADER_MORE) {
            FUZZ_REQUIRE(more > 0 && n + more <= PROXYHEADER_MAX, "%zu after %zu", more, n);
            if (n + more > size)
                break;
            n += more;
        }
    }
    if (result == PROXYHEADER_CLIENT)
        check_client(&client);
    FUZZ_REQUIRE(result != PROXYHEADER_BAD || why.len > 0, "no reason");
    strbuf_free(&why);
    return 0;
}
