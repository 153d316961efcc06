/*
 * dropplan: what M shall hold after UPDATE, twice: as the plan that mboxupdate carries out, and as the list that the
 * index will say. Messages are added in their final order; it reads headers that are to be rewritten and the ends of
 * files, and writes nothing.
 */
#ifndef MAIL_DROPPLAN_H
#define MAIL_DROPPLAN_H

#include <stdbool.h>

#include "common/strbuf.h"
#include "mail/mboxplan.h"
#include "mail/mboxscan.h"
#include "mail/msglist.h"

struct dropplan {
    struct mboxplan plan;
    struct msglist next;     /* MSGSRC_DROP with the new offsets; MSG_TOUCHED: header or end are new, sizes to be learnt */
    const char *missing;     /* line ends that must stand between the message added last and another: often "" */
    struct strbuf first;     /* a field that the first message must carry, if it was not the first one of M; often empty */
    bool of_imap;            /* ids rest on what the first message of M carries */
    uint64_t first_at;       /* where in M that starts */
    bool begun;              /* a message was added, not only padding */
    const struct message *padding;    /* NULs at the start of M, waiting for a message to stand before; often NULL */
    const struct msglist *padding_of; /* the list that it is in */
    int padding_fd;
    struct strbuf header;    /* working memory */
};

void dropplan_init(struct dropplan *p);
void dropplan_free(struct dropplan *p);

/* Whether it is NULs at the start of M or of a leftover (mboxscan.h), and no message. */
static inline bool dropplan_is_padding(const struct message *m)
{
    return m->from_len == 0 && m->source != MSGSRC_BULLETIN;
}

/* Whether update-status-headers has something to write into m: an id that does not stand in it, or a retrieval that
   its Status does not tell of. Not where it cannot (writeback.h). */
bool dropplan_needs_header(const struct message *m);

/* Adds the messages first..end of list that are not MSG_DELETED. fd and size: the file that their offsets speak of.
   Padding at the start of M is added with the message that follows it: by itself it is no mbox, and is left out.
   write_back: with update-status-headers, messages that need it get a new header. 0, or -1 and why. */
int dropplan_add(struct dropplan *p, int fd, uint64_t size, const struct msglist *list, size_t first, size_t end,
                 bool write_back, struct strbuf *why);

/* After the plan was carried out on drop_fd: the touched messages' sizes and flags are read again. 0; -1 when they
   are not what they should be: then next is of no use. */
int dropplan_settle(struct dropplan *p, int drop_fd, const struct mboxscan_rules *rules, uint32_t imap_validity);

#endif
