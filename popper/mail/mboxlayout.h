/*
 * mboxlayout: which bytes of the new tail T go through the journal and which only move down inside the maildrop (the
 * move-down variant, DESIGN section 4). It only computes and copies into J; it never writes M.
 *
 * A kept range may move down inside M when it lies at least `gap` bytes above its place: it is moved in batches no
 * longer than that, each with two syncs. What lies closer (the first stretch, mostly), text and other files go through
 * J. With a gap of MBOXLAYOUT_FULL everything goes through J: the full journal.
 */
#ifndef MAIL_MBOXLAYOUT_H
#define MAIL_MBOXLAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "mail/journal_record.h"
#include "mail/mboxplan.h"

#define MBOXLAYOUT_FULL UINT64_MAX
#define MBOXLAYOUT_BATCHES_MAX 50000u

struct mboxlayout {
    struct journal_plan plan; /* offsets in J count from the first stored byte until mboxlayout_store */
    uint64_t gap;
    uint64_t stored;  /* bytes that go through J */
    uint64_t moved;   /* bytes that move inside M */
    uint64_t batches; /* how many it takes; MBOXLAYOUT_BATCHES_MAX: at least so many, too many */
};

/* Lays out what the plan says for the bytes from `first` of the new M on. */
void mboxlayout_make(struct mboxlayout *layout, const struct mboxplan *plan, int drop_fd, uint64_t first, uint64_t gap);
void mboxlayout_free(struct mboxlayout *layout);

/* Bytes written, with what syncs cost beside them. */
uint64_t mboxlayout_cost(const struct mboxlayout *layout);

/* Copies what is stored to J at offset `at`, and makes the plan's offsets final. -1 with errno. */
int mboxlayout_store(struct mboxlayout *layout, const struct mboxplan *plan, int drop_fd, uint64_t first,
                     int journal_fd, uint64_t at);

#endif
