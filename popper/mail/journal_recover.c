/*
 * journal_recover: see journal.h. It decides, by what J says and what M is, which of the other rooms' work is to be
 * done:
 *
 *   no record             M is as it was: J is removed
 *   INTENT                newlines behind the old end are taken back (journal_undo), J is removed
 *   COMMIT, MARK, COPIED  M is the file J speaks of: go on where it stopped (journal_finish); otherwise journal_orphan
 *   DONE                  J is removed
 *   damage                journal_orphan: what J holds and M lacks is appended
 *
 * Whatever is read here was in the page cache or on the disk; both files are synced before anything is concluded.
 */
#include "config.h"

#include "mail/journal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "mail/filecalls.h"
#include "mail/journal_finish.h"
#include "mail/journal_orphan.h"
#include "mail/journal_record.h"
#include "mail/journal_tail.h"
#include "mail/journal_undo.h"

#define REST_MAX (1u << 20)

static enum journal_finished fail(const struct mailhost *host, struct strbuf *why, const char *what)
{
    strbuf_fail(why, "an update of %s broke off and cannot be finished now: %s: %s", journal_shown(host), what,
                strerror(errno));
    return JOURNAL_STOPPED;
}

/* 1: there are only zeros from the last record to the end; 0: something else; -1: error. */
static int rest_is_clean(const struct journal *journal, uint64_t size)
{
    unsigned char slot[JOURNAL_SLOT];
    ssize_t got;
    int clean = 1;

    for (uint64_t at = journal->end; clean == 1 && at < size; at += JOURNAL_SLOT) {
        got = filecalls_read(journal->fd, slot, sizeof slot, (off_t)at);
        if (got < 0)
            return -1;
        for (size_t i = 0; i < (size_t)got; i++)
            clean = clean && slot[i] == 0;
    }
    return clean;
}

/* Nothing behind the last record may ever count. A short rest is overwritten and not cut off, for its room may be the last that the disk has.
   Of a longer one, which its owner can make as long as he likes without any room, that much stays. */
static int clear_rest(const struct journal *journal)
{
    static const unsigned char zeros[JOURNAL_SLOT];
    struct stat st;
    uint64_t size;
    int clean;

    if (filecalls->fstat(journal->fd, &st) != 0)
        return -1;
    size = (uint64_t)st.st_size;
    if (size > journal->end + REST_MAX) {
        size = journal->end + REST_MAX;
        if (filecalls->ftruncate(journal->fd, (off_t)size) != 0)
            return -1;
    }
    clean = rest_is_clean(journal, size);
    if (clean != 0)
        return clean < 0 ? -1 : 0;
    for (uint64_t at = journal->end; at < size; at += JOURNAL_SLOT)
        if (filecalls_write(journal->fd, zeros, size - at < JOURNAL_SLOT ? (size_t)(size - at) : JOURNAL_SLOT,
                            (off_t)at) != 0)
            return -1;
    return 0;
}

/* After this, records may be appended, and what J says is on the disk. */
static enum journal_finished make_firm(struct journal *journal, const struct mailhost *host, struct strbuf *why)
{
    if (clear_rest(journal) != 0 || journal_refresh(journal) != 0 || filecalls->fsync(journal->fd) != 0)
        return fail(host, why, "cannot read and rewrite the journal");
    return JOURNAL_FINISHED;
}

static enum journal_finished settle_intent(struct journal *journal, int *drop_fd_r, const struct mailhost *host,
                                           struct strbuf *why)
{
    enum journal_undone undone = JOURNAL_UNDONE;

    if (*drop_fd_r >= 0)
        undone = journal_undo(journal, *drop_fd_r, host, why);
    if (undone == JOURNAL_UNDO_FAILED)
        return JOURNAL_STOPPED;
    if (journal->intent.orphan)
        return journal_orphan(journal, drop_fd_r, host, why);
    return undone == JOURNAL_UNDONE ? journal_retire(false, host, why) : JOURNAL_FINISHED;
}

static enum journal_finished settle_commit(struct journal *journal, int *drop_fd_r, const struct mailhost *host,
                                           struct strbuf *why)
{
    enum journal_finished result;
    int trusted = *drop_fd_r >= 0 ? journal_tail_trusted(journal, *drop_fd_r) : 0;

    if (trusted < 0)
        return fail(host, why, "cannot read it or its journal");
    if (!trusted)
        return journal_orphan(journal, drop_fd_r, host, why);
    result = journal_finish(journal, *drop_fd_r, host, why);
    if (result == JOURNAL_FINISHED && journal->commit.more)
        return journal_orphan(journal, drop_fd_r, host, why);
    if (result == JOURNAL_FINISHED)
        log_write(LOG_NOTICE, "an update of %s that had broken off was finished", journal_shown(host));
    return result;
}

static enum journal_finished settle_loaded(struct journal *journal, int *drop_fd_r, const struct mailhost *host,
                                           struct strbuf *why)
{
    if (journal->phase == JOURNAL_DONE)
        return journal_retire(journal->commit.orphan, host, why);
    if (journal->phase == JOURNAL_EMPTY)
        return journal_retire(journal->damaged, host, why);
    if (make_firm(journal, host, why) != JOURNAL_FINISHED)
        return JOURNAL_STOPPED;
    if (journal->damaged)
        return journal_orphan(journal, drop_fd_r, host, why);
    if (journal->phase == JOURNAL_INTENT)
        return settle_intent(journal, drop_fd_r, host, why);
    return settle_commit(journal, drop_fd_r, host, why);
}

static enum journal_finished settle(int journal_fd, int *drop_fd_r, const struct mailhost *host, struct strbuf *why)
{
    struct journal journal;
    enum journal_finished result = JOURNAL_STOPPED;

    if ((*drop_fd_r >= 0 && filecalls->fsync(*drop_fd_r) != 0) || filecalls->fsync(journal_fd) != 0)
        return fail(host, why, "cannot sync");
    if (host->sync_dir(host->context, MAILFILE_JOURNAL, why) != 0)
        return JOURNAL_STOPPED;
    switch (journal_load(&journal, journal_fd)) {
    case JOURNAL_LOADED:
        result = settle_loaded(&journal, drop_fd_r, host, why);
        break;
    case JOURNAL_FOREIGN:
        log_write(LOG_WARNING, "the journal beside %s is no journal of ours; set aside as .orphan",
                  journal_shown(host));
        result = journal_retire(true, host, why);
        break;
    case JOURNAL_NEWER:
        strbuf_fail(why,
                    "the journal beside %s was written by a newer popper; let that one finish it (popper --recover)",
                    journal_shown(host));
        break;
    case JOURNAL_LOAD_IO:
        result = fail(host, why, "cannot read the journal");
        break;
    }
    journal_free(&journal);
    return result;
}

enum journal_settled journal_recover(int *drop_fd_r, const struct mailhost *host, struct strbuf *why)
{
    enum journal_finished result;
    int fd = host->open(host->context, MAILFILE_JOURNAL, MAILOPEN_EXISTING, why);

    if (fd < 0)
        return errno == ENOENT ? JOURNAL_SETTLED : JOURNAL_UNSETTLED;
    result = settle(fd, drop_fd_r, host, why);
    close(fd);
    return result == JOURNAL_FINISHED ? JOURNAL_SETTLED : JOURNAL_UNSETTLED;
}
