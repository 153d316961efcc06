/* digest: the published test vectors, whichever library computes them; strict base64; the checksum's sensitivity. */
#include "tests/unit/unit.h"

#include <string.h>

#include "common/digest.h"

#define LEN(a) (sizeof(a) / sizeof(*(a)))

/* RFC 1321 A.5, RFC 3174 / FIPS 180-2. */
static const struct {
    const char *name, *text, *md5, *sha1, *sha256;
} hashes[] = {
    { "empty", "", "d41d8cd98f00b204e9800998ecf8427e", "da39a3ee5e6b4b0d3255bfef95601890afd80709",
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
    { "abc", "abc", "900150983cd24fb0d6963f7d28e17f72", "a9993e364706816aba3e25717850c26c9cd0d89d",
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
    { "56 bytes", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "8215ef0796a20bcaaae116d3876c664a",
      "84983e441c3bd26ebaae4aa1f95129e5e54670f1", "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
};

static void check_hex(const char *name, const unsigned char *bytes, size_t n, const char *expected)
{
    struct strbuf hex = STRBUF_INIT(100);

    digest_hex(&hex, bytes, n);
    ck_assert_msg(strcmp(hex.data, expected) == 0, "%s: %s, expected %s", name, hex.data, expected);
    strbuf_free(&hex);
}

START_TEST(hashes_match_the_published_vectors)
{
    unsigned char out[DIGEST_SHA256_SIZE];
    size_t n = strlen(hashes[_i].text);

    digest_md5(hashes[_i].text, n, out);
    check_hex(hashes[_i].name, out, DIGEST_MD5_SIZE, hashes[_i].md5);
    digest_sha1(hashes[_i].text, n, out);
    check_hex(hashes[_i].name, out, DIGEST_SHA1_SIZE, hashes[_i].sha1);
    digest_sha256(hashes[_i].text, n, out);
    check_hex(hashes[_i].name, out, DIGEST_SHA256_SIZE, hashes[_i].sha256);
}
END_TEST

START_TEST(md5_state_may_be_copied)
{
    struct digest_md5 a, b;
    unsigned char out[DIGEST_MD5_SIZE];

    digest_md5_begin(&a);
    digest_md5_add(&a, "a", 1);
    b = a;
    digest_md5_add(&a, "xxxxxx", 6);
    digest_md5_add(&b, "b", 1);
    digest_md5_add(&b, "c", 1);
    digest_md5_end(&b, out);
    check_hex("copied", out, sizeof out, "900150983cd24fb0d6963f7d28e17f72");
}
END_TEST

/* RFC 2202 and RFC 4231: short key, text key, key longer than a block. */
static const struct {
    const char *name;
    int key_byte;
    size_t key_len;
    const char *key, *text, *md5, *sha1, *sha256;
} hmacs[] = {
    { "text key", 0, 4, "Jefe", "what do ya want for nothing?", "750c783e6ab0b503eaa86e310a5db738",
      "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
    { "0b x 16", 0x0b, 16, NULL, "Hi There", "9294727a3638bb1c13f48ef8158bfc9d", NULL, NULL },
    { "0b x 20", 0x0b, 20, NULL, "Hi There", NULL, "b617318655057264e28bc0b6fb378c8ef146be00",
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
    { "aa x 80", 0xaa, 80, NULL, "Test Using Larger Than Block-Size Key - Hash Key First",
      "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd", "aa4ae5e15272d00e95705637ce8a3b55ed402112", NULL },
    { "aa x 131", 0xaa, 131, NULL, "Test Using Larger Than Block-Size Key - Hash Key First", NULL, NULL,
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
};

START_TEST(hmacs_match_the_published_vectors)
{
    unsigned char out[DIGEST_SHA256_SIZE];
    unsigned char key[200];
    size_t n = strlen(hmacs[_i].text);

    if (hmacs[_i].key)
        memcpy(key, hmacs[_i].key, hmacs[_i].key_len);
    else
        memset(key, hmacs[_i].key_byte, hmacs[_i].key_len);
    if (hmacs[_i].md5) {
        digest_hmac_md5(key, hmacs[_i].key_len, hmacs[_i].text, n, out);
        check_hex(hmacs[_i].name, out, DIGEST_MD5_SIZE, hmacs[_i].md5);
    }
    if (hmacs[_i].sha1) {
        digest_hmac_sha1(key, hmacs[_i].key_len, hmacs[_i].text, n, out);
        check_hex(hmacs[_i].name, out, DIGEST_SHA1_SIZE, hmacs[_i].sha1);
    }
    if (hmacs[_i].sha256) {
        digest_hmac_sha256(key, hmacs[_i].key_len, hmacs[_i].text, n, out);
        check_hex(hmacs[_i].name, out, DIGEST_SHA256_SIZE, hmacs[_i].sha256);
    }
}
END_TEST

/* RFC 4648 section 10, and bytes that use the last characters of the alphabet. */
static const struct {
    const char *plain, *base64;
} codes[] = {
    { "", "" },
    { "f", "Zg==" },
    { "fo", "Zm8=" },
    { "foo", "Zm9v" },
    { "foob", "Zm9vYg==" },
    { "fooba", "Zm9vYmE=" },
    { "foobar", "Zm9vYmFy" },
    { "\xfb\xff\xbf", "+/+/" },
};

START_TEST(base64_goes_both_ways)
{
    struct strbuf text = STRBUF_INIT(100), back = STRBUF_INIT(100);

    strbuf_adds(&back, "what was there before");
    digest_base64(&text, codes[_i].plain, strlen(codes[_i].plain));
    ck_assert_str_eq(text.data, codes[_i].base64);
    ck_assert_int_eq(digest_base64_decode(text.data, text.len, &back), 0);
    ck_assert_str_eq(back.data, codes[_i].plain);
    strbuf_free(&text);
    strbuf_free(&back);
}
END_TEST

static const char *const bad_codes[] = {
    "Zg=",    "Zg",   "Z===", "====", "=",    "Zg==Zg==", "Zh==", "Zm9=",
    "Zm9v\n", "Zm 9", "Zm9-", "Zm9_", "Z=g=", "Zm9vZ",    "*m9v",
};

START_TEST(base64_refuses_what_is_not_canonical)
{
    struct strbuf back = STRBUF_INIT(100);

    ck_assert_msg(digest_base64_decode(bad_codes[_i], strlen(bad_codes[_i]), &back) == -1, "%s", bad_codes[_i]);
    ck_assert_uint_eq(back.len, 0);
    strbuf_free(&back);
}
END_TEST

START_TEST(base64_refuses_what_does_not_fit_and_nul_bytes)
{
    struct strbuf small = STRBUF_INIT(4), nul = STRBUF_INIT(100);

    ck_assert_int_eq(digest_base64_decode("Zm9vYmFy", 8, &small), -1);
    ck_assert_uint_eq(small.len, 0);
    ck_assert_int_eq(digest_base64_decode("Zm9\0", 4, &small), -1);
    ck_assert_int_eq(digest_base64_decode("AAAA", 4, &nul), 0);
    ck_assert_uint_eq(nul.len, 3);
    strbuf_free(&small);
    strbuf_free(&nul);
}
END_TEST

START_TEST(sum_sees_every_flipped_bit_and_every_length)
{
    unsigned char bytes[100] = { 0 };
    uint64_t sums[101], whole;

    for (size_t n = 0; n <= 100; n++) {
        sums[n] = digest_sum64(0, bytes, n);
        for (size_t m = 0; m < n; m++)
            ck_assert_msg(sums[m] != sums[n], "%zu and %zu zero bytes", m, n);
    }
    whole = sums[100];
    for (size_t bit = 0; bit < 800; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1u << (bit % 8));
        ck_assert_msg(digest_sum64(0, bytes, 100) != whole, "bit %zu", bit);
        bytes[bit / 8] ^= (unsigned char)(1u << (bit % 8));
    }
    ck_assert(digest_sum64(1, bytes, 100) != whole);
}
END_TEST

START_TEST(sum_sees_swapped_blocks)
{
    unsigned char a[2048], b[2048];

    for (size_t i = 0; i < sizeof a; i++)
        a[i] = (unsigned char)(i * 7 + i / 8);
    for (size_t unit = 8; unit <= 1024; unit *= 2) {
        memcpy(b, a, sizeof b);
        memcpy(b, a + unit, unit);
        memcpy(b + unit, a, unit);
        ck_assert_msg(digest_sum64(0, a, sizeof a) != digest_sum64(0, b, sizeof b), "blocks of %zu", unit);
    }
}
END_TEST

/* It stands in journals and indexes on disk: a changed function makes them all void. */
START_TEST(sum_stays_what_it_was)
{
    ck_assert_uint_eq(digest_sum64(0, "The quick brown fox jumps over the lazy dog", 43),
                      UINT64_C(4599440780286537443));
}
END_TEST

START_TEST(random_bytes_differ)
{
    unsigned char a[32] = { 0 }, b[32] = { 0 };

    digest_random(a, sizeof a);
    digest_random(b, sizeof b);
    ck_assert(memcmp(a, b, sizeof a) != 0);
    digest_random(a, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("digest");
    TCase *tc = tcase_create("digest");

    tcase_add_loop_test(tc, hashes_match_the_published_vectors, 0, LEN(hashes));
    tcase_add_test(tc, md5_state_may_be_copied);
    tcase_add_loop_test(tc, hmacs_match_the_published_vectors, 0, LEN(hmacs));
    tcase_add_loop_test(tc, base64_goes_both_ways, 0, LEN(codes));
    tcase_add_loop_test(tc, base64_refuses_what_is_not_canonical, 0, LEN(bad_codes));
    tcase_add_test(tc, base64_refuses_what_does_not_fit_and_nul_bytes);
    tcase_add_test(tc, sum_sees_every_flipped_bit_and_every_length);
    tcase_add_test(tc, sum_sees_swapped_blocks);
    tcase_add_test(tc, sum_stays_what_it_was);
    tcase_add_test(tc, random_bytes_differ);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
