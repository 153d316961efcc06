/*
 * journal_record, the reading half: journal_load walks the slots and stops at the first that is not the next record. It
 * believes no number before it was compared with the size of J; what the records say about M, journal_tail compares
 * with M. It changes nothing.
 */
#include "config.h"

#include "mail/journal_record.h"

#include <errno.h>
#include <string.h>

#include "common/digest.h"
#include "common/mem.h"
#include "mail/filecalls.h"
#include "mail/journal_slot.h"

#define DATA_MAX_RECORDS 1000
#define OFFSET_MAX ((uint64_t)INT64_MAX / 4) /* sums of two offsets never overflow */
#define SUM_PIECE 4096u
#define SUM_PIECES 8u

static bool load_intent(struct journal *journal, struct slot *slot)
{
    struct journal_intent *intent = &journal->intent;

    *intent = (struct journal_intent){ .identity = { slot_get(slot), 0 } };
    intent->identity.birth = slot_get(slot);
    intent->old_end = slot_get(slot);
    intent->intent_end = slot_get(slot);
    intent->before = slot_get(slot);
    intent->orphan = slot_get(slot) != 0;
    memcpy(journal->nonce, slot->bytes + slot->at, JOURNAL_NONCE);
    journal->phase = JOURNAL_INTENT;
    return intent->old_end <= intent->intent_end && intent->intent_end <= OFFSET_MAX;
}

static bool load_data(struct journal *journal, uint64_t at, uint64_t length)
{
    if (journal->data_count == DATA_MAX_RECORDS)
        return false;
    journal_note_data(journal, at, length);
    return true;
}

/* length 0: the samples of a COMMIT, which is followed by no payload. */
static bool load_samples(struct journal *journal, struct slot *slot, uint64_t at, uint64_t length)
{
    struct journal_samples *samples = &journal->next_samples;
    uint64_t total;

    samples->from = slot_get(slot);
    samples->to = slot_get(slot);
    samples->count = (size_t)slot_get(slot);
    samples->length = (size_t)slot_get(slot);
    samples->sum = slot_get(slot);
    if (samples->count > JOURNAL_SAMPLES_MAX || samples->length > JOURNAL_SAMPLES_MAX)
        return false;
    total = samples->count * samples->length;
    samples->pieces = (struct journal_extent){ at, total };
    return (length > 0 ? total == length && total <= JOURNAL_SAMPLES_MAX : total <= JOURNAL_SAMPLES_SHORT) &&
           samples->from <= samples->to && samples->to <= OFFSET_MAX &&
           (samples->count == 0 || samples->to - samples->from >= samples->length);
}

static void take_segments(struct journal_plan *plan, const unsigned char *bytes, size_t count)
{
    for (size_t i = 0; !plan->broken && i < count; i++) {
        uint64_t offset = slot_get_number(bytes + i * SEGMENT_BYTES, 8);
        uint64_t n = slot_get_number(bytes + i * SEGMENT_BYTES + 8, 8);

        plan->broken = n == 0 || n > OFFSET_MAX || (offset & ~SEGMENT_IN_DROP) > OFFSET_MAX;
        if (!plan->broken)
            journal_add_segment(plan, offset & ~SEGMENT_IN_DROP, n, (offset & SEGMENT_IN_DROP) != 0);
    }
}

static int load_short_plan(struct journal_plan *plan, struct slot *slot)
{
    uint64_t sum = slot_get(slot), count = slot_get(slot);

    if (count > PLAN_INLINE_MAX)
        return 0;
    plan->broken = digest_sum64(0, slot->bytes + PLAN_INLINE, (size_t)count * SEGMENT_BYTES) != sum;
    take_segments(plan, slot->bytes + PLAN_INLINE, (size_t)count);
    return 1;
}

/* A plan whose bytes did not reach the disk is no damage, as long as no COMMIT takes it. -1: read error; 0: makes no
   sense; 1: taken. */
static int load_plan(struct journal *journal, struct slot *slot, uint64_t at, uint64_t length)
{
    struct journal_plan *plan = &journal->next_plan;
    unsigned char *bytes;
    ssize_t got;

    plan->count = 0;
    plan->broken = true;
    if (length == 0)
        return load_short_plan(plan, slot);
    if (length % SEGMENT_BYTES != 0 || length / SEGMENT_BYTES > JOURNAL_SEGMENTS_MAX)
        return 0;
    bytes = mem_new(length / SEGMENT_BYTES, SEGMENT_BYTES);
    got = filecalls_read(journal->fd, bytes, (size_t)length, (off_t)at);
    plan->broken = got != (ssize_t)length || digest_sum64(0, bytes, (size_t)length) != slot_get(slot);
    take_segments(plan, bytes, (size_t)(length / SEGMENT_BYTES));
    mem_free(bytes);
    return got < 0 ? -1 : 1;
}

/* The segments make up T; those in J lie in what was written before, those in M move down in order. */
static bool plan_fits(const struct journal *journal, const struct journal_commit *commit, uint64_t journal_end)
{
    uint64_t at = 0, source = commit->first;

    if (journal->next_plan.broken)
        return false;
    for (size_t i = 0; i < journal->next_plan.count; i++) {
        const struct journal_segment *segment = &journal->next_plan.segments[i];

        if (segment->in_drop && (segment->offset < source || segment->offset < commit->first + at ||
                                 segment->offset + segment->length > commit->old_end))
            return false;
        if (!segment->in_drop && (segment->offset < JOURNAL_SLOT || segment->offset + segment->length > journal_end))
            return false;
        if (segment->in_drop)
            source = segment->offset + segment->length;
        at += segment->length;
        if (at > OFFSET_MAX)
            return false;
    }
    return commit->first + at == commit->new_end;
}

static bool load_commit(struct journal *journal, struct slot *slot)
{
    struct journal_commit commit = { .identity = { slot_get(slot), 0 } };
    uint64_t flags;

    commit.identity.birth = slot_get(slot);
    commit.first = slot_get(slot);
    commit.old_end = slot_get(slot);
    commit.new_end = slot_get(slot);
    commit.moved = slot_get(slot);
    commit.before = slot_get(slot);
    commit.moved_sum = slot_get(slot);
    commit.data_sum = slot_get(slot);
    flags = slot_get(slot);
    commit.orphan = (flags & 1) != 0;
    commit.set_popbull = (flags & 2) != 0;
    commit.more = (flags & 4) != 0;
    commit.popbull = slot_get(slot);
    commit.leftover_inode = slot_get(slot);
    commit.leftover_size = slot_get(slot);
    commit.loose_from = slot_get(slot);
    commit.loose_to = slot_get(slot);
    if (slot_get_number(slot->bytes + slot->at + 8, 8) != 0 /* where samples end */ &&
        !load_samples(journal, slot, journal->end + COMMIT_SAMPLES, 0))
        return false;
    if (commit.old_end > OFFSET_MAX || commit.new_end > commit.old_end || commit.first > commit.new_end ||
        commit.moved > commit.new_end - commit.first || !plan_fits(journal, &commit, journal->end))
        return false;
    journal_adopt_commit(journal, &commit);
    return true;
}

static bool load_progress(struct journal *journal, uint64_t moved, uint64_t sum)
{
    if (journal->phase != JOURNAL_COMMITTED || moved > journal->commit.new_end - journal->commit.first)
        return false;
    journal->moved = moved;
    journal->moved_sum = sum;
    return true;
}

/* The later of the two MARKs that is whole: one may have been torn when the machine stopped. 0, or -1: read error. */
static int load_marks(struct journal *journal, uint64_t at)
{
    journal_begin_marks(journal, at);
    for (size_t i = 0; i < MARK_CELLS; i++) {
        struct slot slot = { .at = SLOT_FIELDS };
        ssize_t got = filecalls_read(journal->fd, slot.bytes, JOURNAL_SLOT, (off_t)(at + i * JOURNAL_SLOT));
        uint64_t sequence = slot_get_number(slot.bytes + SLOT_SEQUENCE, 8), moved = slot_get(&slot);

        if (got < 0)
            return -1;
        if (memcmp(slot.bytes, JOURNAL_RECORD_MAGIC, 4) != 0 || sequence <= journal->marks ||
            sequence % MARK_CELLS != (i + 1) % MARK_CELLS ||
            slot_get_number(slot.bytes + SLOT_SUM, 8) != digest_sum64(journal->marks_chain, slot.bytes, SLOT_SUM))
            continue;
        if (load_progress(journal, moved, slot_get(&slot)))
            journal->marks = sequence;
    }
    return 0;
}

/* -1: read error; 0: the record makes no sense; 1: taken. */
static int load_record(struct journal *journal, struct slot *slot, uint64_t type, uint64_t payload_at, uint64_t payload)
{
    if (journal->sequence == 0 && type != RECORD_INTENT)
        return 0;
    switch (type) {
    case RECORD_INTENT:
        return load_intent(journal, slot);
    case RECORD_DATA:
        return load_data(journal, payload_at, payload);
    case RECORD_SAMPLES:
        return load_samples(journal, slot, payload_at, payload);
    case RECORD_PLAN:
        return load_plan(journal, slot, payload_at, payload);
    case RECORD_COMMIT:
        return load_commit(journal, slot);
    case RECORD_COPIED:
        if (!load_progress(journal, journal->commit.new_end - journal->commit.first, slot_get(slot)))
            return 0;
        journal->phase = JOURNAL_COPIED;
        return 1;
    case RECORD_DONE:
        journal->phase = JOURNAL_DONE;
        return 1;
    default:
        return 0;
    }
}

static bool all_zero(const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

static bool slot_is_next(const struct journal *journal, const struct slot *slot, uint64_t size)
{
    uint64_t payload = slot_get_number(slot->bytes + SLOT_PAYLOAD, 8);

    return memcmp(slot->bytes, JOURNAL_RECORD_MAGIC, 4) == 0 &&
           slot_get_number(slot->bytes + SLOT_SEQUENCE, 8) == journal->sequence &&
           slot_get_number(slot->bytes + SLOT_SUM, 8) == digest_sum64(journal->chain, slot->bytes, SLOT_SUM) &&
           payload <= size && journal->end + JOURNAL_SLOT + payload <= size;
}

/* A slot that was only begun ends the journal like one that was never written. What no crash can make there is damage:
   a whole slot that is neither empty nor the next record. (A DATA record whose payload reaches beyond the end was
   written, but its bytes were not.) */
static bool slot_is_damage(const struct journal *journal, const struct slot *slot, size_t n)
{
    if (all_zero(slot->bytes, n) || n < JOURNAL_SLOT)
        return false;
    return slot_get_number(slot->bytes + SLOT_SUM, 8) != digest_sum64(journal->chain, slot->bytes, SLOT_SUM);
}

static enum journal_load load_magic(int fd)
{
    unsigned char first[JOURNAL_SLOT];
    ssize_t got = filecalls_read(fd, first, sizeof first, 0);
    size_t family = strlen(JOURNAL_MAGIC_FAMILY), line = strlen(JOURNAL_MAGIC_LINE);

    if (got < 0)
        return JOURNAL_LOAD_IO;
    if (all_zero(first, (size_t)got))
        return JOURNAL_LOADED;
    if ((size_t)got >= line && memcmp(first, JOURNAL_MAGIC_LINE, line) == 0)
        return JOURNAL_LOADED;
    if ((size_t)got >= family && memcmp(first, JOURNAL_MAGIC_FAMILY, family) == 0)
        return JOURNAL_NEWER;
    return JOURNAL_FOREIGN;
}

/* DATA, SAMPLES and PLAN that no COMMIT took: their place is used again. */
static void drop_uncommitted(struct journal *journal, const struct journal *last)
{
    if (journal->damaged || (journal->phase != JOURNAL_COMMITTED && journal->phase != JOURNAL_COPIED))
        return;
    journal->end = last->end;
    journal->sequence = last->sequence;
    journal->chain = last->chain;
    journal->data_count = last->data_count;
}

enum journal_load journal_load(struct journal *journal, int fd)
{
    struct journal last = { 0 };
    enum journal_load magic;
    struct stat st;

    *journal = (struct journal){ .fd = fd, .end = JOURNAL_SLOT };
    magic = load_magic(fd);
    if (magic != JOURNAL_LOADED || filecalls->fstat(fd, &st) != 0)
        return magic != JOURNAL_LOADED ? magic : JOURNAL_LOAD_IO;
    for (;;) {
        struct slot slot = { .at = SLOT_FIELDS };
        ssize_t got = filecalls_read(fd, slot.bytes, JOURNAL_SLOT, (off_t)journal->end);
        uint64_t payload = slot_get_number(slot.bytes + SLOT_PAYLOAD, 8);
        int taken = 0;

        if (got < 0)
            return JOURNAL_LOAD_IO;
        if (got == JOURNAL_SLOT && slot_is_next(journal, &slot, (uint64_t)st.st_size)) {
            taken = load_record(journal, &slot, slot_get_number(slot.bytes + SLOT_TYPE, 4), journal->end + JOURNAL_SLOT,
                                payload);
            journal->damaged = taken == 0;
        } else {
            journal->damaged = slot_is_damage(journal, &slot, (size_t)got);
        }
        if (taken < 0)
            return JOURNAL_LOAD_IO;
        if (taken == 0)
            break;
        journal->chain = slot_get_number(slot.bytes + SLOT_SUM, 8);
        journal->sequence++;
        if (slot_get_number(slot.bytes + SLOT_TYPE, 4) == RECORD_COMMIT) {
            journal_begin_marks(journal, 0);
            if (payload == MARK_CELLS * JOURNAL_SLOT && load_marks(journal, journal->end + JOURNAL_SLOT) != 0)
                return JOURNAL_LOAD_IO;
        }
        journal->end += JOURNAL_SLOT + slot_round(payload);
        if (slot_get_number(slot.bytes + SLOT_TYPE, 4) >= RECORD_COMMIT)
            last = *journal;
    }
    drop_uncommitted(journal, &last);
    return JOURNAL_LOADED;
}

/* Beginning, end and six places between of one payload. */
static int sum_extent(int fd, const struct journal_extent *extent, uint64_t *sum)
{
    unsigned char bytes[SUM_PIECE];
    uint64_t n = extent->length < SUM_PIECE ? extent->length : SUM_PIECE;
    uint64_t span = extent->length - n;

    *sum = digest_sum64(*sum, &extent->length, sizeof extent->length);
    for (uint64_t i = 0; i < SUM_PIECES; i++) {
        ssize_t got = filecalls_read(fd, bytes, (size_t)n,
                                     (off_t)(extent->offset + span / (SUM_PIECES - 1) * i +
                                             (i + 1 == SUM_PIECES ? span % (SUM_PIECES - 1) : 0)));

        if (got < 0)
            return -1;
        *sum = digest_sum64(*sum, bytes, (size_t)got);
        if (span == 0)
            break;
    }
    return 0;
}

int journal_data_sum(const struct journal *journal, size_t count, uint64_t *sum_r)
{
    *sum_r = 0;
    for (size_t i = 0; i < count; i++)
        if (sum_extent(journal->fd, &journal->data[i], sum_r) != 0)
            return -1;
    return 0;
}
