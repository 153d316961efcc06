/* auth_sasl: the record that an exchange gets: whose it is, that nothing secret of somebody refused is in it, and that it
   looks like everybody else's. auth is this test's own. */
#include "tests/unit/unit.h"

#include <string.h>

#include "auth/auth_sasl.h"

static struct auth_prospect prospect;
static enum auth_how how;

void auth_look_up(const struct settings *settings, const struct auth_attempt *attempt, struct auth_user *user_r,
                  struct auth_prospect *prospect_r, struct strbuf *reason)
{
    (void)settings;
    how = attempt->how;
    *prospect_r = prospect;
    *user_r = (struct auth_user){ .uid = 1000 };
    strbuf_fail(reason, "%s", prospect.proved == AUTH_GRANTED ? "" : "no");
}

/* Unused: the archive's auth stays out. */
bool auth_canonical_name(const struct settings *settings, const char *given, char name_r[AUTH_NAME_MAX + 1])
{
    (void)settings, (void)given;
    name_r[0] = '\0';
    return false;
}

static void setup(void)
{
    memset(&prospect, 0, sizeof prospect);
    prospect.proved = AUTH_GRANTED;
    prospect.disproved = AUTH_REFUSED;
    strcpy(prospect.name, "alice");
    memset(prospect.secrets.salt[SCRAM_SHA1], 1, SCRAM_SALT_NEW);
    memset(prospect.secrets.salt[SCRAM_SHA256], 2, SCRAM_SALT_NEW);
}

static void give_secret(void)
{
    prospect.secrets.present = prospect.secrets.has_secret = true;
    strcpy(prospect.secrets.secret, "tanstaaf");
}

static void give_verifiers(enum scram_hash hash)
{
    prospect.secrets.present = true;
    scram_derive(hash, "tanstaaf", "a salt of his own", 16, 5000, &prospect.secrets.scram[hash]);
}

static struct sasl_record find(enum sasl_mechanism mechanism, enum auth_verdict verdict)
{
    struct strbuf reason = STRBUF_INIT(STRBUF_WHY_MAX);
    struct auth_sasl sasl;
    struct auth_user user;
    struct sasl_record record;

    memset(&record, 0xff, sizeof record);
    ck_assert_int_eq(auth_sasl_find(NULL, "Alice", mechanism, &user, &record, &sasl, &reason), verdict);
    ck_assert_int_eq(sasl.refusal, prospect.disproved);
    ck_assert_int_eq(sasl.closed, prospect.closed);
    strbuf_free(&reason);
    return record;
}

static void assert_no_secrets(const struct sasl_record *record)
{
    static const unsigned char zero[SCRAM_SIZE_MAX];

    ck_assert(!record->usable && !record->has_secret);
    ck_assert_str_eq(record->secret, "");
    ck_assert_mem_eq(record->keys.stored, zero, sizeof zero);
    ck_assert_mem_eq(record->keys.server, zero, sizeof zero);
    ck_assert_ptr_null(memmem(record, sizeof *record, "tanstaaf", 8));
}

START_TEST(a_secret)
{
    struct sasl_record record;

    give_secret();
    record = find(SASL_SCRAM_SHA_256_PLUS, AUTH_GRANTED);
    ck_assert_int_eq(how, AUTH_BY_SCRAM);
    ck_assert_str_eq(record.name, "alice");
    ck_assert(record.usable && record.has_secret);
    ck_assert_str_eq(record.secret, "tanstaaf");
    ck_assert_uint_eq(record.keys.iterations, SCRAM_ITERATIONS);
    ck_assert_uint_eq(record.keys.salt_length, SCRAM_SALT_NEW);
    ck_assert_mem_eq(record.keys.salt, prospect.secrets.salt[SCRAM_SHA256], SCRAM_SALT_NEW);
    record = find(SASL_SCRAM_SHA_1, AUTH_GRANTED);
    ck_assert_mem_eq(record.keys.salt, prospect.secrets.salt[SCRAM_SHA1], SCRAM_SALT_NEW);
    record = find(SASL_CRAM_MD5, AUTH_GRANTED);
    ck_assert_int_eq(how, AUTH_BY_CRAM_MD5);
    ck_assert(record.usable && record.has_secret);
}
END_TEST

START_TEST(verifiers)
{
    struct sasl_record record;

    give_verifiers(SCRAM_SHA256);
    record = find(SASL_SCRAM_SHA_256, AUTH_GRANTED);
    ck_assert(record.usable && !record.has_secret);
    ck_assert_uint_eq(record.keys.iterations, 5000);
    ck_assert_mem_eq(record.keys.stored, prospect.secrets.scram[SCRAM_SHA256].stored, SCRAM_SIZE_MAX);
    /* None for the other hash: nobody fits. */
    record = find(SASL_SCRAM_SHA_1, AUTH_GRANTED);
    assert_no_secrets(&record);
    ck_assert_mem_eq(record.keys.salt, prospect.secrets.salt[SCRAM_SHA1], SCRAM_SALT_NEW);
    record = find(SASL_CRAM_MD5, AUTH_GRANTED);
    assert_no_secrets(&record);
    /* An old popauth has changed only the secret. */
    give_secret();
    record = find(SASL_SCRAM_SHA_256, AUTH_GRANTED);
    ck_assert(record.has_secret);
    ck_assert_uint_eq(record.keys.iterations, SCRAM_ITERATIONS);
}
END_TEST

/* Locked or listed, say: salt and iterations are what they were, so that nobody sees it. */
START_TEST(refused)
{
    struct sasl_record before, after;

    if (_i == 0)
        give_secret();
    else if (_i == 1)
        give_verifiers(SCRAM_SHA1);
    before = find(SASL_SCRAM_SHA_1, AUTH_GRANTED);
    prospect.proved = AUTH_REFUSED;
    after = find(SASL_SCRAM_SHA_1, AUTH_REFUSED);
    assert_no_secrets(&after);
    ck_assert_uint_eq(after.keys.iterations, before.keys.iterations);
    ck_assert_uint_eq(after.keys.salt_length, before.keys.salt_length);
    ck_assert_mem_eq(after.keys.salt, before.keys.salt, sizeof before.keys.salt);
    ck_assert_uint_gt(after.keys.iterations, 0);
}
END_TEST

START_TEST(closed)
{
    struct sasl_record record;

    prospect.closed = true;
    prospect.proved = prospect.disproved = AUTH_UNUSABLE;
    record = find(SASL_SCRAM_SHA_1, AUTH_UNUSABLE);
    assert_no_secrets(&record);
}
END_TEST

START_TEST(ways)
{
    ck_assert_int_eq(auth_sasl_how(SASL_PLAIN), AUTH_BY_PASSWORD);
    ck_assert_int_eq(auth_sasl_how(SASL_LOGIN), AUTH_BY_PASSWORD);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("auth_sasl");
    TCase *tc = tcase_create("auth_sasl");

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, a_secret);
    tcase_add_test(tc, verifiers);
    tcase_add_loop_test(tc, refused, 0, 3);
    tcase_add_test(tc, closed);
    tcase_add_test(tc, ways);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
