/*
 * mboxreplace: see mboxreplace.h. It never writes to the old file, and looks at it once more after the change of names:
 * mail that came into it unlocked meanwhile goes on into the new one.
 */
#include "mail/mboxreplace.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "mail/filecalls.h"

struct replacing {
    int drop_fd;
    int new_fd;
    uint64_t size;
    const struct mboxplan *plan;
    const struct mailhost *host;
    struct strbuf *why;
};

static enum mboxupdate_result failed(const struct replacing *r, const char *what)
{
    strbuf_fail(r->why, "%s was not replaced: %s: %s", r->host->shown, what, strerror(errno));
    return MBOXUPDATE_FAILED;
}

static int write_all(const struct replacing *r)
{
    uint64_t at = 0;

    for (size_t i = 0; i < r->plan->count; i++) {
        const struct mboxpiece *piece = &r->plan->pieces[i];
        int result = piece->fd < 0 ? filecalls_write(r->new_fd, piece->text, piece->length, (off_t)at)
                                   : filecalls_copy(piece->fd, (off_t)piece->offset, r->new_fd, (off_t)at, piece->length);

        if (result != 0)
            return -1;
        at += piece->length;
    }
    return 0;
}

static bool still_its_size(const struct replacing *r)
{
    struct stat st;

    if (filecalls->fstat(r->drop_fd, &st) != 0)
        return false;
    errno = EBUSY;
    return (uint64_t)st.st_size == r->size;
}

/* An update that another service left half done is to be settled first. */
static bool journal_exists(const struct replacing *r)
{
    int fd = r->host->open(r->host->context, MAILFILE_JOURNAL, MAILOPEN_EXISTING, r->why);

    if (fd >= 0)
        close(fd);
    return fd >= 0 || errno != ENOENT;
}

/* Mail that somebody without our locks delivered to the old file at the last moment. */
static int take_latecomers(const struct replacing *r)
{
    struct stat st;

    if (filecalls->fstat(r->drop_fd, &st) != 0)
        return -1;
    if ((uint64_t)st.st_size <= r->size)
        return 0;
    log_write(LOG_NOTICE, "%s: mail came without our locks while the file was replaced; it is taken over", r->host->shown);
    return filecalls_copy(r->drop_fd, (off_t)r->size, r->new_fd, (off_t)r->plan->length, (uint64_t)st.st_size - r->size) == 0
                   && filecalls->fsync(r->new_fd) == 0
               ? 0
               : -1;
}

static enum mboxupdate_result prepare(const struct replacing *r)
{
    if (journal_exists(r)) {
        strbuf_fail(r->why, "%s was not replaced: the journal of an earlier update is still there", r->host->shown);
        return MBOXUPDATE_FAILED;
    }
    if (write_all(r) != 0)
        return failed(r, "cannot write the new file");
    if (filecalls->fsync(r->new_fd) != 0)
        return failed(r, "cannot make the new file durable");
    if (!r->host->lock_is_ours(r->host->context)) {
        strbuf_fail(r->why, "%s was not replaced: another program broke our dot lock", r->host->shown);
        return MBOXUPDATE_FAILED;
    }
    return still_its_size(r) ? MBOXUPDATE_DONE : failed(r, "somebody wrote to it without our locks");
}

enum mboxupdate_result mboxreplace_apply(int drop_fd, uint64_t size, const struct mboxplan *plan,
                                         const struct mailhost *host, int *new_fd_r, struct strbuf *why)
{
    struct replacing r = { .drop_fd = drop_fd, .size = size, .plan = plan, .host = host, .why = why };

    *new_fd_r = -1;
    r.new_fd = host->open(host->context, MAILFILE_TEMPDROP, MAILOPEN_NEW, why);
    if (r.new_fd < 0)
        return MBOXUPDATE_FAILED;
    if (prepare(&r) != MBOXUPDATE_DONE) {
        /* The host has it open, too; what it takes of a full disk the journal needs. */
        if (filecalls->ftruncate(r.new_fd, 0) != 0)
            log_write(LOG_DEBUG, "%s: the new file keeps its room: %s", host->shown, strerror(errno));
        close(r.new_fd);
        return MBOXUPDATE_FAILED;
    }
    if (host->set_aside(host->context, MAILFILE_DROP, why) != 0) {
        close(r.new_fd);
        return MBOXUPDATE_FAILED;
    }
    *new_fd_r = r.new_fd;
    if (take_latecomers(&r) != 0) {
        strbuf_fail(why, "%s was replaced, but mail that came meanwhile without our locks could not be taken over: %s", host->shown,
                    strerror(errno));
        return MBOXUPDATE_UNSETTLED;
    }
    return host->sync_dir(host->context, MAILFILE_DROP, why) == 0 ? MBOXUPDATE_DONE : MBOXUPDATE_UNSETTLED;
}
