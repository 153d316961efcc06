/*
 * dotlock_make: who is killed at any call is no obstacle to the next one, whatever the file system can; nothing is left over for ever.
 */
#include "config.h" /* system extensions, 64-bit offsets */

#include "tests/unit/locksite.h"

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

static enum dotlock_way strangers_way;

static int stranger_in_the_way(void)
{
    struct maillock *lock = lock_for(3, strangers_way);

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
    strangers_way = (enum dotlock_way)_i;
    in_child(stranger_in_the_way);
}
END_TEST

static void add(TCase *tc)
{
    tcase_add_loop_test(tc, killed_at_any_call, 0, LEN(killed));
    tcase_add_test(tc, killed_where_links_are_impossible);
    tcase_add_test(tc, where_only_a_link_is_allowed);
    tcase_add_loop_test(tc, second_link_of_a_killed_maker_is_taken_off, 0, DOTLOCK_EXCLUSIVE);
    tcase_add_loop_test(tc, lost_answer_to_link, 0, DOTLOCK_EXCLUSIVE);
    tcase_add_loop_test(tc, a_strangers_file_of_that_name_does_no_harm, DOTLOCK_NAMED, DOTLOCK_EXCLUSIVE + 1);
}

int main(void)
{
    return lock_main("dotlock_make", add);
}
