/* cmd_mail: each command's reply, what it does to the flags, and when UPDATE runs. The maildrop is a list in memory. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "mail/msgsend.h"
#include "protocol/cmd_mail.h"
#include "tests/unit/caught_log.h"
#include "tests/unit/fake_netio.h"

#define BYE "+OK Pop server at pop.example signing off.\r\n"
#define HELLO "+OK alice has 3 visible messages (0 hidden) in 600 octets.\r\n"
#define EOF_SAID "-ERR POP EOF or I/O Error\r\n"
#define STATS "notice Stats: alice "

struct maildrop {
    struct msglist list;
    enum maildrop_status ready, sends, updates;
    int updated, readied;
    uint64_t lines;        /* of the last maildrop_send */
    char deleted[100];     /* the ids that maildrop_update found deleted */
    size_t said_before_update;
    double update_takes;
};

static struct maildrop drop;
static struct settings settings;
static struct peer peer = { .host = "mua.example", .ip = "192.0.2.7" };
static struct netio *io;
static bool taken_over;

struct msglist *maildrop_list(struct maildrop *d)
{
    return &d->list;
}

enum maildrop_status maildrop_ready(struct maildrop *d, const struct message *m, uint64_t body_lines, struct strbuf *why)
{
    (void)m, (void)body_lines;
    d->readied++;
    if (d->ready != MAILDROP_OK)
        strbuf_fail(why, "not ready");
    return d->ready;
}

enum maildrop_status maildrop_send(struct maildrop *d, const struct message *m, uint64_t body_lines, struct outbuf *out,
                                   struct strbuf *why)
{
    d->lines = body_lines;
    outbuf_addf(out, "text of %s\r\n", msglist_uid(&d->list, m));
    if (d->sends != MAILDROP_OK)
        strbuf_fail(why, "the file is too short");
    return d->sends;
}

enum maildrop_status maildrop_update(struct maildrop *d, struct strbuf *why)
{
    d->updated++;
    d->said_before_update = fake_flushed(io);
    d->deleted[0] = '\0';
    for (size_t i = 0; i < d->list.count; i++)
        if (d->list.messages[i].flags & MSG_DELETED)
            strcat(strcat(d->deleted, msglist_uid(&d->list, &d->list.messages[i])), " ");
    fake_clock_add(d->update_takes);
    if (d->updates != MAILDROP_OK)
        strbuf_fail(why, "no space left");
    return d->updates;
}

static void add_message(const char *uid, uint64_t octets, uint8_t flags)
{
    struct message m = { .octets = octets, .flags = flags };

    msglist_add(&drop.list, &m, uid);
    msglist_number(&drop.list);
}

/* Three messages of 100, 200, 300 octets: uid-1, uid-2, uid-3. */
static void setup(void)
{
    memset(&drop, 0, sizeof drop);
    msglist_init(&drop.list);
    add_message("uid-1", 100, 0);
    add_message("uid-2", 200, 0);
    add_message("uid-3", 300, 0);
    settings =
        (struct settings){ .timeout = 600, .statistics = true, .announce_expire = -1, .announce_login_delay = -1 };
    taken_over = false;
    io = fake_netio_new();
    catch_log();
}

static void teardown(void)
{
    netio_close(&io);
    msglist_free(&drop.list);
}

static bool interrupted(void *context)
{
    ck_assert_ptr_eq(context, &taken_over);
    return taken_over;
}

static const struct transaction_asks asks = { .context = &taken_over, .interrupted = interrupted };
static const struct transaction_asks no_asks;

static enum command_end serve(const char *said)
{
    fake_say(io, said);
    return cmd_mail_serve(io, &settings, &peer, "pop.example", "alice", &drop, &asks, NULL);
}

static const struct {
    const char *said, *heard;
} replies[] = {
    { "STAT", "+OK 3 600\r\n" },
    { "stat ", "+OK 3 600\r\n" },
    { "STAT x", "-ERR Too many arguments for the STAT command, usage: STAT\r\n" },
    { "LIST", "+OK 3 visible messages (600 octets)\r\n1 100\r\n2 200\r\n3 300\r\n.\r\n" },
    { "LIST 2", "+OK 2 200\r\n" },
    { "LIST 002", "+OK 2 200\r\n" },
    { "LIST 0", "-ERR Message 0 does not exist.\r\n" },
    { "LIST 4", "-ERR Message 4 does not exist.\r\n" },
    { "LIST 9999999999999999999", "-ERR Message 9999999999999999999 does not exist.\r\n" },
    { "LIST 99999999999999999999", "-ERR \"99999999999999999999\" is not a message number.\r\n" },
    { "LIST -1", "-ERR \"-1\" is not a message number.\r\n" },
    { "LIST 1x", "-ERR \"1x\" is not a message number.\r\n" },
    { "LIST 1 2", "-ERR Too many arguments for the LIST command, usage: LIST [msg]\r\n" },
    { "LIST \033%s", "-ERR \"\\x1b%s\" is not a message number.\r\n" },
    { "UIDL", "+OK uidl command accepted.\r\n1 uid-1\r\n2 uid-2\r\n3 uid-3\r\n.\r\n" },
    { "UIDL 3", "+OK 3 uid-3\r\n" },
    { "UIDL 4", "-ERR Message 4 out of range.\r\n" },
    { "RETR 2", "+OK 200 octets\r\ntext of uid-2\r\n.\r\n" },
    { "RETR", "-ERR Too few arguments for the RETR command, usage: RETR msg\r\n" },
    { "RETR 4", "-ERR Message 4 does not exist.\r\n" },
    { "TOP 1 0", "+OK Message follows\r\ntext of uid-1\r\n.\r\n" },
    { "TOP 1", "-ERR Too few arguments for the TOP command, usage: TOP msg lines\r\n" },
    { "TOP 1 -5", "-ERR \"-5\" is not a number of lines.\r\n" },
    { "TOP 4 0", "-ERR Message 4 does not exist.\r\n" },
    { "DELE 1", "+OK Message 1 has been deleted.\r\n" },
    { "DELE 4", "-ERR Message 4 does not exist.\r\n" },
    { "DELE", "-ERR Too few arguments for the DELE command, usage: DELE msg\r\n" },
    { "NOOP", "+OK no big woop\r\n" },
    { "RSET", "+OK Maildrop has 3 messages (600 octets)\r\n" },
    { "LAST", "+OK 0\r\n" },
    { "RETR 2\r\nLAST", "+OK 200 octets\r\ntext of uid-2\r\n.\r\n+OK 2\r\n" },
    { "RETR 2\r\nRETR 1\r\nLAST", "+OK 200 octets\r\ntext of uid-2\r\n.\r\n+OK 100 octets\r\ntext of uid-1\r\n.\r\n+OK "
                                  "2\r\n" },
    { "RETR 2\r\nRSET\r\nLAST", "+OK 200 octets\r\ntext of uid-2\r\n.\r\n+OK Maildrop has 3 messages (600 "
                                "octets)\r\n+OK 0\r\n" },
    { "TOP 2 5\r\nLAST", "+OK Message follows\r\ntext of uid-2\r\n.\r\n+OK 0\r\n" },
    { "CAPA", "+OK Capability list follows\r\nTOP\r\nUSER\r\nEXPIRE "
              "NEVER\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n"
              "X-MACRO\r\nX-LOCALTIME " FAKE_DATE "\r\n"
              "IMPLEMENTATION Qpopper-version-5.0.0\r\n.\r\n" },
    { "MDEF Two(2)\r\nLIST two\r\nDELE TWO", "+OK Macro \"two\" accepted\r\n+OK 2 200\r\n+OK Message 2 has been deleted.\r\n" },
    { "MDEF two(3)\r\nMDEF two(2)\r\nLIST two", "+OK Macro \"two\" accepted\r\n+OK Macro \"two\" accepted\r\n+OK 2 200\r\n" },
    { "MDEF x(a b (c) )\r\nLIST x", "+OK Macro \"x\" accepted\r\n-ERR \"a b (c) \" is not a message number.\r\n" },
    { "MDEF x(a b", "-ERR This macro is not possible: it is written name(value), with all parentheses closed.\r\n" },
    { "MDEF x (a)", "-ERR Too many arguments for the MDEF command, usage: MDEF name(value)\r\n" },
    { "MDEF", "-ERR Too few arguments for the MDEF command, usage: MDEF name(value)\r\n" },
    { "USER bob", "-ERR \"USER\" is not possible in this state: you are logged in already.\r\n" },
    { "PASS sesame", "-ERR \"PASS\" is not possible in this state: you are logged in already.\r\n" },
    { "XTND XMIT", "-ERR XTND XMIT is not available on this server.\r\n" },
    { "DELE 2\r\nDELE 2", "+OK Message 2 has been deleted.\r\n-ERR Message 2 has been deleted.\r\n" },
    { "DELE 2\r\nRETR 2", "+OK Message 2 has been deleted.\r\n-ERR Message 2 has been deleted.\r\n" },
    { "DELE 2\r\nTOP 2 1", "+OK Message 2 has been deleted.\r\n-ERR Message 2 has been deleted.\r\n" },
    { "DELE 2\r\nUIDL 2", "+OK Message 2 has been deleted.\r\n-ERR Message 2 is marked for deletion.\r\n" },
    { "DELE 2\r\nSTAT", "+OK Message 2 has been deleted.\r\n+OK 2 400\r\n" },
    { "DELE 2\r\nLIST", "+OK Message 2 has been deleted.\r\n+OK 2 visible messages (400 octets)\r\n1 100\r\n3 "
                        "300\r\n.\r\n" },
    { "DELE 2\r\nUIDL", "+OK Message 2 has been deleted.\r\n+OK uidl command accepted.\r\n1 uid-1\r\n3 "
                        "uid-3\r\n.\r\n" },
    { "DELE 2\r\nRSET\r\nSTAT", "+OK Message 2 has been deleted.\r\n+OK Maildrop has 3 messages (600 octets)\r\n+OK 3 "
                                "600\r\n" },
};

START_TEST(each_reply)
{
    char expected[1000];

    fake_say(io, replies[_i].said);
    snprintf(expected, sizeof expected, "%s%s%s", HELLO, replies[_i].heard, EOF_SAID);
    ck_assert_int_eq(serve("\r\n"), COMMAND_END_EOF);
    ck_assert_msg(strcmp(fake_heard(io), expected) == 0, "%s: heard %s", replies[_i].said, fake_heard(io));
    ck_assert_int_eq(drop.updated, 0);
    ck_assert_ptr_null(strstr(caught.data, "sesame"));
}
END_TEST

START_TEST(greets_one_message_in_the_singular)
{
    msglist_truncate(&drop.list, 1);
    add_message("hidden", 5000, MSG_HIDDEN);
    serve("LIST\r\nUIDL 2\r\n");
    ck_assert_str_eq(fake_heard(io), "+OK alice has 1 visible message (1 hidden) in 100 octets.\r\n"
                                     "+OK 1 visible messages (100 octets)\r\n1 100\r\n.\r\n-ERR Message 2 out of "
                                     "range.\r\n" EOF_SAID);
}
END_TEST

START_TEST(hidden_messages_have_no_number)
{
    drop.list.messages[0].flags = MSG_HIDDEN;
    msglist_number(&drop.list);
    serve("RETR 1\r\nDELE 1\r\nQUIT\r\n");
    ck_assert_ptr_nonnull(strstr(fake_heard(io), "+OK 200 octets\r\ntext of uid-2\r\n"));
    ck_assert_str_eq(drop.deleted, "uid-2 ");
    ck_assert_ptr_nonnull(strstr(caught.data, STATS "1 200 1 300 mua.example 192.0.2.7\n"));
}
END_TEST

START_TEST(last_knows_earlier_sessions)
{
    drop.list.messages[1].flags = MSG_SEEN;
    serve("LAST\r\nRETR 3\r\nLAST\r\nRSET\r\nLAST\r\n");
    ck_assert_str_eq(fake_heard(io), HELLO "+OK 2\r\n+OK 300 octets\r\ntext of uid-3\r\n.\r\n+OK 3\r\n"
                                     "+OK Maildrop has 3 messages (600 octets)\r\n+OK 2\r\n" EOF_SAID);
}
END_TEST

START_TEST(top_passes_the_lines_on)
{
    serve("TOP 1 0\r\n");
    ck_assert_uint_eq(drop.lines, 0);
    serve("TOP 1 12345678901\r\n");
    ck_assert_uint_eq(drop.lines, UINT64_C(12345678901));
    serve("RETR 1\r\n");
    ck_assert_uint_eq(drop.lines, MSGSEND_ALL);
    ck_assert(drop.list.messages[0].flags & MSG_RETRIEVED);
}
END_TEST

START_TEST(quit_updates_after_the_stats_line)
{
    int64_t update_ns = -1;

    drop.update_takes = 2;
    fake_say(io, "DELE 1\r\nDELE 3\r\nQUIT\r\nSTAT\r\n");
    ck_assert_int_eq(cmd_mail_serve(io, &settings, &peer, "pop.example", "alice", &drop, &no_asks, &update_ns),
                     COMMAND_END_QUIT);
    ck_assert_str_eq(fake_heard(io), HELLO "+OK Message 1 has been deleted.\r\n+OK Message 3 has been "
                                           "deleted.\r\n" BYE);
    ck_assert_int_eq(drop.updated, 1);
    ck_assert_str_eq(drop.deleted, "uid-1 uid-3 ");
    /* What was asked before QUIT is on its way, the answer to QUIT is not. */
    ck_assert_uint_eq(drop.said_before_update, strlen(fake_heard(io)) - strlen(BYE));
    ck_assert_str_eq(caught.data, STATS "2 400 1 200 mua.example 192.0.2.7\n");
    ck_assert_int_eq(update_ns, INT64_C(2000000000));
}
END_TEST

START_TEST(a_failed_update_is_not_ok)
{
    drop.updates = MAILDROP_TEMP;
    ck_assert_int_eq(serve("DELE 1\r\nQUIT\r\n"), COMMAND_END_ERR);
    ck_assert_str_eq(fake_heard(io), HELLO "+OK Message 1 has been deleted.\r\n-ERR [SYS/TEMP] No mail is lost, but "
                                           "the maildrop could not be "
                                           "updated: no space left.\r\n");
    ck_assert_str_eq(caught.data, STATS "1 100 2 500 mua.example 192.0.2.7\n"
                                        "notice alice at mua.example (192.0.2.7): -ERR [SYS/TEMP] No mail is lost, but "
                                        "the maildrop could not be "
                                        "updated: no space left.\n");
    ck_assert_int_eq(drop.updated, 1);
}
END_TEST

START_TEST(text_that_is_not_there_ends_the_session)
{
    settings.update_on_abort = true;
    drop.ready = MAILDROP_TEMP;
    ck_assert_int_eq(serve("DELE 1\r\nRETR 2\r\nSTAT\r\n"), COMMAND_END_ERR);
    ck_assert_str_eq(fake_heard(io), HELLO "+OK Message 1 has been deleted.\r\n-ERR [SYS/TEMP] not ready.\r\n");
    ck_assert_int_eq(drop.updated, 0);
    drop.ready = MAILDROP_PERM;
    ck_assert_int_eq(serve("TOP 2 1\r\n"), COMMAND_END_ERR);
    ck_assert_ptr_nonnull(strstr(fake_heard(io), "-ERR [SYS/PERM] not ready.\r\n"));
}
END_TEST

START_TEST(text_that_breaks_off_ends_the_session_without_dot_or_update)
{
    settings.update_on_abort = true;
    drop.sends = MAILDROP_TEMP;
    ck_assert_int_eq(serve("DELE 1\r\nRETR 2\r\nSTAT\r\n"), COMMAND_END_IO);
    ck_assert_str_eq(fake_heard(io), HELLO "+OK Message 1 has been deleted.\r\n+OK 200 octets\r\ntext of uid-2\r\n");
    ck_assert_str_eq(caught.data, "err alice at mua.example (192.0.2.7): message 2 broke off, the session ends without "
                                  "changing the maildrop: "
                                  "the file is too short\n");
    ck_assert_int_eq(drop.updated, 0);
    ck_assert(!(drop.list.messages[1].flags & MSG_RETRIEVED));
}
END_TEST

START_TEST(auto_delete_deletes_what_was_sent)
{
    settings.auto_delete = true;
    ck_assert_int_eq(serve("RETR 1\r\nTOP 2 100\r\nRETR 3\r\nQUIT\r\n"), COMMAND_END_QUIT);
    ck_assert_str_eq(drop.deleted, "uid-1 uid-3 ");
    ck_assert_ptr_nonnull(strstr(caught.data, STATS "2 400 1 200 mua.example 192.0.2.7\n"));
}
END_TEST

START_TEST(auto_delete_forgets_at_rset)
{
    settings.auto_delete = true;
    serve("RETR 1\r\nRSET\r\nRETR 2\r\nQUIT\r\n");
    ck_assert_str_eq(drop.deleted, "uid-2 ");
}
END_TEST

START_TEST(auto_delete_needs_a_client_that_got_it)
{
    settings.auto_delete = true;
    fake_deaf_after(io, 10);
    ck_assert_int_eq(serve("RETR 1\r\nQUIT\r\n"), COMMAND_END_IO);
    ck_assert_int_eq(drop.updated, 0);
}
END_TEST

START_TEST(a_client_that_takes_nothing_deletes_nothing)
{
    settings.update_on_abort = true;
    fake_never_settles(io);
    ck_assert_int_eq(serve("RETR 1\r\nDELE 1\r\nQUIT\r\n"), COMMAND_END_IO);
    ck_assert_int_eq(drop.updated, 0);
    ck_assert_str_eq(caught.data, "notice alice at mua.example (192.0.2.7): QUIT came before the client had taken what "
                                  "we sent, and it took no more; nothing was deleted\n");
    /* Where nothing is to be deleted, nobody waits. */
    ck_assert_int_eq(serve("RSET\r\nRETR 1\r\nQUIT\r\n"), COMMAND_END_QUIT);
}
END_TEST

static const struct {
    const char *name;
    bool option;
    enum netio_status status;
    int updates;
} aborts[] = {
    { "EOF", false, NETIO_EOF, 0 },         { "EOF, on abort", true, NETIO_EOF, 1 },
    { "timeout", false, NETIO_TIMEOUT, 0 }, { "timeout, on abort", true, NETIO_TIMEOUT, 1 },
    { "reset", false, NETIO_ERROR, 0 },     { "reset, on abort", true, NETIO_ERROR, 1 },
};

START_TEST(without_quit)
{
    settings.update_on_abort = aborts[_i].option;
    settings.auto_delete = true; /* not without QUIT */
    fake_then(io, aborts[_i].status);
    serve("RETR 2\r\nDELE 1\r\n");
    ck_assert_msg(drop.updated == aborts[_i].updates, "%s", aborts[_i].name);
    ck_assert_str_eq(drop.deleted, aborts[_i].updates ? "uid-1 " : "");
    ck_assert((strstr(caught.data, STATS) != NULL) == aborts[_i].option);
}
END_TEST

START_TEST(a_failed_update_on_abort_is_logged)
{
    settings.update_on_abort = true;
    drop.updates = MAILDROP_TEMP;
    serve("DELE 1\r\n");
    ck_assert_ptr_nonnull(strstr(caught.data, "err alice at mua.example (192.0.2.7): No mail is lost, but the maildrop "
                                              "could not be updated: "
                                              "no space left.\n"));
}
END_TEST

START_TEST(a_takeover_never_updates)
{
    settings.update_on_abort = true;
    taken_over = true;
    fake_interrupt(io, 1);
    ck_assert_int_eq(serve("DELE 1\r\nQUIT\r\n"), COMMAND_END_TAKEOVER);
    ck_assert_int_eq(drop.updated, 0);
}
END_TEST

START_TEST(a_hundred_thousand_messages)
{
    char expected[100];

    msglist_truncate(&drop.list, 0);
    for (int i = 0; i < 100000; i++) {
        struct message m = { .octets = 5000 };

        msglist_add(&drop.list, &m, "12345678901234567890");
    }
    msglist_number(&drop.list);
    serve("LIST\r\nUIDL\r\nQUIT\r\n");
    snprintf(expected, sizeof expected,
             "\r\n99999 5000\r\n100000 5000\r\n.\r\n+OK uidl command accepted.\r\n1 12345678901234567890\r\n2 ");
    ck_assert_ptr_nonnull(strstr(fake_heard(io), expected));
    ck_assert_ptr_nonnull(strstr(fake_heard(io), "\r\n100000 12345678901234567890\r\n.\r\n" BYE));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cmd_mail");
    TCase *tc = tcase_create("cmd_mail");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, each_reply, 0, sizeof replies / sizeof *replies);
    tcase_add_test(tc, greets_one_message_in_the_singular);
    tcase_add_test(tc, hidden_messages_have_no_number);
    tcase_add_test(tc, last_knows_earlier_sessions);
    tcase_add_test(tc, top_passes_the_lines_on);
    tcase_add_test(tc, quit_updates_after_the_stats_line);
    tcase_add_test(tc, a_failed_update_is_not_ok);
    tcase_add_test(tc, text_that_is_not_there_ends_the_session);
    tcase_add_test(tc, text_that_breaks_off_ends_the_session_without_dot_or_update);
    tcase_add_test(tc, auto_delete_deletes_what_was_sent);
    tcase_add_test(tc, auto_delete_forgets_at_rset);
    tcase_add_test(tc, auto_delete_needs_a_client_that_got_it);
    tcase_add_test(tc, a_client_that_takes_nothing_deletes_nothing);
    tcase_add_loop_test(tc, without_quit, 0, sizeof aborts / sizeof *aborts);
    tcase_add_test(tc, a_failed_update_on_abort_is_logged);
    tcase_add_test(tc, a_takeover_never_updates);
    tcase_add_test(tc, a_hundred_thousand_messages);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
