/* scram: the published exchanges, and the text form, strictly. */
#include "tests/unit/unit.h"

#include <string.h>

#include "common/scram.h"

#define LEN(a) (sizeof(a) / sizeof(*(a)))

/* RFC 5802 section 5 and RFC 7677 section 3. */
static const struct exchange {
    enum scram_hash hash;
    const char *password, *salt, *auth_message, *proof, *signature;
} exchanges[] = {
    { SCRAM_SHA1, "pencil", "QSXCR+Q6sek8bf92",
      "n=user,r=fyko+d2lbbFgONRv9qkxdawL,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096,"
      "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j",
      "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "rmF9pqV8S7suAoZWja4dJRkFsKQ=" },
    { SCRAM_SHA256, "pencil", "W22ZaJ0SNY7soEsUEjb6gQ==",
      "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,"
      "i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
      "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" },
};

static void decode(const char *text, unsigned char *bytes, size_t *n)
{
    struct strbuf sb = STRBUF_INIT(100);

    ck_assert_int_eq(digest_base64_decode(text, strlen(text), &sb), 0);
    memcpy(bytes, sb.data, sb.len);
    *n = sb.len;
    strbuf_free(&sb);
}

static void derive(const struct exchange *e, struct scram_keys *keys)
{
    unsigned char salt[SCRAM_SALT_MAX];
    size_t n;

    decode(e->salt, salt, &n);
    scram_derive(e->hash, e->password, salt, n, 4096, keys);
}

START_TEST(published_exchanges)
{
    const struct exchange *e = &exchanges[_i];
    unsigned char proof[100], signature[100], expected[100];
    struct scram_keys keys;
    size_t n, i;

    derive(e, &keys);
    decode(e->proof, proof, &n);
    ck_assert_uint_eq(n, scram_size(e->hash));
    ck_assert(scram_proof_fits(e->hash, &keys, e->auth_message, strlen(e->auth_message), proof));
    decode(e->signature, expected, &n);
    scram_signature(e->hash, &keys, e->auth_message, strlen(e->auth_message), signature);
    ck_assert_mem_eq(signature, expected, n);
    /* Any other proof, message or key is refused. */
    for (i = 0; i < n; i++) {
        proof[i] ^= 1;
        ck_assert(!scram_proof_fits(e->hash, &keys, e->auth_message, strlen(e->auth_message), proof));
        proof[i] ^= 1;
    }
    ck_assert(!scram_proof_fits(e->hash, &keys, e->auth_message, strlen(e->auth_message) - 1, proof));
    keys.stored[0] ^= 1;
    ck_assert(!scram_proof_fits(e->hash, &keys, e->auth_message, strlen(e->auth_message), proof));
}
END_TEST

START_TEST(no_keys_fit_nothing)
{
    struct scram_keys none = { 0 };
    unsigned char proof[SCRAM_SIZE_MAX] = { 0 };

    ck_assert(!scram_proof_fits((enum scram_hash)_i, &none, "x", 1, proof));
}
END_TEST

START_TEST(text_form_comes_back)
{
    const struct exchange *e = &exchanges[_i];
    struct scram_keys keys, again;
    struct strbuf text = STRBUF_INIT(300);
    size_t n;

    derive(e, &keys);
    scram_format(e->hash, &keys, &text);
    ck_assert(!text.cut);
    ck_assert_int_eq(strncmp(text.data, scram_name(e->hash), strlen(scram_name(e->hash))), 0);
    ck_assert(scram_parse(e->hash, text.data, text.len, &again));
    ck_assert_mem_eq(&again, &keys, sizeof keys);
    /* For the other hash it is nothing, and so is every piece of it. */
    ck_assert(!scram_parse((enum scram_hash)(1 - e->hash), text.data, text.len, &again));
    for (n = 0; n < text.len; n++)
        ck_assert_msg(!scram_parse(e->hash, text.data, n, &again), "the first %zu bytes are taken", n);
    ck_assert_uint_eq(again.iterations, 0);
    strbuf_free(&text);
}
END_TEST

START_TEST(longest_text_fits)
{
    unsigned char salt[SCRAM_SALT_MAX] = { 0 };
    struct scram_keys keys;
    struct strbuf text = STRBUF_INIT(300);

    scram_derive((enum scram_hash)_i, "x", salt, sizeof salt, 1, &keys);
    keys.iterations = SCRAM_ITERATIONS_MAX;
    scram_format((enum scram_hash)_i, &keys, &text);
    ck_assert(!text.cut);
    ck_assert(scram_parse((enum scram_hash)_i, text.data, text.len, &keys));
    strbuf_free(&text);
}
END_TEST

#define STORED "AAAAAAAAAAAAAAAAAAAAAAAAAAA="
static const struct {
    const char *name, *text;
    bool good;
} texts[] = {
    { "good", "SCRAM-SHA-1$4096:c2FsdA==$" STORED ":" STORED, true },
    { "one iteration", "SCRAM-SHA-1$1:c2FsdA==$" STORED ":" STORED, true },
    { "no iteration", "SCRAM-SHA-1$0:c2FsdA==$" STORED ":" STORED, false },
    { "negative", "SCRAM-SHA-1$-1:c2FsdA==$" STORED ":" STORED, false },
    { "too many", "SCRAM-SHA-1$10000001:c2FsdA==$" STORED ":" STORED, false },
    { "wraps round", "SCRAM-SHA-1$4294967297:c2FsdA==$" STORED ":" STORED, false },
    { "no number", "SCRAM-SHA-1$:c2FsdA==$" STORED ":" STORED, false },
    { "no salt", "SCRAM-SHA-1$4096:$" STORED ":" STORED, false },
    { "long salt", "SCRAM-SHA-1$4096:" STORED STORED STORED STORED "$" STORED ":" STORED, false },
    { "bad base64", "SCRAM-SHA-1$4096:c2FsdA==$" STORED ":AAAAAAAAAAAAAAAAAAAAAAAAAAB=", false },
    { "short key", "SCRAM-SHA-1$4096:c2FsdA==$AAAA:" STORED, false },
    { "long key", "SCRAM-SHA-1$4096:c2FsdA==$" STORED ":AAAAAAAAAAAAAAAAAAAAAAAAAAAA", false },
    { "more", "SCRAM-SHA-1$4096:c2FsdA==$" STORED ":" STORED ":", false },
    { "other name", "SCRAM-SHA-2$4096:c2FsdA==$" STORED ":" STORED, false },
    { "longer name", "SCRAM-SHA-1-PLUS$4096:c2FsdA==$" STORED ":" STORED, false },
};

START_TEST(text_is_parsed_strictly)
{
    struct scram_keys keys;

    ck_assert_msg(scram_parse(SCRAM_SHA1, texts[_i].text, strlen(texts[_i].text), &keys) == texts[_i].good, "%s", texts[_i].name);
    ck_assert((keys.iterations > 0) == texts[_i].good);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scram");
    TCase *tc = tcase_create("scram");

    tcase_add_loop_test(tc, published_exchanges, 0, LEN(exchanges));
    tcase_add_loop_test(tc, no_keys_fit_nothing, 0, SCRAM_HASHES);
    tcase_add_loop_test(tc, text_form_comes_back, 0, LEN(exchanges));
    tcase_add_loop_test(tc, longest_text_fits, 0, SCRAM_HASHES);
    tcase_add_loop_test(tc, text_is_parsed_strictly, 0, LEN(texts));
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
