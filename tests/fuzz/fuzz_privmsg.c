/* fuzz_privmsg: whatever the process at the other end sends. The first byte says how many gets follow, then their kinds; the rest is the packet. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "wire/privmsg.h"

#define GETS_MAX 16
#define BYTES_MAX 300

static void get_one(struct privmsg *m, uint8_t kind)
{
    const char *text;
    size_t n, before = m->at;
    bool was_bad = m->bad;

    switch (kind % 3) {
    case 0:
        FUZZ_REQUIRE(privmsg_get_number(m) == 0 || !m->bad, "a number out of a bad message");
        break;
    case 1:
        text = privmsg_get_text(m, BYTES_MAX);
        FUZZ_REQUIRE(strlen(text) <= BYTES_MAX, "a text longer than its bound");
        break;
    default:
        text = privmsg_get_bytes(m, BYTES_MAX, &n);
        FUZZ_REQUIRE(n <= BYTES_MAX && text[n] == '\0', "bytes longer than their bound or without NUL");
        FUZZ_REQUIRE(n == 0 || (text >= m->body.data && text + n < m->body.data + m->body.len), "bytes outside the body");
        break;
    }
    FUZZ_REQUIRE(m->bad || !was_bad, "bad is not sticky");
    FUZZ_REQUIRE(m->at >= before && m->at <= m->body.len, "the position left the body");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct privmsg m;
    size_t gets = size > 0 ? data[0] % GETS_MAX : 0;
    int ends[2], got;

    if (size < 1 + gets || size > 60000 || privmsg_pair(ends) < 0)
        return 0;
    FUZZ_REQUIRE(send(ends[0], data + 1 + gets, size - 1 - gets, 0) >= 0, "send");
    close(ends[0]);
    got = privmsg_receive(ends[1], &m, 1000);
    FUZZ_REQUIRE(got >= 0 || (errno == EBADMSG && m.body.len == 0), "a broken packet with another errno, or with a body");
    FUZZ_REQUIRE(m.fd < 0, "a descriptor from nowhere");
    for (size_t i = 0; got > 0 && i < gets; i++)
        get_one(&m, data[1 + i]);
    FUZZ_REQUIRE(!privmsg_complete(&m) || (!m.bad && m.at == m.body.len), "complete, but not all was read well");
    privmsg_free(&m);
    close(ends[1]);
    return 0;
}
