/* places and sessionlock: names out of settings and user; one holder at a time. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/identity.h"
#include "common/mem.h"
#include "process/places.h"
#include "process/sessionlock.h"
#include "tests/unit/caught_log.h"

static const struct {
    const char *set;   /* option=value, separated by blanks */
    const char *user;
    const char *drop, *journal, *temp, *index, *old;
} cases[] = {
    { "", "alice", "/s/alice", "/s/.alice.journal", "/s/.alice.pop", "/s/.alice.cache", NULL },
    { "temp-dir=/t", "alice", "/s/alice", "/s/.alice.journal", "/t/.alice.pop", "/t/.alice.cache", NULL },
    { "temp-dir=/t cache-dir=/c", "alice", "/s/alice", "/s/.alice.journal", "/t/.alice.pop", "/c/.alice.cache", NULL },
    { "temp-name=drop-%s cache-name=%s.idx", "al", "/s/al", "/s/.al.journal", "/s/drop-al", "/s/al.idx", NULL },
    /* The facts page's example: maida is o. */
    { "hash-spool=1", "maida", "/s/o/maida", "/s/o/.maida.journal", "/s/o/.maida.pop", "/s/o/.maida.cache",
        "/s/.maida.pop" },
    { "hash-spool=1 check-old-spool-loc=false", "maida", "/s/o/maida", "/s/o/.maida.journal", "/s/o/.maida.pop",
        "/s/o/.maida.cache", NULL },
    { "hash-spool=2", "alice", "/s/a/l/alice", "/s/a/l/.alice.journal", "/s/a/l/.alice.pop", "/s/a/l/.alice.cache",
        "/s/.alice.pop" },
    { "hash-spool=2", "a", "/s/a/a/a", "/s/a/a/.a.journal", "/s/a/a/.a.pop", "/s/a/a/.a.cache", "/s/.a.pop" },
    { "home-dir-mail=.mail", "alice", "/h/.mail", "/h/..mail.journal", "/s/.alice.pop", "/s/.alice.cache",
        "/s/.alice.pop" },
    { "home-dir-mail=Mail/inbox", "alice", "/h/Mail/inbox", "/h/Mail/.inbox.journal", "/s/.alice.pop",
        "/s/.alice.cache", "/s/.alice.pop" },
    { "home-dir-mail=.mail home-dir-misc=true", "alice", "/h/.mail", "/h/..mail.journal", "/h/.alice.pop",
        "/h/.alice.cache", "/s/.alice.pop" },
    { "home-dir-misc=true temp-dir=/t", "alice", "/s/alice", "/s/.alice.journal", "/t/.alice.pop", "/t/.alice.cache",
        "/s/.alice.pop" },
    { "home-dir-mail=.mail hash-spool=1", "maida", "/h/o/.mail", "/h/o/..mail.journal", "/s/o/.maida.pop",
        "/s/o/.maida.cache", "/s/.maida.pop" },
};

static struct settings *settings_of(const char *set, const char *spool)
{
    struct settings *settings = settings_new();
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    char text[200], *word, *rest = text;

    snprintf(text, sizeof text, "%s", set);
    ck_assert_int_eq(settings_set(settings, options_find("spool-dir", 9), spool, OPTION_FILE, "test", &why), 0);
    while ((word = strsep(&rest, " "))) {
        char *value = strchr(word, '=');

        if (!value)
            continue;
        *value++ = '\0';
        ck_assert_msg(settings_set(settings, options_find(word, strlen(word)), value, OPTION_FILE, "test", &why) == 0,
                      "%s", why.data);
    }
    return settings;
}

START_TEST(names)
{
    struct settings *settings = settings_of(cases[_i].set, "/s");
    struct auth_user user = { .uid = getuid(), .home = "/h" };
    struct places p;

    snprintf(user.name, sizeof user.name, "%s", cases[_i].user);
    places_find(&p, settings, &user);
    ck_assert_str_eq(p.file[MAILFILE_DROP].shown, cases[_i].drop);
    ck_assert_str_eq(p.file[MAILFILE_JOURNAL].shown, cases[_i].journal);
    ck_assert_str_eq(p.file[MAILFILE_TEMPDROP].shown, cases[_i].temp);
    ck_assert_str_eq(p.index.shown, cases[_i].index);
    if (cases[_i].old)
        ck_assert_str_eq(p.old_tempdrop.shown, cases[_i].old);
    else
        ck_assert_ptr_null(p.old_tempdrop.name);
    ck_assert_int_eq(p.file[MAILFILE_DROP].in_home, strncmp(cases[_i].drop, "/h", 2) == 0);
    ck_assert_int_eq(p.index.in_home, strncmp(cases[_i].index, "/h", 2) == 0);
    ck_assert_int_eq(p.index.dir, -1);
    ck_assert_int_eq(p.index.error, ENOENT);
    places_close(&p);
    settings_free(&settings);
}
END_TEST

START_TEST(popbull)
{
    struct settings *settings = settings_of("", "/s");
    struct auth_user user = { .name = "alice", .uid = getuid(), .home = "/h" };
    struct places p;

    places_set_popbull_dir(NULL);
    places_find(&p, settings, &user);
    places_find_popbull(&p, &user);
    places_find_popbull(&p, &user);
    ck_assert_str_eq(p.file[MAILFILE_POPBULL].shown, "/h/.popbull");
    ck_assert(p.file[MAILFILE_POPBULL].in_home);
    ck_assert_ptr_null(p.old_popbull.name);
    places_close(&p);
    places_set_popbull_dir("/b"); /* configure --enable-popbulldir=/b */
    places_find(&p, settings, &user);
    places_find_popbull(&p, &user);
    ck_assert_str_eq(p.file[MAILFILE_POPBULL].shown, "/b/alice.popbull");
    ck_assert(!p.file[MAILFILE_POPBULL].in_home);
    ck_assert_str_eq(p.old_popbull.shown, "/h/.popbull");
    ck_assert(p.old_popbull.in_home);
    places_close(&p);
    settings_free(&settings);
}
END_TEST

/* ---- with real directories */

static char dir[] = "/tmp/popper-places.XXXXXX";
static char path[300];

static const char *in_dir(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void make_dir(void)
{
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void remove_dir(void)
{
    char command[100];

    snprintf(command, sizeof command, "rm -rf %s", dir);
    if (system(command) != 0)
        return;
}

static const struct {
    mode_t mode;
    gid_t owner_gid;
    uid_t owner_uid;
    const char *set;
    gid_t expected;
} spools[] = {
    { 02775, 8, 0, "", 8 },                             /* Debian */
    { 0775, 8, 0, "", 8 },
    { 01777, 8, 0, "", IDENTITY_NO_GID },               /* everybody may */
    { 02775, 0, 0, "", IDENTITY_NO_GID },               /* never root's group */
    { 0755, 8, 0, "", IDENTITY_NO_GID },                /* the group may not either */
    { 02775, 64001, 0, "", IDENTITY_NO_GID },           /* the user's own group */
    { 02775, 8, 64001, "", IDENTITY_NO_GID },           /* the user's own directory */
    { 02775, 8, 0, "home-dir-mail=.mail", 8 },          /* index and temp drop are there */
};

START_TEST(the_group_of_the_spool)
{
    struct auth_user user = { .name = "alice", .uid = 64001, .gid = 64001, .home = "/h" };
    struct settings *settings = settings_of(spools[_i].set, dir);

    if (getuid() != 0)
        return;
    ck_assert_int_eq(chown(dir, spools[_i].owner_uid, spools[_i].owner_gid), 0);
    ck_assert_int_eq(chmod(dir, spools[_i].mode), 0);
    ck_assert_uint_eq(places_spool_gid(settings, &user), spools[_i].expected);
}
END_TEST

static struct auth_user named(const char *name)
{
    struct auth_user user = { .uid = 64001, .gid = 64001 };

    snprintf(user.name, sizeof user.name, "%s", name);
    snprintf(user.home, sizeof user.home, "%s/home", dir);
    return user;
}

static void assert_like(const char *name, const struct stat *like)
{
    struct stat st;

    ck_assert_msg(stat(in_dir(name), &st) == 0, "%s", name);
    ck_assert_uint_eq(st.st_mode, like->st_mode);
    ck_assert_uint_eq(st.st_uid, like->st_uid);
    ck_assert_uint_eq(st.st_gid, like->st_gid);
}

START_TEST(missing_hash_directories_are_made_like_the_spool)
{
    struct settings *settings = settings_of("hash-spool=2", dir);
    struct auth_user alice = named("alice"), bob = named("bob");
    struct stat spool, temp;

    ck_assert_int_eq(mkdir(in_dir("temp"), 0711), 0);
    settings->temp_dir = mem_strdup(path);
    ck_assert_int_eq(stat(path, &temp), 0);
    if (getuid() == 0)
        ck_assert_int_eq(chown(dir, 0, 8), 0);
    ck_assert_int_eq(chmod(dir, 02771), 0);
    umask(077);
    places_make_hash_dirs(settings, &alice);
    ck_assert_int_eq(stat(dir, &spool), 0);
    assert_like("a", &spool);
    assert_like("a/l", &spool);
    assert_like("temp/a", &temp);
    assert_like("temp/a/l", &temp);
    settings->check_hash_dir = false;
    places_make_hash_dirs(settings, &bob);
    ck_assert_int_eq(access(in_dir("b"), F_OK), -1);
}
END_TEST

START_TEST(a_hash_directory_that_is_a_link_is_not_followed)
{
    struct settings *settings = settings_of("hash-spool=1", dir);
    struct auth_user maida = named("maida");

    ck_assert_int_eq(symlink("nowhere", in_dir("o")), 0);
    catch_log();
    places_make_hash_dirs(settings, &maida);
    ck_assert_int_eq(access(in_dir("nowhere"), F_OK), -1);
    ck_assert_ptr_nonnull(strstr(caught.data, "cannot be made"));
}
END_TEST

/* Else a user of a spool that everybody may write to could have root make directories where he likes. */
START_TEST(nothing_is_made_behind_a_link)
{
    struct settings *settings = settings_of("hash-spool=2", dir);
    struct auth_user maida = named("maida");

    ck_assert_int_eq(mkdir(in_dir("elsewhere"), 0700), 0);
    ck_assert_int_eq(symlink("elsewhere", in_dir("m")), 0);
    catch_log();
    places_make_hash_dirs(settings, &maida);
    ck_assert_int_eq(access(in_dir("elsewhere/a"), F_OK), -1);
    ck_assert_ptr_nonnull(strstr(caught.data, "cannot be made"));
}
END_TEST

START_TEST(nothing_is_made_in_somebodys_directory)
{
    struct settings *settings = settings_of("hash-spool=2", dir);
    struct auth_user maida = named("maida");

    if (getuid() != 0)
        return;
    ck_assert_int_eq(mkdir(in_dir("m"), 0700), 0);
    ck_assert_int_eq(chown(path, 64002, 64002), 0);
    catch_log();
    places_make_hash_dirs(settings, &maida);
    ck_assert_int_eq(access(in_dir("m/a"), F_OK), -1);
    ck_assert_ptr_nonnull(strstr(caught.data, "cannot be made"));
}
END_TEST

START_TEST(a_user_makes_them_in_his_home_only)
{
    struct settings *settings = settings_of("hash-spool=1 home-dir-misc=true", dir);
    struct auth_user maida = named("maida");
    struct stat home;

    ck_assert_int_eq(mkdir(in_dir("home"), 0710), 0);
    if (getuid() == 0) {
        places_make_hash_dirs(settings, &maida); /* root does nothing there */
        ck_assert_int_eq(access(in_dir("home/o"), F_OK), -1);
        ck_assert_int_eq(rmdir(in_dir("o")), 0);
        ck_assert_int_eq(chmod(dir, 01777), 0);
        ck_assert_int_eq(chown(in_dir("home"), 64001, 64001), 0);
        ck_assert(setegid(64001) == 0 && seteuid(64001) == 0);
    }
    ck_assert_int_eq(stat(in_dir("home"), &home), 0);
    places_make_hash_dirs(settings, &maida);
    assert_like("home/o", &home);
    if (getuid() == 0) {
        ck_assert(seteuid(0) == 0 && setegid(0) == 0);
        ck_assert_int_eq(access(in_dir("o"), F_OK), -1);
    }
}
END_TEST

/* ---- the session lock */

static struct place lock_place(void)
{
    return (struct place){ .dir = open(dir, O_RDONLY | O_DIRECTORY), .name = (char *)"lock",
        .shown = (char *)"SPOOL/lock" };
}

static volatile sig_atomic_t asked;

static void on_ask(int number)
{
    (void)number;
    asked = 1;
}

/* A process that takes the lock and keeps it; gives way when asked, if polite. */
static pid_t start_holder(bool polite)
{
    int ready[2];
    char c;
    pid_t pid;

    ck_assert_int_eq(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        struct place place = lock_place();
        struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
        int fd;

        signal(SIGURG, polite ? on_ask : SIG_DFL);
        if (sessionlock_take(&place, getuid(), false, &fd, &why) != SESSIONLOCK_OK || write(ready[1], "x", 1) != 1)
            _exit(1);
        while (!asked)
            usleep(1000);
        _exit(0);
    }
    close(ready[1]);
    ck_assert_int_eq(read(ready[0], &c, 1), 1);
    return pid;
}

START_TEST(a_held_lock_is_busy_and_dies_with_its_holder)
{
    struct place place = lock_place();
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    pid_t holder = start_holder(false);
    char expected[100];
    int fd;

    ck_assert_int_eq(sessionlock_take(&place, getuid(), false, &fd, &why), SESSIONLOCK_BUSY);
    ck_assert_int_eq(fd, -1);
    snprintf(expected, sizeof expected, "SPOOL/lock is locked by another session (process %d)", (int)holder);
    ck_assert_str_eq(why.data, expected);
    kill(holder, SIGKILL);
    waitpid(holder, NULL, 0);
    ck_assert_int_eq(sessionlock_take(&place, getuid(), false, &fd, &why), SESSIONLOCK_OK);
    ck_assert_int_ge(fd, 0);
}
END_TEST

START_TEST(a_polite_holder_gives_way)
{
    struct place place = lock_place();
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    pid_t holder = start_holder(true);
    int fd, status;

    catch_log();
    ck_assert_int_eq(sessionlock_take(&place, getuid(), true, &fd, &why), SESSIONLOCK_OK);
    waitpid(holder, &status, 0);
    ck_assert_int_eq(status, 0);
    snprintf(path, sizeof path, "notice took the maildrop over from process %ld,", (long)holder);
    ck_assert_msg(strstr(caught.data, path) != NULL, "%s", caught.data);
}
END_TEST

/* Whether a process sleeps: waits for something. */
static bool sleeps(pid_t pid)
{
    char text[200] = "";
    int fd, n;

    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    fd = open(path, O_RDONLY);
    n = (int)read(fd, text, sizeof text - 1);
    close(fd);
    return n > 0 && strstr(text, ") S ") != NULL;
}

/* The client's connection ends a moment before its session does: who logs in again at once is not refused, also where nobody is asked to go. */
START_TEST(a_holder_that_ends_is_waited_for)
{
    struct place place = lock_place();
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    pid_t holder = start_holder(false), test = getpid(), ender;
    int fd, status;

    ender = fork();
    if (ender == 0) {
        while (!sleeps(test))
            ;
        kill(holder, SIGKILL);
        _exit(0);
    }
    ck_assert_int_eq(sessionlock_take(&place, getuid(), false, &fd, &why), SESSIONLOCK_OK);
    waitpid(ender, NULL, 0);
    waitpid(holder, &status, 0);
    ck_assert_int_eq(status, SIGKILL);
}
END_TEST

START_TEST(a_busy_holder_stays)
{
    struct place place = lock_place();
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    pid_t holder = start_holder(false);
    int fd;

    ck_assert_int_eq(sessionlock_take(&place, getuid(), true, &fd, &why), SESSIONLOCK_BUSY);
    kill(holder, SIGKILL);
    waitpid(holder, NULL, 0);
}
END_TEST

START_TEST(a_lock_file_that_is_not_ours_is_not_used)
{
    struct place place = lock_place();
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    int fd;

    ck_assert_int_eq(symlink("elsewhere", in_dir("lock")), 0);
    ck_assert_int_eq(sessionlock_take(&place, getuid(), false, &fd, &why), SESSIONLOCK_NONE);
    ck_assert_int_eq(access(in_dir("elsewhere"), F_OK), -1);
    unlink(in_dir("lock"));
    ck_assert_int_eq(sessionlock_take(&place, getuid() + 1, false, &fd, &why), SESSIONLOCK_NONE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("places");
    TCase *tc = tcase_create("places");

    tcase_add_checked_fixture(tc, make_dir, remove_dir);
    tcase_add_loop_test(tc, names, 0, (int)(sizeof cases / sizeof *cases));
    tcase_add_test(tc, popbull);
    tcase_add_loop_test(tc, the_group_of_the_spool, 0, (int)(sizeof spools / sizeof *spools));
    tcase_add_test(tc, missing_hash_directories_are_made_like_the_spool);
    tcase_add_test(tc, a_hash_directory_that_is_a_link_is_not_followed);
    tcase_add_test(tc, nothing_is_made_behind_a_link);
    tcase_add_test(tc, nothing_is_made_in_somebodys_directory);
    tcase_add_test(tc, a_user_makes_them_in_his_home_only);
    tcase_add_test(tc, a_held_lock_is_busy_and_dies_with_its_holder);
    tcase_add_test(tc, a_polite_holder_gives_way);
    tcase_add_test(tc, a_holder_that_ends_is_waited_for);
    tcase_add_test(tc, a_busy_holder_stays);
    tcase_add_test(tc, a_lock_file_that_is_not_ours_is_not_used);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
