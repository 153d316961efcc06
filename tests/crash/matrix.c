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

#include "common/log.h"
#include "common/mem.h"
#include "tests/crash/foreign.h"
#include "tests/crash/matrix.h"

/* ---- updates */

/* Without any crash. The number of calls. */
static unsigned plain_run(struct matrix *m, struct strbuf *why)
{
    enum mboxupdate_result result;

    matrix_restart(m);
    m->work.keeps_call_kinds = true;
    snprintf(m->judge.where, sizeof m->judge.where, "no crash");
    result = matrix_update(m, why);
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

        matrix_restart(m);
        m->work.stop_after = n;
        result = matrix_update(m, why);
        snprintf(m->judge.where, sizeof m->judge.where, "stopped after call %u of %u (%c)", n, calls,
                 m->start.kinds[n - 1]);
        matrix_judge_all_ends(m, result == MBOXUPDATE_DONE ? FORM_AFTER : FORM_EITHER);
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
    matrix_restart(m);
    m->work.fail_at = fail_at;
    m->work.fail_errno = error;
    m->work.stop_after = stop_after;
    strbuf_reset(why);
    return matrix_update(m, why);
}

/* The machine stops while the update cleans up after an error, or goes on in spite of it. */
static void stops_after_error(struct matrix *m, unsigned fail_at, unsigned calls, struct strbuf *why)
{
    for (unsigned stop = 1; stop < calls; stop++) {
        update_with_error(m, fail_at, EIO, stop, why);
        if (m->work.failed == '\0')
            continue;
        snprintf(m->judge.where, sizeof m->judge.where, "call %u fails, stopped after %u", fail_at, stop);
        matrix_judge_all_ends(m, FORM_EITHER);
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
            matrix_judge_all_ends(m, matrix_allowed_after(result));
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
        matrix_restart(m);
        m->work.stop_after = stop;
        matrix_update(m, why);
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

static void broken_dot_lock(struct matrix *m, struct strbuf *why)
{
    enum mboxupdate_result result;
    size_t after;

    matrix_restart(m);
    m->work.lock_lost = true;
    result = matrix_update(m, why);
    snprintf(m->judge.where, sizeof m->judge.where, "dot lock broken, result %d", result);
    if (result == MBOXUPDATE_DONE && strchr(m->start.kinds, 'N') != NULL && matrix_sizes(m, &after) > after)
        judge_fail(&m->judge, &m->work, "cut although the dot lock was broken");
    matrix_judge_all_ends(m, matrix_allowed_after(result));
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

        matrix_restart(m);
        matrix_update(m, why);
        m->work.stop_after = n > 0 ? m->work.calls + n : 0;
        mboxplan_init(&plan);
        size = sim_file(&m->work, SIM_DROP)->now.size;
        mboxplan_add_range(&plan, sim_fd(&m->work, SIM_DROP), 0, size - letter_text(last.serial, last.form)->len);
        result = mboxupdate_apply(sim_fd(&m->work, SIM_DROP), size, &plan, NULL, &sim_host, why);
        mboxplan_free(&plan);
        snprintf(m->judge.where, sizeof m->judge.where, "second session, stopped after call %u, result %d", n, result);
        m->judge.popbull_may_lag = true;
        matrix_judge_all_ends(m, result == MBOXUPDATE_DONE ? FORM_AFTER : FORM_EITHER);
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
    if (scenario->unsynced) { /* whatever else goes wrong may cost what is not ours to keep */
        strbuf_free(&why);
        return;
    }
    errors_in_update(m, &why);
    errors_in_recovery(m, calls, is_long ? 1 : 3, &why);
    if (!scenario->moved) { /* mail in a file whose name goes back is not ours to keep */
        matrix_deliveries_meanwhile(m, calls, is_long ? 1 : 5, &why);
        matrix_loose_deliveries(m, calls, is_long ? 1 : 3, &why);
    }
    if (scenario->replace)
        matrix_delivery_at_the_rename(m, calls, &why);
    if (scenario->long_journal)
        matrix_long_journals(m, calls, is_long ? 1 : 3, &why);
    broken_dot_lock(m, &why);
    foreign_programs(&m->judge, &m->start, calls, is_long);
    second_session(m, &why);
    strbuf_free(&why);
}

/* In place of digest_random (the linker sees to it): every run is the same. */
void __wrap_digest_random(void *bytes, size_t n);
void __wrap_digest_random(void *bytes, size_t n)
{
    static uint64_t state;

    for (size_t i = 0; i < n; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        ((unsigned char *)bytes)[i] = (unsigned char)(state >> 56);
    }
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
    for (size_t i = 0; i < MATRIX_DEPTHS; i++) {
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
    sim_free(&m->ended);
    for (size_t i = 0; i < MATRIX_DEPTHS; i++) {
        sim_free(&m->depths[i].state);
        sim_free(&m->depths[i].stopped);
        sim_free(&m->depths[i].recovered);
    }
    mem_free(m->seen.slots);
    mem_free(m);
    return failed > 0 || ran == 0;
}
