/*
 * maildrop_update: UPDATE of a maildrop (maildrop.h, DESIGN section 4): finds out under the locks what M holds now,
 * plans what it shall hold, has mboxupdate do it, and tells the index.
 *
 * Only grown: the plan is made from the session's list and the new part is kept. Changed otherwise: M is scanned
 * again and the deletions go to the messages that are found again; nothing else is touched. Bulletins are appended
 * after all of it, and what .popbull is to say goes with the commit. It never writes to M itself.
 */
#include "mail/maildrop.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "mail/dropplan.h"
#include "mail/filecalls.h"
#include "mail/mailindex.h"
#include "mail/maildrop_state.h"
#include "mail/mboxreplace.h"
#include "mail/mboxupdate.h"
#include "mail/refind.h"
#include "mail/uidl.h"
#include "mail/writeback.h"

#define TRIES 3 /* of planning again, when somebody delivers without our locks */

/* What M holds now: the first `listed` of the session's messages of M as they were listed, then those of news. */
struct found {
    uint64_t size;
    size_t listed;
    struct msglist news;
    size_t known;         /* so many at the start of news are the session's, with its flags and ids */
    bool anew;            /* news holds all of M: the session's list is not believed */
};

static bool wants_write_back(const struct maildrop *d)
{
    return d->settings->update_status_headers;
}

static size_t kept_bulletins(const struct maildrop *d)
{
    size_t kept = 0;

    for (size_t i = 0; i < d->bulletins.count; i++)
        kept += (d->list.messages[d->bulletins.first + i].flags & MSG_DELETED) == 0;
    return kept;
}

/* Something of the user's own to write, as far as the session's list tells. */
static bool has_work(const struct maildrop *d)
{
    if (d->leftover >= 0)
        return true;
    for (size_t i = 0; i < d->list.count; i++) {
        const struct message *m = &d->list.messages[i];

        if ((m->flags & MSG_DELETED) && m->source != MSGSRC_BULLETIN)
            return true;
        if (wants_write_back(d) && m->source == MSGSRC_DROP && dropplan_needs_header(m))
            return true;
    }
    return false;
}

/* ---- what is there now */

static bool has_message_id(void *drop, const struct message *m)
{
    const struct maildrop *d = drop;

    return writeback_has_message_id(d->drop, m);
}

/* news holds all of M. */
static void apply_deletions(struct maildrop *d, struct found *f)
{
    const struct refind_text text = { has_message_id, d };
    size_t found, missed;

    f->listed = f->known = 0;
    f->anew = true;
    refind_deleted(&d->list, &f->news, &text, &found, &missed);
    if (d->count == 0)
        return; /* there was nothing that it could have changed */
    log_write(LOG_NOTICE,
              "another program changed the maildrop %s during the session: %zu deleted messages were found again, %zu "
              "were not and are left alone",
              d->shown, found, missed);
}

static enum maildrop_status rescan(struct maildrop *d, struct found *f, struct strbuf *why)
{
    enum maildrop_status status = maildrop_scan(d, f->size, &f->news, why);

    if (status == MAILDROP_OK)
        apply_deletions(d, f);
    return status;
}

/* Whether the client has seen all of it: a missing line end or separator may have been added. */
static bool only_ended(const struct message *before, const struct message *now)
{
    return now->offset == before->offset && now->header_len == before->header_len && now->octets == before->octets;
}

/* The last listed message may have been delivered only in part when it was listed: then it is another one now, which
   the client did not see. */
static void judge_last(struct maildrop *d, struct found *f, const struct message *last)
{
    struct message *now = &f->news.messages[0];

    f->known = strcmp(msglist_uid(&f->news, now), msglist_uid(&d->list, last)) == 0;
    if (f->known && only_ended(last, now))
        now->flags |= last->flags & (MSG_DELETED | MSG_RETRIEVED);
    else if (last->flags & MSG_DELETED)
        log_write(LOG_NOTICE,
                  "the last message that this session saw in the maildrop %s became longer; it is not deleted",
                  d->shown);
}

/* The last listed message is scanned again with what follows: only that tells where the new mail starts. */
static enum maildrop_status scan_news(struct maildrop *d, struct found *f, struct strbuf *why)
{
    const struct message *last = d->count > 0 ? &maildrop_messages(d)[d->count - 1] : NULL;
    enum maildrop_status status;

    if (last)
        msglist_add(&f->news, last, msglist_uid(&d->list, last));
    status = maildrop_scan_grown(d, f->size, &f->news, why);
    if (status != MAILDROP_OK || !last)
        return status;
    f->listed = d->count - 1;
    if (f->news.messages[0].offset == last->offset)
        judge_last(d, f, last);
    else
        apply_deletions(d, f); /* all of M had to be scanned */
    return MAILDROP_OK;
}

static enum maildrop_status look(struct maildrop *d, struct found *f, struct strbuf *why)
{
    struct stat st;

    if (filecalls->fstat(d->drop, &st) != 0 || st.st_nlink == 0) {
        strbuf_fail(why, "the maildrop %s was replaced during the session; nothing is deleted", d->shown);
        return MAILDROP_TEMP;
    }
    f->size = (uint64_t)st.st_size;
    f->listed = d->count;
    if (!maildrop_unchanged(d) || !maildrop_doubt_clear_deleted(d))
        return rescan(d, f, why);
    return f->size > d->mark.size ? scan_news(d, f, why) : MAILDROP_OK;
}

/* ---- what it shall be */

/* When the first message goes, another must carry its X-IMAPbase, or the ids of all others would change with the next
   scan. */
static int keep_imapbase(const struct maildrop *d, const struct found *f, struct dropplan *p, struct strbuf *why)
{
    const struct message *first;
    size_t at = 0;

    if (!uidl_is_of_imap(d->rules.format))
        return 0;
    do {
        if (at == f->listed + f->news.count)
            return 0;
        first = at < f->listed ? &maildrop_messages(d)[at] : &f->news.messages[at - f->listed];
        at++;
    } while (dropplan_is_padding(first));
    p->of_imap = true;
    p->first_at = first->offset;
    return d->imap_validity != 0 ? writeback_imapbase(d->drop, first, &p->first, why) : 0;
}

/* A list as it goes into the plan; now and then it is looked whether the dot lock is still ours (option
   mail-lock-check), which also lets others see that it is in use. */
static int plan_list(struct maildrop *d, struct dropplan *p, int fd, uint64_t size, const struct msglist *list,
                     size_t first, size_t end, bool write_back, struct strbuf *why)
{
    size_t step = (size_t)d->settings->mail_lock_check;

    for (size_t next; first < end; first = next) {
        next = end - first > step ? first + step : end;
        if (dropplan_add(p, fd, size, list, first, next, write_back, why) != 0)
            return -1;
        if (next == end)
            break;
        if (!d->host->lock_is_ours(d->host->context))
            return strbuf_fail(why, "another program broke the dot lock of the maildrop %s; nothing is deleted",
                               d->shown);
        log_write(LOG_DEBUG, "the dot lock of %s is still ours after %zu of %zu messages", d->shown, next, end);
    }
    return 0;
}

static int plan_bulletins(struct maildrop *d, struct dropplan *p, struct strbuf *why)
{
    const struct bulletins *b = &d->bulletins;

    return plan_list(d, p, b->text, b->size, &d->list, b->first, b->first + b->count, wants_write_back(d), why);
}

static int plan(struct maildrop *d, const struct found *f, bool bulletins, struct dropplan *p, struct strbuf *why)
{
    bool write_back = wants_write_back(d);
    size_t settled;

    if (keep_imapbase(d, f, p, why) != 0)
        return -1;
    if (d->leftover >= 0
        && plan_list(d, p, d->leftover, d->leftover_size, &d->list, 0, d->first, write_back, why) != 0)
        return -1;
    if (plan_list(d, p, d->drop, f->size, &d->list, d->first, d->first + f->listed, write_back, why) != 0
        || plan_list(d, p, d->drop, f->size, &f->news, 0, f->known, write_back, why) != 0)
        return -1;
    settled = p->next.count;
    /* Status headers tell of messages that the client has seen: not of new mail, nor of what another program made. */
    if (plan_list(d, p, d->drop, f->size, &f->news, f->known, f->news.count, false, why) != 0)
        return -1;
    if (bulletins && plan_bulletins(d, p, why) != 0)
        return -1;
    uidl_resolve_duplicates(&p->next, settled);
    return 0;
}

/* ---- carrying it out */

/* fast-update is for server mode, and for what costs more than a cut; what must happen together with the update needs
   the journal. */
static bool may_replace(const struct maildrop *d, const struct dropplan *p, const struct mboxupdate_along *along)
{
    return d->settings->fast_update && d->settings->server_mode && !along->leftover_consumed && !along->set_popbull
           && mboxplan_first_change(&p->plan, d->drop) < p->plan.length;
}

static void adopt(struct maildrop *d, int fd)
{
    if (d->ours_to_close)
        close(d->drop);
    d->drop = fd;
    d->ours_to_close = true;
}

static enum mboxupdate_result carry_out(struct maildrop *d, const struct found *f, const struct dropplan *p,
                                        const struct mboxupdate_along *along, struct strbuf *why)
{
    enum mboxupdate_result result;
    int fd;

    if (may_replace(d, p, along)) {
        result = mboxreplace_apply(d->drop, f->size, &p->plan, d->host, &fd, why);
        if (fd >= 0)
            adopt(d, fd);
        if (result != MBOXUPDATE_FAILED)
            return result;
        log_write(LOG_NOTICE, "no fast-update: %s; the maildrop is updated the usual way", why->data);
    }
    return mboxupdate_apply(d->drop, f->size, &p->plan, along, d->host, why);
}

static void tell_index(struct maildrop *d, const struct found *f, struct dropplan *p)
{
    struct dropmark mark;
    struct stat st;

    d->store = false; /* the session's list is history */
    if (d->index < 0)
        return;
    if (filecalls->fstat(d->drop, &st) != 0 || (uint64_t)st.st_size != p->plan.length
        || dropplan_settle(p, d->drop, &d->rules, d->imap_validity) != 0)
        return;
    dropmark_take(&mark, d->drop, &st);
    mark.doubts = f->anew ? 0 : maildrop_doubt_count(d);
    if (dropmark_fingerprint(&mark, d->drop, p->next.messages, p->next.count) != 0
        || mailindex_store(d->index, &mark, &d->rules, &p->next, d->imap_validity) != 0)
        log_write(LOG_DEBUG, "cannot write the index of %s: %s; the next session has to scan", d->shown,
                  strerror(errno));
}

static bool has_grown(const struct maildrop *d, uint64_t size)
{
    struct stat st;

    return filecalls->fstat(d->drop, &st) == 0 && (uint64_t)st.st_size > size;
}

struct attempt {
    bool bulletins; /* they are part of the plan */
    bool again;     /* M grew meanwhile, so that the plan was not carried out */
    bool failed;    /* it was not, for any reason: M is as it was */
};

static enum maildrop_status try_update(struct maildrop *d, struct attempt *attempt, struct strbuf *why)
{
    struct mboxupdate_along along = { .leftover_consumed = d->leftover >= 0,
                                      .leftover_fd = d->leftover,
                                      .leftover_size = d->leftover_size,
                                      .set_popbull = attempt->bulletins && d->bulletins.changed,
                                      .popbull = d->bulletins.last,
                                      .may_empty_spare = d->index >= 0,
                                      .spare_fd = d->index,
                                      .replaced = d->replaced };
    struct found f = { .size = 0 };
    enum maildrop_status status;
    struct dropplan p;

    attempt->again = attempt->failed = false;
    msglist_init(&f.news);
    dropplan_init(&p);
    status = look(d, &f, why);
    if (status == MAILDROP_OK && plan(d, &f, attempt->bulletins, &p, why) != 0)
        status = MAILDROP_TEMP;
    if (status == MAILDROP_OK) {
        enum mboxupdate_result result = carry_out(d, &f, &p, &along, why);

        if (result == MBOXUPDATE_DONE) {
            tell_index(d, &f, &p);
        } else {
            status = MAILDROP_TEMP;
            attempt->failed = result == MBOXUPDATE_FAILED;
            attempt->again = attempt->failed && has_grown(d, f.size);
            d->store &= attempt->failed;
        }
    }
    dropplan_free(&p);
    msglist_free(&f.news);
    return status;
}

/* There was no maildrop, but the mail of an old temp drop or a bulletin needs one. */
static enum maildrop_status make_drop(struct maildrop *d, struct strbuf *why)
{
    struct stat st;

    d->drop = d->host->open(d->host->context, MAILFILE_DROP, MAILOPEN_NEW, why);
    if (d->drop < 0)
        return MAILDROP_TEMP;
    d->ours_to_close = true;
    if (filecalls->fstat(d->drop, &st) != 0) {
        strbuf_fail(why, "cannot look at the maildrop %s: %s", d->shown, strerror(errno));
        return MAILDROP_TEMP;
    }
    if (d->replaced)
        return MAILDROP_OK; /* what was listed was another file; look finds that out */
    dropmark_take(&d->mark, d->drop, &st);
    if (dropmark_fingerprint(&d->mark, d->drop, NULL, 0) != 0) {
        strbuf_fail(why, "cannot read the maildrop %s: %s", d->shown, strerror(errno));
        return MAILDROP_TEMP;
    }
    d->trusted = d->mark;
    return MAILDROP_OK;
}

static enum maildrop_status try_often(struct maildrop *d, struct attempt *attempt, struct strbuf *why)
{
    enum maildrop_status status;
    int tries = 0;

    do {
        status = try_update(d, attempt, why);
    } while (attempt->again && ++tries < TRIES);
    return status;
}

/* That there is no room for bulletins is no reason not to delete: they come again with the next session. So do those
   of them that were deleted, which the client must hear. */
static enum maildrop_status without_bulletins(struct maildrop *d, struct strbuf *why)
{
    struct attempt attempt = { .bulletins = false };
    enum maildrop_status status = MAILDROP_OK;

    log_write(LOG_WARNING, "bulletins cannot be added to the maildrop %s; the next session tries again: %s", d->shown,
              why->data);
    if (has_work(d))
        status = try_often(d, &attempt, why);
    if (status != MAILDROP_OK || kept_bulletins(d) == d->bulletins.count)
        return status;
    strbuf_fail(why, "deleted bulletins come again, because the maildrop %s could not be written to", d->shown);
    return MAILDROP_TEMP;
}

/* Another program removed M: nothing is left to delete, and perhaps there is nothing to add. */
static bool is_gone_for_good(const struct maildrop *d)
{
    if (!d->replaced || d->drop >= 0 || d->leftover >= 0 || kept_bulletins(d) > 0)
        return false;
    log_write(LOG_NOTICE, "nothing is left to delete in the maildrop %s, which another program has removed", d->shown);
    return true;
}

static enum maildrop_status update_locked(struct maildrop *d, struct strbuf *why)
{
    struct attempt attempt = { .bulletins = true };
    enum maildrop_status status;

    if (is_gone_for_good(d))
        return MAILDROP_OK;
    status = d->drop < 0 ? make_drop(d, why) : MAILDROP_OK;
    if (status != MAILDROP_OK)
        return has_work(d) ? status : without_bulletins(d, why);
    status = try_often(d, &attempt, why);
    if (attempt.failed && !attempt.again && kept_bulletins(d) > 0)
        status = without_bulletins(d, why);
    return status;
}

enum maildrop_status maildrop_update(struct maildrop *d, struct strbuf *why)
{
    enum maildrop_status status;

    if (!has_work(d) && kept_bulletins(d) == 0) {
        if (d->bulletins.changed)
            bulletin_note(d->bulletins.last, d->host);
        return MAILDROP_OK; /* a large copy takes time to free: not before the reply */
    }
    maildrop_drop_copy(d);
    status = maildrop_lock(d, true, why);
    if (status != MAILDROP_OK)
        return has_work(d) ? status : without_bulletins(d, why);
    status = update_locked(d, why);
    d->host->unlock(d->host->context);
    return status;
}
