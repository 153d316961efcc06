/*
 * foreign: other programs that change, replace or remove the maildrop between a crash and recovery, and journals that
 * belong to another maildrop or time.
 */
#ifndef TESTS_CRASH_FOREIGN_H
#define TESTS_CRASH_FOREIGN_H

#include <stdbool.h>

#include "tests/crash/judge.h"

/* Stops the scenario's update, which takes `calls` calls from `start`, after each; lets every foreign program loose on
   what is left, and asserts that recovery neither loses nor deletes: what stood in M stands there still, and what a
   committed journal holds is there too. */
void foreign_programs(struct judge *judge, const struct simdisk *start, unsigned calls, bool is_long);

#endif
