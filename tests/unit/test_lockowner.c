/*
 * lockowner: what a lock says of its process, and what it is worth.
 */
#include "config.h" /* system extensions, 64-bit offsets */

#include "tests/unit/locksite.h"

START_TEST(owner_text_names_this_process)
{
    char text[LOCKOWNER_MAX], host[100], boot[100];
    long pid, said_pid = 0;
    size_t n = lockowner_text(text);
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");

    ck_assert_int_eq(fscanf(f, "%99s", boot), 1);
    fclose(f);
    gethostname(host, sizeof host);
    ck_assert_int_eq(sscanf(text, "%ld", &pid), 1);
    ck_assert_int_eq(pid, getpid());
    ck_assert_ptr_nonnull(strstr(text, host));
    ck_assert_ptr_nonnull(strstr(text, boot));
    ck_assert_int_eq(text[n - 1], '\n');
    ck_assert_int_eq(lockowner_judge(text, n, &said_pid), LOCKOWNER_ALIVE);
    ck_assert_int_eq(said_pid, getpid());
}
END_TEST

START_TEST(owner_of_a_child_is_the_child)
{
    char mine[LOCKOWNER_MAX], text[LOCKOWNER_MAX] = "";
    int pipes[2];
    long said_pid = 0;
    siginfo_t ended;
    pid_t pid;
    ssize_t n;

    lockowner_text(mine);
    ck_assert_int_eq(pipe(pipes), 0);
    pid = fork();
    if (pid == 0) {
        n = (ssize_t)lockowner_text(text);
        _exit(write(pipes[1], text, (size_t)n) == n ? 0 : 1);
    }
    n = read(pipes[0], text, sizeof text);
    ck_assert_int_gt(n, 0);
    ck_assert_int_eq(atol(text), pid);
    ck_assert_int_eq(waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT), 0);
    /* Ended, though nobody has waited for it. */
    ck_assert_int_eq(lockowner_judge(text, (size_t)n, &said_pid), LOCKOWNER_GONE);
    ck_assert_int_eq(said_pid, pid);
    said_pid = 0;
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert_int_eq(lockowner_judge(text, (size_t)n, &said_pid), LOCKOWNER_GONE);
    ck_assert_int_eq(said_pid, pid);
    close(pipes[0]);
    close(pipes[1]);
}
END_TEST

START_TEST(start_time_survives_odd_command_names)
{
    char mine[24], odd[24], small[2];
    int pipes[2], back[2];
    char c = 0;
    pid_t pid;

    ck_assert(lockowner_start(getpid(), mine, sizeof mine));
    ck_assert(!lockowner_start(getpid(), small, sizeof small));
    ck_assert_int_eq(pipe(pipes), 0);
    ck_assert_int_eq(pipe(back), 0);
    pid = fork();
    if (pid == 0) {
        int comm = open("/proc/self/comm", O_WRONLY);

        c = write(comm, "a) R 1 2 (b", 11) == 11 ? 'y' : 'n';
        _exit(write(back[1], &c, 1) == 1 && close(pipes[1]) == 0 && read(pipes[0], &c, 1) >= 0 ? 0 : 1);
    }
    ck_assert_int_eq(read(back[0], &c, 1), 1);
    ck_assert_int_eq(c, 'y');
    ck_assert(lockowner_start(pid, odd, sizeof odd));
    ck_assert_int_ge(atoll(odd), atoll(mine));
    ck_assert_int_lt(atoll(odd), atoll(mine) + 100 * 100);
    close(pipes[1]);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert(!lockowner_start(pid, odd, sizeof odd));
}
END_TEST

/* Another host, boot or pid name space: the same pid is another process there. */
START_TEST(a_pid_of_elsewhere_says_nothing)
{
    static const int words[] = { 1, 2, 4 }; /* host, boot id, name space */
    char text[LOCKOWNER_MAX];
    size_t n = lockowner_text(text), at = 0;
    long pid = 0;

    for (int word = 0; word < words[_i]; word++)
        at += strcspn(text + at, " ") + 1;
    text[at] = text[at] == 'x' ? 'y' : 'x';
    ck_assert_int_eq(lockowner_judge(text, n, &pid), LOCKOWNER_UNKNOWN);
    ck_assert_int_eq(pid, 0);
}
END_TEST

static void add(TCase *tc)
{
    tcase_add_test(tc, owner_text_names_this_process);
    tcase_add_test(tc, owner_of_a_child_is_the_child);
    tcase_add_test(tc, start_time_survives_odd_command_names);
    tcase_add_loop_test(tc, a_pid_of_elsewhere_says_nothing, 0, 3);
}

int main(void)
{
    return lock_main("lockowner", add);
}
