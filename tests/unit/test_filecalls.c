/* filecalls: short counts and interruptions are completed, errors and early ends are told. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mail/filecalls.h"

static char disk[64];
static int calls, fail_at, fail_errno;

static ssize_t trip(size_t n)
{
    if (++calls == fail_at) {
        errno = fail_errno;
        return -1;
    }
    return (ssize_t)(n < 3 ? n : 3); /* never more than three bytes a call */
}

static ssize_t fake_pread(int fd, void *buf, size_t n, off_t at)
{
    ssize_t moved = trip(n);
    size_t left = (size_t)at < sizeof disk ? sizeof disk - (size_t)at : 0;

    (void)fd;
    if (moved < 0)
        return -1;
    if ((size_t)moved > left)
        moved = (ssize_t)left;
    memcpy(buf, disk + at, (size_t)moved);
    return moved;
}

static ssize_t fake_pwrite(int fd, const void *buf, size_t n, off_t at)
{
    ssize_t moved = trip(n);

    (void)fd;
    if (moved > 0)
        memcpy(disk + at, buf, (size_t)moved);
    return moved;
}

static ssize_t fake_copy_range(int from, off_t from_at, int to, off_t to_at, size_t n)
{
    char bytes[3];
    ssize_t got = fake_pread(from, bytes, n < 3 ? n : 3, from_at);

    (void)to;
    if (got > 0)
        memcpy(disk + to_at, bytes, (size_t)got);
    return got;
}

static const struct filecalls fake = { .pread = fake_pread, .pwrite = fake_pwrite, .copy_range = fake_copy_range };

static void use_fake(int at, int error)
{
    filecalls = &fake;
    calls = 0;
    fail_at = at;
    fail_errno = error;
    for (size_t i = 0; i < sizeof disk; i++)
        disk[i] = (char)('0' + i);
}

START_TEST(reads_are_completed)
{
    char buf[20];

    use_fake(2, EINTR);
    ck_assert_int_eq(filecalls_read(0, buf, 10, 5), 10);
    ck_assert_mem_eq(buf, disk + 5, 10);
    use_fake(2, EIO);
    ck_assert_int_eq(filecalls_read(0, buf, 10, 5), -1);
    ck_assert_int_eq(errno, EIO);
    use_fake(0, 0);
    ck_assert_int_eq(filecalls_read(0, buf, 20, 60), 4);
    ck_assert_int_eq(filecalls_read(0, buf, 20, 64), 0);
}
END_TEST

START_TEST(writes_are_completed)
{
    use_fake(3, EINTR);
    ck_assert_int_eq(filecalls_write(0, "abcdefghij", 10, 7), 0);
    ck_assert_mem_eq(disk + 6, "6abcdefghij", 11);
    use_fake(3, ENOSPC);
    ck_assert_int_eq(filecalls_write(0, "abcdefghij", 10, 7), -1);
    ck_assert_int_eq(errno, ENOSPC);
}
END_TEST

START_TEST(copies_are_completed)
{
    use_fake(2, EINTR);
    ck_assert_int_eq(filecalls_copy(0, 0, 1, 40, 10), 0);
    ck_assert_mem_eq(disk + 40, disk, 10);
    use_fake(2, EDQUOT);
    ck_assert_int_eq(filecalls_copy(0, 0, 1, 40, 10), -1);
    ck_assert_int_eq(errno, EDQUOT);
    use_fake(0, 0);
    ck_assert_int_eq(filecalls_copy(0, 60, 1, 0, 10), -1);
    ck_assert_int_eq(errno, EIO);
}
END_TEST

START_TEST(the_real_ones_move_bytes)
{
    FILE *a = tmpfile(), *b = tmpfile();
    char buf[10];
    struct stat st;

    ck_assert(a && b);
    filecalls = &filecalls_os;
    ck_assert_int_eq(filecalls_write(fileno(a), "0123456789", 10, 0), 0);
    ck_assert_int_eq(filecalls_copy(fileno(a), 2, fileno(b), 5, 4), 0);
    ck_assert_int_eq(filecalls_read(fileno(b), buf, 10, 5), 4);
    ck_assert_mem_eq(buf, "2345", 4);
    ck_assert_int_eq(filecalls_copy(fileno(a), 8, fileno(b), 0, 5), -1);
    ck_assert_int_eq(errno, EIO);
    ck_assert_int_eq(filecalls->reserve(fileno(b), 9, 1000), 0);
    ck_assert_int_eq(filecalls->ftruncate(fileno(b), 3), 0);
    ck_assert_int_eq(filecalls->fsync(fileno(b)) + filecalls->fdatasync(fileno(b)), 0);
    ck_assert_int_eq(filecalls->fstat(fileno(b), &st), 0);
    ck_assert_int_eq(st.st_size, 3);
    fclose(a);
    fclose(b);
}
END_TEST

START_TEST(unlike_files_are_copied_by_hand)
{
    int pipes[2];
    FILE *b = tmpfile();

    ck_assert(b && pipe(pipes) == 0);
    filecalls = &filecalls_os;
    ck_assert_int_eq(filecalls_copy(pipes[0], 0, fileno(b), 0, 1), -1); /* pread on a pipe: told, not looped */
    ck_assert_int_eq(errno, ESPIPE);
    fclose(b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("filecalls");
    TCase *tc = tcase_create("filecalls");

    tcase_add_test(tc, reads_are_completed);
    tcase_add_test(tc, writes_are_completed);
    tcase_add_test(tc, copies_are_completed);
    tcase_add_test(tc, the_real_ones_move_bytes);
    tcase_add_test(tc, unlike_files_are_copied_by_hand);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
