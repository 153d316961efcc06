/*
 * judge: see judge.h.
 */
#include "config.h"

#include "tests/crash/judge.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/crash/oracle.h"

static void describe(struct simdisk *disk)
{
    struct oracle_reading reading;
    const struct simfile *file = sim_file(disk, SIM_DROP);

    if (file == NULL) {
        printf("#   no maildrop\n");
        return;
    }
    oracle_read((const char *)file->now.bytes, file->now.size, &reading);
    printf("#   maildrop of %zu bytes%s:", file->now.size, reading.leading_junk ? ", junk in front" : "");
    for (size_t i = 0; i < reading.count; i++)
        printf(" %u%s%s", reading.messages[i].letter.serial, reading.messages[i].letter.form == LETTER_SEEN ? "s" : "",
               reading.messages[i].state == ORACLE_EXACT   ? ""
               : reading.messages[i].state == ORACLE_LOOSE ? "~"
                                                           : "!");
    printf("; journal %d, temp drop %d, orphan %d\n", disk->now[SIM_JOURNAL], disk->now[SIM_TEMPDROP],
           disk->now[SIM_ORPHAN]);
}

void judge_fail(struct judge *judge, struct simdisk *disk, const char *format, ...)
{
    va_list ap;

    judge->failures++;
    if (judge->failures <= 3) {
        va_start(ap, format);
        printf("# %s: %s: ", judge->scenario->name, judge->where);
        vprintf(format, ap);
        printf("\n");
        va_end(ap);
        describe(disk);
    }
    if (judge->stop_after_failures > 0 && judge->failures >= judge->stop_after_failures)
        exit(1);
}

static bool reads_as(const struct oracle_reading *reading, const struct letters *letters, unsigned delivered)
{
    if (reading->leading_junk || reading->count != letters->count + delivered)
        return false;
    for (size_t i = 0; i < reading->count; i++) {
        const struct oracle_message *message = &reading->messages[i];
        struct letter want = { SERIAL_DELIVERED + (unsigned)(i - letters->count), LETTER_PLAIN };

        if (i < letters->count)
            want = letters->letters[i];
        if (message->state != ORACLE_EXACT || message->letter.serial != want.serial ||
            message->letter.form != want.form)
            return false;
    }
    return true;
}

static bool leftover_stands(struct simdisk *disk)
{
    const struct simfile *file = sim_file(disk, SIM_TEMPDROP);

    return file != NULL && file->now.size > 0;
}

static unsigned popbull_says(struct simdisk *disk)
{
    const struct simfile *file = sim_file(disk, SIM_POPBULL);
    char text[16] = "";

    if (file == NULL || file->now.size >= sizeof text)
        return 0;
    memcpy(text, file->now.bytes, file->now.size);
    return (unsigned)strtoul(text, NULL, 10);
}

unsigned judge_forms(const struct judge *judge, struct simdisk *disk)
{
    const struct expectation *expect = &judge->expect;
    const struct simfile *file = sim_file(disk, SIM_DROP);
    struct oracle_reading reading;
    bool leftover = leftover_stands(disk);
    unsigned popbull = popbull_says(disk), forms = FORM_NONE;

    if (file == NULL || (file->inode != judge->drop_inode && file->inode != expect->old_inode && !judge->scenario->replace))
        return FORM_NONE;
    oracle_read((const char *)file->now.bytes, file->now.size, &reading);
    if (reads_as(&reading, &expect->before, judge->delivered) && leftover == expect->leftover &&
        (!expect->popbull || popbull == SCENARIO_POPBULL_BEFORE || judge->popbull_may_lag))
        forms |= FORM_BEFORE;
    if (reads_as(&reading, &expect->after, judge->delivered) && !leftover &&
        (!expect->popbull || popbull == SCENARIO_POPBULL_AFTER || judge->popbull_may_lag))
        forms |= FORM_AFTER;
    return forms;
}

unsigned judge_forms_begin(const struct judge *judge, struct simdisk *disk)
{
    const struct simfile *file = sim_file(disk, SIM_DROP);
    const struct letters *lists[] = { &judge->expect.before, &judge->expect.after };
    unsigned forms = FORM_NONE;

    for (size_t k = 0; file != NULL && k < 2; k++) {
        size_t at = 0;
        bool fits = true;

        for (size_t i = 0; fits && i < lists[k]->count; i++) {
            const struct strbuf *text = letter_text(lists[k]->letters[i].serial, lists[k]->letters[i].form);

            fits = file->now.size - at >= text->len && memcmp(file->now.bytes + at, text->data, text->len) == 0;
            at += text->len;
        }
        if (fits)
            forms |= k == 0 ? FORM_BEFORE : FORM_AFTER;
    }
    return forms;
}

enum journal_settled judge_recover(struct simdisk *disk, struct strbuf *why)
{
    int fd;

    sim = disk;
    fd = sim_fd(disk, SIM_DROP);
    return journal_recover(&fd, &sim_host, why);
}

unsigned judge_after_recovery(struct judge *judge, struct simdisk *disk, unsigned allowed)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    enum journal_settled settled = judge_recover(disk, &why);
    unsigned forms;

    if (settled != JOURNAL_SETTLED && disk->capacity > 0 &&
        judge->delivered > 0) { /* the mail took the last room: until somebody makes some */
        disk->capacity = 0;
        settled = judge_recover(disk, &why);
    }
    forms = judge_forms(judge, disk);

    judge->cases++;
    if (settled != JOURNAL_SETTLED)
        judge_fail(judge, disk, "recovery does not settle: %s", why.data);
    else if ((forms & allowed) == 0)
        judge_fail(judge, disk, "forms %u, allowed %u", forms, allowed);
    else if (disk->now[SIM_JOURNAL] >= 0 || disk->now[SIM_ORPHAN] >= 0)
        judge_fail(judge, disk, "a journal is left");
    strbuf_free(&why);
    return forms;
}
