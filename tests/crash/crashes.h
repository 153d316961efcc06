/*
 * crashes: what a disk may hold after the power failed, given what was not synced: every subset of the pending writes
 * and name changes up to a limit; beyond it every prefix, each single loss, each single survivor; and each single write
 * torn at sectors.
 */
#ifndef TESTS_CRASH_CRASHES_H
#define TESTS_CRASH_CRASHES_H

#include "tests/crash/simdisk.h"

struct crashes_limits {
    unsigned subsets; /* all subsets up to so many pending items */
    unsigned cuts;    /* tears of one write: at so many sector boundaries */
};

/* Calls visit with each disk after its restart, once for every different one. The disk is the callee's to use until it
 * returns. */
void crashes_each(const struct simdisk *at, const struct crashes_limits *limits,
                  void (*visit)(struct simdisk *disk, void *context), void *context);

#endif
