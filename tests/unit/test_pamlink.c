/*
 * pamlink, and what auth does with it: a module made up here in place of popper-pam.so says what PAM would. The C library's
 * look-up of a user and geteuid are replaced, too.
 */
#include "tests/unit/unit.h"

#include <config.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "auth/auth.h"
#include "auth/pamlink.h"
#include "common/module.h"
#include "tests/unit/caught_log.h"

#define LEN(a) (sizeof(a) / sizeof(*(a)))

static struct settings settings;
static bool is_root;

uid_t geteuid(void)
{
    return is_root ? 0 : 64001;
}

static const struct passwd users[] = {
    { .pw_name = "alice", .pw_uid = 1001, .pw_gid = 1001, .pw_dir = "/home/alice" },
    { .pw_name = "bob", .pw_uid = 1002, .pw_gid = 1002, .pw_dir = "/home/bob" },
    { .pw_name = "low", .pw_uid = 10, .pw_gid = 10, .pw_dir = "/home/low" },
};

int getpwnam_r(const char *name, struct passwd *entry, char *space, size_t size, struct passwd **found)
{
    (void)space;
    (void)size;
    *found = NULL;
    for (size_t i = 0; i < LEN(users); i++) {
        if (strcmp(users[i].pw_name, name) == 0) {
            *entry = users[i];
            *found = entry;
        }
    }
    return 0;
}

/* ---- PAM */

static struct {
    enum auth_pam_answer answer, established;
    const char *user;                   /* what it makes of the name; NULL: the same */
    char asked[80], password[600], steps[80];
    bool expired_may;
    bool no_module;
} pam;

static struct auth_pam *const transaction = (struct auth_pam *)&pam;

static void step(const char *name)
{
    strncat(pam.steps, name, sizeof pam.steps - strlen(pam.steps) - 1);
}

static enum auth_pam_answer check(const struct auth_pam_question *question, struct auth_pam **pam_r, struct strbuf *why)
{
    step("check ");
    *pam_r = transaction;
    ck_assert_str_eq(question->service, "pop3");
    snprintf(pam.asked, sizeof pam.asked, "%s", question->user);
    snprintf(pam.password, sizeof pam.password, "%s", question->password ? question->password : "(none)");
    pam.expired_may = question->expired_may;
    if (pam.answer != AUTH_PAM_YES)
        strbuf_fail(why, "PAM says no");
    return pam.answer;
}

static const char *user(struct auth_pam *p)
{
    ck_assert_ptr_eq(p, transaction);
    return pam.user ? pam.user : pam.asked;
}

static enum auth_pam_answer establish(struct auth_pam *p, bool session, struct strbuf *why)
{
    ck_assert_ptr_eq(p, transaction);
    step(session ? "session " : "credentials ");
    if (pam.established != AUTH_PAM_YES)
        strbuf_fail(why, "no credentials");
    return pam.established;
}

static void end(struct auth_pam **p)
{
    *p = NULL;
    step("end ");
}

static const struct auth_pam_calls calls = { .check = check, .user = user, .establish = establish, .end = end };

const void *module_find(const char *name, const char *symbol, struct strbuf *why)
{
    ck_assert_str_eq(name, "popper-pam.so");
    ck_assert_str_eq(symbol, "auth_pam_calls");
    if (pam.no_module)
        strbuf_fail(why, "popper-pam.so is missing");
    return pam.no_module ? NULL : &calls;
}

/* ---- */

static void setup(void)
{
    static char service[] = "pop3";

    settings = (struct settings){ .pam_service = service, .check_password_expired = true, .block_uid = 10,
                                  .clear_text_password = CLEAR_TEXT_ALWAYS };
    memset(&pam, 0, sizeof pam);
    is_root = true;
    catch_log();
}

static enum auth_verdict log_in(enum auth_how how, const char *name, bool only_asked, struct auth_user *user_r,
                                struct strbuf *why)
{
    const struct auth_attempt attempt = {
        .how = how, .name = name, .response = "sesame", .stamp = "", .only_asked = only_asked
    };

    return auth_check(&settings, &attempt, user_r, why);
}

/* Of the length of "sesame" is the password that is nobody's, too: how long modules take may depend on it. */
static const struct {
    const char *name; /* of the user */
    enum auth_how how;
    enum auth_pam_answer answer, established;
    const char *renamed;
    enum auth_verdict verdict;
    const char *reason, *password, *steps;
} logins[] = {
    { "alice", AUTH_BY_PASSWORD, AUTH_PAM_YES, AUTH_PAM_YES, NULL, AUTH_GRANTED, "", "sesame", "check credentials end " },
    { "alice", AUTH_BY_PASSWORD, AUTH_PAM_WRONG, AUTH_PAM_YES, NULL, AUTH_REFUSED, "PAM says no", "sesame", "check end " },
    { "alice", AUTH_BY_PASSWORD, AUTH_PAM_BARRED, AUTH_PAM_YES, NULL, AUTH_REFUSED, "PAM says no", "sesame", "check end " },
    { "alice", AUTH_BY_PASSWORD, AUTH_PAM_UNAVAILABLE, AUTH_PAM_YES, NULL, AUTH_UNAVAILABLE, "PAM says no", "sesame",
      "check end " },
    { "alice", AUTH_BY_PASSWORD, AUTH_PAM_YES, AUTH_PAM_BARRED, NULL, AUTH_REFUSED, "no credentials", "sesame",
      "check credentials end " },
    { "alice", AUTH_BY_PASSWORD, AUTH_PAM_YES, AUTH_PAM_UNAVAILABLE, NULL, AUTH_UNAVAILABLE, "no credentials", "sesame",
      "check credentials end " },
    { "zoe", AUTH_BY_PASSWORD, AUTH_PAM_WRONG, AUTH_PAM_YES, NULL, AUTH_REFUSED, "no such user",
      "\b\n\r\177 n", "check end " },
    { "zoe", AUTH_BY_PASSWORD, AUTH_PAM_YES, AUTH_PAM_YES, NULL, AUTH_REFUSED, "no such user",
      "\b\n\r\177 n", "check end " },
    { "zoe", AUTH_BY_PASSWORD, AUTH_PAM_UNAVAILABLE, AUTH_PAM_YES, NULL, AUTH_UNAVAILABLE, "PAM says no",
      "\b\n\r\177 n", "check end " },
    { "low", AUTH_BY_PASSWORD, AUTH_PAM_WRONG, AUTH_PAM_YES, NULL, AUTH_REFUSED, "uid 10 is not above block-uid 10",
      "\b\n\r\177 n", "check end " },
    { "../x", AUTH_BY_PASSWORD, AUTH_PAM_YES, AUTH_PAM_YES, NULL, AUTH_REFUSED, "not a possible user name", "", "" },
    { "alice", AUTH_BY_PASSWORD, AUTH_PAM_YES, AUTH_PAM_YES, "bob", AUTH_GRANTED, "", "sesame", "check credentials end " },
    { "alice", AUTH_BY_PASSWORD, AUTH_PAM_YES, AUTH_PAM_YES, "low", AUTH_REFUSED, "uid 10 is not above block-uid 10",
      "sesame", "check end " },
    { "alice", AUTH_BY_PASSWORD, AUTH_PAM_YES, AUTH_PAM_YES, "zoe", AUTH_REFUSED, "no such user", "sesame", "check end " },
    { "alice", AUTH_BY_PASSWORD, AUTH_PAM_YES, AUTH_PAM_YES, "a/b", AUTH_REFUSED, "not a possible user name", "sesame",
      "check end " },
    { "alice", AUTH_PROVED, AUTH_PAM_YES, AUTH_PAM_YES, NULL, AUTH_GRANTED, "", "(none)", "check credentials end " },
    { "alice", AUTH_PROVED, AUTH_PAM_BARRED, AUTH_PAM_YES, NULL, AUTH_REFUSED, "PAM says no", "(none)", "check end " },
    { "zoe", AUTH_PROVED, AUTH_PAM_YES, AUTH_PAM_YES, NULL, AUTH_REFUSED, "no such user", "", "" },
};

START_TEST(what_pam_says_counts)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct auth_user got;

    pam.answer = logins[_i].answer;
    pam.established = logins[_i].established;
    pam.user = logins[_i].renamed;
    ck_assert_int_eq(log_in(logins[_i].how, logins[_i].name, false, &got, &why), logins[_i].verdict);
    ck_assert_str_eq(why.data, logins[_i].reason);
    ck_assert_str_eq(pam.password, logins[_i].password);
    ck_assert_str_eq(pam.steps, logins[_i].steps);
    ck_assert(!pamlink_holds_session());
    if (logins[_i].verdict == AUTH_GRANTED)
        ck_assert_str_eq(got.name, logins[_i].renamed ? logins[_i].renamed : logins[_i].name);
    strbuf_free(&why);
}
END_TEST

/* Only a preauth that was taken over can say it; modules with nullok would take it for right. */
START_TEST(an_empty_password_is_not_nobodys)
{
    const struct auth_attempt attempt = { .how = AUTH_BY_PASSWORD, .name = "zoe", .response = "", .stamp = "" };
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct auth_user got;

    ck_assert_int_eq(auth_check(&settings, &attempt, &got, &why), AUTH_REFUSED);
    ck_assert_str_eq(pam.password, "\b\n\r\177 nobody's ");
    strbuf_free(&why);
}
END_TEST

START_TEST(options)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct auth_user got;

    log_in(AUTH_BY_PASSWORD, "alice", false, &got, &why);
    ck_assert(!pam.expired_may);
    settings.check_password_expired = false;
    log_in(AUTH_BY_PASSWORD, "alice", false, &got, &why);
    ck_assert(pam.expired_may);
    pam.steps[0] = '\0';
    settings.pam_session = true;
    ck_assert_int_eq(log_in(AUTH_BY_PASSWORD, "alice", true, &got, &why), AUTH_GRANTED);
    ck_assert_str_eq(pam.steps, "check end ");
    ck_assert(!pamlink_holds_session());
    pam.steps[0] = '\0';
    ck_assert_int_eq(log_in(AUTH_BY_PASSWORD, "alice", false, &got, &why), AUTH_GRANTED);
    ck_assert_str_eq(pam.steps, "check session ");
    ck_assert(pamlink_holds_session());
    pamlink_end();
    ck_assert_str_eq(pam.steps, "check session end ");
    ck_assert(!pamlink_holds_session());
    strbuf_free(&why);
}
END_TEST

START_TEST(a_module_that_cannot_be_used)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct auth_user got;

    pam.no_module = true;
    ck_assert_int_eq(log_in(AUTH_BY_PASSWORD, "alice", false, &got, &why), AUTH_UNAVAILABLE);
    ck_assert_str_eq(why.data, "popper-pam.so is missing");
    ck_assert_int_eq(log_in(AUTH_BY_PASSWORD, "zoe", false, &got, &why), AUTH_UNAVAILABLE);
    ck_assert_int_eq(pamlink_look(&settings, &why), -1);
    ck_assert_str_eq(pam.steps, "");
    strbuf_free(&why);
}
END_TEST

START_TEST(when_it_applies)
{
    char none[] = "";

    ck_assert(pamlink_applies(&settings));
    is_root = false;
    ck_assert(!pamlink_applies(&settings));
    is_root = true;
    settings.pam_service = none;
    ck_assert(!pamlink_applies(&settings));
    settings.pam_service = NULL;
    ck_assert(!pamlink_applies(&settings));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pamlink");
    TCase *tc = tcase_create("pamlink");

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_loop_test(tc, what_pam_says_counts, 0, LEN(logins));
    tcase_add_test(tc, an_empty_password_is_not_nobodys);
    tcase_add_test(tc, options);
    tcase_add_test(tc, a_module_that_cannot_be_used);
    tcase_add_test(tc, when_it_applies);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
