/*
 * matrix: judging the states that crashes leave (matrix.h).
 */
#include "config.h"

#include "tests/crash/matrix.h"

#include <stdio.h>
#include <string.h>

#include "common/digest.h"
#include "common/mem.h"

static bool see(struct seen *seen, uint64_t hash)
{
    hash |= 1; /* 0 is an empty slot */
    if (2 * (seen->count + 1) > seen->size) {
        struct seen bigger = { .size = seen->size > 0 ? 2 * seen->size : 1024 };

        bigger.slots = mem_new(bigger.size, sizeof *bigger.slots);
        for (size_t i = 0; i < seen->size; i++)
            if (seen->slots[i] != 0)
                see(&bigger, seen->slots[i]);
        mem_free(seen->slots);
        *seen = bigger;
    }
    for (size_t i = hash % seen->size;; i = (i + 1) % seen->size) {
        if (seen->slots[i] == hash)
            return false;
        if (seen->slots[i] == 0) {
            seen->slots[i] = hash;
            seen->count++;
            return true;
        }
    }
}

enum mboxupdate_result matrix_update(struct matrix *m, struct strbuf *why)
{
    sim = &m->work;
    return scenario_update(m->judge.scenario, why);
}

unsigned matrix_allowed_after(enum mboxupdate_result result)
{
    return result == MBOXUPDATE_DONE ? FORM_AFTER : result == MBOXUPDATE_FAILED ? FORM_BEFORE : FORM_EITHER;
}

void matrix_restart(struct matrix *m)
{
    sim_copy(&m->work, &m->start);
    sim = &m->work;
}

static size_t size_of(const struct letters *letters)
{
    size_t size = 0;

    for (size_t i = 0; i < letters->count; i++)
        size += letter_text(letters->letters[i].serial, letters->letters[i].form)->len;
    return size;
}

size_t matrix_sizes(const struct matrix *m, size_t *after_r)
{
    *after_r = size_of(&m->judge.expect.after);
    return size_of(&m->judge.expect.before);
}

/* ---- recovery, and recovery that is stopped */

static void visit_state(struct simdisk *disk, void *context)
{
    struct state_of of = *(struct state_of *)context;
    struct judge *judge = &of.m->judge;
    unsigned delivered = judge->delivered;

    if (of.deliver)
        judge->delivered += scenario_deliver(disk, SERIAL_DELIVERED + delivered);
    matrix_judge_state(of, disk);
    judge->delivered = delivered;
}

/* All that may be of a disk when the machine or the process stops as it is now. */
static void visit_ends(struct state_of of, struct simdisk *stopped, const struct crashes_limits *limits)
{
    of.power_lost = true;
    crashes_each(stopped, limits, visit_state, &of);
    of.power_lost = false;
    sim_restart(stopped, false);
    visit_state(stopped, &of);
}

/* Recovery of the state takes `calls` calls. */
static void stop_recovery(struct state_of of, unsigned calls)
{
    struct matrix *m = of.m;
    struct depth *depth = &m->depths[of.depth];
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    size_t where = strlen(m->judge.where);

    of.depth++;
    for (unsigned n = 1; n <= calls; n++) {
        snprintf(m->judge.where + where, sizeof m->judge.where - where, ", recovery stopped after call %u", n);
        sim_copy(&depth->stopped, &depth->state);
        depth->stopped.stop_after = n;
        judge_recover(&depth->stopped, &why);
        of.deliver = n % 3 == of.depth % 3;
        visit_ends(of, &depth->stopped, &depth->limits);
    }
    m->judge.where[where] = '\0';
    strbuf_free(&why);
}

void matrix_judge_state(struct state_of of, const struct simdisk *disk)
{
    struct matrix *m = of.m;
    struct depth *depth = &m->depths[of.depth];
    uint64_t extra[4] = { m->judge.delivered, of.allowed, of.power_lost, m->judge.popbull_may_lag };
    uint64_t key = digest_sum64(sim_hash(disk), extra, sizeof extra);
    unsigned forms;

    if (!see(&m->seen, key))
        return;
    sim_copy(&depth->state, disk);
    sim_copy(&depth->recovered, disk);
    forms = judge_after_recovery(&m->judge, &depth->recovered, of.allowed);
    if (of.power_lost && (forms & of.allowed) != 0)
        of.allowed &= forms; /* what was decided stays so */
    if (of.depth + 1 < MATRIX_DEPTHS && depth->every > 0 && key / 2 % depth->every == 0)
        stop_recovery(of, depth->recovered.calls);
}

void matrix_judge_all_ends(struct matrix *m, unsigned allowed)
{
    struct state_of of = { .m = m, .allowed = allowed };
    size_t where = strlen(m->judge.where);

    for (int mail = 0; mail < 2; mail++) {
        of.deliver = mail > 0;
        snprintf(m->judge.where + where, sizeof m->judge.where - where, "%s", mail ? ", mail delivered" : "");
        sim_copy(&m->ended, &m->work);
        visit_ends(of, &m->ended, &m->limits);
    }
    m->judge.where[where] = '\0';
}
