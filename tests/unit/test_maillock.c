/*
 * maillock: taking, waiting and giving back, what others hold, and that of many who want the locks at the same time only one has them.
 */
#include "config.h" /* system extensions, 64-bit offsets */

#include "tests/unit/locksite.h"

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

static void add(TCase *tc)
{
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
    tcase_add_loop_test(tc, of_many_only_one_holds_it, 0, LEN(crowds));
}

int main(void)
{
    return lock_main("maillock", add);
}
