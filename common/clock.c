/*
 * clock: see clock.h.
 */
#include "config.h" /* system extensions, 64-bit offsets */

#include "common/clock.h"

#include <time.h>

int64_t clock_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
