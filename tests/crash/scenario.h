/*
 * scenario: what the crash matrix does to a maildrop: the maildrop before, the plan of an update, and the maildrop
 * after.
 */
#ifndef TESTS_CRASH_SCENARIO_H
#define TESTS_CRASH_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mail/mboxupdate.h"
#include "tests/crash/letters.h"
#include "tests/crash/simdisk.h"

enum { SERIAL_DROP = 1, SERIAL_LEFTOVER = 100, SERIAL_BULLETIN = 200, SERIAL_ARRIVED = 300, SERIAL_DELIVERED = 400 };

struct scenario {
    const char *name;
    const char *drop; /* a character for each message: k kept, d deleted, s gets a Status header */
    const char
        *leftover; /* of an old temp drop: k goes in front of M, d is dropped (deleted, or it stands in M as well) */
    unsigned bulletins;  /* appended */
    unsigned arrived;    /* since login: appended to M before the update */
    uint64_t move_above; /* 0: move-down variant */
    size_t spare;        /* bytes of an index that may be emptied when the disk is full */
    size_t free_room;    /* bytes that the disk has beside M; 0: enough */
    size_t longest_write;
    bool interrupt;
    bool replace;        /* fast-update */
    bool unsynced;       /* with moved: nor was that file's content (what the machine loses before our first call is that program's fault) */
    bool long_journal;   /* it is also made long by its owner */
    bool moved;          /* another program has put a new file in M's place since login; that name is not synced */
};

#define LETTERS_MAX 64

struct letters {
    struct letter letters[LETTERS_MAX];
    size_t count;
};

struct expectation {
    struct letters before, after;
    bool leftover; /* there is one, and it is consumed */
    bool popbull;
    uint64_t old_inode; /* of the file that stood in M's place before another program moved it away; 0: none */
};

extern const struct scenario scenarios[];
extern const size_t scenario_count;

#define SCENARIO_POPBULL_BEFORE 7u
#define SCENARIO_POPBULL_AFTER 12u

/* Makes the disk (which must be sim_init'ed and empty) and says what is to be expected. */
void scenario_prepare(const struct scenario *scenario, struct simdisk *disk, struct expectation *expect_r);

/* The update of a session, on `sim`. */
enum mboxupdate_result scenario_update(const struct scenario *scenario, struct strbuf *why);

/* A delivery agent that locks and syncs: appends a letter behind an empty line, which it makes where there is none.
   Makes M when there is none. False when the disk is too full. */
bool scenario_deliver(struct simdisk *disk, unsigned serial);
/* One that does not sync. */
bool scenario_deliver_loosely(struct simdisk *disk, unsigned serial);

#endif
