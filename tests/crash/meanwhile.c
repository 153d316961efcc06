/*
 * matrix: mail that arrives during the update (matrix.h).
 */
#include "config.h"

#include "tests/crash/matrix.h"

#include <stdio.h>
#include <string.h>

static unsigned deliver_before;
static bool delivered_now, update_grows, delivered_loosely, at_the_rename;

static void deliver_meanwhile(struct simdisk *disk, const char *what, int file)
{
    bool on_drop = file == disk->now[SIM_DROP];

    if (disk->calls + 1 != deliver_before || delivered_now || (at_the_rename && strcmp(what, "Aside") != 0))
        return;
    if (on_drop && (strcmp(what, "truncate") == 0 || (strcmp(what, "write") == 0 && update_grows)))
        return; /* nobody can win this race without locks */
    delivered_now = (delivered_loosely ? scenario_deliver_loosely : scenario_deliver)(disk, SERIAL_DELIVERED);
}

void matrix_deliveries_meanwhile(struct matrix *m, unsigned calls, unsigned stop_every, struct strbuf *why)
{
    unsigned every = m->depths[0].every;
    size_t after;

    m->depths[0].every = 0;
    update_grows = matrix_sizes(m, &after) < after;
    for (unsigned n = 1; n <= calls; n++) {
        for (unsigned stop = 0; stop <= calls + 12; stop += stop == 0 ? n + 1 : stop_every) {
            struct state_of of = { .m = m };
            enum mboxupdate_result result;

            matrix_restart(m);
            m->work.before_call = deliver_meanwhile;
            m->work.stop_after = stop;
            deliver_before = n;
            delivered_now = false;
            result = matrix_update(m, why);
            m->work.before_call = NULL;
            snprintf(m->judge.where, sizeof m->judge.where,
                     "mail without locks before call %u, stopped after %u, result %d", n, stop, result);
            m->judge.delivered = delivered_now;
            of.allowed = stop > 0 && m->work.stopped ? FORM_EITHER : matrix_allowed_after(result);
            of.power_lost = m->work.stopped;
            sim_restart(&m->work, m->work.stopped);
            matrix_judge_state(of, &m->work);
            m->judge.delivered = 0;
            if (!delivered_now)
                break;
        }
    }
    m->depths[0].every = every;
}

/* Into the old file, after it was looked at for the last time (fast-update). Without a crash it is not lost. */
void matrix_delivery_at_the_rename(struct matrix *m, unsigned calls, struct strbuf *why)
{
    at_the_rename = true;
    for (unsigned n = 1; n <= calls; n++) {
        enum mboxupdate_result result;

        matrix_restart(m);
        m->work.before_call = deliver_meanwhile;
        deliver_before = n;
        delivered_now = false;
        result = matrix_update(m, why);
        m->work.before_call = NULL;
        snprintf(m->judge.where, sizeof m->judge.where, "mail without locks at the rename, result %d", result);
        m->judge.delivered = delivered_now;
        if ((judge_forms(&m->judge, &m->work) & matrix_allowed_after(result)) == 0)
            judge_fail(&m->judge, &m->work, "the mail is lost");
        m->judge.delivered = 0;
    }
    at_the_rename = false;
}

/* The mail was not synced by who brought it: the crash may have torn it. The old mail is whole all the same, and nobody
 * takes M for another file. */
static void judge_but_for_delivered(struct simdisk *disk, void *context)
{
    struct matrix *m = context;
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    enum journal_settled settled;

    sim_copy(&m->depths[0].recovered, disk);
    settled = judge_recover(&m->depths[0].recovered, &why);
    if (settled != JOURNAL_SETTLED && disk->capacity > 0) { /* the mail took the last room */
        m->depths[0].recovered.capacity = 0;
        settled = judge_recover(&m->depths[0].recovered, &why);
    }
    m->judge.cases++;
    if (settled != JOURNAL_SETTLED)
        judge_fail(&m->judge, &m->depths[0].recovered, "recovery does not settle: %s", why.data);
    else if (m->depths[0].recovered.now[SIM_ORPHAN] >= 0)
        judge_fail(&m->judge, &m->depths[0].recovered, "an orphan was made");
    else if (judge_forms_begin(&m->judge, &m->depths[0].recovered) == FORM_NONE)
        judge_fail(&m->judge, &m->depths[0].recovered, "does not begin with either form");
    strbuf_free(&why);
}

/* Mail by somebody who neither locks nor syncs, then the machine stops. */
void matrix_loose_deliveries(struct matrix *m, unsigned calls, unsigned every, struct strbuf *why)
{
    const struct crashes_limits limits = { 1, 2 };

    delivered_loosely = true;
    for (unsigned n = 1; n <= calls; n += every) {
        for (unsigned stop = n + 1; stop <= calls + 12; stop++) {
            matrix_restart(m);
            m->work.before_call = deliver_meanwhile;
            m->work.stop_after = stop;
            deliver_before = n;
            delivered_now = false;
            matrix_update(m, why);
            m->work.before_call = NULL;
            if (!delivered_now || !m->work.stopped)
                break;
            snprintf(m->judge.where, sizeof m->judge.where,
                     "mail without lock and sync before call %u, stopped after %u", n, stop);
            crashes_each(&m->work, &limits, judge_but_for_delivered, m);
        }
    }
    delivered_loosely = false;
}
