/* keeper: what a hostile session may ask, with real files; and the files by role. session and recovery are this
   test's own. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/keeper.h"
#include "process/keeper_copy.h"
#include "process/keeper_files.h"
#include "process/request.h"
#include "process/session.h"
#include "tests/unit/caught_log.h"

#define USER_UID 64001

static char dir[] = "/tmp/popper-keeper.XXXXXX";
static char path[200];
static struct settings *settings;
static struct auth_user user = { .name = "alice", .is_virtual = true };

static int now; /* what the locking said of the maildrop */
static void (*act)(const struct session_start *start, const struct mailhost *host);
static void (*recovery)(const struct session_start *start, const struct mailhost *host);

/* ---- session and recovery, as the test wants them. What they find out they say through the log. */

typedef void deed(const struct session_start *start, const struct mailhost *host);

static _Noreturn void run(const struct session_start *start, deed *what)
{
    struct mailhost host;
    struct privmsg m;

    request_log_through(start->keeper);
    request_mailhost(&host, start->keeper, start->files.shown);
    what(start, &host);
    privmsg_init(&m, REQUEST_DONE);
    privmsg_put_number(&m, 0);
    privmsg_send(start->keeper, &m);
    _exit(0);
}

void session_main(const struct session_start *start)
{
    run(start, act);
}

void session_recover(const struct session_start *start)
{
    if (!recovery)
        abort();
    run(start, recovery);
}

/* ---- the site */

static const char *in_dir(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void put(const char *name, const char *text)
{
    int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    if (getuid() == 0)
        ck_assert_int_eq(fchown(fd, USER_UID, USER_UID), 0);
    close(fd);
}

static bool exists(const char *name)
{
    struct stat st;

    return lstat(in_dir(name), &st) == 0;
}

static void make_site(void)
{
    int null = open("/dev/null", O_RDWR);

    ck_assert_ptr_nonnull(mkdtemp(dir));
    user.uid = getuid() == 0 ? USER_UID : getuid();
    user.gid = getuid() == 0 ? USER_UID : getgid();
    if (getuid() == 0)
        ck_assert_int_eq(chown(dir, USER_UID, USER_UID), 0);
    strcpy(user.home, dir);
    settings = settings_new();
    settings->spool_dir = mem_strdup(dir);
    settings->takeover_idle = 0;
    ck_assert_int_eq(settings_verify(settings, &caught), 0);
    dup2(null, 0);
    dup2(null, 1);
}

static void remove_site(void)
{
    snprintf(path, sizeof path, "rm -rf %s", dir);
    if (system(path) != 0)
        return;
}

static int keep(void)
{
    struct peer peer;
    struct tlsrelay no_tls = TLSRELAY_NONE, none_early = TLSRELAY_NONE;
    struct keeper_start start = {
        .settings = settings, .peer = &peer, .pid = getpid(), .host = "here", .user = &user, .unread = "", .relay = &no_tls, .early = &none_early
    };
    int status;

    peer_of_descriptor(&peer, -1);
    catch_log();
    status = keeper_run(&start);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    return status;
}

static void assert_log(const char *part)
{
    ck_assert_msg(strstr(caught.data, part) != NULL, "\"%s\" is not in the log:\n%s", part, caught.data);
}

static void assert_no_log(const char *part)
{
    ck_assert_msg(!strstr(caught.data, part), "\"%s\" is in the log:\n%s", part, caught.data);
}

/* ---- a good session */

static void look_at_files(const struct session_start *start, const struct mailhost *host)
{
    (void)host;
    log_write(LOG_INFO, "drop %d index %d leftover %d journal %d status %d shown %s", start->files.drop >= 0,
              start->files.index >= 0,
              start->files.leftover >= 0, start->files.journal, (int)start->status, start->files.shown);
    log_write(LOG_INFO, "why: %s", start->why);
}

START_TEST(what_there_is_is_opened)
{
    put("alice", "mail");
    put(".alice.pop", "From left over");
    put(".alice.journal", "x");
    act = look_at_files;
    ck_assert_int_eq(keep(), 0);
    assert_log("drop 1 index 1 leftover 1 journal 1 status 0");
    assert_log("/alice");
    ck_assert(exists(".alice.cache"));
    ck_assert(exists(".alice.pop"));
    ck_assert(exists(".alice.journal")); /* a session that ended well does not have it recovered */
}
END_TEST

START_TEST(nothing_is_there)
{
    act = look_at_files;
    ck_assert_int_eq(keep(), 0);
    assert_log("drop 0 index 1 leftover 0 journal 0 status 0");
    ck_assert(!exists("alice"));
    ck_assert(!exists(".alice.pop"));
}
END_TEST

static void try_flock(const struct session_start *start, const struct mailhost *host)
{
    int fd = open(in_dir(".alice.pop"), O_RDONLY);

    (void)host;
    log_write(LOG_INFO, "status %d locked %d", (int)start->status, flock(fd, LOCK_EX | LOCK_NB) < 0);
}

/* An older Qpopper holds an flock on its temp drop as long as its session lasts: that is no leftover yet. _i: with mail in it. */
START_TEST(a_temp_drop_in_use_is_no_leftover)
{
    int fd;

    put("alice", "From");
    put(".alice.pop", _i ? "From left over" : "");
    fd = open(in_dir(".alice.pop"), O_RDWR);
    ck_assert_int_eq(flock(fd, LOCK_EX), 0);
    act = try_flock;
    keep();
    assert_log("status 1 ");
    close(fd);
    keep();
    assert_log(_i ? "status 0 locked 1" : "status 0 locked 0");
}
END_TEST

/* Who takes the session lock next must not find the leftover in use: not while the relay of this session is waited for, nor for an instant. */
START_TEST(a_leftover_is_let_go_with_the_session)
{
    int fd;

    put("alice", "From");
    put(".alice.pop", "From left over");
    act = look_at_files;
    keep();
    assert_log("leftover 1 journal 0 status 0");
    fd = open(in_dir(".alice.pop"), O_RDWR);
    ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
    close(fd);
}
END_TEST

/* Where the temp drop carries the session lock, an empty one in the old place is let go at once. */
START_TEST(an_empty_one_in_the_old_place_is_let_go)
{
    int fd;

    ck_assert_int_eq(mkdir(in_dir("a"), 0700), 0);
    if (getuid() == 0)
        ck_assert_int_eq(chown(in_dir("a"), USER_UID, USER_UID), 0);
    put(".alice.pop", "");
    settings->index = false;
    settings->hash_spool = 1;
    act = look_at_files;
    keep();
    assert_log("leftover 0 journal 0 status 0");
    fd = open(in_dir(".alice.pop"), O_RDWR);
    ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
    close(fd);
}
END_TEST

START_TEST(an_empty_temp_drop_is_no_leftover)
{
    put(".alice.pop", "");
    act = look_at_files;
    ck_assert_int_eq(keep(), 0);
    assert_log("drop 0 index 1 leftover 0");
}
END_TEST

/* Where mail stands in it, in MiB from the start on, and how long it is. */
static const struct {
    const char *name;
    int written[4]; /* 0 behind the first: no more */
    int64_t mib;
    bool served;
} hollow[] = {
    { "64 GiB of nothing", { 0 }, 65536, false },
    { "64 GiB, its end is mail", { 0, 65535 }, 65536, false },
    { "mail and a hole as long", { 0, 2 }, 4, true },
    { "a small one with a hole", { 0 }, 2, true },
    { "mail in the middle", { 0, 100, 200 }, 1000, false },
};

START_TEST(a_temp_drop_of_holes_is_not_read)
{
    static char mail[1 << 20] = "From left@example.org Sat Nov 22 10:00:00 2025\n\n";
    struct stat st;
    int fd;

    memset(mail + 49, 'x', sizeof mail - 49);
    put(".alice.pop", "");
    fd = open(in_dir(".alice.pop"), O_RDWR);
    for (int i = 0; i == 0 || (i < 4 && hollow[_i].written[i] > 0); i++)
        ck_assert_int_eq(pwrite(fd, mail, sizeof mail, (off_t)hollow[_i].written[i] << 20), sizeof mail);
    ck_assert_int_eq(ftruncate(fd, hollow[_i].mib << 20), 0);
    ck_assert_int_eq(fstat(fd, &st), 0);
    if (lseek(fd, 0, SEEK_HOLE) == st.st_size) /* this file system does not know its holes */
        return;
    act = look_at_files;
    ck_assert_int_eq(keep(), 0);
    assert_log(hollow[_i].served ? "leftover 1" : "leftover 0");
    if (!hollow[_i].served) {
        snprintf(path, sizeof path, "warning %s/.alice.pop was left there as a temp drop of %lld bytes, but most of them are holes", dir,
                 (long long)st.st_size);
        assert_log(path);
        assert_log("it is neither served nor touched");
    }
    ck_assert_int_eq(fstat(fd, &st), 0);
    ck_assert_int_eq(st.st_size, hollow[_i].mib << 20);
    ck_assert(exists(".alice.pop"));
    close(fd);
}
END_TEST

START_TEST(keep_temp_drop_leaves_an_empty_one)
{
    struct stat st;

    settings->keep_temp_drop = true;
    act = look_at_files;
    ck_assert_int_eq(keep(), 0);
    ck_assert_int_eq(stat(in_dir(".alice.pop"), &st), 0);
    ck_assert_int_eq(st.st_size, 0);
}
END_TEST

static const struct {
    const char *name, *setup, *why;
} refusals[] = {
    { "a symbolic link", "echo mail >%s/else; chown %u %s/else; ln -s else %s/alice", "alice" },
    { "a directory", "mkdir %s/alice; : %u %s %s", "alice" },
    { "a FIFO", "mkfifo %s/alice; chown %u %s/alice; : %s", "alice" },
    { "a second link", "echo mail >%s/alice; chown %u %s/alice; ln %s/alice $D/else", "alice" },
    { "writable for everybody", "echo mail >%s/alice; chown %u %s/alice; chmod 666 %s/alice", "alice" },
};

START_TEST(a_maildrop_that_is_not_right_is_refused)
{
    char command[1000];
    int n = snprintf(command, sizeof command, "D=%s; ", dir);

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(command + n, sizeof command - (size_t)n, refusals[_i].setup, dir, (unsigned)user.uid, dir, dir);
#pragma GCC diagnostic pop
    ck_assert_int_eq(system(command), 0);
    act = look_at_files;
    keep();
    ck_assert_msg(strstr(caught.data, "drop 0 index 1 leftover 0 journal 0 status 3") != NULL, "%s: %s",
                  refusals[_i].name, caught.data);
    assert_log(refusals[_i].why);
}
END_TEST

static void use_everything(const struct session_start *start, const struct mailhost *host)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct stat st;
    int journal, temp, again, popbull, result;

    (void)start;
    log_write(LOG_INFO, "ours before: %d", host->lock_is_ours(NULL));
    result = host->lock(NULL, true, &now, &why);
    log_write(LOG_INFO, "lock: %d %s", result, why.data);
    log_write(LOG_INFO, "lock again: %d", (int)host->lock(NULL, false, &now, &why));
    log_write(LOG_INFO, "ours: %d", host->lock_is_ours(NULL));
    journal = host->open(NULL, MAILFILE_JOURNAL, MAILOPEN_NEW, &why);
    log_write(LOG_INFO, "journal: %d", journal >= 0 && write(journal, "j", 1) == 1);
    again = host->open(NULL, MAILFILE_JOURNAL, MAILOPEN_NEW, &why);
    log_write(LOG_INFO, "journal twice: %d %s", again, strerror(errno));
    log_write(LOG_INFO, "sync: %d", host->sync_dir(NULL, MAILFILE_JOURNAL, &why));
    temp = host->open(NULL, MAILFILE_TEMPDROP, MAILOPEN_NEW, &why);
    result = fstat(temp, &st) == 0 ? (int)st.st_nlink : -1;
    log_write(LOG_INFO, "temp drop: %d links %d", temp >= 0 && write(temp, "t", 1) == 1, result);
    popbull = host->open(NULL, MAILFILE_POPBULL, MAILOPEN_EXISTING, &why);
    log_write(LOG_INFO, "popbull: %d %s", popbull, strerror(errno));
    result = host->remove(NULL, MAILFILE_DROP, &why);
    log_write(LOG_INFO, "remove drop: %d %s", result, strerror(errno));
    result = host->set_aside(NULL, MAILFILE_DROP, &why);
    log_write(LOG_INFO, "set drop aside: %d %s", result, strerror(errno));
    log_write(LOG_INFO, "set journal aside: %d", host->set_aside(NULL, MAILFILE_JOURNAL, &why));
    log_write(LOG_INFO, "remove journal: %d", host->remove(NULL, MAILFILE_JOURNAL, &why));
    host->unlock(NULL);
    log_write(LOG_INFO, "ours after: %d", host->lock_is_ours(NULL));
}

START_TEST(a_session_can_do_its_work)
{
    put("alice", "mail");
    act = use_everything;
    ck_assert_int_eq(keep(), 0);
    assert_log("ours before: 0\n");
    assert_log("lock: 0 \n");
    assert_log("lock again: 0\n");
    assert_log("ours: 1\n");
    assert_log("journal: 1\n");
    assert_log("journal twice: -1 File exists\n");
    assert_log("sync: 0\n");
    assert_log("temp drop: 1 links 0\n");
    assert_log("popbull: -1 No such file or directory\n");
    assert_log("remove drop: -1 Operation not permitted\n");
    assert_log("set drop aside: -1 Operation not permitted\n");
    assert_log("set journal aside: 0\n");
    assert_log("remove journal: 0\n");
    assert_log("ours after: 0\n");
    ck_assert(exists("alice"));
    ck_assert(!exists("alice.lock"));
    ck_assert(!exists(".alice.journal"));
    snprintf(path, sizeof path, "ls -A %s | grep -q '^.alice.orphan.[0-9]*$'", dir);
    ck_assert_int_eq(system(path), 0);
}
END_TEST

/* What a copy beside the session comes to: "complete", or how it is not. */
static const char *watch(int copy, off_t n)
{
    struct stat st;

    for (int i = 0; i < 2000; i++) {
        if (fstat(copy, &st) != 0 || st.st_size > n)
            return "broken";
        if ((st.st_mode & 07777) == 0400)
            return st.st_size == n ? "complete" : "short";
        usleep(5000);
    }
    return "not made";
}

static bool same_as_drop(int drop, int copy, size_t n)
{
    char *a = malloc(n), *b = malloc(n);
    bool same = pread(drop, a, n, 0) == (ssize_t)n && pread(copy, b, n, 0) == (ssize_t)n && memcmp(a, b, n) == 0;

    free(a);
    free(b);
    return same;
}

#define LARGE 5000000

static void copy_beside(const struct session_start *start, const struct mailhost *host)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    int copy;

    host->lock(NULL, false, &now, &why);
    copy = host->copy(NULL, LARGE + 1, &why);
    log_write(LOG_INFO, "too long: %d %s", copy, strerror(errno));
    copy = host->copy(NULL, LARGE - 7, &why);
    if (copy < 0 && errno == EOPNOTSUPP) {
        log_write(LOG_INFO, "shares blocks; locked %d", exists("alice.lock"));
        return;
    }
    log_write(LOG_INFO, "copy: %d, %s", copy >= 0, watch(copy, LARGE - 7));
    log_write(LOG_INFO, "same: %d", same_as_drop(start->files.drop, copy, LARGE - 7));
    for (int i = 0; exists("alice.lock") && i < 1000; i++)
        usleep(5000);
    log_write(LOG_INFO, "locked: %d", exists("alice.lock"));
    /* Given up: by a lock, by unlock, by the end. */
    for (int i = 0; i < 3; i++) {
        host->lock(NULL, false, &now, &why);
        copy = host->copy(NULL, LARGE, &why);
        if (i == 0) {
            log_write(LOG_INFO, "lock during the copy: %d", (int)host->lock(NULL, true, &now, &why));
            log_write(LOG_INFO, "ours: %d", host->lock_is_ours(NULL));
        }
        if (i < 2)
            host->unlock(NULL);
        log_write(LOG_INFO, "time %d: copy %d, locked %d", i, copy >= 0, exists("alice.lock"));
    }
}

START_TEST(a_copy_is_made_beside_the_session)
{
    char *mail = malloc(LARGE + 1);

    for (int i = 0; i < LARGE; i++)
        mail[i] = (char)('a' + i % 23);
    mail[LARGE] = '\0';
    put("alice", mail);
    free(mail);
    act = copy_beside;
    ck_assert_int_eq(keep(), 0);
    assert_log("too long: -1 Invalid argument\n");
    if (strstr(caught.data, "shares blocks")) {
        assert_log("shares blocks; locked 1\n");
    } else {
        assert_log("copy: 1, complete\n");
        assert_log("same: 1\n");
        assert_log("locked: 0\n");
        assert_log("lock during the copy: 0\n");
        assert_log("ours: 1\n");
        assert_log("time 0: copy 1, locked 0\n");
        assert_log("time 1: copy 1, locked 0\n");
        assert_log("time 2: copy 1, locked ");
    }
    assert_no_log("no temp drop");
    ck_assert(!exists("alice.lock"));
}
END_TEST

/* What happens to M during a copy, and what comes of it. */
static void nothing(int from)
{
    (void)from;
}

static void is_rewritten(int from)
{
    ck_assert_int_eq(pwrite(from, "X", 1, 7), 1);
}

static void grows(int from)
{
    ck_assert_int_eq(pwrite(from, "new mail", 8, 3 << 20), 8);
}

static void is_cut(int from)
{
    ck_assert_int_eq(ftruncate(from, 100), 0);
}

static const struct {
    const char *name;
    void (*happens)(int from);
    const char *why;
} during[] = {
    { "nothing", nothing, "" },
    { "rewritten", is_rewritten, "another program changed the maildrop while it was copied" },
    { "grown", grows, "another program changed the maildrop while it was copied" },
    { "cut", is_cut, "Input/output error" },
};

/* _i: number of the row, or behind the last: it is given up. */
START_TEST(a_copy_is_not_made_of_a_maildrop_that_changes)
{
    const bool given_up = (size_t)_i == sizeof during / sizeof *during;
    struct keeper_copy copy = KEEPER_COPY_INIT;
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    int from = open(in_dir("from"), O_RDWR | O_CREAT, 0600), to = open(in_dir("to"), O_RDWR | O_CREAT, 0600), seen = dup(to);
    struct stat st;

    ck_assert_int_eq(ftruncate(from, 3 << 20), 0);
    ck_assert_int_eq(pwrite(from, "mail", 4, 0), 4);
    usleep(12000); /* more than a tick, for ctime */
    if (keeper_copy_begin(&copy, from, to, 3 << 20, &why) < 0) {
        ck_assert_int_eq(errno, EOPNOTSUPP);
    } else {
        ck_assert(keeper_copy_step(&copy, from, &why));
        ck_assert(keeper_copy_step(&copy, from, &why));
        if (given_up) {
            keeper_copy_end(&copy);
        } else {
            during[_i].happens(from);
            ck_assert(!keeper_copy_step(&copy, from, &why));
            ck_assert_str_eq(why.data, during[_i].why);
        }
        ck_assert(!keeper_copy_goes_on(&copy));
        ck_assert_int_eq(fstat(seen, &st), 0);
        ck_assert_uint_eq(st.st_mode & 07777, _i == 0 ? 0400 : 0);
        ck_assert_int_eq(st.st_size, _i == 0 ? 3 << 20 : 0);
        ck_assert(_i == 0 || st.st_blocks == 0);
    }
    close(from);
    close(seen);
    strbuf_free(&why);
}
END_TEST

/* The session waits for the word that the copy is given up, whatever became of its bytes. */
START_TEST(a_copy_that_cannot_be_emptied_is_given_up)
{
    struct keeper_copy copy = KEEPER_COPY_INIT;
    struct stat st;
    int seen;

    copy.to = memfd_create("copy", MFD_ALLOW_SEALING);
    seen = dup(copy.to);
    ck_assert_int_eq(ftruncate(seen, 100), 0);
    ck_assert_int_eq(fcntl(seen, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    keeper_copy_end(&copy);
    ck_assert(!keeper_copy_goes_on(&copy));
    ck_assert_int_eq(fstat(seen, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0);
    ck_assert_int_eq(st.st_size, 100);
    close(seen);
}
END_TEST

/* What sends the letter may deliver it to this very maildrop. */
static void send_during_the_copy(const struct session_start *start, const struct mailhost *host)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    int letter, sent;

    (void)start;
    host->lock(NULL, false, &now, &why);
    letter = request_xmit_open(NULL, &why);
    ck_assert_int_eq(write(letter, "To: alice\n\n", 11), 11);
    if (host->copy(NULL, LARGE, &why) < 0)
        host->unlock(NULL); /* blocks are shared here, or there is no room: nothing to try */
    sent = request_xmit_send(NULL, &why);
    log_write(LOG_INFO, "sent: %d %s", sent, why.data);
}

/* A conversion may take a minute: deliveries do not wait for it. */
static void mangle_during_the_copy(const struct session_start *start, const struct mailhost *host)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    uint64_t header;

    (void)start;
    host->lock(NULL, false, &now, &why);
    if (host->copy(NULL, LARGE, &why) < 0)
        host->unlock(NULL); /* as in send_during_the_copy */
    (void)request_mangle(NULL, 10, "text=plain", &header, &why);
    log_write(LOG_INFO, "locked: %d", exists("alice.lock"));
}

START_TEST(a_conversion_does_not_hold_the_locks)
{
    char *mail = malloc(LARGE + 1);

    memset(mail, 'a', LARGE);
    mail[LARGE] = '\0';
    put("alice", mail);
    free(mail);
    act = mangle_during_the_copy;
    ck_assert_int_eq(keep(), 0);
    assert_log("locked: 0");
}
END_TEST

START_TEST(a_letter_does_not_wait_for_the_copy_nor_for_itself)
{
    char command[300], *mail = malloc(LARGE + 1);

    memset(mail, 'a', LARGE);
    mail[LARGE] = '\0';
    put("alice", mail);
    free(mail);
    snprintf(command, sizeof command, "#!/bin/sh\n! test -e %s/alice.lock\n", dir);
    put("sendmail", command);
    ck_assert_int_eq(chmod(in_dir("sendmail"), 0755), 0);
    settings->xmit = true;
    settings->mail_command = mem_strdup(in_dir("sendmail"));
    act = send_during_the_copy;
    ck_assert_int_eq(keep(), 0);
    assert_log("sent: 0 ");
}
END_TEST

static void send_a_letter(const struct session_start *start, const struct mailhost *host)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    int letter = request_xmit_open(NULL, &why), sent;

    (void)start;
    (void)host;
    ck_assert_int_eq(write(letter, "To: bob\n\n", 9), 9);
    sent = request_xmit_send(NULL, &why);
    log_write(LOG_INFO, "sent: %d %s", sent, why.data);
}

/* As on Linux before 5.3, and in containers whose rules are as old. */
static void forbid_pidfd(void)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = { .len = sizeof rules / sizeof *rules, .filter = rules };

    ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0), 0);
    ck_assert_int_eq(syscall(SYS_pidfd_open, getpid(), 0), -1);
}

static const struct {
    const char *command, *said;
} letters[] = {
    { "sleep 0.1", "sent: 0 " },
    { "sleep 0.1; echo no such user; exit 67", "sendmail ended with exit status 67: no such user" },
};

START_TEST(a_letter_is_sent_without_pidfd)
{
    char command[300];

    snprintf(command, sizeof command, "#!/bin/sh\n%s\n", letters[_i].command);
    put("alice", "");
    put("sendmail", command);
    ck_assert_int_eq(chmod(in_dir("sendmail"), 0755), 0);
    settings->xmit = true;
    settings->mail_command = mem_strdup(in_dir("sendmail"));
    act = send_a_letter;
    forbid_pidfd();
    ck_assert_int_eq(keep(), 0);
    assert_log(letters[_i].said);
}
END_TEST

static void make_a_drop(const struct session_start *start, const struct mailhost *host)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    int fd;

    (void)start;
    host->lock(NULL, true, &now, &why);
    fd = host->open(NULL, MAILFILE_DROP, MAILOPEN_NEW, &why);
    log_write(LOG_INFO, "made: %d", fd >= 0 && write(fd, "mail", 4) == 4);
    host->unlock(NULL);
    log_write(LOG_INFO, "lock: %d", (int)host->lock(NULL, true, &now, &why));
}

START_TEST(a_missing_maildrop_can_be_made)
{
    struct stat st;

    act = make_a_drop;
    ck_assert_int_eq(keep(), 0);
    assert_log("made: 1\n");
    assert_log("lock: 0\n");
    ck_assert_int_eq(stat(in_dir("alice"), &st), 0);
    ck_assert_uint_eq(st.st_uid, user.uid);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    ck_assert(!exists("alice.lock"));
}
END_TEST

static void say_what_is_locked(const struct mailhost *host)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    int result = host->lock(NULL, true, &now, &why);
    char text[20] = "";

    if (now >= 0 && pread(now, text, sizeof text - 1, 0) < 0)
        strcpy(text, "unreadable");
    log_write(LOG_INFO, "lock: %d %s; the maildrop is %s%s", result, why.data,
              now == MAILHOST_SAME_DROP ? "the same" : now < 0 ? "gone" : "another: ", text);
    host->unlock(NULL);
    if (now >= 0)
        close(now);
}

/* By what the shell says. */
static const char *meanwhile;

static void others_act(const struct session_start *start, const struct mailhost *host)
{
    (void)start;
    snprintf(path, sizeof path, "cd %s && %s", dir, meanwhile);
    if (system(path) != 0)
        log_write(LOG_INFO, "the shell failed");
    say_what_is_locked(host);
    say_what_is_locked(host);
}

static const struct other {
    const char *name, *command, *first, *then;
    bool as_root; /* only root can do that */
} others[] = {
    { "nothing", "true", "lock: 0 ; the maildrop is the same", "lock: 0 ; the maildrop is the same", false },
    { "another file", "mv new alice", "lock: 0 ; the maildrop is another: other mail", "lock: 0 ; the maildrop is the same", false },
    { "no file", "rm alice", "lock: 0 ; the maildrop is gone", "lock: 0 ; the maildrop is the same", false },
    { "a link", "ln -sf new alice", "is a symbolic link", "is a symbolic link", false },
    { "a directory", "rm alice && mkdir alice", "lock: 2 ", "lock: 2 ", false },
    { "two names", "ln -f new alice", "has 2 links", "has 2 links", false },
    { "somebody else's", "mv new alice", "belongs to uid 64009", "belongs to uid 64009", true },
};

START_TEST(the_file_that_has_the_name_is_locked)
{
    const struct other *o = &others[_i];
    const char *at;

    if (o->as_root && getuid() != 0)
        return;
    put("alice", "mail");
    put("new", "other mail");
    if (o->as_root)
        ck_assert_int_eq(chmod(in_dir("new"), 0666) | chown(in_dir("new"), 64009, 64009), 0);
    meanwhile = o->command;
    act = others_act;
    ck_assert_int_eq(keep(), 0);
    at = strstr(caught.data, o->first);
    ck_assert_msg(at != NULL, "%s: %s", o->name, caught.data);
    at = strchr(at, '\n');
    ck_assert_msg(at != NULL && strstr(at, o->then) != NULL, "%s: %s", o->name, caught.data);
    ck_assert_msg(!exists("alice.lock"), "%s: the dot lock is left", o->name);
    snprintf(path, sizeof path, "rm -rf %s/alice", dir);
    ck_assert_int_eq(system(path), 0);
}
END_TEST

static void make_one_too_many(const struct session_start *start, const struct mailhost *host)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    int result;

    (void)start;
    log_write(LOG_INFO, "without locks: %d", host->open(NULL, MAILFILE_DROP, MAILOPEN_NEW, &why));
    host->lock(NULL, true, &now, &why);
    unlink(in_dir("alice"));
    result = host->open(NULL, MAILFILE_DROP, MAILOPEN_NEW, &why);
    log_write(LOG_INFO, "while one is open: %d %s", result, why.data);
}

START_TEST(a_maildrop_is_made_under_locks_where_there_is_none)
{
    put("alice", "mail");
    act = make_one_too_many;
    ck_assert_int_eq(keep(), 0);
    assert_log("without locks: -1\n");
    assert_log("while one is open: -1 a maildrop is made where there is none");
    ck_assert(!exists("alice"));
}
END_TEST

static void fast_update(const struct session_start *start, const struct mailhost *host)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    int fd, result;

    (void)start;
    host->lock(NULL, true, &now, &why);
    fd = host->open(NULL, MAILFILE_TEMPDROP, MAILOPEN_NEW, &why);
    result = write(fd, "rewritten", 9) == 9 ? host->set_aside(NULL, MAILFILE_DROP, &why) : -2;
    log_write(LOG_INFO, "replace: %d %s", result, why.data);
    log_write(LOG_INFO, "ours: %d", host->lock_is_ours(NULL));
    host->unlock(NULL);
    result = host->lock(NULL, true, &now, &why);
    log_write(LOG_INFO, "lock: %d %s", result, why.data);
}

START_TEST(fast_update_replaces_the_maildrop)
{
    struct stat st;

    put("alice", "mail");
    settings->fast_update = true;
    settings->server_mode = true;
    act = fast_update;
    ck_assert_int_eq(keep(), 0);
    assert_log("replace: 0 \n");
    assert_log("ours: 1\n");
    assert_log("lock: 0 \n");
    ck_assert_int_eq(stat(in_dir("alice"), &st), 0);
    ck_assert_int_eq(st.st_size, 9);
}
END_TEST

/* ---- bad ones */

static void say(int keeper, uint32_t type, int numbers, uint64_t first, uint64_t second)
{
    struct privmsg m;

    privmsg_init(&m, type);
    if (numbers > 0)
        privmsg_put_number(&m, first);
    if (numbers > 1)
        privmsg_put_number(&m, second);
    privmsg_send(keeper, &m);
    privmsg_free(&m);
}

static void asks_for_a_password(const struct session_start *start, const struct mailhost *host)
{
    (void)host;
    say(start->keeper, REQUEST_PASSWORD, 0, 0, 0);
    pause();
}

static void asks_for_file_99(const struct session_start *start, const struct mailhost *host)
{
    (void)host;
    say(start->keeper, REQUEST_OPEN, 2, 99, MAILOPEN_NEW);
    pause();
}

static void asks_for_half(const struct session_start *start, const struct mailhost *host)
{
    (void)host;
    say(start->keeper, REQUEST_OPEN, 1, MAILFILE_JOURNAL, 0);
    pause();
}

static void removes_without_lock(const struct session_start *start, const struct mailhost *host)
{
    (void)host;
    say(start->keeper, REQUEST_REMOVE, 1, MAILFILE_JOURNAL, 0);
    pause();
}

static void copies_without_lock(const struct session_start *start, const struct mailhost *host)
{
    (void)host;
    say(start->keeper, REQUEST_COPY, 1, 4, 0);
    pause();
}

static void copies_in_update(const struct session_start *start, const struct mailhost *host)
{
    struct strbuf why_not = STRBUF_INIT(STRBUF_WHY_MAX);

    host->lock(NULL, true, &now, &why_not);
    say(start->keeper, REQUEST_COPY, 1, 4, 0);
    pause();
}

static void goes_on_after_done(const struct session_start *start, const struct mailhost *host)
{
    (void)host;
    say(start->keeper, REQUEST_DONE, 1, 0, 0);
    say(start->keeper, REQUEST_LOCK, 1, 1, 0);
    pause();
}

static void sends_garbage(const struct session_start *start, const struct mailhost *host)
{
    (void)host;
    if (write(start->keeper, "garbage", 7) == 7)
        pause();
}

static void dies(const struct session_start *start, const struct mailhost *host)
{
    (void)start;
    (void)host;
    signal(SIGSEGV, SIG_DFL); /* not what a sanitizer makes of it */
    kill(getpid(), SIGSEGV);
}

static void fakes_a_login(const struct session_start *start, const struct mailhost *host)
{
    (void)start;
    (void)host;
    log_write(LOG_NOTICE, "(v5) POP login by user \"root\" at (a) 1.2.3.4");
}

static const struct {
    const char *name;
    void (*act)(const struct session_start *start, const struct mailhost *host);
    const char *log;
} misdeeds[] = {
    { "a faked login", fakes_a_login, "notice (v5) ?OP login by user \"root\" at (a) 1.2.3.4\n" },
    { "a request of preauth", asks_for_a_password,
        "err the session of alice asked for PASSWORD, which it may not now; it is ended" },
    { "a file that does not exist", asks_for_file_99,
        "err the session of alice asked for OPEN, but brokenly; it is ended" },
    { "a request cut short", asks_for_half, "err the session of alice asked for OPEN, but brokenly; it is ended" },
    { "removing without the lock", removes_without_lock,
        "err the session of alice asked for REMOVE, which it may not now; it is ended" },
    { "copying without the lock", copies_without_lock,
        "err the session of alice asked for COPY, which it may not now; it is ended" },
    { "copying under the locks of UPDATE", copies_in_update,
        "err the session of alice asked for COPY, which it may not now; it is ended" },
    { "going on after DONE", goes_on_after_done,
        "err the session of alice asked for LOCK, which it may not now; it is ended" },
    { "garbage", sends_garbage, "err session of alice ended without a word (signal 9)" },
    { "dying", dies, "err session of alice ended without a word (signal 11)" },
};

START_TEST(a_session_that_misbehaves_is_ended)
{
    put("alice", "mail");
    act = misdeeds[_i].act;
    keep();
    ck_assert_msg(strstr(caught.data, misdeeds[_i].log) != NULL, "%s: %s", misdeeds[_i].name, caught.data);
    ck_assert(exists("alice"));
    ck_assert(!exists("alice.lock"));
}
END_TEST

/* ---- death in UPDATE */

static void dies_in_update(const struct session_start *start, const struct mailhost *host)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);

    (void)start;
    if (host->lock(NULL, true, &now, &why) == MAILLOCK_OK && host->open(NULL, MAILFILE_JOURNAL, MAILOPEN_NEW, &why) >= 0)
        raise(SIGKILL);
}

static void recovers(const struct session_start *start, const struct mailhost *host)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);

    log_write(LOG_INFO, "recovery: dot lock there %d, drop %d", exists("alice.lock"), start->files.drop >= 0);
    log_write(LOG_INFO, "lock: %d", (int)host->lock(NULL, true, &now, &why));
    log_write(LOG_INFO, "remove: %d", host->remove(NULL, MAILFILE_JOURNAL, &why));
    host->unlock(NULL);
}

START_TEST(what_a_dead_session_left_is_settled_under_its_locks)
{
    put("alice", "mail");
    act = dies_in_update;
    recovery = recovers;
    ck_assert_int_eq(keep(), 75);
    assert_log("session of alice ended without a word (signal 9)");
    assert_log("recovery: dot lock there 1, drop 1\n");
    assert_log("lock: 0\n");
    assert_log("remove: 0\n");
    ck_assert(!exists(".alice.journal"));
    ck_assert(!exists("alice.lock"));
}
END_TEST

START_TEST(recovery_may_die_too)
{
    put("alice", "mail");
    act = dies_in_update;
    recovery = dies;
    ck_assert_int_eq(keep(), 75);
    assert_log("recovery of alice ended without a word (signal 11)");
    ck_assert(exists(".alice.journal"));
    ck_assert(!exists("alice.lock"));
}
END_TEST

START_TEST(a_session_that_dies_outside_update_needs_no_recovery)
{
    put("alice", "mail");
    act = dies;
    ck_assert_int_eq(keep(), 75);
    assert_no_log("recovery");
}
END_TEST

/* ---- the user's option files */

static void say_settings(const struct session_start *start, const struct mailhost *host)
{
    (void)host;
    log_write(LOG_INFO, "timeout %d server-mode %d spool %s", start->settings->timeout, start->settings->server_mode,
              start->files.shown);
}

START_TEST(option_files_of_the_user)
{
    settings->user_options = true;
    settings->spool_options = true;
    put(".qpopper-options", "set timeout = 77\nset server-mode\nset spool-dir = /etc\n");
    put(".alice.qpopper-options", "set timeout = 99\n");
    if (getuid() == 0) {
        /* What users could have made themselves does not count as the administrator's. */
        ck_assert(chown(dir, 0, 0) == 0 && chmod(dir, 01777) == 0);
        act = say_settings;
        ck_assert_int_eq(keep(), 0);
        assert_log("timeout 77 server-mode 1");
        assert_log("options are not read");
        assert_no_log("spool /etc");
        return;
    }
    act = say_settings;
    ck_assert_int_eq(keep(), 0);
    assert_log("timeout 99 server-mode 1");
    assert_no_log("spool /etc");
}
END_TEST

START_TEST(an_administrators_file_counts_more)
{
    settings->user_options = true;
    settings->spool_options = true;
    put(".qpopper-options", "set timeout = 77\n");
    put(".alice.qpopper-options", "set timeout = 99\nset shy\n");
    if (getuid() == 0)
        ck_assert(chown(in_dir(".alice.qpopper-options"), 0, 0) == 0 && chmod(path, 0644) == 0);
    act = say_settings;
    ck_assert_int_eq(keep(), 0);
    assert_log("timeout 99 server-mode 0");
    assert_log("shy");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keeper");
    TCase *tc = tcase_create("keeper");

    tcase_add_checked_fixture(tc, make_site, remove_site);
    tcase_add_test(tc, what_there_is_is_opened);
    tcase_add_test(tc, nothing_is_there);
    tcase_add_loop_test(tc, a_temp_drop_in_use_is_no_leftover, 0, 2);
    tcase_add_test(tc, a_leftover_is_let_go_with_the_session);
    tcase_add_test(tc, an_empty_one_in_the_old_place_is_let_go);
    tcase_add_test(tc, an_empty_temp_drop_is_no_leftover);
    tcase_add_loop_test(tc, a_temp_drop_of_holes_is_not_read, 0, (int)(sizeof hollow / sizeof *hollow));
    tcase_add_test(tc, keep_temp_drop_leaves_an_empty_one);
    tcase_add_loop_test(tc, a_maildrop_that_is_not_right_is_refused, 0, (int)(sizeof refusals / sizeof *refusals));
    tcase_add_test(tc, a_session_can_do_its_work);
    tcase_add_test(tc, a_copy_is_made_beside_the_session);
    tcase_add_test(tc, a_conversion_does_not_hold_the_locks);
    tcase_add_test(tc, a_letter_does_not_wait_for_the_copy_nor_for_itself);
    tcase_add_loop_test(tc, a_letter_is_sent_without_pidfd, 0, (int)(sizeof letters / sizeof *letters));
    tcase_add_test(tc, a_copy_that_cannot_be_emptied_is_given_up);
    tcase_add_loop_test(tc, a_copy_is_not_made_of_a_maildrop_that_changes, 0, (int)(sizeof during / sizeof *during) + 1);
    tcase_add_test(tc, a_missing_maildrop_can_be_made);
    tcase_add_loop_test(tc, the_file_that_has_the_name_is_locked, 0, (int)(sizeof others / sizeof *others));
    tcase_add_test(tc, a_maildrop_is_made_under_locks_where_there_is_none);
    tcase_add_test(tc, fast_update_replaces_the_maildrop);
    tcase_add_loop_test(tc, a_session_that_misbehaves_is_ended, 0, (int)(sizeof misdeeds / sizeof *misdeeds));
    tcase_add_test(tc, what_a_dead_session_left_is_settled_under_its_locks);
    tcase_add_test(tc, recovery_may_die_too);
    tcase_add_test(tc, a_session_that_dies_outside_update_needs_no_recovery);
    tcase_add_test(tc, option_files_of_the_user);
    tcase_add_test(tc, an_administrators_file_counts_more);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
