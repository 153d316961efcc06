/*
 * dotlock_make: how the file of a dot lock, and of a look at the directory's clock, comes into being. Part of dotlock.
 */
#ifndef COMMON_DOTLOCK_MAKE_H
#define COMMON_DOTLOCK_MAKE_H

#include <stdbool.h>
#include <time.h>

struct dotlock;

enum dotlock_made {
    DOTLOCK_MADE,   /* l->fd is ours */
    DOTLOCK_EXISTS, /* somebody has it, or had it a moment ago */
    DOTLOCK_FAILED  /* errno */
};

/* One attempt, with our lockowner text in it from the first moment (a full disk or quota excepted: then empty). It remembers what is impossible here. */
enum dotlock_made dotlock_make(struct dotlock *l);

/* The time by the clock that stamps files here, which on NFS is not ours. False with errno when no file can be made. */
bool dotlock_make_clock(struct dotlock *l, struct timespec *now_r);

#endif
