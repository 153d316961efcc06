/* cmd_auth: what each command says before login, and that a failed login says nothing more, at its fixed instant. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "protocol/cmd_auth.h"
#include "tests/unit/caught_log.h"
#include "tests/unit/fake_netio.h"

#define NS INT64_C(1000000000)
#define GREETING "+OK Qpopper (version 5.0.0) at pop.example starting.  \r\n"
#define CAPA_HEAD "+OK Capability list follows\r\nTOP\r\n"
#define CAPA_USER "SASL PLAIN LOGIN\r\nUSER\r\n"
#define CAPA_MIDDLE "EXPIRE NEVER\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n" \
    "X-MACRO\r\nX-LOCALTIME " FAKE_DATE "\r\n"
#define CAPA_END "IMPLEMENTATION Qpopper-version-5.0.0\r\n.\r\n"
#define CAPA_TAIL CAPA_MIDDLE CAPA_END
#define BYE "+OK Pop server at pop.example signing off.\r\n"
#define NO_CLEAR "-ERR [AUTH] Clear-text passwords are not accepted.\r\n"
#define LOCAL_ONLY "-ERR [AUTH] Clear-text passwords are accepted from this host itself only.\r\n"
#define NO_TLS "-ERR [SYS/PERM] TLS is not possible at the moment; the server's log says why.\r\n"
#define TLS_ONLY "-ERR [AUTH] Clear-text passwords are accepted inside TLS only.\r\n"

static struct settings settings;
static struct peer peer;
static struct netio *io;

/* The monitor. */
static struct {
    int asked, apop;
    char name[2000], password[2000];
    double takes;
    bool has_tls;
    int tls_asked;
} monitor;

static enum cmd_auth_verdict ask(void *context, const char *name, const char *password)
{
    ck_assert_ptr_eq(context, &monitor);
    monitor.asked++;
    snprintf(monitor.name, sizeof monitor.name, "%s", name);
    snprintf(monitor.password, sizeof monitor.password, "%s", password);
    fake_clock_add(monitor.takes);
    if (strcmp(password, "right") == 0)
        return CMD_AUTH_GRANTED;
    if (strcmp(password, "unusable") == 0)
        return CMD_AUTH_UNUSABLE;
    return strcmp(password, "broken") == 0 ? CMD_AUTH_UNAVAILABLE : CMD_AUTH_REFUSED;
}

static struct cmd_auth_asks asks;

static bool prepare_tls(void *context)
{
    ck_assert_ptr_eq(context, &monitor);
    monitor.tls_asked++;
    return monitor.has_tls;
}

/* The +OK is with the client, and nothing else is. */
static void enter_tls(void *context)
{
    const char *heard = fake_heard(io);

    ck_assert_ptr_eq(context, &monitor);
    ck_assert_uint_eq(fake_flushed(io), strlen(heard));
    ck_assert_str_eq(heard + strlen(heard) - 10, "+OK STLS\r\n");
    asks.tls = true;
}

static enum cmd_auth_verdict ask_apop(void *context, const char *name, const char *digest)
{
    monitor.apop++;
    return ask(context, name, digest);
}

static void setup(void)
{
    settings = (struct settings){
        .timeout = 600, .preauth_timeout = 60, .failure_delay = 3, .announce_expire = -1, .announce_login_delay = -1
    };
    peer = (struct peer){ .host = "mua.example", .ip = "192.0.2.7" };
    memset(&monitor, 0, sizeof monitor);
    monitor.has_tls = true;
    asks = (struct cmd_auth_asks){
        .context = &monitor, .password = ask, .apop = ask_apop, .prepare_tls = prepare_tls, .enter_tls = enter_tls
    };
    io = fake_netio_new();
    catch_log();
}

static void teardown(void)
{
    netio_close(&io);
}

static enum command_end serve(void)
{
    return cmd_auth_serve(io, &settings, &peer, "pop.example", NULL, &asks);
}

static const struct {
    const char *name, *said, *heard;
    enum command_end end;
} sessions[] = {
    { "QUIT", "QUIT\r\n", GREETING BYE, COMMAND_END_QUIT },
    { "login", "USER alice\r\nPASS right\r\n", GREETING "+OK Password required for alice.\r\n",
      COMMAND_END_NEXT_STATE },
    { "login, what follows is not ours", "user alice\npass right\nSTAT\n",
      GREETING "+OK Password required for alice.\r\n", COMMAND_END_NEXT_STATE },
    { "wrong password", "USER alice\r\nPASS wrong\r\nQUIT\r\n",
      GREETING "+OK Password required for alice.\r\n-ERR [AUTH] Password supplied for \"alice\" is incorrect.\r\n",
      COMMAND_END_ERR },
    { "cannot be checked", "USER alice\r\nPASS broken\r\nQUIT\r\n",
      GREETING "+OK Password required for alice.\r\n-ERR [SYS/TEMP] Passwords cannot be checked at the moment; try "
               "again later.\r\n",
      COMMAND_END_ERR },
    { "PASS first", "PASS right\r\nQUIT\r\n", GREETING "-ERR PASS must follow USER.\r\n" BYE, COMMAND_END_QUIT },
    { "PASS without a password", "USER alice\r\nPASS\r\nPASS \r\nQUIT\r\n",
      GREETING "+OK Password required for alice.\r\n-ERR Too few arguments for the PASS command, usage: PASS "
               "password\r\n"
               "-ERR Too few arguments for the PASS command, usage: PASS password\r\n" BYE,
      COMMAND_END_QUIT },
    { "USER without a name", "USER\r\nUSER  \r\nQUIT\r\n",
      GREETING "-ERR Too few arguments for the USER command, usage: USER name\r\n"
               "-ERR Too few arguments for the USER command, usage: USER name\r\n" BYE,
      COMMAND_END_QUIT },
    { "two names", "USER a b\r\nQUIT\r\n",
      GREETING "-ERR Too many arguments for the USER command, usage: USER name\r\n" BYE, COMMAND_END_QUIT },
    { "impossible names look possible", "USER ../../etc/passwd\r\nUSER \033[2J\"\r\nUSER root\r\nQUIT\r\n",
      GREETING "+OK Password required for ../../etc/passwd.\r\n+OK Password required for \\x1b[2J\\x22.\r\n"
               "+OK Password required for root.\r\n" BYE,
      COMMAND_END_QUIT },
    { "transaction commands", "STAT\r\nRETR 1\r\nQUIT\r\n",
      GREETING "-ERR \"STAT\" is not possible in this state: log in first.\r\n-ERR \"RETR\" is not possible in this "
               "state: log in first.\r\n" BYE,
      COMMAND_END_QUIT },
    { "AUTH alone", "AUTH\r\nQUIT\r\n", GREETING "+OK Mechanisms follow\r\nPLAIN\r\nLOGIN\r\n.\r\n" BYE, COMMAND_END_QUIT },
    { "must not be checked", "USER alice\r\nPASS unusable\r\nQUIT\r\n",
      GREETING "+OK Password required for alice.\r\n-ERR [SYS/PERM] Passwords cannot be checked; tell the "
               "administrator.\r\n",
      COMMAND_END_ERR },
    { "APOP without a digest", "APOP\r\nAPOP alice\r\nAPOP alice x y\r\nQUIT\r\n",
      GREETING "-ERR Too few arguments for the APOP command, usage: APOP name digest\r\n"
               "-ERR Too few arguments for the APOP command, usage: APOP name digest\r\n"
               "-ERR Too many arguments for the APOP command, usage: APOP name digest\r\n" BYE,
      COMMAND_END_QUIT },
    { "CAPA", "CAPA\r\nCAPA x\r\nQUIT\r\n",
      GREETING CAPA_HEAD CAPA_USER CAPA_TAIL "-ERR Too many arguments for the CAPA command, usage: CAPA\r\n" BYE,
      COMMAND_END_QUIT },
    { "gone", "USER alice\r\n", GREETING "+OK Password required for alice.\r\n-ERR POP EOF or I/O Error\r\n",
      COMMAND_END_EOF },
};

START_TEST(each_session)
{
    fake_say(io, sessions[_i].said);
    ck_assert_msg(serve() == sessions[_i].end, "%s", sessions[_i].name);
    ck_assert_msg(strcmp(fake_heard(io), sessions[_i].heard) == 0, "%s: heard %s", sessions[_i].name, fake_heard(io));
    ck_assert_int_eq(fake_deadline(io), 0);
}
END_TEST

START_TEST(greeting_with_a_stamp)
{
    fake_say(io, "QUIT\r\n");
    cmd_auth_serve(io, &settings, &peer, "pop.example", "<123.1000000000@pop.example>", &asks);
    ck_assert_str_eq(fake_heard(io), "+OK Qpopper (version 5.0.0) at pop.example starting.  "
                                     "<123.1000000000@pop.example>\r\n" BYE);
}
END_TEST

START_TEST(shy_hides_name_and_version)
{
    settings.shy = true;
    fake_say(io, "CAPA\r\n");
    cmd_auth_serve(io, &settings, &peer, "pop.example", "<123.1000000000@pop.example>", &asks);
    ck_assert_str_eq(fake_heard(io), "+OK ready  <123.1000000000@pop.example>\r\n" CAPA_HEAD "SASL SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 PLAIN LOGIN\r\nUSER\r\nEXPIRE "
                                                                                             "NEVER\r\nUIDL\r\nRESP-"
                                                                                             "CODES\r\nAUTH-RESP-"
                                                                                             "CODE\r\nPIPELINING\r\nX-MACRO\r\nX-LOCALTIME " FAKE_DATE "\r\n."
                                                                                             "\r\n"
                                     "-ERR POP EOF or I/O Error\r\n");
}
END_TEST

/* What is heard, in the words that PASS uses. */
static const struct {
    const char *said, *heard;
    enum command_end end;
} apops[] = {
    { "APOP alice right\r\nSTAT\r\n", "", COMMAND_END_NEXT_STATE },
    { "apop ../x wrong\r\nQUIT\r\n", "-ERR [AUTH] Password supplied for \"../x\" is incorrect.\r\n", COMMAND_END_ERR },
    { "USER bob\r\nAPOP alice broken\r\nQUIT\r\n",
      "+OK Password required for bob.\r\n-ERR [SYS/TEMP] Passwords cannot be checked at the moment; try again "
      "later.\r\n",
      COMMAND_END_ERR },
    { "APOP alice unusable\r\n", "-ERR [SYS/PERM] Passwords cannot be checked; tell the administrator.\r\n",
      COMMAND_END_ERR },
};

START_TEST(apop)
{
    char expected[1000];

    log_set_debug(true);
    fake_say(io, apops[_i].said);
    if (!options_feature_built(FEATURE_APOP)) {
        serve();
        ck_assert_ptr_nonnull(strstr(fake_heard(io), "-ERR APOP is not available here.\r\n"));
        return;
    }
    ck_assert_int_eq(serve(), apops[_i].end);
    log_set_debug(false);
    snprintf(expected, sizeof expected, "%s%s", GREETING, apops[_i].heard);
    ck_assert_str_eq(fake_heard(io), expected);
    ck_assert_int_eq(monitor.apop, 1);
    ck_assert_int_eq(monitor.asked, 1);
    ck_assert_int_ge(fake_wipes(io), 1);
    ck_assert_ptr_null(strstr(caught.data, monitor.password));
}
END_TEST

START_TEST(apop_needs_no_clear_text)
{
    settings.clear_text_password = CLEAR_TEXT_NEVER;
    fake_say(io, "APOP alice right\r\n");
    if (options_feature_built(FEATURE_APOP))
        ck_assert_int_eq(serve(), COMMAND_END_NEXT_STATE);
}
END_TEST

START_TEST(capa_announces_what_is_set)
{
    settings.announce_expire = 30;
    settings.announce_login_delay = 900;
    fake_say(io, "CAPA\r\n");
    serve();
    ck_assert_ptr_nonnull(strstr(fake_heard(io), "USER\r\nLOGIN-DELAY 900\r\nEXPIRE 30\r\nUIDL\r\n"));
}
END_TEST

START_TEST(auto_delete_expires_at_once)
{
    settings.auto_delete = true;
    fake_say(io, "CAPA\r\n");
    serve();
    ck_assert_ptr_nonnull(strstr(fake_heard(io), "\r\nEXPIRE 0\r\n"));
}
END_TEST

START_TEST(the_password_is_everything_after_the_blank)
{
    fake_say(io, "USER  alice \r\nPASS  two  words \t\r\n");
    serve();
    ck_assert_str_eq(monitor.name, "alice");
    ck_assert_str_eq(monitor.password, " two  words \t");
}
END_TEST

START_TEST(a_second_user_replaces_the_first)
{
    fake_say(io, "USER alice\r\nUSER bob@example.com\r\nPASS right\r\n");
    ck_assert_int_eq(serve(), COMMAND_END_NEXT_STATE);
    ck_assert_str_eq(monitor.name, "bob@example.com");
}
END_TEST

START_TEST(the_longest_name_is_passed_on_and_shown_cut)
{
    char name[1020], line[1100];

    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    snprintf(line, sizeof line, "USER %s\r\nPASS x\r\n", name);
    fake_say(io, line);
    ck_assert_int_eq(serve(), COMMAND_END_ERR);
    ck_assert_str_eq(monitor.name, name);
    name[64] = '\0';
    snprintf(line, sizeof line, "\r\n-ERR [AUTH] Password supplied for \"%s...\" is incorrect.\r\n", name);
    ck_assert_ptr_nonnull(strstr(fake_heard(io), line));
}
END_TEST

static const struct {
    const char *name;
    int delay;
    double takes, answered_after;
} delays[] = {
    { "quick", 3, 0.25, 3 },      { "no time at all", 3, 0, 3 }, { "just in time", 3, 3, 3 }, { "late", 3, 3.001, 6 },
    { "very late", 3, 100, 102 }, { "one second", 1, 0.5, 1 },   { "no delay", 0, 0.5, 0.5 },
};

START_TEST(failures_are_answered_at_a_fixed_instant)
{
    const char *logins[] = { "USER alice\r\nPASS wrong", "USER alice\r\nPASS broken", "APOP alice wrong", "APOP alice broken" };
    size_t count = options_feature_built(FEATURE_APOP) ? 4 : 2;

    for (size_t i = 0; i < count; i++) {
        struct netio *client = fake_netio_new();
        char line[60];
        int64_t start = netio_now();

        settings.failure_delay = delays[_i].delay;
        monitor.takes = delays[_i].takes;
        snprintf(line, sizeof line, "%s\r\n", logins[i]);
        fake_say(client, line);
        ck_assert_int_eq(cmd_auth_serve(client, &settings, &peer, "pop.example", NULL, &asks), COMMAND_END_ERR);
        ck_assert_msg(netio_now() - start == (int64_t)(delays[_i].answered_after * (double)NS), "%s: %lld",
                      delays[_i].name, (long long)(netio_now() - start));
        netio_close(&client);
    }
}
END_TEST

START_TEST(a_success_does_not_wait)
{
    int64_t start = netio_now();

    fake_say(io, "USER alice\r\nPASS right\r\n");
    serve();
    ck_assert_int_eq(netio_now(), start);
    ck_assert_int_eq(fake_slept_until(io), 0);
}
END_TEST

START_TEST(hanging_up_ends_the_delay)
{
    int64_t start = netio_now();

    fake_hang_up(io);
    fake_say(io, "USER alice\r\nPASS wrong\r\n");
    ck_assert_int_eq(serve(), COMMAND_END_IO);
    ck_assert_int_eq(netio_now(), start);
    ck_assert_str_eq(fake_heard(io), GREETING "+OK Password required for alice.\r\n");
}
END_TEST

START_TEST(the_password_is_wiped_before_the_delay)
{
    fake_hang_up(io);
    fake_say(io, "USER alice\r\nPASS wrong\r\n");
    serve();
    ck_assert_int_ge(fake_wipes(io), 1);
}
END_TEST

START_TEST(the_log_shows_no_password)
{
    log_set_debug(true);
    fake_say(io, "USER alice\r\nPASS sesame\r\n");
    serve();
    log_set_debug(false);
    ck_assert_ptr_null(strstr(caught.data, "sesame"));
    ck_assert_ptr_nonnull(strstr(caught.data, "notice (null) at mua.example (192.0.2.7): -ERR [AUTH] Password supplied "
                                              "for \"alice\" is incorrect.\n"));
}
END_TEST

static const struct {
    const char *name;
    enum clear_text option;
    bool local, tls, allowed;
    const char *refusal;
} clear_texts[] = {
    { "default", CLEAR_TEXT_DEFAULT, false, false, true, NULL },
    { "always", CLEAR_TEXT_ALWAYS, false, false, true, NULL },
    { "never", CLEAR_TEXT_NEVER, true, true, false, NO_CLEAR },
    { "local, remote", CLEAR_TEXT_LOCAL, false, true, false, LOCAL_ONLY },
    { "local, local", CLEAR_TEXT_LOCAL, true, false, true, NULL },
    { "tls, plain", CLEAR_TEXT_TLS, true, false, false, TLS_ONLY },
    { "tls, tls", CLEAR_TEXT_TLS, false, true, true, NULL },
};

START_TEST(clear_text_passwords)
{
    char expected[2000];

    settings.clear_text_password = clear_texts[_i].option;
    peer.local = clear_texts[_i].local;
    asks.tls = clear_texts[_i].tls;
    fake_say(io, "USER alice\r\nPASS right\r\nCAPA\r\nQUIT\r\n");
    if (clear_texts[_i].allowed) {
        ck_assert_msg(serve() == COMMAND_END_NEXT_STATE, "%s", clear_texts[_i].name);
        ck_assert_int_eq(monitor.asked, 1);
        return;
    }
    ck_assert_msg(serve() == COMMAND_END_QUIT, "%s", clear_texts[_i].name);
    ck_assert_int_eq(monitor.asked, 0);
    snprintf(expected, sizeof expected, "%s%s%s%s", GREETING, clear_texts[_i].refusal, clear_texts[_i].refusal,
             CAPA_HEAD CAPA_TAIL BYE);
    ck_assert_str_eq(fake_heard(io), expected);
}
END_TEST

static const struct {
    const char *name;
    enum tls_support support;
    bool has_tls, begins_with_tls;
    const char *said, *behind, *heard;
    int asked;
} stls[] = {
    { "announced, begun, not twice", TLS_SUPPORT_STLS, true, false, "CAPA\r\nSTLS\r\n", "CAPA\r\nSTLS\r\nQUIT\r\n",
      GREETING CAPA_HEAD CAPA_USER CAPA_MIDDLE "STLS\r\n" CAPA_END "+OK STLS\r\n" CAPA_HEAD CAPA_USER CAPA_TAIL
               "-ERR TLS is active already.\r\n" BYE, 1 },
    { "USER is forgotten", TLS_SUPPORT_STLS, true, false, "USER alice\r\nSTLS\r\n", "PASS right\r\nQUIT\r\n",
      GREETING "+OK Password required for alice.\r\n+OK STLS\r\n-ERR PASS must follow USER.\r\n" BYE, 1 },
    { "what was sent ahead in clear text is dropped", TLS_SUPPORT_STLS, true, false,
      "STLS\r\nUSER mallory\r\nPASS right\r\n", "QUIT\r\n", GREETING "+OK STLS\r\n" BYE, 1 },
    { "not to be had: asked once, the session goes on", TLS_SUPPORT_STLS, false, false,
      "STLS\r\nSTLS\r\nCAPA\r\nQUIT\r\n", "",
      GREETING NO_TLS NO_TLS CAPA_HEAD CAPA_USER CAPA_TAIL BYE, 1 },
    { "an argument", TLS_SUPPORT_STLS, true, false, "STLS now\r\nQUIT\r\n", "",
      GREETING "-ERR Too many arguments for the STLS command, usage: STLS\r\n" BYE, 0 },
    { "not set", TLS_SUPPORT_NONE, true, false, "CAPA\r\nSTLS\r\nQUIT\r\n", "",
      GREETING CAPA_HEAD CAPA_USER CAPA_TAIL "-ERR STLS is not offered here.\r\n" BYE, 0 },
    { "alternate-port", TLS_SUPPORT_ALTERNATE_PORT, true, true, "CAPA\r\nSTLS\r\nQUIT\r\n", "",
      GREETING CAPA_HEAD CAPA_USER CAPA_TAIL "-ERR TLS is active already.\r\n" BYE, 0 },
};

START_TEST(stls_begins_tls)
{
    settings.tls_support = stls[_i].support;
    monitor.has_tls = stls[_i].has_tls;
    asks.tls = stls[_i].begins_with_tls;
    fake_say(io, stls[_i].said);
    fake_say_behind(io, stls[_i].behind);
    ck_assert_msg(serve() == COMMAND_END_QUIT, "%s", stls[_i].name);
    ck_assert_str_eq(fake_heard(io), stls[_i].heard);
    ck_assert_int_eq(monitor.tls_asked, stls[_i].asked);
    ck_assert_int_eq(monitor.asked, 0);
}
END_TEST

START_TEST(stls_makes_passwords_possible)
{
    settings.tls_support = TLS_SUPPORT_STLS;
    settings.clear_text_password = CLEAR_TEXT_TLS;
    fake_say(io, "USER alice\r\nCAPA\r\nSTLS\r\n");
    fake_say_behind(io, "CAPA\r\nUSER alice\r\nPASS right\r\n");
    ck_assert_int_eq(serve(), COMMAND_END_NEXT_STATE);
    ck_assert_str_eq(fake_heard(io), GREETING TLS_ONLY CAPA_HEAD CAPA_MIDDLE "STLS\r\n" CAPA_END "+OK STLS\r\n"
                     CAPA_HEAD CAPA_USER CAPA_TAIL "+OK Password required for alice.\r\n");
}
END_TEST

START_TEST(a_deadline_is_set)
{
    int64_t start = netio_now();

    fake_then(io, NETIO_TIMEOUT);
    fake_say(io, "QUIT");
    ck_assert_int_eq(serve(), COMMAND_END_TIMEOUT);
    ck_assert_int_eq(fake_first_deadline(io), start + 60 * NS);
    ck_assert_ptr_nonnull(strstr(caught.data, "notice (v5.0.0) Timeout (60 secs) during nw read from (null) at "
                                              "mua.example (192.0.2.7)\n"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cmd_auth");
    TCase *tc = tcase_create("cmd_auth");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, each_session, 0, sizeof sessions / sizeof *sessions);
    tcase_add_test(tc, greeting_with_a_stamp);
    tcase_add_test(tc, shy_hides_name_and_version);
    tcase_add_loop_test(tc, apop, 0, (int)(sizeof apops / sizeof *apops));
    tcase_add_test(tc, apop_needs_no_clear_text);
    tcase_add_test(tc, capa_announces_what_is_set);
    tcase_add_test(tc, auto_delete_expires_at_once);
    tcase_add_test(tc, the_password_is_everything_after_the_blank);
    tcase_add_test(tc, a_second_user_replaces_the_first);
    tcase_add_test(tc, the_longest_name_is_passed_on_and_shown_cut);
    tcase_add_loop_test(tc, failures_are_answered_at_a_fixed_instant, 0, sizeof delays / sizeof *delays);
    tcase_add_test(tc, a_success_does_not_wait);
    tcase_add_test(tc, hanging_up_ends_the_delay);
    tcase_add_test(tc, the_password_is_wiped_before_the_delay);
    tcase_add_test(tc, the_log_shows_no_password);
    tcase_add_loop_test(tc, clear_text_passwords, 0, sizeof clear_texts / sizeof *clear_texts);
    tcase_add_loop_test(tc, stls_begins_tls, 0, sizeof stls / sizeof *stls);
    tcase_add_test(tc, stls_makes_passwords_possible);
    tcase_add_test(tc, a_deadline_is_set);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
