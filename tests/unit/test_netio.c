/* netio: lines however they are cut into packets, limits, deadlines, on sockets and on pipes. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/tcp.h> /* as netio.c */
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/strbuf.h"
#include "wire/netio.h"

#define LINE_MAX_HERE 10
#define MS INT64_C(1000000)

static int here, there;      /* netio's end, the client's end */
static int here_out, there_in; /* differ for pipes */
static struct netio *io;
static volatile sig_atomic_t flag;

static void start(int use_pipes)
{
    int a[2], b[2];

    signal(SIGPIPE, SIG_IGN);
    if (use_pipes) {
        ck_assert_int_eq(pipe(a), 0);
        ck_assert_int_eq(pipe(b), 0);
        here = a[0], there = a[1], here_out = b[1], there_in = b[0];
    } else {
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, a), 0);
        here = here_out = a[0], there = there_in = a[1];
    }
    io = netio_new(here, here_out, LINE_MAX_HERE, 4096);
    netio_set_timeout(io, 5);
    flag = 0;
}

static void client_says(const char *text)
{
    ck_assert_int_eq(file_write(there, text, strlen(text)), (ssize_t)strlen(text));
}

static void client_hangs_up(void)
{
    close(there);
    if (there_in != there)
        close(there_in);
}

static void assert_line(enum netio_status status, const char *text)
{
    char *line;
    size_t n;
    enum netio_status got = netio_line(io, &line, &n);

    ck_assert_msg(got == status, "status %d instead of %d (line \"%s\")", (int)got, (int)status, line);
    ck_assert_str_eq(line, text);
    ck_assert_uint_eq(n, strlen(text));
}

/* What the client sends, and the lines that come out: 'l' a line, 'x' one over the limit (its beginning). */
struct lines {
    const char *name, *sent;
    const char *expected[6];
};

static const struct lines lines[] = {
    { "CRLF", "USER a\r\nQUIT\r\n", { "lUSER a", "lQUIT" } },
    { "bare LF", "USER a\nQUIT\n", { "lUSER a", "lQUIT" } },
    { "empty lines", "\r\n\nA\r\n", { "l", "l", "lA" } },
    { "CR in the middle stays", "A\rB\r\r\n", { "lA\rB\r" } },
    { "exactly the limit", "0123456789\r\nA\r\n", { "l0123456789", "lA" } },
    { "one over the limit", "0123456789a\r\nA\r\n", { "x0123456789", "lA" } },
    { "one over, bare LF", "0123456789a\nA\n", { "x0123456789", "lA" } },
    { "far over", "0123456789aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\nA\n", { "x0123456789", "lA" } },
    { "a CR at the limit that ends nothing", "0123456789\rb\nA\n", { "x0123456789", "lA" } },
    { "two over in a row", "0123456789aa\n0123456789bbb\nA\n", { "x0123456789", "x0123456789", "lA" } },
    { "unfinished last line", "A\nQUIT", { "lA" } },
};

static void assert_all_lines(const struct lines *c)
{
    size_t i;

    for (i = 0; i < 6 && c->expected[i]; i++)
        assert_line(c->expected[i][0] == 'x' ? NETIO_TOO_LONG : NETIO_LINE, c->expected[i] + 1);
    assert_line(NETIO_EOF, "");
    assert_line(NETIO_EOF, "");
}

START_TEST(lines_in_one_piece)
{
    start(_i % 2);
    client_says(lines[_i / 2].sent);
    client_hangs_up();
    assert_all_lines(&lines[_i / 2]);
}
END_TEST

START_TEST(lines_byte_by_byte)
{
    const char *at;
    pid_t child;

    start(_i % 2);
    child = fork();
    if (child == 0) {
        for (at = lines[_i / 2].sent; *at; at++) {
            usleep(300);
            file_write(there, at, 1);
        }
        _exit(0);
    }
    client_hangs_up();
    assert_all_lines(&lines[_i / 2]);
    waitpid(child, NULL, 0);
}
END_TEST

START_TEST(a_nul_in_a_line_is_reported_by_its_length)
{
    char *line;
    size_t n;

    start(0);
    ck_assert_int_eq(file_write(there, "A\0B\r\n", 5), 5);
    ck_assert_int_eq(netio_line(io, &line, &n), NETIO_LINE);
    ck_assert_uint_eq(n, 3);
    ck_assert_int_eq(memcmp(line, "A\0B", 4), 0);
}
END_TEST

START_TEST(a_flood_without_line_end_needs_no_memory)
{
    pid_t child;

    start(_i);
    child = fork();
    if (child == 0) {
        static char a[65536];
        int i;

        memset(a, 'a', sizeof a);
        for (i = 0; i < 64; i++)
            file_write(there, a, sizeof a);
        file_write(there, "\nQUIT\n", 6);
        _exit(0);
    }
    client_hangs_up();
    assert_line(NETIO_TOO_LONG, "aaaaaaaaaa");
    assert_line(NETIO_LINE, "QUIT");
    assert_line(NETIO_EOF, "");
    waitpid(child, NULL, 0);
}
END_TEST

/* ---- output */

static ssize_t client_has(char *buf, size_t n)
{
    ssize_t got;

    fcntl(there_in, F_SETFL, O_NONBLOCK);
    got = read(there_in, buf, n);
    fcntl(there_in, F_SETFL, 0);
    return got;
}

START_TEST(replies_wait_while_commands_are_buffered)
{
    char buf[100];

    start(_i);
    client_says("A\r\nB\r\nC");
    assert_line(NETIO_LINE, "A");
    outbuf_adds(netio_out(io), "+OK a\r\n");
    assert_line(NETIO_LINE, "B");
    ck_assert_int_eq(client_has(buf, sizeof buf), -1);
    outbuf_adds(netio_out(io), "+OK b\r\n");
    client_says("\r\n");
    assert_line(NETIO_LINE, "C"); /* had to read: flushed first */
    ck_assert_int_eq(client_has(buf, sizeof buf), 14);
}
END_TEST

START_TEST(a_client_that_does_not_read_times_out)
{
    int i;
    int64_t begin;

    start(_i);
    netio_set_timeout(io, 1);
    begin = netio_now();
    for (i = 0; i < 100000 && !netio_out(io)->failed; i++)
        outbuf_adds(netio_out(io), "0123456789012345678901234567890123456789");
    ck_assert(netio_out(io)->failed);
    ck_assert_int_eq(netio_flush(io), -1);
    ck_assert_int_eq(errno, ETIMEDOUT);
    ck_assert_int_ge(netio_now() - begin, 900 * MS);
    ck_assert_int_le(netio_now() - begin, 4000 * MS);
    assert_line(NETIO_TIMEOUT, "");
}
END_TEST

START_TEST(a_client_that_is_gone_is_an_error)
{
    start(_i);
    client_hangs_up();
    outbuf_adds(netio_out(io), "+OK\r\n");
    ck_assert_int_eq(netio_flush(io), -1);
    ck_assert_int_eq(errno, EPIPE);
    assert_line(NETIO_ERROR, "");
}
END_TEST

START_TEST(much_output_arrives_whole)
{
    pid_t child;
    int i, status;

    start(_i);
    child = fork();
    if (child == 0) {
        static char buf[5000];
        size_t total = 0;
        ssize_t n;

        close(here), close(here_out);
        if (there != there_in)
            close(there);
        while ((n = read(there_in, buf, sizeof buf)) > 0) {
            total += (size_t)n;
            usleep(10);
        }
        _exit(total == 3000000 ? 0 : 1);
    }
    for (i = 0; i < 300000; i++)
        outbuf_adds(netio_out(io), "0123456789");
    ck_assert_int_eq(netio_flush(io), 0);
    netio_close(&io);
    ck_assert_ptr_null(io);
    close(here);
    close(here_out);
    client_hangs_up();
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}
END_TEST

/* ---- time */

/* A socket that keeps the limits of writes shows them. */
static size_t packets_of(bool chunky, const char *text)
{
    struct netio *packets;
    size_t count = 0;
    int ends[2];
    char got[4096];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    packets = netio_new(ends[0], ends[0], LINE_MAX_HERE, 4096);
    netio_set_timeout(packets, 5);
    netio_set_chunky(packets, chunky);
    outbuf_adds(netio_out(packets), text);
    ck_assert_int_eq(netio_flush(packets), 0);
    netio_close(&packets);
    close(ends[0]);
    for (size_t at = 0; at < strlen(text); count++) {
        ssize_t n = read(ends[1], got, sizeof got);

        ck_assert_int_gt(n, 0);
        ck_assert_int_eq(memcmp(text + at, got, (size_t)n), 0);
        at += (size_t)n;
    }
    close(ends[1]);
    return count;
}

START_TEST(lines_may_be_writes_of_their_own)
{
    ck_assert_uint_eq(packets_of(true, "+OK\r\none\r\n\r\n.\r\n"), 1);
    ck_assert_uint_eq(packets_of(false, "+OK\r\none\r\n\r\n.\r\n"), 4);
    ck_assert_uint_eq(packets_of(false, "+OK\r\nno end"), 2);
}
END_TEST

START_TEST(idle_times_out)
{
    int64_t begin = netio_now();

    start(_i);
    netio_set_timeout(io, 1);
    client_says("QUI");
    assert_line(NETIO_TIMEOUT, "");
    ck_assert_int_ge(netio_now() - begin, 990 * MS);
    client_says("T\n");
    assert_line(NETIO_LINE, "QUIT");
}
END_TEST

START_TEST(a_trickle_does_not_outlive_the_deadline)
{
    int64_t begin = netio_now();
    pid_t child;

    start(_i);
    netio_set_deadline(io, begin + 300 * MS);
    child = fork();
    if (child == 0) {
        int i;

        for (i = 0; i < 100; i++) {
            usleep(10000);
            if (file_write(there, "a", 1) < 0)
                break;
        }
        _exit(0);
    }
    assert_line(NETIO_TIMEOUT, "");
    ck_assert_int_ge(netio_now() - begin, 290 * MS);
    ck_assert_int_le(netio_now() - begin, 1000 * MS);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}
END_TEST

START_TEST(somebody_set_o_nonblock)
{
    int64_t begin = netio_now();

    start(_i);
    netio_set_timeout(io, 1);
    fcntl(here, F_SETFL, O_NONBLOCK);
    assert_line(NETIO_TIMEOUT, "");
    ck_assert_int_ge(netio_now() - begin, 990 * MS);
}
END_TEST

static void on_alarm(int number)
{
    (void)number;
    flag = 1;
}

static void alarm_in_ms(int ms)
{
    struct sigaction act = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
    struct itimerval t = { .it_value.tv_usec = ms * 1000, .it_interval.tv_usec = ms * 1000 };

    sigaction(SIGALRM, &act, NULL);
    setitimer(ITIMER_REAL, &t, NULL);
}

static bool end_it(void *context)
{
    ++*(int *)context;
    flag = 0;
    return *(int *)context == 3;
}

START_TEST(a_signal_interrupts_input_and_nothing_is_lost)
{
    start(_i);
    netio_set_interrupt(io, &flag, NULL, NULL);
    client_says("QU");
    alarm_in_ms(50);
    assert_line(NETIO_INTERRUPTED, "");
    assert_line(NETIO_INTERRUPTED, "");
    client_says("IT\n");
    flag = 0;
    assert_line(NETIO_LINE, "QUIT");
}
END_TEST

START_TEST(a_signal_interrupts_output_when_the_owner_says_so)
{
    int asked = 0, i;

    start(_i);
    netio_set_interrupt(io, &flag, end_it, &asked);
    alarm_in_ms(50);
    for (i = 0; i < 100000 && !netio_out(io)->failed; i++)
        outbuf_adds(netio_out(io), "0123456789012345678901234567890123456789");
    ck_assert_int_eq(asked, 3);
    flag = 1;
    assert_line(NETIO_INTERRUPTED, "");
}
END_TEST

START_TEST(sleeping_ends_at_its_instant_or_with_the_client)
{
    int64_t begin = netio_now();

    start(_i);
    client_says("QUIT\n");
    ck_assert_int_eq(netio_sleep_until(io, begin + 100 * MS), 0);
    ck_assert_int_ge(netio_now(), begin + 100 * MS);
    ck_assert_int_eq(netio_sleep_until(io, begin), 0);
    assert_line(NETIO_LINE, "QUIT");
    client_hangs_up();
    begin = netio_now();
    ck_assert_int_eq(netio_sleep_until(io, begin + 4000 * MS), -1);
    ck_assert_int_le(netio_now(), begin + 2000 * MS);
}
END_TEST

START_TEST(last_moved_follows_both_directions)
{
    int64_t begin = netio_now();

    start(_i);
    ck_assert_int_ge(netio_last_moved(io), begin);
    usleep(1000);
    begin = netio_now();
    client_says("A\n");
    ck_assert_int_lt(netio_last_moved(io), begin);
    assert_line(NETIO_LINE, "A");
    ck_assert_int_ge(netio_last_moved(io), begin);
    begin = netio_now();
    outbuf_adds(netio_out(io), "+OK\r\n");
    ck_assert_int_eq(netio_flush(io), 0);
    ck_assert_int_ge(netio_last_moved(io), begin);
}
END_TEST

/* ---- handing over */

START_TEST(unread_input_moves_to_the_next_process)
{
    struct netio *next;
    const char *bytes;
    size_t n;
    char all[100];

    start(_i);
    client_says("PASS x\r\nSTAT\r\nQU");
    assert_line(NETIO_LINE, "PASS x");
    n = netio_unread(io, &bytes);
    ck_assert_uint_eq(n, 8);
    memcpy(all, bytes, n);
    next = netio_new(here, here_out, LINE_MAX_HERE, 4096);
    ck_assert_int_eq(netio_prepend(next, all, n), 0);
    netio_close(&io);
    io = next;
    client_says("IT\r\n");
    assert_line(NETIO_LINE, "STAT");
    assert_line(NETIO_LINE, "QUIT");
}
END_TEST

START_TEST(prepend_has_a_bound)
{
    static char much[NETIO_UNREAD_MAX + 1];

    start(0);
    ck_assert_int_eq(netio_prepend(io, much, sizeof much), -1);
    memset(much, 'a', sizeof much);
    ck_assert_int_eq(netio_prepend(io, much, NETIO_UNREAD_MAX), 0);
    ck_assert_int_eq(netio_prepend(io, much, 1), -1);
    client_says("a\nQUIT\n");
    assert_line(NETIO_TOO_LONG, "aaaaaaaaaa");
    assert_line(NETIO_LINE, "QUIT");
}
END_TEST

START_TEST(discarded_input_is_gone)
{
    start(_i);
    client_says("STLS\r\nUSER evil\r\n");
    assert_line(NETIO_LINE, "STLS");
    netio_discard_input(io);
    client_says("USER good\n");
    assert_line(NETIO_LINE, "USER good");
}
END_TEST

START_TEST(a_consumed_password_is_overwritten)
{
    const char *bytes, *at;
    size_t n;

    start(_i);
    client_says("PASS pw\r\nSTAT\r\n");
    assert_line(NETIO_LINE, "PASS pw");
    netio_wipe_consumed(io);
    n = netio_unread(io, &bytes);
    ck_assert_uint_eq(n, 6);
    for (at = bytes - 9; at < bytes; at++)
        ck_assert_int_eq(*at, 0);
    assert_line(NETIO_LINE, "STAT");
}
END_TEST

/* poll(2) calls a pipe writable that has room for PIPE_BUF bytes: more of them would wait for the reader without a limit. */
START_TEST(a_pipe_that_is_nearly_full)
{
    static char bytes[65536];
    int size;

    start(1);
    netio_close(&io);
    io = netio_new(here, here_out, LINE_MAX_HERE, sizeof bytes);
    netio_set_timeout(io, 1);
    size = fcntl(here_out, F_GETPIPE_SZ);
    ck_assert_int_le(size, (int)sizeof bytes);
    ck_assert_int_eq(file_write(here_out, bytes, (size_t)size - PIPE_BUF), size - PIPE_BUF);
    outbuf_add(netio_out(io), bytes, 2 * PIPE_BUF);
    alarm(60); /* ends the test that hangs in write(2) */
    ck_assert_int_eq(netio_flush(io), -1);
    ck_assert_int_eq(errno, ETIMEDOUT);
    alarm(0);
    netio_close(&io);
}
END_TEST

/* A TCP connection whose client takes little: here ours, there the client's. */
static void start_tcp(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), small = 4096;

    ck_assert_int_eq(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    here = here_out = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(here, (struct sockaddr *)&address, sizeof address), 0);
    there = there_in = accept(listener, NULL, NULL);
    ck_assert_int_ge(there, 0);
    close(listener);
    io = netio_new(here, here_out, LINE_MAX_HERE, 4096);
    netio_set_timeout(io, 5);
}

START_TEST(settling_waits_for_the_clients_machine)
{
    static char bytes[200000];
    size_t taken = 0;

    start_tcp();
    outbuf_add(netio_out(io), "+OK\r\n", 5);
    ck_assert_int_eq(netio_settle(io), 0);
    outbuf_add(netio_out(io), bytes, sizeof bytes);
    ck_assert_int_eq(netio_flush(io), 0);
    netio_set_deadline(io, netio_now() + 30 * MS);
    ck_assert_int_eq(netio_settle(io), -1);
    netio_set_deadline(io, 0);
    while (taken < sizeof bytes + 5) {
        ssize_t n = read(there, bytes, sizeof bytes);

        ck_assert_int_gt(n, 0);
        taken += (size_t)n;
    }
    ck_assert_int_eq(netio_settle(io), 0);
    netio_close(&io);
}
END_TEST

static struct tcp_info tcp_state(void)
{
    struct tcp_info info = { 0 };
    socklen_t length = sizeof info;

    ck_assert_int_eq(getsockopt(here, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
    return info;
}

/* A client whose window is shut acknowledges all that was sent; the rest was not sent. */
START_TEST(what_was_not_sent_is_not_acknowledged)
{
    static char bytes[200000];

    start_tcp();
    outbuf_add(netio_out(io), bytes, sizeof bytes);
    ck_assert_int_eq(netio_flush(io), 0);
    while (tcp_state().tcpi_unacked > 0)
        netio_sleep_until(io, netio_now() + 10 * MS);
    ck_assert_uint_gt(tcp_state().tcpi_notsent_bytes, 0);
    ck_assert(!netio_acknowledged(here));
    netio_close(&io);
}
END_TEST

START_TEST(settling_fails_when_the_client_vanished)
{
    static char bytes[200000];

    start_tcp();
    outbuf_add(netio_out(io), bytes, sizeof bytes);
    ck_assert_int_eq(netio_flush(io), 0);
    client_hangs_up(); /* with bytes unread: a reset */
    ck_assert_int_eq(netio_settle(io), -1);
    netio_close(&io);
}
END_TEST

START_TEST(settling_elsewhere_is_flushing)
{
    start(_i);
    outbuf_add(netio_out(io), "+OK\r\n", 5);
    ck_assert_int_eq(netio_settle(io), 0);
    client_hangs_up();
    ck_assert_int_eq(netio_settle(io), -1);
    netio_close(&io);
}
END_TEST

START_TEST(who_has_said_the_last_is_gone)
{
    start(_i);
    ck_assert(!netio_gone(io));
    client_says("QUIT\r\nNOOP\r\n");
    ck_assert(!netio_gone(io));
    client_hangs_up();
    if (_i == 0) { /* what waits is read; of a pipe it is known that nobody hears the answer */
        ck_assert(!netio_gone(io));
        assert_line(NETIO_LINE, "QUIT");
        ck_assert(!netio_gone(io));
        assert_line(NETIO_LINE, "NOOP");
    }
    ck_assert(netio_gone(io));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("netio");
    TCase *tc = tcase_create("netio");
    int n = (int)(sizeof lines / sizeof *lines);

    tcase_set_timeout(tc, 20);
    tcase_add_loop_test(tc, lines_in_one_piece, 0, 2 * n);
    tcase_add_loop_test(tc, lines_byte_by_byte, 0, 2 * n);
    tcase_add_test(tc, a_nul_in_a_line_is_reported_by_its_length);
    /* From here each test runs twice: 0 over sockets, 1 over pipes. */
    tcase_add_loop_test(tc, a_flood_without_line_end_needs_no_memory, 0, 2);
    tcase_add_loop_test(tc, replies_wait_while_commands_are_buffered, 0, 2);
    tcase_add_loop_test(tc, a_client_that_does_not_read_times_out, 0, 2);
    tcase_add_loop_test(tc, a_client_that_is_gone_is_an_error, 0, 2);
    tcase_add_loop_test(tc, much_output_arrives_whole, 0, 2);
    tcase_add_test(tc, lines_may_be_writes_of_their_own);
    tcase_add_loop_test(tc, idle_times_out, 0, 2);
    tcase_add_loop_test(tc, a_trickle_does_not_outlive_the_deadline, 0, 2);
    tcase_add_loop_test(tc, somebody_set_o_nonblock, 0, 2);
    tcase_add_loop_test(tc, a_signal_interrupts_input_and_nothing_is_lost, 0, 2);
    tcase_add_loop_test(tc, a_signal_interrupts_output_when_the_owner_says_so, 0, 2);
    tcase_add_loop_test(tc, sleeping_ends_at_its_instant_or_with_the_client, 0, 2);
    tcase_add_loop_test(tc, last_moved_follows_both_directions, 0, 2);
    tcase_add_loop_test(tc, who_has_said_the_last_is_gone, 0, 2);
    tcase_add_loop_test(tc, unread_input_moves_to_the_next_process, 0, 2);
    tcase_add_test(tc, prepend_has_a_bound);
    tcase_add_test(tc, settling_waits_for_the_clients_machine);
    tcase_add_test(tc, what_was_not_sent_is_not_acknowledged);
    tcase_add_test(tc, settling_fails_when_the_client_vanished);
    tcase_add_test(tc, a_pipe_that_is_nearly_full);
    tcase_add_loop_test(tc, settling_elsewhere_is_flushing, 0, 2);
    tcase_add_loop_test(tc, discarded_input_is_gone, 0, 2);
    tcase_add_loop_test(tc, a_consumed_password_is_overwritten, 0, 2);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
