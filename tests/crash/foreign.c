/*
 * foreign: see foreign.h.
 */
#include "config.h"

#include "tests/crash/foreign.h"

void foreign_programs(struct judge *judge, const struct simdisk *start, unsigned calls, bool is_long)
{
    (void)judge, (void)start, (void)calls, (void)is_long;
}
