/*
 * matrix: proves "a maildrop that cannot be lost" (DESIGN section 7). For every scenario, the machine stops after every
 * call; the disk then holds every mixture of what was not synced (crashes.h); mail is delivered or not; recovery runs,
 * is itself stopped at every call, and runs again. Prints TAP and how many cases it ran.
 *
 * matrix [--long] [--stop-at-first] [PART OF A SCENARIO'S NAME]
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

#define DEPTHS 3 /* the update is stopped, its recovery, and the recovery of that */

struct depth {
    struct simdisk state, stopped, recovered;
    struct crashes_limits limits; /* of what a stop at this depth leaves */
    unsigned every;               /* recovery of every so manieth state is stopped; 0: of none */
};

struct matrix {
    struct judge judge;
    struct simdisk start, work, ended;
    struct crashes_limits limits; /* of what a stop of the update leaves */
    struct seen seen;
    struct depth depths[DEPTHS];
    unsigned error_every; /* in place of `every` while errors are injected */
};

/* What is known of a state. */
struct state_of {
    struct matrix *m;
    unsigned depth;
    unsigned allowed;
    bool power_lost; /* it comes from a power failure, not from a kill: nothing is pending */
    bool deliver;    /* another letter comes before recovery */
};

/* ---- recovery, and recovery that is stopped */

static void judge_state(struct state_of of, const struct simdisk *disk);

static void visit_state(struct simdisk *disk, void *context)
{
    struct state_of of = *(struct state_of *)context;
    struct judge *judge = &of.m->judge;
    unsigned delivered = judge->delivered;

    if (of.deliver)
        judge->delivered += scenario_deliver(disk, SERIAL_DELIVERED + delivered);
    judge_state(of, disk);
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

static void judge_state(struct state_of of, const struct simdisk *disk)
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
    if (of.depth + 1 < DEPTHS && depth->every > 0 && key / 2 % depth->every == 0)
        stop_recovery(of, depth->recovered.calls);
}

/* The update was stopped or has ended, and m->work is what it left: with and without mail. */
static void judge_all_ends(struct matrix *m, unsigned allowed)
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

/* What the update says must be so, whatever failed. */
static void judge_result(struct matrix *m, enum mboxupdate_result result, const struct strbuf *why)
{
    if (result != MBOXUPDATE_DONE && why->len == 0)
        judge_fail(&m->judge, &m->work, "no reason given");
    if (result == MBOXUPDATE_FAILED && (judge_forms(&m->judge, &m->work) & FORM_BEFORE) == 0)
        judge_fail(&m->judge, &m->work, "said to be as it was");
    if (result == MBOXUPDATE_DONE && (judge_forms(&m->judge, &m->work) & FORM_AFTER) == 0)
        judge_fail(&m->judge, &m->work, "said to be done");
}

static enum mboxupdate_result update_with_error(struct matrix *m, unsigned fail_at, int error, unsigned stop_after,
                                                struct strbuf *why)
{
    restart_from(m);
    m->work.fail_at = fail_at;
    m->work.fail_errno = error;
    m->work.stop_after = stop_after;
    strbuf_reset(why);
    return update(m, why);
}

/* The machine stops while the update cleans up after an error, or goes on in spite of it. */
static void stops_after_error(struct matrix *m, unsigned fail_at, unsigned calls, struct strbuf *why)
{
    for (unsigned stop = 1; stop < calls; stop++) {
        update_with_error(m, fail_at, EIO, stop, why);
        if (m->work.failed == '\0')
            continue;
        snprintf(m->judge.where, sizeof m->judge.where, "call %u fails, stopped after %u", fail_at, stop);
        judge_all_ends(m, FORM_EITHER);
    }
}

/* Every call fails once, with every error. */
static void errors_in_update(struct matrix *m, struct strbuf *why)
{
    static const int kinds[] = { EIO, ENOSPC, EDQUOT };
    unsigned every = m->depths[0].every;

    m->judge.popbull_may_lag = true;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        for (unsigned n = 1;; n++) {
            enum mboxupdate_result result = update_with_error(m, n, kinds[k], 0, why);
            unsigned calls = m->work.calls;
            char failed = m->work.failed;

            if (failed == '\0')
                break;
            snprintf(m->judge.where, sizeof m->judge.where, "call %u (%c) fails with %s, result %d", n, failed,
                     strerror(kinds[k]), result);
            judge_result(m, result, why);
            m->depths[0].every = result == MBOXUPDATE_UNSETTLED && k == 0 ? m->error_every : 0;
            judge_all_ends(m, allowed_after(result));
            if (k == 0 && (failed == 'f' || failed == 'D'))
                stops_after_error(m, n, calls, why);
        }
    }
    m->judge.popbull_may_lag = false;
    m->depths[0].every = every;
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

            sim_copy(&m->depths[0].state, &m->work);
            m->depths[0].state.fail_at = n;
            m->depths[0].state.fail_errno = n % 2 == 0 ? EIO : ENOSPC;
            settled = judge_recover(&m->depths[0].state, why);
            if (m->depths[0].state.all_calls < n)
                break;
            snprintf(m->judge.where, sizeof m->judge.where,
                     "stopped after call %u, recovery's call %u fails, settled %d", stop, n,
                     settled == JOURNAL_SETTLED);
            sim_copy(&m->depths[0].recovered, &m->depths[0].state);
            sim_restart(&m->depths[0].recovered, true);
            judge_after_recovery(&m->judge, &m->depths[0].recovered, FORM_EITHER);
            sim_restart(&m->depths[0].state, false);
            judge_after_recovery(&m->judge, &m->depths[0].state, FORM_EITHER);
        }
    }
    m->judge.popbull_may_lag = false;
}

/* ---- mail that arrives while we work, from somebody who does not honour our locks */

static unsigned deliver_before;
static bool delivered_now, update_grows, delivered_loosely;

static void deliver_meanwhile(struct simdisk *disk, const char *what, int file)
{
    bool on_drop = file == disk->now[SIM_DROP];

    if (disk->calls + 1 != deliver_before || delivered_now)
        return;
    if (on_drop && (strcmp(what, "truncate") == 0 || (strcmp(what, "write") == 0 && update_grows)))
        return; /* nobody can win this race without locks */
    delivered_now = (delivered_loosely ? scenario_deliver_loosely : scenario_deliver)(disk, SERIAL_DELIVERED);
}

static size_t size_of(const struct letters *letters)
{
    size_t size = 0;

    for (size_t i = 0; i < letters->count; i++)
        size += letter_text(letters->letters[i].serial, letters->letters[i].form)->len;
    return size;
}

/* Of the maildrop before and after. */
static size_t sizes(const struct matrix *m, size_t *after_r)
{
    *after_r = size_of(&m->judge.expect.after);
    return size_of(&m->judge.expect.before);
}

static void deliveries_meanwhile(struct matrix *m, unsigned calls, unsigned stop_every, struct strbuf *why)
{
    unsigned every = m->depths[0].every;
    size_t after;

    m->depths[0].every = 0;
    update_grows = sizes(m, &after) < after;
    for (unsigned n = 1; n <= calls; n++) {
        for (unsigned stop = 0; stop <= calls + 12; stop += stop == 0 ? n + 1 : stop_every) {
            struct state_of of = { .m = m };
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
            of.allowed = stop > 0 && m->work.stopped ? FORM_EITHER : allowed_after(result);
            of.power_lost = m->work.stopped;
            sim_restart(&m->work, m->work.stopped);
            judge_state(of, &m->work);
            m->judge.delivered = 0;
            if (!delivered_now)
                break;
        }
    }
    m->depths[0].every = every;
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
static void loose_deliveries(struct matrix *m, unsigned calls, unsigned every, struct strbuf *why)
{
    const struct crashes_limits limits = { 1, 2 };

    delivered_loosely = true;
    for (unsigned n = 1; n <= calls; n += every) {
        for (unsigned stop = n + 1; stop <= calls + 12; stop++) {
            restart_from(m);
            m->work.before_call = deliver_meanwhile;
            m->work.stop_after = stop;
            deliver_before = n;
            delivered_now = false;
            update(m, why);
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

static void broken_dot_lock(struct matrix *m, struct strbuf *why)
{
    enum mboxupdate_result result;
    size_t after;

    restart_from(m);
    m->work.lock_lost = true;
    result = update(m, why);
    snprintf(m->judge.where, sizeof m->judge.where, "dot lock broken, result %d", result);
    if (result == MBOXUPDATE_DONE && strchr(m->start.kinds, 'N') != NULL && sizes(m, &after) > after)
        judge_fail(&m->judge, &m->work, "cut although the dot lock was broken");
    judge_all_ends(m, allowed_after(result));
}

/* The next session deletes the last message, which takes a cut and no journal: whatever the first left unsynced must
 * not undo that. */
static void second_session(struct matrix *m, struct strbuf *why)
{
    struct expectation *expect = &m->judge.expect;
    struct letter last;
    size_t size;

    if (expect->after.count < 2)
        return;
    last = expect->after.letters[expect->after.count - 1];
    expect->before = expect->after;
    expect->after.count--;
    expect->leftover = false;
    for (unsigned n = 0; n <= 2; n++) {
        enum mboxupdate_result result;
        struct mboxplan plan;

        restart_from(m);
        update(m, why);
        m->work.stop_after = n > 0 ? m->work.calls + n : 0;
        mboxplan_init(&plan);
        size = sim_file(&m->work, SIM_DROP)->now.size;
        mboxplan_add_range(&plan, sim_fd(&m->work, SIM_DROP), 0, size - letter_text(last.serial, last.form)->len);
        result = mboxupdate_apply(sim_fd(&m->work, SIM_DROP), size, &plan, NULL, &sim_host, why);
        mboxplan_free(&plan);
        snprintf(m->judge.where, sizeof m->judge.where, "second session, stopped after call %u, result %d", n, result);
        m->judge.popbull_may_lag = true;
        judge_all_ends(m, result == MBOXUPDATE_DONE ? FORM_AFTER : FORM_EITHER);
        m->judge.popbull_may_lag = false;
    }
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
    loose_deliveries(m, calls, is_long ? 1 : 3, &why);
    broken_dot_lock(m, &why);
    foreign_programs(&m->judge, &m->start, calls, is_long);
    second_session(m, &why);
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
    const char *part = "";
    unsigned long failed = 0, ran = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--long") == 0)
            is_long = true;
        else if (strcmp(argv[i], "--stop-at-first") == 0)
            m->judge.stop_after_failures = 1;
        else
            part = argv[i];
    }
    log_set_sink(ignore_log, NULL);
    filecalls = &sim_filecalls;
    m->limits = is_long ? (struct crashes_limits){ 10, 8 } : (struct crashes_limits){ 3, 2 };
    m->error_every = is_long ? 1 : 6;
    sim_init(&m->start);
    sim_init(&m->work);
    sim_init(&m->ended);
    for (size_t i = 0; i < DEPTHS; i++) {
        m->depths[i].limits = is_long ? (struct crashes_limits){ 5, 3 } : (struct crashes_limits){ 1, 1 };
        m->depths[i].every = (is_long ? 4 : 40) * (i == 0 ? 1 : 10);
        sim_init(&m->depths[i].state);
        sim_init(&m->depths[i].stopped);
        sim_init(&m->depths[i].recovered);
    }
    for (size_t i = 0; i < scenario_count; i++) {
        unsigned long cases = m->judge.cases;

        if (strstr(scenarios[i].name, part) == NULL)
            continue;
        m->judge.failures = 0;
        run_scenario(m, &scenarios[i], is_long);
        printf("%s %lu - %s (%lu cases)\n", m->judge.failures == 0 ? "ok" : "not ok", ++ran, scenarios[i].name,
               m->judge.cases - cases);
        fflush(stdout);
        failed += m->judge.failures > 0;
    }
    printf("1..%lu\n", ran);
    printf("# %lu cases\n", m->judge.cases);
    sim_free(&m->start);
    sim_free(&m->work);
    sim_free(&m->depths[0].state);
    sim_free(&m->depths[0].recovered);
    mem_free(m->seen.slots);
    mem_free(m);
    return failed > 0 || ran == 0;
}
