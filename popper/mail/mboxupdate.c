/*
 * mboxupdate: see mboxupdate.h. It prepares and commits; from the COMMIT on journal_finish does the work, in UPDATE as
 * in recovery.
 *
 *   room for J is reserved: enough for the full journal, or for as much of the move-down variant as the disk has room
 * for INTENT, T (or what of it goes through J) M grows: sync J and its name - append newlines to M - sync M samples and
 * plan - sync J - COMMIT - sync J Until the COMMIT is synced nothing of M below its old end was written. A failure
 * takes back the newlines and drops J.
 */
#include "config.h"

#include "mail/mboxupdate.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "mail/filecalls.h"
#include "mail/journal_finish.h"
#include "mail/journal_record.h"
#include "mail/journal_tail.h"
#include "mail/journal_undo.h"
#include "mail/mboxlayout.h"

/* Room in J for mail that may arrive while we work (its records, not its bytes), and samples: less and less, as the
   disk is fuller. At last J takes eight slots: one block of most file systems. */
static const struct tightness {
    uint64_t spare;
    size_t samples;
} tightness[] = { { 8192, JOURNAL_SAMPLES_MAX / JOURNAL_SAMPLE }, { 4096, 8 }, { 0, 8 } };
#define TIGHTEST 2u

struct update {
    int drop_fd;
    uint64_t size;  /* E */
    uint64_t first; /* f, at the start of a message */
    const struct mboxplan *plan;
    const struct mboxupdate_along *along;
    const struct mailhost *host;
    struct strbuf *why;
    uint64_t move_above;
    struct mboxlayout layout;
    unsigned tight;     /* index into tightness */
    bool extended;      /* newlines may stand behind E */
    uint64_t commit_at; /* where the COMMIT goes in J; 0: it was not tried */
    struct journal journal;
};

static enum mboxupdate_result failed(struct update *u, const char *what)
{
    strbuf_fail(u->why, "%s was not changed: %s: %s", journal_shown(u->host), what, strerror(errno));
    return MBOXUPDATE_FAILED;
}

/* ---- room for J */

static int reserve(struct update *u, int journal_fd)
{
    const struct mboxlayout *layout = &u->layout;
    const struct tightness *tight = &tightness[u->tight];
    uint64_t room = journal_room(layout->stored, tight->samples * JOURNAL_SAMPLE, layout->plan.count,
                                 layout->batches > 0);

    return filecalls->reserve(journal_fd, 0, (off_t)(room + tight->spare));
}

static bool no_space(void)
{
    return errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
}

/* Each smaller gap lets more move inside M, and takes more batches. */
static const uint64_t gaps[] = { UINT64_C(64) << 20, 16 << 20, 4 << 20, 1 << 20, 256 << 10,
                                 64 << 10,           16 << 10, 4 << 10, 1 << 10, 1 };

static void take_layout(struct update *u, uint64_t gap)
{
    mboxlayout_free(&u->layout);
    mboxlayout_make(&u->layout, u->plan, u->drop_fd, u->first, gap);
}

/* The layout that costs least; the full journal unless T is long. */
static void choose_layout(struct update *u)
{
    uint64_t best_gap = MBOXLAYOUT_FULL, best_cost;

    take_layout(u, MBOXLAYOUT_FULL);
    best_cost = mboxlayout_cost(&u->layout);
    if (u->plan->length - u->first <= u->move_above || u->move_above == UINT64_MAX)
        return;
    for (size_t i = 0; i < sizeof gaps / sizeof *gaps; i++) {
        take_layout(u, gaps[i]);
        if (u->layout.batches < MBOXLAYOUT_BATCHES_MAX &&
            (u->move_above == 0 || mboxlayout_cost(&u->layout) < best_cost)) {
            best_cost = mboxlayout_cost(&u->layout);
            best_gap = gaps[i];
        }
    }
    take_layout(u, best_gap);
}

/* With what the disk has: less and less goes through J, and J holds less and less beside. */
static int make_little_room(struct update *u, int journal_fd)
{
    uint64_t tried = u->layout.stored;

    for (size_t i = 0; no_space() && i < sizeof gaps / sizeof *gaps; i++) {
        int error = errno;

        take_layout(u, gaps[i]);
        errno = error;
        if (u->layout.stored >= tried || u->layout.batches >= MBOXLAYOUT_BATCHES_MAX)
            continue;
        tried = u->layout.stored;
        if (reserve(u, journal_fd) == 0)
            return 0;
    }
    while (no_space() && u->layout.batches < MBOXLAYOUT_BATCHES_MAX && u->tight < TIGHTEST) {
        u->tight++;
        if (reserve(u, journal_fd) == 0)
            return 0;
    }
    return -1;
}

/* What the spare file takes up is free after this, for it is durable. */
static int empty_spare(const struct update *u)
{
    int error = errno;

    if (!no_space() || !u->along->may_empty_spare)
        return -1;
    if (filecalls->ftruncate(u->along->spare_fd, 0) == 0 && filecalls->fsync(u->along->spare_fd) == 0)
        return 0;
    errno = error;
    return -1;
}

static int make_room(struct update *u, int journal_fd)
{
    choose_layout(u);
    if (reserve(u, journal_fd) == 0)
        return 0;
    if (make_little_room(u, journal_fd) == 0)
        return 0;
    if (empty_spare(u) != 0)
        return -1;
    return reserve(u, journal_fd);
}

/* ---- before the COMMIT */

/* The temp drop whose mail is in T, so that recovery consumes that one and no other. A server that is not dead after all may have written to it, or put its
   mail back into M and removed it: it stood in M twice then. */
static int note_leftover(const struct update *u, struct journal_commit *commit)
{
    struct stat named, read;
    int fd, result;

    if (!u->along->leftover_consumed)
        return 0;
    fd = u->host->open(u->host->context, MAILFILE_TEMPDROP, MAILOPEN_EXISTING, u->why);
    if (fd < 0) {
        errno = errno == ENOENT ? EBUSY : errno;
        return -1;
    }
    result = filecalls->fstat(fd, &named) != 0 || filecalls->fstat(u->along->leftover_fd, &read) != 0 ? -1 : 0;
    close(fd);
    if (result == 0 && (!file_same(&named, &read) || (uint64_t)named.st_size != u->along->leftover_size)) {
        errno = EBUSY;
        return -1;
    }
    commit->leftover_inode = (uint64_t)named.st_ino;
    commit->leftover_size = (uint64_t)named.st_size;
    return result;
}

static int write_tail(struct update *u)
{
    struct journal_intent intent = { .old_end = u->size,
                                     .intent_end = u->plan->length > u->size ? u->plan->length : u->size };
    struct stat st;
    uint64_t at = 0;

    if (journal_identify(u->drop_fd, &st, &intent.identity) != 0 ||
        journal_sum_before(u->drop_fd, u->size, &intent.before) != 0 ||
        journal_append_intent(&u->journal, &intent) != 0)
        return -1;
    if (u->layout.stored > 0 && journal_append_data(&u->journal, u->layout.stored, &at) != 0)
        return -1;
    return mboxlayout_store(&u->layout, u->plan, u->drop_fd, u->first, u->journal.fd, at);
}

static int still_its_size(const struct update *u)
{
    struct stat st;

    if (filecalls->fstat(u->drop_fd, &st) != 0)
        return -1;
    errno = EBUSY;
    return (uint64_t)st.st_size == u->size ? 0 : -1;
}

static int grow(struct update *u)
{
    if (u->plan->length <= u->size)
        return 0;
    if (filecalls->fsync(u->journal.fd) != 0 || still_its_size(u) != 0)
        return -1;
    u->extended = true;
    return journal_extend(u->drop_fd, u->size, u->plan->length);
}

static int commit(struct update *u)
{
    struct journal_commit record = {
        .first = u->first,
        .old_end = u->plan->length > u->size ? u->plan->length : u->size,
        .new_end = u->plan->length,
        .set_popbull = u->along->set_popbull,
        .popbull = u->along->popbull,
    };
    bool doubt;
    int result;

    if (note_leftover(u, &record) != 0) {
        if (errno == EBUSY)
            return strbuf_fail(u->why, "the old temp drop beside %s has changed or was removed since it was read; log in again",
                               journal_shown(u->host));
        return strbuf_fail(u->why, "cannot look at the old temp drop beside %s: %s", journal_shown(u->host),
                           strerror(errno));
    }
    result = journal_seal(&u->journal, u->drop_fd, &record, &u->layout.plan, tightness[u->tight].samples, &doubt,
                          u->why);
    if (result != 0 && doubt)
        u->commit_at = u->journal.phase == JOURNAL_COMMITTED ? u->journal.end - JOURNAL_SLOT : u->journal.end;
    return result;
}

/* Nothing was committed, and it stays that way. */
static enum mboxupdate_result give_up(struct update *u)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    enum journal_undone undone = JOURNAL_UNDONE;
    enum mboxupdate_result result = MBOXUPDATE_FAILED;

    if (u->commit_at > 0) { /* a COMMIT whose sync failed may be on the disk all the same */
        u->journal.end = u->commit_at;
        if (journal_cut(&u->journal) != 0 || filecalls->fsync(u->journal.fd) != 0)
            return MBOXUPDATE_UNSETTLED;
    }
    if (u->extended)
        undone = journal_undo(&u->journal, u->drop_fd, u->host, &why);
    if (undone == JOURNAL_UNDO_FAILED)
        result = MBOXUPDATE_UNSETTLED;
    else if (undone == JOURNAL_UNDONE && u->host->remove(u->host->context, MAILFILE_JOURNAL, &why) == 0)
        u->host->sync_dir(u->host->context, MAILFILE_JOURNAL,
                          &why); /* a J that comes back says nothing about an M that changed since */
    if (result != MBOXUPDATE_FAILED)
        strbuf_fail(u->why, "%s; %s", u->why->data, why.data);
    strbuf_free(&why);
    return result;
}

static enum mboxupdate_result with_journal(struct update *u, int journal_fd)
{
    if (make_room(u, journal_fd) != 0) {
        failed(u, "no room for its journal");
        u->journal.fd = journal_fd;
        return give_up(u);
    }
    if (journal_start(&u->journal, journal_fd) != 0 || write_tail(u) != 0) {
        failed(u, "cannot write its journal");
        return give_up(u);
    }
    if (u->host->sync_dir(u->host->context, MAILFILE_JOURNAL, u->why) != 0)
        return give_up(u);
    if (grow(u) != 0) {
        failed(u, "cannot make it longer");
        return give_up(u);
    }
    if (commit(u) != 0)
        return give_up(u);
    /* M may have grown by now: journal_finish looks. */
    return journal_finish(&u->journal, u->drop_fd, u->host, u->why) == JOURNAL_FINISHED ? MBOXUPDATE_DONE
                                                                                        : MBOXUPDATE_UNSETTLED;
}

static enum mboxupdate_result update_by_journal(struct update *u)
{
    enum mboxupdate_result result;
    int fd = u->host->open(u->host->context, MAILFILE_JOURNAL, MAILOPEN_NEW, u->why);

    if (fd < 0 && errno == EEXIST)
        strbuf_fail(u->why,
                    "%s was not changed: the journal of an earlier update is still there; the next login settles it",
                    journal_shown(u->host));
    if (fd < 0)
        return MBOXUPDATE_FAILED;
    result = with_journal(u, fd);
    journal_free(&u->journal);
    mboxlayout_free(&u->layout);
    close(fd);
    return result;
}

/* ---- without J */

static enum mboxupdate_result cut_to_prefix(struct update *u)
{
    if (still_its_size(u) != 0)
        return failed(u, "somebody wrote to it without our locks");
    if (filecalls->ftruncate(u->drop_fd, (off_t)u->plan->length) != 0)
        return failed(u, "cannot cut it");
    if (filecalls->fsync(u->drop_fd) == 0)
        return MBOXUPDATE_DONE;
    strbuf_fail(u->why, "%s was cut, but whether that is on the disk is not known: %s", journal_shown(u->host),
                strerror(errno));
    return MBOXUPDATE_UNSETTLED;
}

static bool plan_is_sound(const struct update *u)
{
    for (size_t i = 0; i < u->plan->count; i++) {
        const struct mboxpiece *piece = &u->plan->pieces[i];

        if (piece->fd == u->drop_fd && (piece->offset > u->size || piece->length > u->size - piece->offset))
            return false;
    }
    return true;
}

/* What +OK is said to must not go back to the file that was there before. */
static int make_durable(const struct update *u)
{
    if (filecalls->fsync(u->drop_fd) != 0)
        return -1;
    return u->host->sync_dir(u->host->context, MAILFILE_DROP, u->why);
}

static enum mboxupdate_result apply(struct update *u)
{
    bool alone = !u->along->leftover_consumed && !u->along->set_popbull;

    if (u->along->replaced && make_durable(u) != 0)
        return failed(u, "another program has just made it, and whether it is on the disk is not known");
    if (!plan_is_sound(u) || still_its_size(u) != 0) {
        errno = EBUSY;
        return failed(u, "it is not what was to be updated");
    }
    if (u->first == u->plan->length && alone)
        return u->first == u->size ? MBOXUPDATE_DONE : cut_to_prefix(u);
    if (u->plan->mark < u->first && u->first < u->plan->length)
        u->first = u->plan->mark;
    return update_by_journal(u);
}

enum mboxupdate_result mboxupdate_apply_above(int drop_fd, uint64_t size, const struct mboxplan *plan,
                                              const struct mboxupdate_along *along, uint64_t move_above,
                                              const struct mailhost *host, struct strbuf *why)
{
    static const struct mboxupdate_along nothing;
    struct update u = { .drop_fd = drop_fd,
                        .size = size,
                        .plan = plan,
                        .along = along != NULL ? along : &nothing,
                        .host = host,
                        .why = why,
                        .move_above = move_above };
    enum mboxupdate_result result;
    sigset_t all, before;

    u.first = mboxplan_first_change(plan, drop_fd);
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    result = apply(&u);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return result;
}

enum mboxupdate_result mboxupdate_apply(int drop_fd, uint64_t size, const struct mboxplan *plan,
                                        const struct mboxupdate_along *along, const struct mailhost *host,
                                        struct strbuf *why)
{
    return mboxupdate_apply_above(drop_fd, size, plan, along, MBOXUPDATE_MOVE_ABOVE, host, why);
}
