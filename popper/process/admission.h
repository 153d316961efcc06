/*
 * admission: whom standalone mode serves, by its limits, and what it says to the others and to the log.
 */
#ifndef PROCESS_ADMISSION_H
#define PROCESS_ADMISSION_H

#include <stdint.h>

#include "process/visitors.h"
#include "settings/options.h"

/* What was logged about refused clients. All zero at the beginning. */
struct admission {
    int64_t logged;
    unsigned since; /* more of them */
};

/* NULL: a client from this source may be served, for which another one may have been told to end; else why not. */
const char *admission_obstacle(struct admission *a, struct visitors *visitors, const struct settings *settings,
                               const char *source);

/* Says so to the client and to the log. */
void admission_refuse(struct admission *a, const struct settings *settings, int client, const char *ip,
                      const char *reason);

/* Only to the log: at most one record a second, whatever the flood, with how many there were. */
void admission_note(struct admission *a, const char *ip, const char *reason);

/* Tells a session to end. */
void admission_end(struct visitor *who);

#endif
