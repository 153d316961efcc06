/* mailindex: what was stored comes back; anything else is no index; M's changes are noticed (dropmark's part is in
   test_dropmark). */
#include "config.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/digest.h"
#include "common/log.h"
#include "mail/filecalls.h"
#include "mail/mailindex.h"

#define HEADER 112
#define RECORD 40
#define MESSAGES 5
#define ONE 300 /* bytes of each message */

/* Where the fields of header and record lie (mailindex.c). */
enum {
    ORDER_AT = 8,
    VERSION_AT = 12,
    RECORD_AT = 14,
    FORMAT_AT = 16,
    STATUS_AT,
    KLUGE_AT,
    RACY_AT,
    SIZE_AT = 40,
    COUNT_AT = 72,
    IDS_AT = 80,
    SUM_AT = 88,
    DOUBTS_AT = 96
};

static const struct mboxscan_rules rules = { .format = UIDL_QPOPPER };
static char directory[64];
static int drop, indexfd;
static char logged[1000];

static void sink(void *context, int priority, const char *text, size_t length)
{
    (void)context;
    (void)priority;
    snprintf(logged, sizeof logged, "%.*s", (int)length, text);
}

/* An index that is not used is not passed over in silence. */
static void assert_said(const char *what)
{
    ck_assert_msg(strncmp(logged, "index not used: ", 16) == 0 && logged[16] != '\0', "%s: logged '%s'", what, logged);
}

static int make(const char *name)
{
    char path[100];
    int fd;

    snprintf(path, sizeof path, "%s/%s", directory, name);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    return fd;
}

static void setup(void)
{
    char bytes[MESSAGES * ONE];

    strcpy(directory, "/tmp/test_mailindex.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    drop = make("drop");
    indexfd = make("index");
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = i % 50 == 49 ? '\n' : (char)('a' + i % 23);
    ck_assert_int_eq(pwrite(drop, bytes, sizeof bytes, 0), sizeof bytes);
    log_set_debug(true);
    log_set_sink(sink, NULL);
    logged[0] = '\0';
}

static void teardown(void)
{
    char command[100];

    filecalls = &filecalls_os;
    close(drop);
    close(indexfd);
    snprintf(command, sizeof command, "rm -rf %s", directory);
    ck_assert_int_eq(system(command), 0);
}

static struct message message(size_t i)
{
    return (struct message){ .offset = i * ONE, .length = ONE, .octets = ONE + 7, .header_len = 100, .from_len = 40,
                             .flags = i == 2 ? MSG_SEEN | MSG_EDITED : 0, .source = MSGSRC_DROP };
}

static void fill(struct msglist *list, size_t count)
{
    char id[UIDL_MAX + 1];

    msglist_init(list);
    for (size_t i = 0; i < count; i++) {
        struct message m = message(i);

        snprintf(id, sizeof id, "id-%zu-%.*s", i, (int)i, "abcdefgh");
        msglist_add(list, &m, id);
    }
}

static struct stat status(void)
{
    struct stat st;

    ck_assert_int_eq(fstat(drop, &st), 0);
    return st;
}

static struct dropmark mark_of(const struct msglist *list)
{
    struct stat st = status();
    struct dropmark mark;

    dropmark_take(&mark, drop, &st);
    mark.racy = false; /* as if M had been left alone for a while */
    ck_assert_int_eq(dropmark_fingerprint(&mark, drop, list->messages, list->count), 0);
    return mark;
}

static void store(void)
{
    struct msglist list;
    struct dropmark mark;

    fill(&list, MESSAGES);
    mark = mark_of(&list);
    ck_assert_int_eq(mailindex_store(indexfd, &mark, &rules, &list, 77), 0);
    msglist_free(&list);
}

static enum mailindex_state load(struct msglist *list)
{
    struct stat st = status();
    struct dropmark mark;
    uint32_t validity;

    msglist_init(list);
    return mailindex_load(indexfd, drop, &st, &rules, list, &mark, &validity);
}

static enum mailindex_state state(void)
{
    struct msglist list;
    enum mailindex_state result = load(&list);

    ck_assert(result != MAILINDEX_NONE || (list.count == 0 && list.messages == NULL));
    msglist_free(&list);
    return result;
}

static void assert_same(const struct msglist *list, size_t count)
{
    struct msglist want;

    fill(&want, count);
    ck_assert_uint_eq(list->count, count);
    for (size_t i = 0; i < count; i++) {
        struct message a = list->messages[i], b = want.messages[i];

        ck_assert_str_eq(msglist_uid(list, &a), msglist_uid(&want, &b));
        a.uid_at = b.uid_at = 0;
        ck_assert_mem_eq(&a, &b, sizeof a);
    }
    msglist_free(&want);
}

static size_t slurp(unsigned char *bytes, size_t max)
{
    ssize_t n = pread(indexfd, bytes, max, 0);

    ck_assert_int_gt(n, HEADER);
    return (size_t)n;
}

static void put(const unsigned char *bytes, size_t n)
{
    ck_assert_int_eq(ftruncate(indexfd, (off_t)n), 0);
    ck_assert_int_eq(pwrite(indexfd, bytes, n, 0), (ssize_t)n);
}

START_TEST(what_was_stored_comes_back)
{
    struct msglist list;
    struct stat st;
    struct dropmark mark, stored;
    uint32_t validity = 0;

    store();
    st = status();
    msglist_init(&list);
    ck_assert_int_eq(mailindex_load(indexfd, drop, &st, &rules, &list, &mark, &validity), MAILINDEX_VALID);
    assert_same(&list, MESSAGES);
    ck_assert_uint_eq(validity, 77);
    ck_assert_str_eq(logged, "");
    stored = mark_of(&list);
    ck_assert_mem_eq(&mark, &stored, offsetof(struct dropmark, racy) + 1);
    msglist_free(&list);
}
END_TEST

START_TEST(an_empty_maildrop_has_an_index)
{
    struct msglist list;
    struct dropmark mark;

    ck_assert_int_eq(ftruncate(drop, 0), 0);
    fill(&list, 0);
    mark = mark_of(&list);
    ck_assert_int_eq(mailindex_store(indexfd, &mark, &rules, &list, 0), 0);
    ck_assert_int_eq(state(), MAILINDEX_VALID);
    ck_assert_int_eq(pwrite(drop, "From x", 6, 0), 6);
}
END_TEST

START_TEST(only_the_maildrops_own_messages_and_lasting_flags_are_stored)
{
    struct msglist list;
    struct dropmark mark;
    struct message strange = message(0);

    fill(&list, 0);
    strange.source = MSGSRC_LEFTOVER;
    msglist_add(&list, &strange, "leftover");
    for (size_t i = 0; i < MESSAGES; i++) {
        struct message m = message(i);

        m.flags |= MSG_DELETED | MSG_RETRIEVED | MSG_TOUCHED;
        msglist_add(&list, &m, i == 3 ? "x" : "yy");
    }
    msglist_set_uid(&list, 4, "longer than before"); /* the pool is out of order now */
    strange.source = MSGSRC_BULLETIN;
    msglist_add(&list, &strange, "bulletin");
    mark = mark_of(&list);
    ck_assert_int_eq(mailindex_store(indexfd, &mark, &rules, &list, 0), 0);
    msglist_free(&list);
    /* Blanks are not legal in ids. */
    ck_assert_int_eq(load(&list), MAILINDEX_NONE);
    ck_assert_str_eq(logged, "index not used: its numbers are wrong");

    fill(&list, 0);
    for (size_t i = 0; i < MESSAGES; i++) {
        struct message m = message(i);

        m.flags |= MSG_DELETED | MSG_RETRIEVED | MSG_TOUCHED;
        msglist_add(&list, &m, "");
    }
    strange.source = MSGSRC_LEFTOVER;
    msglist_add(&list, &strange, "leftover");
    for (size_t i = MESSAGES; i-- > 0;) {
        struct msglist want;

        fill(&want, MESSAGES);
        msglist_set_uid(&list, i, msglist_uid(&want, &want.messages[i]));
        msglist_free(&want);
    }
    mark = mark_of(&list);
    ck_assert_int_eq(mailindex_store(indexfd, &mark, &rules, &list, 0), 0);
    msglist_free(&list);
    ck_assert_int_eq(load(&list), MAILINDEX_VALID);
    assert_same(&list, MESSAGES);
    msglist_free(&list);
}
END_TEST

START_TEST(no_index_is_no_index)
{
    struct stat st = status();
    struct msglist list;
    struct dropmark mark;
    uint32_t validity;

    msglist_init(&list);
    ck_assert_int_eq(mailindex_load(-1, drop, &st, &rules, &list, &mark, &validity), MAILINDEX_NONE);
    ck_assert_str_eq(logged, "");
    ck_assert_int_eq(state(), MAILINDEX_NONE);
    ck_assert_str_eq(logged, "index not used: it is empty");
    put((const unsigned char *)"+Qpop+\1 of an old Qpopper, which is shorter than a header of ours is, but not by "
                               "much: padding padding padding padding",
        118);
    ck_assert_int_eq(state(), MAILINDEX_NONE);
    ck_assert_str_eq(logged, "index not used: it is not an index of ours");
    ck_assert_int_eq(ftruncate(indexfd, (INT64_C(64) << 20) + 1), 0);
    ck_assert_int_eq(state(), MAILINDEX_NONE);
    ck_assert_str_eq(logged, "index not used: its length is wrong");
}
END_TEST

START_TEST(every_bit_counts)
{
    unsigned char bytes[1000];
    size_t n;

    store();
    n = slurp(bytes, sizeof bytes);
    for (size_t i = 0; i < n; i++) {
        for (int bit = 0; bit < 8; bit++) {
            bytes[i] ^= (unsigned char)(1 << bit);
            put(bytes, n);
            logged[0] = '\0';
            ck_assert_msg(state() == MAILINDEX_NONE, "byte %zu bit %d", i, bit);
            assert_said("a bit altered");
            bytes[i] ^= (unsigned char)(1 << bit);
        }
    }
    put(bytes, n);
    ck_assert_int_eq(state(), MAILINDEX_VALID);
}
END_TEST

START_TEST(every_length_counts)
{
    unsigned char bytes[1000] = { 0 };
    size_t n;

    store();
    n = slurp(bytes, sizeof bytes);
    for (size_t i = 0; i < n + 100; i++) {
        put(bytes, i);
        ck_assert_msg(state() == (i == n ? MAILINDEX_VALID : MAILINDEX_NONE), "length %zu", i);
    }
}
END_TEST

/* The checksum made right again: what is left are the checks of numbers. */
static void put_summed(unsigned char *bytes, size_t n, size_t records)
{
    uint64_t sum;

    memset(bytes + SUM_AT, 0, 8);
    sum = digest_sum64(0, bytes, HEADER);
    sum = digest_sum64(sum, bytes + HEADER, records);
    sum = digest_sum64(sum, bytes + HEADER + records, n - HEADER - records);
    memcpy(bytes + SUM_AT, &sum, 8);
    put(bytes, n);
}

static const struct hostile {
    const char *name;
    size_t at;
    size_t size;
    uint64_t value;
    enum mailindex_state want;
} hostiles[] = {
    { "nothing altered", ORDER_AT, 4, 0x01020304, MAILINDEX_VALID },
    { "other byte order", ORDER_AT, 4, 0x04030201, MAILINDEX_NONE },
    { "future version", VERSION_AT, 2, MAILINDEX_VERSION + 1, MAILINDEX_NONE },
    { "earlier version", VERSION_AT, 2, MAILINDEX_VERSION - 1, MAILINDEX_NONE },
    { "version 0", VERSION_AT, 2, 0, MAILINDEX_NONE },
    { "other record size", RECORD_AT, 2, 48, MAILINDEX_NONE },
    { "other uidl-format", FORMAT_AT, 1, UIDL_MD5, MAILINDEX_NONE },
    { "other update-status-headers", STATUS_AT, 1, 1, MAILINDEX_NONE },
    { "other UW-kluge", KLUGE_AT, 1, 1, MAILINDEX_NONE },
    { "racy", RACY_AT, 1, 1, MAILINDEX_RACY },
    { "racy 2", RACY_AT, 1, 2, MAILINDEX_NONE },
    { "M longer than it is", SIZE_AT, 8, MESSAGES *ONE + 1, MAILINDEX_NONE },
    { "M shorter than it is, without a fingerprint", SIZE_AT, 8, (MESSAGES - 1) * ONE, MAILINDEX_NONE },
    { "M of 2^63 bytes", SIZE_AT, 8, UINT64_C(1) << 63, MAILINDEX_NONE },
    { "as many doubts as there may be", DOUBTS_AT, 8, MAILINDEX_DOUBTS_MAX, MAILINDEX_VALID },
    { "more doubts", DOUBTS_AT, 8, MAILINDEX_DOUBTS_MAX + 1, MAILINDEX_NONE },
    { "one message less", COUNT_AT, 8, MESSAGES - 1, MAILINDEX_NONE },
    { "2^61 messages", COUNT_AT, 8, (UINT64_C(1) << 61) + MESSAGES, MAILINDEX_NONE },
    { "2^64 - 1 messages", COUNT_AT, 8, UINT64_MAX, MAILINDEX_NONE },
    { "one byte of ids less", IDS_AT, 8, 39, MAILINDEX_NONE },
    { "2^64 - 1 bytes of ids", IDS_AT, 8, UINT64_MAX, MAILINDEX_NONE },
#define IN_RECORD(n, field) HEADER + (n)*RECORD + offsetof(struct message, field), sizeof(((struct message *)0)->field)
    { "a gap before the second message", IN_RECORD(1, offset), ONE + 1, MAILINDEX_NONE },
    { "two messages overlap", IN_RECORD(1, offset), ONE - 1, MAILINDEX_NONE },
    { "first offset beyond M", IN_RECORD(0, offset), UINT64_MAX, MAILINDEX_NONE },
    { "a bigger offset wraps around", IN_RECORD(4, offset), UINT64_MAX - ONE + 1, MAILINDEX_NONE },
    { "a message of no bytes", IN_RECORD(4, length), 0, MAILINDEX_NONE },
    { "the last message too short", IN_RECORD(4, length), ONE - 1, MAILINDEX_NONE },
    { "the last message beyond M", IN_RECORD(4, length), ONE + 1, MAILINDEX_NONE },
    { "a length that wraps around", IN_RECORD(2, length), UINT64_MAX, MAILINDEX_NONE },
    { "no octets", IN_RECORD(2, octets), 0, MAILINDEX_NONE },
    { "too many octets", IN_RECORD(2, octets), 2 * ONE + 2 * UIDL_MAX + 1, MAILINDEX_NONE },
    { "many octets", IN_RECORD(2, octets), 2 * ONE + 2 * UIDL_MAX, MAILINDEX_VALID },
    { "header longer than the message", IN_RECORD(2, header_len), ONE + 1, MAILINDEX_NONE },
    { "no body", IN_RECORD(2, header_len), ONE, MAILINDEX_VALID },
    { "From_ line longer than the header", IN_RECORD(2, from_len), 101, MAILINDEX_NONE },
    { "an id elsewhere", IN_RECORD(2, uid_at), 0, MAILINDEX_NONE },
    { "an id far away", IN_RECORD(2, uid_at), UINT32_MAX, MAILINDEX_NONE },
    { "marked as deleted", IN_RECORD(2, flags), MSG_DELETED, MAILINDEX_NONE },
    { "marked as touched", IN_RECORD(2, flags), MSG_TOUCHED, MAILINDEX_NONE },
    { "all flags that are stored", IN_RECORD(2, flags), MSG_SEEN | MSG_HIDDEN | MSG_EDITED | MSG_NULS | MSG_UID_STORED,
      MAILINDEX_VALID },
    { "a bulletin", IN_RECORD(2, source), MSGSRC_BULLETIN, MAILINDEX_NONE },
    { "of no source", IN_RECORD(2, source), 200, MAILINDEX_NONE },
    { "the reserved field", IN_RECORD(2, reserved), 1, MAILINDEX_NONE },
#define IDS (HEADER + MESSAGES * RECORD)
    { "an empty id", IDS, 1, 0, MAILINDEX_NONE },
    { "a line end in an id", IDS + 2, 1, '\n', MAILINDEX_NONE },
    { "a blank in an id", IDS + 2, 1, ' ', MAILINDEX_NONE },
    { "a byte above 127 in an id", IDS + 2, 1, 0xe4, MAILINDEX_NONE },
    { "an id that ends early", IDS + 2, 1, 0, MAILINDEX_NONE },
    { "another id", IDS + 2, 1, 'X', MAILINDEX_VALID },
    { "the last id without a NUL", IDS + 39, 1, 'x', MAILINDEX_NONE },
};

START_TEST(hostile_numbers)
{
    const struct hostile *h = &hostiles[_i];
    unsigned char bytes[1000];
    size_t n;

    store();
    n = slurp(bytes, sizeof bytes);
    ck_assert_uint_eq(n, IDS + 40);
    memcpy(bytes + h->at, &h->value, h->size);
    put_summed(bytes, n, MESSAGES * RECORD);
    logged[0] = '\0';
    ck_assert_msg(state() == h->want, "%s: %s", h->name, logged);
    if (h->want == MAILINDEX_NONE)
        assert_said(h->name);
    else
        ck_assert_msg(strstr(logged, "not used") == NULL, "%s: %s", h->name, logged);
}
END_TEST

START_TEST(a_long_id_is_refused)
{
    struct msglist list;
    struct dropmark mark;
    struct message m = { .length = MESSAGES * ONE, .octets = 10 };
    char id[UIDL_MAX + 2];

    for (size_t length = UIDL_MAX; length <= UIDL_MAX + 1; length++) {
        memset(id, 'u', length);
        id[length] = '\0';
        fill(&list, 0);
        msglist_add(&list, &m, id);
        mark = mark_of(&list);
        ck_assert_int_eq(mailindex_store(indexfd, &mark, &rules, &list, 0), 0);
        msglist_free(&list);
        ck_assert_int_eq(state(), length == UIDL_MAX ? MAILINDEX_VALID : MAILINDEX_NONE);
    }
}
END_TEST

START_TEST(the_checksum_spans_pieces)
{
    struct msglist list;
    struct dropmark mark;
    size_t counts[] = { 1638, 1639, 3276, 8192,
                        10000 }; /* 65536 bytes of records are 1638.4; 8192 are five pieces exactly */

    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        ck_assert_int_eq(ftruncate(drop, (off_t)(counts[c] * ONE)), 0);
        fill(&list, counts[c]);
        mark = mark_of(&list);
        ck_assert_int_eq(mailindex_store(indexfd, &mark, &rules, &list, 0), 0);
        msglist_free(&list);
        ck_assert_int_eq(load(&list), MAILINDEX_VALID);
        assert_same(&list, counts[c]);
        msglist_free(&list);
    }
    ck_assert_int_eq(ftruncate(drop, MESSAGES * ONE), 0);
    store(); /* a shorter index replaces a longer one */
    ck_assert_int_eq(state(), MAILINDEX_VALID);
}
END_TEST

static int failing_call, calls;

static bool fails_now(void)
{
    if (++calls != failing_call)
        return false;
    errno = ENOSPC;
    return true;
}

static ssize_t failing_pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    if (fails_now())
        return n > 10 ? pwrite(fd, bytes, 10, at) : -1; /* short first: the next one fails */
    if (failing_call > 0 && calls == failing_call + 1) {
        errno = ENOSPC;
        return -1;
    }
    return pwrite(fd, bytes, n, at);
}

static int failing_ftruncate(int fd, off_t size)
{
    return fails_now() ? -1 : ftruncate(fd, size);
}

START_TEST(a_full_disk_leaves_no_index)
{
    struct filecalls failing = filecalls_os;
    struct msglist list;
    struct dropmark mark;

    failing.pwrite = failing_pwrite;
    failing.ftruncate = failing_ftruncate;
    fill(&list, MESSAGES);
    mark = mark_of(&list);
    for (failing_call = 1;; failing_call++) {
        int result;

        filecalls = &filecalls_os;
        store();
        calls = 0;
        filecalls = &failing;
        mark.mtime++; /* otherwise the old index would be right, and could not be told from a new one */
        result = mailindex_store(indexfd, &mark, &rules, &list, 0);
        mark.mtime--;
        if (result == 0)
            break;
        ck_assert_int_eq(errno, ENOSPC);
        filecalls = &filecalls_os;
        ck_assert_int_eq(state(), MAILINDEX_NONE);
    }
    ck_assert_int_ge(failing_call, 4); /* records, ids, truncation, header */
    msglist_free(&list);
}
END_TEST

START_TEST(other_rules_need_another_index)
{
    struct mboxscan_rules other = { .format = UIDL_DOVECOT };
    struct stat st;
    struct msglist list;
    struct dropmark mark;
    uint32_t validity;

    store();
    st = status();
    msglist_init(&list);
    ck_assert_int_eq(mailindex_load(indexfd, drop, &st, &other, &list, &mark, &validity), MAILINDEX_NONE);
    ck_assert_str_eq(logged, "index not used: the options were others");
}
END_TEST

static void wait_a_tick(void)
{
    usleep(12000); /* the clock of file times must have moved on */
}

static void append(const char *text)
{
    wait_a_tick();
    ck_assert_int_eq(pwrite(drop, text, strlen(text), status().st_size), (ssize_t)strlen(text));
}

START_TEST(growth_is_recognised)
{
    struct msglist list;

    store();
    append("From x");
    ck_assert_int_eq(load(&list), MAILINDEX_GROWN);
    assert_same(&list, MESSAGES);
    ck_assert_str_eq(logged, "");
    msglist_free(&list);
    ck_assert_int_eq(pwrite(drop, "!", 1, 20), 1); /* and the old part changed */
    ck_assert_int_eq(state(), MAILINDEX_NONE);
    ck_assert_str_eq(logged, "index not used: the maildrop was changed by another program");
}
END_TEST

START_TEST(other_changes_are_noticed)
{
    struct stat before;

    store();
    before = status();
    wait_a_tick();
    ck_assert_int_eq(pwrite(drop, "!", 1, 20), 1);
    ck_assert_int_eq(futimens(drop, (struct timespec[]){ before.st_atim, before.st_mtim }), 0);
    ck_assert_int_eq(state(), MAILINDEX_NONE);
    ck_assert_str_eq(logged, "index not used: the maildrop is not the file that it describes");
    store();
    ck_assert_int_eq(ftruncate(drop, MESSAGES * ONE - 1), 0);
    ck_assert_int_eq(state(), MAILINDEX_NONE);
    store();
    close(drop);
    drop = make("another file");
    ck_assert_int_eq(ftruncate(drop, MESSAGES * ONE), 0);
    ck_assert_int_eq(state(), MAILINDEX_NONE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mailindex");
    TCase *tc = tcase_create("mailindex");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, what_was_stored_comes_back);
    tcase_add_test(tc, an_empty_maildrop_has_an_index);
    tcase_add_test(tc, only_the_maildrops_own_messages_and_lasting_flags_are_stored);
    tcase_add_test(tc, no_index_is_no_index);
    tcase_add_test(tc, every_bit_counts);
    tcase_add_test(tc, every_length_counts);
    tcase_add_loop_test(tc, hostile_numbers, 0, sizeof hostiles / sizeof *hostiles);
    tcase_add_test(tc, a_long_id_is_refused);
    tcase_add_test(tc, the_checksum_spans_pieces);
    tcase_add_test(tc, a_full_disk_leaves_no_index);
    tcase_add_test(tc, other_rules_need_another_index);
    tcase_add_test(tc, growth_is_recognised);
    tcase_add_test(tc, other_changes_are_noticed);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
