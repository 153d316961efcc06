/* keeper_bulletins: what transcripts cannot set up: other groups of a system user, popbulldir, what is closed. */
#include "config.h"

#include "tests/unit/unit.h"

#include <dlfcn.h>
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process/keeper_bulletins.h"
#include "process/places.h"
#include "tests/unit/caught_log.h"

static char dir[] = "/tmp/popper-bulletins.XXXXXX";
static struct settings *settings;
static struct auth_user user;
static struct keeper_files files;
static struct keeper_bulletins bulletins;
static struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);

/* The one that is called: the host's, which sometimes does not know. */
int getgrnam_r(const char *name, struct group *group, char *memory, size_t room, struct group **found)
{
    int (*real)(const char *, struct group *, char *, size_t, struct group **) = dlsym(RTLD_NEXT, "getgrnam_r");

    *found = NULL;
    return strcmp(name, "away") == 0 ? EAGAIN : real(name, group, memory, room, found);
}

static void put(const char *name, const char *text)
{
    char path[300];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    fclose(f);
    ck_assert_int_eq(chmod(path, 0644), 0);
}

static void setup(void)
{
    char bulls[100], home[100];

    ck_assert_ptr_nonnull(mkdtemp(dir));
    settings = settings_new();
    snprintf(bulls, sizeof bulls, "%s/bulls", dir);
    snprintf(home, sizeof home, "%s/home", dir);
    ck_assert_int_eq(mkdir(bulls, 0755) | mkdir(home, 0755), 0);
    ck_assert_int_eq(settings_set(settings, options_find("bulldir", 7), bulls, OPTION_FILE, "test", &why), 0);
    user = (struct auth_user){ .name = "alice", .uid = getuid(), .gid = getgid() };
    snprintf(user.home, sizeof user.home, "%s", home);
    files = (struct keeper_files){ .settings = settings, .user = &user, .uid = user.uid, .lock = -1, .meeting = -1,
                                   .open = { .drop = -1, .index = -1, .leftover = -1 } };
    places_set_popbull_dir(NULL);
    places_find(&files.places, settings, &user);
    put("home/.popbull", "4\n");
    catch_log();
}

static void teardown(void)
{
    char command[100];

    keeper_bulletins_close(&bulletins);
    places_close(&files.places);
    settings_free(&settings);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static const struct bulletin_offer *find(void)
{
    ck_assert_int_eq(keeper_bulletins_find(&bulletins, &files, NULL, "host", &why), 0);
    return files.open.bulletins;
}

START_TEST(what_is_offered)
{
    const struct bulletin_offer *offer;

    put("bulls/10", "ten");
    put("bulls/9.x", "nine");
    put("bulls/4", "four");
    offer = find();
    ck_assert_ptr_nonnull(offer);
    ck_assert_uint_eq(offer->count, 2);
    ck_assert_uint_eq(offer->items[0].number, 9);
    ck_assert_uint_eq(offer->items[1].number, 10);
    ck_assert_str_eq(offer->to, "alice@host");
    ck_assert_uint_eq(offer->last, 4);
    ck_assert(offer->noted);
    ck_assert_int_ge(offer->text, 0);
}
END_TEST

START_TEST(nothing_new_is_nothing)
{
    put("bulls/4", "four");
    ck_assert_ptr_null(find());
    ck_assert_str_eq(caught.data, "");
}
END_TEST

START_TEST(before_recovery_there_are_none)
{
    put("bulls/10", "ten");
    files.open.journal = true;
    ck_assert_ptr_null(find());
}
END_TEST

START_TEST(groups_that_cannot_be_looked_up_now)
{
    const struct bulletin_offer *offer;

    settings->group_bulletins = true;
    put("bulls/10.ALL.x", "ten");
    put("bulls/11.away.x", "eleven");
    put("bulls/12.ALL.x", "twelve");
    offer = find();
    ck_assert_uint_eq(offer->count, 1);
    ck_assert_uint_eq(offer->items[0].number, 10);
    ck_assert_msg(strstr(caught.data, "bulls/11.away.x and those after it wait: the group away cannot be looked up: ") != NULL, "%s", caught.data);
}
END_TEST

/* Or POPBULL would say 11, and the other one would never come. */
START_TEST(nor_is_one_of_the_same_number_offered)
{
    const struct bulletin_offer *offer;

    settings->group_bulletins = true;
    put("bulls/10.ALL.x", "ten");
    put("bulls/11.ALL.x", "eleven");
    put("bulls/11.away.x", "eleven, too");
    offer = find();
    ck_assert_uint_eq(offer->count, 1);
    ck_assert_uint_eq(offer->items[0].number, 10);
}
END_TEST

START_TEST(a_number_is_not_cut_in_two)
{
    const struct bulletin_offer *offer;
    char name[20];

    for (int i = 5; i < BULLETIN_OFFER_MAX + 10; i++) {
        snprintf(name, sizeof name, "bulls/%d", i);
        put(name, "text");
    }
    put("bulls/104.b", "another");
    offer = find();
    ck_assert_uint_eq(offer->items[offer->count - 1].number, BULLETIN_OFFER_MAX + 4);
    ck_assert_str_eq(strrchr(offer->items[offer->count - 1].shown, '/'), "/104.b");
}
END_TEST

START_TEST(all_groups_of_a_system_user_count)
{
    struct group *mail = getgrnam("mail");
    gid_t mine[1] = { mail ? mail->gr_gid : 0 };
    const struct bulletin_offer *offer;

    if (getuid() != 0 || !mail || !getgrnam("users"))
        return;
    ck_assert_int_eq(setgroups(1, mine), 0);
    settings->group_bulletins = true;
    put("bulls/10.mail.x", "ten");
    put("bulls/11.users.x", "eleven");
    offer = find();
    ck_assert_uint_eq(offer->count, 2);
    ck_assert_int_ge(offer->items[0].fd, 0);
    ck_assert_int_eq(offer->items[1].fd, -1);
    keeper_bulletins_close(&bulletins);
    files.open.bulletins = NULL;
    user.is_virtual = true; /* then they are those of somebody else of that uid */
    offer = find();
    ck_assert_uint_eq(offer->count, 2);
    ck_assert_int_eq(offer->items[0].fd, -1);
    ck_assert_int_eq(offer->text, -1);
}
END_TEST

/* configure --enable-popbulldir */
START_TEST(another_place_for_popbull)
{
    const struct bulletin_offer *offer;

    put("bulls/10", "ten");
    places_set_popbull_dir(dir);
    offer = find();
    ck_assert_uint_eq(offer->last, 4); /* from the home */
    ck_assert(!offer->noted);
    keeper_bulletins_close(&bulletins);
    put("alice.popbull", "9\n");
    offer = find();
    ck_assert_uint_eq(offer->last, 9);
    ck_assert(offer->noted);
    ck_assert_str_eq(caught.data, "");
}
END_TEST

START_TEST(without_that_place_there_are_none)
{
    put("bulls/10", "ten");
    places_set_popbull_dir("/nonexistent");
    ck_assert_ptr_null(find());
    ck_assert_msg(strstr(caught.data, "no bulletins for alice: /nonexistent/alice.popbull"), "%s", caught.data);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keeper_bulletins");
    TCase *tc = tcase_create("keeper_bulletins");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, what_is_offered);
    tcase_add_test(tc, nothing_new_is_nothing);
    tcase_add_test(tc, before_recovery_there_are_none);
    tcase_add_test(tc, groups_that_cannot_be_looked_up_now);
    tcase_add_test(tc, nor_is_one_of_the_same_number_offered);
    tcase_add_test(tc, a_number_is_not_cut_in_two);
    tcase_add_test(tc, all_groups_of_a_system_user_count);
    tcase_add_test(tc, another_place_for_popbull);
    tcase_add_test(tc, without_that_place_there_are_none);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
