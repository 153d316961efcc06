/*
 * mboxlayout: see mboxlayout.h.
 */
#include "config.h"

#include "mail/mboxlayout.h"

#include "common/mem.h"
#include "mail/filecalls.h"
#include "mail/journal_tail.h"

#define BATCH_COST (UINT64_C(2) << 20) /* two syncs, in bytes that could have been written instead */

/* What of a piece belongs to T: the bytes from `first` of the new M on. */
struct part {
    const struct mboxpiece *piece;
    uint64_t place; /* in the new M */
    uint64_t skip, length;
    bool in_drop;
};

/* One part after the other. */
struct walk {
    const struct mboxplan *plan;
    int drop_fd;
    uint64_t first, gap;
    size_t next;
    uint64_t place;  /* of the next piece */
    uint64_t source; /* ranges of M below this were passed */
};

static bool next_part(struct walk *walk, struct part *part)
{
    while (walk->next < walk->plan->count) {
        const struct mboxpiece *piece = &walk->plan->pieces[walk->next++];
        uint64_t skip = walk->place < walk->first ? walk->first - walk->place : 0, offset;

        walk->place += piece->length;
        if (skip >= piece->length)
            continue;
        *part = (struct part){
            .piece = piece, .place = walk->place - piece->length + skip, .skip = skip, .length = piece->length - skip
        };
        offset = piece->offset + skip;
        if (walk->gap != MBOXLAYOUT_FULL && piece->fd == walk->drop_fd && offset >= walk->source &&
            offset >= part->place)
            part->in_drop = offset == part->place || offset - part->place >= walk->gap;
        if (part->in_drop)
            walk->source = offset + part->length;
        return true;
    }
    return false;
}

static uint64_t count_batches(const struct mboxlayout *layout, uint64_t first, uint64_t length)
{
    struct journal journal = { .commit = { .first = first, .new_end = first + length }, .plan = layout->plan };
    uint64_t count = 0;

    for (uint64_t pos = 0; pos < length && count < MBOXLAYOUT_BATCHES_MAX; count++) {
        bool in_place;

        pos += journal_tail_batch(&journal, pos, &in_place);
    }
    return count;
}

void mboxlayout_make(struct mboxlayout *layout, const struct mboxplan *plan, int drop_fd, uint64_t first, uint64_t gap)
{
    struct walk walk = { .plan = plan, .drop_fd = drop_fd, .first = first, .gap = gap, .source = first };
    struct part part;

    *layout = (struct mboxlayout){ .gap = gap };
    while (next_part(&walk, &part)) {
        struct journal_segment *last = layout->plan.count > 0 ? &layout->plan.segments[layout->plan.count - 1] : NULL;

        if (part.in_drop) {
            journal_add_segment(&layout->plan, part.piece->offset + part.skip, part.length, true);
            layout->moved += part.length;
            continue;
        }
        if (last != NULL && !last->in_drop)
            last->length += part.length;
        else
            journal_add_segment(&layout->plan, layout->stored, part.length, false);
        layout->stored += part.length;
    }
    layout->batches = layout->moved > 0 ? count_batches(layout, first, plan->length - first) : 0;
}

void mboxlayout_free(struct mboxlayout *layout)
{
    mem_free(layout->plan.segments);
    layout->plan = (struct journal_plan){ 0 };
}

uint64_t mboxlayout_cost(const struct mboxlayout *layout)
{
    return 2 * layout->stored + layout->moved + layout->batches * BATCH_COST;
}

int mboxlayout_store(struct mboxlayout *layout, const struct mboxplan *plan, int drop_fd, uint64_t first,
                     int journal_fd, uint64_t at)
{
    struct walk walk = { .plan = plan, .drop_fd = drop_fd, .first = first, .gap = layout->gap, .source = first };
    struct part part;
    uint64_t to = at;

    while (next_part(&walk, &part)) {
        const struct mboxpiece *piece = part.piece;

        if (part.in_drop)
            continue;
        if (piece->fd < 0 ? filecalls_write(journal_fd, piece->text + part.skip, (size_t)part.length, (off_t)to) != 0
                          : filecalls_copy(piece->fd, (off_t)(piece->offset + part.skip), journal_fd, (off_t)to,
                                           part.length) != 0)
            return -1;
        to += part.length;
    }
    for (size_t i = 0; i < layout->plan.count; i++)
        if (!layout->plan.segments[i].in_drop)
            layout->plan.segments[i].offset += at;
    return 0;
}
