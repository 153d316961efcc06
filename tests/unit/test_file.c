/* file: complete I/O over short counts, the rules at open, and descriptors at start. */
#include "config.h" /* 64-bit offsets */

#include "tests/unit/unit.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"

#define LEN(a) (sizeof(a) / sizeof(*(a)))

static char dir[64];
static int dirfd_;
static struct strbuf why;

static void setup(void)
{
    snprintf(dir, sizeof dir, "/tmp/test_file.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    dirfd_ = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    strbuf_init(&why, STRBUF_WHY_MAX);
}

static void teardown(void)
{
    char command[120];

    close(dirfd_);
    strbuf_free(&why);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

/* A file of the given mode and text in the directory. */
static void make(const char *name, mode_t mode, const char *text)
{
    int fd = openat(dirfd_, name, O_CREAT | O_EXCL | O_WRONLY, 0600);

    ck_assert_int_eq(file_write(fd, text, strlen(text)), (ssize_t)strlen(text));
    ck_assert_int_eq(fchmod(fd, mode), 0);
    close(fd);
}

START_TEST(read_goes_on_after_short_counts)
{
    char buf[10] = "";
    int pipes[2];
    pid_t pid;

    ck_assert_int_eq(pipe(pipes), 0);
    pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 7; i++) {
            ck_assert_int_eq(file_write(pipes[1], &"abcdefg"[i], 1), 1);
            usleep(1000);
        }
        _exit(0);
    }
    close(pipes[1]);
    ck_assert_int_eq(file_read(pipes[0], buf, 5), 5);
    ck_assert_str_eq(buf, "abcde");
    ck_assert_int_eq(file_read(pipes[0], buf, 5), 2);
    ck_assert_int_eq(file_read(pipes[0], buf, 5), 0);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    close(pipes[0]);
}
END_TEST

static volatile sig_atomic_t alarms;

static void on_alarm(int signal_number)
{
    (void)signal_number;
    alarms++;
}

/* The child waits until alarms interrupted us (a write first with a short count, then with EINTR), then gives or takes
   what we wait for. */
START_TEST(signals_do_not_end_reads_and_writes)
{
    static char big[200000];
    struct sigaction action = { .sa_handler = on_alarm }; /* without SA_RESTART */
    const struct itimerval often = { { .tv_usec = 20000 }, { .tv_usec = 20000 } };
    const struct itimerval never = { { 0 }, { 0 } };
    int pipes[2], status;
    char c = 0;
    pid_t pid;

    for (int writing = 0; writing <= 1; writing++) {
        ck_assert_int_eq(pipe(pipes), 0);
        pid = fork();
        if (pid == 0) {
            usleep(100000);
            if (!writing)
                _exit(write(pipes[1], "x", 1) == 1 ? 0 : 1);
            close(pipes[1]);
            while (read(pipes[0], big, sizeof big) > 0)
                ;
            _exit(0);
        }
        ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
        ck_assert_int_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
        if (writing)
            ck_assert_int_eq(file_write(pipes[1], big, sizeof big), sizeof big);
        else
            ck_assert_int_eq(file_read(pipes[0], &c, 1), 1);
        ck_assert_int_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
        ck_assert_int_ge(alarms, 2);
        alarms = 0;
        close(pipes[0]);
        close(pipes[1]);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(status, 0);
    }
}
END_TEST

START_TEST(positions_beyond_4_gib_work)
{
    char buf[8] = "";
    off_t far = (off_t)5 << 30;
    int fd = openat(dirfd_, "f", O_CREAT | O_RDWR, 0600);

    ck_assert_int_eq(file_pwrite(fd, "hello", 5, far), 5);
    ck_assert_int_eq(file_pread(fd, buf, 7, far - 2), 7);
    ck_assert_int_eq(memcmp(buf, "\0\0hello", 7), 0);
    ck_assert_int_eq(file_pread(fd, buf, 7, far), 5);
    ck_assert_int_eq(file_pread(fd, buf, 7, far + 5), 0);
    close(fd);
}
END_TEST

START_TEST(write_errors_are_told)
{
    char block[8192] = "";
    struct rlimit limit = { 4096, 4096 };
    int full = open("/dev/full", O_WRONLY);
    int fd = openat(dirfd_, "f", O_CREAT | O_RDWR, 0600);

    ck_assert_int_eq(file_write(full, "x", 1), -1);
    ck_assert_int_eq(errno, ENOSPC);
    ck_assert_int_eq(file_pwrite(-1, "x", 1, 0), -1);
    ck_assert_int_eq(errno, EBADF);
    ck_assert_int_eq(file_read(-1, block, 1), -1);
    ck_assert_int_eq(file_write(-1, block, 0), 0);
    /* The first half fits, the second does not: the short count must not pass as success. */
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(file_pwrite(fd, block, sizeof block, 0), -1);
    ck_assert_int_eq(errno, EFBIG);
    close(full);
    close(fd);
}
END_TEST

static const struct open_case {
    const char *name;
    const char *prepare; /* run in the directory by the shell */
    int flags;
    mode_t forbidden;
    bool wrong_owner;
    int error; /* 0: opens */
    const char *why;
} opens[] = {
    { "plain", "echo x >f", O_RDONLY, 0, false, 0, "" },
    { "created", "true", O_RDWR | O_CREAT, 0077, false, 0, "" },
    { "missing", "true", O_RDWR, 0, false, ENOENT, "No such file" },
    { "symbolic link", "echo x >g; ln -s g f", O_RDONLY, 0, false, ELOOP, "symbolic link" },
    { "dangling link is not created through", "ln -s g f", O_RDWR | O_CREAT, 0, false, ELOOP, "symbolic link" },
    { "fifo, reading", "mkfifo f", O_RDONLY, 0, false, EPERM, "not a regular file" },
    { "fifo, writing", "mkfifo f", O_WRONLY, 0, false, EPERM, "not a regular file" },
    { "directory", "mkdir f", O_RDONLY, 0, false, EPERM, "not a regular file" },
    { "hard link", "echo x >g; ln g f", O_RDONLY, 0, false, EMLINK, "2 links" },
    { "forbidden mode", "echo x >f; chmod 0666 f", O_RDONLY, 0022, false, EPERM,
      "has mode 0666, but must not have 0022 (chmod 0644" },
    { "other mode bits", "echo x >f; chmod 0644 f", O_RDONLY, 0022, false, 0, "" },
    { "wrong owner", "echo x >f", O_RDONLY, 0, true, EPERM, "but must belong to uid 4242" },
    { "exclusive", "echo x >f", O_WRONLY | O_CREAT | O_EXCL, 0, false, EEXIST, "File exists" },
};

START_TEST(open_checks_its_rules)
{
    const struct open_case *c = &opens[_i];
    struct file_rules rules = { .owner = c->wrong_owner ? 4242 : geteuid(), .forbidden = c->forbidden };
    char command[200];
    struct stat st;
    int fd;

    snprintf(command, sizeof command, "cd %s && umask 022 && (%s)", dir, c->prepare);
    ck_assert_int_eq(system(command), 0);
    fd = file_open(dirfd_, "f", "/shown/name", c->flags, 0600, &rules, &st, &why);
    ck_assert_msg((fd < 0 ? errno : 0) == c->error, "%s: %s (%s)", c->name, fd < 0 ? strerror(errno) : "opened",
                  why.data);
    if (fd < 0) {
        ck_assert_msg(strstr(why.data, c->why) && strstr(why.data, "/shown/name"), "%s: %s", c->name, why.data);
        return;
    }
    ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    ck_assert(S_ISREG(st.st_mode));
    close(fd);
}
END_TEST

START_TEST(truncation_waits_for_the_rules)
{
    struct file_rules strict = { .owner = 4242 };
    struct file_rules loose = { .any_owner = true, .many_links = true };
    struct stat st;
    int fd;

    make("f", 0600, "precious");
    ck_assert_int_eq(file_open(dirfd_, "f", "f", O_WRONLY | O_TRUNC, 0, &strict, &st, &why), -1);
    ck_assert_int_eq(fstatat(dirfd_, "f", &st, 0), 0);
    ck_assert_int_eq(st.st_size, 8);
    fd = file_open(dirfd_, "f", "f", O_WRONLY | O_TRUNC, 0, &loose, &st, &why);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(st.st_size, 0);
    ck_assert_int_eq(fstat(fd, &st), 0);
    ck_assert_int_eq(st.st_size, 0);
    close(fd);
}
END_TEST

START_TEST(append_flag_stays)
{
    struct file_rules rules = { .any_owner = true };
    struct stat st;
    int fd = file_open(dirfd_, "f", "f", O_WRONLY | O_APPEND | O_CREAT, 0600, &rules, &st, &why);

    ck_assert_int_eq(fcntl(fd, F_GETFL) & O_APPEND, O_APPEND);
    close(fd);
}
END_TEST

START_TEST(root_may_own_when_the_rules_say_so)
{
    struct file_rules rules = { .owner = 4242, .root_may_own = true };
    struct stat st;
    int fd = file_open(AT_FDCWD, "/etc/passwd", "/etc/passwd", O_RDONLY, 0, &rules, &st, &why);

    ck_assert_int_ge(fd, 0);
    close(fd);
}
END_TEST

START_TEST(no_permission_names_the_uid)
{
    struct file_rules rules = { .any_owner = true };
    char expected[60];
    struct stat st;

    make("f", 0, "secret");
    if (geteuid() == 0) {
        ck_assert_int_eq(fchmod(dirfd_, 0755), 0);
        ck_assert_int_eq(seteuid(65534), 0);
    }
    ck_assert_int_eq(file_open(dirfd_, "f", "/spool/f", O_RDONLY, 0, &rules, &st, &why), -1);
    ck_assert_int_eq(errno, EACCES);
    snprintf(expected, sizeof expected, "/spool/f cannot be opened for reading by uid %ld", (long)geteuid());
    ck_assert_msg(strstr(why.data, expected) != NULL, "%s", why.data);
    if (getuid() == 0)
        ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

static const struct {
    const char *name;
    size_t size, max, buffer;
    int error;
} slurps[] = {
    { "empty", 0, 10, 100, 0 },
    { "small", 7, 10, 100, 0 },
    { "exactly max", 10, 10, 100, 0 },
    { "one more", 11, 10, 100, EFBIG },
    { "a full chunk", 4096, 4096, 10000, 0 },
    { "chunk and one", 4097, 4096, 10000, EFBIG },
    { "several chunks", 9000, 10000, 10000, 0 },
    { "buffer too small", 101, 200, 100, EFBIG },
};

START_TEST(slurp_reads_all_or_nothing)
{
    struct strbuf content = STRBUF_INIT(slurps[_i].buffer);
    char *text = mem_new(slurps[_i].size + 1, 1);
    int fd;

    memset(text, 'x', slurps[_i].size);
    make("f", 0600, text);
    strbuf_adds(&content, "old");
    fd = openat(dirfd_, "f", O_RDONLY);
    ck_assert_int_eq(file_slurp(fd, slurps[_i].max, "/etc/f", &content, &why), slurps[_i].error ? -1 : 0);
    if (slurps[_i].error) {
        ck_assert_int_eq(errno, slurps[_i].error);
        ck_assert_uint_eq(content.len, 0);
        ck_assert_msg(strstr(why.data, "/etc/f is larger than"), "%s: %s", slurps[_i].name, why.data);
    } else {
        ck_assert_str_eq(content.data, text);
    }
    close(fd);
    strbuf_free(&content);
    mem_free(text);
}
END_TEST

START_TEST(slurp_tells_why_it_cannot_read)
{
    struct strbuf content = STRBUF_INIT(100);

    ck_assert_int_eq(file_slurp(dirfd_, 10, "/etc/dir", &content, &why), -1);
    ck_assert_int_eq(errno, EISDIR);
    ck_assert_str_eq(why.data, "/etc/dir cannot be read: Is a directory");
}
END_TEST

static const struct {
    const char *path, *dir, *name;
} splits[] = {
    { "fred", ".", "fred" }, { "/fred", "/", "fred" }, { "/var/mail/fred", "/var/mail", "fred" }, { "a/b", "a", "b" },
    { "a//b", "a", "b" },    { "///b", "/", "b" },     { "/var/mail/", "/var/mail", "" },         { "", ".", "" },
};

START_TEST(split_keeps_directory_and_name)
{
    char *d, *n;

    file_split(splits[_i].path, &d, &n);
    ck_assert_msg(strcmp(d, splits[_i].dir) == 0 && strcmp(n, splits[_i].name) == 0, "%s: %s and %s", splits[_i].path,
                  d, n);
    mem_free(d);
    mem_free(n);
}
END_TEST

START_TEST(same_and_ns)
{
    struct stat a, b;
    struct timespec t = { 1700000000, 123456789 };
    struct timespec before = { -1, 999999999 };

    make("f", 0600, "");
    make("g", 0600, "");
    ck_assert_int_eq(fstatat(dirfd_, "f", &a, 0), 0);
    ck_assert_int_eq(fstatat(dirfd_, "g", &b, 0), 0);
    ck_assert(!file_same(&a, &b));
    ck_assert(file_same(&a, &a));
    ck_assert_int_eq(file_ns(&t), INT64_C(1700000000123456789));
    ck_assert_int_eq(file_ns(&before), -1);
}
END_TEST

/* In a child, because it closes what the test framework needs. The child's exit status is the number of the first
   check that failed. */
static int sanitized_wrongly(void)
{
    struct stat null, st;
    int keep[] = { 20, 12, -1, 20 };

    for (int fd = 10; fd < 25; fd++)
        dup2(dirfd_, fd);
    close(0);
    close(2);
    file_sanitize_descriptors(3, keep, LEN(keep));
    if (stat("/dev/null", &null) < 0 || fstat(0, &st) < 0 || st.st_rdev != null.st_rdev)
        return 1;
    if (fstat(2, &st) < 0 || st.st_rdev != null.st_rdev)
        return 2;
    if (write(2, "x", 1) != 1 || read(0, &st, 1) != 0)
        return 3;
    for (int fd = 3; fd < 1000; fd++) {
        bool should = fd == 12 || fd == 20;

        if ((fcntl(fd, F_GETFD) >= 0) != should)
            return fd;
    }
    return 0;
}

START_TEST(descriptors_are_made_valid_and_the_rest_closed)
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(sanitized_wrongly());
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("file");
    TCase *tc = tcase_create("file");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, read_goes_on_after_short_counts);
    tcase_add_test(tc, signals_do_not_end_reads_and_writes);
    tcase_add_test(tc, positions_beyond_4_gib_work);
    tcase_add_test(tc, write_errors_are_told);
    tcase_add_loop_test(tc, open_checks_its_rules, 0, LEN(opens));
    tcase_add_test(tc, truncation_waits_for_the_rules);
    tcase_add_test(tc, append_flag_stays);
    tcase_add_test(tc, root_may_own_when_the_rules_say_so);
    tcase_add_test(tc, no_permission_names_the_uid);
    tcase_add_loop_test(tc, slurp_reads_all_or_nothing, 0, LEN(slurps));
    tcase_add_test(tc, slurp_tells_why_it_cannot_read);
    tcase_add_loop_test(tc, split_keeps_directory_and_name, 0, LEN(splits));
    tcase_add_test(tc, same_and_ns);
    tcase_add_test(tc, descriptors_are_made_valid_and_the_rest_closed);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
