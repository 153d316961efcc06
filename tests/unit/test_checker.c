/* checker: what a broken password check may answer, who makes its process when, and when it ends. auth is fake_auth. */
#include "tests/unit/unit.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/identity.h"
#include "process/checker.h"
#include "process/checker_ahead.h"
#include "process/child.h"
#include "tests/unit/fake_auth.h"
#include "wire/privmsg.h"

static const struct {
    const char *password;
    enum auth_verdict verdict;
    const char *reason;
} checks[] = {
    { "secret", AUTH_GRANTED, "" },
    { "wrong", AUTH_REFUSED, "wrong password" },
    { "unavailable", AUTH_UNAVAILABLE, "the store is away" },
    { "unusable", AUTH_UNUSABLE, "the store is open to all" },
    { "crash", AUTH_UNAVAILABLE, "the process that checks passwords was killed by signal 6 (Aborted)" },
    { "silence", AUTH_UNAVAILABLE, "the process that checks passwords ended without an answer (exit status 0)" },
    { "root", AUTH_UNAVAILABLE, "the process that checks passwords gave a broken answer" },
    { "path", AUTH_UNAVAILABLE, "the process that checks passwords gave a broken answer" },
    { "relative", AUTH_UNAVAILABLE, "the process that checks passwords gave a broken answer" },
#ifndef __SANITIZE_ADDRESS__ /* which ends the process that reads behind the list */
    { "crowd", AUTH_UNAVAILABLE, "the process that checks passwords gave a broken answer" },
#endif
    { "nogroup", AUTH_UNAVAILABLE, "the process that checks passwords gave a broken answer" },
};

static enum auth_verdict run_check(const struct settings *settings, const char *password, int asker,
                                   struct auth_user *user_r, struct strbuf *reason)
{
    const struct auth_attempt attempt = { .how = AUTH_BY_PASSWORD, .name = "alice", .response = password };
    int session;

    return checker_run(settings, &attempt, asker, user_r, &session, reason);
}

START_TEST(verdicts)
{
    const struct auth_attempt owner = { .how = AUTH_AS_OWNER, .name = "owner" };
    struct settings *settings = settings_new();
    struct strbuf reason = STRBUF_INIT(STRBUF_WHY_MAX);
    struct auth_user user;
    int session;

    signal(SIGABRT, SIG_DFL);
    ck_assert_int_eq(checker_run(settings, &owner, -1, &user, &session, &reason), AUTH_GRANTED);
    ck_assert_uint_eq(user.uid, 64003);
    ck_assert_int_eq(run_check(settings, checks[_i].password, -1, &user, &reason), checks[_i].verdict);
    ck_assert_str_eq(reason.data, checks[_i].reason);
    if (checks[_i].verdict == AUTH_GRANTED) {
        ck_assert_str_eq(user.name, "alice");
        ck_assert_str_eq(user.home, "/home/alice");
        ck_assert_uint_eq(user.uid, 64001);
        ck_assert_uint_eq(user.gid, 64002);
        ck_assert(user.is_virtual);
        ck_assert_int_eq(user.groups.n, 2);
        ck_assert_uint_eq(user.groups.list[0], 64002);
        ck_assert_uint_eq(user.groups.list[1], 64005);
    }
    checker_finish();
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

static pid_t one_child(void)
{
    char text[40];
    FILE *f = fopen("/proc/self/task/self/children", "r");
    int pid = 0;

    if (!f) {
        snprintf(text, sizeof text, "/proc/self/task/%d/children", (int)getpid());
        f = fopen(text, "r");
    }
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(fscanf(f, "%d", &pid), 1);
    fclose(f);
    return pid;
}

/* The same verdicts by a process that was made before the attempt. */
START_TEST(verdicts_of_one_that_waited)
{
    struct settings *settings = settings_new();
    struct strbuf reason = STRBUF_INIT(STRBUF_WHY_MAX);
    struct auth_user user;
    pid_t waiting;

    signal(SIGABRT, SIG_DFL);
    checker_ahead_make(settings);
    waiting = one_child();
    checker_ahead_make(settings); /* one is enough */
    ck_assert_int_eq(one_child(), waiting);
    ck_assert_int_eq(run_check(settings, checks[_i].password, -1, &user, &reason), checks[_i].verdict);
    ck_assert_str_eq(reason.data, checks[_i].reason);
    ck_assert_int_eq(kill(waiting, 0), checks[_i].verdict == AUTH_GRANTED ? 0 : -1); /* not waited for yet */
    checker_finish();
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

/* What is in an attempt arrives; what is not there, too. */
START_TEST(an_attempt_arrives_whole)
{
    struct settings *settings = settings_new();
    struct strbuf reason = STRBUF_INIT(STRBUF_WHY_MAX);
    struct auth_attempt attempt = { .how = AUTH_BY_APOP, .name = "alice", .response = "<1.2@h>", .stamp = "<1.2@h>",
                                    .rhost = "192.0.2.1", .tls = true, .local = true };
    struct auth_user user;
    int session;

    fake_wants_origin = true;
    checker_ahead_make(settings);
    ck_assert_int_eq(checker_run(settings, &attempt, -1, &user, &session, &reason), AUTH_GRANTED);
    attempt.rhost = NULL;
    attempt.local = false;
    checker_ahead_make(settings);
    ck_assert_int_eq(checker_run(settings, &attempt, -1, &user, &session, &reason), AUTH_REFUSED);
    ck_assert_str_eq(reason.data, "from nowhere");
    checker_finish();
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

START_TEST(one_that_died_waiting_is_replaced)
{
    siginfo_t ended;
    pid_t pid;
    struct settings *settings = settings_new();
    struct strbuf reason = STRBUF_INIT(STRBUF_WHY_MAX);
    struct auth_user user;

    checker_ahead_make(settings);
    pid = one_child();
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT), 0); /* dead, and not reaped */
    ck_assert_int_eq(run_check(settings, "secret", -1, &user, &reason), AUTH_GRANTED);
    checker_finish();
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

START_TEST(nobody_waits_for_what_a_message_cannot_say)
{
    struct settings *settings = settings_new();

    settings->kerberos = true;
    checker_ahead_make(settings);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    settings->kerberos = false;
    settings->pam_session = fake_pam.applies = true;
    checker_ahead_make(settings);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

START_TEST(one_that_waits_ends_with_its_maker)
{
    struct settings *settings = settings_new();
    pid_t maker;
    int status;

    ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    maker = fork();
    if (maker == 0) {
        checker_ahead_make(settings);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(maker, NULL, 0), maker);
    ck_assert_int_gt(wait(&status), 0); /* it is ours now */
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ck_assert_int_eq(wait(&status), -1);
}
END_TEST

START_TEST(a_check_is_abandoned_when_nobody_waits)
{
    struct settings *settings = settings_new();
    struct strbuf reason = STRBUF_INIT(STRBUF_WHY_MAX);
    struct auth_user user;
    int ends[2];

    ck_assert_int_eq(privmsg_pair(ends), 0);
    close(ends[1]);
    ck_assert_int_eq(run_check(settings, "hang", ends[0], &user, &reason), AUTH_UNAVAILABLE);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

START_TEST(a_session_of_pam_is_closed_when_nobody_waits)
{
    struct settings *settings = settings_new();
    struct strbuf reason = STRBUF_INIT(STRBUF_WHY_MAX);
    char password[] = "session"; /* wiped in the end */
    struct auth_user user;
    int ends[2];

    settings->pam_session = fake_pam.applies = true;
    fake_sessions_open = mmap(NULL, sizeof *fake_sessions_open, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_int_eq(privmsg_pair(ends), 0);
    if (fork() == 0) {
        close(ends[0]);
        while (*fake_sessions_open == 0)
            usleep(1000);
        _exit(0);
    }
    close(ends[1]);
    ck_assert_int_eq(run_check(settings, password, ends[0], &user, &reason), AUTH_UNAVAILABLE);
    ck_assert_int_eq(*fake_sessions_open, 0);
}
END_TEST

/* Also by who has no time to wait. */
START_TEST(the_dead_are_seen_at_once)
{
    pid_t child = fork();
    siginfo_t info;

    if (child == 0)
        _exit(0);
    ck_assert_int_eq(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    ck_assert(child_ends_within(child, 0));
    ck_assert_int_eq(child_gone(child), 0);
    child = fork();
    if (child == 0)
        for (;;)
            pause();
    ck_assert(!child_ends_within(child, 0));
    ck_assert(!child_ends_within(child, 20));
    kill(child, SIGKILL);
    ck_assert(child_ends_within(child, 10000));
    child_gone(child);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("checker");
    TCase *tc = tcase_create("checker");

    tcase_add_loop_test(tc, verdicts, 0, (int)(sizeof checks / sizeof *checks));
    tcase_add_loop_test(tc, verdicts_of_one_that_waited, 0, (int)(sizeof checks / sizeof *checks));
    tcase_add_test(tc, an_attempt_arrives_whole);
    tcase_add_test(tc, one_that_died_waiting_is_replaced);
    tcase_add_test(tc, nobody_waits_for_what_a_message_cannot_say);
    tcase_add_test(tc, one_that_waits_ends_with_its_maker);
    tcase_add_test(tc, a_check_is_abandoned_when_nobody_waits);
    tcase_add_test(tc, a_session_of_pam_is_closed_when_nobody_waits);
    tcase_add_test(tc, the_dead_are_seen_at_once);
    tcase_set_timeout(tc, 20);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
