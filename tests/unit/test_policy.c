/* policy: every combination of what decides about a login, against the rules written down in another form. */
#include "tests/unit/unit.h"

#include <string.h>

#include "auth/policy.h"

#define LEN(a) (sizeof(a) / sizeof(*(a)))

/* ---- what is offered before anybody said a name */

enum { BARE = 0, TLS = 1, LOCAL = 2, BOTH = 3 };

/* For each way and clear-text-password: the answer without TLS from elsewhere, inside TLS, from here, and with both. */
static const struct {
    enum auth_how how;
    enum clear_text clear_text;
    enum policy_offer offer[4];
} offers[] = {
    { AUTH_BY_PASSWORD, CLEAR_TEXT_DEFAULT, { POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED } },
    { AUTH_BY_PASSWORD, CLEAR_TEXT_NEVER, { POLICY_NO_CLEAR, POLICY_NO_CLEAR, POLICY_NO_CLEAR, POLICY_NO_CLEAR } },
    { AUTH_BY_PASSWORD, CLEAR_TEXT_ALWAYS, { POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED } },
    { AUTH_BY_PASSWORD, CLEAR_TEXT_LOCAL, { POLICY_LOCAL_ONLY, POLICY_LOCAL_ONLY, POLICY_OFFERED, POLICY_OFFERED } },
    { AUTH_BY_PASSWORD, CLEAR_TEXT_TLS, { POLICY_TLS_ONLY, POLICY_OFFERED, POLICY_TLS_ONLY, POLICY_OFFERED } },
    { AUTH_BY_APOP, CLEAR_TEXT_DEFAULT, { POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED } },
    { AUTH_BY_APOP, CLEAR_TEXT_NEVER, { POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED } },
    { AUTH_BY_APOP, CLEAR_TEXT_ALWAYS, { POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED } },
    { AUTH_BY_APOP, CLEAR_TEXT_LOCAL, { POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED } },
    { AUTH_BY_APOP, CLEAR_TEXT_TLS, { POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED } },
    { AUTH_BY_CRAM_MD5, CLEAR_TEXT_DEFAULT, { POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED } },
    { AUTH_BY_CRAM_MD5, CLEAR_TEXT_NEVER, { POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED } },
    { AUTH_BY_CRAM_MD5, CLEAR_TEXT_ALWAYS, { POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED } },
    { AUTH_BY_CRAM_MD5, CLEAR_TEXT_LOCAL, { POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED } },
    { AUTH_BY_CRAM_MD5, CLEAR_TEXT_TLS, { POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED } },
    { AUTH_BY_SCRAM, CLEAR_TEXT_DEFAULT, { POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED } },
    { AUTH_BY_SCRAM, CLEAR_TEXT_NEVER, { POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED } },
    { AUTH_BY_SCRAM, CLEAR_TEXT_ALWAYS, { POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED } },
    { AUTH_BY_SCRAM, CLEAR_TEXT_LOCAL, { POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED } },
    { AUTH_BY_SCRAM, CLEAR_TEXT_TLS, { POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED, POLICY_OFFERED } },
};

/* After a ticket only the USER and PASS that belong to it are taken, whatever clear-text-password says, and only there. */
START_TEST(what_is_offered_after_a_ticket)
{
    for (enum auth_how how = 0; how < AUTH_AS_OWNER; how++) {
        struct policy_connection at = { .clear_text = (enum clear_text)_i, .kerberos = true, .gssapi = true, .has_database = true };
        bool may = how == AUTH_BY_KERBEROS || how == AUTH_PROVED;

        ck_assert_int_eq(policy_offers(how, &at), may ? POLICY_OFFERED : POLICY_TICKET_ONLY);
        ck_assert_int_eq(policy_pass(&at), AUTH_BY_KERBEROS);
        at.kerberos = false;
        ck_assert_int_eq(policy_offers(how, &at) == POLICY_TICKET_ONLY, how == AUTH_BY_KERBEROS);
        ck_assert_int_eq(policy_pass(&at), AUTH_BY_PASSWORD);
    }
}
END_TEST

START_TEST(gssapi_is_offered_where_it_is_set)
{
    struct policy_connection at = { .clear_text = CLEAR_TEXT_NEVER, .gssapi = true };

    ck_assert_int_eq(policy_offers(AUTH_BY_GSSAPI, &at), POLICY_OFFERED);
    ck_assert_int_eq(policy_asks_database(AUTH_BY_GSSAPI, &at), POLICY_ASKS_NOTHING);
    at.gssapi = false;
    ck_assert_int_eq(policy_offers(AUTH_BY_GSSAPI, &at), POLICY_NOT_BUILT);
}
END_TEST

START_TEST(what_is_offered)
{
    for (int where = BARE; where <= BOTH; where++) {
        struct policy_connection at = { .clear_text = offers[_i].clear_text, .tls = where & TLS, .local = where & LOCAL,
                                        .has_database = true };

        ck_assert_int_eq(policy_offers(offers[_i].how, &at), offers[_i].offer[where]);
        at.has_database = false;
        ck_assert_int_eq(policy_offers(offers[_i].how, &at),
                         offers[_i].how != AUTH_BY_PASSWORD ? POLICY_NOT_BUILT : offers[_i].offer[where]);
    }
}
END_TEST

/* ---- what is decided: ways that count as good on an open connection, one fact changed */

#define GOOD .name_possible = true, .found = true, .uid = 1000, .block_uid = 10, .proof = PROOF_RIGHT, \
             .at = { .has_database = true }
#define PASS .how = AUTH_BY_PASSWORD, GOOD
#define APOP .how = AUTH_BY_APOP, .secrets = SECRETS_FULL, GOOD
#define TICKET .how = AUTH_BY_KERBEROS, GOOD, .at = { .kerberos = true }
#define PROVED .how = AUTH_PROVED, GOOD

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
static const struct {
    const char *name;
    struct policy_facts facts;
    enum auth_verdict verdict;
    enum policy_reason reason;
    const char *text;
} cases[] = {
    { "PASS", { PASS }, AUTH_GRANTED, REASON_NONE, "" },
    { "APOP", { APOP }, AUTH_GRANTED, REASON_NONE, "" },
    { "proved", { PROVED }, AUTH_GRANTED, REASON_NONE, "" },
    { "PASS, never", { PASS, .at = { .clear_text = CLEAR_TEXT_NEVER } }, AUTH_REFUSED, REASON_NOT_OFFERED,
      "this way to log in is not allowed on this connection (clear-text-password, kerberos)" },
    { "APOP, never", { APOP, .at = { .clear_text = CLEAR_TEXT_NEVER, .has_database = true } }, AUTH_GRANTED, REASON_NONE,
      "" },
    { "proved, never", { PROVED, .at = { .clear_text = CLEAR_TEXT_NEVER } }, AUTH_GRANTED, REASON_NONE, "" },
    { "bad name", { PASS, .name_possible = false }, AUTH_REFUSED, REASON_BAD_NAME, "not a possible user name" },
    { "nonauth", { PASS, .in_nonauth = true }, AUTH_REFUSED, REASON_NONAUTH, "listed in nonauth-file" },
    { "nonauth, APOP", { APOP, .in_nonauth = true }, AUTH_REFUSED, REASON_NONAUTH, "listed in nonauth-file" },
    { "auth", { PASS, .not_in_auth = true }, AUTH_REFUSED, REASON_NOT_IN_AUTH, "not listed in auth-file" },
    { "auth, APOP", { APOP, .not_in_auth = true }, AUTH_REFUSED, REASON_NOT_IN_AUTH, "not listed in auth-file" },
    { "both lists", { PASS, .in_nonauth = true, .not_in_auth = true }, AUTH_REFUSED, REASON_NONAUTH,
      "listed in nonauth-file" },
    { "nobody", { PASS, .found = false }, AUTH_REFUSED, REASON_NO_USER, "no such user" },
    { "nobody, but a store is broken", { PASS, .found = false, .store_broken = true }, AUTH_UNAVAILABLE,
      REASON_STORE_BROKEN, "a store of users cannot be read" },
    { "somebody, and a store is broken", { PASS, .store_broken = true }, AUTH_GRANTED, REASON_NONE, "" },
    { "wrong, and a store is broken", { PASS, .proof = PROOF_WRONG, .store_broken = true }, AUTH_UNAVAILABLE,
      REASON_WRONG, "wrong password" },
    { "barred", { PASS, .account_barred = true }, AUTH_REFUSED, REASON_BARRED, "" },
    { "barred, APOP", { APOP, .account_barred = true }, AUTH_REFUSED, REASON_BARRED, "" },
    { "barred, proved", { PROVED, .account_barred = true }, AUTH_REFUSED, REASON_BARRED, "" },
    { "root", { PASS, .uid = 0 }, AUTH_REFUSED, REASON_ROOT, "uid 0 may not log in" },
    { "root, nothing blocked", { PASS, .uid = 0, .block_uid = 0 }, AUTH_REFUSED, REASON_ROOT, "uid 0 may not log in" },
    { "uid 10", { PASS, .uid = 10 }, AUTH_REFUSED, REASON_LOW_UID, "" },
    { "uid 10, APOP", { APOP, .uid = 10 }, AUTH_REFUSED, REASON_LOW_UID, "" },
    { "uid 11", { PASS, .uid = 11 }, AUTH_GRANTED, REASON_NONE, "" },
    { "uid 1, nothing blocked", { PASS, .uid = 1, .block_uid = 0 }, AUTH_GRANTED, REASON_NONE, "" },
    { "wrong", { PASS, .proof = PROOF_WRONG }, AUTH_REFUSED, REASON_WRONG, "wrong password" },
    { "wrong, APOP", { APOP, .proof = PROOF_WRONG }, AUTH_REFUSED, REASON_WRONG, "wrong digest (APOP)" },
    { "star", { PASS, .proof = PROOF_IMPOSSIBLE }, AUTH_REFUSED, REASON_NO_PASSWORD, "account is locked" },
    { "odd hash", { PASS, .proof = PROOF_UNKNOWN }, AUTH_REFUSED, REASON_HASH_UNKNOWN,
      "the hash of the password is of a kind that libcrypt does not know" },
    { "cannot be checked", { PASS, .proof = PROOF_UNAVAILABLE }, AUTH_UNAVAILABLE, REASON_PROOF_UNAVAILABLE, "" },
    { "cannot be checked, nobody", { PASS, .found = false, .proof = PROOF_UNAVAILABLE }, AUTH_UNAVAILABLE,
      REASON_PROOF_UNAVAILABLE, "" },
    { "PASS, has a secret", { PASS, .secrets = SECRETS_FULL }, AUTH_REFUSED, REASON_HAS_SECRET,
      "has a secret in apop-file, so that clear-text-password = default lets no password in" },
    { "PASS, has verifiers", { PASS, .secrets = SECRETS_VERIFIERS }, AUTH_REFUSED, REASON_HAS_SECRET,
      "has a secret in apop-file, so that clear-text-password = default lets no password in" },
    { "PASS, has a secret, always", { PASS, .secrets = SECRETS_FULL, .at = { .clear_text = CLEAR_TEXT_ALWAYS } },
      AUTH_GRANTED, REASON_NONE, "" },
    { "wrong, has a secret", { PASS, .secrets = SECRETS_FULL, .proof = PROOF_WRONG }, AUTH_REFUSED, REASON_WRONG,
      "wrong password" },
    { "APOP, no secret", { APOP, .secrets = SECRETS_NONE, .proof = PROOF_WRONG }, AUTH_REFUSED, REASON_NO_SECRET,
      "no secret in apop-file" },
    { "APOP, verifiers", { APOP, .secrets = SECRETS_VERIFIERS, .proof = PROOF_WRONG }, AUTH_REFUSED,
      REASON_VERIFIERS_ONLY, "has verifiers for SCRAM only, but this way to log in needs a secret" },
    { "CRAM-MD5, verifiers", { .how = AUTH_BY_CRAM_MD5, .secrets = SECRETS_VERIFIERS, GOOD }, AUTH_REFUSED,
      REASON_VERIFIERS_ONLY, "has verifiers for SCRAM only, but this way to log in needs a secret" },
    { "CRAM-MD5, wrong", { .how = AUTH_BY_CRAM_MD5, .secrets = SECRETS_FULL, GOOD, .proof = PROOF_WRONG },
      AUTH_REFUSED, REASON_WRONG, "wrong digest (CRAM-MD5)" },
    { "SCRAM, verifiers", { .how = AUTH_BY_SCRAM, .secrets = SECRETS_VERIFIERS, GOOD }, AUTH_GRANTED, REASON_NONE, "" },
    { "SCRAM, secret, never", { .how = AUTH_BY_SCRAM, .secrets = SECRETS_FULL, GOOD,
      .at = { .clear_text = CLEAR_TEXT_NEVER, .has_database = true } }, AUTH_GRANTED, REASON_NONE, "" },
    { "SCRAM, nothing stored", { .how = AUTH_BY_SCRAM, .secrets = SECRETS_NONE, GOOD }, AUTH_REFUSED, REASON_NO_SECRET,
      "no secret in apop-file" },
    { "SCRAM, wrong", { .how = AUTH_BY_SCRAM, .secrets = SECRETS_VERIFIERS, GOOD, .proof = PROOF_WRONG }, AUTH_REFUSED,
      REASON_WRONG, "wrong secret (SCRAM)" },
    { "database away", { PASS, .secrets = SECRETS_UNAVAILABLE }, AUTH_UNAVAILABLE, REASON_DATABASE, "" },
    { "database open", { PASS, .secrets = SECRETS_UNUSABLE }, AUTH_UNUSABLE, REASON_DATABASE, "" },
    { "database open, wrong", { PASS, .secrets = SECRETS_UNUSABLE, .proof = PROOF_WRONG, .found = false },
      AUTH_UNUSABLE, REASON_DATABASE, "" },
    { "database open, APOP", { APOP, .secrets = SECRETS_UNUSABLE, .proof = PROOF_WRONG }, AUTH_UNUSABLE,
      REASON_DATABASE, "" },
    { "ticket", { TICKET }, AUTH_GRANTED, REASON_NONE, "" },
    { "ticket, never", { TICKET, .at = { .kerberos = true, .clear_text = CLEAR_TEXT_NEVER } }, AUTH_GRANTED, REASON_NONE, "" },
    { "ticket, has a secret", { TICKET, .secrets = SECRETS_FULL }, AUTH_GRANTED, REASON_NONE, "" },
    { "ticket of another", { TICKET, .proof = PROOF_WRONG }, AUTH_REFUSED, REASON_WRONG,
      "the Kerberos ticket is for somebody else" },
    { "ticket, barred", { TICKET, .account_barred = true }, AUTH_REFUSED, REASON_BARRED, "" },
    { "ticket, nonauth", { TICKET, .in_nonauth = true }, AUTH_REFUSED, REASON_NONAUTH, "listed in nonauth-file" },
    { "ticket, root", { TICKET, .uid = 0 }, AUTH_REFUSED, REASON_ROOT, "uid 0 may not log in" },
    { "ticket without Kerberos", { TICKET, .at = { .kerberos = false } }, AUTH_REFUSED, REASON_NOT_OFFERED,
      "this way to log in is not allowed on this connection (clear-text-password, kerberos)" },
    { "PASS where a ticket counts", { PASS, .at = { .kerberos = true } }, AUTH_REFUSED, REASON_NOT_OFFERED,
      "this way to log in is not allowed on this connection (clear-text-password, kerberos)" },
    { "database away, nobody asks it", { PROVED, .secrets = SECRETS_UNAVAILABLE }, AUTH_GRANTED, REASON_NONE, "" },
};
#pragma GCC diagnostic pop

START_TEST(named_cases)
{
    struct policy_decision got = policy_decide(&cases[_i].facts);

    ck_assert_msg(got.verdict == cases[_i].verdict, "%s: verdict %d", cases[_i].name, got.verdict);
    ck_assert_msg(got.reason == cases[_i].reason, "%s: reason %d", cases[_i].name, got.reason);
    ck_assert_str_eq(policy_text(cases[_i].facts.how, got.reason), cases[_i].text);
}
END_TEST

/* ---- all combinations: nobody is granted anything unless all of it is good, and refusals tell nothing of the name */

static bool by_database(enum auth_how how)
{
    return how == AUTH_BY_APOP || how == AUTH_BY_CRAM_MD5 || how == AUTH_BY_SCRAM;
}

static bool secrets_suffice(const struct policy_facts *f)
{
    if (f->how == AUTH_BY_SCRAM)
        return f->secrets == SECRETS_FULL || f->secrets == SECRETS_VERIFIERS;
    if (f->how == AUTH_BY_APOP || f->how == AUTH_BY_CRAM_MD5)
        return f->secrets == SECRETS_FULL;
    return f->how != AUTH_BY_PASSWORD || f->at.clear_text != CLEAR_TEXT_DEFAULT || f->secrets == SECRETS_NONE;
}

static bool all_is_good(const struct policy_facts *f)
{
    return f->name_possible && !f->in_nonauth && !f->not_in_auth && f->found && !f->account_barred && f->uid > 10 &&
           f->proof == PROOF_RIGHT && secrets_suffice(f) && policy_offers(f->how, &f->at) == POLICY_OFFERED;
}

/* The verdict on whoever is not granted: only what is broken may show. */
static bool verdict_hides_the_reason(const struct policy_facts *f, struct policy_decision got)
{
    bool asked = by_database(f->how) || (f->how == AUTH_BY_PASSWORD && f->at.clear_text == CLEAR_TEXT_DEFAULT);

    if (asked && f->secrets == SECRETS_UNUSABLE)
        return got.verdict == AUTH_UNUSABLE;
    if (asked && f->secrets == SECRETS_UNAVAILABLE)
        return got.verdict == AUTH_UNAVAILABLE;
    return got.verdict == (f->store_broken || f->proof == PROOF_UNAVAILABLE ? AUTH_UNAVAILABLE : AUTH_REFUSED);
}

static void try(const struct policy_facts *f)
{
    struct policy_decision got = policy_decide(f);

    /* A ck_assert is a write to a pipe, and these are millions. */
    if ((got.verdict == AUTH_GRANTED) != all_is_good(f) || (got.verdict == AUTH_GRANTED) != (got.reason == REASON_NONE) ||
        (got.verdict != AUTH_GRANTED && !verdict_hides_the_reason(f, got)))
        ck_abort_msg("how %d, clear text %d, secrets %d, proof %d, uid %d, offered %d: verdict %d for reason %d", (int)f->how, (int)f->at.clear_text,
                     (int)f->secrets, (int)f->proof, (int)f->uid, (int)policy_offers(f->how, &f->at), (int)got.verdict, (int)got.reason);
}

static void try_flags(struct policy_facts *f, unsigned flags)
{
    static const uid_t uids[] = { 0, 10, 11 };

    f->at.tls = flags & 1;
    f->at.local = flags & 2;
    f->at.has_database = flags & 4;
    f->name_possible = flags & 8;
    f->in_nonauth = flags & 16;
    f->not_in_auth = flags & 32;
    f->found = flags & 64;
    f->store_broken = flags & 128;
    f->account_barred = flags & 256;
    f->at.kerberos = flags & 512;
    for (size_t i = 0; i < LEN(uids); i++) {
        f->uid = uids[i];
        try(f);
    }
}

START_TEST(all_combinations)
{
    struct policy_facts f = { .block_uid = 10 };

    for (f.how = 0; f.how < AUTH_AS_OWNER; f.how++)
        for (f.at.clear_text = 0; f.at.clear_text <= CLEAR_TEXT_TLS; f.at.clear_text++)
            for (f.secrets = 0; f.secrets <= SECRETS_UNUSABLE; f.secrets++)
                for (f.proof = 0; f.proof <= PROOF_UNAVAILABLE; f.proof++)
                    for (unsigned flags = 0; flags < 1024; flags++)
                        try_flags(&f, flags);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy");
    TCase *tc = tcase_create("policy");

    tcase_add_loop_test(tc, what_is_offered, 0, LEN(offers));
    tcase_add_test(tc, gssapi_is_offered_where_it_is_set);
    tcase_add_loop_test(tc, what_is_offered_after_a_ticket, 0, CLEAR_TEXT_TLS + 1);
    tcase_add_loop_test(tc, named_cases, 0, LEN(cases));
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, all_combinations);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
