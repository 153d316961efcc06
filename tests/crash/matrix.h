/*
 * matrix: what the parts of the crash matrix share: the disks, the limits, and judging a state by recovery.
 */
#ifndef TESTS_CRASH_MATRIX_H
#define TESTS_CRASH_MATRIX_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/crash/crashes.h"
#include "tests/crash/judge.h"

/* A set of hashes: states that were judged already. */
struct seen {
    uint64_t *slots;
    size_t count, size;
};

#define MATRIX_DEPTHS 3 /* the update is stopped, its recovery, and the recovery of that */

struct depth {
    struct simdisk state, stopped, recovered;
    struct crashes_limits limits; /* of what a stop at this depth leaves */
    unsigned every;               /* recovery of every so manieth state is stopped; 0: of none */
};

struct matrix {
    struct judge judge;
    struct simdisk start, work, ended;
    struct crashes_limits limits; /* of what a stop of the update leaves */
    struct seen seen;
    struct depth depths[MATRIX_DEPTHS];
    unsigned error_every; /* in place of `every` while errors are injected */
};

/* What is known of a state. */
struct state_of {
    struct matrix *m;
    unsigned depth;
    unsigned allowed;
    bool power_lost; /* it comes from a power failure, not from a kill: nothing is pending */
    bool deliver;    /* another letter comes before recovery */
};

/* Judges a state once: recovery leads to an allowed form; and in some states recovery is stopped at every call, and
   what that leaves is judged likewise. */
void matrix_judge_state(struct state_of of, const struct simdisk *disk);

/* The update was stopped or has ended, and m->work is what it left: every state after a power failure, and after a
   kill, with and without mail. */
void matrix_judge_all_ends(struct matrix *m, unsigned allowed);

/* m->work becomes the disk before the update. */
void matrix_restart(struct matrix *m);
enum mboxupdate_result matrix_update(struct matrix *m, struct strbuf *why);
unsigned matrix_allowed_after(enum mboxupdate_result result);

/* Bytes of the maildrop before, and after. */
size_t matrix_sizes(const struct matrix *m, size_t *after_r);

/* Mail by somebody who does not honour our locks, before every call of the update (which takes `calls`). */
void matrix_deliveries_meanwhile(struct matrix *m, unsigned calls, unsigned stop_every, struct strbuf *why);
/* The same where fast-update changes the name. */
void matrix_delivery_at_the_rename(struct matrix *m, unsigned calls, struct strbuf *why);
/* The same without syncing it, before every so manieth call, and then the machine stops. */
void matrix_loose_deliveries(struct matrix *m, unsigned calls, unsigned every, struct strbuf *why);

/* The update is stopped after every so manieth call, and then the journal's owner makes it long. */
void matrix_long_journals(struct matrix *m, unsigned calls, unsigned every, struct strbuf *why);

#endif
