/* monitor: what a hostile preauth may ask. preauth, keeper and auth (fake_auth) are the tests' own. */
#include "tests/unit/unit.h"

#include <config.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auth/auth.h"
#include "auth/auth_secrets.h"
#include "auth/pamlink.h"
#include "common/digest.h"
#include "process/checker.h"
#include "process/keeper.h"
#include "process/monitor.h"
#include "process/preauth.h"
#include "process/request.h"
#include "tests/unit/caught_log.h"
#include "tests/unit/fake_auth.h"
#include "wire/netio.h"

/* ---- the other rooms, as the test wants them */

static void (*hostile)(int monitor);
static struct keeper_start kept;
static char kept_unread[NETIO_UNREAD_MAX + 1];
static int keepers;
static int kept_groups;
static char offered[AUTH_STAMP_MAX];

void preauth_main(const struct preauth_start *start)
{
    strcpy(offered, start->stamp);
    hostile(start->monitor);
    _exit(0);
}

int keeper_run(const struct keeper_start *start)
{
    keepers++;
    kept = *start;
    kept_groups = start->user->groups.n;
    ck_assert_int_eq(waitpid(start->preauth, NULL, 0), start->preauth); /* the only child there may be */
    memcpy(kept_unread, start->unread, start->unread_count);
    return 42;
}

/* ---- monitor */

static void say(int monitor, uint32_t type, const char *first, const char *second)
{
    struct privmsg m;

    privmsg_init(&m, type);
    if (first)
        privmsg_put_text(&m, first);
    if (second)
        privmsg_put_text(&m, second);
    privmsg_send(monitor, &m);
    privmsg_free(&m);
}

static uint64_t hear(int monitor)
{
    struct privmsg m;
    uint64_t n;

    if (privmsg_receive(monitor, &m, 5000) <= 0)
        _exit(3);
    n = privmsg_get_number(&m);
    privmsg_free(&m);
    return n;
}

static uint64_t try_password(int monitor, const char *password)
{
    say(monitor, REQUEST_PASSWORD, "alice", password);
    return hear(monitor);
}

static void log_in(int monitor)
{
    if (try_password(monitor, "secret") == AUTH_GRANTED)
        say(monitor, REQUEST_HANDOVER, "STAT\r\nQU", NULL);
}

static void lingers_after_handover(int monitor)
{
    log_in(monitor);
    pause();
}

static void says_quit(int monitor)
{
    (void)monitor;
}

static void is_wrong(int monitor)
{
    if (try_password(monitor, "wrong") != AUTH_REFUSED)
        _exit(3);
}

static void guesses_again(int monitor)
{
    try_password(monitor, "wrong");
    try_password(monitor, "secret");
    say(monitor, REQUEST_HANDOVER, "", NULL);
    pause();
}

static void uses_apop(int monitor)
{
    say(monitor, REQUEST_APOP, "alice", offered);
    if (hear(monitor) == AUTH_GRANTED)
        say(monitor, REQUEST_HANDOVER, "STAT\r\nQU", NULL);
    /* A database looks usable: there is a stamp, with our pid and a number that is not only the time. */
    if (options_feature_built(FEATURE_APOP) != (strncmp(offered, "<", 1) == 0) || strlen(offered) < 20 * (offered[0] == '<'))
        _exit(3);
}

static void guesses_by_both(int monitor)
{
    try_password(monitor, "wrong");
    say(monitor, REQUEST_APOP, "alice", "digest");
    pause();
}

static void guesses_by_both_turned(int monitor)
{
    say(monitor, REQUEST_APOP, "alice", "guess");
    hear(monitor);
    say(monitor, REQUEST_PASSWORD, "alice", "secret");
    pause();
}

/* ---- by AUTH */

static int hear_sasl(int monitor, uint64_t *verdict_r)
{
    struct privmsg m;
    uint64_t how;
    size_t n;

    if (privmsg_receive(monitor, &m, 5000) <= 0)
        _exit(3);
    how = privmsg_get_number(&m);
    *verdict_r = privmsg_get_number(&m);
    privmsg_get_bytes(&m, SASL_TOKEN_MAX, &n);
    if (!privmsg_complete(&m))
        _exit(3);
    privmsg_free(&m);
    return (int)how;
}

static void say_sasl(int monitor, enum sasl_mechanism mechanism, const char *name, const char *token)
{
    struct privmsg m;

    privmsg_init(&m, REQUEST_SASL_START);
    privmsg_put_number(&m, mechanism);
    privmsg_put_text(&m, name);
    privmsg_put_bytes(&m, token, strlen(token));
    privmsg_send(monitor, &m);
    privmsg_free(&m);
}

static int start_sasl(int monitor, enum sasl_mechanism mechanism, const char *name, const char *token,
                      uint64_t *verdict_r)
{
    say_sasl(monitor, mechanism, name, token);
    return hear_sasl(monitor, verdict_r);
}

/* CRAM-MD5 for `name`, by the digest of who has the secret. */
static int prove(int monitor, const char *asked, const char *name, uint64_t *verdict_r)
{
    struct strbuf token = STRBUF_INIT(300);
    unsigned char digest[DIGEST_MD5_SIZE];

    digest_hmac_md5("tanstaaf", 8, offered, strlen(offered), digest);
    strbuf_addf(&token, "%s ", name);
    digest_hex(&token, digest, sizeof digest);
    return start_sasl(monitor, SASL_CRAM_MD5, asked, token.data, verdict_r);
}

static void uses_cram(int monitor)
{
    uint64_t verdict;

    /* Without a database nothing was offered. */
    if (!options_feature_built(FEATURE_APOP)) {
        log_in(monitor);
        return;
    }
    if (prove(monitor, "alice", "alice", &verdict) == REQUEST_SASL_IS_OVER && verdict == AUTH_GRANTED)
        say(monitor, REQUEST_HANDOVER, "STAT\r\nQU", NULL);
}

/* bob's proof does not make alice of him, nor the other way round. */
static void asks_for_another_record(int monitor)
{
    uint64_t verdict;

    if (prove(monitor, "alice", "bob", &verdict) != REQUEST_SASL_MALFORMED)
        _exit(3);
    say(monitor, REQUEST_HANDOVER, "", NULL);
    pause();
}

static void proves_nothing(int monitor)
{
    uint64_t verdict;

    if (start_sasl(monitor, SASL_CRAM_MD5, "alice", "alice 0123456789abcdef0123456789abcdef", &verdict) !=
            REQUEST_SASL_IS_OVER || verdict != AUTH_REFUSED)
        _exit(3);
}

static void is_nobody(int monitor)
{
    uint64_t verdict;

    if (start_sasl(monitor, SASL_SCRAM_SHA_256, "ghost", "n,,n=ghost,r=x", &verdict) != REQUEST_SASL_GOES_ON)
        _exit(3);
    say(monitor, REQUEST_SASL_STEP, "c=biws,r=x,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", NULL);
    if (hear_sasl(monitor, &verdict) != REQUEST_SASL_IS_OVER || verdict != AUTH_REFUSED)
        _exit(3);
}

static void meets_a_broken_database(int monitor)
{
    uint64_t verdict;

    if (start_sasl(monitor, SASL_SCRAM_SHA_1, "broken", "n,,n=broken,r=x", &verdict) != REQUEST_SASL_IS_OVER ||
        verdict != AUTH_UNUSABLE)
        _exit(3);
}

static void crashes_the_checker(int monitor)
{
    uint64_t verdict;

    if (start_sasl(monitor, SASL_SCRAM_SHA_1, "crash", "n,,n=crash,r=x", &verdict) != REQUEST_SASL_IS_OVER ||
        verdict != AUTH_UNAVAILABLE)
        _exit(3);
}

static void cancels(int monitor, int times)
{
    uint64_t verdict;

    while (times-- > 0) {
        if (start_sasl(monitor, SASL_SCRAM_SHA_256, "alice", "n,,n=alice,r=x", &verdict) != REQUEST_SASL_GOES_ON)
            _exit(3);
        say(monitor, REQUEST_SASL_CANCEL, NULL, NULL);
    }
}

static void cancels_and_logs_in(int monitor)
{
    cancels(monitor, 3);
    log_in(monitor);
}

static void tries_a_fourth_time(int monitor)
{
    cancels(monitor, 3);
    say_sasl(monitor, SASL_SCRAM_SHA_256, "alice", "n,,n=alice,r=x");
    pause();
}

static void guesses_after_auth(int monitor)
{
    proves_nothing(monitor);
    say(monitor, REQUEST_PASSWORD, "alice", "secret");
    pause();
}

static void guesses_by_auth_after_pass(int monitor)
{
    try_password(monitor, "wrong");
    say_sasl(monitor, SASL_SCRAM_SHA_256, "alice", "n,,n=alice,r=x");
    pause();
}

static void guesses_within_auth(int monitor)
{
    uint64_t verdict;

    start_sasl(monitor, SASL_SCRAM_SHA_256, "alice", "n,,n=alice,r=x", &verdict);
    say(monitor, REQUEST_PASSWORD, "alice", "secret");
    pause();
}

static void hands_over_within_auth(int monitor)
{
    uint64_t verdict;

    start_sasl(monitor, SASL_SCRAM_SHA_256, "alice", "n,,n=alice,r=x", &verdict);
    say(monitor, REQUEST_HANDOVER, "", NULL);
    pause();
}

static void steps_without_start(int monitor)
{
    say(monitor, REQUEST_SASL_STEP, "", NULL);
    pause();
}

static void starts_with_a_password(int monitor)
{
    say_sasl(monitor, SASL_PLAIN, "alice", "x");
    pause();
}

static void starts_with_a_barred_one(int monitor)
{
    say_sasl(monitor, SASL_SCRAM_SHA_1, "alice", "x");
    pause();
}

static void starts_with_no_mechanism(int monitor)
{
    say_sasl(monitor, SASL_MECHANISMS, "alice", "x");
    pause();
}

static void sends_much(int monitor)
{
    static char much[SASL_TICKET_MAX + 2];

    memset(much, 'a', SASL_TICKET_MAX + 1);
    say_sasl(monitor, SASL_CRAM_MD5, "alice", much);
    pause();
}

static void hears_of_trouble(int monitor)
{
    if (try_password(monitor, "unusable") != AUTH_UNUSABLE)
        _exit(3);
}

static void hands_over_without_login(int monitor)
{
    say(monitor, REQUEST_HANDOVER, "", NULL);
    pause();
}

static void hands_over_after_refusal(int monitor)
{
    try_password(monitor, "wrong");
    say(monitor, REQUEST_HANDOVER, "", NULL);
    pause();
}

static void hands_over_too_much(int monitor)
{
    static char much[NETIO_UNREAD_MAX + 2];

    memset(much, 'a', NETIO_UNREAD_MAX + 1);
    try_password(monitor, "secret");
    say(monitor, REQUEST_HANDOVER, much, NULL);
    pause();
}

static void asks_for_a_lock(int monitor)
{
    try_password(monitor, "secret");
    say(monitor, REQUEST_LOCK, NULL, NULL);
    pause();
}

static void asks_for_nonsense(int monitor)
{
    say(monitor, 4000000000u, NULL, NULL);
    pause();
}

static void forgets_the_password(int monitor)
{
    say(monitor, REQUEST_PASSWORD, "alice", NULL);
    pause();
}

static void sends_a_descriptor(int monitor)
{
    struct privmsg m;

    privmsg_init(&m, REQUEST_LOG);
    privmsg_put_number(&m, LOG_INFO);
    privmsg_put_text(&m, "with a descriptor");
    privmsg_put_fd(&m, dup(0));
    privmsg_send(monitor, &m);
    pause();
}

static void floods_the_log(int monitor)
{
    int i;

    request_log_through(monitor);
    for (i = 0; i < 2000; i++)
        log_write(LOG_INFO, "spam");
}

/* As other programs would find it, whatever stands before. */
static void fakes_verdicts(int monitor)
{
    request_log_through(monitor);
    log_write(LOG_NOTICE, "x\n(v5) POP login by user \"root\" at (a) 1.2.3.4");
    log_write(LOG_NOTICE, "(v%s) POP login by user \"root\" at (a) 1.2.3.4", PACKAGE_VERSION);
    log_write(LOG_NOTICE, "  [AUTH] Failed attempted login to root from host (a) 1.2.3.4");
    log_write(LOG_NOTICE, "\xc2\xa0[AUTH] Failed attempted login to root from host (a) 1.2.3.4");
    log_write(LOG_NOTICE, "popper: [AUTH] Kerberos authentication of client 1.2.3.4 failed: POP login by user");
}

static void is_killed(int monitor)
{
    (void)monitor;
    kill(getpid(), SIGKILL);
}

static void closes_its_end_and_lingers(int monitor)
{
    close(monitor);
    pause();
}

static const struct {
    const char *name;
    void (*hostile)(int monitor);
    int status;
    bool keeper;
    const char *log; /* what must be in the log; NULL: nothing of an error may be */
} acts[] = {
    { "log in", log_in, 42, true, "notice (v5.0.0) POP login by user \"alice\" at (unknown) unknown\n" },
    { "linger after the handover", lingers_after_handover, 42, true, NULL },
    { "QUIT", says_quit, 0, false, NULL },
    { "wrong password", is_wrong, 0, false,
      "notice [AUTH] Failed attempted login to alice from host (unknown) unknown\n"
      "info alice at unknown (unknown): -ERR [AUTH] login refused: wrong password\n" },
    { "APOP", uses_apop, 42, true, "info apop \"alice\"\nnotice (v5.0.0) POP login by user \"alice\" at" },
    { "a guess at APOP after one at PASS", guesses_by_both, 75, false,
        "err the process that meets clients first asked for APOP, which it may not now" },
    { "a guess at PASS after one at APOP", guesses_by_both_turned, 75, false,
        "err the process that meets clients first asked for PASSWORD, which it may not now" },
    { "AUTH", uses_cram, 42, true, "notice (v5.0.0) POP login by user \"alice\" at" },
    { "another's record", asks_for_another_record, 75, false,
        "err the process that meets clients first asked for HANDOVER, which it may not now" },
    { "AUTH, nothing proved", proves_nothing, 0, false,
      "notice [AUTH] Failed attempted login to alice from host (unknown) unknown\n"
      "info alice at unknown (unknown): -ERR [AUTH] login refused: wrong digest (CRAM-MD5)\n" },
    { "AUTH of nobody", is_nobody, 0, false, "info ghost at unknown (unknown): -ERR [AUTH] login refused: no such user\n" },
    { "AUTH and a broken database", meets_a_broken_database, 0, false,
        "err passwords cannot be checked: the database is open to all\n" },
    { "AUTH and a crash", crashes_the_checker, 0, false,
        "err passwords cannot be checked: the process that checks passwords was killed by signal 6 (Aborted)\n" },
    { "PASS after three cancelled AUTH", cancels_and_logs_in, 42, true, NULL },
    { "a fourth AUTH", tries_a_fourth_time, 75, false,
        "err the process that meets clients first asked for SASL_START, which it may not now" },
    { "PASS after a failed AUTH", guesses_after_auth, 75, false,
        "err the process that meets clients first asked for PASSWORD, which it may not now" },
    { "AUTH after a failed PASS", guesses_by_auth_after_pass, 75, false,
        "err the process that meets clients first asked for SASL_START, which it may not now" },
    { "PASS within AUTH", guesses_within_auth, 75, false,
        "err the process that meets clients first asked for PASSWORD, which it may not now" },
    { "handover within AUTH", hands_over_within_auth, 75, false,
        "err the process that meets clients first asked for HANDOVER, which it may not now" },
    { "a step of no AUTH", steps_without_start, 75, false,
        "err the process that meets clients first asked for SASL_STEP, which it may not now" },
    { "AUTH PLAIN", starts_with_a_password, 75, false,
        "err the process that meets clients first sent a broken SASL_START" },
    { "AUTH by what sasl-mechanisms bars", starts_with_a_barred_one, 75, false,
        "err the process that meets clients first sent a broken SASL_START" },
    { "AUTH by nothing", starts_with_no_mechanism, 75, false,
        "err the process that meets clients first sent a broken SASL_START" },
    { "too long a message", sends_much, 75, false,
        "err the process that meets clients first sent a broken SASL_START" },
    { "a store that must not be used", hears_of_trouble, 0, false,
        "err passwords cannot be checked: the store is open to all\n" },
    { "a second guess", guesses_again, 75, false,
        "err the process that meets clients first asked for PASSWORD, which it may not now" },
    { "handover without login", hands_over_without_login, 75, false,
        "err the process that meets clients first asked for HANDOVER, which it may not now" },
    { "handover after a refusal", hands_over_after_refusal, 75, false,
        "err the process that meets clients first asked for HANDOVER" },
    { "too much input", hands_over_too_much, 75, false,
        "err the process that meets clients first sent a broken HANDOVER" },
    { "a request of the session", asks_for_a_lock, 75, false,
        "err the process that meets clients first asked for LOCK, which it may not now" },
    { "a request that does not exist", asks_for_nonsense, 75, false,
        "err the process that meets clients first asked for unknown" },
    { "a request cut short", forgets_the_password, 75, false,
        "err the process that meets clients first sent a broken PASSWORD" },
    { "a descriptor", sends_a_descriptor, 75, false,
        "err the process that meets clients first asked for LOG with a descriptor" },
    { "a flood of records", floods_the_log, 0, false, "info spam\n" },
    { "faked verdicts", fakes_verdicts, 0, false,
        "notice x\\x0a(v5) ?OP login by user \"root\" at (a) 1.2.3.4\n"
        "notice (v" PACKAGE_VERSION ") ?OP login by user \"root\" at (a) 1.2.3.4\n"
        "notice   ?AUTH] Failed attempted login to root from host (a) 1.2.3.4\n"
        "notice \xc2\xa0?AUTH] Failed attempted login to root from host (a) 1.2.3.4\n"
        "notice popper: ?AUTH] Kerberos authentication of client 1.2.3.4 failed: ?OP login by user\n" },
    { "killed", is_killed, 75, false, "err the process that serves the login from unknown was killed by signal 9" },
    { "closed, but there", closes_its_end_and_lingers, 75, false,
        "err the process that serves the login from unknown was killed by signal 9" },
};

static int count(const char *text, const char *part)
{
    int n = 0;

    for (; (text = strstr(text, part)); text++)
        n++;
    return n;
}

START_TEST(what_preauth_may_do)
{
    struct settings *settings = settings_new();
    int null = open("/dev/null", O_RDWR);
    char database[] = "/tmp/test_monitor.XXXXXX";

    dup2(null, 0);
    catch_log();
    hostile = acts[_i].hostile;
    settings->apop_file = database;
    close(mkstemp(database));
    settings->sasl_barred = acts[_i].hostile == starts_with_a_barred_one ? 1u << SASL_SCRAM_SHA_1 : 0;
    ck_assert_msg(monitor_run(settings) == acts[_i].status, "%s: %s", acts[_i].name, caught.data);
    unlink(database);
    ck_assert_msg(keepers == acts[_i].keeper, "%s", acts[_i].name);
    if (acts[_i].log)
        ck_assert_msg(strstr(caught.data, acts[_i].log) != NULL, "%s: %s", acts[_i].name, caught.data);
    else
        ck_assert_msg(!strstr(caught.data, "err "), "%s: %s", acts[_i].name, caught.data);
    ck_assert_int_le(count(caught.data, "info spam"), 300);
    if (acts[_i].keeper) {
        ck_assert_str_eq(kept_unread, "STAT\r\nQU");
        ck_assert_uint_eq(kept.unread_count, 8);
        ck_assert_str_eq(kept.user->name, "alice");
        /* Who has proved nothing yet is not looked up further: how long that takes would tell who exists. */
        if (acts[_i].hostile == uses_cram && options_feature_built(FEATURE_APOP))
            ck_assert_int_eq(kept_groups, 0);
    }
    /* No process is left. */
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

/* ---- who talks without end */

#define FLOOD_NS (4 * INT64_C(1000000000))

static bool chatty; /* the process that serves AUTH logs for FLOOD_NS */

/* saslstate takes a response of CRAM-MD5 apart by this. */
void *memrchr(const void *bytes, int c, size_t n)
{
    int64_t limit = netio_now() + FLOOD_NS;
    const char *at = bytes;

    while (chatty && netio_now() < limit)
        log_write(LOG_INFO, "chat");
    while (n > 0 && at[n - 1] != c)
        n--;
    return n > 0 ? (char *)(uintptr_t)at + n - 1 : NULL;
}

static void meets_who_serves_auth(int monitor)
{
    uint64_t verdict;

    if (prove(monitor, "alice", "alice", &verdict) != REQUEST_SASL_IS_OVER || verdict != AUTH_UNAVAILABLE)
        _exit(3);
}

START_TEST(who_serves_auth_talks_without_end)
{
    struct settings *settings = settings_new();
    char database[] = "/tmp/test_monitor.XXXXXX";
    int64_t started = netio_now();

    if (!options_feature_built(FEATURE_APOP))
        return;
    dup2(open("/dev/null", O_RDWR), 0);
    catch_log();
    chatty = true;
    hostile = meets_who_serves_auth;
    settings->apop_file = database;
    close(mkstemp(database));
    ck_assert_msg(monitor_run(settings) == 0, "%s", caught.data);
    unlink(database);
    ck_assert_msg(netio_now() - started < FLOOD_NS / 2, "%s", caught.data);
    ck_assert_int_le(count(caught.data, "info chat"), 20);
    ck_assert_msg(strstr(caught.data, "err passwords cannot be checked: the process that serves AUTH says too much\n") != NULL,
                  "%s", caught.data);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

/* So that something is there always: the monitor stands still until its patience is over. */
static void talks_beyond_its_time(int monitor)
{
    request_log_through(monitor);
    usleep(200000); /* it waits for us by now */
    kill(getppid(), SIGSTOP);
    for (int i = 0; i < 5; i++)
        log_write(LOG_INFO, "spam");
    usleep(1500000);
    kill(getppid(), SIGCONT);
    pause();
}

START_TEST(preauth_talks_beyond_its_time)
{
    struct settings *settings = settings_new();

    dup2(open("/dev/null", O_RDWR), 0);
    catch_log();
    hostile = talks_beyond_its_time;
    settings->failure_delay = 0;
    settings->preauth_timeout = -89; /* with the monitor's grace: a second */
    ck_assert_msg(monitor_run(settings) == 75, "%s", caught.data);
    ck_assert_msg(strstr(caught.data, "err the process that serves the login from unknown: Connection timed out") != NULL,
                  "%s", caught.data);
    ck_assert_int_le(count(caught.data, "spam"), 1); /* it was waiting for one */
}
END_TEST

/* A relay talks without end, by records, or by answers that nobody waits for. */
START_TEST(a_relay_talks_without_end)
{
    struct tlsrelay relay = TLSRELAY_NONE;
    int64_t started = netio_now();
    int ends[2], other[2];
    pid_t pid;

    catch_log();
    ck_assert_int_eq(privmsg_pair(ends), 0);
    ck_assert_int_eq(privmsg_pair(other), 0);
    pid = fork();
    if (pid == 0)
        close(ends[0]); /* or it would not see that nobody listens */
    while (pid == 0 && netio_now() - started < FLOOD_NS) {
        struct privmsg m;

        privmsg_init(&m, _i == 0 ? REQUEST_LOG : REQUEST_ANSWER);
        privmsg_put_number(&m, _i == 0 ? LOG_INFO : 0);
        privmsg_put_text(&m, "spam");
        if (privmsg_send(ends[1], &m) < 0)
            _exit(0);
        privmsg_free(&m);
    }
    if (pid == 0)
        _exit(0);
    close(ends[1]);
    relay.end = ends[0];
    relay.pid = pid;
    tlsrelay_wait(&relay, other[0], 100);
    ck_assert(netio_now() - started < FLOOD_NS / 2);
    ck_assert_int_eq(relay.end, -1);
    ck_assert_int_le(count(caught.data, "spam"), 100);
    ck_assert_int_eq(count(caught.data, "err the TLS relay says too much; nothing more is taken from it\n"), 1);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

START_TEST(a_relay_fakes_a_verdict)
{
    struct tlsrelay relay = TLSRELAY_NONE;
    struct privmsg m;
    int ends[2];

    catch_log();
    ck_assert_int_eq(privmsg_pair(ends), 0);
    privmsg_init(&m, REQUEST_LOG);
    privmsg_put_number(&m, LOG_NOTICE);
    privmsg_put_text(&m, "[AUTH] Failed attempted login to root from host (a) 1.2.3.4");
    ck_assert_int_eq(privmsg_send(ends[1], &m), 0);
    privmsg_free(&m);
    close(ends[1]);
    relay.end = ends[0];
    tlsrelay_wait(&relay, -1, 1000);
    ck_assert_str_eq(caught.data, "notice ?AUTH] Failed attempted login to root from host (a) 1.2.3.4\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("monitor");
    TCase *tc = tcase_create("monitor");

    tcase_add_loop_test(tc, what_preauth_may_do, 0, (int)(sizeof acts / sizeof *acts));
    tcase_add_test(tc, who_serves_auth_talks_without_end);
    tcase_add_test(tc, preauth_talks_beyond_its_time);
    tcase_add_loop_test(tc, a_relay_talks_without_end, 0, 2);
    tcase_add_test(tc, a_relay_fakes_a_verdict);
    tcase_set_timeout(tc, 20);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
