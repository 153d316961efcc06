/* log: what syslogd, the trace file and sinks get, byte for byte; and that nothing stops the process. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"

#define LEN(a) (sizeof(a) / sizeof(*(a)))

static char dir[64];
static char path[80];
static char got[LOG_RECORD_MAX + 200];
static int got_priority;

/* A syslogd of our own at `path`; type SOCK_DGRAM or SOCK_STREAM. */
static int listen_here(int type)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, type | SOCK_NONBLOCK, 0);

    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&to, sizeof to), 0);
    if (type == SOCK_STREAM)
        ck_assert_int_eq(listen(fd, 1), 0);
    return fd;
}

/* The next datagram, "" when there is none. */
static const char *next(int fd)
{
    ssize_t n = recv(fd, got, sizeof got - 1, MSG_DONTWAIT);

    got[n < 0 ? 0 : n] = '\0';
    return got;
}

static void check_matches(const char *text, const char *pattern)
{
    regex_t re;

    ck_assert_int_eq(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
    ck_assert_msg(regexec(&re, text, 0, NULL, 0) == 0, "\"%s\" does not match %s", text, pattern);
    regfree(&re);
}

static void setup(void)
{
    snprintf(dir, sizeof dir, "/tmp/test_log.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/log", dir);
    log_set_socket_path(path);
}

static void teardown(void)
{
    char command[120];

    log_close();
    log_set_sink(NULL, NULL);
    log_set_debug(false);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static void keep(void *context, int priority, const char *text, size_t length)
{
    (void)context;
    ck_assert_uint_eq(strlen(text), length);
    ck_assert_uint_le(length, LOG_RECORD_MAX);
    snprintf(got, sizeof got, "%s", text);
    got_priority = priority;
}

START_TEST(syslog_gets_the_rfc_3164_form)
{
    int fd = listen_here(SOCK_DGRAM);

    log_open("/usr/lib/popper/in.qpopper", LOG_MAIL);
    log_write(LOG_NOTICE, "Stats: %s %d", "fred", 3);
    check_matches(next(fd),
                  "^<21>[A-Z][a-z][a-z] [ 1-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-6][0-9] in\\.qpopper\\[[0-9]+\\]: "
                  "Stats: fred 3$");
    ck_assert_int_eq(atoi(strrchr(got, '[') + 1), getpid());
    log_set_facility(LOG_LOCAL0);
    log_write(LOG_ERR, "x");
    check_matches(next(fd), "^<131>");
    close(fd);
}
END_TEST

static const struct {
    const char *argv0, *tag;
} tags[] = {
    { "popper", "popper" }, { "/a/b/c", "c" },  { "", "popper" },
    { "/a/", "popper" },    { NULL, "popper" }, { "a b[1]:\n", "a_b_1___" },
};

START_TEST(tag_is_the_base_name_and_cannot_confuse_a_parser)
{
    char expected[80];
    int fd = listen_here(SOCK_DGRAM);

    log_open(tags[_i].argv0, LOG_MAIL);
    log_write(LOG_NOTICE, "x");
    next(fd);
    snprintf(expected, sizeof expected, " %s[%ld]: x", tags[_i].tag, (long)getpid());
    ck_assert_msg(strstr(got, expected) != NULL, "%s in %s", expected, got);
    close(fd);
}
END_TEST

START_TEST(children_log_under_the_pid_of_log_open)
{
    char expected[40];
    int fd = listen_here(SOCK_DGRAM);
    pid_t pid;

    log_open("popper", LOG_MAIL);
    snprintf(expected, sizeof expected, "popper[%ld]: from the child", (long)getpid());
    pid = fork();
    if (pid == 0) {
        log_write(LOG_NOTICE, "from the child");
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert_ptr_nonnull(strstr(next(fd), expected));
    close(fd);
}
END_TEST

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

/* syslogd ends, is missed, and comes back within the time in which it is not looked for again. Its socket; -1 when the machine was too slow for that. */
static int restart_syslogd(void)
{
    int fd = listen_here(SOCK_DGRAM);
    int64_t missed;

    log_open("popper", LOG_MAIL);
    log_write(LOG_NOTICE, "one");
    close(fd);
    unlink(path);
    missed = now_ms();
    log_write(LOG_NOTICE, "lost");
    log_write(LOG_NOTICE, "lost too");
    fd = listen_here(SOCK_DGRAM);
    log_write(LOG_NOTICE, "not looked for at once: lost as well");
    if (now_ms() - missed < 90)
        return fd;
    log_close();
    close(fd);
    unlink(path);
    return -1;
}

START_TEST(restarted_syslogd_is_found_again)
{
    int fd = -1;

    for (int i = 0; i < 20 && fd < 0; i++)
        fd = restart_syslogd();
    ck_assert_int_ge(fd, 0);
    usleep(110000);
    log_write(LOG_NOTICE, "two");
    check_matches(next(fd), "^<20>.*: 3 log records were lost");
    check_matches(next(fd), ": two$");
    close(fd);
}
END_TEST

START_TEST(full_socket_does_not_block)
{
    int fd = listen_here(SOCK_DGRAM);
    int lost = 0;
    int read = 0;

    log_open("popper", LOG_MAIL);
    for (int i = 0; i < 2000; i++)
        log_write(LOG_NOTICE, "record %d", i);
    while (*next(fd))
        read++;
    ck_assert_int_lt(read, 2000);
    log_write(LOG_NOTICE, "after");
    ck_assert_int_eq(sscanf(strstr(next(fd), "]: ") + 3, "%d log records were lost", &lost), 1);
    ck_assert_int_eq(read + lost, 2000);
    check_matches(next(fd), ": after$");
    close(fd);
}
END_TEST

/* Whether a reader who takes a moment for each record gets all of 300. */
static bool burst_arrives(void)
{
    int fd = listen_here(SOCK_DGRAM), status, read = 0;
    pid_t pid = fork();

    if (pid == 0) {
        const struct timespec moment = { .tv_nsec = 500000 };

        struct pollfd p = { .fd = fd, .events = POLLIN };

        while (read < 300 && poll(&p, 1, 2000) > 0 && strstr(next(fd), ": record ")) {
            nanosleep(&moment, NULL);
            read++;
        }
        _exit(read == 300 ? 0 : 1);
    }
    log_open("popper", LOG_MAIL);
    for (int i = 0; i < 300; i++)
        log_write(LOG_NOTICE, "record %d", i);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    log_close();
    close(fd);
    unlink(path);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* The queue of a datagram socket is short: a burst is not lost because syslogd takes a moment for each record. (One that a busy machine does not let
   run for longer than a record waits loses some: not each time.) */
START_TEST(slow_syslogd_gets_a_burst)
{
    bool arrived = false;

    for (int i = 0; i < 5 && !arrived; i++)
        arrived = burst_arrives();
    ck_assert(arrived);
}
END_TEST

START_TEST(stream_syslogd_gets_records_that_end_in_nul)
{
    int fd = listen_here(SOCK_STREAM);
    int conn;
    ssize_t n;

    log_open("popper", LOG_MAIL);
    conn = accept(fd, NULL, NULL);
    ck_assert_int_ge(conn, 0);
    log_write(LOG_NOTICE, "streamed");
    n = recv(conn, got, sizeof got, MSG_DONTWAIT);
    ck_assert_int_gt(n, 10);
    ck_assert_int_eq(got[n - 1], '\0');
    check_matches(got, ": streamed$");
    close(conn);
    close(fd);
    log_write(LOG_NOTICE, "nobody reads: no SIGPIPE");
}
END_TEST

START_TEST(errno_is_kept_when_there_is_no_syslogd)
{
    errno = EDQUOT;
    log_open("popper", LOG_MAIL);
    log_write(LOG_NOTICE, "x");
    log_record(LOG_NOTICE, "x", 1);
    ck_assert_int_eq(errno, EDQUOT);
}
END_TEST

START_TEST(debug_records_are_written_only_when_asked_for)
{
    log_set_sink(keep, NULL);
    got[0] = '\0';
    ck_assert(!log_debugging());
    log_write(LOG_DEBUG, "hidden");
    ck_assert_str_eq(got, "");
    log_set_debug(true);
    log_write(LOG_DEBUG, "seen");
    ck_assert_str_eq(got, "seen");
    ck_assert_int_eq(got_priority, LOG_DEBUG);
}
END_TEST

static const struct {
    const char *name, *raw, *record;
} records[] = {
    { "plain", "Stats: fred 0 0 1 2 host 10.0.0.1", "Stats: fred 0 0 1 2 host 10.0.0.1" },
    { "newline", "a\r\nb", "a\\x0d\\x0ab" },
    { "terminal escape", "\033[2J\177\b\t", "\\x1b[2J\\x7f\\x08\\x09" },
    { "utf-8 name", "J\xc3\xbcrgen", "J\xc3\xbcrgen" },
    { "U+009B is CSI", "\xc2\x9bm", "\\xc2\\x9bm" },
    { "U+00A0 is not", "\xc2\xa0", "\xc2\xa0" },
    { "cut c2 at the end", "x\xc2", "x\xc2" },
    { "escaped before, not again", "\\x0a \"", "\\x0a \"" },
    { "percent", "%s%n", "%s%n" },
};

START_TEST(records_have_no_control_characters)
{
    log_set_sink(keep, NULL);
    log_record(LOG_INFO, records[_i].raw, strlen(records[_i].raw));
    ck_assert_msg(strcmp(got, records[_i].record) == 0, "%s: %s", records[_i].name, got);
    log_write(LOG_INFO, "%s", records[_i].raw);
    ck_assert_msg(strcmp(got, records[_i].record) == 0, "%s: %s", records[_i].name, got);
}
END_TEST

START_TEST(nul_bytes_and_wild_priorities_of_a_hostile_sender)
{
    log_set_sink(keep, NULL);
    log_record(LOG_EMERG, "a\0b", 3);
    ck_assert_str_eq(got, "a\\x00b");
    ck_assert_int_eq(got_priority, LOG_NOTICE);
    log_record(1000, "x", 1);
    ck_assert_int_eq(got_priority, LOG_NOTICE);
    log_record(LOG_DEBUG, "", 0);
    ck_assert_str_eq(got, "");
    ck_assert_int_eq(got_priority, LOG_DEBUG);
}
END_TEST

/* A unit of text repeated up to n bytes, and how long the record then is and how it ends. */
static const struct {
    const char *name, *unit;
    size_t n, len;
    const char *end;
} bounds[] = {
    { "exactly full", "a", LOG_RECORD_MAX, LOG_RECORD_MAX, "aaaa" },
    { "one too many", "a", LOG_RECORD_MAX + 1, LOG_RECORD_MAX, "a..." },
    { "far too many", "a", 100000, LOG_RECORD_MAX, "a..." },
    { "controls", "\n", 500, LOG_RECORD_MAX - 1, "\\x0a..." },
    { "controls that just fit", "\n", LOG_RECORD_MAX / 4, LOG_RECORD_MAX, "\\x0a" },
    { "two-byte characters", "\xc3\xbc", 2000, LOG_RECORD_MAX - 1, "\xc3\xbc..." },
    { "three-byte characters", "\xe2\x82\xac", 3000, LOG_RECORD_MAX - 1, "\xe2\x82\xac..." },
};

START_TEST(long_records_are_cut_between_characters)
{
    size_t unit = strlen(bounds[_i].unit);
    char *raw = mem_new(bounds[_i].n + 1, 1);

    for (size_t i = 0; i < bounds[_i].n; i++)
        raw[i] = bounds[_i].unit[i % unit];
    log_set_sink(keep, NULL);
    for (int by_write = 0; by_write <= 1; by_write++) {
        if (by_write)
            log_write(LOG_INFO, "%s", raw);
        else
            log_record(LOG_INFO, raw, bounds[_i].n);
        ck_assert_msg(strlen(got) == bounds[_i].len, "%s: %zu bytes", bounds[_i].name, strlen(got));
        ck_assert_msg(strcmp(got + strlen(got) - strlen(bounds[_i].end), bounds[_i].end) == 0, "%s: %s",
                      bounds[_i].name, got + strlen(got) - 12);
    }
    mem_free(raw);
}
END_TEST

static void chatty(void *context, int priority, const char *text, size_t length)
{
    ++*(int *)context;
    log_record(priority, text, length);
}

START_TEST(sink_that_logs_does_not_recurse)
{
    int calls = 0;

    log_set_sink(chatty, &calls);
    log_write(LOG_NOTICE, "x");
    log_write(LOG_NOTICE, "y");
    ck_assert_int_eq(calls, 2);
}
END_TEST

static const struct {
    const char *name, *raw;
    size_t n, max;
    const char *text;
} quoted[] = {
    { "plain", "fred", 4, 64, "fred" },
    { "quotes and backslash", "a\"b\\c", 5, 64, "a\\x22b\\x5cc" },
    { "controls", "a\n\0b", 4, 64, "a\\x0a\\x00b" },
    { "bounded", "abcdef", 6, 3, "abc..." },
    { "exactly at the bound", "abc", 3, 3, "abc" },
};

START_TEST(escape_quotes_what_strangers_wrote)
{
    struct strbuf sb = STRBUF_INIT(200);

    log_escape(&sb, quoted[_i].raw, quoted[_i].n, quoted[_i].max);
    ck_assert_msg(strcmp(sb.data, quoted[_i].text) == 0, "%s: %s", quoted[_i].name, sb.data);
    strbuf_free(&sb);
}
END_TEST

static void slurp(const char *name)
{
    FILE *f = fopen(name, "r");
    size_t n;

    ck_assert_ptr_nonnull(f);
    n = fread(got, 1, sizeof got - 1, f);
    got[n] = '\0';
    fclose(f);
}

START_TEST(trace_file_gets_a_copy_with_milliseconds)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    char name[80];
    struct stat st;
    int fd = listen_here(SOCK_DGRAM);

    snprintf(name, sizeof name, "%s/trace", dir);
    log_open("popper", LOG_MAIL);
    ck_assert_int_eq(log_trace_open(name, &why), 0);
    ck_assert(log_tracing());
    log_write(LOG_NOTICE, "one\n");
    log_write(LOG_INFO, "two");
    check_matches(next(fd), ": one.x0a$");
    slurp(name);
    check_matches(
        got, "^[A-Z][a-z][a-z] [ 1-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{3} 2[0-9]{3} \\[[0-9]+\\] one.x0a\n"
             "[A-Z][a-z]{2} .{20} \\[[0-9]+\\] two\n$");
    ck_assert_int_eq(stat(name, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    log_trace_close();
    ck_assert(!log_tracing());
    strbuf_free(&why);
    close(fd);
}
END_TEST

START_TEST(trace_file_is_appended_to_and_works_without_syslog)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    char name[80];

    snprintf(name, sizeof name, "%s/trace", dir);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(log_trace_open(name, &why), 0);
        log_write(LOG_NOTICE, "round %d", i);
    }
    slurp(name);
    check_matches(got, "round 0\n.* round 1\n$");
    strbuf_free(&why);
}
END_TEST

static const char *const bad_traces[] = { "link", "fifo", "directory", "two links", "missing directory" };

START_TEST(trace_file_must_be_one_plain_file)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    char name[80], other[80];

    snprintf(name, sizeof name, "%s/trace", dir);
    snprintf(other, sizeof other, "%s/other", dir);
    close(open(other, O_CREAT | O_WRONLY, 0600));
    if (_i == 0)
        ck_assert_int_eq(symlink(other, name), 0);
    else if (_i == 1)
        ck_assert_int_eq(mkfifo(name, 0600), 0);
    else if (_i == 2)
        ck_assert_int_eq(mkdir(name, 0700), 0);
    else if (_i == 3)
        ck_assert_int_eq(link(other, name), 0);
    else
        snprintf(name, sizeof name, "%s/none/trace", dir);
    ck_assert_msg(log_trace_open(name, &why) == -1, "%s", bad_traces[_i]);
    ck_assert_msg(strncmp(why.data, "trace file: ", 12) == 0 && strstr(why.data, name), "%s: %s", bad_traces[_i],
                  why.data);
    ck_assert(!log_tracing());
    strbuf_free(&why);
}
END_TEST

START_TEST(full_disk_under_the_trace_file_is_said_once)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    char name[80];
    int fd = listen_here(SOCK_DGRAM);
    int fds[3];
    int full = open("/dev/full", O_WRONLY);

    snprintf(name, sizeof name, "%s/trace", dir);
    log_open("popper", LOG_MAIL);
    ck_assert_int_eq(log_trace_open(name, &why), 0);
    ck_assert_uint_eq(log_descriptors(fds), 2);
    ck_assert_int_eq(dup2(full, fds[1]), fds[1]);
    log_write(LOG_NOTICE, "one");
    log_write(LOG_NOTICE, "two");
    check_matches(next(fd), ": one$");
    check_matches(next(fd), "^<20>.*trace file cannot be written");
    check_matches(next(fd), ": two$");
    ck_assert_str_eq(next(fd), "");
    strbuf_free(&why);
    close(full);
    close(fd);
}
END_TEST

START_TEST(a_second_trace_file_takes_nothing_from_the_first)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    char site[80], own[80];
    int fd = listen_here(SOCK_DGRAM);
    int fds[3];

    snprintf(site, sizeof site, "%s/trace", dir);
    snprintf(own, sizeof own, "%s/copy", dir);
    log_open("popper", LOG_MAIL);
    ck_assert_int_eq(log_trace_open(site, &why), 0);
    log_write(LOG_NOTICE, "one");
    ck_assert_int_eq(log_copy_open(own, &why), 0);
    ck_assert_uint_eq(log_descriptors(fds), 3);
    log_write(LOG_NOTICE, "two");
    log_copy_close();
    log_write(LOG_NOTICE, "three");
    check_matches(next(fd), ": one$");
    check_matches(next(fd), ": two$");
    check_matches(next(fd), ": three$");
    slurp(site);
    check_matches(got, "one\n.*two\n.*three\n$");
    slurp(own);
    check_matches(got, "^[^\n]*\\] two\n$");
    ck_assert_int_eq(log_copy_open("/nonexistent/copy", &why), -1);
    ck_assert(log_tracing());
    ck_assert_uint_eq(log_descriptors(fds), 2);
    strbuf_free(&why);
    close(fd);
}
END_TEST

START_TEST(closed_log_says_nothing)
{
    int fd = listen_here(SOCK_DGRAM);
    int fds[3];

    log_open("popper", LOG_MAIL);
    log_close();
    ck_assert_uint_eq(log_descriptors(fds), 0);
    log_write(LOG_NOTICE, "x");
    ck_assert_str_eq(next(fd), "");
    close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *tc = tcase_create("log");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, syslog_gets_the_rfc_3164_form);
    tcase_add_loop_test(tc, tag_is_the_base_name_and_cannot_confuse_a_parser, 0, LEN(tags));
    tcase_add_test(tc, children_log_under_the_pid_of_log_open);
    tcase_add_test(tc, restarted_syslogd_is_found_again);
    tcase_add_test(tc, full_socket_does_not_block);
    tcase_add_test(tc, slow_syslogd_gets_a_burst);
    tcase_add_test(tc, stream_syslogd_gets_records_that_end_in_nul);
    tcase_add_test(tc, errno_is_kept_when_there_is_no_syslogd);
    tcase_add_test(tc, debug_records_are_written_only_when_asked_for);
    tcase_add_loop_test(tc, records_have_no_control_characters, 0, LEN(records));
    tcase_add_test(tc, nul_bytes_and_wild_priorities_of_a_hostile_sender);
    tcase_add_loop_test(tc, long_records_are_cut_between_characters, 0, LEN(bounds));
    tcase_add_test(tc, sink_that_logs_does_not_recurse);
    tcase_add_loop_test(tc, escape_quotes_what_strangers_wrote, 0, LEN(quoted));
    tcase_add_test(tc, trace_file_gets_a_copy_with_milliseconds);
    tcase_add_test(tc, trace_file_is_appended_to_and_works_without_syslog);
    tcase_add_loop_test(tc, trace_file_must_be_one_plain_file, 0, LEN(bad_traces));
    tcase_add_test(tc, full_disk_under_the_trace_file_is_said_once);
    tcase_add_test(tc, a_second_trace_file_takes_nothing_from_the_first);
    tcase_add_test(tc, closed_log_says_nothing);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
