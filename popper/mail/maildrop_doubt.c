/*
 * maildrop_doubt: see maildrop_doubt.h.
 */
#include "mail/maildrop_doubt.h"

#include <string.h>

#include "mail/dropplan.h"
#include "mail/filecalls.h"
#include "mail/maildrop_state.h"
#include "mail/refind.h"

#define RUN_MESSAGES 256
#define RUN_BYTES (UINT64_C(4) << 20)

/* n messages of M that follow each other, in fd. */
static bool run_as_listed(const struct maildrop *d, int fd, const struct message *m, size_t n)
{
    const struct message *last = &m[n - 1];
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct msglist listed, there;
    uint32_t validity = d->imap_validity;
    bool same;

    msglist_init(&listed);
    msglist_init(&there);
    for (size_t i = 0; i < n; i++) {
        struct message plain = m[i];

        plain.flags &= (uint8_t)~(MSG_DELETED | MSG_RETRIEVED | MSG_TOUCHED);
        msglist_add(&listed, &plain, msglist_uid(&d->list, &m[i]));
    }
    same = mboxscan_file(fd, m->offset, last->offset + last->length, MSGSRC_DROP, &d->rules, &validity, &there, &why) == MBOXSCAN_OK
           && refind_same(&listed, &there);
    msglist_free(&listed);
    msglist_free(&there);
    strbuf_free(&why);
    return same;
}

/* Run by run, because a second list of all would double the memory of the session. */
static bool all_as_listed(const struct maildrop *d, int fd)
{
    const struct message *m = maildrop_messages(d);

    for (size_t at = 0, n; at < d->count; at += n) {
        /* Padding at the start of M is no mbox without the message behind it. */
        n = m[at].from_len == 0 && at + 1 < d->count ? 2 : 1;
        while (at + n < d->count && n < RUN_MESSAGES && m[at + n].offset - m[at].offset < RUN_BYTES)
            n++;
        if (!run_as_listed(d, fd, &m[at], n))
            return false;
    }
    return true;
}

bool maildrop_doubt_about(const struct maildrop *d, int fd)
{
    return (d->mark.doubts > 0 || d->doubt.sampled) && !(fd == d->temp && d->doubt.copy_is_right);
}

/* All of M was read and is what the list says. */
static void end_doubt(struct maildrop *d)
{
    d->mark.doubts = 0;
    d->doubt.sampled = false;
}

unsigned maildrop_doubt_count(const struct maildrop *d)
{
    return d->mark.doubts > 0 ? d->mark.doubts : d->doubt.sampled;
}

/* ---- before one is sent */

/* M was read while its status said that nobody could have written to it unseen. */
static bool drop_is_as_listed(struct maildrop *d)
{
    struct dropmark now = d->trusted;
    struct stat st;

    if (filecalls->fstat(d->drop, &st) != 0 || !dropmark_is(&d->trusted, &st))
        return false;
    dropmark_take(&now, d->drop, &st);
    if (now.racy || !all_as_listed(d, d->drop) || filecalls->fstat(d->drop, &st) != 0 || !dropmark_is(&now, &st))
        return false;
    d->trusted = now;
    return true;
}

/* A client that has read so many messages reads the others, too: in one go that is much cheaper. */
static size_t enough_looks(const struct maildrop *d)
{
    uint64_t many = d->mark.size >> 19;

    return many < 16 ? 16 : (size_t)many;
}

/* What does not fit is found when it is sent. */
static void try_to_end(struct maildrop *d, int fd)
{
    struct maildrop_doubt *doubt = &d->doubt;

    if (doubt->look_at_all == 0)
        doubt->look_at_all = enough_looks(d);
    if (++doubt->looked < doubt->look_at_all)
        return;
    doubt->look_at_all *= 2;
    if (fd == d->temp)
        doubt->copy_is_right = all_as_listed(d, fd);
    else if (drop_is_as_listed(d))
        end_doubt(d);
}

bool maildrop_doubt_clear(struct maildrop *d, int fd, const struct message *m)
{
    if (!maildrop_doubt_about(d, fd))
        return true;
    try_to_end(d, fd);
    return !maildrop_doubt_about(d, fd) || run_as_listed(d, fd, m, 1);
}

/* ---- before some are deleted */

/* Whether its From_ line stands where it was. */
static bool starts_there(const struct maildrop *d, const struct message *m)
{
    char line[MBOXSCAN_FROM_MAX];
    size_t n = m->from_len < sizeof line ? m->from_len : sizeof line;

    if (n == 0)
        return true; /* padding at the start of the file */
    if (filecalls_read(d->drop, line, n, (off_t)m->offset) != (ssize_t)n)
        return false;
    if (n > 0 && line[n - 1] == '\n')
        n--;
    if (n > 0 && line[n - 1] == '\r')
        n--;
    return !memchr(line, '\n', n) && mboxscan_is_from(line, n);
}

/* Deleted, or to get another header: it is cut out where it is listed. */
static bool is_cut(const struct maildrop *d, const struct message *m)
{
    return (m->flags & MSG_DELETED) != 0 || (d->settings->update_status_headers && dropplan_needs_header(m));
}

/* Each of them is read, and the one after a run must start where it is listed. */
static bool deleted_as_listed(const struct maildrop *d)
{
    const struct message *m = maildrop_messages(d);
    bool deleting = false;

    for (size_t i = 0; i < d->count; i++) {
        bool deleted = is_cut(d, &m[i]);

        if (deleted ? !run_as_listed(d, d->drop, &m[i], 1) : deleting && !starts_there(d, &m[i]))
            return false;
        deleting = deleted;
    }
    return true;
}

/* A message that is read by itself costs as much as so many bytes more in a run of messages. */
#define BY_ITSELF 16384

bool maildrop_doubt_clear_deleted(struct maildrop *d)
{
    const struct message *m = maildrop_messages(d);
    uint64_t cost = 0;

    if (!maildrop_doubt_about(d, d->drop))
        return true;
    for (size_t i = 0; i < d->count; i++)
        cost += is_cut(d, &m[i]) ? BY_ITSELF + m[i].length : 0;
    if (cost < d->mark.size)
        return deleted_as_listed(d);
    if (!all_as_listed(d, d->drop))
        return false;
    end_doubt(d);
    return true;
}
