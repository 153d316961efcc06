/*
 * maildrop_text: see maildrop.h: where the texts of messages come from: the temp drop (normal mode), M itself (server mode, and as long as the host is
 * still making a large temp drop), a leftover, the bulletins. It changes nothing.
 */
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "mail/filecalls.h"
#include "mail/maildrop_state.h"
#include "mail/msgsend.h"
#include "mail/tempdrop.h"

bool maildrop_unchanged(struct maildrop *d)
{
    struct stat st;

    if (filecalls->fstat(d->drop, &st) != 0)
        return false;
    if (dropmark_is(&d->trusted, &st) && !d->trusted.racy)
        return true;
    if (dropmark_compare(&d->mark, d->drop, &st, maildrop_messages(d), d->count) == DROPMARK_CHANGED)
        return false;
    /* Equal times say nothing yet when they are as young as the list. */
    if (d->trusted.racy && !dropmark_verify(&d->mark, d->drop, maildrop_messages(d), d->count))
        return false;
    dropmark_take(&d->trusted, d->drop, &st);
    d->doubt.sampled |= dropmark_is_sampled(&d->mark);
    return true;
}

/* The next session is to read all of M. */
static void disown_list(struct maildrop *d)
{
    d->store = false;
    if (d->index >= 0)
        (void)filecalls->ftruncate(d->index, 0);
}

static enum maildrop_status changed(struct maildrop *d, struct strbuf *why)
{
    strbuf_fail(why, "another program changed the maildrop %s during this session; log in again", d->shown);
    return MAILDROP_TEMP;
}

/* A copy that takes much longer than asking for it. */
#define COPY_BESIDE_MIN (UINT64_C(4) << 20)

static uint64_t copy_beside_min = COPY_BESIDE_MIN;

void maildrop_set_copy_beside(uint64_t least)
{
    copy_beside_min = least ? least : COPY_BESIDE_MIN;
}

static bool copy_beside(struct maildrop *d, struct strbuf *why)
{
    if (d->mark.size >= copy_beside_min && d->host->copy)
        d->coming = d->host->copy(d->host->context, d->mark.size, why);
    strbuf_reset(why);
    return d->coming >= 0;
}

/* Under the locks. Where no copy can be made M itself serves as in server mode: users of a full disk must be able to
   fetch and delete. */
static enum maildrop_status make_temp_drop(struct maildrop *d, struct strbuf *why)
{
    if (!maildrop_unchanged(d))
        return changed(d, why);
    /* A change in the tick of the last one would not show in M's status when that copy is made. */
    if (!d->trusted.racy && copy_beside(d, why))
        return MAILDROP_OK;
    d->temp = tempdrop_copy(d->drop, d->mark.size, d->host, why);
    if (d->temp < 0) {
        log_write(LOG_WARNING, "no temp drop for %s, its messages are sent from the maildrop itself: %s", d->shown,
                  why->data);
        d->server_mode = true;
    }
    /* Who does not mind the locks may have made it a mixture. */
    return maildrop_unchanged(d) ? MAILDROP_OK : changed(d, why);
}

/* What is behind the beginning of a message is dearer to ask for than to read on to, up to this length. */
#define PASSED_MAX 16384

/* For TOP of messages that follow each other: over the short ones, as far as a window goes. 0: it begins in view, or follows nothing. */
static uint64_t ahead_of_top(const struct maildrop *d, int fd, const struct message *m)
{
    const struct message *last = &maildrop_messages(d)[d->count - 1], *to = m;

    if (d->window.next != m->offset || msgwindow_holds(&d->window, fd, m->offset + m->from_len, m->offset + msglist_header_len(m)))
        return 0;
    while (to < last && to->length <= PASSED_MAX && to->offset - m->offset < MSGWINDOW_MAX)
        to++;
    return to->offset + msglist_header_len(to);
}

/* How far a window onto M or its copy may read ahead. A list in doubt is compared with what is there message by message. */
static uint64_t ahead_of(const struct maildrop *d, int fd, const struct message *m, uint64_t body_lines)
{
    if (m->source != MSGSRC_DROP || maildrop_doubt_about(d, fd))
        return 0;
    return body_lines == MSGSEND_ALL ? d->mark.size : ahead_of_top(d, fd, m);
}

bool maildrop_read_is_right(void *context, int fd, struct strbuf *why)
{
    struct maildrop *d = context;

    if (fd != d->drop || maildrop_unchanged(d))
        return true;
    msgwindow_forget(&d->window);
    (void)changed(d, why);
    return false;
}

/* Texts of M itself: M is looked at after each window that is read of it, before a byte of that is sent. What is in view since then is as it was listed,
   whatever became of M, as all of a temp drop is. */
static enum maildrop_status view_drop(struct maildrop *d, const struct message *m, uint64_t body_lines, struct strbuf *why)
{
    unsigned reads = d->window.reads;
    bool sees = m && m->source == MSGSRC_DROP;

    if (sees && msgsend_prepare(&d->window, d->drop, ahead_of(d, d->drop, m, body_lines), m, body_lines, why) != 0)
        return MAILDROP_TEMP;
    if (d->window.reads != reads || (sees && !maildrop_doubt_about(d, d->drop)))
        return MAILDROP_OK;
    return maildrop_read_is_right(d, d->drop, why) ? MAILDROP_OK : MAILDROP_TEMP;
}

/* The copy that the host makes may be complete by now, or given up. */
static void look_for_copy(struct maildrop *d)
{
    struct stat st;

    if (d->coming < 0 || filecalls->fstat(d->coming, &st) != 0)
        return;
    if ((st.st_mode & 07777) == 0400) {
        d->temp = d->coming;
        d->coming = -1;
    } else if ((st.st_mode & 07777) == 0) {
        close(d->coming);
        d->coming = -1;
        d->server_mode = true;
    }
}

enum maildrop_status maildrop_ready(struct maildrop *d, const struct message *m, uint64_t body_lines, struct strbuf *why)
{
    enum maildrop_status status;

    look_for_copy(d);
    if (d->temp >= 0 || d->count == 0)
        return MAILDROP_OK;
    if (d->server_mode || d->coming >= 0)
        return view_drop(d, m, body_lines, why);
    status = maildrop_lock(d, false, why);
    if (status != MAILDROP_OK)
        return status;
    status = make_temp_drop(d, why);
    if (d->coming >= 0)
        return view_drop(d, m, body_lines, why);
    d->host->unlock(d->host->context);
    return status;
}

static int text_of(const struct maildrop *d, const struct message *m)
{
    if (m->source == MSGSRC_LEFTOVER)
        return d->leftover;
    if (m->source == MSGSRC_BULLETIN)
        return d->bulletins.text;
    return d->temp >= 0 ? d->temp : d->drop;
}

enum maildrop_status maildrop_send(struct maildrop *d, const struct message *m, uint64_t body_lines, struct outbuf *out,
                                   struct strbuf *why)
{
    int fd = text_of(d, m);
    unsigned reads = d->window.reads;

    if (fd != d->window.fd)
        msgwindow_forget(&d->window);
    if (m->source == MSGSRC_DROP && !maildrop_doubt_clear(d, fd, m)) {
        disown_list(d);
        return changed(d, why);
    }
    if (msgsend_message(&d->window, fd, ahead_of(d, fd, m, body_lines), m, msglist_uid(&d->list, m), body_lines, out, NULL, why) != 0)
        return MAILDROP_TEMP;
    return d->window.reads == reads || maildrop_read_is_right(d, fd, why) ? MAILDROP_OK : MAILDROP_TEMP;
}

void maildrop_drop_copy(struct maildrop *d)
{
    msgwindow_forget(&d->window);
    if (d->temp >= 0)
        close(d->temp);
    if (d->coming >= 0)
        close(d->coming);
    d->temp = d->coming = -1;
    d->doubt.copy_is_right = false;
}
