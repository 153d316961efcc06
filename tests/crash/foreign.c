/*
 * foreign: see foreign.h.
 *
 * What may be asserted is weaker than after a crash alone, for the other program saw a torn maildrop:
 *   J set aside as orphan: M begins with the bytes that the other program left, byte for byte; nothing is deleted.
 *   Otherwise: M is one of the two forms, or what the other program left less line ends behind it.
 *   J held a committed T (full journal): every letter of T stands in M, whole.
 */
#include "config.h"

#include "tests/crash/foreign.h"

#include <stdio.h>
#include <string.h>

#include "common/digest.h"
#include "common/mem.h"
#include "mail/journal_record.h"
#include "tests/crash/crashes.h"
#include "tests/crash/oracle.h"

struct foreign {
    struct judge *judge;
    const struct simdisk *start;
    struct simdisk work, other, after;
};

/* The first letter of the new maildrop that T holds: from there on it differs from the old one. */
static size_t first_of_tail(const struct expectation *expect)
{
    size_t i = 0;

    while (i < expect->after.count && i < expect->before.count &&
           memcmp(&expect->after.letters[i], &expect->before.letters[i], sizeof expect->after.letters[i]) == 0)
        i++;
    return i;
}

/* A maildrop that is no mbox can be neither read nor added to: then J stays. */
static bool is_mbox(struct simdisk *disk)
{
    const struct simfile *file = sim_file(disk, SIM_DROP);

    return file == NULL || file->now.size == 0 || (file->now.size > 5 && memcmp(file->now.bytes, "From ", 5) == 0);
}

/* ---- the programs: each gets the disk after a crash and changes M durably */

static void replace_content(struct simdisk *disk, const void *bytes, size_t n)
{
    struct simfile *file = sim_file(disk, SIM_DROP);

    sim_file_truncate(file, 0);
    sim_file_write(file, 0, bytes, n);
    sim_file_sync(file);
}

static void empties(struct foreign *f, struct simdisk *disk)
{
    (void)f;
    replace_content(disk, "", 0);
}

static void empties_and_mail_comes(struct foreign *f, struct simdisk *disk)
{
    empties(f, disk);
    scenario_deliver(disk, SERIAL_DELIVERED);
}

/* A mail reader that deletes the first message it sees. */
static void deletes_first(struct foreign *f, struct simdisk *disk)
{
    const struct simfile *file = sim_file(disk, SIM_DROP);
    struct oracle_reading reading;
    struct strbuf rest = STRBUF_INIT(1000000);

    (void)f;
    oracle_read((const char *)file->now.bytes, file->now.size, &reading);
    if (reading.count > 1)
        strbuf_add(&rest, file->now.bytes + reading.messages[1].at, file->now.size - reading.messages[1].at);
    replace_content(disk, rest.data, rest.len);
    strbuf_free(&rest);
}

/* A mail reader that marks every message as seen. */
static void marks_seen(struct foreign *f, struct simdisk *disk)
{
    const struct simfile *file = sim_file(disk, SIM_DROP);
    struct oracle_reading reading;
    struct strbuf text = STRBUF_INIT(1000000);

    (void)f;
    oracle_read((const char *)file->now.bytes, file->now.size, &reading);
    for (size_t i = 0; i < reading.count; i++) {
        const struct oracle_message *message = &reading.messages[i];

        if (message->state == ORACLE_EXACT) {
            const struct strbuf *seen = letter_text(message->letter.serial, LETTER_SEEN);

            strbuf_add(&text, seen->data, seen->len);
        } else {
            strbuf_add(&text, file->now.bytes + message->at, message->n);
        }
    }
    replace_content(disk, text.data, text.len);
    strbuf_free(&text);
}

static void old_content(const struct foreign *f, struct strbuf *text, size_t letters)
{
    for (size_t i = 0; i < f->judge->expect.before.count && i < letters; i++) {
        const struct strbuf *letter = letter_text(f->judge->expect.before.letters[i].serial, LETTER_PLAIN);

        strbuf_add(text, letter->data, letter->len);
    }
}

/* cp from a backup: the same file with what it held before, or with less. */
static void restores_by_cp(struct foreign *f, struct simdisk *disk)
{
    struct strbuf text = STRBUF_INIT(1000000);

    old_content(f, &text, SIZE_MAX);
    replace_content(disk, text.data, text.len);
    strbuf_free(&text);
}

static void restores_older_by_cp(struct foreign *f, struct simdisk *disk)
{
    struct strbuf text = STRBUF_INIT(1000000);

    old_content(f, &text, 2);
    replace_content(disk, text.data, text.len);
    strbuf_free(&text);
}

/* mv from a backup: another file. */
static void restores_by_mv(struct foreign *f, struct simdisk *disk)
{
    struct strbuf text = STRBUF_INIT(1000000);

    old_content(f, &text, SIZE_MAX);
    sim_put(disk, SIM_DROP, text.data, text.len);
    strbuf_free(&text);
}

static void removes(struct foreign *f, struct simdisk *disk)
{
    (void)f;
    disk->now[SIM_DROP] = disk->disk[SIM_DROP] = -1;
}

/* Same length, other bytes: near the end, where nothing of ours was written perhaps. */
static void scribbles(struct foreign *f, struct simdisk *disk)
{
    struct simfile *file = sim_file(disk, SIM_DROP);

    (void)f;
    if (file->now.size < 60)
        return;
    for (size_t at = file->now.size / 3; at + 2 < file->now.size; at++)
        if (file->now.bytes[at] >= 'a' && file->now.bytes[at] < 'z')
            file->now.bytes[at]++;
    sim_file_write(file, 0, file->now.bytes, file->now.size);
    sim_file_sync(file);
}

/* One byte, in the first message that T holds. */
static void scribbles_once(struct foreign *f, struct simdisk *disk)
{
    struct simfile *file = sim_file(disk, SIM_DROP);
    size_t at = 150;

    for (size_t i = 0; i < first_of_tail(&f->judge->expect); i++)
        at += letter_text(f->judge->expect.after.letters[i].serial, f->judge->expect.after.letters[i].form)->len;
    if (at >= file->now.size || file->now.bytes[at] <= '\n' || !is_mbox(disk)) /* not into padding of ours */
        return;
    file->now.bytes[at] ^= 1;
    sim_file_write(file, at, file->now.bytes + at, 1);
    sim_file_sync(file);
}

static const struct program {
    const char *name;
    void (*run)(struct foreign *f, struct simdisk *disk);
} programs[] = {
    { "emptied", empties },
    { "emptied, then mail", empties_and_mail_comes },
    { "first message deleted", deletes_first },
    { "all marked as seen", marks_seen },
    { "restored by cp", restores_by_cp },
    { "restored shorter by cp", restores_older_by_cp },
    { "restored by mv", restores_by_mv },
    { "removed", removes },
    { "scribbled upon", scribbles },
    { "scribbled upon once", scribbles_once },
};

/* ---- what is asserted */

/* Whether J is committed and not done, and all of T is in it. */
static bool holds_tail(struct simdisk *disk)
{
    struct journal journal;
    bool holds = false;

    if (disk->now[SIM_JOURNAL] < 0)
        return false;
    sim = disk;
    if (journal_load(&journal, sim_fd(disk, SIM_JOURNAL)) == JOURNAL_LOADED)
        holds = (journal.phase == JOURNAL_COMMITTED || journal.phase == JOURNAL_COPIED) && journal.plan.count == 1 &&
                !journal.plan.segments[0].in_drop;
    journal_free(&journal);
    return holds;
}

static bool begins_with(const struct simbytes *bytes, const struct simbytes *beginning, size_t n)
{
    return bytes->size >= n && (n == 0 || memcmp(bytes->bytes, beginning->bytes, n) == 0);
}

static size_t without_line_ends(const struct simbytes *bytes)
{
    size_t n = bytes->size;

    while (n > 0 && (bytes->bytes[n - 1] == '\n' || bytes->bytes[n - 1] == '\0'))
        n--;
    return n;
}

static void assert_kept(struct foreign *f, struct simdisk *left, bool held_tail)
{
    struct judge *judge = f->judge;
    const struct simbytes nothing = { 0 };
    const struct simfile *file = sim_file(&f->after, SIM_DROP), *before = sim_file(left, SIM_DROP);
    const struct simbytes *now = file != NULL ? &file->now : &nothing, *was = before != NULL ? &before->now : &nothing;
    struct oracle_reading reading;

    if (f->after.now[SIM_ORPHAN] >= 0) {
        if (!begins_with(now, was, was->size))
            judge_fail(judge, &f->after, "an orphan was made, and the maildrop does not begin with what it held");
    } else if (judge_forms(judge, &f->after) == FORM_NONE &&
               !(begins_with(now, was, without_line_ends(was)) && without_line_ends(now) == without_line_ends(was))) {
        judge_fail(judge, &f->after, "neither form, nor what the other program left");
    }
    oracle_read((const char *)now->bytes, now->size, &reading);
    for (size_t i = first_of_tail(&judge->expect); held_tail && i < judge->expect.after.count; i++)
        if (oracle_count(&reading, judge->expect.after.letters[i].serial) == 0)
            judge_fail(judge, &f->after, "letter %u of the journal is nowhere", judge->expect.after.letters[i].serial);
}

/* f->other: the disk when the next login comes. */
static void judge_other(struct foreign *f)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    bool held_tail = holds_tail(&f->other);
    enum journal_settled settled;

    f->judge->cases++;
    sim_copy(&f->after, &f->other);
    settled = judge_recover(&f->after, &why);
    if (settled != JOURNAL_SETTLED && f->after.capacity > 0) { /* until somebody makes room */
        f->after.capacity = 0;
        settled = judge_recover(&f->after, &why);
    }
    if (settled == JOURNAL_SETTLED)
        assert_kept(f, &f->other, held_tail);
    else if (is_mbox(&f->other))
        judge_fail(f->judge, &f->after, "recovery does not settle: %s", why.data);
    strbuf_free(&why);
}

static void after_crash(struct simdisk *disk, void *context)
{
    struct foreign *f = context;
    size_t where = strlen(f->judge->where);

    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        snprintf(f->judge->where + where, sizeof f->judge->where - where, ", %s", programs[i].name);
        sim_copy(&f->other, disk);
        programs[i].run(f, &f->other);
        judge_other(f);
    }
    f->judge->where[where] = '\0';
}

/* ---- journals that came from elsewhere */

static void put_journal(struct foreign *f, const struct simdisk *from)
{
    const struct simfile *journal = &from->files[from->now[SIM_JOURNAL]];

    sim_put(&f->other, SIM_JOURNAL, journal->now.bytes, journal->now.size);
}

/* The journal as it stood after this call comes back when the update is long done, and when it is done and mail came,
   and beside another user's maildrop. */
static void journal_returns(struct foreign *f, const char *where)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct strbuf text = STRBUF_INIT(1000000);

    if (f->work.now[SIM_JOURNAL] < 0)
        return;
    sim_copy(&f->other, f->start);
    sim = &f->other;
    scenario_update(f->judge->scenario, &why);
    scenario_deliver(&f->other, SERIAL_DELIVERED);
    put_journal(f, &f->work);
    sim_restart(&f->other, false);
    snprintf(f->judge->where, sizeof f->judge->where, "%s, the journal comes back later", where);
    judge_other(f);
    sim_copy(&f->other, f->start);
    for (unsigned i = 0; i < 6; i++)
        strbuf_add(&text, letter_text(SERIAL_DELIVERED + 50 + i, LETTER_PLAIN)->data,
                   letter_text(SERIAL_DELIVERED + 50 + i, LETTER_PLAIN)->len);
    sim_put(&f->other, SIM_DROP, text.data, text.len);
    put_journal(f, &f->work);
    snprintf(f->judge->where, sizeof f->judge->where, "%s, the journal lies beside another maildrop", where);
    judge_other(f);
    strbuf_free(&text);
    strbuf_free(&why);
}

void foreign_programs(struct judge *judge, const struct simdisk *start, unsigned calls, bool is_long)
{
    struct crashes_limits limits = is_long ? (struct crashes_limits){ 4, 2 } : (struct crashes_limits){ 0, 1 };
    struct foreign *f = mem_new(1, sizeof *f);
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);

    f->judge = judge;
    f->start = start;
    sim_init(&f->work);
    sim_init(&f->other);
    sim_init(&f->after);
    for (unsigned n = 1; n <= calls; n++) {
        char where[60];

        sim_copy(&f->work, start);
        sim = &f->work;
        f->work.stop_after = n;
        scenario_update(judge->scenario, &why);
        snprintf(where, sizeof where, "stopped after call %u of %u", n, calls);
        snprintf(judge->where, sizeof judge->where, "%s", where);
        crashes_each(&f->work, &limits, after_crash, f);
        journal_returns(f, where);
    }
    sim_free(&f->work);
    sim_free(&f->other);
    sim_free(&f->after);
    mem_free(f);
    strbuf_free(&why);
}
