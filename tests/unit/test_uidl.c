/* uidl: the three formats, stored ids, and telling duplicates apart. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "mail/uidl.h"

static char id[UIDL_MAX + 1];

static bool make(enum uidl_format format, const char *from, const char *fields, const char *stored, uint32_t uid, uint32_t validity)
{
    struct msglist list;
    struct message m = { .octets = 1 };
    struct uidl u;
    size_t length;
    bool is_stored;

    msglist_init(&list);
    uidl_init(&u, format, &list);
    uidl_begin(&u, from, strlen(from));
    uidl_hash(&u, fields, strlen(fields));
    if (stored)
        uidl_stored(&u, stored, strlen(stored));
    u.imap_uid = uid;
    is_stored = uidl_end(&u, validity, id);
    length = strlen(id);
    msglist_add(&list, &m, id);
    uidl_flush(&u);
    snprintf(id, sizeof id, "%s", msglist_uid(&list, &list.messages[0]));
    ck_assert_uint_eq(strlen(id), length);
    msglist_free(&list);
    return is_stored;
}

/* Facts page 5.2: four bytes folded by 16, five digits base 80, least significant first. */
START_TEST(qpopper_ids_are_20_characters_base_80)
{
    unsigned char digest[DIGEST_MD5_SIZE];
    char want[UIDL_MAX + 1], *p = want;

    digest_md5("f\nDate: x\nf\n", 12, digest);
    for (int i = 0; i < 16; i += 4) {
        unsigned long v = ((digest[i] * 16ul + digest[i + 1]) * 16 + digest[i + 2]) * 16 + digest[i + 3];

        for (int d = 0; d < 5; d++, v /= 80)
            *p++ = (char)(0x21 + v % 80 == '.' ? '~' : 0x21 + v % 80);
    }
    *p = '\0';
    ck_assert(!make(UIDL_QPOPPER, "f", "Date: x\n", NULL, 0, 0));
    ck_assert_str_eq(id, want);
    ck_assert_uint_eq(strlen(id), 20);
    ck_assert(!make(UIDL_DOVECOT, "f", "Date: x\n", NULL, 0, 0));
    ck_assert_str_eq(id, want);
}
END_TEST

START_TEST(md5_ids_are_hex)
{
    make(UIDL_MD5, "f", "Date: x\n", NULL, 0, 0);
    ck_assert_str_eq(id, "fad21164fd2e6107a006587a027315c1"); /* printf 'f\nDate: x\n' | md5sum */
}
END_TEST

START_TEST(dovecot_ids_need_both_numbers)
{
    ck_assert(make(UIDL_DOVECOT, "f", "", NULL, 0x1a2b, 0x5c6d7e8f));
    ck_assert_str_eq(id, "00001a2b5c6d7e8f");
    ck_assert(make(UIDL_UW, "f", "", NULL, 0x1a2b, 0x5c6d7e8f));
    ck_assert_str_eq(id, "5c6d7e8f00001a2b");
    ck_assert(!make(UIDL_DOVECOT, "f", "", NULL, 7, 0));
    ck_assert(!make(UIDL_UW, "f", "", NULL, 7, 0));
    ck_assert(!make(UIDL_DOVECOT, "f", "", NULL, 0, 7));
    ck_assert(!make(UIDL_QPOPPER, "f", "", NULL, 7, 7));
    ck_assert_uint_eq(strlen(id), 20);
}
END_TEST

#define TEN "0123456789"

static const struct {
    const char *name, *value, *id; /* id NULL: not accepted */
} stored_cases[] = {
    { "usual", " abc!~", "abc!~" },
    { "no blank", "abc", "abc" },
    { "blanks and CR around", " \t abc \t\r", "abc" },
    { "one character", " x", "x" },
    { "32 hexadecimal", " 2d0db9adf1b3bc45f94ae8f4f0ed8ff3", "2d0db9adf1b3bc45f94ae8f4f0ed8ff3" },
    { "70 characters", TEN TEN TEN TEN TEN TEN TEN, TEN TEN TEN TEN TEN TEN TEN },
    { "71 characters", TEN TEN TEN TEN TEN TEN TEN "x", NULL },
    { "empty", "", NULL },
    { "only blanks", "  ", NULL },
    { "a blank inside", "a b", NULL },
    { "8 bits", "a\xe4", NULL },
    { "control character", "a\x7f", NULL },
};

START_TEST(a_stored_id_wins_if_it_is_valid)
{
    for (int format = UIDL_QPOPPER; format <= UIDL_UW; format++) {
        bool stored = make(format, "f", "", stored_cases[_i].value, 3, 4);

        if (stored_cases[_i].id)
            ck_assert_msg(stored && strcmp(id, stored_cases[_i].id) == 0, "%s: %s", stored_cases[_i].name, id);
        else
            ck_assert_msg(stored == uidl_is_of_imap(format) && strlen(id) >= 16, "%s: %s", stored_cases[_i].name, id);
    }
}
END_TEST

START_TEST(the_first_valid_stored_id_is_kept)
{
    struct uidl u;

    uidl_init(&u, UIDL_QPOPPER, NULL);
    uidl_begin(&u, "f", 1);
    uidl_stored(&u, " in valid", 9);
    uidl_stored(&u, " first", 6);
    uidl_stored(&u, " second", 7);
    ck_assert(uidl_end(&u, 0, id));
    ck_assert_str_eq(id, "first");
}
END_TEST

/* Short and long texts, more messages than are hashed together: each is what digest_md5 says. */
START_TEST(many_messages_of_all_lengths)
{
    static char text[20000];
    unsigned char digest[DIGEST_MD5_SIZE];
    struct strbuf hex = STRBUF_INIT(100);
    struct msglist list;
    struct uidl u;
    struct message m = { .octets = 1 };

    msglist_init(&list);
    uidl_init(&u, UIDL_MD5, &list);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i % 26);
    text[9] = '\n';
    for (size_t n = 10; n < sizeof text - 6000; n += n < 4000 || n > 4200 ? 61 : 1) {
        uidl_begin(&u, text, 9);
        for (size_t at = 10; at < n; at += 1000)
            uidl_hash(&u, text + at, n - at < 1000 ? n - at : 1000);
        uidl_end(&u, 0, id);
        msglist_add(&list, &m, id);
    }
    uidl_flush(&u);
    for (size_t n = 10, i = 0; i < list.count; n += n < 4000 || n > 4200 ? 61 : 1, i++) {
        digest_md5(text, n, digest);
        strbuf_reset(&hex);
        digest_hex(&hex, digest, sizeof digest);
        ck_assert_str_eq(msglist_uid(&list, &list.messages[i]), hex.data);
    }
    strbuf_free(&hex);
    msglist_free(&list);
}
END_TEST

/* Ids of a list before and after, separated by blanks; those with * at the front are stored ones. settled: how many
   came from the index. */
static const struct {
    const char *name, *before;
    size_t settled;
    const char *after;
} duplicate_cases[] = {
    { "none", "a b c", 0, "a b c" },
    { "two", "a b a", 0, "a b a.2" },
    { "many", "a a a b a b", 0, "a a.2 a.3 b a.4 b.2" },
    { "settled ones stay", "a b a", 3, "a b a" },
    { "the first was deleted", "a.2 a", 1, "a.2 a.3" },
    { "all but the last were deleted", "a.7 a b a", 1, "a.7 a.8 b a.9" },
    { "stored ones stay", "*x.9 *x.8 *x *x.10", 0, "x.9 x.8 x x.10" },
    { "stored and equal", "*x *x *x.2", 0, "x x.2 x.2.2" },
    { "stored with ordinal and equal", "*x.5 *x.5", 0, "x.5 x.5.2" },
    { "those of another server may end in a number", "*v.17 *v.17 *v.18 *v.19 *v.17", 0, "v.17 v.17.2 v.18 v.19 v.17.3" },
    { "and the first was deleted", "v.17.2 *v.18 *v.17 *v.17", 2, "v.17.2 v.18 v.17 v.17.3" },
    { "a leading zero is no ordinal", "*x.05 *x.05 *x", 0, "x.05 x.05.2 x" },
    { "nor is 1 or 0 or nothing before it", "*x.1 *x.1 *x.0 *x.0 *.7 *.7", 0, "x.1 x.1.2 x.0 x.0.2 .7 .7.2" },
    { "highest ordinal", "*x.999999999 *x *x *x", 0, "x.999999999 x x.1000000000 x.1000000001" },
    { "too long for an ordinal", "*" TEN TEN TEN TEN TEN TEN "abcdefghij *" TEN TEN TEN TEN TEN TEN "abcdefghij", 0,
      TEN TEN TEN TEN TEN TEN "abcdefghij " TEN TEN TEN TEN TEN "012345678.2" },
    { "too long, the short one exists", "*" TEN TEN TEN TEN TEN "012345678.2 *" TEN TEN TEN TEN TEN TEN "x *" TEN TEN TEN TEN TEN TEN "x", 0,
      TEN TEN TEN TEN TEN "012345678.2 " TEN TEN TEN TEN TEN TEN "x " TEN TEN TEN TEN TEN "012345678.3" },
};

static void fill(struct msglist *list, const char *ids)
{
    char text[1000], *word, *rest = text;

    msglist_init(list);
    snprintf(text, sizeof text, "%s", ids);
    while ((word = strsep(&rest, " "))) {
        struct message m = { .octets = 1000, .flags = MSG_EDITED };

        if (*word == '*') {
            m.flags |= MSG_UID_STORED;
            word++;
        }
        m.octets += strlen(word);
        msglist_add(list, &m, word);
    }
}

START_TEST(duplicates)
{
    struct msglist list;
    char after[1000] = "";

    fill(&list, duplicate_cases[_i].before);
    uidl_resolve_duplicates(&list, duplicate_cases[_i].settled);
    for (size_t i = 0; i < list.count; i++) {
        const struct message *m = &list.messages[i];

        snprintf(after + strlen(after), sizeof after - strlen(after), "%s%s", i ? " " : "", msglist_uid(&list, m));
        ck_assert(uidl_valid(msglist_uid(&list, m), strlen(msglist_uid(&list, m))));
        ck_assert_uint_eq(m->octets, 1000 + strlen(msglist_uid(&list, m)));
    }
    ck_assert_msg(strcmp(after, duplicate_cases[_i].after) == 0, "%s: %s", duplicate_cases[_i].name, after);
    msglist_free(&list);
}
END_TEST

START_TEST(an_id_with_ordinal_does_not_stand_in_the_message)
{
    struct msglist list;

    fill(&list, "*x *x");
    uidl_resolve_duplicates(&list, 0);
    ck_assert(list.messages[0].flags & MSG_UID_STORED);
    ck_assert(!(list.messages[1].flags & MSG_UID_STORED));
    msglist_free(&list);
}
END_TEST

/* A grown list gets the same ids as a scan of everything. */
START_TEST(growing_gives_the_same)
{
    static const char all[] = "a b a *c.3 c c a *d *d d b *v.7 *v.7 *v.8 *v.8 *v.9 *v.7";
    struct msglist whole, grown, rest;

    fill(&whole, all);
    uidl_resolve_duplicates(&whole, 0);
    for (size_t cut = 1; cut < whole.count; cut++) {
        fill(&grown, all);
        fill(&rest, all);
        msglist_truncate(&grown, cut);
        uidl_resolve_duplicates(&grown, 0);
        for (size_t i = cut; i < rest.count; i++)
            msglist_add(&grown, &rest.messages[i], msglist_uid(&rest, &rest.messages[i]));
        uidl_resolve_duplicates(&grown, cut);
        for (size_t i = 0; i < whole.count; i++)
            ck_assert_str_eq(msglist_uid(&grown, &grown.messages[i]), msglist_uid(&whole, &whole.messages[i]));
        msglist_free(&grown);
        msglist_free(&rest);
    }
    msglist_free(&whole);
}
END_TEST

static void resolve_many(size_t n, const char *format)
{
    struct msglist list;
    char uid[40];

    msglist_init(&list);
    for (size_t i = 0; i < n; i++) {
        struct message m = { .octets = 1 };

        snprintf(uid, sizeof uid, format, (unsigned)i);
        msglist_add(&list, &m, uid);
    }
    uidl_resolve_duplicates(&list, 0);
    for (size_t i = 1; i < n; i++)
        ck_assert_str_ne(msglist_uid(&list, &list.messages[i]), msglist_uid(&list, &list.messages[i - 1]));
    msglist_free(&list);
}

/* Quadratic behaviour would take minutes: the test's own time limit (4 s) is the assertion. */
START_TEST(a_hundred_thousand_equal_ids_take_no_time)
{
    resolve_many(100000, "the same");
    resolve_many(100000, "x.%u");
    resolve_many(100000, "0123456789012345678901234567.%u");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("uidl");
    TCase *tc = tcase_create("uidl");

    tcase_add_test(tc, qpopper_ids_are_20_characters_base_80);
    tcase_add_test(tc, md5_ids_are_hex);
    tcase_add_test(tc, dovecot_ids_need_both_numbers);
    tcase_add_loop_test(tc, a_stored_id_wins_if_it_is_valid, 0, sizeof stored_cases / sizeof stored_cases[0]);
    tcase_add_test(tc, the_first_valid_stored_id_is_kept);
    tcase_add_test(tc, many_messages_of_all_lengths);
    tcase_add_loop_test(tc, duplicates, 0, sizeof duplicate_cases / sizeof duplicate_cases[0]);
    tcase_add_test(tc, an_id_with_ordinal_does_not_stand_in_the_message);
    tcase_add_test(tc, growing_gives_the_same);
    tcase_add_test(tc, a_hundred_thousand_equal_ids_take_no_time);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
