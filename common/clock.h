/*
 * clock: the clock that all limits of time are counted by: it only goes on, whatever becomes of the date.
 */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>

int64_t clock_now(void); /* CLOCK_MONOTONIC in ns */

#endif
