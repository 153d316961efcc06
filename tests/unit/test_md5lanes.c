/* md5lanes: RFC 1321's test suite, and texts of every length beside others, as digest hashes them. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "common/digest.h"
#include "common/md5lanes.h"

START_TEST(as_in_the_rfc)
{
    static const struct {
        const char *text, *hex;
    } cases[] = {
        { "", "d41d8cd98f00b204e9800998ecf8427e" },
        { "a", "0cc175b9c0f1b6a831c399e269772661" },
        { "abc", "900150983cd24fb0d6963f7d28e17f72" },
        { "message digest", "f96b697d7cb7938d525a2f31aaf161d0" },
        { "abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b" },
        { "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "d174ab98d277d9f5a5611c2c9f419d9f" },
        { "12345678901234567890123456789012345678901234567890123456789012345678901234567890", "57edf4a22be3c955ac49da2e2107b67a" },
    };
    enum { N = sizeof cases / sizeof cases[0] };
    unsigned char bytes[N][80 + MD5LANES_PADDING], digests[N][16];
    struct md5lanes_text texts[N];
    struct strbuf hex = STRBUF_INIT(100);

    for (int i = 0; i < N; i++) {
        texts[i] = (struct md5lanes_text){ bytes[i], strlen(cases[i].text) };
        memcpy(bytes[i], cases[i].text, texts[i].n);
    }
    md5lanes(texts, N, digests);
    for (int i = 0; i < N; i++) {
        strbuf_reset(&hex);
        digest_hex(&hex, digests[i], 16);
        ck_assert_str_eq(hex.data, cases[i].hex);
    }
    strbuf_free(&hex);
}
END_TEST

START_TEST(as_digest_says)
{
    for (size_t round = 0; round < 400; round++) {
        unsigned char digests[MD5LANES_MAX][16], want[MD5LANES_MAX][16];
        struct md5lanes_text texts[MD5LANES_MAX];
        size_t count = 1 + round % MD5LANES_MAX;

        for (size_t i = 0; i < count; i++) {
            texts[i].n = i == round % count ? round : round * 37 * (i + 1) % 700;
            texts[i].bytes = malloc(texts[i].n + MD5LANES_PADDING);
            for (size_t k = 0; k < texts[i].n; k++)
                texts[i].bytes[k] = (unsigned char)(k * 7 + i + round);
            digest_md5(texts[i].bytes, texts[i].n, want[i]);
        }
        md5lanes_use((enum vectors)(round % (VECTORS_BEST + 1)));
        md5lanes(texts, count, digests);
        ck_assert_mem_eq(digests, want, count * 16);
        for (size_t i = 0; i < count; i++)
            free(texts[i].bytes);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("md5lanes");
    TCase *tc = tcase_create("md5lanes");

    tcase_add_test(tc, as_in_the_rfc);
    tcase_add_test(tc, as_digest_says);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
