/*
 * journal: its format, what recovery says, and hostile journals: flipped bits, lengths and offsets beyond the files,
 * other files. Never a crash, never a message destroyed. (That crashes lose nothing is proven by tests/crash.)
 */
#include "config.h"

#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "mail/journal.h"
#include "mail/journal_finish.h"
#include "mail/journal_record.h"
#include "mail/journal_tail.h"
#include "tests/crash/oracle.h"
#include "tests/crash/scenario.h"
#include "tests/crash/simdisk.h"
#include "tests/unit/caught_log.h"
#include "tests/unit/journalforge.h"

static struct simdisk disk, other;
static struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
static struct expectation expect;

static void set_up(void)
{
    filecalls = &sim_filecalls;
    sim_init(&disk);
    sim_init(&other);
    sim = &disk;
    strbuf_reset(&why);
    catch_log();
}

static void tear_down(void)
{
    sim_free(&disk);
    sim_free(&other);
    strbuf_free(&why);
    strbuf_free(&caught);
    filecalls = &filecalls_os;
}

static const struct scenario *named(const char *name)
{
    for (size_t i = 0; i < scenario_count; i++)
        if (strcmp(scenarios[i].name, name) == 0)
            return &scenarios[i];
    ck_abort_msg("no scenario %s", name);
}

/* The scenario's update, stopped after so many calls (0: not at all). How many there were. */
static unsigned stopped_update(const char *name, unsigned stop_after)
{
    sim_free(&disk);
    sim_init(&disk);
    scenario_prepare(named(name), &disk, &expect);
    disk.stop_after = stop_after;
    scenario_update(named(name), &why);
    stop_after = disk.calls;
    sim_restart(&disk, false);
    return stop_after;
}

static enum journal_settled recover(void)
{
    int fd = sim_fd(&disk, SIM_DROP);

    strbuf_reset(&caught);
    return journal_recover(&fd, &sim_host, &why);
}

/* The scenario's update stopped in the given phase, as late as possible. */
static void stop_in_phase(const char *name, enum journal_phase phase)
{
    unsigned calls = stopped_update(name, 0);

    for (unsigned n = calls; n > 0; n--) {
        struct journal journal;
        bool there = false;

        stopped_update(name, n);
        if (disk.now[SIM_JOURNAL] < 0)
            continue;
        there = journal_load(&journal, sim_fd(&disk, SIM_JOURNAL)) == JOURNAL_LOADED && journal.phase == phase;
        journal_free(&journal);
        if (there)
            return;
    }
    ck_abort_msg("never in phase %d", phase);
}

/* Another program empties M. */
static void empty_drop(void)
{
    sim_file_truncate(sim_file(&disk, SIM_DROP), 0);
}

/* ---- the format */

START_TEST(what_is_written_is_read)
{
    struct journal_intent intent = { .identity = { 7, 8 }, .old_end = 5, .intent_end = 9, .before = 10 };
    struct journal_commit commit = { .identity = { 7, 8 },
                                     .first = 2,
                                     .old_end = 9,
                                     .new_end = 7,
                                     .moved = 1,
                                     .set_popbull = true,
                                     .popbull = 44,
                                     .leftover_inode = 45,
                                     .leftover_size = 46,
                                     .orphan = true,
                                     .more = true };
    struct journal_plan plan = { 0 };
    struct journal made, read;
    uint64_t at;

    sim_put(&disk, SIM_DROP, "123456789", 9);
    sim_put(&disk, SIM_JOURNAL, "", 0);
    ck_assert_int_eq(journal_start(&made, sim_fd(&disk, SIM_JOURNAL)), 0);
    ck_assert_int_eq(journal_append_intent(&made, &intent), 0);
    ck_assert_int_eq(journal_append_data(&made, 3, &at), 0);
    ck_assert_int_eq(filecalls_write(made.fd, "abc", 3, (off_t)at), 0);
    ck_assert_int_eq(journal_append_samples(&made, sim_fd(&disk, SIM_DROP), 2, 9, 4), 0);
    journal_add_segment(&plan, at, 3, false);
    journal_add_segment(&plan, 6, 2, true);
    ck_assert_int_eq(journal_append_plan(&made, &plan), 0);
    ck_assert_int_eq(journal_append_commit(&made, &commit), 0);
    ck_assert_int_eq(journal_append_mark(&made, 3, 99), 0);

    ck_assert_int_eq(journal_load(&read, made.fd), JOURNAL_LOADED);
    ck_assert_int_eq(read.phase, JOURNAL_COMMITTED);
    ck_assert(!read.damaged);
    ck_assert_mem_eq(read.nonce, made.nonce, sizeof made.nonce);
    ck_assert_mem_eq(&read.intent, &intent, sizeof intent);
    ck_assert_uint_eq(read.commit.popbull, 44);
    ck_assert_uint_eq(read.commit.leftover_inode, 45);
    ck_assert_uint_eq(read.commit.leftover_size, 46);
    ck_assert(read.commit.orphan && read.commit.more && read.commit.set_popbull);
    ck_assert_uint_eq(read.moved, 3);
    ck_assert_uint_eq(read.moved_sum, 99);
    ck_assert_uint_eq(read.plan.count, 2);
    ck_assert_uint_eq(read.plan.segments[1].at, 3);
    ck_assert(read.plan.segments[1].in_drop);
    ck_assert_uint_eq(read.samples.count, 1);
    ck_assert_uint_eq(read.samples.length, 7);
    ck_assert_uint_eq(read.end, made.end);
    ck_assert_uint_eq(read.chain, made.chain);
    journal_free(&read);
    mem_free(plan.segments);
    journal_free(&made);
}
END_TEST

START_TEST(it_begins_with_a_line_that_is_no_mail)
{
    struct journal made;
    static const char line[] = "popper journal 1: do not edit; see popper(8) --recover\n";

    sim_put(&disk, SIM_JOURNAL, "", 0);
    journal_start(&made, sim_fd(&disk, SIM_JOURNAL));
    ck_assert_mem_eq(sim_file(&disk, SIM_JOURNAL)->now.bytes, line, sizeof line - 1);
}
END_TEST

/* ---- what recovery says */

static const struct {
    const char *name, *bytes, *log, *why;
    enum journal_settled settled;
    bool orphan, gone;
} strange[] = {
    { "empty", "", "", "", JOURNAL_SETTLED, false, true },
    { "somebody else's file", "hello\n",
      "warning the journal beside /sim/drop is no journal of ours; set aside as .orphan\n", "", JOURNAL_SETTLED, true,
      true },
    { "a newer version", "popper journal 2: you will like it\n", "",
      "the journal beside /sim/drop was written by a newer popper; let that one finish it (popper --recover)",
      JOURNAL_UNSETTLED, false, false },
    { "only its first line", "popper journal 1: do not edit; see popper(8) --recover\n", "", "", JOURNAL_SETTLED, false,
      true },
};

START_TEST(strange_files_in_its_place)
{
    sim_put(&disk, SIM_DROP, "From a", 6);
    sim_put(&disk, SIM_JOURNAL, strange[_i].bytes, strlen(strange[_i].bytes));
    ck_assert_msg(recover() == strange[_i].settled, "%s", strange[_i].name);
    ck_assert_str_eq(caught.data, strange[_i].log);
    if (strange[_i].settled == JOURNAL_UNSETTLED)
        ck_assert_str_eq(why.data, strange[_i].why);
    ck_assert_int_eq(disk.now[SIM_JOURNAL] < 0, strange[_i].gone);
    ck_assert_int_eq(disk.now[SIM_ORPHAN] >= 0, strange[_i].orphan);
    ck_assert_uint_eq(sim_file(&disk, SIM_DROP)->now.size, 6);
}
END_TEST

START_TEST(no_journal_is_nothing_to_do)
{
    ck_assert_int_eq(recover(), JOURNAL_SETTLED);
    ck_assert_uint_eq(disk.calls, 0);
    ck_assert_str_eq(caught.data, "");
}
END_TEST

START_TEST(finishing_is_logged)
{
    stop_in_phase("delete the first", JOURNAL_COMMITTED);
    ck_assert_int_eq(recover(), JOURNAL_SETTLED);
    ck_assert_str_eq(caught.data, "notice an update of /sim/drop that had broken off was finished\n");
}
END_TEST

START_TEST(new_mail_behind_it_is_logged)
{
    stop_in_phase("delete the first", JOURNAL_COMMITTED);
    scenario_deliver(&disk, SERIAL_DELIVERED);
    ck_assert_int_eq(recover(), JOURNAL_SETTLED);
    ck_assert_ptr_nonnull(strstr(caught.data, "notice mail that arrived during an update ("));
}
END_TEST

START_TEST(an_orphan_is_logged_and_kept)
{
    stop_in_phase("delete the first", JOURNAL_COMMITTED);
    empty_drop();
    ck_assert_int_eq(recover(), JOURNAL_SETTLED);
    ck_assert_ptr_nonnull(
        strstr(caught.data, "warning /sim/drop is not what the journal of a broken update speaks of"));
    ck_assert_ptr_nonnull(strstr(caught.data, "4 messages that it lacks are appended, the journal is kept as .orphan"));
    ck_assert_int_ge(disk.now[SIM_ORPHAN], 0);
}
END_TEST

START_TEST(a_maildrop_that_is_gone_is_made)
{
    struct oracle_reading reading;
    int fd = -1;

    stop_in_phase("delete the first", JOURNAL_COMMITTED);
    disk.now[SIM_DROP] = -1;
    ck_assert_int_eq(journal_recover(&fd, &sim_host, &why), JOURNAL_SETTLED);
    ck_assert_int_eq(fd, sim_fd(&disk, SIM_DROP));
    oracle_read((const char *)sim_file(&disk, SIM_DROP)->now.bytes, sim_file(&disk, SIM_DROP)->now.size, &reading);
    ck_assert_uint_eq(reading.count, 4);
}
END_TEST

START_TEST(a_maildrop_that_is_no_mbox_is_left_alone)
{
    stop_in_phase("delete the first", JOURNAL_COMMITTED);
    empty_drop();
    sim_file_write(sim_file(&disk, SIM_DROP), 0, "garbage\n", 8);
    ck_assert_int_eq(recover(), JOURNAL_UNSETTLED);
    ck_assert_ptr_nonnull(strstr(why.data, "put it right, then log in again"));
    ck_assert_uint_eq(sim_file(&disk, SIM_DROP)->now.size, 8);
    ck_assert_int_ge(disk.now[SIM_JOURNAL], 0);
}
END_TEST

START_TEST(another_temp_drop_is_not_consumed)
{
    stop_in_phase("leftover goes in front", JOURNAL_COMMITTED);
    sim_put(&disk, SIM_TEMPDROP, "From other mail", 15);
    ck_assert_int_eq(recover(), JOURNAL_SETTLED);
    ck_assert_uint_eq(sim_file(&disk, SIM_TEMPDROP)->now.size, 15);
    ck_assert_ptr_nonnull(
        strstr(caught.data, "the temp drop of /sim/drop is not the one whose mail was taken over; left alone"));
}
END_TEST

START_TEST(an_unfinished_journal_stops_the_next_update)
{
    struct mboxplan plan;

    stop_in_phase("delete the first", JOURNAL_COMMITTED);
    mboxplan_init(&plan);
    mboxplan_add_text(&plan, "From x", 6);
    ck_assert_int_eq(
        mboxupdate_apply(sim_fd(&disk, SIM_DROP), sim_file(&disk, SIM_DROP)->now.size, &plan, NULL, &sim_host, &why),
        MBOXUPDATE_FAILED);
    ck_assert_str_eq(
        why.data,
        "/sim/drop was not changed: the journal of an earlier update is still there; the next login settles it");
    mboxplan_free(&plan);
}
END_TEST

/* ---- damage */

static bool in_some_file(unsigned serial, enum letter_form form)
{
    const struct strbuf *text = letter_text(serial, form);

    for (int name = 0; name < SIM_NAMES; name++) {
        const struct simfile *file = sim_file(&disk, (enum simname)name);

        if (file != NULL && file->now.size >= text->len &&
            memmem(file->now.bytes, file->now.size, text->data, text->len) != NULL)
            return true;
    }
    return false;
}

/* Every kept letter stands, whole, in M or in a journal that was kept. */
static void assert_nothing_destroyed(const char *what, size_t at)
{
    for (size_t i = 0; i < expect.after.count; i++)
        ck_assert_msg(in_some_file(expect.after.letters[i].serial, expect.after.letters[i].form) ||
                          in_some_file(expect.after.letters[i].serial, LETTER_PLAIN),
                      "%s %zu: letter %u is gone", what, at, expect.after.letters[i].serial);
}

static const struct {
    const char *scenario;
    enum journal_phase phase;
} damaged[] = {
    { "delete the first", JOURNAL_INTENT },
    { "delete the first", JOURNAL_COMMITTED },
    { "delete the first", JOURNAL_COPIED },
    { "status headers, nothing deleted", JOURNAL_INTENT },
    { "status headers, nothing deleted", JOURNAL_COMMITTED },
    { "leftover and deletions", JOURNAL_COMMITTED },
    { "move down: delete every second", JOURNAL_COMMITTED },
};

/* Slots that hold a record, not a payload. */
static size_t record_slots(const struct simdisk *at, size_t *slots)
{
    const struct simfile *file = &at->files[at->now[SIM_JOURNAL]];
    size_t count = 0;

    for (size_t slot = 0; slot + JOURNAL_SLOT <= file->now.size; slot += JOURNAL_SLOT)
        if (slot == 0 || memcmp(file->now.bytes + slot, JOURNAL_RECORD_MAGIC, 4) == 0)
            slots[count++] = slot;
    return count;
}

START_TEST(flipped_bits_destroy_nothing)
{
    static size_t slots[4096];
    size_t count;

    stop_in_phase(damaged[_i].scenario, damaged[_i].phase);
    sim_copy(&other, &disk);
    count = record_slots(&other, slots);
    for (size_t i = 0; i < count; i++) {
        for (size_t at = slots[i]; at < slots[i] + JOURNAL_SLOT; at += i == 0 ? 7 : 1) {
            sim_copy(&disk, &other);
            sim_file(&disk, SIM_JOURNAL)->now.bytes[at] ^= (unsigned char)(1u << (at % 8));
            recover();
            assert_nothing_destroyed(damaged[_i].scenario, at);
        }
    }
}
END_TEST

/* Before M was touched, nothing can be lost however much of J is missing. (Once M is half overwritten, J must be
 * whole.) */
START_TEST(torn_off_journals_destroy_nothing)
{
    size_t size;

    stop_in_phase(damaged[_i].scenario, JOURNAL_INTENT);
    sim_copy(&other, &disk);
    size = sim_file(&other, SIM_JOURNAL)->now.size;
    for (size_t n = 0; n < size; n += 100) {
        sim_copy(&disk, &other);
        sim_file(&disk, SIM_JOURNAL)->now.size = n;
        recover();
        assert_nothing_destroyed(damaged[_i].scenario, n);
    }
}
END_TEST

/* ---- hostile owners: all checksums are right */

struct hostile {
    const char *name;
    uint64_t type;
    size_t field; /* of the record; 100: the payload's length */
    uint64_t value;
};

#define PAYLOAD_LENGTH 100
#define FAR UINT64_C(0x7fffffffffffff00)

static const struct hostile hostiles[] = {
    { "INTENT beyond all files", RECORD_INTENT, 3, FAR },
    { "INTENT that ends before it begins", RECORD_INTENT, 3, 1 },
    { "INTENT of another file", RECORD_INTENT, 0, 12345 },
    { "DATA longer than the journal", RECORD_DATA, PAYLOAD_LENGTH, FAR },
    { "DATA of almost 2^64 bytes", RECORD_DATA, PAYLOAD_LENGTH, UINT64_MAX - 600 },
    { "DATA that takes in what follows", RECORD_DATA, PAYLOAD_LENGTH, 7000 },
    { "SAMPLES without end", RECORD_SAMPLES, 2, UINT64_MAX },
    { "SAMPLES of huge pieces", RECORD_SAMPLES, 3, UINT64_MAX / 2 },
    { "SAMPLES from behind to before", RECORD_SAMPLES, 0, FAR },
    { "SAMPLES with the wrong sum", RECORD_SAMPLES, 4, 1 },
    { "PLAN of half a segment", RECORD_PLAN, PAYLOAD_LENGTH, 9 },
    { "PLAN with the wrong sum", RECORD_PLAN, 0, 1 },
    { "PLAN without segments", RECORD_PLAN, PAYLOAD_LENGTH, 0 },
    { "COMMIT of another file", RECORD_COMMIT, 0, 12345 },
    { "COMMIT of a file born otherwise", RECORD_COMMIT, 1, 12345 },
    { "COMMIT: f beyond N", RECORD_COMMIT, 2, FAR },
    { "COMMIT: f is almost 2^64", RECORD_COMMIT, 2, UINT64_MAX },
    { "COMMIT: E beyond M", RECORD_COMMIT, 3, FAR },
    { "COMMIT: N beyond E", RECORD_COMMIT, 4, FAR },
    { "COMMIT: N is 0", RECORD_COMMIT, 4, 0 },
    { "COMMIT: more moved than there is", RECORD_COMMIT, 5, FAR },
    { "COMMIT: another beginning of M", RECORD_COMMIT, 6, 1 },
    { "COMMIT: other DATA", RECORD_COMMIT, 8, 1 },
    { "a record of no known kind", RECORD_DONE + 1, PAYLOAD_LENGTH, 0 },
};

static void alter(unsigned char *slot, uint64_t type, void *context)
{
    const struct hostile *hostile = context;

    if (type != hostile->type && !(hostile->type > RECORD_DONE && type == RECORD_COMMIT))
        return;
    if (hostile->type > RECORD_DONE)
        slot_put_number(slot + SLOT_TYPE, hostile->type, 4);
    else
        slot_put_number(slot + (hostile->field == PAYLOAD_LENGTH ? SLOT_PAYLOAD : SLOT_FIELDS + 8 * hostile->field),
                        hostile->value, 8);
}

START_TEST(hostile_numbers_destroy_nothing)
{
    struct hostile hostile = hostiles[_i];
    struct simfile *file;

    for (int growing = 0; growing < 2; growing++) {
        stop_in_phase(growing ? "status headers, nothing deleted" : "delete every second", JOURNAL_COMMITTED);
        file = sim_file(&disk, SIM_JOURNAL);
        journalforge(file->now.bytes, file->now.size, alter, &hostile);
        recover();
        assert_nothing_destroyed(hostile.name, 0);
        ck_assert_uint_lt(sim_file(&disk, SIM_DROP)->now.size, 100000);
    }
}
END_TEST

/* The forging itself leaves a journal as good as it was. */
START_TEST(forged_without_a_change_it_still_works)
{
    struct simfile *file;

    stop_in_phase("delete every second", JOURNAL_COMMITTED);
    file = sim_file(&disk, SIM_JOURNAL);
    journalforge(file->now.bytes, file->now.size, NULL, NULL);
    ck_assert_int_eq(recover(), JOURNAL_SETTLED);
    ck_assert_str_eq(caught.data, "notice an update of /sim/drop that had broken off was finished\n");
}
END_TEST

/* ---- mail that follows */

static const struct {
    const char *name, *before, *mail;
    size_t newlines, start;
} joins[] = {
    { "empty line, no separator", "\n\n", "From a\n", 0, 0 },
    { "empty line, one too many", "\n\n", "\nFrom a\n", 0, 1 },
    { "line end only", "x\n", "From a\n", 1, 0 },
    { "no line end, the agent's own", "xy", "\n\nFrom a\n", 2, 2 },
    { "start of the file", "", "\nFrom a\n", 0, 1 },
    { "no mail: as it is", "xy", "\nhello\n", 0, 0 },
    { "line ends only", "xy", "\n\n", 0, 0 },
};

START_TEST(mail_is_joined_by_one_empty_line)
{
    uint64_t start;
    size_t newlines;

    sim_put(&disk, SIM_DROP, joins[_i].mail, strlen(joins[_i].mail));
    ck_assert_int_eq(journal_join(sim_fd(&disk, SIM_DROP), 0, strlen(joins[_i].mail), joins[_i].before,
                                  strlen(joins[_i].before), &start, &newlines),
                     0);
    ck_assert_msg(newlines == joins[_i].newlines && start == joins[_i].start, "%s: %zu line ends, from %llu",
                  joins[_i].name, newlines, (unsigned long long)start);
}
END_TEST

#define COUNT(table) (sizeof(table) / sizeof *(table))

int main(void)
{
    Suite *suite = suite_create("journal");
    TCase *tc = tcase_create("journal");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, what_is_written_is_read);
    tcase_add_test(tc, it_begins_with_a_line_that_is_no_mail);
    tcase_add_loop_test(tc, strange_files_in_its_place, 0, COUNT(strange));
    tcase_add_test(tc, no_journal_is_nothing_to_do);
    tcase_add_test(tc, finishing_is_logged);
    tcase_add_test(tc, new_mail_behind_it_is_logged);
    tcase_add_test(tc, an_orphan_is_logged_and_kept);
    tcase_add_test(tc, a_maildrop_that_is_gone_is_made);
    tcase_add_test(tc, a_maildrop_that_is_no_mbox_is_left_alone);
    tcase_add_test(tc, another_temp_drop_is_not_consumed);
    tcase_add_test(tc, an_unfinished_journal_stops_the_next_update);
    tcase_add_loop_test(tc, flipped_bits_destroy_nothing, 0, COUNT(damaged));
    tcase_add_loop_test(tc, torn_off_journals_destroy_nothing, 0, COUNT(damaged));
    tcase_add_loop_test(tc, hostile_numbers_destroy_nothing, 0, COUNT(hostiles));
    tcase_add_test(tc, forged_without_a_change_it_still_works);
    tcase_add_loop_test(tc, mail_is_joined_by_one_empty_line, 0, COUNT(joins));
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
