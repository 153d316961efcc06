/* mem: zeroed, grown, wiped, compared; what happens when there is none. */
#include "tests/unit/unit.h"

#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"

START_TEST(new_memory_is_zeroed_and_never_null)
{
    unsigned char *p = mem_new(100, 3);

    for (size_t i = 0; i < 300; i++)
        ck_assert_uint_eq(p[i], 0);
    mem_free(p);
    p = mem_new(0, 8);
    ck_assert_ptr_nonnull(p);
    mem_free(p);
    mem_free(NULL);
    mem_free_secret(NULL, 10);
}
END_TEST

START_TEST(reserve_grows_by_half_and_keeps_content)
{
    int *numbers = NULL;
    size_t cap = 0;

    for (int i = 0; i < 1000; i++) {
        mem_reserve(&numbers, &cap, (size_t)i + 1, sizeof *numbers);
        ck_assert_uint_gt(cap, (size_t)i);
        numbers[i] = i;
    }
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(numbers[i], i);
    ck_assert_uint_lt(cap, 1600);
    mem_free(numbers);
}
END_TEST

START_TEST(copies_end_in_nul)
{
    char *all = mem_strdup("maildrop");
    char *some = mem_strndup("maildrop", 4);
    char *more = mem_strndup("mail", 100);

    ck_assert_str_eq(all, "maildrop");
    ck_assert_str_eq(some, "mail");
    ck_assert_str_eq(more, "mail");
    mem_free(all);
    mem_free(some);
    mem_free(more);
}
END_TEST

START_TEST(wipe_and_equal)
{
    char secret[] = "secret";

    ck_assert(mem_equal(secret, "secret", 7));
    ck_assert(!mem_equal(secret, "secreT", 6));
    ck_assert(!mem_equal(secret, "Secret", 6));
    ck_assert(mem_equal(secret, "different", 0));
    mem_wipe(secret, sizeof secret);
    ck_assert(mem_equal(secret, "\0\0\0\0\0\0", 7));
}
END_TEST

/* Under AddressSanitizer, which calls it, allocation must fail as it does without. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void sink_to_fd(void *context, int priority, const char *text, size_t length)
{
    (void)priority;
    ck_assert_int_gt(write(*(int *)context, text, length), 0);
}

/* Which call is made with a size that cannot be had. */
static const char *const exhaust_names[] = { "new", "resize", "reserve" };

static void exhaust(int which)
{
    volatile size_t huge = SIZE_MAX / 2;
    void *p = NULL;
    size_t cap = 0;

    if (which == 0)
        p = mem_new(huge, 3);
    else if (which == 1)
        p = mem_resize(p, huge, 3);
    else
        mem_reserve(&p, &cap, huge, 3);
    mem_free(p);
    _exit(0);
}

START_TEST(exhaustion_logs_one_line_and_ends_with_75)
{
    char said[LOG_RECORD_MAX + 1];
    int pipes[2];
    int status;
    ssize_t n;
    pid_t pid;

    ck_assert_int_eq(pipe(pipes), 0);
    pid = fork();
    if (pid == 0) {
        log_set_sink(sink_to_fd, &pipes[1]);
        exhaust(_i);
    }
    close(pipes[1]);
    n = read(pipes[0], said, sizeof said - 1);
    ck_assert_int_gt(n, 0);
    said[n] = '\0';
    close(pipes[0]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == MEM_EXIT_STATUS, "%s", exhaust_names[_i]);
    ck_assert_msg(strstr(said, "out of memory") != NULL, "%s said: %s", exhaust_names[_i], said);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mem");
    TCase *tc = tcase_create("mem");

    tcase_add_test(tc, new_memory_is_zeroed_and_never_null);
    tcase_add_test(tc, reserve_grows_by_half_and_keeps_content);
    tcase_add_test(tc, copies_end_in_nul);
    tcase_add_test(tc, wipe_and_equal);
    tcase_add_loop_test(tc, exhaustion_logs_one_line_and_ends_with_75, 0, 3);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
