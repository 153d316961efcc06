/*
 * journal_record: see journal_record.h. This file writes: it appends and never overwrites, and never syncs: when is the
 * caller's business.
 */
#include "config.h"

#include "mail/journal_record.h"

#include <errno.h>
#include <string.h>

#include "common/digest.h"
#include "common/mem.h"
#include "mail/filecalls.h"
#include "mail/journal_slot.h"

#define REFRESH_BLOCK (1u << 20)

int journal_start(struct journal *journal, int fd)
{
    unsigned char first[JOURNAL_SLOT];

    *journal = (struct journal){ .fd = fd, .end = JOURNAL_SLOT };
    digest_random(journal->nonce, sizeof journal->nonce);
    journal->nonce[0] = 0x16; /* no mail begins with this, so that even a nonce of one byte says what it shall */
    memset(first, '\n', sizeof first);
    memcpy(first, JOURNAL_MAGIC_LINE, strlen(JOURNAL_MAGIC_LINE));
    return filecalls_write(fd, first, sizeof first, 0);
}

static void begin(struct slot *slot)
{
    memset(slot->bytes, 0, sizeof slot->bytes);
    slot->at = SLOT_FIELDS;
}

/* What every record has. Its checksum. */
static uint64_t fill_in(struct slot *slot, enum record_type type, uint64_t sequence, uint64_t payload, uint64_t chain)
{
    uint64_t sum;

    memcpy(slot->bytes, JOURNAL_RECORD_MAGIC, 4);
    slot_put_number(slot->bytes + SLOT_TYPE, type, 4);
    slot_put_number(slot->bytes + SLOT_SEQUENCE, sequence, 8);
    slot_put_number(slot->bytes + SLOT_PAYLOAD, payload, 8);
    sum = digest_sum64(chain, slot->bytes, SLOT_SUM);
    slot_put_number(slot->bytes + SLOT_SUM, sum, 8);
    return sum;
}

/* Writes the slot as the next record. The payload follows it and is the caller's. */
static int append(struct journal *journal, struct slot *slot, enum record_type type, uint64_t payload)
{
    uint64_t sum = fill_in(slot, type, journal->sequence, payload, journal->chain);

    if (filecalls_write(journal->fd, slot->bytes, JOURNAL_SLOT, (off_t)journal->end) != 0)
        return -1;
    journal->chain = sum;
    journal->sequence++;
    journal->end += JOURNAL_SLOT + slot_round(payload);
    return 0;
}

int journal_append_intent(struct journal *journal, const struct journal_intent *intent)
{
    struct slot slot;

    begin(&slot);
    slot_put(&slot, intent->identity.inode);
    slot_put(&slot, intent->identity.birth);
    slot_put(&slot, intent->old_end);
    slot_put(&slot, intent->intent_end);
    slot_put(&slot, intent->before);
    slot_put(&slot, intent->orphan);
    memcpy(slot.bytes + slot.at, journal->nonce, JOURNAL_NONCE);
    if (append(journal, &slot, RECORD_INTENT, 0) != 0)
        return -1;
    journal->intent = *intent;
    journal->phase = JOURNAL_INTENT;
    return 0;
}

void journal_note_data(struct journal *journal, uint64_t offset, uint64_t length)
{
    mem_reserve(&journal->data, &journal->data_cap, journal->data_count + 1, sizeof *journal->data);
    journal->data[journal->data_count++] = (struct journal_extent){ offset, length };
}

int journal_append_data(struct journal *journal, uint64_t length, uint64_t *at_r)
{
    struct slot slot;

    begin(&slot);
    *at_r = journal->end + JOURNAL_SLOT;
    if (append(journal, &slot, RECORD_DATA, length) != 0)
        return -1;
    journal_note_data(journal, *at_r, length);
    return 0;
}

uint64_t journal_sample_at(const struct journal_samples *samples, size_t i)
{
    uint64_t span = samples->to - samples->from - samples->length;

    if (i + 1 == samples->count)
        return samples->from + span;
    return samples->from + span / (samples->count - 1) * i;
}

/* How the samples of a range are laid out: short pieces spread over it, or all of it when it is short. */
static struct journal_samples spread_samples(uint64_t from, uint64_t to, size_t pieces)
{
    struct journal_samples samples = { .from = from, .to = to, .count = pieces, .length = JOURNAL_SAMPLE };

    if (pieces < 2 || to - from <= pieces * JOURNAL_SAMPLE) {
        samples.count = to > from ? 1 : 0;
        samples.length = to - from < JOURNAL_SAMPLES_MAX ? (size_t)(to - from) : JOURNAL_SAMPLE;
    }
    return samples;
}

static int read_samples(int drop_fd, const struct journal_samples *samples, unsigned char *bytes)
{
    for (size_t i = 0; i < samples->count; i++) {
        ssize_t got = filecalls_read(drop_fd, bytes + i * samples->length, samples->length,
                                     (off_t)journal_sample_at(samples, i));

        if (got != (ssize_t)samples->length) {
            errno = got < 0 ? errno : EIO;
            return -1;
        }
    }
    return 0;
}

static void put_samples(struct slot *slot, const struct journal_samples *samples)
{
    slot_put(slot, samples->from);
    slot_put(slot, samples->to);
    slot_put(slot, samples->count);
    slot_put(slot, samples->length);
    slot_put(slot, samples->sum);
}

int journal_append_samples(struct journal *journal, int drop_fd, uint64_t from, uint64_t to, size_t pieces)
{
    struct journal_samples samples = spread_samples(from, to, pieces);
    unsigned char bytes[JOURNAL_SAMPLES_MAX];
    size_t total = samples.count * samples.length;
    struct slot slot;

    if (read_samples(drop_fd, &samples, bytes) != 0)
        return -1;
    samples.sum = digest_sum64(0, bytes, total);
    samples.pieces = (struct journal_extent){ journal->end + JOURNAL_SLOT, total };
    journal->next_samples = samples;
    if (total <= JOURNAL_SAMPLES_SHORT) {
        memcpy(journal->short_samples, bytes, total);
        journal->next_samples.pieces.offset = 0; /* the COMMIT's */
        return 0;
    }
    begin(&slot);
    put_samples(&slot, &samples);
    if (filecalls_write(journal->fd, bytes, total, (off_t)samples.pieces.offset) != 0)
        return -1;
    return append(journal, &slot, RECORD_SAMPLES, total);
}

void journal_add_segment(struct journal_plan *plan, uint64_t offset, uint64_t length, bool in_drop)
{
    const struct journal_segment *last = plan->count > 0 ? &plan->segments[plan->count - 1] : NULL;
    uint64_t at = last != NULL ? last->at + last->length : 0;

    mem_reserve(&plan->segments, &plan->cap, plan->count + 1, sizeof *plan->segments);
    plan->segments[plan->count++] =
        (struct journal_segment){ .at = at, .offset = offset, .length = length, .in_drop = in_drop };
}

void journal_copy_plan(struct journal_plan *to, const struct journal_plan *from)
{
    to->count = 0;
    to->broken = false;
    for (size_t i = 0; i < from->count; i++)
        journal_add_segment(to, from->segments[i].offset, from->segments[i].length, from->segments[i].in_drop);
}

void journal_adopt_commit(struct journal *journal, const struct journal_commit *commit)
{
    struct journal_plan old = journal->plan;

    journal->plan = journal->next_plan;
    journal->next_plan = old;
    journal->samples = journal->next_samples;
    journal->commit = *commit;
    journal->data_committed = journal->data_count;
    journal->moved = commit->moved;
    journal->moved_sum = commit->moved_sum;
    journal->phase = JOURNAL_COMMITTED;
}

static void put_segments(unsigned char *bytes, const struct journal_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct journal_segment *segment = &plan->segments[i];

        slot_put_number(bytes + i * SEGMENT_BYTES, segment->offset | (segment->in_drop ? SEGMENT_IN_DROP : 0), 8);
        slot_put_number(bytes + i * SEGMENT_BYTES + 8, segment->length, 8);
    }
}

static int append_short_plan(struct journal *journal, const struct journal_plan *plan)
{
    struct slot slot;

    begin(&slot);
    put_segments(slot.bytes + PLAN_INLINE, plan);
    slot_put(&slot, digest_sum64(0, slot.bytes + PLAN_INLINE, plan->count * SEGMENT_BYTES));
    slot_put(&slot, plan->count);
    return append(journal, &slot, RECORD_PLAN, 0);
}

static int append_long_plan(struct journal *journal, const struct journal_plan *plan)
{
    size_t n = plan->count * SEGMENT_BYTES;
    unsigned char *bytes = mem_new(plan->count, SEGMENT_BYTES);
    struct slot slot;
    int result;

    put_segments(bytes, plan);
    begin(&slot);
    slot_put(&slot, digest_sum64(0, bytes, n));
    result = filecalls_write(journal->fd, bytes, n, (off_t)(journal->end + JOURNAL_SLOT));
    if (result == 0)
        result = append(journal, &slot, RECORD_PLAN, n);
    mem_free(bytes);
    return result;
}

int journal_append_plan(struct journal *journal, const struct journal_plan *plan)
{
    if ((plan->count <= PLAN_INLINE_MAX ? append_short_plan : append_long_plan)(journal, plan) != 0)
        return -1;
    journal_copy_plan(&journal->next_plan, plan);
    return 0;
}

static bool moves(const struct journal_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->segments[i].in_drop)
            return true;
    return false;
}

int journal_append_commit(struct journal *journal, const struct journal_commit *commit)
{
    static const unsigned char no_marks[MARK_CELLS * JOURNAL_SLOT];
    struct slot slot;
    uint64_t marks_at;

    begin(&slot);
    slot_put(&slot, commit->identity.inode);
    slot_put(&slot, commit->identity.birth);
    slot_put(&slot, commit->first);
    slot_put(&slot, commit->old_end);
    slot_put(&slot, commit->new_end);
    slot_put(&slot, commit->moved);
    slot_put(&slot, commit->before);
    slot_put(&slot, commit->moved_sum);
    slot_put(&slot, commit->data_sum);
    slot_put(&slot, (uint64_t)commit->orphan | (uint64_t)commit->set_popbull << 1 | (uint64_t)commit->more << 2);
    slot_put(&slot, commit->popbull);
    slot_put(&slot, commit->leftover_inode);
    slot_put(&slot, commit->leftover_size);
    slot_put(&slot, commit->loose_from);
    slot_put(&slot, commit->loose_to);
    if (journal->next_samples.pieces.offset == 0) {
        put_samples(&slot, &journal->next_samples);
        memcpy(slot.bytes + COMMIT_SAMPLES, journal->short_samples, sizeof journal->short_samples);
        journal->next_samples.pieces.offset = journal->end + COMMIT_SAMPLES;
    }
    marks_at = moves(&journal->next_plan) ? journal->end + JOURNAL_SLOT : 0;
    if (marks_at > 0 && filecalls_write(journal->fd, no_marks, sizeof no_marks, (off_t)marks_at) != 0)
        return -1; /* their room must be there before anything is committed */
    if (append(journal, &slot, RECORD_COMMIT, marks_at > 0 ? MARK_CELLS * JOURNAL_SLOT : 0) != 0)
        return -1;
    journal_adopt_commit(journal, commit);
    journal_begin_marks(journal, marks_at);
    return 0;
}

void journal_begin_marks(struct journal *journal, uint64_t at)
{
    journal->marks_at = at;
    journal->marks_chain = journal->chain;
    journal->marks = 0;
}

/* Over the older of the two. */
int journal_append_mark(struct journal *journal, uint64_t moved, uint64_t sum)
{
    struct slot slot;
    uint64_t cell = journal->marks_at + journal->marks % MARK_CELLS * JOURNAL_SLOT;

    begin(&slot);
    slot_put(&slot, moved);
    slot_put(&slot, sum);
    fill_in(&slot, RECORD_MARK, journal->marks + 1, 0, journal->marks_chain);
    if (filecalls_write(journal->fd, slot.bytes, JOURNAL_SLOT, (off_t)cell) != 0)
        return -1;
    journal->marks++;
    journal->moved = moved;
    journal->moved_sum = sum;
    return 0;
}

int journal_append_copied(struct journal *journal, uint64_t sum)
{
    struct slot slot;

    begin(&slot);
    slot_put(&slot, sum);
    if (append(journal, &slot, RECORD_COPIED, 0) != 0)
        return -1;
    journal->moved = journal->commit.new_end - journal->commit.first;
    journal->moved_sum = sum;
    journal->phase = JOURNAL_COPIED;
    return 0;
}

int journal_append_done(struct journal *journal)
{
    struct slot slot;

    begin(&slot);
    if (append(journal, &slot, RECORD_DONE, 0) != 0)
        return -1;
    journal->phase = JOURNAL_DONE;
    return 0;
}

int journal_cut(struct journal *journal)
{
    return filecalls->ftruncate(journal->fd, (off_t)journal->end);
}

uint64_t journal_data_room(uint64_t length)
{
    return JOURNAL_SLOT + slot_round(length);
}

uint64_t journal_room(uint64_t data, size_t samples, size_t segments, bool marks)
{
    uint64_t slots = 1 + 1 + 1 + 1 + 1 + 1; /* magic, INTENT, PLAN, COMMIT, COPIED, DONE */

    if (marks)
        slots += MARK_CELLS;
    return slots * JOURNAL_SLOT + (data > 0 ? journal_data_room(data) : 0) +
           (samples > JOURNAL_SAMPLES_SHORT ? JOURNAL_SLOT + slot_round(samples) : 0) +
           (segments > PLAN_INLINE_MAX ? slot_round((uint64_t)segments * SEGMENT_BYTES) : 0);
}

int journal_refresh(struct journal *journal)
{
    char *block = mem_new(REFRESH_BLOCK, 1);
    uint64_t at = 0;
    int result = 0;

    while (result == 0 && at < journal->end) {
        size_t n = journal->end - at < REFRESH_BLOCK ? (size_t)(journal->end - at) : REFRESH_BLOCK;
        ssize_t got = filecalls_read(journal->fd, block, n, (off_t)at);

        result = got > 0 ? filecalls_write(journal->fd, block, (size_t)got, (off_t)at) : (int)got;
        if (got <= 0)
            break;
        at += (uint64_t)got;
    }
    mem_free(block);
    return result;
}

void journal_free(struct journal *journal)
{
    mem_free(journal->plan.segments);
    mem_free(journal->next_plan.segments);
    mem_free(journal->data);
    *journal = (struct journal){ .fd = -1 };
}
