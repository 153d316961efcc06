/* privmsg: round trips, and everything a hostile neighbour could send. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/clock.h"
#include "wire/privmsg.h"

static int ends[2];

static void connect_ends(void)
{
    ck_assert_int_eq(privmsg_pair(ends), 0);
}

static void close_ends(void)
{
    close(ends[0]);
    close(ends[1]);
}

START_TEST(what_was_put_can_be_got)
{
    struct privmsg m;
    size_t n;
    const char *bytes;

    privmsg_init(&m, 7);
    privmsg_put_number(&m, UINT64_MAX);
    privmsg_put_text(&m, "mail");
    privmsg_put_bytes(&m, "a\0b", 3);
    privmsg_put_text(&m, "");
    ck_assert_int_eq(privmsg_send(ends[0], &m), 0);
    privmsg_free(&m);

    ck_assert_int_eq(privmsg_receive(ends[1], &m, 1000), 1);
    ck_assert_uint_eq(m.type, 7);
    ck_assert_int_eq(m.fd, -1);
    ck_assert_uint_eq(privmsg_get_number(&m), UINT64_MAX);
    ck_assert_str_eq(privmsg_get_text(&m, 4), "mail");
    ck_assert(!privmsg_complete(&m));
    bytes = privmsg_get_bytes(&m, 10, &n);
    ck_assert_uint_eq(n, 3);
    ck_assert_int_eq(memcmp(bytes, "a\0b", 4), 0);
    ck_assert_str_eq(privmsg_get_text(&m, 10), "");
    ck_assert(privmsg_complete(&m));
    privmsg_free(&m);
}
END_TEST

START_TEST(a_descriptor_travels_close_on_exec)
{
    struct privmsg m;
    struct stat sent, got;
    int fd = open("/dev/null", O_RDONLY);

    ck_assert_int_eq(fstat(fd, &sent), 0);
    privmsg_init(&m, 1);
    privmsg_put_fd(&m, fd);
    ck_assert_int_eq(privmsg_send(ends[0], &m), 0);
    privmsg_free(&m); /* owns fd */
    ck_assert_int_eq(fcntl(fd, F_GETFD), -1);

    ck_assert_int_eq(privmsg_receive(ends[1], &m, 1000), 1);
    ck_assert_int_eq(fstat(m.fd, &got), 0);
    ck_assert_uint_eq(sent.st_rdev, got.st_rdev);
    ck_assert_int_eq(fcntl(m.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    privmsg_free(&m);
}
END_TEST

/* Bodies that lie, and what the gets must make of them. 'n' number, 't' text of at most 8, 'b' bytes of at most 8. */
struct lie {
    const char *name;
    const char *body;
    size_t length;
    const char *gets;
};

#define BODY(text) text, sizeof(text) - 1
static const struct lie lies[] = {
    { "nothing at all", BODY(""), "n" },
    { "number cut short", BODY("N\1\2\3"), "n" },
    { "bytes where a number should be", BODY("B\1\0\0\0a\0"), "n" },
    { "number where text should be", BODY("N\1\2\3\4\5\6\7\10"), "t" },
    { "unknown tag", BODY("Z\1\0\0\0a\0"), "t" },
    { "length missing", BODY("B\1\0"), "t" },
    { "length beyond the body", BODY("B\5\0\0\0a\0"), "t" },
    { "length of 4 GB", BODY("B\377\377\377\377a\0"), "t" },
    { "length over the caller's bound", BODY("B\11\0\0\0aaaaaaaaa\0"), "b" },
    { "no NUL behind the bytes", BODY("B\1\0\0\0ab"), "b" },
    { "NUL behind the bytes cut off", BODY("B\1\0\0\0a"), "b" },
    { "NUL inside text", BODY("B\3\0\0\0a\0b\0"), "t" },
    { "second item bad, sticky", BODY("N\1\2\3\4\5\6\7\10X"), "nnn" },
};

START_TEST(a_lying_body_is_bad)
{
    const struct lie *lie = &lies[_i];
    struct privmsg m;
    const char *get;
    size_t n;

    privmsg_init(&m, 1);
    strbuf_add(&m.body, lie->body, lie->length);
    ck_assert_int_eq(privmsg_send(ends[0], &m), 0);
    privmsg_free(&m);
    ck_assert_int_eq(privmsg_receive(ends[1], &m, 1000), 1);
    for (get = lie->gets; *get; get++) {
        if (*get == 'n')
            privmsg_get_number(&m);
        else if (*get == 't')
            ck_assert_str_eq(privmsg_get_text(&m, 8), "");
        else
            ck_assert_str_eq(privmsg_get_bytes(&m, 8, &n), "");
    }
    ck_assert_msg(m.bad, "%s", lie->name);
    ck_assert_msg(!privmsg_complete(&m), "%s", lie->name);
    privmsg_free(&m);
}
END_TEST

static int receive_raw(const void *packet, size_t n)
{
    struct privmsg m;
    int got;

    ck_assert_int_eq(send(ends[0], packet, n, 0), (ssize_t)n);
    errno = 0;
    got = privmsg_receive(ends[1], &m, 1000);
    ck_assert_int_eq(m.fd, -1);
    ck_assert_uint_eq(m.body.len, 0);
    return got;
}

START_TEST(broken_packets_are_refused)
{
    static char big[PRIVMSG_MAX + 64];
    uint32_t header[4] = { 1, 9, 0, 0 };

    ck_assert_int_eq(receive_raw("abc", 3), -1);
    ck_assert_int_eq(errno, EBADMSG);
    ck_assert_int_eq(receive_raw(header, sizeof header), -1); /* says 9 bytes of body, has 8 */
    ck_assert_int_eq(errno, EBADMSG);
    header[1] = PRIVMSG_MAX + 56;
    memcpy(big, header, 8);
    ck_assert_int_eq(receive_raw(big, sizeof big), -1);
    ck_assert_int_eq(errno, EBADMSG);
}
END_TEST

static int count_descriptors(void)
{
    int fd, n = 0;

    for (fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

START_TEST(more_than_one_descriptor_is_refused_and_closed)
{
    uint32_t header[2] = { 1, 0 };
    struct iovec part = { .iov_base = header, .iov_len = sizeof header };
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * 8)] = "";
    struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control };
    int i, fds[8], before = count_descriptors(), many = _i;
    struct cmsghdr *c;
    struct privmsg m;

    for (i = 0; i < many; i++)
        fds[i] = ends[0];
    msg.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)many);
    c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)many);
    memcpy(CMSG_DATA(c), fds, sizeof(int) * (size_t)many);
    ck_assert_int_eq(sendmsg(ends[0], &msg, 0), 8);
    ck_assert_int_eq(privmsg_receive(ends[1], &m, 1000), -1);
    ck_assert_int_eq(errno, EBADMSG);
    ck_assert_int_eq(count_descriptors(), before);
}
END_TEST

START_TEST(too_large_is_not_sent)
{
    static char big[PRIVMSG_MAX];
    struct privmsg m;

    privmsg_init(&m, 1);
    privmsg_put_bytes(&m, big, sizeof big - 6);
    ck_assert_int_eq(privmsg_send(ends[0], &m), 0);
    privmsg_free(&m);
    privmsg_init(&m, 1);
    privmsg_put_bytes(&m, big, sizeof big);
    errno = 0;
    ck_assert_int_eq(privmsg_send(ends[0], &m), -1);
    ck_assert_int_eq(errno, EMSGSIZE);
    privmsg_free(&m);
}
END_TEST

START_TEST(the_other_side_is_gone)
{
    struct privmsg m;

    privmsg_init(&m, 1);
    close(ends[0]);
    ck_assert_int_eq(privmsg_receive(ends[1], &m, 1000), 0);
    ck_assert_int_eq(privmsg_send(ends[1], &m), -1);
    ck_assert_int_eq(errno, EPIPE);
    privmsg_free(&m);
    ends[0] = ends[1];
}
END_TEST

/* Closing with unread packets makes the kernel say ECONNRESET, which is no error of ours. */
START_TEST(gone_with_unread_packets)
{
    struct privmsg m;

    privmsg_init(&m, 1);
    ck_assert_int_eq(privmsg_send(ends[1], &m), 0);
    close(ends[0]);
    ck_assert_int_eq(privmsg_receive(ends[1], &m, 1000), 0);
    ends[0] = ends[1];
}
END_TEST

START_TEST(waiting_ends)
{
    struct privmsg m;

    ck_assert_int_eq(privmsg_receive(ends[1], &m, 10), -1);
    ck_assert_int_eq(errno, ETIMEDOUT);
}
END_TEST

static void on_alarm(int number)
{
    (void)number;
}

/* Whoever awaits is not woken by signals, and does not wait longer for them. */
START_TEST(signals_change_nothing_for_who_awaits)
{
    const struct sigaction act = { .sa_handler = on_alarm };
    const struct itimerval often = { .it_interval.tv_usec = 10000, .it_value.tv_usec = 10000 }, never = { 0 };
    struct privmsg m;
    int64_t begun = clock_now();

    ck_assert_int_eq(sigaction(SIGALRM, &act, NULL), 0);
    ck_assert_int_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
    ck_assert_int_eq(privmsg_receive(ends[1], &m, 5000), -1);
    ck_assert_int_eq(errno, EINTR);
    ck_assert_int_eq(privmsg_await(ends[1], &m, 200), -1);
    ck_assert_int_eq(errno, ETIMEDOUT);
    ck_assert(clock_now() - begun > 180000000);
    setitimer(ITIMER_REAL, &never, NULL);
    privmsg_init(&m, 7);
    ck_assert_int_eq(privmsg_send(ends[0], &m), 0);
    ck_assert_int_eq(privmsg_await(ends[1], &m, -1), 1);
    ck_assert_int_eq(m.type, 7);
    privmsg_free(&m);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("privmsg");
    TCase *tc = tcase_create("privmsg");

    tcase_add_checked_fixture(tc, connect_ends, close_ends);
    tcase_add_test(tc, what_was_put_can_be_got);
    tcase_add_test(tc, a_descriptor_travels_close_on_exec);
    tcase_add_loop_test(tc, a_lying_body_is_bad, 0, (int)(sizeof lies / sizeof *lies));
    tcase_add_test(tc, broken_packets_are_refused);
    tcase_add_loop_test(tc, more_than_one_descriptor_is_refused_and_closed, 2, 6);
    tcase_add_test(tc, too_large_is_not_sent);
    tcase_add_test(tc, the_other_side_is_gone);
    tcase_add_test(tc, gone_with_unread_packets);
    tcase_add_test(tc, waiting_ends);
    tcase_add_test(tc, signals_change_nothing_for_who_awaits);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
