/* msglist: numbers with hidden messages, totals, ids that change, cutting the end off. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "mail/msglist.h"

static void add(struct msglist *list, uint64_t octets, unsigned flags, const char *uid)
{
    struct message m = { .octets = octets, .flags = (uint8_t)flags };

    msglist_add(list, &m, uid);
}

START_TEST(an_empty_list_has_nothing)
{
    struct msglist list;
    uint64_t count, octets, hidden;

    msglist_init(&list);
    msglist_number(&list);
    ck_assert_ptr_null(msglist_get(&list, 0));
    ck_assert_ptr_null(msglist_get(&list, 1));
    msglist_totals(&list, &count, &octets, &hidden);
    ck_assert_uint_eq(count + octets + hidden, 0);
    msglist_free(&list);
}
END_TEST

START_TEST(hidden_messages_have_no_number)
{
    struct msglist list;
    uint64_t count, octets, hidden;

    msglist_init(&list);
    add(&list, 1, MSG_HIDDEN, "a");
    add(&list, 10, 0, "b");
    add(&list, 100, MSG_HIDDEN | MSG_DELETED, "c");
    add(&list, 1000, MSG_DELETED, "d");
    add(&list, 10000, MSG_RETRIEVED, "e");
    msglist_number(&list);
    ck_assert_uint_eq(list.visible, 3);
    ck_assert_str_eq(msglist_uid(&list, msglist_get(&list, 1)), "b");
    ck_assert_str_eq(msglist_uid(&list, msglist_get(&list, 2)), "d");
    ck_assert_str_eq(msglist_uid(&list, msglist_get(&list, 3)), "e");
    ck_assert_ptr_null(msglist_get(&list, 4));
    ck_assert_ptr_null(msglist_get(&list, UINT64_MAX));
    msglist_totals(&list, &count, &octets, &hidden);
    ck_assert_uint_eq(count, 2);
    ck_assert_uint_eq(octets, 10010);
    ck_assert_uint_eq(hidden, 2);
    msglist_free(&list);
}
END_TEST

START_TEST(without_hidden_ones_no_table_is_made)
{
    struct msglist list;

    msglist_init(&list);
    add(&list, 1, 0, "a");
    add(&list, 2, MSG_DELETED, "b");
    msglist_number(&list);
    ck_assert_ptr_null(list.numbers);
    ck_assert_ptr_eq(msglist_get(&list, 2), &list.messages[1]);
    msglist_free(&list);
}
END_TEST

START_TEST(ids_may_shrink_and_grow)
{
    struct msglist list;

    msglist_init(&list);
    add(&list, 1, 0, "middle");
    add(&list, 1, 0, "other");
    msglist_set_uid(&list, 0, "s");
    ck_assert_str_eq(msglist_uid(&list, &list.messages[0]), "s");
    msglist_set_uid(&list, 0, "much longer than before");
    ck_assert_str_eq(msglist_uid(&list, &list.messages[0]), "much longer than before");
    ck_assert_str_eq(msglist_uid(&list, &list.messages[1]), "other");
    msglist_free(&list);
}
END_TEST

START_TEST(the_end_is_cut_off_with_its_ids)
{
    struct msglist list;
    char uid[20];

    msglist_init(&list);
    for (int i = 0; i < 1000; i++) {
        snprintf(uid, sizeof uid, "uid-%d", i);
        add(&list, 1, 0, uid);
    }
    msglist_truncate(&list, 999);
    msglist_truncate(&list, 1);
    ck_assert_uint_eq(list.count, 1);
    ck_assert_uint_eq(list.uids_len, sizeof "uid-0");
    msglist_truncate(&list, 5);
    ck_assert_uint_eq(list.count, 1);
    add(&list, 1, 0, "new");
    ck_assert_str_eq(msglist_uid(&list, &list.messages[0]), "uid-0");
    ck_assert_str_eq(msglist_uid(&list, &list.messages[1]), "new");
    msglist_free(&list);
}
END_TEST

START_TEST(a_message_takes_forty_bytes)
{
    ck_assert_uint_eq(sizeof(struct message), 40);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("msglist");
    TCase *tc = tcase_create("msglist");

    tcase_add_test(tc, an_empty_list_has_nothing);
    tcase_add_test(tc, hidden_messages_have_no_number);
    tcase_add_test(tc, without_hidden_ones_no_table_is_made);
    tcase_add_test(tc, ids_may_shrink_and_grow);
    tcase_add_test(tc, the_end_is_cut_off_with_its_ids);
    tcase_add_test(tc, a_message_takes_forty_bytes);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
