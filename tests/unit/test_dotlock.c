/*
 * dotlock: what stands in the way, what is stale, who may remove what.
 */
#include "config.h" /* system extensions, 64-bit offsets */

#include "tests/unit/locksite.h"

/* ---- stale or not: the text of the lock, its age, the result */

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
    { "empty, a little from the future", EMPTY, -100, MAILLOCK_BUSY, "refreshed 0 s ago" },
    { "empty, from the future", EMPTY, -1000, MAILLOCK_BUSY, "s in the future: was the clock set back?" },
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

static int stranger_has_old(void)
{
    struct maillock *lock = lock_for(3, way);

    if (fchmod(dirfd_, 01777) < 0 || fchownat(dirfd_, "fred.lock", USER, GROUP, 0) < 0 || setresuid(USER, USER, USER) < 0)
        return 1;
    if (maillock_acquire(lock, fd, 0, &why) != MAILLOCK_OK)
        return 2;
    maillock_close(&lock);
    return there(".fred.lock.old") && count_files() == 2 ? 0 : 3;
}

/* The name to which a stale lock goes is known to everybody who may make files there. */
START_TEST(a_strangers_file_saves_no_stale_lock)
{
    if (geteuid() != 0)
        return;
    make(".fred.lock.old", "", 0);
    make_lock(OURS_DEAD);
    way = (enum dotlock_way)_i;
    in_child(stranger_has_old);
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

/* Another program breaks the stale lock and makes its own. */
static void swap_lock(const struct dotlock *l, const char *from)
{
    before_rename = NULL;
    ck_assert_int_eq(unlinkat(l->dirfd, from, 0), 0);
    make("fred.lock", "fresh", 5);
}

START_TEST(fresh_lock_taken_for_a_stale_one_goes_back)
{
    struct maillock *lock = lock_for(3, DOTLOCK_NAMELESS);
    struct stat st;

    make_lock(OURS_DEAD);
    before_rename = swap_lock;
    no_noreplace = _i;
    ck_assert_int_eq(maillock_acquire(lock, fd, 0, &why), MAILLOCK_BUSY);
    ck_assert_ptr_null(before_rename);
    ck_assert_msg(strstr(why.data, "held by another mail program") != NULL, "%s", why.data);
    ck_assert_int_eq(fstatat(dirfd_, "fred.lock", &st, 0), 0);
    ck_assert_int_eq(st.st_size, 5);
    ck_assert_int_eq(count_files(), 2);
    ck_assert_str_eq(said.data, "");
    maillock_close(&lock);
}
END_TEST

static void add(TCase *tc)
{
    tcase_add_loop_test(tc, stale_or_not, 0, DOTLOCK_WAYS * LEN(stale));
    tcase_add_loop_test(tc, traps_are_left_alone, 0, DOTLOCK_WAYS * LEN(traps));
    tcase_add_test(tc, stale_hard_link_of_a_dead_owner_is_not_believed);
    tcase_add_test(tc, no_permission_is_an_error_with_advice);
    tcase_add_loop_test(tc, lock_in_a_directory_that_cannot_be_written, 0, 2);
    tcase_add_test(tc, stale_lock_of_another_user_in_a_1777_spool);
    tcase_add_loop_test(tc, a_strangers_file_saves_no_stale_lock, 0, DOTLOCK_WAYS);
    tcase_add_loop_test(tc, group_writable_spool, 0, DOTLOCK_WAYS);
    tcase_add_test(tc, lost_lock_is_noticed_and_the_new_one_left_alone);
    tcase_add_test(tc, refresh_makes_it_young);
    tcase_add_loop_test(tc, fresh_lock_taken_for_a_stale_one_goes_back, 0, 2);
}

int main(void)
{
    return lock_main("dotlock", add);
}
