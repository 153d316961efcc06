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

/* Writes the slot as the next record. The payload follows it and is the caller's. */
static int append(struct journal *journal, struct slot *slot, enum record_type type, uint64_t payload)
{
    uint64_t sum;

    memcpy(slot->bytes, JOURNAL_RECORD_MAGIC, 4);
    slot_put_number(slot->bytes + SLOT_TYPE, type, 4);
    slot_put_number(slot->bytes + SLOT_SEQUENCE, journal->sequence, 8);
    slot_put_number(slot->bytes + SLOT_PAYLOAD, payload, 8);
    sum = digest_sum64(journal->chain, slot->bytes, SLOT_SUM);
    slot_put_number(slot->bytes + SLOT_SUM, sum, 8);
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

int journal_append_samples(struct journal *journal, int drop_fd, uint64_t from, uint64_t to, size_t pieces)
{
    struct journal_samples samples = spread_samples(from, to, pieces);
    unsigned char bytes[JOURNAL_SAMPLES_MAX];
    size_t total = samples.count * samples.length;
    struct slot slot;

    for (size_t i = 0; i < samples.count; i++) {
        ssize_t got = filecalls_read(drop_fd, bytes + i * samples.length, samples.length,
                                     (off_t)journal_sample_at(&samples, i));

        if (got != (ssize_t)samples.length) {
            errno = got < 0 ? errno : EIO;
            return -1;
        }
    }
    samples.sum = digest_sum64(0, bytes, total);
    samples.pieces = (struct journal_extent){ journal->end + JOURNAL_SLOT, total };
    begin(&slot);
    slot_put(&slot, samples.from);
    slot_put(&slot, samples.to);
    slot_put(&slot, samples.count);
    slot_put(&slot, samples.length);
    slot_put(&slot, samples.sum);
    if (filecalls_write(journal->fd, bytes, total, (off_t)samples.pieces.offset) != 0 ||
        append(journal, &slot, RECORD_SAMPLES, total) != 0)
        return -1;
    journal->next_samples = samples;
    return 0;
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

int journal_append_plan(struct journal *journal, const struct journal_plan *plan)
{
    const struct journal_segment *segments = plan->segments;
    size_t count = plan->count;
    unsigned char *bytes = mem_new(count + 1, SEGMENT_BYTES);
    uint64_t at = journal->end + JOURNAL_SLOT;
    struct slot slot;
    int result;

    for (size_t i = 0; i < count; i++) {
        slot_put_number(bytes + i * SEGMENT_BYTES, segments[i].offset | (segments[i].in_drop ? SEGMENT_IN_DROP : 0), 8);
        slot_put_number(bytes + i * SEGMENT_BYTES + 8, segments[i].length, 8);
    }
    begin(&slot);
    slot_put(&slot, digest_sum64(0, bytes, count * SEGMENT_BYTES));
    result = filecalls_write(journal->fd, bytes, count * SEGMENT_BYTES, (off_t)at);
    if (result == 0)
        result = append(journal, &slot, RECORD_PLAN, count * SEGMENT_BYTES);
    if (result == 0)
        journal_copy_plan(&journal->next_plan, plan);
    mem_free(bytes);
    return result;
}

int journal_append_commit(struct journal *journal, const struct journal_commit *commit)
{
    struct slot slot;

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
    if (append(journal, &slot, RECORD_COMMIT, 0) != 0)
        return -1;
    journal_adopt_commit(journal, commit);
    return 0;
}

int journal_append_mark(struct journal *journal, uint64_t moved, uint64_t sum)
{
    struct slot slot;

    begin(&slot);
    slot_put(&slot, moved);
    slot_put(&slot, sum);
    if (append(journal, &slot, RECORD_MARK, 0) != 0)
        return -1;
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

uint64_t journal_room(uint64_t data, size_t samples, size_t segments, uint64_t marks)
{
    uint64_t records = 1 + 1 + 1 + marks + 1 + 1; /* magic, INTENT, COMMIT, MARKs, COPIED, DONE */

    return records * JOURNAL_SLOT + (data > 0 ? journal_data_room(data) : 0) + JOURNAL_SLOT + slot_round(samples) +
           JOURNAL_SLOT + slot_round((uint64_t)segments * SEGMENT_BYTES);
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
