/*
 * dropplan: see dropplan.h.
 */
#include "mail/dropplan.h"

#include <errno.h>
#include <string.h>

#include "mail/filecalls.h"
#include "mail/mboxscan.h"
#include "mail/uidl.h"
#include "mail/writeback.h"

void dropplan_init(struct dropplan *p)
{
    mboxplan_init(&p->plan);
    msglist_init(&p->next);
    p->missing = "";
    p->of_imap = p->begun = false;
    p->first_at = 0;
    p->padding = NULL;
    strbuf_init(&p->first, WRITEBACK_MAX);
    strbuf_init(&p->header, 2 * WRITEBACK_MAX + 1024);
}

void dropplan_free(struct dropplan *p)
{
    mboxplan_free(&p->plan);
    msglist_free(&p->next);
    strbuf_free(&p->first);
    strbuf_free(&p->header);
}

/* The end of the text from..end, without the NULs after it. */
static int end_before_nuls(int fd, uint64_t from, uint64_t end, uint64_t *end_r)
{
    char block[4096];
    size_t n = 0;

    while (n == 0 && end > from) {
        size_t want = end - from < sizeof block ? (size_t)(end - from) : sizeof block;

        if (filecalls_read(fd, block, want, (off_t)(end - want)) != (ssize_t)want)
            return -1;
        n = want;
        while (n > 0 && block[n - 1] == '\0')
            n--;
        end -= want - n;
    }
    *end_r = end;
    return 0;
}

/* What is missing at the end of the file, with which m ends, so that a message may follow: "" when an empty line (and NULs after it, see mboxscan) stands
   there. NULs and a line end are no empty line. */
static int missing_end(int fd, const struct message *m, uint64_t size, const char **missing_r)
{
    char last[3];
    uint64_t end;
    size_t n;

    if (end_before_nuls(fd, m->offset, size, &end) != 0)
        return -1;
    n = end - m->offset < sizeof last ? (size_t)(end - m->offset) : sizeof last;
    if (filecalls_read(fd, last, n, (off_t)(end - n)) != (ssize_t)n)
        return -1;
    *missing_r = "\n\n";
    if (n == 0 || last[n - 1] != '\n')
        return 0;
    n -= n > 1 && last[n - 2] == '\r' ? 2 : 1;
    if (n > 0 && last[n - 1] == '\n')
        *missing_r = "";
    else if (end == size)
        *missing_r = "\n";
    return 0;
}

bool dropplan_needs_header(const struct message *m)
{
    if ((m->flags & MSG_HIDDEN) || msglist_header_len(m) > WRITEBACK_MAX)
        return false;
    return (m->flags & MSG_UID_STORED) == 0 || (m->flags & (MSG_RETRIEVED | MSG_SEEN)) == MSG_RETRIEVED;
}

/* Whether m becomes the first message of M and must say what the one before it said. One with a base of its own, which did not count until now, or with a
   header that is too long to look for one, gets one that says that there is none. 1, 0, or -1 and why. */
static int inherits(struct dropplan *p, int fd, const struct message *m, struct strbuf *why)
{
    struct strbuf own = STRBUF_INIT(WRITEBACK_MAX);
    int result = 0;

    if (!p->of_imap || p->begun || (m->source == MSGSRC_DROP && m->offset == p->first_at))
        return 0;
    if (p->first.len == 0 && m->source == MSGSRC_DROP)
        result = writeback_imapbase(fd, m, &own, why);
    if (own.len > 0 || (p->first.len == 0 && m->source == MSGSRC_DROP && msglist_header_len(m) > WRITEBACK_MAX))
        strbuf_adds(&p->first, "X-IMAPbase: 0 0\n");
    strbuf_free(&own);
    return result == 0 ? p->first.len > 0 : -1;
}

/* What shall stand in place of the first *instead_r bytes of m, in p->header: 1; 0 when they stay; -1 and why. */
static int new_header(struct dropplan *p, int fd, const struct message *m, const char *id, bool write_back,
                      uint64_t *instead_r, struct strbuf *why)
{
    int insert = inherits(p, fd, m, why), rewritten = 0;

    if (insert < 0)
        return -1;
    *instead_r = msglist_header_len(m);
    if (write_back && dropplan_needs_header(m)) {
        rewritten = writeback_header(fd, m, id, &p->header, why);
    } else if (insert) {
        rewritten = writeback_start(fd, m, &p->header, why);
        *instead_r = p->header.len;
    }
    if (rewritten == 1 && insert)
        writeback_insert(&p->header, p->first.data);
    return rewritten;
}

static int add_message(struct dropplan *p, int fd, const struct msglist *list, const struct message *m, bool write_back,
                       struct strbuf *why)
{
    const char *id = msglist_uid(list, m);
    uint64_t instead = 0;
    int rewritten = new_header(p, fd, m, id, write_back, &instead, why);
    struct message next = *m;

    if (rewritten < 0)
        return -1;
    next.offset = p->plan.length;
    next.source = MSGSRC_DROP;
    next.flags &= (uint8_t)~MSG_TOUCHED;
    mboxplan_message(&p->plan);
    if (rewritten) {
        mboxplan_add_text(&p->plan, p->header.data, p->header.len);
        next.flags |= MSG_TOUCHED;
        next.length = m->length - instead + p->header.len;
    } else {
        instead = 0;
    }
    mboxplan_add_range(&p->plan, fd, m->offset + instead, m->length - instead);
    msglist_add(&p->next, &next, id);
    p->begun = true;
    return 0;
}

static void add_padding(struct dropplan *p)
{
    struct message next = *p->padding;

    next.offset = p->plan.length;
    mboxplan_message(&p->plan);
    mboxplan_add_range(&p->plan, p->padding_fd, p->padding->offset, next.length);
    msglist_add(&p->next, &next, msglist_uid(p->padding_of, p->padding));
    p->padding = NULL;
}

/* Another message follows the one added last. */
static void close_end(struct dropplan *p)
{
    size_t n = strlen(p->missing);
    struct message *last;

    if (n == 0)
        return;
    mboxplan_add_text(&p->plan, p->missing, n);
    last = &p->next.messages[p->next.count - 1];
    last->length += n;
    last->flags |= MSG_TOUCHED; /* the line ends may belong to its header, and make NULs before them part of its text */
    p->missing = "";
}

int dropplan_add(struct dropplan *p, int fd, uint64_t size, const struct msglist *list, size_t first, size_t end,
                 bool write_back, struct strbuf *why)
{
    for (size_t i = first; i < end; i++) {
        const struct message *m = &list->messages[i];

        if (m->flags & MSG_DELETED)
            continue;
        if (dropplan_is_padding(m)) {
            p->padding = m;
            p->padding_of = list;
            p->padding_fd = fd;
            continue;
        }
        close_end(p);
        if (p->padding)
            add_padding(p);
        if (add_message(p, fd, list, m, write_back, why) != 0)
            return -1;
        if (m->offset + m->length == size && missing_end(fd, m, size, &p->missing) != 0)
            return strbuf_fail(why, "cannot read the end of the last message: %s", strerror(errno));
    }
    return 0;
}

/* Takes what the scan of the new text says of one message; its id stays. */
static int settle_message(struct dropplan *p, size_t index, const struct msglist *fresh, const struct message *seen)
{
    struct message *m = &p->next.messages[index];
    const char *id = msglist_uid(&p->next, m), *fresh_id = msglist_uid(fresh, seen);
    const size_t n = strlen(fresh_id);

    if (m->offset != seen->offset || m->length != seen->length)
        return -1;
    if ((m->flags & MSG_TOUCHED) == 0)
        return 0;
    m->octets = seen->octets;
    if (seen->flags & MSG_EDITED)
        m->octets = m->octets + strlen(id) - strlen(fresh_id);
    m->header_len = seen->header_len;
    m->from_len = seen->from_len;
    m->flags = seen->flags;
    if (strcmp(id, fresh_id) == 0 || (seen->flags & MSG_UID_STORED) == 0)
        return 0;
    /* The ordinal of one that only got its end does not stand in it. */
    m->flags &= (uint8_t)~MSG_UID_STORED;
    return strncmp(id, fresh_id, n) == 0 && id[n] == '.' ? 0 : -1;
}

int dropplan_settle(struct dropplan *p, int drop_fd, const struct mboxscan_rules *rules, uint32_t imap_validity)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct msglist fresh;
    size_t first = 0;
    int result = 0;

    while (first < p->next.count && (p->next.messages[first].flags & MSG_TOUCHED) == 0)
        first++;
    if (first == p->next.count)
        return 0;
    msglist_init(&fresh);
    if (mboxscan_file(drop_fd, p->next.messages[first].offset, p->plan.length, MSGSRC_DROP, rules, &imap_validity, &fresh, &why)
            != MBOXSCAN_OK
        || fresh.count != p->next.count - first)
        result = -1;
    for (size_t i = 0; result == 0 && i < fresh.count; i++)
        result = settle_message(p, first + i, &fresh, &fresh.messages[i]);
    msglist_free(&fresh);
    strbuf_free(&why);
    return result;
}
