/* cmd_auth_sasl: what AUTH says to the client and asks the monitor, step by step; what is counted, and what is wiped. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "protocol/cmd_auth.h"
#include "tests/unit/caught_log.h"
#include "tests/unit/fake_netio.h"

#define STAMP "<1.2@pop.example>"
#define GREETING "+OK Qpopper (version 5.0.0) at pop.example starting.  " STAMP "\r\n"
#define WRONG "-ERR [AUTH] Password supplied for \"alice\" is incorrect.\r\n"
#define BYE "+OK Pop server at pop.example signing off.\r\n"
#define CANCELLED "-ERR AUTH: cancelled.\r\n"
#define NO_BASE64 "-ERR AUTH: what you sent is not base64.\r\n"
#define NOT_HERE "-ERR AUTH: not what this mechanism expects here.\r\n"
#define LEN(a) (sizeof(a) / sizeof(*(a)))

static struct settings settings;
static struct peer peer = { .host = "mua.example", .ip = "192.0.2.7" };
static struct netio *io;
static struct cmd_auth_asks asks;
static struct strbuf asked; /* what the monitor was asked */

/* A password is right when it is "right"; a message goes on when it begins with "n" or "go", is right when it is "", as SCRAM
   ends, or CRAM's "alice right". */
static enum cmd_auth_verdict ask(void *context, const char *name, const char *password)
{
    (void)context;
    strbuf_addf(&asked, "password %s %s;", name, password);
    return strcmp(password, "right") == 0 ? CMD_AUTH_GRANTED : CMD_AUTH_REFUSED;
}

static enum cmd_auth_sasl_state say(const char *token, size_t n, struct strbuf *reply, enum cmd_auth_verdict *verdict_r)
{
    strbuf_reset(reply);
    *verdict_r = n == 0 || strcmp(token, "alice right") == 0 ? CMD_AUTH_GRANTED : CMD_AUTH_REFUSED;
    if (strncmp(token, "odd", 3) == 0)
        return CMD_AUTH_SASL_MALFORMED;
    if (token[0] != 'n' && token[0] != 'g')
        return CMD_AUTH_SASL_IS_OVER;
    strbuf_adds(reply, "go on");
    return CMD_AUTH_SASL_GOES_ON;
}

static enum cmd_auth_sasl_state sasl_start(void *context, enum sasl_mechanism mechanism, const char *name,
                                           const char *token, size_t n, struct strbuf *reply,
                                           enum cmd_auth_verdict *verdict_r)
{
    (void)context;
    strbuf_addf(&asked, "%s %s %s;", saslname_of(mechanism), name, token);
    if (strcmp(name, "-") == 0) {
        *verdict_r = CMD_AUTH_UNUSABLE;
        return CMD_AUTH_SASL_IS_OVER;
    }
    return say(token, n, reply, verdict_r);
}

static enum cmd_auth_sasl_state step(void *context, const char *token, size_t n, struct strbuf *reply,
                                     enum cmd_auth_verdict *verdict_r)
{
    (void)context;
    strbuf_addf(&asked, "step %s;", token);
    return say(token, n, reply, verdict_r);
}

static void cancel(void *context)
{
    (void)context;
    strbuf_adds(&asked, "cancel;");
}

static bool binding(void *context)
{
    (void)context;
    return true;
}

static void setup(void)
{
    settings = (struct settings){ .timeout = 600, .preauth_timeout = 60, .failure_delay = 3, .announce_expire = -1,
                                  .announce_login_delay = -1 };
    asks = (struct cmd_auth_asks){ .password = ask, .sasl_start = sasl_start, .sasl_step = step, .sasl_cancel = cancel,
                                   .binding = binding };
    strbuf_init(&asked, 4000);
    io = fake_netio_new();
    catch_log();
}

static void teardown(void)
{
    netio_close(&io);
    strbuf_free(&asked);
}

static const struct {
    const char *name, *said, *heard, *asked;
    enum command_end end;
    bool tls, needs_database;
} cases[] = {
    { "PLAIN", "AUTH PLAIN AGFsaWNlAHJpZ2h0\r\nSTAT\r\n", "", "password alice right;", COMMAND_END_NEXT_STATE, 0, 0 },
    { "PLAIN, later", "auth plain\r\nAGFsaWNlAHJpZ2h0\r\n", "+ \r\n", "password alice right;", COMMAND_END_NEXT_STATE, 0, 0 },
    { "PLAIN, wrong", "AUTH PLAIN AGFsaWNlAHdyb25n\r\nQUIT\r\n", WRONG, "password alice wrong;", COMMAND_END_ERR, 0, 0 },
    { "PLAIN, empty", "AUTH PLAIN =\r\nQUIT\r\n", "-ERR AUTH: PLAIN wants a name and a password.\r\n" BYE, "",
      COMMAND_END_QUIT, 0, 0 },
    { "PLAIN, for another", "AUTH PLAIN Ym9iAGFsaWNlAHJpZ2h0\r\nQUIT\r\n",
      "-ERR [AUTH] AUTH: nobody may log in for somebody else here.\r\n" BYE, "", COMMAND_END_QUIT, 0, 0 },
    { "PLAIN, for himself", "AUTH PLAIN YWxpY2UAYWxpY2UAcmlnaHQ=\r\n", "", "password alice right;",
      COMMAND_END_NEXT_STATE, 0, 0 },
    { "LOGIN", "AUTH LOGIN\r\nYWxpY2U=\r\ncmlnaHQ=\r\n", "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n", "password alice right;",
      COMMAND_END_NEXT_STATE, 0, 0 },
    { "LOGIN, name at once", "AUTH LOGIN YWxpY2U=\r\ncmlnaHQ=\r\n", "+ UGFzc3dvcmQ6\r\n", "password alice right;",
      COMMAND_END_NEXT_STATE, 0, 0 },
    { "LOGIN, cancelled", "AUTH LOGIN\r\nYWxpY2U=\r\n*\r\nQUIT\r\n", "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n" CANCELLED BYE, "",
      COMMAND_END_QUIT, 0, 0 },
    { "SCRAM", "AUTH SCRAM-SHA-1 biwsbj1hbGljZSxyPXg=\r\nZ28=\r\n\r\n", "+ Z28gb24=\r\n+ Z28gb24=\r\n",
      "SCRAM-SHA-1 alice n,,n=alice,r=x;step go;step ;", COMMAND_END_NEXT_STATE, 0, 1 },
    { "SCRAM, later, refused", "AUTH SCRAM-SHA-256\r\nbiwsbj1hbGljZSxyPXg=\r\nbm8=\r\nAA==\r\n", "+ \r\n+ Z28gb24=\r\n+ Z28gb24=\r\n" WRONG,
      "SCRAM-SHA-256 alice n,,n=alice,r=x;step no;step ;", COMMAND_END_ERR, 0, 1 },
    { "SCRAM, odd in the middle", "AUTH SCRAM-SHA-1 biwsbj1hbGljZSxyPXg=\r\nb2Rk\r\nQUIT\r\n", "+ Z28gb24=\r\n" NOT_HERE BYE,
      "SCRAM-SHA-1 alice n,,n=alice,r=x;step odd;", COMMAND_END_QUIT, 0, 1 },
    { "SCRAM, odd at once", "AUTH SCRAM-SHA-1 eA==\r\nQUIT\r\n", NOT_HERE BYE, "", COMMAND_END_QUIT, 0, 1 },
    { "SCRAM, cancelled", "AUTH SCRAM-SHA-1 biwsbj1hbGljZSxyPXg=\r\n*\r\nQUIT\r\n", "+ Z28gb24=\r\n" CANCELLED BYE,
      "SCRAM-SHA-1 alice n,,n=alice,r=x;cancel;", COMMAND_END_QUIT, 0, 1 },
    { "SCRAM, no base64", "AUTH SCRAM-SHA-1 biwsbj1hbGljZSxyPXg=\r\nx\r\nQUIT\r\n", "+ Z28gb24=\r\n" NO_BASE64 BYE,
      "SCRAM-SHA-1 alice n,,n=alice,r=x;cancel;", COMMAND_END_QUIT, 0, 1 },
    { "SCRAM, lost", "AUTH SCRAM-SHA-1 biwsbj1hbGljZSxyPXg=\r\n", "+ Z28gb24=\r\n",
      "SCRAM-SHA-1 alice n,,n=alice,r=x;cancel;", COMMAND_END_IO, 0, 1 },
    { "CRAM-MD5", "AUTH CRAM-MD5\r\nYWxpY2UgcmlnaHQ=\r\n", "+ PDEuMkBwb3AuZXhhbXBsZT4=\r\n", "CRAM-MD5 alice alice right;",
      COMMAND_END_NEXT_STATE, 0, 1 },
    { "CRAM-MD5, wrong", "AUTH CRAM-MD5\r\nYWxpY2Ugd3Jvbmc=\r\n", "+ PDEuMkBwb3AuZXhhbXBsZT4=\r\n" WRONG,
      "CRAM-MD5 alice alice wrong;", COMMAND_END_ERR, 0, 1 },
    { "CRAM-MD5, at once", "AUTH CRAM-MD5 YWxpY2UgcmlnaHQ=\r\nQUIT\r\n",
      "-ERR AUTH: CRAM-MD5 takes no initial response.\r\n" BYE, "", COMMAND_END_QUIT, 0, 1 },
    { "-PLUS without TLS", "AUTH SCRAM-SHA-1-PLUS\r\nQUIT\r\n",
      "-ERR AUTH: SCRAM-SHA-1-PLUS is possible inside TLS only.\r\n" BYE, "", COMMAND_END_QUIT, 0, 1 },
    { "-PLUS", "AUTH SCRAM-SHA-1-PLUS biwsbj1hbGljZSxyPXg=\r\n\r\n", "+ Z28gb24=\r\n",
      "SCRAM-SHA-1-PLUS alice n,,n=alice,r=x;step ;", COMMAND_END_NEXT_STATE, 1, 1 },
    { "three malformed", "AUTH X\r\nAUTH PLAIN !\r\nAUTH LOGIN a b c\r\nQUIT\r\n",
      "-ERR AUTH: unknown mechanism \"X\".\r\n" NO_BASE64
      "-ERR AUTH: too many arguments, usage: AUTH mechanism [initial-response].\r\n", "", COMMAND_END_ERR, 0, 0 },
    { "lists do not count", "AUTH X\r\nAUTH\r\nAUTH X\r\nAUTH\r\nQUIT\r\n",
      "-ERR AUTH: unknown mechanism \"X\".\r\n+OK Mechanisms follow\r\nSCRAM-SHA-256\r\nSCRAM-SHA-1\r\nCRAM-MD5\r\nPLAIN\r\nLOGIN\r\n.\r\n"
      "-ERR AUTH: unknown mechanism \"X\".\r\n+OK Mechanisms follow\r\nSCRAM-SHA-256\r\nSCRAM-SHA-1\r\nCRAM-MD5\r\nPLAIN\r\nLOGIN\r\n.\r\n"
      BYE, "", COMMAND_END_QUIT, 0, 1 },
};

START_TEST(each_case)
{
    char expected[2000];

    if (cases[_i].needs_database && !options_feature_built(FEATURE_APOP))
        return;
    log_set_debug(true);
    asks.tls = cases[_i].tls;
    fake_say(io, cases[_i].said);
    ck_assert_msg(cmd_auth_serve(io, &settings, &peer, "pop.example", STAMP, &asks) == cases[_i].end, "%s: %s",
                  cases[_i].name, fake_heard(io));
    snprintf(expected, sizeof expected, "%s%s", GREETING, cases[_i].heard);
    ck_assert_str_eq(fake_heard(io), expected);
    ck_assert_str_eq(asked.data, cases[_i].asked);
    ck_assert_int_ge(fake_wipes(io), 1);
    /* An -ERR that ends the session comes at the instant of failures. */
    ck_assert_int_eq(fake_slept_until(io) > 0, cases[_i].end == COMMAND_END_ERR);
    ck_assert_ptr_null(strstr(caught.data, "right"));
    ck_assert_ptr_null(strstr(caught.data, "AGFsaW"));
}
END_TEST

START_TEST(without_database)
{
    if (!options_feature_built(FEATURE_APOP))
        return;
    fake_say(io, "AUTH CRAM-MD5\r\nQUIT\r\n");
    ck_assert_int_eq(cmd_auth_serve(io, &settings, &peer, "pop.example", "", &asks), COMMAND_END_ERR);
    ck_assert_ptr_nonnull(strstr(fake_heard(io), "-ERR [SYS/PERM] Passwords cannot be checked; tell the administrator.\r\n"));
    ck_assert_str_eq(asked.data, "CRAM-MD5 - ;");
}
END_TEST

START_TEST(not_built)
{
    if (options_feature_built(FEATURE_APOP))
        return;
    fake_say(io, "AUTH CRAM-MD5\r\nQUIT\r\n");
    ck_assert_int_eq(cmd_auth_serve(io, &settings, &peer, "pop.example", "", &asks), COMMAND_END_QUIT);
    ck_assert_ptr_nonnull(strstr(fake_heard(io), "-ERR CRAM-MD5 is not available here.\r\n"));
}
END_TEST

START_TEST(passwords_are_not_asked_for_where_they_are_refused)
{
    settings.clear_text_password = CLEAR_TEXT_TLS;
    fake_say(io, "AUTH LOGIN\r\nAUTH PLAIN\r\nQUIT\r\n");
    ck_assert_int_eq(cmd_auth_serve(io, &settings, &peer, "pop.example", STAMP, &asks), COMMAND_END_QUIT);
    ck_assert_str_eq(fake_heard(io), GREETING "-ERR [AUTH] Clear-text passwords are accepted inside TLS only.\r\n"
                     "-ERR [AUTH] Clear-text passwords are accepted inside TLS only.\r\n" BYE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cmd_auth_sasl");
    TCase *tc = tcase_create("cmd_auth_sasl");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, each_case, 0, LEN(cases));
    tcase_add_test(tc, without_database);
    tcase_add_test(tc, not_built);
    tcase_add_test(tc, passwords_are_not_asked_for_where_they_are_refused);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
