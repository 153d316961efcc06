/*
 * locksite: a directory with the maildrop "fred" and its locks, for the test programs of maillock and dotlock. By here come the calls of dotlock_dir
 * (--wrap), so that a test says what its file system cannot do, and before which of them somebody dies.
 */
#ifndef TESTS_LOCKSITE_H
#define TESTS_LOCKSITE_H

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
#include "tests/unit/unit.h"

#define LEN(a) (sizeof(a) / sizeof(*(a)))
#define USER 61234
#define GROUP 61235
#define MAIL 61236

static char dir[64];
static int dirfd_;
static int fd = -1; /* of the maildrop "fred" */
static struct strbuf why;
static struct strbuf said; /* what came by the log */

static inline void hear(void *context, int priority, const char *text, size_t length)
{
    (void)context;
    (void)length;
    strbuf_addf(&said, "<%d>%s\n", priority, text);
}

static inline void make(const char *name, const char *text, size_t n)
{
    int f = openat(dirfd_, name, O_CREAT | O_WRONLY | O_TRUNC, 0600);

    ck_assert_int_ge(f, 0);
    ck_assert_int_eq(write(f, text, n), (ssize_t)n);
    close(f);
}

/* The file's mtime becomes `seconds` ago. */
static inline void age(const char *name, int seconds)
{
    struct timespec times[2];

    clock_gettime(CLOCK_REALTIME, &times[0]);
    times[0].tv_sec -= seconds;
    times[1] = times[0];
    ck_assert_int_eq(utimensat(dirfd_, name, times, AT_SYMLINK_NOFOLLOW), 0);
}

static inline bool there(const char *name)
{
    struct stat st;

    return fstatat(dirfd_, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Files in the directory: nothing temporary may stay behind. */
static inline int count_files(void)
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

static inline void count_call(void)
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
static void (*before_rename)(const struct dotlock *l, const char *from); /* NULL: nothing happens */
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
    if (before_rename)
        before_rename(l, from);
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

static inline struct maillock *lock_for(unsigned mask, enum dotlock_way first)
{
    way = first;
    return maillock_new(dirfd_, "fred", "/var/mail/fred", mask, first == DOTLOCK_NAMED);
}

static inline void setup(void)
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

static inline void teardown(void)
{
    char command[200];

    close(fd);
    close(dirfd_);
    strbuf_free(&why);
    strbuf_free(&said);
    snprintf(command, sizeof command, "chmod -R u+rwx %s; rm -rf %s", dir, dir);
    ck_assert_int_eq(system(command), 0);
}

/* What a stranger can get on the maildrop, as a mask: tried by another process on a description of its own. */
static inline unsigned free_for_strangers(void)
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

/* ---- locks of others, by what stands in them */

static inline pid_t dead_pid(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    return pid;
}

/* A lock's text with our words, some of them replaced: pid 0 and NULL keep ours. */
static inline size_t owner_text(char *text, long long pid, const char *host, const char *boot, const char *start, const char *space)
{
    char ours[LOCKOWNER_MAX], word[5][100];

    lockowner_text(ours);
    ck_assert_int_eq(sscanf(ours, "%99s %99s %99s %99s %99s", word[0], word[1], word[2], word[3], word[4]), 5);
    if (pid)
        snprintf(word[0], sizeof word[0], "%lld", pid);
    return (size_t)snprintf(text, LOCKOWNER_MAX, "%s %s %s %s %s\n", word[0], host ? host : word[1],
                            boot ? boot : word[2], start ? start : word[3], space ? space : word[4]);
}

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

static inline void make_lock(enum content content)
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
        n = owner_text(text, 4294967296LL + dead_pid(), NULL, NULL, NULL, NULL);
    make("fred.lock", text, n);
}

/* Runs body in a child; what it returns must be 0, else the line that failed. */
static inline void in_child(int (*body)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(body());
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "check %d failed",
                  WIFEXITED(status) ? WEXITSTATUS(status) : -status);
}

static inline int lock_main(const char *name, void (*add)(TCase *tc))
{
    Suite *suite = suite_create(name);
    TCase *tc = tcase_create(name);

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    add(tc);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}

#endif
