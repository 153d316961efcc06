/* mboxplan: merging, marks, the first byte that changes. */
#include "tests/unit/unit.h"

#include <string.h>

#include "mail/mboxplan.h"

#define DROP 5
#define OTHER 6

static struct mboxplan plan;

static void set_up(void)
{
    mboxplan_init(&plan);
}

static void tear_down(void)
{
    mboxplan_free(&plan);
}

START_TEST(ranges_that_continue_are_one_piece)
{
    mboxplan_add_range(&plan, DROP, 0, 10);
    mboxplan_add_range(&plan, DROP, 10, 5);
    mboxplan_add_range(&plan, DROP, 20, 5);
    mboxplan_add_range(&plan, OTHER, 25, 5);
    ck_assert_uint_eq(plan.count, 3);
    ck_assert_uint_eq(plan.pieces[0].length, 15);
    ck_assert_uint_eq(plan.pieces[1].offset, 20);
    ck_assert_int_eq(plan.pieces[2].fd, OTHER);
    ck_assert_uint_eq(plan.length, 25);
}
END_TEST

START_TEST(nothing_adds_nothing)
{
    mboxplan_add_range(&plan, DROP, 7, 0);
    mboxplan_add_text(&plan, "", 0);
    ck_assert_uint_eq(plan.count, 0);
    ck_assert_uint_eq(plan.length, 0);
}
END_TEST

START_TEST(text_is_copied)
{
    char text[] = "Status: RO\n";

    mboxplan_add_text(&plan, text, strlen(text));
    text[0] = 'x';
    ck_assert_int_eq(plan.pieces[0].fd, -1);
    ck_assert_mem_eq(plan.pieces[0].text, "Status: RO\n", 11);
    mboxplan_add_range(&plan, DROP, 0, 4);
    ck_assert_uint_eq(plan.length, 15);
}
END_TEST

/* What the plan begins with: fd, offset, length of the first piece; then what first_change says. */
static const struct {
    const char *name;
    int fd;
    uint64_t offset, length, first;
} beginnings[] = {
    { "M from its start", DROP, 0, 30, 30 },
    { "M from further on", DROP, 10, 30, 0 },
    { "another file", OTHER, 0, 30, 0 },
    { "nothing", DROP, 0, 0, 0 },
};

START_TEST(first_change_is_the_end_of_what_stays_in_place)
{
    mboxplan_add_range(&plan, beginnings[_i].fd, beginnings[_i].offset, beginnings[_i].length);
    mboxplan_add_text(&plan, "x", 1);
    ck_assert_msg(mboxplan_first_change(&plan, DROP) == beginnings[_i].first, "%s", beginnings[_i].name);
}
END_TEST

START_TEST(the_mark_is_the_message_that_the_change_falls_into)
{
    mboxplan_message(&plan);
    mboxplan_add_range(&plan, DROP, 0, 100);
    mboxplan_message(&plan);
    mboxplan_add_range(&plan, DROP, 100, 40); /* the head of the second message; its Status header changes */
    mboxplan_add_text(&plan, "Status: RO\n", 11);
    mboxplan_add_range(&plan, DROP, 140, 60);
    mboxplan_message(&plan);
    mboxplan_add_range(&plan, DROP, 200, 10);
    ck_assert_uint_eq(mboxplan_first_change(&plan, DROP), 140);
    ck_assert_uint_eq(plan.mark, 100);
}
END_TEST

START_TEST(the_mark_after_a_deleted_message_is_where_it_was)
{
    mboxplan_message(&plan);
    mboxplan_add_range(&plan, DROP, 0, 100);
    mboxplan_message(&plan);
    mboxplan_add_range(&plan, DROP, 150, 50);
    mboxplan_message(&plan);
    ck_assert_uint_eq(plan.mark, 100);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mboxplan");
    TCase *tc = tcase_create("mboxplan");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, ranges_that_continue_are_one_piece);
    tcase_add_test(tc, nothing_adds_nothing);
    tcase_add_test(tc, text_is_copied);
    tcase_add_loop_test(tc, first_change_is_the_end_of_what_stays_in_place, 0, sizeof beginnings / sizeof *beginnings);
    tcase_add_test(tc, the_mark_is_the_message_that_the_change_falls_into);
    tcase_add_test(tc, the_mark_after_a_deleted_message_is_where_it_was);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
