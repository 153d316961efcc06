/*
 * caught_log: the records that a test caused: "notice text\n" after one another.
 */
#ifndef TESTS_CAUGHT_LOG_H
#define TESTS_CAUGHT_LOG_H

#include <string.h>

#include "common/log.h"
#include "common/strbuf.h"

static struct strbuf caught = STRBUF_INIT(1 << 20);

static inline void catch_record(void *context, int priority, const char *text, size_t length)
{
    static const char *const names[] = { "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug" };

    (void)context;
    strbuf_adds(&caught, names[priority]);
    strbuf_addc(&caught, ' ');
    strbuf_add(&caught, text, length);
    strbuf_addc(&caught, '\n');
}

/* From here on, with nothing caught yet. */
static inline void catch_log(void)
{
    strbuf_reset(&caught);
    log_set_sink(catch_record, NULL);
}

#endif
