/*
 * matrix: the owner of a journal makes it long while nobody works on it (matrix.h): without any room he can make it take days to read.
 */
#include "config.h"

#include "tests/crash/matrix.h"

#include <stdio.h>
#include <string.h>

#include "mail/journal_record.h"

/* More than recovery may read behind the last record, and than it may leave (1 MiB). */
#define REST (2u << 20)
#define CALLS_MAX ((1u << 20) / JOURNAL_SLOT + 1000)

/* Behind a hole stands what looks like the journal's own records. */
static void lengthen(struct simdisk *disk)
{
    struct simfile *journal = sim_file(disk, SIM_JOURNAL);
    unsigned char records[4 * JOURNAL_SLOT] = { 0 };
    size_t n = journal->now.size < sizeof records ? journal->now.size : sizeof records;

    memcpy(records, journal->now.bytes, n);
    sim_file_write(journal, journal->now.size + REST, records, sizeof records);
    sim_file_sync(journal);
}

static void judge_recovery(struct matrix *m)
{
    struct depth *depth = &m->depths[0];

    sim_copy(&depth->recovered, &depth->state);
    judge_after_recovery(&m->judge, &depth->recovered, FORM_EITHER);
    if (depth->recovered.all_calls > CALLS_MAX)
        judge_fail(&m->judge, &depth->recovered, "recovery needs %u calls", depth->recovered.all_calls);
}

/* Recovery of depths[0].state is stopped at each of its calls, and run again. */
static void stop_recovery_of_long(struct matrix *m, unsigned calls, struct strbuf *why)
{
    struct depth *depth = &m->depths[0];
    size_t where = strlen(m->judge.where);

    sim_copy(&depth->stopped, &depth->state);
    for (unsigned n = 1; n <= calls; n++) {
        snprintf(m->judge.where + where, sizeof m->judge.where - where, ", recovery stopped after call %u", n);
        sim_copy(&depth->state, &depth->stopped);
        depth->state.stop_after = n;
        judge_recover(&depth->state, why);
        sim_restart(&depth->state, n % 2 == 0);
        judge_recovery(m);
    }
    m->judge.where[where] = '\0';
}

void matrix_long_journals(struct matrix *m, unsigned calls, unsigned every, struct strbuf *why)
{
    for (unsigned n = 1; n <= calls; n += every) {
        matrix_restart(m);
        m->work.stop_after = n;
        matrix_update(m, why);
        sim_restart(&m->work, n % 2 == 0);
        if (m->work.now[SIM_JOURNAL] < 0)
            continue;
        lengthen(&m->work);
        snprintf(m->judge.where, sizeof m->judge.where, "stopped after call %u, the journal made long", n);
        sim_copy(&m->depths[0].state, &m->work);
        judge_recovery(m);
        stop_recovery_of_long(m, m->depths[0].recovered.calls, why);
    }
}
