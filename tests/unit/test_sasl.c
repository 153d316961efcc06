/* sasl: the published exchanges, what a server must refuse, and that nobody can be told from somebody. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "auth/sasl.h"
#include "common/digest.h"

#define LEN(a) (sizeof(a) / sizeof(*(a)))

/* ---- the table */

static const struct {
    bool passwords, secrets, binding;
    const char *list;
    bool tickets;
} lists[] = {
    { false, false, false, "", false },
    { true, false, false, "PLAIN LOGIN", false },
    { false, true, false, "SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5", false },
    { true, false, true, "PLAIN LOGIN", false },
    { false, false, false, "GSSAPI", true },
    { true, true, true, "SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 CRAM-MD5 GSSAPI PLAIN LOGIN", true },
    { true, true, true, "SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 CRAM-MD5 PLAIN LOGIN", false },
};

START_TEST(what_is_listed)
{
    const struct sasl_offer offer = { lists[_i].passwords, lists[_i].secrets, lists[_i].binding, lists[_i].tickets, 0 };
    struct strbuf list = STRBUF_INIT(SASL_LIST_MAX);

    sasl_list(&offer, &list);
    ck_assert_str_eq(list.data, lists[_i].list);
    ck_assert(!list.cut);
    strbuf_free(&list);
}
END_TEST

/* What the option sasl-mechanisms leaves of all of them. */
static const struct {
    const char *option, *list;
} left[] = {
    { "all", "SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 CRAM-MD5 GSSAPI PLAIN LOGIN" },
    { "", "" },
    { "login,PLAIN", "PLAIN LOGIN" },
    { " SCRAM-SHA-256 ,SCRAM-SHA-256-PLUS \t PLAIN ", "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN" },
};

START_TEST(what_the_option_leaves)
{
    struct sasl_offer offer = { true, true, true, true, 0 };
    struct strbuf list = STRBUF_INIT(SASL_LIST_MAX);

    ck_assert_int_eq(saslname_barred(left[_i].option, &offer.barred, &list), 0);
    sasl_list(&offer, &list);
    ck_assert_str_eq(list.data, left[_i].list);
    strbuf_free(&list);
}
END_TEST

START_TEST(names_of_mechanisms)
{
    ck_assert_int_eq(saslname_find("scram-sha-256-plus"), SASL_SCRAM_SHA_256_PLUS);
    ck_assert_int_eq(saslname_find("LOGIN"), SASL_LOGIN);
    ck_assert_int_eq(saslname_find("SCRAM-SHA"), SASL_MECHANISMS);
    ck_assert_int_eq(saslname_find(""), SASL_MECHANISMS);
}
END_TEST

/* ---- who a message is about */

#define TOKEN(text) text, sizeof(text) - 1

static const struct {
    enum sasl_mechanism mechanism;
    const char *token;
    size_t n;
    bool well;
    const char *name, *authzid, *password;
} identities[] = {
    { SASL_PLAIN, TOKEN("\0alice\0secret"), true, "alice", "", "secret" },
    { SASL_PLAIN, TOKEN("bob\0alice\0se cret"), true, "alice", "bob", "se cret" },
    { SASL_PLAIN, TOKEN("\0alice\0"), false, "", "", "" },
    { SASL_PLAIN, TOKEN("\0\0secret"), false, "", "", "" },
    { SASL_PLAIN, TOKEN("\0alice"), false, "", "", "" },
    { SASL_PLAIN, TOKEN("alice"), false, "", "", "" },
    { SASL_PLAIN, TOKEN(""), false, "", "", "" },
    { SASL_PLAIN, TOKEN("\0alice\0sec\0ret"), false, "", "", "" },
    { SASL_CRAM_MD5, TOKEN("alice 00"), true, "alice", "", NULL },
    { SASL_CRAM_MD5, TOKEN("a lice 00"), true, "a lice", "", NULL },
    { SASL_CRAM_MD5, TOKEN("alice"), false, "", "", NULL },
    { SASL_CRAM_MD5, TOKEN(" 00"), false, "", "", NULL },
    { SASL_CRAM_MD5, TOKEN("al\0ice 00"), false, "", "", NULL },
    { SASL_SCRAM_SHA_1, TOKEN("n,,n=alice,r=x"), true, "alice", "", NULL },
    { SASL_SCRAM_SHA_1, TOKEN("y,a=b=2Cob,n=al=3Di=2Cce,r=x,ext=1"), true, "al=i,ce", "b,ob", NULL },
    { SASL_SCRAM_SHA_1, TOKEN("p=tls-exporter,,n=alice,r=x"), true, "alice", "", NULL },
    { SASL_SCRAM_SHA_1, TOKEN("n,,n=al=2cice,r=x"), false, "", "", NULL },
    { SASL_SCRAM_SHA_1, TOKEN("n,,n=alice=2,r=x"), false, "", "", NULL },
    { SASL_SCRAM_SHA_1, TOKEN("n,,n=,r=x"), false, "", "", NULL },
    { SASL_SCRAM_SHA_1, TOKEN("n,,n=alice,r="), false, "", "", NULL },
    { SASL_SCRAM_SHA_1, TOKEN("n,,n=alice,r= x"), false, "", "", NULL },
    { SASL_SCRAM_SHA_1, TOKEN("n,,n=alice"), false, "", "", NULL },
    { SASL_SCRAM_SHA_1, TOKEN("n,,m=x,n=alice,r=x"), false, "", "", NULL },
    { SASL_SCRAM_SHA_1, TOKEN("n,n=alice,r=x"), false, "", "", NULL },
    { SASL_SCRAM_SHA_1, TOKEN("n,x=y,n=alice,r=x"), false, "", "", NULL },
    { SASL_SCRAM_SHA_1, TOKEN("p,,n=alice,r=x"), false, "", "", NULL },
    { SASL_SCRAM_SHA_1, TOKEN("p=,,n=alice,r=x"), false, "", "", NULL },
    { SASL_SCRAM_SHA_1, TOKEN("nn,,n=alice,r=x"), false, "", "", NULL },
    { SASL_SCRAM_SHA_1, TOKEN(",,n=alice,r=x"), false, "", "", NULL },
    { SASL_SCRAM_SHA_1, TOKEN("n,,n=al\0ice,r=x"), false, "", "", NULL },
    { SASL_SCRAM_SHA_1, TOKEN("n,,n=alice,r=x\0"), false, "", "", NULL },
    { SASL_LOGIN, TOKEN("alice"), false, "", "", NULL },
};

START_TEST(who_it_is)
{
    struct sasl_identity identity;
    const char *password = NULL;

    ck_assert_msg(sasl_identity(identities[_i].mechanism, identities[_i].token, identities[_i].n, &identity,
                                &password) == identities[_i].well, "%s", identities[_i].token);
    if (!identities[_i].well)
        return;
    ck_assert_str_eq(identity.name, identities[_i].name);
    ck_assert_str_eq(identity.authzid, identities[_i].authzid);
    if (identities[_i].password)
        ck_assert_str_eq(password, identities[_i].password);
}
END_TEST

START_TEST(names_have_a_limit)
{
    char token[SASL_NAME_MAX + 50] = "n,,n=";
    struct sasl_identity identity;
    size_t i, n;

    for (i = SASL_NAME_MAX; i <= SASL_NAME_MAX + 1; i++) {
        memset(token + 5, 'a', i);
        memcpy(token + 5 + i, ",r=x", 4);
        n = i + 9;
        ck_assert_int_eq(sasl_identity(SASL_SCRAM_SHA_1, token, n, &identity, NULL), i == SASL_NAME_MAX);
    }
}
END_TEST

START_TEST(himself)
{
    struct sasl_identity identity = { .name = "Alice@x" };

    ck_assert(sasl_is_himself(&identity, "alice"));
    strcpy(identity.authzid, "Alice@x");
    ck_assert(sasl_is_himself(&identity, ""));
    strcpy(identity.authzid, "alice");
    ck_assert(sasl_is_himself(&identity, "alice"));
    ck_assert(!sasl_is_himself(&identity, ""));
    ck_assert(!sasl_is_himself(&identity, "bob"));
}
END_TEST

/* ---- exchanges */

static struct sasl_record record;
static struct sasl_start start;
static struct sasl_exchange *exchange;
static struct strbuf reply, why;

static void setup(void)
{
    memset(&record, 0, sizeof record);
    record.usable = true;
    start = (struct sasl_start){ .record = &record, .challenge = "" };
    strbuf_init(&reply, SASL_TOKEN_MAX);
    strbuf_init(&why, STRBUF_WHY_MAX);
    exchange = NULL;
}

static void teardown(void)
{
    sasl_end(&exchange);
    strbuf_free(&reply);
    strbuf_free(&why);
}

static enum sasl_outcome step(const char *token)
{
    if (!exchange)
        exchange = sasl_begin(&start);
    return sasl_step(exchange, token, strlen(token), &reply, &why);
}

/* RFC 2195 section 2. */
START_TEST(cram_md5_as_published)
{
    start.mechanism = SASL_CRAM_MD5;
    start.name = "tim";
    start.challenge = "<1896.697170952@postoffice.reston.mci.net>";
    record.has_secret = true;
    strcpy(record.secret, "tanstaaftanstaaf");
    if (_i == 1)
        strcpy(record.secret, "tanstaaf");
    if (_i == 2)
        record.usable = false;
    if (_i == 3)
        record.has_secret = false;
    if (_i == 4)
        start.challenge = "";
    if (_i == 5)
        start.name = "tom";
    ck_assert_int_eq(step("tim b913a602c7eda7a495b4e6e7334d3890"),
                     _i == 0 ? SASL_PROVED : _i == 5 ? SASL_MALFORMED : SASL_DISPROVED);
    ck_assert_int_eq(_i == 0, why.len == 0);
}
END_TEST

/* RFC 5802 section 5 and RFC 7677 section 3. */
static const struct published {
    enum sasl_mechanism mechanism;
    enum scram_hash hash;
    const char *salt, *nonce, *first, *server_first, *final, *server_final;
} published[] = {
    { SASL_SCRAM_SHA_1, SCRAM_SHA1, "QSXCR+Q6sek8bf92", "3rfcNHYJY1ZVvWVs7j", "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
      "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
      "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
      "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=" },
    { SASL_SCRAM_SHA_256, SCRAM_SHA256, "W22ZaJ0SNY7soEsUEjb6gQ==", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
      "n,,n=user,r=rOprNGfwEbeRWgbNEkqO", "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
      "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
      "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" },
};

static void use(const struct published *p)
{
    struct strbuf salt = STRBUF_INIT(SCRAM_SALT_MAX);

    ck_assert_int_eq(digest_base64_decode(p->salt, strlen(p->salt), &salt), 0);
    scram_derive(p->hash, "pencil", salt.data, salt.len, 4096, &record.keys);
    strbuf_free(&salt);
    start.mechanism = p->mechanism;
    start.name = "user";
    start.nonce = p->nonce;
    strcpy(record.name, "user");
}

START_TEST(scram_as_published)
{
    use(&published[_i]);
    ck_assert_int_eq(step(published[_i].first), SASL_GO_ON);
    ck_assert_str_eq(reply.data, published[_i].server_first);
    ck_assert_int_eq(step(published[_i].final), SASL_GO_ON);
    ck_assert_str_eq(reply.data, published[_i].server_final);
    ck_assert_int_eq(step(""), SASL_PROVED);
}
END_TEST

/* The same proof, but something is not as it must be: no signature leaves the server. */
START_TEST(scram_refuses)
{
    use(&published[0]);
    switch (_i) {
    case 0:
        record.usable = false;
        break;
    case 1: /* the keys count only when no secret does */
        record.has_secret = true;
        strcpy(record.secret, "pen");
        break;
    case 2:
        record.keys.stored[0] ^= 1;
        break;
    }
    ck_assert_int_eq(step(published[0].first), SASL_GO_ON);
    ck_assert_str_eq(reply.data, published[0].server_first);
    ck_assert_int_eq(step(published[0].final), SASL_DISPROVED);
    ck_assert_uint_eq(reply.len, 0);
    ck_assert_str_eq(why.data, "wrong secret (SCRAM)");
}
END_TEST

static const struct {
    const char *first, *final;
    enum sasl_outcome at_first, at_final;
} malformed[] = {
    { "n,,n=other,r=x", "", SASL_MALFORMED, 0 },
    { "n,a=other,n=user,r=x", "", SASL_MALFORMED, 0 },
    { "n,a=user,n=user,r=x", "", SASL_GO_ON, SASL_MALFORMED },
    { "p=tls-exporter,,n=user,r=x", "", SASL_MALFORMED, 0 },
    { "", "", SASL_MALFORMED, 0 },
    { "n,,n=user,r=x", "c=biws", SASL_GO_ON, SASL_MALFORMED },
    { "n,,n=user,r=x", "c=biws,r=x", SASL_GO_ON, SASL_MALFORMED },
    { "n,,n=user,r=x", "c=biws,r=x,p=", SASL_GO_ON, SASL_MALFORMED },
    { "n,,n=user,r=x", "c=biws,r=x,p=AAAA", SASL_GO_ON, SASL_MALFORMED },
    { "n,,n=user,r=x", "c=biws,r=x,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=x", SASL_GO_ON, SASL_MALFORMED },
    { "n,,n=user,r=x", "r=x,c=biws,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", SASL_GO_ON, SASL_MALFORMED },
    { "n,,n=user,r=x", "c=biws,r=x,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", SASL_GO_ON, SASL_DISPROVED },
};

START_TEST(scram_malformed)
{
    use(&published[0]);
    ck_assert_int_eq(step(malformed[_i].first), malformed[_i].at_first);
    if (malformed[_i].at_first != SASL_GO_ON)
        return;
    ck_assert_int_eq(step(malformed[_i].final), malformed[_i].at_final);
    ck_assert_uint_eq(reply.len, 0);
}
END_TEST

static void prove(const char *header, const void *data, size_t n, char *final, size_t size)
{
    struct strbuf binding = STRBUF_INIT(200), c = STRBUF_INIT(400), message = STRBUF_INIT(1000), p = STRBUF_INIT(100);
    unsigned char salted_proof[SCRAM_SIZE_MAX], client[SCRAM_SIZE_MAX], first[SCRAM_SALT_MAX + 4], u[SCRAM_SIZE_MAX];
    size_t i, j;

    /* The client's side, from the RFC, with one secret: "pencil", SHA-1. */
    memcpy(first, record.keys.salt, record.keys.salt_length);
    memcpy(first + record.keys.salt_length, "\0\0\0\1", 4);
    digest_hmac_sha1("pencil", 6, first, record.keys.salt_length + 4, u);
    memcpy(salted_proof, u, 20);
    for (i = 1; i < record.keys.iterations; i++) {
        digest_hmac_sha1("pencil", 6, u, 20, u);
        for (j = 0; j < 20; j++)
            salted_proof[j] ^= u[j];
    }
    digest_hmac_sha1(salted_proof, 20, "Client Key", 10, client);
    digest_sha1(client, 20, u);
    strbuf_adds(&binding, header);
    strbuf_add(&binding, data, n);
    digest_base64(&c, binding.data, binding.len);
    strbuf_addf(&message, "n=user,r=x,%s,c=%s,r=x%s", reply.data, c.data, start.nonce);
    digest_hmac_sha1(u, 20, message.data, message.len, first);
    for (j = 0; j < 20; j++)
        client[j] ^= first[j];
    digest_base64(&p, client, 20);
    ck_assert_int_lt(snprintf(final, size, "c=%s,r=x%s,p=%s", c.data, start.nonce, p.data), (int)size);
    strbuf_free(&binding);
    strbuf_free(&c);
    strbuf_free(&message);
    strbuf_free(&p);
}

static const unsigned char exporter[32] = "the exporter of this connection", end_point[48] = "the certificate of the server";

static const struct {
    const char *name;
    enum sasl_mechanism mechanism;
    const char *header;
    const void *data;
    size_t n;
    bool offered;
    enum sasl_outcome at_first, at_final;
} bindings[] = {
    { "exporter", SASL_SCRAM_SHA_1_PLUS, "p=tls-exporter,,", exporter, sizeof exporter, true, SASL_GO_ON, SASL_GO_ON },
    { "end point", SASL_SCRAM_SHA_1_PLUS, "p=tls-server-end-point,,", end_point, sizeof end_point, true, SASL_GO_ON,
      SASL_GO_ON },
    { "one for the other", SASL_SCRAM_SHA_1_PLUS, "p=tls-exporter,,", end_point, sizeof end_point, true, SASL_GO_ON,
      SASL_DISPROVED },
    { "nothing", SASL_SCRAM_SHA_1_PLUS, "p=tls-exporter,,", "", 0, true, SASL_GO_ON, SASL_DISPROVED },
    { "unknown", SASL_SCRAM_SHA_1_PLUS, "p=tls-unique,,", "", 0, true, SASL_MALFORMED, 0 },
    { "part of a name", SASL_SCRAM_SHA_1_PLUS, "p=tls-export,,", "", 0, true, SASL_MALFORMED, 0 },
    { "none in -PLUS", SASL_SCRAM_SHA_1_PLUS, "n,,", "", 0, true, SASL_MALFORMED, 0 },
    { "none", SASL_SCRAM_SHA_1, "n,,", "", 0, true, SASL_GO_ON, SASL_GO_ON },
    { "downgraded", SASL_SCRAM_SHA_1, "y,,", "", 0, true, SASL_DISPROVED, 0 },
    { "not offered", SASL_SCRAM_SHA_1, "y,,", "", 0, false, SASL_GO_ON, SASL_GO_ON },
};

START_TEST(channel_binding)
{
    char first[100], final[1000];

    use(&published[0]);
    start.mechanism = bindings[_i].mechanism;
    start.exporter = exporter;
    start.exporter_length = sizeof exporter;
    start.end_point = end_point;
    start.end_point_length = sizeof end_point;
    start.binding_offered = bindings[_i].offered;
    snprintf(first, sizeof first, "%sn=user,r=x", bindings[_i].header);
    ck_assert_msg(step(first) == bindings[_i].at_first, "%s", bindings[_i].name);
    if (bindings[_i].at_first != SASL_GO_ON)
        return;
    prove(bindings[_i].header, bindings[_i].data, bindings[_i].n, final, sizeof final);
    ck_assert_msg(step(final) == bindings[_i].at_final, "%s", bindings[_i].name);
    if (bindings[_i].at_final == SASL_DISPROVED)
        ck_assert_ptr_nonnull(strstr(why.data, "the secret is right, but not the channel binding"));
}
END_TEST

START_TEST(a_secret_serves_as_well)
{
    char final[1000];

    use(&published[0]);
    memset(record.keys.stored, 0, sizeof record.keys.stored);
    memset(record.keys.server, 0, sizeof record.keys.server);
    record.keys.iterations = SCRAM_ITERATIONS;
    record.has_secret = true;
    strcpy(record.secret, "pencil");
    ck_assert_int_eq(step("n,,n=user,r=x"), SASL_GO_ON);
    prove("n,,", "", 0, final, sizeof final);
    ck_assert_int_eq(step(final), SASL_GO_ON);
    ck_assert_int_eq(step("more"), SASL_MALFORMED);
}
END_TEST

START_TEST(limits)
{
    static char much[SASL_TOKEN_MAX + 2];

    use(&published[0]);
    memset(much, 'a', SASL_TOKEN_MAX + 1);
    ck_assert_int_eq(step(much), SASL_MALFORMED);
    much[300] = '\0';
    memcpy(much, "n,,n=user,r=", 12);
    ck_assert_int_eq(step(much), SASL_MALFORMED); /* a nonce of 288 bytes */
    much[268] = '\0';
    ck_assert_int_eq(step(much), SASL_GO_ON);
    ck_assert(!reply.cut);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sasl");
    TCase *tc = tcase_create("sasl");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, what_is_listed, 0, LEN(lists));
    tcase_add_loop_test(tc, what_the_option_leaves, 0, LEN(left));
    tcase_add_test(tc, names_of_mechanisms);
    tcase_add_loop_test(tc, who_it_is, 0, LEN(identities));
    tcase_add_test(tc, names_have_a_limit);
    tcase_add_test(tc, himself);
    tcase_add_loop_test(tc, cram_md5_as_published, 0, 6);
    tcase_add_loop_test(tc, scram_as_published, 0, LEN(published));
    tcase_add_loop_test(tc, scram_refuses, 0, 3);
    tcase_add_loop_test(tc, scram_malformed, 0, LEN(malformed));
    tcase_add_loop_test(tc, channel_binding, 0, LEN(bindings));
    tcase_add_test(tc, a_secret_serves_as_well);
    tcase_add_test(tc, limits);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
