/*
 * scenario: see scenario.h.
 */
#include "config.h"

#include "tests/crash/scenario.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "mail/mboxplan.h"
#include "mail/mboxreplace.h"

#define FULL UINT64_MAX

const struct scenario scenarios[] = {
    { .name = "delete the first", .drop = "dkkkk", .move_above = FULL },
    { .name = "delete the last", .drop = "kkkd", .move_above = FULL },
    { .name = "delete one in the middle", .drop = "kkdkk", .move_above = FULL },
    { .name = "delete every second", .drop = "kdkdkdk", .move_above = FULL, .long_journal = true },
    { .name = "delete every second, the first too", .drop = "dkdkdk", .move_above = FULL },
    { .name = "delete all", .drop = "dddd", .move_above = FULL },
    { .name = "delete all, mail arrived", .drop = "dddd", .arrived = 2, .move_above = FULL },
    { .name = "delete none", .drop = "kkkk", .move_above = FULL },
    { .name = "delete none, mail arrived", .drop = "kkkk", .arrived = 1, .move_above = FULL },
    { .name = "delete the last, mail arrived", .drop = "kkd", .arrived = 1, .move_above = FULL },
    { .name = "status headers, nothing deleted", .drop = "ksks", .move_above = FULL },
    { .name = "status headers and a deletion that makes up for it", .drop = "sskdk", .move_above = FULL },
    { .name = "status headers, mail arrived", .drop = "kss", .arrived = 1, .move_above = FULL, .long_journal = true },
    { .name = "bulletins", .drop = "kk", .bulletins = 2, .move_above = FULL },
    { .name = "bulletins and deletions", .drop = "dkdk", .bulletins = 1, .arrived = 1, .move_above = FULL },
    { .name = "leftover goes in front", .drop = "kkk", .leftover = "kk", .move_above = FULL },
    { .name = "leftover in front of an empty maildrop", .drop = "", .leftover = "kdk", .move_above = FULL },
    { .name = "leftover stands in the maildrop too", .drop = "kkk", .leftover = "dd", .move_above = FULL },
    { .name = "leftover and deletions", .drop = "dkdkk", .leftover = "kd", .arrived = 1, .move_above = FULL },
    { .name = "leftover deleted with all the rest", .drop = "ddd", .leftover = "dd", .move_above = FULL },
    { .name = "everything at once",
      .drop = "kdskd",
      .leftover = "k",
      .bulletins = 1,
      .arrived = 1,
      .move_above = FULL },
    { .name = "a longer maildrop", .drop = "dkkkkkkkkkkkkkkk", .move_above = FULL },
    { .name = "short writes and interrupts",
      .drop = "kdkdk",
      .move_above = FULL,
      .longest_write = 700,
      .interrupt = true },
    { .name = "move down: delete the first", .drop = "dkkkkk", .move_above = 0 },
    { .name = "move down: delete every second", .drop = "dkdkdkk", .move_above = 0, .long_journal = true },
    { .name = "move down: delete one in the middle, mail arrived", .drop = "kdkkk", .arrived = 1, .move_above = 0 },
    { .name = "move down: status headers and deletions", .drop = "dskkds", .move_above = 0 },
    { .name = "move down: bulletins and leftover", .drop = "dddkk", .leftover = "k", .bulletins = 1, .move_above = 0 },
    { .name = "move down: in short writes", .drop = "kdkkkdk", .move_above = 0, .longest_write = 600 },
    { .name = "full disk: first stretch through the journal",
      .drop = "kdkddkkkk",
      .move_above = FULL,
      .free_room = 16384 },
    { .name = "full disk: hardly room for a journal", .drop = "dkkkkk", .move_above = FULL, .free_room = 14000 },
    { .name = "replace: delete the first", .drop = "dkkk", .replace = true },
    { .name = "replace: delete every second, mail arrived", .drop = "kdkdk", .arrived = 1, .replace = true },
    { .name = "replace: status headers, in short writes",
      .drop = "sdsk",
      .replace = true,
      .longest_write = 700,
      .interrupt = true },
    { .name = "replaced by another program: delete the first", .drop = "dkkk", .move_above = FULL, .moved = true },
    { .name = "replaced by another program: delete the last", .drop = "kkd", .move_above = FULL, .moved = true },
    { .name = "replaced by another program without a sync: delete the first", .drop = "dkkk", .move_above = FULL, .moved = true, .unsynced = true },
    { .name = "replaced by another program without a sync: delete the last", .drop = "kkd", .move_above = FULL, .moved = true, .unsynced = true },
    { .name = "replaced by another program: move down, bulletins", .drop = "dkdkd", .bulletins = 1, .arrived = 1, .moved = true },
    { .name = "full disk: a journal of eight slots", .drop = "dkkkkk", .move_above = FULL, .free_room = 4096 },
    { .name = "full disk: the index makes room", .drop = "kdkkkk", .move_above = FULL, .free_room = 1, .spare = 5000 },
};
const size_t scenario_count = sizeof scenarios / sizeof *scenarios;

static void note(struct letters *list, unsigned serial, enum letter_form form)
{
    list->letters[list->count++] = (struct letter){ serial, form };
}

static void add_letter(struct strbuf *text, unsigned serial)
{
    const struct strbuf *letter = letter_text(serial, LETTER_PLAIN);

    strbuf_add(text, letter->data, letter->len);
}

static size_t slots(size_t n)
{
    return (n + SIM_SECTOR - 1) / SIM_SECTOR * SIM_SECTOR;
}

static void prepare_leftover(const struct scenario *scenario, struct simdisk *disk, struct expectation *expect)
{
    struct strbuf text = STRBUF_INIT(1000000);

    for (unsigned i = 0; scenario->leftover[i] != '\0'; i++) {
        add_letter(&text, SERIAL_LEFTOVER + i);
        if (scenario->leftover[i] == 'k')
            note(&expect->after, SERIAL_LEFTOVER + i, LETTER_PLAIN);
    }
    sim_put(disk, SIM_TEMPDROP, text.data, text.len);
    expect->leftover = true;
    strbuf_free(&text);
}

/* By another program: a new file of the same content. */
static void move_drop(struct simdisk *disk, bool synced, struct expectation *expect)
{
    const struct simfile *old = sim_file(disk, SIM_DROP);
    int file = sim_new_file(disk);
    struct simdirop *op = &disk->dirops[disk->dirop_count++];

    sim_file_write(&disk->files[file], 0, old->now.bytes, old->now.size);
    if (synced)
        sim_file_sync(&disk->files[file]);
    *op = (struct simdirop){ .name = SIM_DROP, .file = file, .gone = -1, .order = sim_next_order() };
    sim_rename(disk->now, op);
    expect->old_inode = old->inode;
}

void scenario_prepare(const struct scenario *scenario, struct simdisk *disk, struct expectation *expect_r)
{
    struct strbuf text = STRBUF_INIT(1000000);
    char popbull[16];

    *expect_r = (struct expectation){ .popbull = scenario->bulletins > 0 };
    if (scenario->leftover != NULL)
        prepare_leftover(scenario, disk, expect_r);
    for (unsigned i = 0; scenario->drop[i] != '\0'; i++) {
        add_letter(&text, SERIAL_DROP + i);
        note(&expect_r->before, SERIAL_DROP + i, LETTER_PLAIN);
        if (scenario->drop[i] != 'd')
            note(&expect_r->after, SERIAL_DROP + i, scenario->drop[i] == 's' ? LETTER_SEEN : LETTER_PLAIN);
    }
    for (unsigned i = 0; i < scenario->arrived; i++) {
        add_letter(&text, SERIAL_ARRIVED + i);
        note(&expect_r->before, SERIAL_ARRIVED + i, LETTER_PLAIN);
        note(&expect_r->after, SERIAL_ARRIVED + i, LETTER_PLAIN);
    }
    for (unsigned i = 0; i < scenario->bulletins; i++)
        note(&expect_r->after, SERIAL_BULLETIN + i, LETTER_PLAIN);
    sim_put(disk, SIM_DROP, text.data, text.len);
    if (scenario->moved)
        move_drop(disk, !scenario->unsynced, expect_r);
    if (expect_r->popbull)
        sim_put(disk, SIM_POPBULL, popbull, (size_t)snprintf(popbull, sizeof popbull, "%u\n", SCENARIO_POPBULL_BEFORE));
    disk->longest_write = scenario->longest_write;
    disk->interrupt = scenario->interrupt;
    if (scenario->spare > 0) {
        char *index = mem_new(scenario->spare, 1);

        sim_put(disk, SIM_INDEX, index, scenario->spare);
        mem_free(index);
    }
    if (scenario->free_room > 0)
        disk->capacity = slots(text.len) + slots(scenario->spare) + scenario->free_room;
    strbuf_free(&text);
}

static void plan_leftover(const struct scenario *scenario, struct mboxplan *plan)
{
    uint64_t at = 0;

    for (unsigned i = 0; scenario->leftover[i] != '\0'; i++) {
        size_t n = letter_text(SERIAL_LEFTOVER + i, LETTER_PLAIN)->len;

        if (scenario->leftover[i] == 'k')
            mboxplan_add_range(plan, sim_fd(sim, SIM_TEMPDROP), at, n);
        at += n;
    }
}

static void plan_message(struct mboxplan *plan, int fd, uint64_t at, unsigned serial, char fate)
{
    size_t n = letter_text(serial, LETTER_PLAIN)->len, status_at = letter_status_at(serial);

    if (fate == 'd')
        return;
    mboxplan_message(plan);
    if (fate == 's') {
        mboxplan_add_range(plan, fd, at, status_at);
        mboxplan_add_text(plan, LETTER_STATUS, strlen(LETTER_STATUS));
        mboxplan_add_range(plan, fd, at + status_at, n - status_at);
    } else {
        mboxplan_add_range(plan, fd, at, n);
    }
}

static void make_plan(const struct scenario *scenario, struct mboxplan *plan)
{
    int fd = sim_fd(sim, SIM_DROP);
    uint64_t at = 0;

    if (scenario->leftover != NULL)
        plan_leftover(scenario, plan);
    for (unsigned i = 0; scenario->drop[i] != '\0'; i++) {
        plan_message(plan, fd, at, SERIAL_DROP + i, scenario->drop[i]);
        at += letter_text(SERIAL_DROP + i, LETTER_PLAIN)->len;
    }
    mboxplan_message(plan);
    mboxplan_add_range(plan, fd, at, sim_file(sim, SIM_DROP)->now.size - at);
    for (unsigned i = 0; i < scenario->bulletins; i++) {
        const struct strbuf *text = letter_text(SERIAL_BULLETIN + i, LETTER_PLAIN);

        mboxplan_message(plan);
        mboxplan_add_text(plan, text->data, text->len);
    }
}

enum mboxupdate_result scenario_update(const struct scenario *scenario, struct strbuf *why)
{
    struct mboxupdate_along along = { .may_empty_spare = scenario->spare > 0,
                                      .spare_fd = sim_fd(sim, SIM_INDEX),
                                      .leftover_consumed = scenario->leftover != NULL,
                                      .leftover_fd = scenario->leftover ? sim_fd(sim, SIM_TEMPDROP) : -1,
                                      .leftover_size = scenario->leftover ? sim_file(sim, SIM_TEMPDROP)->now.size : 0,
                                      .set_popbull = scenario->bulletins > 0,
                                      .replaced = scenario->moved,
                                      .popbull = SCENARIO_POPBULL_AFTER };
    struct mboxplan plan;
    enum mboxupdate_result result;
    int new_fd;

    mboxplan_init(&plan);
    make_plan(scenario, &plan);
    if (scenario->replace)
        result = mboxreplace_apply(sim_fd(sim, SIM_DROP), sim_file(sim, SIM_DROP)->now.size, &plan, &sim_host, &new_fd,
                                   why);
    else
        result = mboxupdate_apply_above(sim_fd(sim, SIM_DROP), sim_file(sim, SIM_DROP)->now.size, &plan, &along,
                                        scenario->move_above, &sim_host, why);
    mboxplan_free(&plan);
    return result;
}

bool scenario_deliver_loosely(struct simdisk *disk, unsigned serial)
{
    const struct strbuf *letter = letter_text(serial, LETTER_PLAIN);
    struct simfile *file;
    size_t size;

    if (disk->now[SIM_DROP] < 0)
        sim_put(disk, SIM_DROP, "", 0);
    file = sim_file(disk, SIM_DROP);
    if (!sim_has_room(disk, file, file->now.size + 2 + letter->len))
        return false;
    while ((size = file->now.size) > 0 && !(size > 1 && memcmp(file->now.bytes + size - 2, "\n\n", 2) == 0))
        sim_file_write(file, size, "\n", 1);
    sim_file_write(file, size, letter->data, letter->len);
    return true;
}

bool scenario_deliver(struct simdisk *disk, unsigned serial)
{
    if (!scenario_deliver_loosely(disk, serial))
        return false;
    sim_file_sync(sim_file(disk, SIM_DROP));
    return true;
}
