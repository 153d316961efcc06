/*
 * maildrop: see maildrop.h. Opening, the list, the end. What changes M stands in maildrop_update.c; nothing here
 * writes to it but recovery.
 */
#include "mail/maildrop.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "mail/filecalls.h"
#include "mail/journal.h"
#include "mail/mailindex.h"
#include "mail/maildrop_state.h"
#include "mail/refind.h"
#include "mail/tempdrop.h"
#include "mail/uidl.h"

/* The list still is of the file that was there: who uses it compares. */
static void follow(struct maildrop *d, int fd)
{
    log_write(LOG_NOTICE, "another program has %s the maildrop %s since this session opened it",
              d->drop < 0 ? "made" : fd < 0 ? "removed" : "put a new file in place of", d->shown);
    msgwindow_forget(&d->window);
    if (d->ours_to_close)
        close(d->drop);
    d->drop = fd;
    d->ours_to_close = fd >= 0;
    d->replaced = true;
}

enum maildrop_status maildrop_lock(struct maildrop *d, bool updating, struct strbuf *why)
{
    int now = MAILHOST_SAME_DROP;
    enum maillock_result result = d->host->lock(d->host->context, updating, &now, why);

    if (now != MAILHOST_SAME_DROP)
        follow(d, now);
    switch (result) {
    case MAILLOCK_OK:
        return MAILDROP_OK;
    case MAILLOCK_BUSY:
        return MAILDROP_BUSY;
    case MAILLOCK_ERROR:
        break;
    }
    return MAILDROP_TEMP;
}

static void unlock(struct maildrop *d)
{
    d->host->unlock(d->host->context);
}

/* ---- scanning */

static enum maildrop_status scan_failed(struct maildrop *d, enum mboxscan_result result, struct msglist *list,
                                        struct strbuf *why)
{
    msglist_free(list);
    if (result == MBOXSCAN_NOT_MBOX) {
        strbuf_fail(why,
                    "the maildrop %s does not begin with a From_ line (corrupted envelopes, or no mbox file); it is "
                    "left as it is until somebody repairs it",
                    d->shown);
        return MAILDROP_PERM;
    }
    strbuf_fail(why, "cannot read the maildrop %s: %s", d->shown, why->data);
    return MAILDROP_TEMP;
}

enum maildrop_status maildrop_scan(struct maildrop *d, uint64_t size, struct msglist *list, struct strbuf *why)
{
    enum mboxscan_result result;

    msglist_free(list);
    d->imap_validity = 0;
    result = mboxscan_file(d->drop, 0, size, MSGSRC_DROP, &d->rules, &d->imap_validity, list, why);
    if (result != MBOXSCAN_OK)
        return scan_failed(d, result, list, why);
    uidl_resolve_duplicates(list, 0);
    return MAILDROP_OK;
}

/* Its bytes up to where the file ended before are verified; so its id may only be another if its header was not
   complete then. */
static bool header_was_complete(const struct message *before, const struct message *now)
{
    return now->offset == before->offset && now->header_len == before->header_len && now->from_len == before->from_len
           && msglist_header_len(before) < before->length;
}

static void keep_id(struct msglist *list, size_t index, const char *id)
{
    struct message *m = &list->messages[index];

    if (strcmp(id, msglist_uid(list, m)) == 0)
        return;
    if (m->flags & MSG_EDITED)
        m->octets = m->octets + strlen(id) - strlen(msglist_uid(list, m));
    m->flags &= (uint8_t)~MSG_UID_STORED; /* another one may stand in it, without the ordinal */
    msglist_set_uid(list, index, id);
}

enum maildrop_status maildrop_scan_grown(struct maildrop *d, uint64_t size, struct msglist *list, struct strbuf *why)
{
    size_t last = list->count > 0 ? list->count - 1 : 0;
    struct message before;
    char id[UIDL_MAX + 1] = "";

    if (list->count == 0)
        return maildrop_scan(d, size, list, why);
    before = list->messages[last];
    strncat(id, msglist_uid(list, &before), UIDL_MAX);
    msglist_truncate(list, last);
    if (mboxscan_file(d->drop, before.offset, size, MSGSRC_DROP, &d->rules, &d->imap_validity, list, why) != MBOXSCAN_OK
        || list->count == last)
        return maildrop_scan(d, size, list, why);
    if (header_was_complete(&before, &list->messages[last])) {
        keep_id(list, last, id);
        last++;
    }
    uidl_resolve_duplicates(list, last);
    return MAILDROP_OK;
}

/* ---- opening */

/* A scan that says the same as a racy index leaves the index's ids, which may have ordinals of messages that are
   gone. */
static enum maildrop_status verify_racy(struct maildrop *d, uint64_t size, struct strbuf *why)
{
    struct msglist fresh;
    enum maildrop_status status;

    msglist_init(&fresh);
    status = maildrop_scan(d, size, &fresh, why);
    if (status == MAILDROP_OK && refind_same(&d->list, &fresh)) {
        msglist_free(&fresh);
        return MAILDROP_OK;
    }
    msglist_free(&d->list);
    d->list = fresh;
    return status;
}

static enum maildrop_status learn(struct maildrop *d, enum mailindex_state state, uint64_t size, struct strbuf *why)
{
    switch (state) {
    case MAILINDEX_GROWN:
        return maildrop_scan_grown(d, size, &d->list, why);
    case MAILINDEX_RACY:
        return verify_racy(d, size, why);
    default:
        return maildrop_scan(d, size, &d->list, why);
    }
}

static enum mailindex_state load_index(struct maildrop *d, const struct stat *st)
{
    msglist_free(&d->list);
    return mailindex_load(d->index, d->drop, st, &d->rules, &d->list, &d->mark, &d->imap_validity);
}

static enum maildrop_status cannot_stat(struct maildrop *d, struct strbuf *why)
{
    strbuf_fail(why, "cannot look at the maildrop %s: %s", d->shown, strerror(errno));
    return MAILDROP_TEMP;
}

/* Under the locks. before: the status that the index was compared with, or NULL. */
static enum maildrop_status list_locked(struct maildrop *d, const struct stat *before, enum mailindex_state state,
                                        struct strbuf *why)
{
    enum maildrop_status status;
    unsigned doubts = 0;
    struct stat st;

    if (filecalls->fstat(d->drop, &st) != 0)
        return cannot_stat(d, why);
    if (!before || !file_unchanged(before, &st))
        state = load_index(d, &st);
    if (state == MAILINDEX_VALID)
        return MAILDROP_OK;
    if (state == MAILINDEX_GROWN && dropmark_is_sampled(&d->mark))
        doubts = d->mark.doubts + 1;
    dropmark_take(&d->mark, d->drop, &st);
    d->mark.doubts = doubts;
    status = learn(d, state, d->mark.size, why);
    if (status != MAILDROP_OK)
        return status;
    d->store = dropmark_fingerprint(&d->mark, d->drop, d->list.messages, d->list.count) == 0;
    if (!d->store) {
        strbuf_fail(why, "cannot read the maildrop %s: %s", d->shown, strerror(errno));
        return MAILDROP_TEMP;
    }
    return MAILDROP_OK;
}

static enum maildrop_status recover(struct maildrop *d, struct strbuf *why)
{
    int before = d->drop;

    if (journal_recover(&d->drop, d->host, why) == JOURNAL_UNSETTLED)
        return MAILDROP_TEMP;
    d->ours_to_close |= before < 0 && d->drop >= 0;
    return MAILDROP_OK;
}

static enum maildrop_status list_drop(struct maildrop *d, bool journal, struct strbuf *why)
{
    enum mailindex_state state = MAILINDEX_NONE;
    enum maildrop_status status;
    struct stat st;

    if (d->drop < 0 && !journal)
        return MAILDROP_OK;
    if (!journal) {
        if (filecalls->fstat(d->drop, &st) != 0)
            return cannot_stat(d, why);
        state = load_index(d, &st);
        if (state == MAILINDEX_VALID)
            return MAILDROP_OK;
    }
    status = maildrop_lock(d, false, why);
    d->replaced = false; /* what is listed now is what is there now */
    if (status != MAILDROP_OK)
        return status;
    if (journal)
        status = recover(d, why);
    if (d->drop < 0)
        msglist_free(&d->list);
    else if (status == MAILDROP_OK)
        status = list_locked(d, journal ? NULL : &st, state, why);
    unlock(d);
    return status;
}

/* Mail that an older server left; what is not mail stays where it is and is not ours to judge. */
static void list_leftover(struct maildrop *d, int fd)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    size_t doubles = 0, of_drop = d->list.count;
    struct stat st;

    if (fd < 0 || (filecalls->fstat(fd, &st) == 0 && st.st_size == 0))
        return;
    if (tempdrop_leftover(fd, d->drop, &d->rules, d->imap_validity, &d->list, &d->leftover_size, &doubles, &why) == MBOXSCAN_OK) {
        d->leftover = fd;
        d->first = d->list.count - of_drop;
        log_write(LOG_NOTICE,
                  "a temp drop that an earlier server left for %s holds %zu messages: they are listed first; %zu stand "
                  "in the maildrop as well",
                  d->shown, d->first + doubles, doubles);
    } else {
        log_write(LOG_WARNING,
                  "the temp drop that was left for %s is no mbox file or cannot be read (%s): it is neither served nor "
                  "touched",
                  d->shown, why.data);
    }
    strbuf_free(&why);
}

static struct mboxscan_rules rules_of(const struct settings *settings)
{
    return (struct mboxscan_rules){
        .format = settings->uidl_format,
        .status_headers = settings->update_status_headers,
        .uw_kluge = settings->uw_kluge,
    };
}

enum maildrop_status maildrop_open(struct maildrop **drop_r, const struct maildrop_files *files,
                                   const struct settings *settings, const struct mailhost *host, struct strbuf *why)
{
    struct maildrop *d = mem_new(1, sizeof *d);
    enum maildrop_status status;

    d->drop = files->drop;
    d->index = settings->index ? files->index : -1;
    d->leftover = d->temp = d->coming = -1;
    d->window = (struct msgwindow)MSGWINDOW_INIT;
    d->window.judge = maildrop_read_is_right;
    d->window.context = d;
    d->shown = files->shown;
    d->settings = settings;
    d->host = host;
    d->rules = rules_of(settings);
    d->server_mode = settings->server_mode;
    msglist_init(&d->list);
    status = list_drop(d, files->journal, why);
    if (status == MAILDROP_OK) {
        d->trusted = d->mark;
        d->count = d->list.count;
        list_leftover(d, files->leftover);
        bulletin_list(files->bulletins, &d->rules, &d->list, &d->bulletins);
        msglist_number(&d->list);
    } else {
        d->store = false;
        maildrop_close(&d);
    }
    *drop_r = d;
    return status;
}

struct msglist *maildrop_list(struct maildrop *drop)
{
    return &drop->list;
}

/* ---- the end */

/* The mark and its fingerprint are of the moment of the scan, so that the index is right about that moment whatever
   happened since. */
static void store_index(struct maildrop *d)
{
    if (d->index < 0 || !d->store)
        return;
    if (mailindex_store(d->index, &d->mark, &d->rules, &d->list, d->imap_validity) != 0)
        log_write(LOG_DEBUG, "cannot write the index of %s: %s; the next session has to scan", d->shown,
                  strerror(errno));
}

void maildrop_close(struct maildrop **drop)
{
    struct maildrop *d = *drop;

    *drop = NULL;
    if (!d)
        return;
    store_index(d);
    maildrop_drop_copy(d);
    if (d->ours_to_close)
        close(d->drop);
    msgwindow_free(&d->window);
    msglist_free(&d->list);
    mem_free(d);
}
