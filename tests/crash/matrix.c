/*
 * matrix: proves "a maildrop that cannot be lost" (DESIGN section 7). For every scenario, the machine stops after every
 * call; the disk then holds every mixture of what was not synced (crashes.h); mail is delivered or not; recovery runs,
 * is itself stopped at every call, and runs again. Prints TAP and how many cases it ran.
 *
 * matrix [--long] [--stop-at-first] [SCENARIO-NUMBER]
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/digest.h"
#include "common/log.h"
#include "common/mem.h"
#include "tests/crash/crashes.h"
#include "tests/crash/foreign.h"
#include "tests/crash/judge.h"

/* A set of hashes: states that were judged already. */
struct seen {
    uint64_t *slots;
    size_t count, size;
};

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

struct matrix {
    struct judge judge;
    struct simdisk start, work, inner, last;
    struct seen seen;
    struct crashes_limits outer_limits, inner_limits;
    unsigned inner_every; /* recovery is stopped in every so manieth state */
    bool power_lost;      /* the states come from a power failure, not from a kill */
    unsigned allowed;
    unsigned inner_allowed;
    bool deliver_more;
};

static uint64_t state_key(const struct matrix *m, const struct simdisk *disk, unsigned allowed)
{
    uint64_t extra[4] = { m->judge.delivered, allowed, m->power_lost, m->judge.popbull_may_lag };

    return digest_sum64(sim_hash(disk), extra, sizeof extra);
}

/* ---- recovery that is stopped */

static void judge_inner(struct simdisk *disk, void *context)
{
    struct matrix *m = context;
    unsigned delivered = m->judge.delivered;

    if (!see(&m->seen, state_key(m, disk, m->inner_allowed)))
        return;
    if (m->deliver_more)
        m->judge.delivered += scenario_deliver(disk, SERIAL_DELIVERED + delivered);
    judge_after_recovery(&m->judge, disk, m->inner_allowed);
    m->judge.delivered = delivered;
}

/* The state is m->inner; recovery of it takes `calls` calls and leads to one of `forms`. */
static void stop_recovery(struct matrix *m, unsigned calls, unsigned forms)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    size_t where = strlen(m->judge.where);

    m->inner_allowed = m->power_lost ? forms : m->allowed;
    for (unsigned n = 1; n <= calls; n++) {
        snprintf(m->judge.where + where, sizeof m->judge.where - where, ", recovery stopped after call %u", n);
        sim_copy(&m->last, &m->inner);
        m->last.stop_after = n;
        judge_recover(&m->last, &why);
        m->deliver_more = n % 3 == 0;
        crashes_each(&m->last, &m->inner_limits, judge_inner, m);
        sim_restart(&m->last, false);
        judge_inner(&m->last, m);
    }
    m->judge.where[where] = '\0';
    strbuf_free(&why);
}

/* ---- a state after a crash or kill */

static void judge_state(struct matrix *m, const struct simdisk *state)
{
    uint64_t key = state_key(m, state, m->allowed);
    unsigned forms, calls;

    if (!see(&m->seen, key))
        return;
    sim_copy(&m->inner, state);
    sim_copy(&m->last, state);
    forms = judge_after_recovery(&m->judge, &m->last, m->allowed);
    calls = m->last.calls;
    if (m->inner_every > 0 && key / 2 % m->inner_every == 0)
        stop_recovery(m, calls, forms & m->allowed);
}

static void judge_crash(struct simdisk *disk, void *context)
{
    struct matrix *m = context;
    size_t where = strlen(m->judge.where);

    judge_state(m, disk);
    snprintf(m->judge.where + where, sizeof m->judge.where - where, ", mail delivered");
    m->judge.delivered = scenario_deliver(disk, SERIAL_DELIVERED);
    judge_state(m, disk);
    m->judge.delivered = 0;
    m->judge.where[where] = '\0';
}

/* All that may be of the disk when the machine or the process stops as m->work is now. */
static void judge_all_ends(struct matrix *m, unsigned allowed)
{
    size_t where = strlen(m->judge.where);

    m->allowed = allowed;
    m->power_lost = true;
    snprintf(m->judge.where + where, sizeof m->judge.where - where, ", power lost");
    crashes_each(&m->work, &m->outer_limits, judge_crash, m);
    m->power_lost = false;
    snprintf(m->judge.where + where, sizeof m->judge.where - where, ", killed");
    sim_restart(&m->work, false);
    judge_crash(&m->work, m);
    m->judge.where[where] = '\0';
}

/* ---- updates */

static enum mboxupdate_result update(struct matrix *m, struct strbuf *why)
{
    sim = &m->work;
    return scenario_update(m->judge.scenario, why);
}

static unsigned allowed_after(enum mboxupdate_result result)
{
    return result == MBOXUPDATE_DONE ? FORM_AFTER : result == MBOXUPDATE_FAILED ? FORM_BEFORE : FORM_EITHER;
}

static void restart_from(struct matrix *m)
{
    sim_copy(&m->work, &m->start);
    sim = &m->work;
}

/* Without any crash. The number of calls. */
static unsigned plain_run(struct matrix *m, struct strbuf *why)
{
    enum mboxupdate_result result;

    restart_from(m);
    m->work.keeps_call_kinds = true;
    snprintf(m->judge.where, sizeof m->judge.where, "no crash");
    result = update(m, why);
    m->judge.cases++;
    if (result != MBOXUPDATE_DONE)
        judge_fail(&m->judge, &m->work, "the update failed (%d): %s", result, why->data);
    else if ((judge_forms(&m->judge, &m->work) & FORM_AFTER) == 0 || m->work.now[SIM_JOURNAL] >= 0)
        judge_fail(&m->judge, &m->work, "not what it should be");
    memcpy(m->start.kinds, m->work.kinds, sizeof m->start.kinds);
    return m->work.calls;
}

static void stops(struct matrix *m, unsigned calls, struct strbuf *why)
{
    for (unsigned n = 1; n <= calls; n++) {
        enum mboxupdate_result result;

        restart_from(m);
        m->work.stop_after = n;
        result = update(m, why);
        snprintf(m->judge.where, sizeof m->judge.where, "stopped after call %u of %u (%c)", n, calls,
                 m->start.kinds[n - 1]);
        judge_all_ends(m, result == MBOXUPDATE_DONE ? FORM_AFTER : FORM_EITHER);
    }
}

/* Every call fails once, with every error. */
static void errors_in_update(struct matrix *m, struct strbuf *why)
{
    static const int kinds[] = { EIO, ENOSPC, EDQUOT };
    unsigned inner_every = m->inner_every;

    m->inner_every = 0;
    m->judge.popbull_may_lag = true;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        for (unsigned n = 1;; n++) {
            enum mboxupdate_result result;

            restart_from(m);
            m->work.fail_at = n;
            m->work.fail_errno = kinds[k];
            result = update(m, why);
            if (m->work.all_calls < n)
                break;
            snprintf(m->judge.where, sizeof m->judge.where, "call %u fails with %s, result %d", n, strerror(kinds[k]),
                     result);
            if (result != MBOXUPDATE_DONE && why->len == 0)
                judge_fail(&m->judge, &m->work, "no reason given");
            if (result == MBOXUPDATE_FAILED && (judge_forms(&m->judge, &m->work) & FORM_BEFORE) == 0)
                judge_fail(&m->judge, &m->work, "said to be as it was");
            if (result == MBOXUPDATE_DONE && (judge_forms(&m->judge, &m->work) & FORM_AFTER) == 0)
                judge_fail(&m->judge, &m->work, "said to be done");
            judge_all_ends(m, allowed_after(result));
            strbuf_reset(why);
        }
    }
    m->judge.popbull_may_lag = false;
    m->inner_every = inner_every;
}

/* Recovery hits an error at every call, and is run again. */
static void errors_in_recovery(struct matrix *m, unsigned calls, unsigned every, struct strbuf *why)
{
    m->judge.popbull_may_lag = true;
    for (unsigned stop = every; stop <= calls; stop += every) {
        restart_from(m);
        m->work.stop_after = stop;
        update(m, why);
        sim_restart(&m->work, false);
        for (unsigned n = 1;; n++) {
            enum journal_settled settled;

            sim_copy(&m->inner, &m->work);
            m->inner.fail_at = n;
            m->inner.fail_errno = n % 2 == 0 ? EIO : ENOSPC;
            settled = judge_recover(&m->inner, why);
            if (m->inner.all_calls < n)
                break;
            snprintf(m->judge.where, sizeof m->judge.where,
                     "stopped after call %u, recovery's call %u fails, settled %d", stop, n,
                     settled == JOURNAL_SETTLED);
            sim_copy(&m->last, &m->inner);
            sim_restart(&m->last, true);
            judge_after_recovery(&m->judge, &m->last, FORM_EITHER);
            sim_restart(&m->inner, false);
            judge_after_recovery(&m->judge, &m->inner, FORM_EITHER);
        }
    }
    m->judge.popbull_may_lag = false;
}

/* ---- mail that arrives while we work, from somebody who does not honour our locks */

static unsigned deliver_before;
static bool delivered_now, update_grows;

static void deliver_meanwhile(struct simdisk *disk, const char *what, int file)
{
    bool on_drop = file == disk->now[SIM_DROP];

    if (disk->calls + 1 != deliver_before || delivered_now)
        return;
    if (on_drop && (strcmp(what, "truncate") == 0 || (strcmp(what, "write") == 0 && update_grows)))
        return; /* nobody can win this race without locks */
    delivered_now = scenario_deliver(disk, SERIAL_DELIVERED);
}

static bool grows(const struct matrix *m)
{
    size_t before = 0, after = 0;

    for (size_t i = 0; i < m->judge.expect.before.count; i++)
        before += letter_text(m->judge.expect.before.letters[i].serial, m->judge.expect.before.letters[i].form)->len;
    for (size_t i = 0; i < m->judge.expect.after.count; i++)
        after += letter_text(m->judge.expect.after.letters[i].serial, m->judge.expect.after.letters[i].form)->len;
    return after > before;
}

static void deliveries_meanwhile(struct matrix *m, unsigned calls, unsigned stop_every, struct strbuf *why)
{
    unsigned inner_every = m->inner_every;

    m->inner_every = 0;
    update_grows = grows(m);
    for (unsigned n = 1; n <= calls; n++) {
        for (unsigned stop = 0; stop <= calls + 12; stop += stop == 0 ? n + 1 : stop_every) {
            enum mboxupdate_result result;

            restart_from(m);
            m->work.before_call = deliver_meanwhile;
            m->work.stop_after = stop;
            deliver_before = n;
            delivered_now = false;
            result = update(m, why);
            m->work.before_call = NULL;
            snprintf(m->judge.where, sizeof m->judge.where,
                     "mail without locks before call %u, stopped after %u, result %d", n, stop, result);
            m->judge.delivered = delivered_now;
            m->allowed = stop > 0 && m->work.stopped ? FORM_EITHER : allowed_after(result);
            sim_restart(&m->work, m->work.stopped);
            judge_state(m, &m->work);
            m->judge.delivered = 0;
            if (!delivered_now)
                break;
        }
    }
    m->inner_every = inner_every;
}

static void broken_dot_lock(struct matrix *m, struct strbuf *why)
{
    enum mboxupdate_result result;

    restart_from(m);
    m->work.lock_lost = true;
    result = update(m, why);
    snprintf(m->judge.where, sizeof m->judge.where, "dot lock broken, result %d", result);
    m->allowed = result == MBOXUPDATE_DONE ? FORM_AFTER : FORM_EITHER;
    sim_restart(&m->work, false);
    judge_state(m, &m->work);
}

/* ---- the run */

static void run_scenario(struct matrix *m, const struct scenario *scenario, bool is_long)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    unsigned calls;

    m->judge.scenario = scenario;
    m->seen.count = 0;
    if (m->seen.size > 0)
        memset(m->seen.slots, 0, m->seen.size * sizeof *m->seen.slots);
    sim_free(&m->start);
    sim_init(&m->start);
    scenario_prepare(scenario, &m->start, &m->judge.expect);
    m->judge.drop_inode = sim_file(&m->start, SIM_DROP)->inode;
    calls = plain_run(m, &why);
    stops(m, calls, &why);
    errors_in_update(m, &why);
    errors_in_recovery(m, calls, is_long ? 1 : 3, &why);
    deliveries_meanwhile(m, calls, is_long ? 1 : 5, &why);
    broken_dot_lock(m, &why);
    foreign_programs(&m->judge, &m->start, calls, is_long);
    strbuf_free(&why);
}

static void ignore_log(void *context, int priority, const char *text, size_t length)
{
    (void)context, (void)priority, (void)text, (void)length;
}

int main(int argc, char **argv)
{
    struct matrix *m = mem_new(1, sizeof *m);
    bool is_long = false;
    size_t from = 0, to = scenario_count;
    unsigned long failed = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--long") == 0)
            is_long = true;
        else if (strcmp(argv[i], "--stop-at-first") == 0)
            m->judge.stop_after_failures = 1;
        else
            to = (from = strtoul(argv[i], NULL, 10)) + 1;
    }
    log_set_sink(ignore_log, NULL);
    filecalls = &sim_filecalls;
    m->outer_limits = is_long ? (struct crashes_limits){ 10, 8 } : (struct crashes_limits){ 3, 2 };
    m->inner_limits = is_long ? (struct crashes_limits){ 5, 3 } : (struct crashes_limits){ 1, 1 };
    m->inner_every = is_long ? 4 : 40;
    sim_init(&m->start);
    sim_init(&m->work);
    sim_init(&m->inner);
    sim_init(&m->last);
    printf("1..%zu\n", to - from);
    for (size_t i = from; i < to && i < scenario_count; i++) {
        unsigned long cases = m->judge.cases;

        m->judge.failures = 0;
        run_scenario(m, &scenarios[i], is_long);
        printf("%s %zu - %s (%lu cases)\n", m->judge.failures == 0 ? "ok" : "not ok", i - from + 1, scenarios[i].name,
               m->judge.cases - cases);
        fflush(stdout);
        failed += m->judge.failures > 0;
    }
    printf("# %lu cases\n", m->judge.cases);
    sim_free(&m->start);
    sim_free(&m->work);
    sim_free(&m->inner);
    sim_free(&m->last);
    mem_free(m->seen.slots);
    mem_free(m);
    return failed > 0;
}
