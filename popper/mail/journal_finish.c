/*
 * journal_finish: see journal_finish.h. Every step is durable before the next begins:
 *   T over M (in batches with marks where bytes move inside M), nonce at N - sync M - COPIED - sync J
 *   the size is still E and the dot lock is ours - cut to N - sync M
 *   what goes along - DONE - sync J - remove J
 * A failed sync is never tried again: J stays, and recovery writes everything once more.
 */
#include "config.h"

#include "mail/journal_finish.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"
#include "mail/bulletin.h"
#include "mail/filecalls.h"
#include "mail/journal_tail.h"

#define ROUNDS 8 /* how often mail may arrive without our locks while we work, before we leave it to the next login */

const char *journal_shown(const struct mailhost *host)
{
    return host->shown != NULL ? host->shown : "the maildrop";
}

static enum journal_finished stop(struct strbuf *why, const struct mailhost *host, const char *what)
{
    strbuf_fail(why, "updating %s: %s: %s; the journal is kept and the next login goes on from there",
                journal_shown(host), what, strerror(errno));
    return JOURNAL_STOPPED;
}

/* ---- COMMIT */

int journal_seal(struct journal *journal, int drop_fd, struct journal_commit *commit, const struct journal_plan *plan,
                 size_t samples, bool *doubt_r, struct strbuf *why)
{
    struct stat st;

    *doubt_r = false;
    if ((samples > 0 && journal_append_samples(journal, drop_fd, commit->first, commit->old_end, samples) != 0) ||
        journal_append_plan(journal, plan) != 0 || journal_identify(drop_fd, &st, &commit->identity) != 0 ||
        journal_sum_before(drop_fd, commit->first, &commit->before) != 0 ||
        journal_sum_before(drop_fd, commit->first + commit->moved, &commit->moved_sum) != 0 ||
        journal_data_sum(journal, journal->data_count, &commit->data_sum) != 0)
        return strbuf_fail(why, "cannot write the journal: %s", strerror(errno));
    if (filecalls->fsync(journal->fd) != 0)
        return strbuf_fail(why, "cannot sync the journal: %s", strerror(errno));
    *doubt_r = true;
    if (journal_append_commit(journal, commit) != 0)
        return strbuf_fail(why, "cannot write the journal: %s", strerror(errno));
    if (filecalls->fsync(journal->fd) != 0)
        return strbuf_fail(why, "cannot sync the journal: %s", strerror(errno));
    return 0;
}

/* ---- step 4 */

/* Copies what has not moved yet. Where T moves inside M each batch is durable and marked before the next may overwrite
 * its source. */
static int copy_tail(struct journal *journal, int drop_fd, const struct mailhost *host)
{
    uint64_t length = journal->commit.new_end - journal->commit.first;
    bool moves = journal_tail_moves(journal);

    for (uint64_t pos = journal->moved; pos < length;) {
        bool in_place;
        uint64_t sum, n = journal_tail_batch(journal, pos, &in_place);

        if (!in_place && journal_tail_copy(journal, drop_fd, pos, n) != 0)
            return -1;
        pos += n;
        if (!moves || in_place)
            continue;
        if (filecalls->fdatasync(drop_fd) != 0 || journal_sum_before(drop_fd, journal->commit.first + pos, &sum) != 0 ||
            journal_append_mark(journal, pos, sum) != 0 || filecalls->fdatasync(journal->fd) != 0)
            return -1;
        host->lock_is_ours(host->context); /* keeps the dot lock fresh; whether it is ours is asked before the cut */
    }
    return 0;
}

static int copy_and_mark(struct journal *journal, int drop_fd, const struct mailhost *host)
{
    uint64_t end = journal->commit.new_end, sum;
    size_t nonce = journal_nonce_length(journal);

    if (copy_tail(journal, drop_fd, host) != 0)
        return -1;
    if (nonce > 0 && filecalls_write(drop_fd, journal->nonce, nonce, (off_t)end) != 0)
        return -1;
    if (filecalls->fsync(drop_fd) != 0 || journal_sum_before(drop_fd, end, &sum) != 0)
        return -1;
    if (journal_append_copied(journal, sum) != 0)
        return -1;
    return filecalls->fsync(journal->fd);
}

/* ---- mail behind the old end */

/* The last (at most two) bytes before position `at` of what M will hold. */
static int end_before(const struct journal *journal, int drop_fd, char end[2], size_t *n_r)
{
    const struct journal_commit *commit = &journal->commit;
    uint64_t length = commit->new_end - commit->first;

    *n_r = 0;
    for (uint64_t back = commit->new_end < 2 ? commit->new_end : 2; back > 0; back--) {
        uint64_t at = commit->new_end - back;
        bool in_drop = at < commit->first + journal->moved;

        if (in_drop ? filecalls_read(drop_fd, end + *n_r, 1, (off_t)at) != 1
                    : journal_tail_read(journal, drop_fd, length - back, end + *n_r, 1) != 0)
            return -1;
        (*n_r)++;
    }
    return 0;
}

size_t journal_lacking(const char *end, size_t n)
{
    if (n == 0)
        return 0;
    if (end[n - 1] != '\n')
        return 2;
    return n > 1 && end[n - 2] == '\n' ? 0 : 1;
}

int journal_join(int drop_fd, uint64_t from, uint64_t to, const char *before, size_t before_len, uint64_t *start_r,
                 size_t *newlines_r)
{
    char bytes[256];
    uint64_t at = from;
    ssize_t got;

    *start_r = from;
    *newlines_r = 0;
    while ((got = filecalls_read(drop_fd, bytes, to - at < sizeof bytes ? (size_t)(to - at) : sizeof bytes,
                                 (off_t)at)) > 0) {
        size_t skip = 0;

        while (skip < (size_t)got && bytes[skip] == '\n')
            skip++;
        at += skip;
        if (skip < (size_t)got)
            break;
    }
    if (got > 0)
        got = filecalls_read(drop_fd, bytes, 5, (off_t)at);
    if (got == 5 && to - at >= 5 && memcmp(bytes, "From ", 5) == 0) {
        *start_r = at;
        *newlines_r = journal_lacking(before, before_len);
    }
    return got < 0 ? -1 : 0;
}

/* Bytes first (into J where there is room, otherwise they move inside M), then the record that makes them part of T. */
static int keep_new_mail(struct journal *journal, int drop_fd, uint64_t size, struct strbuf *why)
{
    struct journal_commit commit = journal->commit;
    struct journal_plan plan = { 0 };
    char end[2];
    size_t end_len, newlines;
    uint64_t start, at, length, room;
    bool in_journal, doubt;
    int result;

    if (end_before(journal, drop_fd, end, &end_len) != 0 ||
        journal_join(drop_fd, commit.old_end, size, end, end_len, &start, &newlines) != 0)
        return strbuf_fail(why, "cannot read new mail: %s", strerror(errno));
    if (commit.new_end + newlines > start)
        newlines = (size_t)(start - commit.new_end);
    length = size - start;
    if (filecalls->fsync(drop_fd) != 0)
        return strbuf_fail(why, "cannot sync new mail: %s", strerror(errno));
    room = journal_data_room(newlines + length) + journal_room(0, 0, journal->plan.count + 2, true);
    in_journal = filecalls->reserve(journal->fd, (off_t)journal->end, (off_t)room) == 0;
    if (journal_append_data(journal, newlines + (in_journal ? length : 0), &at) != 0 ||
        filecalls_write(journal->fd, "\n\n", newlines, (off_t)at) != 0 ||
        (in_journal && filecalls_copy(drop_fd, (off_t)start, journal->fd, (off_t)(at + newlines), length) != 0))
        return strbuf_fail(why, "cannot add new mail to the journal: %s", strerror(errno));
    journal_copy_plan(&plan, &journal->plan);
    if (newlines + (in_journal ? length : 0) > 0)
        journal_add_segment(&plan, at, newlines + (in_journal ? length : 0), false);
    if (!in_journal)
        journal_add_segment(&plan, start, length, true);
    if (commit.loose_to == 0)
        commit.loose_from = commit.new_end;
    commit.loose_to = commit.new_end + JOURNAL_NONCE;
    commit.old_end = size;
    commit.new_end += newlines + length;
    commit.moved = journal->moved;
    result = journal_seal(journal, drop_fd, &commit, &plan, 0, &doubt, why);
    mem_free(plan.segments);
    if (result == 0)
        log_write(LOG_NOTICE, "mail that arrived during an update (%llu bytes) was kept", (unsigned long long)length);
    return result;
}

/* ---- step 5 */

static int file_size(int fd, uint64_t *size_r)
{
    struct stat st;

    if (filecalls->fstat(fd, &st) != 0)
        return -1;
    *size_r = (uint64_t)st.st_size;
    return 0;
}

enum stage { STAGE_COPY, STAGE_CUT, STAGE_DONE, STAGE_GREW, STAGE_SHRANK, STAGE_ERROR };

/* What is to be done next, by the journal and by M as it is now. */
static enum stage next_stage(const struct journal *journal, int drop_fd, uint64_t *size_r)
{
    const struct journal_commit *commit = &journal->commit;
    uint64_t size;
    int stands = 1;

    if (file_size(drop_fd, &size) != 0)
        return STAGE_ERROR;
    *size_r = size;
    if (journal->phase == JOURNAL_COPIED) {
        if (commit->new_end == commit->old_end)
            return size < commit->new_end ? STAGE_SHRANK : STAGE_DONE;
        stands = journal_nonce_stands(journal, drop_fd);
        if (stands <= 0)
            return stands < 0 ? STAGE_ERROR : size < commit->new_end ? STAGE_SHRANK : STAGE_DONE;
    }
    if (size != commit->old_end)
        return size < commit->old_end ? STAGE_SHRANK : STAGE_GREW;
    return journal->phase == JOURNAL_COPIED ? STAGE_CUT : STAGE_COPY;
}

static int cut(const struct journal *journal, int drop_fd)
{
    if (filecalls->ftruncate(drop_fd, (off_t)journal->commit.new_end) != 0)
        return -1;
    return filecalls->fsync(drop_fd);
}

static enum journal_finished bring_about(struct journal *journal, int drop_fd, const struct mailhost *host,
                                         struct strbuf *why)
{
    uint64_t size;

    for (int round = 0; round < 3 * ROUNDS; round++) {
        switch (next_stage(journal, drop_fd, &size)) {
        case STAGE_COPY:
            if (copy_and_mark(journal, drop_fd, host) != 0)
                return stop(why, host, "cannot write the new content");
            break;
        case STAGE_GREW:
            if (keep_new_mail(journal, drop_fd, size, why) != 0)
                return JOURNAL_STOPPED;
            break;
        case STAGE_CUT:
            if (!host->lock_is_ours(host->context)) {
                strbuf_fail(why, "updating %s: somebody broke our dot lock; the next login goes on",
                            journal_shown(host));
                return JOURNAL_STOPPED;
            }
            if (next_stage(journal, drop_fd, &size) != STAGE_CUT)
                break;
            return cut(journal, drop_fd) == 0 ? JOURNAL_FINISHED : stop(why, host, "cannot cut it to its new size");
        case STAGE_DONE:
            return JOURNAL_FINISHED;
        case STAGE_SHRANK:
            strbuf_fail(why, "%s was shortened by another program during the update; the next login looks into it",
                        journal_shown(host));
            return JOURNAL_STOPPED;
        case STAGE_ERROR:
            return stop(why, host, "cannot read it");
        }
    }
    strbuf_fail(why, "updating %s: another program keeps writing to it without our locks", journal_shown(host));
    return JOURNAL_STOPPED;
}

/* ---- what goes along */

/* The old temp drop whose mail is in M now. Another file of that name (temp-dir may have changed) is left alone. */
static int consume_leftover(const struct journal_commit *commit, const struct mailhost *host, struct strbuf *why)
{
    struct stat st;
    int fd, result = 0;

    if (commit->leftover_inode == 0)
        return 0;
    fd = host->open(host->context, MAILFILE_TEMPDROP, MAILOPEN_EXISTING, why);
    if (fd < 0)
        return errno == ENOENT ? 0 : -1;
    if (filecalls->fstat(fd, &st) != 0) {
        result = strbuf_fail(why, "cannot look at the old temp drop beside %s: %s", journal_shown(host),
                             strerror(errno));
    } else if ((uint64_t)st.st_ino == commit->leftover_inode &&
               ((uint64_t)st.st_size == commit->leftover_size || st.st_size == 0)) {
        if (filecalls->ftruncate(fd, 0) != 0 || filecalls->fsync(fd) != 0)
            result = strbuf_fail(why, "cannot empty the old temp drop beside %s: %s", journal_shown(host),
                                 strerror(errno));
        else
            result = host->remove(host->context, MAILFILE_TEMPDROP, why);
    } else {
        log_write(LOG_NOTICE, "the temp drop of %s is not the one whose mail was taken over; left alone",
                  journal_shown(host));
    }
    close(fd);
    return result;
}

/* ---- the end */

enum journal_finished journal_retire(bool keep, const struct mailhost *host, struct strbuf *why)
{
    if ((keep ? host->set_aside : host->remove)(host->context, MAILFILE_JOURNAL, why) == 0)
        return JOURNAL_FINISHED;
    return JOURNAL_STOPPED;
}

/* M is right. A J that cannot say so any more must at least be gone for good before anybody changes M. */
static enum journal_finished say_done(struct journal *journal, const struct mailhost *host, struct strbuf *why)
{
    struct strbuf ignored = STRBUF_INIT(STRBUF_WHY_MAX);
    bool said = journal_append_done(journal) == 0 && filecalls->fsync(journal->fd) == 0;
    enum journal_finished result = journal_retire(journal->commit.orphan, host, why);

    if (said && result != JOURNAL_FINISHED) {
        log_write(LOG_WARNING, "%s is right, but its journal cannot be removed: %s", journal_shown(host), why->data);
        result = JOURNAL_FINISHED;
    }
    if (!said && result == JOURNAL_FINISHED && host->sync_dir(host->context, MAILFILE_JOURNAL, &ignored) != 0)
        result = stop(why, host, "cannot remove the journal for good");
    strbuf_free(&ignored);
    return result;
}

enum journal_finished journal_finish(struct journal *journal, int drop_fd, const struct mailhost *host,
                                     struct strbuf *why)
{
    if (bring_about(journal, drop_fd, host, why) != JOURNAL_FINISHED)
        return JOURNAL_STOPPED;
    if (journal->commit.more)
        return JOURNAL_FINISHED;
    if (consume_leftover(&journal->commit, host, why) != 0)
        return JOURNAL_STOPPED;
    /* That this fails is no reason to lock the user out: a bulletin whose id stands in M is not shown twice. */
    if (journal->commit.set_popbull)
        bulletin_note(journal->commit.popbull, host);
    return say_done(journal, host, why);
}
