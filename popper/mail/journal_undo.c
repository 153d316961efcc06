/*
 * journal_undo: see journal_undo.h. What a torn extension leaves behind the old end are newlines or, where only the new
 * size reached the disk, NULs; then perhaps the mail that a delivery agent appended to that.
 */
#include "config.h"

#include "mail/journal_undo.h"

#include <errno.h>
#include <string.h>

#include "common/mem.h"
#include "mail/filecalls.h"
#include "mail/journal_finish.h"
#include "mail/journal_tail.h"

#define EXTEND_BLOCK 65536u

int journal_extend(int drop_fd, uint64_t from, uint64_t to)
{
    char *block = mem_new(EXTEND_BLOCK, 1);
    int result = 0;

    memset(block, '\n', EXTEND_BLOCK);
    while (result == 0 && from < to) {
        size_t n = to - from < EXTEND_BLOCK ? (size_t)(to - from) : EXTEND_BLOCK;

        result = filecalls_write(drop_fd, block, n, (off_t)from);
        from += n;
    }
    mem_free(block);
    return result != 0 ? result : filecalls->fsync(drop_fd);
}

/* The first byte of from..to that we did not put there, or to. -1 with errno. */
static int end_of_padding(int drop_fd, uint64_t from, uint64_t to, uint64_t *end_r)
{
    char block[4096];

    while (from < to) {
        size_t n = to - from < sizeof block ? (size_t)(to - from) : sizeof block, i = 0;
        ssize_t got = filecalls_read(drop_fd, block, n, (off_t)from);

        if (got < 0)
            return -1;
        while (i < (size_t)got && (block[i] == '\n' || block[i] == '\0'))
            i++;
        from += i;
        if (i < (size_t)got || got == 0)
            break;
    }
    *end_r = from;
    return 0;
}

/* 1: M is the file that the INTENT speaks of, and longer than it was. */
static int extended(const struct journal_intent *intent, int drop_fd, uint64_t *size_r)
{
    struct journal_identity identity;
    struct stat st;
    uint64_t before;

    if (journal_identify(drop_fd, &st, &identity) != 0)
        return -1;
    *size_r = (uint64_t)st.st_size;
    if (!journal_same_file(&identity, &intent->identity) || *size_r <= intent->old_end ||
        intent->intent_end == intent->old_end)
        return 0;
    if (journal_sum_before(drop_fd, intent->old_end, &before) != 0)
        return -1;
    return before == intent->before;
}

/* Mail stands behind the newlines: it moves down by an update whose journal is this one. */
static enum journal_undone close_gap(struct journal *journal, int drop_fd, uint64_t end, uint64_t start,
                                     size_t newlines, uint64_t size, const struct mailhost *host, struct strbuf *why)
{
    struct journal_commit commit = { .first = journal->intent.old_end,
                                     .old_end = size,
                                     .more = journal->intent.orphan };
    struct journal_plan plan = { 0 };
    uint64_t at;
    bool doubt;
    int result;

    commit.new_end = commit.first + newlines + (size - start);
    if (journal_extend(drop_fd, journal->intent.old_end, end) != 0) { /* so that the disk holds what the samples say */
        strbuf_fail(why, "cannot undo a broken update of %s: %s", journal_shown(host), strerror(errno));
        return JOURNAL_UNDO_FAILED;
    }
    if (journal_append_data(journal, newlines + (size - start), &at) != 0 ||
        filecalls_write(journal->fd, "\n\n", newlines, (off_t)at) != 0 ||
        filecalls_copy(drop_fd, (off_t)start, journal->fd, (off_t)(at + newlines), size - start) != 0) {
        strbuf_fail(why, "cannot undo a broken update of %s: cannot write the journal: %s", journal_shown(host),
                    strerror(errno));
        return JOURNAL_UNDO_FAILED;
    }
    journal_add_segment(&plan, at, newlines + (size - start), false);
    result = journal_seal(journal, drop_fd, &commit, &plan, JOURNAL_SAMPLES_MAX / JOURNAL_SAMPLE, &doubt, why);
    mem_free(plan.segments);
    if (result != 0 || journal_finish(journal, drop_fd, host, why) != JOURNAL_FINISHED)
        return JOURNAL_UNDO_FAILED;
    return JOURNAL_UNDONE_UPDATE;
}

static enum journal_undone failed(const struct mailhost *host, struct strbuf *why)
{
    strbuf_fail(why, "cannot undo a broken update of %s: %s", journal_shown(host), strerror(errno));
    return JOURNAL_UNDO_FAILED;
}

enum journal_undone journal_undo(struct journal *journal, int drop_fd, const struct mailhost *host, struct strbuf *why)
{
    uint64_t old_end = journal->intent.old_end, size, end, start;
    int is_longer = extended(&journal->intent, drop_fd, &size);
    size_t newlines, n = old_end < 2 ? (size_t)old_end : 2;
    char before[2];

    if (is_longer == 0)
        return JOURNAL_UNDONE;
    if (is_longer < 0 ||
        end_of_padding(drop_fd, old_end, size < journal->intent.intent_end ? size : journal->intent.intent_end, &end) !=
            0)
        return failed(host, why);
    if (end == size) {
        if (filecalls->ftruncate(drop_fd, (off_t)old_end) != 0 || filecalls->fsync(drop_fd) != 0)
            return failed(host, why);
        return JOURNAL_UNDONE;
    }
    if (filecalls_read(drop_fd, before, n, (off_t)(old_end - n)) != (ssize_t)n ||
        journal_join(drop_fd, end, size, before, n, &start, &newlines) != 0)
        return failed(host, why);
    if (start < old_end + newlines || start - old_end == newlines)
        return JOURNAL_UNDONE;
    return close_gap(journal, drop_fd, end, start, newlines, size, host, why);
}
