/*
 * journal_tail: see journal_tail.h.
 *
 * Positions in T count from 0; byte pos of T belongs at first + pos in M. Bytes that move down inside M always lie at
 * or above their place, and those before journal->moved have arrived (where they came from may have been overwritten
 * since).
 */
#include "config.h"

#include "mail/journal_tail.h"

#include <errno.h>
#include <string.h>

#include "common/digest.h"
#include "common/mem.h"
#include "mail/filecalls.h"

#define GATHER_BLOCK (256u << 10) /* short segments are gathered before they are written */
#define COMPARE_BLOCK 65536u

int journal_identify(int drop_fd, struct stat *st_r, struct journal_identity *identity_r)
{
    if (filecalls->fstat(drop_fd, st_r) != 0)
        return -1;
    *identity_r = (struct journal_identity){ .inode = (uint64_t)st_r->st_ino,
                                             .birth = (uint64_t)filecalls->birth(drop_fd) };
    return 0;
}

bool journal_same_file(const struct journal_identity *a, const struct journal_identity *b)
{
    return a->inode == b->inode && (a->birth == b->birth || a->birth == 0 || b->birth == 0);
}

int journal_sum_before(int drop_fd, uint64_t at, uint64_t *sum_r)
{
    unsigned char bytes[JOURNAL_BEFORE];
    size_t n = at < sizeof bytes ? (size_t)at : sizeof bytes;
    ssize_t got = filecalls_read(drop_fd, bytes, n, (off_t)(at - n));

    if (got < 0)
        return -1;
    *sum_r = digest_sum64(at, bytes, (size_t)got);
    return 0;
}

static uint64_t tail_length(const struct journal *journal)
{
    return journal->commit.new_end - journal->commit.first;
}

/* The segment that holds position pos, which is before the end of T. */
static size_t segment_of(const struct journal_plan *plan, uint64_t pos)
{
    size_t low = 0, high = plan->count;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (plan->segments[middle].at <= pos)
            low = middle;
        else
            high = middle;
    }
    return low;
}

int journal_tail_read(const struct journal *journal, int drop_fd, uint64_t pos, void *bytes, size_t n)
{
    size_t i = segment_of(&journal->plan, pos);

    for (size_t done = 0; done < n; i++) {
        const struct journal_segment *segment = &journal->plan.segments[i];
        uint64_t skip = pos + done - segment->at;
        size_t part = segment->length - skip < n - done ? (size_t)(segment->length - skip) : n - done;
        ssize_t got = filecalls_read(segment->in_drop ? drop_fd : journal->fd, (char *)bytes + done, part,
                                     (off_t)(segment->offset + skip));

        if (got < 0)
            return -1;
        if ((size_t)got < part) {
            errno = EIO;
            return -1;
        }
        done += part;
    }
    return 0;
}

bool journal_tail_moves(const struct journal *journal)
{
    for (size_t i = 0; i < journal->plan.count; i++)
        if (journal->plan.segments[i].in_drop)
            return true;
    return false;
}

uint64_t journal_tail_batch(const struct journal *journal, uint64_t pos, bool *in_place_r)
{
    const struct journal_plan *plan = &journal->plan;
    uint64_t place = journal->commit.first + pos;

    *in_place_r = false;
    for (size_t i = segment_of(plan, pos); i < plan->count; i++) {
        const struct journal_segment *segment = &plan->segments[i];
        uint64_t skip = segment->at < pos ? pos - segment->at : 0;

        if (!segment->in_drop)
            continue;
        *in_place_r = segment->offset + skip == place;
        return *in_place_r                                                   ? segment->length - skip
               : segment->offset + skip - place < tail_length(journal) - pos ? segment->offset + skip - place
                                                                             : tail_length(journal) - pos;
    }
    return tail_length(journal) - pos;
}

/* Short stretches go through one block, so that a maildrop of many small messages takes few writes. */
static int copy_gathered(const struct journal *journal, int drop_fd, uint64_t pos, uint64_t n)
{
    char *block = mem_new(n < GATHER_BLOCK ? (size_t)n : GATHER_BLOCK, 1);
    int result = 0;

    while (result == 0 && n > 0) {
        size_t part = n < GATHER_BLOCK ? (size_t)n : GATHER_BLOCK;

        result = journal_tail_read(journal, drop_fd, pos, block, part);
        if (result == 0)
            result = filecalls_write(drop_fd, block, part, (off_t)(journal->commit.first + pos));
        pos += part;
        n -= part;
    }
    mem_free(block);
    return result;
}

/* The bytes from pos on that lie in one piece. */
static uint64_t piece_at(const struct journal *journal, uint64_t pos, uint64_t n, int drop_fd, int *fd_r,
                         uint64_t *offset_r)
{
    const struct journal_segment *segment = &journal->plan.segments[segment_of(&journal->plan, pos)];
    uint64_t skip = pos - segment->at;

    *fd_r = segment->in_drop ? drop_fd : journal->fd;
    *offset_r = segment->offset + skip;
    return segment->length - skip < n ? segment->length - skip : n;
}

int journal_tail_copy(const struct journal *journal, int drop_fd, uint64_t pos, uint64_t n)
{
    uint64_t end = pos + n, gathered = pos; /* gathered..pos waits to be copied through the block */

    while (pos < end) {
        uint64_t offset;
        int fd;
        uint64_t piece = piece_at(journal, pos, end - pos, drop_fd, &fd, &offset);

        if (piece >= GATHER_BLOCK) {
            if (gathered < pos && copy_gathered(journal, drop_fd, gathered, pos - gathered) != 0)
                return -1;
            if (filecalls_copy(fd, (off_t)offset, drop_fd, (off_t)(journal->commit.first + pos), piece) != 0)
                return -1;
            gathered = pos + piece;
        }
        pos += piece;
    }
    return gathered < end ? copy_gathered(journal, drop_fd, gathered, end - gathered) : 0;
}

size_t journal_nonce_length(const struct journal *journal)
{
    uint64_t gone = journal->commit.old_end - journal->commit.new_end;

    return gone < JOURNAL_NONCE ? (size_t)gone : JOURNAL_NONCE;
}

int journal_nonce_stands(const struct journal *journal, int drop_fd)
{
    unsigned char bytes[JOURNAL_NONCE];
    size_t n = journal_nonce_length(journal);
    ssize_t got = filecalls_read(drop_fd, bytes, n, (off_t)journal->commit.new_end);

    if (got < 0)
        return -1;
    return n > 0 && (size_t)got == n && memcmp(bytes, journal->nonce, n) == 0;
}

/* ---- is M the file that the journal speaks of? */

/* What our own copying leaves at offset `at` of M. *known_r: false where it cannot be told any more (bytes that moved).
   Returns how many bytes from there on the answer holds for, at most n, or -1 with errno. A length of 0 new bytes
   (*none_r) means that we never write there. */
static ssize_t own_bytes(const struct journal *journal, int drop_fd, uint64_t at, size_t n, unsigned char *bytes,
                         bool *known_r, bool *none_r)
{
    const struct journal_commit *commit = &journal->commit;
    uint64_t limit = at < commit->first + journal->moved ? commit->first + journal->moved
                     : at < commit->new_end              ? commit->new_end
                                                         : UINT64_MAX;
    size_t part = limit - at < n ? (size_t)(limit - at) : n;
    size_t nonce = journal_nonce_length(journal);

    *known_r = at >= commit->first + journal->moved;
    *none_r = false;
    if (at >= commit->new_end && at - commit->new_end < nonce) {
        part = nonce - (size_t)(at - commit->new_end) < n ? nonce - (size_t)(at - commit->new_end) : n;
        memcpy(bytes, journal->nonce + (at - commit->new_end), part);
    } else if (at >= commit->new_end) {
        *none_r = true;
    } else if (*known_r && journal_tail_read(journal, drop_fd, at - commit->first, bytes, part) != 0) {
        return -1;
    }
    return (ssize_t)part;
}

static bool is_loose(const struct journal *journal, uint64_t at)
{
    return at >= journal->commit.loose_from && at < journal->commit.loose_to;
}

/* Every byte of a sample is either as it was or as we would write it. */
static int sample_matches(const struct journal *journal, int drop_fd, uint64_t at, const unsigned char *old, size_t n)
{
    unsigned char now[JOURNAL_SAMPLES_MAX], own[JOURNAL_SAMPLES_MAX];
    ssize_t got = filecalls_read(drop_fd, now, n, (off_t)at);

    if (got != (ssize_t)n)
        return got < 0 ? -1 : 0;
    for (size_t i = 0; i < n;) {
        bool known, none;
        ssize_t part = own_bytes(journal, drop_fd, at + i, n - i, own, &known, &none);

        if (part < 0)
            return -1;
        for (size_t k = 0; known && k < (size_t)part; k++)
            if (now[i + k] != old[i + k] && (none || now[i + k] != own[k]) && !is_loose(journal, at + i + k))
                return 0;
        i += (size_t)part;
    }
    return 1;
}

static int samples_match(const struct journal *journal, int drop_fd)
{
    const struct journal_samples *samples = &journal->samples;
    unsigned char old[JOURNAL_SAMPLES_MAX];
    ssize_t got = filecalls_read(journal->fd, old, (size_t)samples->pieces.length, (off_t)samples->pieces.offset);

    if (got < 0)
        return -1;
    if (samples->count == 0)
        return 1;
    if ((uint64_t)got != samples->pieces.length || digest_sum64(0, old, (size_t)got) != samples->sum ||
        samples->to > journal->commit.old_end)
        return 0;
    for (size_t i = 0; i < samples->count; i++) {
        int match = sample_matches(journal, drop_fd, journal_sample_at(samples, i), old + i * samples->length,
                                   samples->length);

        if (match != 1)
            return match;
    }
    return 1;
}

/* All that J holds of T stands in M. */
static int copied_matches(const struct journal *journal, int drop_fd)
{
    char *want = mem_new(COMPARE_BLOCK, 2), *have = want + COMPARE_BLOCK;
    int result = 1;

    for (size_t i = 0; result == 1 && i < journal->plan.count; i++) {
        const struct journal_segment *segment = &journal->plan.segments[i];

        for (uint64_t done = 0; result == 1 && !segment->in_drop && done < segment->length;) {
            size_t n = segment->length - done < COMPARE_BLOCK ? (size_t)(segment->length - done) : COMPARE_BLOCK;
            ssize_t a = filecalls_read(journal->fd, want, n, (off_t)(segment->offset + done));
            ssize_t b = filecalls_read(drop_fd, have, n, (off_t)(journal->commit.first + segment->at + done));

            result = a < 0 || b < 0 ? -1 : a == (ssize_t)n && b == (ssize_t)n && memcmp(want, have, n) == 0;
            done += n;
        }
    }
    mem_free(want);
    return result;
}

static int sum_matches(int drop_fd, uint64_t at, uint64_t want)
{
    uint64_t sum;

    return journal_sum_before(drop_fd, at, &sum) != 0 ? -1 : sum == want;
}

int journal_tail_trusted(const struct journal *journal, int drop_fd)
{
    const struct journal_commit *commit = &journal->commit;
    struct journal_identity identity;
    struct stat st;
    uint64_t sum;
    int match;

    if (journal_identify(drop_fd, &st, &identity) != 0 || journal_data_sum(journal, journal->data_committed, &sum) != 0)
        return -1;
    if (sum != commit->data_sum || !journal_same_file(&identity, &commit->identity))
        return 0;
    if ((uint64_t)st.st_size < (journal->phase == JOURNAL_COPIED ? commit->new_end : commit->old_end))
        return 0;
    match = sum_matches(drop_fd, commit->first, commit->before);
    if (match == 1)
        match = sum_matches(drop_fd, commit->first + journal->moved, journal->moved_sum);
    if (match == 1)
        match = journal->phase == JOURNAL_COPIED ? copied_matches(journal, drop_fd) : samples_match(journal, drop_fd);
    return match;
}
