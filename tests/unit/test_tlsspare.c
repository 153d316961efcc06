/* tlsspare: when a relay is made ahead, how long it waits, and which files may not change meanwhile. The relay itself: tests/system/tlsready.py. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "process/tlschannel.h"
#include "process/tlsspare.h"
#include "settings/options.h"
#include "wire/privmsg.h"

#define SECOND INT64_C(1000000000)
#define BEGIN (1000 * SECOND)

static struct settings *settings;
static struct tlsspare s;
static char directory[] = "/tmp/test_tlsspare.XXXXXX";
static char paths[4][80];
static int door, channel;

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_gt(file_write(fd, text, strlen(text)), 0);
    close(fd);
}

static void set(enum option_id id, const char *value)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);

    ck_assert_msg(settings_set(settings, &option_rows[id], value, OPTION_FILE, "test:1", &why) == 0, "%s", why.data);
    strbuf_free(&why);
}

static void begin(void)
{
    const char *names[] = { "first", "second", "key", "tickets" };

    ck_assert_ptr_nonnull(mkdtemp(directory));
    for (size_t i = 0; i < 4; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/%s", directory, names[i]);
        write_file(paths[i], "text\n");
    }
    settings = settings_new();
    set(OPTION_tls_server_cert_file, paths[0]);
    set(OPTION_tls_server_cert_file, paths[1]);
    set(OPTION_tls_private_key_file, paths[2]);
    set(OPTION_tls_ticket_key_file, paths[3]);
    s = (struct tlsspare)TLSSPARE_NONE;
}

static void end(void)
{
    tlsspare_drop(&s);
    while (wait(NULL) > 0)
        continue;
    for (size_t i = 0; i < 4; i++)
        unlink(paths[i]);
    rmdir(directory);
    snprintf(directory, sizeof directory, "/tmp/test_tlsspare.XXXXXX");
    settings_free(&settings);
}

START_TEST(made_only_when_one_was_wanted)
{
    ck_assert_int_eq(tlsspare_pause(&s, BEGIN), -1);
    tlsspare_turn(&s, settings, BEGIN);
    ck_assert_int_eq(s.pid, 0);
    tlsspare_want(&s, BEGIN);
    ck_assert_int_gt(tlsspare_pause(&s, BEGIN), 0);
    ck_assert_int_lt(tlsspare_pause(&s, BEGIN), SECOND);
    tlsspare_turn(&s, settings, BEGIN);
    ck_assert_int_eq(s.pid, 0);
    ck_assert_int_eq(tlsspare_pause(&s, BEGIN + SECOND), 0);
    tlsspare_turn(&s, settings, BEGIN + SECOND);
    ck_assert_int_gt(s.pid, 0);
}
END_TEST

START_TEST(lives_for_so_long)
{
    tlsspare_want(&s, BEGIN);
    tlsspare_turn(&s, settings, BEGIN + SECOND);
    tlsspare_want(&s, BEGIN + 2 * SECOND); /* there is one */
    ck_assert_int_eq(tlsspare_pause(&s, BEGIN + SECOND), TLSSPARE_LIFE * SECOND);
    tlsspare_turn(&s, settings, BEGIN + TLSSPARE_LIFE * SECOND);
    ck_assert_int_gt(s.pid, 0);
    tlsspare_turn(&s, settings, BEGIN + (1 + TLSSPARE_LIFE) * SECOND);
    ck_assert_int_eq(s.pid, 0);
    ck_assert_int_eq(s.door, -1);
    ck_assert_int_eq(tlsspare_pause(&s, BEGIN + 1000 * SECOND), -1);
}
END_TEST

/* These files are no certificates: it cannot work, and says so by its end. */
START_TEST(one_that_cannot_work_is_not_given)
{
    tlsspare_want(&s, BEGIN);
    tlsspare_turn(&s, settings, BEGIN + SECOND);
    ck_assert_int_eq(tlsspare_give(&s, settings, 0), -1);
    ck_assert_int_gt(s.pid, 0);
    ck_assert_int_gt(waitpid(s.pid, NULL, 0), 0);
    tlsspare_hear(&s);
    ck_assert_int_eq(s.pid, 0);
    ck_assert_int_eq(tlsspare_pause(&s, BEGIN + SECOND), -1);
}
END_TEST

/* A spare that is about to say that it is ready; door and channel are its side's. */
static void have_one_soon(void)
{
    int ends[2];

    tlsspare_want(&s, BEGIN);
    tlsspare_turn(&s, settings, BEGIN + SECOND);
    close(s.door);
    ck_assert_int_eq(privmsg_pair(ends), 0);
    s.door = ends[0];
    door = ends[1];
}

/* With the files as they are now. */
static void say_ready(void)
{
    struct stat loaded[4];

    for (size_t i = 0; i < 4; i++)
        if (stat(paths[i], &loaded[i]) < 0)
            memset(&loaded[i], 0, sizeof loaded[i]);
    ck_assert_int_eq(tlschannel_put(door, TLSCHANNEL_MADE, 0, loaded, sizeof loaded, -1), 0);
    tlsspare_hear(&s);
    ck_assert(s.ready);
}

static void have_one(void)
{
    have_one_soon();
    say_ready();
}

static void expect_given(bool given)
{
    pid_t pid = s.pid;
    uint64_t nothing;

    ck_assert_int_eq(tlsspare_give(&s, settings, 2), given ? pid : -1);
    ck_assert_int_eq(s.pid, 0);
    ck_assert_int_eq(tlschannel_get(door, 0, TLSCHANNEL_MAKE, &nothing, NULL, 0, &channel), given ? 0 : -1);
    if (given)
        close(channel);
    close(door);
}

START_TEST(given_once)
{
    have_one();
    expect_given(true);
    ck_assert_int_eq(tlsspare_give(&s, settings, 2), -1);
}
END_TEST

START_TEST(a_file_has_changed)
{
    have_one();
    write_file(paths[_i], "another text\n");
    expect_given(false);
}
END_TEST

/* What counts is what it has loaded; tlsmaker, whom all wait for, does not look at files that may be on a host which does not answer. */
START_TEST(a_file_has_changed_before_it_was_loaded)
{
    have_one_soon();
    write_file(paths[_i], "another text\n");
    say_ready();
    expect_given(true);
}
END_TEST

START_TEST(a_file_has_gone)
{
    have_one();
    unlink(paths[_i]);
    expect_given(false);
}
END_TEST

START_TEST(a_file_was_replaced)
{
    char fresh[100];

    have_one();
    snprintf(fresh, sizeof fresh, "%s.new", paths[_i]);
    write_file(fresh, "text\n");
    ck_assert_int_eq(rename(fresh, paths[_i]), 0);
    expect_given(false);
}
END_TEST

START_TEST(a_file_that_was_missing_has_come)
{
    unlink(paths[_i]);
    have_one();
    write_file(paths[_i], "text\n");
    expect_given(false);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tlsspare");
    TCase *tcase = tcase_create("tlsspare");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, made_only_when_one_was_wanted);
    tcase_add_test(tcase, lives_for_so_long);
    tcase_add_test(tcase, one_that_cannot_work_is_not_given);
    tcase_add_test(tcase, given_once);
    tcase_add_loop_test(tcase, a_file_has_changed, 0, 4);
    tcase_add_loop_test(tcase, a_file_has_changed_before_it_was_loaded, 0, 4);
    tcase_add_loop_test(tcase, a_file_has_gone, 0, 4);
    tcase_add_loop_test(tcase, a_file_was_replaced, 0, 4);
    tcase_add_loop_test(tcase, a_file_that_was_missing_has_come, 0, 4);
    suite_add_tcase(suite, tcase);
    return unit_main(suite);
}
