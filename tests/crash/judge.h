/*
 * judge: runs recovery on a disk after a crash and says whether I2, I3, I4 hold (DESIGN section 3), by the oracle
 * alone.
 */
#ifndef TESTS_CRASH_JUDGE_H
#define TESTS_CRASH_JUDGE_H

#include <stdbool.h>

#include "mail/journal.h"
#include "tests/crash/scenario.h"

/* What the maildrop, the old temp drop and .popbull may be together. */
enum judge_forms { FORM_NONE = 0, FORM_BEFORE = 1, FORM_AFTER = 2, FORM_EITHER = 3 };

struct judge {
    const struct scenario *scenario;
    struct expectation expect;
    uint64_t drop_inode;
    unsigned delivered;   /* letters that the delivery agent brought, in order */
    bool popbull_may_lag; /* errors were injected: .popbull may not have been written */
    unsigned long cases, failures;
    unsigned long stop_after_failures;
    char where[300]; /* what was done, for messages */
};

/* Which forms the disk's current state fits: exactly the letters in order, with nothing between, before or behind. */
unsigned judge_forms(const struct judge *judge, struct simdisk *disk);

/* Which forms M's first messages fit, whatever follows them. */
unsigned judge_forms_begin(const struct judge *judge, struct simdisk *disk);

/* Recovery on the disk, as the next login would run it. */
enum journal_settled judge_recover(struct simdisk *disk, struct strbuf *why);

/* Recovers and asserts that the result is one of the allowed forms, without journal and without orphan. Returns the
 * forms it fits. */
unsigned judge_after_recovery(struct judge *judge, struct simdisk *disk, unsigned allowed);

/* Says that something is wrong: a TAP comment with where and the state of the disk. */
void judge_fail(struct judge *judge, struct simdisk *disk, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
