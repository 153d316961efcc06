/* command: hostile lines, how states end, what the log says of it. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "protocol/command.h"
#include "tests/unit/caught_log.h"
#include "tests/unit/fake_netio.h"

#define AT "(null) at mua.example (192.0.2.7): "

static struct peer peer = { .host = "mua.example", .ip = "192.0.2.7" };
static struct command_client client = { .peer = &peer, .timeout = 600 };
static struct netio *io;
static bool interrupted_now;

/* Says what it was given. */
static enum command_event run_echo(void *state, const struct command *command, struct answer *answer)
{
    struct strbuf text = STRBUF_INIT(2000);

    (void)state;
    strbuf_adds(&text, command->name);
    for (size_t i = 0; i < command->count; i++)
        strbuf_addf(&text, " <%s>", command->args[i]);
    command_say(answer, "%s", text.data);
    strbuf_free(&text);
    return COMMAND_OK;
}

/* The event whose number is the argument. */
static enum command_event run_event(void *state, const struct command *command, struct answer *answer)
{
    uint64_t n;

    (void)state;
    ck_assert(command_number(command->args[0], &n));
    command_fail(answer, REPLY_SYS_TEMP, "event %d", (int)n);
    answer->lost = NETIO_EOF;
    return (enum command_event)n;
}

static enum command_event run_body(void *state, const struct command *command, struct answer *answer)
{
    (void)state, (void)command;
    command_say(answer, "body");
    return COMMAND_OK_BODY;
}

static enum command_event body_body(void *state, const struct command *command, struct outbuf *out)
{
    (void)state;
    outbuf_adds(out, "one\r\n..two\r\n");
    return command->count ? COMMAND_CLOSE : COMMAND_OK;
}

static bool was_interrupted(void *state)
{
    (void)state;
    return interrupted_now;
}

static const char *expand(void *state, const char *argument)
{
    (void)state;
    return strcmp(argument, "macro") == 0 ? "a b" : argument;
}

static const struct command_row rows[] = {
    { "ROUND", 1, 2, COMMAND_PARENTHESES, "ROUND a [b]", run_echo, NULL },
    { "NONE", 0, 0, 0, "NONE", run_echo, NULL },
    { "TWO", 1, 2, 0, "TWO a [b]", run_echo, NULL },
    { "EIGHT", 8, 8, 0, "EIGHT ...", run_echo, NULL },
    { "REST", 1, 1, COMMAND_REST, "REST text", run_echo, NULL },
    { "PASS", 1, 1, COMMAND_REST | COMMAND_SECRET, "PASS password", run_echo, NULL },
    { "EVENT", 1, 1, 0, "EVENT n", run_event, NULL },
    { "BODY", 0, 1, 0, "BODY", run_body, body_body },
    { 0 },
};
static const char *const elsewhere[] = { "STAT", "UIDL", NULL };
static const struct command_table table = { rows, elsewhere, "log in first", was_interrupted, expand };

static void setup(void)
{
    catch_log();
    log_set_debug(false);
    interrupted_now = false;
    client.user = NULL;
    client.deadline = 0;
    io = fake_netio_new();
}

static void teardown(void)
{
    netio_close(&io);
}

#define LINE(bytes) bytes, sizeof bytes - 1

static const struct {
    const char *name;
    const char *line;
    size_t len;
    const char *reply;
} lines[] = {
    { "plain", LINE("NONE"), "+OK NONE" },
    { "any case", LINE("nOnE"), "+OK NONE" },
    { "CRLF", LINE("NONE\r"), "+OK NONE" },
    { "two CRs", LINE("NONE\r\r"), "-ERR Unknown command: \"NONE\\x0d\"." },
    { "trailing blanks", LINE("NONE  \t "), "+OK NONE" },
    { "leading blanks", LINE("  NONE"), "+OK NONE" },
    { "blanks between", LINE("TWO \t a  \tb "), "+OK TWO <a> <b>" },
    { "a tab after the keyword", LINE("TWO\ta"), "+OK TWO <a>" },
    { "empty", LINE(""), "-ERR Empty command line." },
    { "blanks only", LINE("   "), "-ERR Empty command line." },
    { "parentheses keep blanks", LINE("ROUND a( b (c) ) d"), "+OK ROUND <a( b (c) )> <d>" },
    { "parentheses never closed", LINE("ROUND (a (b) c"), "+OK ROUND <(a (b) c>" },
    { "parentheses never opened", LINE("ROUND a) b))"), "+OK ROUND <a)> <b))>" },
    { "parentheses elsewhere", LINE("TWO (a b)"), "+OK TWO <(a> <b)>" },
    { "macros", LINE("TWO macro macros"), "+OK TWO <a b> <macros>" },
    { "macros are no names of commands", LINE("macro"), "-ERR Unknown command: \"macro\"." },
    { "too few", LINE("TWO"), "-ERR Too few arguments for the TWO command, usage: TWO a [b]" },
    { "too few with blanks", LINE("TWO   "), "-ERR Too few arguments for the TWO command, usage: TWO a [b]" },
    { "too many", LINE("TWO a b c"), "-ERR Too many arguments for the TWO command, usage: TWO a [b]" },
    { "argument where there is none", LINE("NONE x"), "-ERR Too many arguments for the NONE command, usage: NONE" },
    { "as many as there can be", LINE("EIGHT 1 2 3 4 5 6 7 8"), "+OK EIGHT <1> <2> <3> <4> <5> <6> <7> <8>" },
    { "more than there can be", LINE("EIGHT 1 2 3 4 5 6 7 8 9"),
      "-ERR Too many arguments for the EIGHT command, usage: EIGHT ..." },
    { "more than there can be, elsewhere", LINE("NONE 1 2 3 4 5 6 7 8 9"),
      "-ERR Too many arguments for the NONE command, usage: NONE" },
    { "rest is kept", LINE("REST  a b\t "), "+OK REST < a b  >" },
    { "rest of one blank", LINE("REST  "), "+OK REST < >" },
    { "rest missing", LINE("REST"), "-ERR Too few arguments for the REST command, usage: REST text" },
    { "rest empty", LINE("REST "), "-ERR Too few arguments for the REST command, usage: REST text" },
    { "unknown", LINE("XSENDER 1"), "-ERR Unknown command: \"XSENDER\"." },
    { "longer than a known one", LINE("NONES"), "-ERR Unknown command: \"NONES\"." },
    { "shorter than a known one", LINE("NON"), "-ERR Unknown command: \"NON\"." },
    { "of another state", LINE("stat 5"), "-ERR \"stat\" is not possible in this state: log in first." },
    { "control characters", LINE("\033]0;x\007"), "-ERR Unknown command: \"\\x1b]0;x\\x07\"." },
    { "quotes", LINE("\"\\"), "-ERR Unknown command: \"\\x22\\x5c\"." },
    { "8 bit", LINE("\xff\xfe"), "-ERR Unknown command: \"??\"." },
    { "formats", LINE("%n%s%s"), "-ERR Unknown command: \"%n%s%s\"." },
    { "long unknown", LINE("0123456789012345678901234567890123456789"),
      "-ERR Unknown command: \"01234567890123456789012345678901...\"." },
    { "NUL in the argument", LINE("TWO a\0b"), "-ERR Command line with a NUL byte ignored." },
    { "NUL in the keyword", LINE("NONE\0"), "-ERR Command line with a NUL byte ignored." },
    { "NUL alone", LINE("\0"), "-ERR Command line with a NUL byte ignored." },
    { "HTTP", LINE("GET / HTTP/1.0"), "-ERR Unknown command: \"GET\"." },
};

/* The session goes on after each of them. */
START_TEST(hostile_lines)
{
    char expected[1000], record[1000] = "";

    fake_say_bytes(io, lines[_i].line, lines[_i].len);
    fake_say(io, "\nEVENT 4\r\n"); /* COMMAND_QUIT */
    ck_assert_int_eq(command_serve(io, &table, NULL, &client), COMMAND_END_QUIT);
    snprintf(expected, sizeof expected, "%s\r\n+OK event 4\r\n", lines[_i].reply);
    ck_assert_msg(strcmp(fake_heard(io), expected) == 0, "%s: heard %s", lines[_i].name, fake_heard(io));
    if (lines[_i].reply[0] == '-' && lines[_i].line[0] != '\xff')
        snprintf(record, sizeof record, "notice " AT "%s\n", lines[_i].reply);
    if (lines[_i].line[0] != '\xff')
        ck_assert_msg(strcmp(caught.data, record) == 0, "%s: logged %s", lines[_i].name, caught.data);
}
END_TEST

START_TEST(over_long_lines_are_answered_once)
{
    char line[5001];

    memset(line, 'A', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    memcpy(line, "PASS ", 5);
    fake_say(io, line);
    fake_say(io, "\r\nNONE\r\n");
    ck_assert_int_eq(command_serve(io, &table, NULL, &client), COMMAND_END_EOF);
    ck_assert_str_eq(fake_heard(io),
                     "-ERR Command line longer than 1024 bytes ignored.\r\n+OK NONE\r\n-ERR POP EOF or I/O Error\r\n");
    ck_assert_ptr_null(strstr(caught.data, "AAA"));
    ck_assert_int_ge(fake_wipes(io), 1);
}
END_TEST

static const struct {
    const char *name;
    int event;
    const char *heard, *logged;
    enum command_end end;
} event_cases[] = {
    { "OK", COMMAND_OK, "+OK event 0\r\n-ERR POP EOF or I/O Error\r\n", "notice " AT "-ERR POP EOF or I/O Error\n",
      COMMAND_END_EOF },
    { "ERR", COMMAND_ERR, "-ERR [SYS/TEMP] event 2\r\n-ERR POP EOF or I/O Error\r\n",
      "notice " AT "-ERR [SYS/TEMP] event 2\nnotice " AT "-ERR POP EOF or I/O Error\n", COMMAND_END_EOF },
    { "ERR_END", COMMAND_ERR_END, "-ERR [SYS/TEMP] event 3\r\n", "notice " AT "-ERR [SYS/TEMP] event 3\n",
      COMMAND_END_ERR },
    { "QUIT", COMMAND_QUIT, "+OK event 4\r\n", "", COMMAND_END_QUIT },
    { "NEXT_STATE", COMMAND_NEXT_STATE, "", "", COMMAND_END_NEXT_STATE },
    { "CLOSE", COMMAND_CLOSE, "", "", COMMAND_END_IO },
    { "LOST", COMMAND_LOST, "-ERR POP EOF or I/O Error\r\n", "notice " AT "-ERR POP EOF or I/O Error\n", COMMAND_END_EOF },
};

START_TEST(each_event)
{
    char line[40];

    snprintf(line, sizeof line, "EVENT %d\r\n", event_cases[_i].event);
    fake_say(io, line);
    ck_assert_msg(command_serve(io, &table, NULL, &client) == event_cases[_i].end, "%s", event_cases[_i].name);
    ck_assert_uint_eq(fake_flushed(io), strlen(event_cases[_i].heard));
    ck_assert_str_eq(fake_heard(io), event_cases[_i].heard);
    ck_assert_str_eq(caught.data, event_cases[_i].logged);
}
END_TEST

START_TEST(bodies)
{
    fake_say(io, "BODY\r\nBODY x\r\nNONE\r\n");
    ck_assert_int_eq(command_serve(io, &table, NULL, &client), COMMAND_END_IO);
    /* The second broke off: no dot, and nothing after it. */
    ck_assert_str_eq(fake_heard(io), "+OK body\r\none\r\n..two\r\n.\r\n+OK body\r\none\r\n..two\r\n");
}
END_TEST

START_TEST(what_follows_the_next_state_stays_unread)
{
    const char *unread;

    fake_say(io, "NONE\r\nEVENT 5\r\nSTAT\r\nQUI");
    ck_assert_int_eq(command_serve(io, &table, NULL, &client), COMMAND_END_NEXT_STATE);
    ck_assert_uint_eq(fake_flushed(io), strlen("+OK NONE\r\n"));
    ck_assert_uint_eq(netio_unread(io, &unread), 9);
    ck_assert_mem_eq(unread, "STAT\r\nQUI", 9);
}
END_TEST

START_TEST(a_timeout_is_said_and_logged)
{
    client.user = "alice";
    fake_then(io, NETIO_TIMEOUT);
    fake_clock_add(600);
    ck_assert_int_eq(command_serve(io, &table, NULL, &client), COMMAND_END_TIMEOUT);
    ck_assert_str_eq(fake_heard(io), "-ERR POP timeout from mua.example\r\n");
    ck_assert_str_eq(caught.data, "notice (v5.0.0) Timeout (600 secs) during nw read from alice at mua.example "
                                  "(192.0.2.7)\n"
                                  "notice alice at mua.example (192.0.2.7): -ERR POP timeout from mua.example\n");
}
END_TEST

START_TEST(a_deadline_names_its_own_time)
{
    client.deadline = 60;
    fake_then(io, NETIO_TIMEOUT);
    fake_clock_add(59);
    ck_assert_int_eq(command_serve(io, &table, NULL, &client), COMMAND_END_TIMEOUT);
    ck_assert_ptr_nonnull(strstr(caught.data, "notice (v5.0.0) Timeout (60 secs) during nw read from (null) at "
                                              "mua.example (192.0.2.7)\n"));
}
END_TEST

START_TEST(a_reset_is_logged)
{
    fake_then(io, NETIO_ERROR);
    ck_assert_int_eq(command_serve(io, &table, NULL, &client), COMMAND_END_IO);
    ck_assert_str_eq(caught.data, "notice " AT "-ERR POP hangup from mua.example\n");
    ck_assert_str_eq(fake_heard(io), "");
}
END_TEST

START_TEST(a_client_that_does_not_listen_ends_the_session)
{
    fake_deaf_after(io, 0);
    fake_say(io, "EVENT 5\r\n");
    reply_ok(netio_out(io), "waiting");
    ck_assert_int_eq(command_serve(io, &table, NULL, &client), COMMAND_END_IO);
    ck_assert_str_eq(caught.data, "notice (v5.0.0) I/O error flushing output to client (null) at mua.example "
                                  "(192.0.2.7)\n");
}
END_TEST

START_TEST(an_interrupt_ends_only_when_the_state_says_so)
{
    client.user = "alice";
    fake_interrupt(io, 2);
    fake_say(io, "NONE\r\nEVENT 4\r\n");
    ck_assert_int_eq(command_serve(io, &table, NULL, &client), COMMAND_END_QUIT);
    interrupted_now = true;
    fake_say(io, "NONE\r\n");
    ck_assert_int_eq(command_serve(io, &table, NULL, &client), COMMAND_END_TAKEOVER);
    ck_assert_str_eq(caught.data, "");
}
END_TEST

START_TEST(an_end_by_order_is_no_lost_connection)
{
    const enum netio_status lost[] = { NETIO_EOF, NETIO_ERROR, NETIO_TIMEOUT };

    interrupted_now = true;
    for (size_t i = 0; i < sizeof lost / sizeof *lost; i++) {
        fake_then(io, lost[i]);
        ck_assert_int_eq(command_serve(io, &table, NULL, &client), COMMAND_END_TAKEOVER);
    }
    ck_assert_str_eq(fake_heard(io), "");
    ck_assert_str_eq(caught.data, "");
}
END_TEST

START_TEST(the_log_is_not_filled_by_errors)
{
    int records = 0;

    for (int i = 0; i < 1000; i++)
        fake_say(io, "bad\n");
    fake_say(io, "EVENT 4\n");
    ck_assert_int_eq(command_serve(io, &table, NULL, &client), COMMAND_END_QUIT);
    for (const char *at = caught.data; *at; at++)
        records += *at == '\n';
    ck_assert_int_eq(records, COMMAND_ERRORS_LOGGED + 1);
    ck_assert_ptr_nonnull(strstr(caught.data, AT "100 -ERR replies in this session; no more of them are logged\n"));
}
END_TEST

START_TEST(secrets_are_not_traced)
{
    log_set_debug(true);
    fake_say(io, "PASS open sesame\r\nSTAT sesame\r\nTWO a\033 b\r\n");
    command_serve(io, &table, NULL, &client);
    ck_assert_ptr_nonnull(strstr(caught.data, "debug " AT "Received: \"PASS ********\"\n"));
    ck_assert_ptr_nonnull(strstr(caught.data, "debug " AT "Received: \"TWO a\\x1b b\"\n"));
    /* The test's own PASS echoes it into its answer, once; nothing else says it. */
    ck_assert_ptr_null(strstr(strstr(caught.data, "sesame") + 1, "sesame"));
    log_set_debug(false);
}
END_TEST

static const struct {
    const char *text;
    bool good;
    uint64_t number;
} numbers[] = {
    { "0", true, 0 },
    { "1", true, 1 },
    { "007", true, 7 },
    { "9999999999999999999", true, UINT64_C(9999999999999999999) },
    { "10000000000000000000", false, 0 },
    { "00000000000000000001", false, 0 },
    { "", false, 0 },
    { "-1", false, 0 },
    { "+1", false, 0 },
    { "1x", false, 0 },
    { "0x1", false, 0 },
    { " 1", false, 0 },
    { "1 ", false, 0 },
    { "1.0", false, 0 },
    { "\xd9\xa1", false, 0 },
    { "99999999999999999999999999999999", false, 0 },
};

START_TEST(strict_numbers)
{
    uint64_t n = 0;

    ck_assert_msg(command_number(numbers[_i].text, &n) == numbers[_i].good, "\"%s\"", numbers[_i].text);
    ck_assert_uint_eq(n, numbers[_i].number);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("command");
    TCase *tc = tcase_create("command");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, hostile_lines, 0, sizeof lines / sizeof *lines);
    tcase_add_test(tc, over_long_lines_are_answered_once);
    tcase_add_loop_test(tc, each_event, 0, sizeof event_cases / sizeof *event_cases);
    tcase_add_test(tc, bodies);
    tcase_add_test(tc, what_follows_the_next_state_stays_unread);
    tcase_add_test(tc, a_timeout_is_said_and_logged);
    tcase_add_test(tc, a_deadline_names_its_own_time);
    tcase_add_test(tc, a_reset_is_logged);
    tcase_add_test(tc, a_client_that_does_not_listen_ends_the_session);
    tcase_add_test(tc, an_interrupt_ends_only_when_the_state_says_so);
    tcase_add_test(tc, an_end_by_order_is_no_lost_connection);
    tcase_add_test(tc, the_log_is_not_filled_by_errors);
    tcase_add_test(tc, secrets_are_not_traced);
    tcase_add_loop_test(tc, strict_numbers, 0, sizeof numbers / sizeof *numbers);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
