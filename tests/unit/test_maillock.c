/*
 * maillock, dotlock and lockowner: what stands in the way, what is stale, who may remove what, and that of many who
 * want the locks at the same time only one has them.
 */
#include "config.h" /* system extensions, 64-bit offsets */

#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/dotlock_state.h"
#include "common/identity.h"
#include "common/lockowner.h"
#include "common/log.h"
#include "common/maillock.h"

#define LEN(a) (sizeof(a) / sizeof(*(a)))
#define USER 61234
#define GROUP 61235
#define MAIL 61236

static char dir[64];
static int dirfd_;
static int fd = -1; /* of the maildrop "fred" */
static struct strbuf why;
static struct strbuf said; /* what came by the log */

static void hear(void *context, int priority, const char *text, size_t length)
{
    (void)context;
    (void)length;
    strbuf_addf(&said, "<%d>%s\n", priority, text);
}

static void make(const char *name, const char *text, size_t n)
{
    int f = openat(dirfd_, name, O_CREAT | O_WRONLY | O_TRUNC, 0600);

    ck_assert_int_ge(f, 0);
    ck_assert_int_eq(write(f, text, n), (ssize_t)n);
    close(f);
}

/* The file's mtime becomes `seconds` ago. */
static void age(const char *name, int seconds)
{
    struct timespec times[2];

    clock_gettime(CLOCK_REALTIME, &times[0]);
    times[0].tv_sec -= seconds;
    times[1] = times[0];
    ck_assert_int_eq(utimensat(dirfd_, name, times, AT_SYMLINK_NOFOLLOW), 0);
}

static bool there(const char *name)
{
    struct stat st;

    return fstatat(dirfd_, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Files in the directory: nothing temporary may stay behind. */
static int count_files(void)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    int n = 0;

    while ((e = readdir(d)) != NULL)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

/* ---- the calls of dotlock_dir come by here (--wrap): what this file system cannot do, and who dies before which call */

static enum dotlock_way way; /* the first that works here */
static int calls, die_at;   /* die_at 0: never */

static void count_call(void)
{
    if (++calls == die_at)
        _exit(0);
}

int __real_dotlock_dir_create(const struct dotlock *l, const char *name);
int __wrap_dotlock_dir_create(const struct dotlock *l, const char *name);
int __real_dotlock_dir_nameless(const struct dotlock *l);
int __wrap_dotlock_dir_nameless(const struct dotlock *l);
int __real_dotlock_dir_link(const struct dotlock *l, int f);
int __wrap_dotlock_dir_link(const struct dotlock *l, int f);
int __real_dotlock_dir_rename(const struct dotlock *l, const char *from, const char *to, bool replace);
int __wrap_dotlock_dir_rename(const struct dotlock *l, const char *from, const char *to, bool replace);
int __real_dotlock_dir_unlink(const struct dotlock *l, const char *name);
int __wrap_dotlock_dir_unlink(const struct dotlock *l, const char *name);
ssize_t __real_file_write(int f, const void *data, size_t n);
ssize_t __wrap_file_write(int f, const void *data, size_t n);
static void swap_lock(const struct dotlock *l, const char *from);
static bool link_answer_lost, no_noreplace;

int __wrap_dotlock_dir_create(const struct dotlock *l, const char *name)
{
    count_call();
    return __real_dotlock_dir_create(l, name);
}

int __wrap_dotlock_dir_nameless(const struct dotlock *l)
{
    count_call();
    errno = EOPNOTSUPP;
    return way > DOTLOCK_NAMELESS ? -1 : __real_dotlock_dir_nameless(l);
}

int __wrap_dotlock_dir_link(const struct dotlock *l, int f)
{
    int result;

    count_call();
    errno = EPERM;
    result = way > DOTLOCK_NAMED ? -1 : __real_dotlock_dir_link(l, f);
    if (!link_answer_lost)
        return result;
    errno = EEXIST; /* what NFS says to the second try of what worked at the first */
    return -1;
}

int __wrap_dotlock_dir_rename(const struct dotlock *l, const char *from, const char *to, bool replace)
{
    count_call();
    swap_lock(l, from);
    errno = EINVAL;
    return no_noreplace && !replace ? -1 : __real_dotlock_dir_rename(l, from, to, replace);
}

int __wrap_dotlock_dir_unlink(const struct dotlock *l, const char *name)
{
    count_call();
    return __real_dotlock_dir_unlink(l, name);
}

ssize_t __wrap_file_write(int f, const void *data, size_t n)
{
    count_call();
    return __real_file_write(f, data, n);
}

static struct maillock *lock_for(unsigned mask, enum dotlock_way first)
{
    way = first;
    return maillock_new(dirfd_, "fred", "/var/mail/fred", mask, first == DOTLOCK_NAMED);
}

static void setup(void)
{
    strbuf_init(&why, STRBUF_WHY_MAX);
    strbuf_init(&said, 10000);
    log_set_sink(hear, NULL);
    snprintf(dir, sizeof dir, "/tmp/test_maillock.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    dirfd_ = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fd = openat(dirfd_, "fred", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
}

static void teardown(void)
{
    char command[200];

    close(fd);
    close(dirfd_);
    strbuf_free(&why);
    strbuf_free(&said);
    snprintf(command, sizeof command, "chmod -R u+rwx %s; rm -rf %s", dir, dir);
    ck_assert_int_eq(system(command), 0);
}

/* ---- lockowner */

static pid_t dead_pid(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    return pid;
}

/* A lock's text with our words, some of them replaced: pid 0 and NULL keep ours. */
static size_t owner_text(char *text, long pid, const char *host, const char *boot, const char *start, const char *space)
{
    char ours[LOCKOWNER_MAX], word[5][100];

    lockowner_text(ours);
    ck_assert_int_eq(sscanf(ours, "%99s %99s %99s %99s %99s", word[0], word[1], word[2], word[3], word[4]), 5);
    if (pid)
        snprintf(word[0], sizeof word[0], "%ld", pid);
    return (size_t)snprintf(text, LOCKOWNER_MAX, "%s %s %s %s %s\n", word[0], host ? host : word[1],
                            boot ? boot : word[2], start ? start : word[3], space ? space : word[4]);
}

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

/* ---- parse */

static const struct {
    const char *text;
    int mask; /* 0: refused */
    const char *why;
} lists[] = {
    { "dotlock,fcntl", 3, "" },
    { "fcntl,dotlock", 3, "" },
    { "dotlock , fcntl,\tflock", 7, "" },
    { " FLOCK ", 4, "" },
    { "fcntl,fcntl", 2, "" },
    { "fcntl flock", 6, "" },
    { "", 0, "\"\" is not a way of locking; give one or more of dotlock, fcntl, flock" },
    { "dotlock,", 0, "\"\" is not" },
    { ",fcntl", 0, "\"\" is not" },
    { "lockf", 0, "\"lockf\" is not" },
    { "fcntl,dot", 0, "\"dot\" is not" },
    { "dotlock,fcntlx", 0, "\"fcntlx\" is not" },
};

START_TEST(method_lists)
{
    unsigned mask = 99;

    ck_assert_msg(maillock_parse(lists[_i].text, &mask, &why) == (lists[_i].mask ? 0 : -1), "%s", lists[_i].text);
    ck_assert_msg(mask == (lists[_i].mask ? (unsigned)lists[_i].mask : 99), "%s: %u", lists[_i].text, mask);
    ck_assert_msg(strstr(why.data, lists[_i].why) != NULL, "%s: %s", lists[_i].text, why.data);
}
END_TEST

/* ---- taking and giving back */

/* What a stranger can get on the maildrop, as a mask: tried by another process on a description of its own. */
static unsigned free_for_strangers(void)
{
    struct flock range = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        unsigned mask = 0;
        int own = openat(dirfd_, "fred", O_RDWR);

        mask |= fcntl(own, F_SETLK, &range) == 0 ? MAILLOCK_FCNTL : 0;
        mask |= flock(own, LOCK_EX | LOCK_NB) == 0 ? MAILLOCK_FLOCK : 0;
        mask |= there("fred.lock") ? 0 : MAILLOCK_DOTLOCK;
        _exit((int)mask);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    return (unsigned)WEXITSTATUS(status);
}

START_TEST(each_combination_is_taken_and_given_back)
{
    unsigned mask = 1 + (unsigned)_i % 7;
    struct maillock *lock = lock_for(mask, (enum dotlock_way)_i / 7);

    ck_assert(!maillock_held(lock));
    errno = ENOTTY;
    ck_assert_int_eq(maillock_acquire(lock, fd, 0, &why), MAILLOCK_OK);
    ck_assert(maillock_held(lock));
    ck_assert(maillock_is_ours(lock));
    ck_assert_uint_eq(free_for_strangers(), 7 & ~mask);
    ck_assert_int_eq(count_files(), mask & MAILLOCK_DOTLOCK ? 2 : 1);
    ck_assert_int_eq(maillock_acquire(lock, fd, 0, &why), MAILLOCK_BUSY);
    ck_assert_uint_eq(free_for_strangers(), 7 & ~mask);
    /* An fcntl lock of the old kind would go with the close of any descriptor of the file. */
    close(openat(dirfd_, "fred", O_RDWR));
    ck_assert_uint_eq(free_for_strangers(), 7 & ~mask);
    maillock_release(lock);
    ck_assert(!maillock_held(lock));
    ck_assert_uint_eq(free_for_strangers(), 7);
    ck_assert_int_eq(count_files(), 1);
    ck_assert_int_eq(maillock_acquire(lock, fd, 0, &why), MAILLOCK_OK);
    maillock_close(&lock);
    ck_assert_ptr_null(lock);
    maillock_close(&lock);
    ck_assert_uint_eq(free_for_strangers(), 7);
    ck_assert_str_eq(said.data, "");
}
END_TEST

START_TEST(dot_lock_says_whose_it_is)
{
    struct maillock *lock = lock_for(MAILLOCK_DOTLOCK, (enum dotlock_way)_i);
    char text[LOCKOWNER_MAX] = "", expected[LOCKOWNER_MAX];
    struct stat st;
    int f;

    ck_assert_int_eq(maillock_acquire(lock, -1, 0, &why), MAILLOCK_OK);
    f = openat(dirfd_, "fred.lock", O_RDONLY);
    ck_assert_int_eq(read(f, text, sizeof text - 1), (ssize_t)lockowner_text(expected));
    ck_assert_str_eq(text, expected);
    ck_assert_int_eq(fstat(f, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    ck_assert_uint_eq(st.st_nlink, 1);
    close(f);
    maillock_close(&lock);
}
END_TEST

START_TEST(without_a_maildrop_only_the_dot_lock_is_taken)
{
    struct maillock *lock = lock_for(7, DOTLOCK_NAMELESS);

    ck_assert_int_eq(maillock_acquire(lock, -1, 0, &why), MAILLOCK_OK);
    ck_assert_uint_eq(free_for_strangers(), MAILLOCK_FCNTL | MAILLOCK_FLOCK);
    maillock_close(&lock);
}
END_TEST

START_TEST(quota_or_full_disk_does_not_keep_from_locking)
{
    struct rlimit none = { 0, RLIM_INFINITY };
    struct maillock *lock = lock_for(7, (enum dotlock_way)_i);
    struct stat st;

    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    ck_assert_int_eq(maillock_acquire(lock, fd, 0, &why), MAILLOCK_OK);
    ck_assert_int_eq(fstatat(dirfd_, "fred.lock", &st, 0), 0);
    ck_assert_int_eq(st.st_size, 0);
    ck_assert(maillock_is_ours(lock));
    maillock_close(&lock);
    ck_assert_int_eq(count_files(), 1);
    none.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &none);
}
END_TEST

/* ---- the locks of others */

/* A process that holds something until it is told to end. */
struct holder {
    pid_t pid;
    int tell;
};

static struct holder hold(bool by_flock)
{
    struct flock range = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    int ready[2], end[2];
    struct holder h;
    char c = 0;

    ck_assert_int_eq(pipe(ready), 0);
    ck_assert_int_eq(pipe(end), 0);
    h.pid = fork();
    if (h.pid == 0) {
        int own = openat(dirfd_, "fred", O_RDWR);
        int result = by_flock ? flock(own, LOCK_EX) : fcntl(own, F_SETLK, &range);

        close(end[1]);
        _exit(result == 0 && write(ready[1], "x", 1) == 1 && read(end[0], &c, 1) == 0 ? 0 : 1);
    }
    close(ready[1]);
    close(end[0]);
    ck_assert_int_eq(read(ready[0], &c, 1), 1);
    close(ready[0]);
    h.tell = end[1];
    return h;
}

static void let_go(struct holder h)
{
    close(h.tell);
    ck_assert_int_eq(waitpid(h.pid, NULL, 0), h.pid);
}

START_TEST(busy_releases_everything_and_says_who)
{
    bool by_flock = _i == 1;
    struct maillock *lock = lock_for(7, DOTLOCK_NAMELESS);
    struct holder h = hold(by_flock);
    char expected[100];

    ck_assert_int_eq(maillock_acquire(lock, fd, 0, &why), MAILLOCK_BUSY);
    if (by_flock)
        snprintf(expected, sizeof expected, "/var/mail/fred is locked (flock) by another program");
    else
        snprintf(expected, sizeof expected, "/var/mail/fred is locked (fcntl) by process %ld", (long)h.pid);
    ck_assert_msg(strstr(why.data, expected) != NULL, "%s", why.data);
    ck_assert(!maillock_held(lock));
    ck_assert_uint_eq(free_for_strangers(), 7 & ~(unsigned)(by_flock ? MAILLOCK_FLOCK : MAILLOCK_FCNTL));
    let_go(h);
    ck_assert_int_eq(maillock_acquire(lock, fd, 0, &why), MAILLOCK_OK);
    maillock_close(&lock);
}
END_TEST

/* A maildrop that was made under the dot lock alone, and another one after that. */
START_TEST(the_locks_move_to_another_file)
{
    struct maillock *lock = lock_for(7, DOTLOCK_NAMELESS);
    int other;

    ck_assert_int_eq(maillock_acquire(lock, -1, 0, &why), MAILLOCK_OK);
    ck_assert_int_eq(maillock_move(lock, fd, &why), MAILLOCK_OK);
    ck_assert_uint_eq(free_for_strangers(), 0);
    other = openat(dirfd_, "other", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    ck_assert_int_eq(maillock_move(lock, other, &why), MAILLOCK_OK);
    ck_assert_uint_eq(free_for_strangers(), 7 & ~(unsigned)MAILLOCK_DOTLOCK);
    ck_assert_int_eq(maillock_move(lock, fd, &why), MAILLOCK_OK);
    ck_assert_uint_eq(free_for_strangers(), 0);
    maillock_release(lock);
    ck_assert_uint_eq(free_for_strangers(), 7);
    maillock_close(&lock);
    close(other);
}
END_TEST

START_TEST(the_locks_stay_where_they_are_if_the_other_file_is_busy)
{
    struct holder h = hold(_i == 1);
    struct maillock *lock = lock_for(7, DOTLOCK_NAMELESS);
    struct flock range = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    int other = openat(dirfd_, "other", O_CREAT | O_RDWR | O_CLOEXEC, 0600), again = openat(dirfd_, "other", O_RDWR | O_CLOEXEC);

    ck_assert_int_eq(maillock_acquire(lock, other, 0, &why), MAILLOCK_OK);
    ck_assert_int_eq(maillock_move(lock, fd, &why), MAILLOCK_BUSY);
    ck_assert(maillock_held(lock));
    ck_assert_int_lt(fcntl(again, F_OFD_SETLK, &range), 0);
    ck_assert_int_lt(flock(again, LOCK_EX | LOCK_NB), 0);
    /* What was taken before the busy one was given back. */
    ck_assert_uint_eq(free_for_strangers(), _i == 1 ? MAILLOCK_FCNTL : MAILLOCK_FLOCK);
    let_go(h);
    maillock_close(&lock);
    ck_assert_int_eq(fcntl(again, F_OFD_SETLK, &range), 0);
    ck_assert_int_eq(flock(again, LOCK_EX | LOCK_NB), 0);
    close(again);
    close(other);
}
END_TEST

START_TEST(a_dot_lock_gives_its_room)
{
    struct maillock *lock = lock_for(MAILLOCK_DOTLOCK, (enum dotlock_way)_i);
    struct stat st;

    maillock_give_room(lock);
    ck_assert_int_eq(maillock_acquire(lock, fd, 0, &why), MAILLOCK_OK);
    ck_assert_int_eq(fstatat(dirfd_, "fred.lock", &st, 0), 0);
    ck_assert_int_gt(st.st_size, 0);
    maillock_give_room(lock);
    ck_assert_int_eq(fstatat(dirfd_, "fred.lock", &st, 0), 0);
    ck_assert_int_eq(st.st_size, 0);
    ck_assert(maillock_is_ours(lock));
    maillock_close(&lock);
    ck_assert_int_eq(count_files(), 1);
}
END_TEST

static int64_t ms_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

START_TEST(waits_as_long_as_asked_and_no_longer)
{
    struct maillock *lock = lock_for(3, DOTLOCK_NAMELESS);
    struct holder h = hold(false);
    int64_t start = ms_now();
    pid_t pid;

    ck_assert_int_eq(maillock_acquire(lock, fd, 80, &why), MAILLOCK_BUSY);
    ck_assert_int_ge(ms_now() - start, 80);
    ck_assert_int_lt(ms_now() - start, 3000);
    pid = fork();
    if (pid == 0) { /* the parent's copy of the pipe keeps h alive: it is ended from here */
        usleep(50000);
        _exit(kill(h.pid, SIGKILL));
    }
    ck_assert_int_eq(maillock_acquire(lock, fd, 10000, &why), MAILLOCK_OK);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    let_go(h);
    maillock_close(&lock);
}
END_TEST

START_TEST(other_handles_and_processes_of_ours_are_respected)
{
    struct maillock *first = lock_for(MAILLOCK_DOTLOCK, DOTLOCK_NAMELESS);
    struct maillock *second = lock_for(MAILLOCK_DOTLOCK, (enum dotlock_way)_i);
    char expected[100];

    ck_assert_int_eq(maillock_acquire(first, -1, 0, &why), MAILLOCK_OK);
    age("fred.lock", 100000); /* alive counts, not age */
    ck_assert_int_eq(maillock_acquire(second, -1, 0, &why), MAILLOCK_BUSY);
    snprintf(expected, sizeof expected, "/var/mail/fred.lock is held by process %ld of this machine", (long)getpid());
    ck_assert_str_eq(why.data, expected);
    maillock_close(&second);
    ck_assert(maillock_is_ours(first));
    maillock_close(&first);
}
END_TEST

/* ---- stale or not: the text of the lock, its age, the result */

enum content {
    EMPTY,
    ZERO,
    GARBAGE,
    BINARY,
    HUGE_TEXT,
    OURS_ALIVE,
    OURS_DEAD,
    OURS_REUSED,
    OURS_NO_START,
    OURS_CUT,
    OURS_LONGER,
    OURS_HOST,
    OURS_BOOT,
    OURS_SPACE,
    OURS_NEGATIVE,
    OURS_TOO_BIG
};

static const struct {
    const char *name;
    enum content content;
    int age;
    enum maillock_result result;
    const char *text; /* in why when it stays, in the log when it goes */
} stale[] = {
    { "empty, fresh", EMPTY, 0, MAILLOCK_BUSY, "held by another mail program" },
    { "empty, nearly old", EMPTY, MAILLOCK_STALE - 5, MAILLOCK_BUSY, "held by another mail program" },
    { "empty, old", EMPTY, MAILLOCK_STALE + 1, MAILLOCK_OK, "nobody refreshes it" },
    { "empty, from the future", EMPTY, -1000, MAILLOCK_BUSY, "refreshed 0 s ago" },
    { "procmail's 0, fresh", ZERO, 0, MAILLOCK_BUSY, "held by another mail program" },
    { "procmail's 0, old", ZERO, 400, MAILLOCK_OK, "fred.lock is 400 s old" },
    { "a pid of liblockfile, fresh", GARBAGE, 0, MAILLOCK_BUSY, "held by another mail program" },
    { "a pid of liblockfile, old", GARBAGE, 400, MAILLOCK_OK, "stale lock removed" },
    { "NUL bytes, fresh", BINARY, 0, MAILLOCK_BUSY, "held by another" },
    { "NUL bytes, old", BINARY, 400, MAILLOCK_OK, "stale lock removed" },
    { "huge, fresh", HUGE_TEXT, 0, MAILLOCK_BUSY, "held by another" },
    { "ours, process lives, old", OURS_ALIVE, 100000, MAILLOCK_BUSY, "is held by process" },
    { "ours, process gone, fresh", OURS_DEAD, 0, MAILLOCK_OK,
      "<5>stale lock removed: /var/mail/fred.lock was left by process" },
    { "ours, pid is another process by now", OURS_REUSED, 0, MAILLOCK_OK, "which is gone" },
    { "ours, start not known, pid lives", OURS_NO_START, 100000, MAILLOCK_BUSY, "is held by process" },
    { "ours and gone, but torn", OURS_CUT, 0, MAILLOCK_BUSY, "held by another mail program" },
    { "ours and gone, but more text", OURS_LONGER, 0, MAILLOCK_BUSY, "held by another mail program" },
    { "another machine, fresh", OURS_HOST, 0, MAILLOCK_BUSY, "held by another mail program" },
    { "another machine, old", OURS_HOST, 400, MAILLOCK_OK, "nobody refreshes it" },
    { "before the last boot, fresh", OURS_BOOT, 0, MAILLOCK_BUSY, "held by another mail program" },
    { "before the last boot, old", OURS_BOOT, 400, MAILLOCK_OK, "nobody refreshes it" },
    { "another container, fresh", OURS_SPACE, 0, MAILLOCK_BUSY, "held by another mail program" },
    { "negative pid", OURS_NEGATIVE, 0, MAILLOCK_BUSY, "held by another mail program" },
    { "pid beyond int", OURS_TOO_BIG, 0, MAILLOCK_BUSY, "held by another mail program" },
};

static void make_lock(enum content content)
{
    char text[2 * LOCKOWNER_MAX];
    char huge[20000];
    size_t n = 0;

    if (content == HUGE_TEXT) {
        memset(huge, '1', sizeof huge);
        make("fred.lock", huge, sizeof huge);
        return;
    }
    if (content == ZERO || content == GARBAGE || content == BINARY)
        n = content == BINARY ? 40 : (size_t)sprintf(text, content == ZERO ? "0" : "12345\n");
    if (content == BINARY)
        memset(text, 0, n);
    if (content == OURS_ALIVE)
        n = owner_text(text, 0, NULL, NULL, NULL, NULL);
    if (content == OURS_DEAD || content == OURS_CUT || content == OURS_LONGER)
        n = owner_text(text, dead_pid(), NULL, NULL, NULL, NULL);
    if (content == OURS_CUT)
        n--;
    if (content == OURS_LONGER)
        n += (size_t)sprintf(text + n, "more\n");
    if (content == OURS_REUSED)
        n = owner_text(text, 0, NULL, NULL, "1", NULL);
    if (content == OURS_NO_START)
        n = owner_text(text, 0, NULL, NULL, "-", NULL);
    if (content == OURS_HOST)
        n = owner_text(text, dead_pid(), "other.example.org", NULL, NULL, NULL);
    if (content == OURS_BOOT)
        n = owner_text(text, dead_pid(), NULL, "11111111-2222-3333-4444-555555555555", NULL, NULL);
    if (content == OURS_SPACE)
        n = owner_text(text, dead_pid(), NULL, NULL, NULL, "pid:[1]");
    if (content == OURS_NEGATIVE)
        n = owner_text(text, -1, NULL, NULL, NULL, NULL);
    if (content == OURS_TOO_BIG)
        n = owner_text(text, 4294967296 + dead_pid(), NULL, NULL, NULL, NULL);
    make("fred.lock", text, n);
}

START_TEST(stale_or_not)
{
    struct maillock *lock = lock_for(3, (enum dotlock_way)(_i % DOTLOCK_WAYS));
    const char *name = stale[_i / DOTLOCK_WAYS].name;

    make_lock(stale[_i / DOTLOCK_WAYS].content);
    age("fred.lock", stale[_i / DOTLOCK_WAYS].age);
    ck_assert_msg(maillock_acquire(lock, fd, 0, &why) == stale[_i / DOTLOCK_WAYS].result, "%s: %s", name, why.data);
    if (stale[_i / DOTLOCK_WAYS].result == MAILLOCK_OK) {
        ck_assert_msg(strstr(said.data, stale[_i / DOTLOCK_WAYS].text) != NULL, "%s: log has %s", name, said.data);
        ck_assert(maillock_is_ours(lock));
        ck_assert_int_eq(count_files(), 2);
    } else {
        ck_assert_msg(strstr(why.data, stale[_i / DOTLOCK_WAYS].text) != NULL, "%s: %s", name, why.data);
        ck_assert_str_eq(said.data, "");
    }
    maillock_close(&lock);
    ck_assert_int_eq(count_files(), stale[_i / DOTLOCK_WAYS].result == MAILLOCK_OK ? 1 : 2);
}
END_TEST

/* ---- what is no lock at all */

static const struct {
    const char *name, *prepare;
    int age;
    enum maillock_result result;
    const char *why;
    int files;
} traps[] = {
    { "symbolic link", "echo precious >g; ln -s g fred.lock", 400, MAILLOCK_ERROR, "not a regular file", 3 },
    { "symbolic link, fresh", "echo precious >g; ln -s g fred.lock", 0, MAILLOCK_ERROR, "not a regular file", 3 },
    { "dangling link", "echo precious >g; ln -s none fred.lock", 400, MAILLOCK_ERROR, "see who put it there", 3 },
    { "fifo", "echo precious >g; mkfifo fred.lock", 400, MAILLOCK_ERROR, "not a regular file", 3 },
    { "directory", "echo precious >g; mkdir fred.lock", 400, MAILLOCK_ERROR, "not a regular file", 3 },
    { "hard link, fresh", "echo precious >g; ln g fred.lock", 0, MAILLOCK_BUSY, "held by another mail program", 3 },
    { "hard link, old", "echo precious >g; ln g fred.lock", 400, MAILLOCK_ERROR, "has 2 links", 3 },
    { "maildrop of a user fred.lock", "echo precious >g; seq 200 >fred.lock", 400, MAILLOCK_ERROR, "the maildrop of a user", 3 },
};

START_TEST(traps_are_left_alone)
{
    struct maillock *lock = lock_for(3, (enum dotlock_way)(_i % DOTLOCK_WAYS));
    char command[200], text[20] = "";
    int i = _i / DOTLOCK_WAYS;
    int f;

    snprintf(command, sizeof command, "cd %.60s && (%s)", dir, traps[i].prepare);
    ck_assert_int_eq(system(command), 0);
    age("fred.lock", traps[i].age);
    ck_assert_msg(maillock_acquire(lock, fd, 0, &why) == traps[i].result, "%s: %s", traps[i].name, why.data);
    ck_assert_msg(strstr(why.data, traps[i].why) && strstr(why.data, "/var/mail/fred.lock"), "%s: %s", traps[i].name,
                  why.data);
    maillock_close(&lock);
    ck_assert_int_eq(count_files(), traps[i].files);
    f = openat(dirfd_, "g", O_RDONLY);
    ck_assert_int_eq(read(f, text, sizeof text), 9);
    ck_assert_str_eq(text, "precious\n");
    close(f);
    ck_assert_str_eq(said.data, "");
}
END_TEST

START_TEST(stale_hard_link_of_a_dead_owner_is_not_believed)
{
    struct maillock *lock = lock_for(3, DOTLOCK_NAMELESS);

    make_lock(OURS_DEAD);
    ck_assert_int_eq(linkat(dirfd_, "fred.lock", dirfd_, "g", 0), 0);
    ck_assert_int_eq(maillock_acquire(lock, fd, 0, &why), MAILLOCK_BUSY);
    maillock_close(&lock);
}
END_TEST

/* ---- permission */

/* Runs body in a child; what it returns must be 0, else the line that failed. */
static void in_child(int (*body)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(body());
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "check %d failed",
                  WIFEXITED(status) ? WEXITSTATUS(status) : -status);
}

static int no_permission(void)
{
    struct maillock *lock;

    if (fchmod(dirfd_, 0555) < 0 || (geteuid() == 0 && setresuid(USER, USER, USER) < 0))
        return 1;
    /* option: no-atomic-open */
    for (int first = 0; first < DOTLOCK_WAYS; first++) {
        lock = lock_for(7, (enum dotlock_way)first);
        if (maillock_acquire(lock, fd, 0, &why) != MAILLOCK_ERROR || maillock_held(lock))
            return 2;
        if (!strstr(why.data, "/var/mail/fred.lock: cannot be made") || !strstr(why.data, "mail-locks"))
            return 3;
        if (!strstr(why.data, "Permission denied for uid"))
            return 4;
        maillock_close(&lock);
    }
    return 0;
}

START_TEST(no_permission_is_an_error_with_advice)
{
    in_child(no_permission);
    fchmod(dirfd_, 0700);
}
END_TEST

static int stranger_holds_it(void)
{
    struct maillock *lock = lock_for(3, DOTLOCK_NAMELESS);

    if (fchmod(dirfd_, 0555) < 0 || (geteuid() == 0 && setresuid(USER, USER, USER) < 0))
        return 1;
    /* Neither a file can be made here nor (as another user) the lock be read: fresh is busy all the same, old an
       error. */
    if (maillock_acquire(lock, fd, 0, &why) != (there("old") ? MAILLOCK_ERROR : MAILLOCK_BUSY))
        return 2;
    if (!strstr(why.data, there("old") ? "looks stale" : "held by another mail program"))
        return 3;
    maillock_close(&lock);
    return 0;
}

START_TEST(lock_in_a_directory_that_cannot_be_written)
{
    make_lock(EMPTY);
    if (_i) {
        make("old", "", 0); /* tells the child */
        age("fred.lock", 400);
    }
    in_child(stranger_holds_it);
    fchmod(dirfd_, 0700);
}
END_TEST

static int sticky(void)
{
    struct maillock *lock = lock_for(3, DOTLOCK_NAMELESS);

    if (fchmod(dirfd_, 01777) < 0 || setresuid(USER, USER, USER) < 0)
        return 1;
    if (maillock_acquire(lock, fd, 0, &why) != MAILLOCK_ERROR)
        return 2;
    if (!strstr(why.data, "is stale but cannot be removed; remove it"))
        return 3;
    maillock_close(&lock);
    return count_files() == 2 ? 0 : 4;
}

START_TEST(stale_lock_of_another_user_in_a_1777_spool)
{
    if (geteuid() != 0)
        return;
    make_lock(EMPTY);
    age("fred.lock", 400);
    in_child(sticky);
}
END_TEST

/* A spool root:mail 2775: dot locks work because the group is held around each call, and only there. */
static int spool_2775(void)
{
    struct maillock *lock = lock_for(3, way);
    struct stat st;

    if (fchown(dirfd_, 0, MAIL) < 0 || fchmod(dirfd_, 02775) < 0)
        return 1;
    make_lock(OURS_DEAD);
    if (fchownat(dirfd_, "fred.lock", USER, GROUP, 0) < 0)
        return 8;
    if (identity_become(NULL, USER, GROUP, MAIL, &why) < 0)
        return 2;
    if (maillock_acquire(lock, fd, 0, &why) != MAILLOCK_OK)
        return 3;
    if (getegid() != GROUP)
        return 4;
    if (fstatat(dirfd_, "fred.lock", &st, 0) < 0 || st.st_uid != USER || (st.st_mode & 07777) != 0600)
        return 5;
    maillock_release(lock);
    if (there("fred.lock") || getegid() != GROUP || count_files() != 1)
        return 6;
    if (identity_forget_gid(&why) < 0 || maillock_acquire(lock, fd, 0, &why) != MAILLOCK_ERROR)
        return 7;
    maillock_close(&lock);
    return 0;
}

START_TEST(group_writable_spool)
{
    if (geteuid() != 0)
        return;
    way = (enum dotlock_way)_i;
    in_child(spool_2775);
}
END_TEST

/* ---- ours, and not ours any more */

START_TEST(lost_lock_is_noticed_and_the_new_one_left_alone)
{
    struct maillock *lock = lock_for(3, DOTLOCK_NAMELESS);

    ck_assert_int_eq(maillock_acquire(lock, fd, 0, &why), MAILLOCK_OK);
    ck_assert_int_eq(unlinkat(dirfd_, "fred.lock", 0), 0);
    ck_assert(!maillock_is_ours(lock));
    make("fred.lock", "0", 1);
    ck_assert(!maillock_is_ours(lock));
    maillock_release(lock);
    ck_assert(there("fred.lock"));
    ck_assert_str_eq(said.data, "<4>/var/mail/fred.lock was broken or replaced by another program while we held it\n");
    ck_assert_uint_eq(free_for_strangers(), MAILLOCK_FCNTL | MAILLOCK_FLOCK);
    maillock_close(&lock);
}
END_TEST

START_TEST(refresh_makes_it_young)
{
    struct maillock *lock = lock_for(3, DOTLOCK_NAMELESS);
    struct stat st;

    maillock_refresh(lock);
    ck_assert_int_eq(maillock_acquire(lock, fd, 0, &why), MAILLOCK_OK);
    age("fred.lock", 400);
    maillock_refresh(lock);
    ck_assert_int_eq(fstatat(dirfd_, "fred.lock", &st, 0), 0);
    ck_assert_int_lt(time(NULL) - st.st_mtim.tv_sec, 10);
    maillock_close(&lock);
    ck_assert_str_eq(said.data, "");
}
END_TEST

/* ---- the instant between look and rename */

static bool swap_now;

/* Another program breaks the stale lock and makes its own. */
static void swap_lock(const struct dotlock *l, const char *from)
{
    if (!swap_now)
        return;
    swap_now = false;
    ck_assert_int_eq(unlinkat(l->dirfd, from, 0), 0);
    make("fred.lock", "fresh", 5);
}

START_TEST(fresh_lock_taken_for_a_stale_one_goes_back)
{
    struct maillock *lock = lock_for(3, DOTLOCK_NAMELESS);
    struct stat st;

    make_lock(OURS_DEAD);
    swap_now = true;
    no_noreplace = _i;
    ck_assert_int_eq(maillock_acquire(lock, fd, 0, &why), MAILLOCK_BUSY);
    ck_assert(!swap_now);
    ck_assert_msg(strstr(why.data, "held by another mail program") != NULL, "%s", why.data);
    ck_assert_int_eq(fstatat(dirfd_, "fred.lock", &st, 0), 0);
    ck_assert_int_eq(st.st_size, 5);
    ck_assert_int_eq(count_files(), 2);
    ck_assert_str_eq(said.data, "");
    maillock_close(&lock);
}
END_TEST

/* ---- killed at any call: the next one goes on at once, and nothing is left over for ever */

/* Dies before its n-th call; true when it had no n-th call any more. */
static bool die_before(int n, enum dotlock_way first)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        struct maillock *lock = lock_for(3, first);

        calls = 0;
        die_at = n;
        if (maillock_acquire(lock, fd, 0, &why) != MAILLOCK_OK)
            _exit(2);
        maillock_close(&lock);
        _exit(3);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 3), "at call %d: status %d", n, status);
    return WEXITSTATUS(status) == 3;
}

static const struct {
    const char *name;
    enum dotlock_way way;
    bool stale; /* a stale lock is in the way */
    bool no_noreplace;
    int calls;
} killed[] = {
    { "nameless", DOTLOCK_NAMELESS, false, false, 4 },
    { "named", DOTLOCK_NAMED, false, false, 6 },
    { "nameless, a stale lock", DOTLOCK_NAMELESS, true, false, 9 },
    { "named, a stale lock", DOTLOCK_NAMED, true, false, 12 },
    { "named, a stale lock, NFS", DOTLOCK_NAMED, true, true, 13 },
};

static void clean(void)
{
    unlinkat(dirfd_, "fred.lock", 0);
    unlinkat(dirfd_, ".fred.lock.new", 0);
    unlinkat(dirfd_, ".fred.lock.old", 0);
}

START_TEST(killed_at_any_call)
{
    int n = 0;

    no_noreplace = killed[_i].no_noreplace;
    for (;;) {
        struct maillock *lock;
        bool ended;

        clean();
        if (killed[_i].stale)
            make_lock(OURS_DEAD);
        ended = die_before(++n, killed[_i].way);
        lock = lock_for(3, killed[_i].way);
        ck_assert_msg(maillock_acquire(lock, fd, 0, &why) == MAILLOCK_OK, "%s, killed before call %d: %s", killed[_i].name, n, why.data);
        ck_assert(maillock_is_ours(lock));
        maillock_release(lock);
        ck_assert_msg(count_files() == 1 || (count_files() == 2 && there(".fred.lock.old")), "%s, killed before call %d", killed[_i].name, n);
        make_lock(OURS_DEAD);
        ck_assert_int_eq(maillock_acquire(lock, fd, 0, &why), MAILLOCK_OK);
        maillock_close(&lock);
        ck_assert_int_eq(count_files(), 1);
        if (ended)
            break;
    }
    ck_assert_int_eq(n, killed[_i].calls + 1);
}
END_TEST

/* Where nothing can be linked the lock is made in two steps; an empty one is everybody's. */
START_TEST(killed_where_links_are_impossible)
{
    struct maillock *lock;
    int held = 0;

    for (int n = 1; !die_before(n, DOTLOCK_EXCLUSIVE); n++) {
        lock = lock_for(3, DOTLOCK_EXCLUSIVE);
        held += maillock_acquire(lock, fd, 0, &why) == MAILLOCK_BUSY;
        maillock_close(&lock);
        clean();
    }
    ck_assert_int_eq(held, 1);
}
END_TEST

/* option: no-atomic-open */
START_TEST(where_only_a_link_is_allowed)
{
    struct maillock *lock = maillock_new(dirfd_, "fred", "/var/mail/fred", 3, true);

    way = DOTLOCK_EXCLUSIVE;
    ck_assert_int_eq(maillock_acquire(lock, fd, 0, &why), MAILLOCK_ERROR);
    ck_assert_msg(strstr(why.data, "/var/mail/fred.lock: cannot be made by link(2): Operation not permitted") != NULL, "%s", why.data);
    ck_assert_int_eq(count_files(), 1);
    maillock_close(&lock);
}
END_TEST

/* What a host without nameless files leaves when it is killed between link and unlink is met by one that has them, too. */
START_TEST(second_link_of_a_killed_maker_is_taken_off)
{
    struct maillock *lock = lock_for(3, (enum dotlock_way)_i);

    make_lock(OURS_DEAD);
    ck_assert_int_eq(linkat(dirfd_, "fred.lock", dirfd_, ".fred.lock.new", 0), 0);
    ck_assert_int_eq(maillock_acquire(lock, fd, 0, &why), MAILLOCK_OK);
    maillock_close(&lock);
    ck_assert_int_eq(count_files(), 1);
}
END_TEST

START_TEST(lost_answer_to_link)
{
    struct maillock *lock = lock_for(3, (enum dotlock_way)_i);
    struct maillock *second = lock_for(3, (enum dotlock_way)_i);

    link_answer_lost = true;
    ck_assert_int_eq(maillock_acquire(lock, fd, 0, &why), MAILLOCK_OK);
    ck_assert(maillock_is_ours(lock));
    ck_assert_int_eq(maillock_acquire(second, fd, 0, &why), MAILLOCK_BUSY);
    maillock_close(&second);
    maillock_close(&lock);
    ck_assert_int_eq(count_files(), 1);
}
END_TEST

static int stranger_in_the_way(void)
{
    struct maillock *lock = lock_for(3, DOTLOCK_EXCLUSIVE);

    way = DOTLOCK_NAMED;
    if (fchmod(dirfd_, 01777) < 0 || setresuid(USER, USER, USER) < 0)
        return 1;
    if (maillock_acquire(lock, fd, 0, &why) != MAILLOCK_OK)
        return 2;
    maillock_close(&lock);
    return count_files() == 2 ? 0 : 3;
}

START_TEST(a_strangers_file_of_that_name_does_no_harm)
{
    if (geteuid() != 0)
        return;
    make(".fred.lock.new", "", 0);
    in_child(stranger_in_the_way);
}
END_TEST

/* ---- many at once */

/* Not atomic on purpose: two who count at the same time lose one. */
static void count_one(void)
{
    char text[20] = "0";
    int counter = openat(dirfd_, "counter", O_RDWR | O_CREAT, 0600);
    int n;

    if (read(counter, text, sizeof text - 1) < 0)
        _exit(1);
    n = snprintf(text, sizeof text, "%d", atoi(text) + 1);
    poll(NULL, 0, 0);
    if (pwrite(counter, text, (size_t)n, 0) != n)
        _exit(1);
    close(counter);
}

static const struct {
    const char *name;
    unsigned mask;
    enum dotlock_way way;
    int leave; /* every n-th process dies with its lock; 0: none */
} crowds[] = {
    { "dot lock", MAILLOCK_DOTLOCK, DOTLOCK_NAMELESS, 0 },
    { "dot lock, named first", MAILLOCK_DOTLOCK, DOTLOCK_NAMED, 0 },
    { "dot lock by O_EXCL", MAILLOCK_DOTLOCK, DOTLOCK_EXCLUSIVE, 0 },
    { "dot lock, holders die", MAILLOCK_DOTLOCK, DOTLOCK_NAMELESS, 2 },
    { "dot lock, named first, holders die", MAILLOCK_DOTLOCK, DOTLOCK_NAMED, 2 },
    { "dot lock by O_EXCL, holders die", MAILLOCK_DOTLOCK, DOTLOCK_EXCLUSIVE, 2 },
    { "fcntl", MAILLOCK_FCNTL, DOTLOCK_NAMELESS, 0 },
    { "flock", MAILLOCK_FLOCK, DOTLOCK_NAMELESS, 0 },
    { "all three, holders die", 7, DOTLOCK_NAMELESS, 3 },
};

/* One contender: its own description of the maildrop, a few rounds, and perhaps death with the lock in hand. */
static void contend(int which, int number)
{
    struct maillock *lock = lock_for(crowds[which].mask, crowds[which].way);
    int own = openat(dirfd_, "fred", O_RDWR);

    for (int round = 0; round < 3; round++) {
        if (maillock_acquire(lock, own, 15000, &why) != MAILLOCK_OK)
            _exit(2);
        count_one();
        if (!maillock_is_ours(lock))
            _exit(3);
        if (round == 2 && crowds[which].leave && number % crowds[which].leave == 0)
            _exit(0);
        maillock_release(lock);
    }
    _exit(0);
}

START_TEST(of_many_only_one_holds_it)
{
    enum { CONTENDERS = 24 };
    char text[20] = "";
    pid_t pids[CONTENDERS];
    int status, counter;

    make_lock(OURS_DEAD);
    for (int i = 0; i < CONTENDERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            contend(_i, i);
    }
    for (int i = 0; i < CONTENDERS; i++) {
        ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
        ck_assert_msg(status == 0, "%s: contender %d: %d", crowds[_i].name, i, status);
    }
    counter = openat(dirfd_, "counter", O_RDONLY);
    ck_assert_int_gt(read(counter, text, sizeof text - 1), 0);
    close(counter);
    ck_assert_msg(atoi(text) == 3 * CONTENDERS, "%s: %s", crowds[_i].name, text);
    unlinkat(dirfd_, "fred.lock", 0);
    ck_assert_int_eq(count_files(), 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("maillock");
    TCase *tc = tcase_create("maillock");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, owner_text_names_this_process);
    tcase_add_test(tc, owner_of_a_child_is_the_child);
    tcase_add_test(tc, start_time_survives_odd_command_names);
    tcase_add_loop_test(tc, method_lists, 0, LEN(lists));
    tcase_add_loop_test(tc, each_combination_is_taken_and_given_back, 0, 7 * DOTLOCK_WAYS);
    tcase_add_loop_test(tc, dot_lock_says_whose_it_is, 0, DOTLOCK_WAYS);
    tcase_add_test(tc, without_a_maildrop_only_the_dot_lock_is_taken);
    tcase_add_test(tc, the_locks_move_to_another_file);
    tcase_add_loop_test(tc, the_locks_stay_where_they_are_if_the_other_file_is_busy, 0, 2);
    tcase_add_loop_test(tc, a_dot_lock_gives_its_room, 0, DOTLOCK_WAYS);
    tcase_add_loop_test(tc, quota_or_full_disk_does_not_keep_from_locking, 0, DOTLOCK_WAYS);
    tcase_add_loop_test(tc, busy_releases_everything_and_says_who, 0, 2);
    tcase_add_test(tc, waits_as_long_as_asked_and_no_longer);
    tcase_add_loop_test(tc, other_handles_and_processes_of_ours_are_respected, 0, DOTLOCK_WAYS);
    tcase_add_loop_test(tc, stale_or_not, 0, DOTLOCK_WAYS * LEN(stale));
    tcase_add_loop_test(tc, traps_are_left_alone, 0, DOTLOCK_WAYS * LEN(traps));
    tcase_add_test(tc, stale_hard_link_of_a_dead_owner_is_not_believed);
    tcase_add_test(tc, no_permission_is_an_error_with_advice);
    tcase_add_loop_test(tc, lock_in_a_directory_that_cannot_be_written, 0, 2);
    tcase_add_test(tc, stale_lock_of_another_user_in_a_1777_spool);
    tcase_add_loop_test(tc, group_writable_spool, 0, DOTLOCK_WAYS);
    tcase_add_test(tc, lost_lock_is_noticed_and_the_new_one_left_alone);
    tcase_add_test(tc, refresh_makes_it_young);
    tcase_add_loop_test(tc, fresh_lock_taken_for_a_stale_one_goes_back, 0, 2);
    tcase_add_loop_test(tc, killed_at_any_call, 0, LEN(killed));
    tcase_add_test(tc, killed_where_links_are_impossible);
    tcase_add_test(tc, where_only_a_link_is_allowed);
    tcase_add_loop_test(tc, second_link_of_a_killed_maker_is_taken_off, 0, DOTLOCK_EXCLUSIVE);
    tcase_add_loop_test(tc, lost_answer_to_link, 0, DOTLOCK_EXCLUSIVE);
    tcase_add_test(tc, a_strangers_file_of_that_name_does_no_harm);
    tcase_add_loop_test(tc, of_many_only_one_holds_it, 0, LEN(crowds));
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
