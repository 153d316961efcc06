/*
 * turns: whose password is checked now, in standalone mode (max-password-checks; the order is visitors').
 */
#ifndef PROCESS_TURNS_H
#define PROCESS_TURNS_H

#include <stdbool.h>
#include <stddef.h>

#include "process/visitors.h"
#include "settings/options.h"

struct turns {
    size_t processors; /* counted when the configuration is read: asking costs three system calls */
};

/* At the beginning, and when there are new settings. */
void turns_begin(struct turns *t);

/* Tells those monitors to begin whose turn it is. Whether there was one. */
bool turns_grant(const struct turns *t, struct visitors *visitors, const struct settings *settings);

#endif
