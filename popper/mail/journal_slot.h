/*
 * journal_slot: how a record lies in its slot: shared by the two files of the journal's format (journal_record.c
 * writes, journal_load.c reads) and by nothing else.
 */
#ifndef MAIL_JOURNAL_SLOT_H
#define MAIL_JOURNAL_SLOT_H

#include <stddef.h>
#include <stdint.h>

#include "mail/journal_record.h"

#define JOURNAL_MAGIC_FAMILY "popper journal "
#define JOURNAL_MAGIC_LINE JOURNAL_MAGIC_FAMILY "1: do not edit; see popper(8) --recover\n"
#define JOURNAL_RECORD_MAGIC "PJR1"

enum {
    SLOT_TYPE = 4,
    SLOT_SEQUENCE = 8,
    SLOT_PAYLOAD = 16,
    SLOT_FIELDS = 24,
    SLOT_SUM = JOURNAL_SLOT - 8,
    SEGMENT_BYTES = 16,
    PLAN_INLINE = SLOT_FIELDS + 16, /* a short plan stands in its own slot, behind its sum and count */
    PLAN_INLINE_MAX = (SLOT_SUM - PLAN_INLINE) / SEGMENT_BYTES,
    MARK_CELLS = 2,
    COMMIT_SAMPLES = SLOT_SUM - JOURNAL_SAMPLES_SHORT /* where few samples stand in a COMMIT */
};
#define SEGMENT_IN_DROP (UINT64_C(1) << 63)

enum record_type {
    RECORD_INTENT = 1,
    RECORD_DATA,
    RECORD_SAMPLES,
    RECORD_PLAN,
    RECORD_COMMIT,
    RECORD_MARK,
    RECORD_COPIED,
    RECORD_DONE
};

/* A slot being written or read, field by field. */
struct slot {
    unsigned char bytes[JOURNAL_SLOT];
    size_t at;
};

static inline void slot_put_number(unsigned char *p, uint64_t value, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (unsigned char)(value >> (8 * i));
}

static inline uint64_t slot_get_number(const unsigned char *p, size_t n)
{
    uint64_t value = 0;

    for (size_t i = 0; i < n; i++)
        value |= (uint64_t)p[i] << (8 * i);
    return value;
}

static inline void slot_put(struct slot *slot, uint64_t value)
{
    slot_put_number(slot->bytes + slot->at, value, 8);
    slot->at += 8;
}

static inline uint64_t slot_get(struct slot *slot)
{
    uint64_t value = slot_get_number(slot->bytes + slot->at, 8);

    slot->at += 8;
    return value;
}

static inline uint64_t slot_round(uint64_t bytes)
{
    return (bytes + JOURNAL_SLOT - 1) / JOURNAL_SLOT * JOURNAL_SLOT;
}

#endif
