/*
 * journalforge: makes the checksums of a journal's records right whatever they say, as a hostile owner of the maildrop
 * could. It walks as the reader does.
 */
#ifndef TESTS_UNIT_JOURNALFORGE_H
#define TESTS_UNIT_JOURNALFORGE_H

#include <string.h>

#include "common/digest.h"
#include "mail/journal_slot.h"

/* Called with each record's slot before it is summed; may alter it. */
typedef void journalforge_change(unsigned char *slot, uint64_t type, void *context);

/* bytes: a whole journal file of n bytes. */
static inline void journalforge(unsigned char *bytes, size_t n, journalforge_change *change, void *context)
{
    uint64_t chain = 0, sequence = 0, at = JOURNAL_SLOT;

    if (n >= sizeof JOURNAL_MAGIC_LINE - 1)
        memcpy(bytes, JOURNAL_MAGIC_LINE, sizeof JOURNAL_MAGIC_LINE - 1);
    while (at + JOURNAL_SLOT <= n) {
        unsigned char *slot = bytes + at;
        uint64_t payload;

        if (slot[SLOT_TYPE] == 0)
            break;
        memcpy(slot, JOURNAL_RECORD_MAGIC, 4);
        slot_put_number(slot + SLOT_SEQUENCE, sequence++, 8);
        if (change != NULL)
            change(slot, slot_get_number(slot + SLOT_TYPE, 4), context);
        chain = digest_sum64(chain, slot, SLOT_SUM);
        slot_put_number(slot + SLOT_SUM, chain, 8);
        payload = slot_get_number(slot + SLOT_PAYLOAD, 8);
        if (payload > n)
            break;
        at += JOURNAL_SLOT + slot_round(payload);
    }
}

#endif
