/*
 * maildrop_doubt: whether the list is still what M holds, where samples alone tell so. A large maildrop is recognised by samples (dropmark.h): what
 * another program changed or moved between them at equal length, before mail was delivered, shows only when it is read. So until all of M was read once,
 * no message is sent or deleted that was not read and compared with the list. Part of maildrop; it changes nothing but its own state.
 */
#ifndef MAIL_MAILDROP_DOUBT_H
#define MAIL_MAILDROP_DOUBT_H

#include <stdbool.h>
#include <stddef.h>

#include "mail/msglist.h"

struct maildrop;

/* Of a session; zeros at first. What earlier sessions have left is told by the mark's `doubts`. */
struct maildrop_doubt {
    bool sampled;       /* samples alone have told since M was listed that it only grew */
    bool copy_is_right; /* all of the temp drop was read: of that there is no doubt */
    size_t looked;      /* messages that were read because of doubt */
    size_t look_at_all; /* with which one of them all are; 0: not known yet */
};

/* Whether the list may be wrong about what stands in fd, which is M or a copy of it. */
bool maildrop_doubt_about(const struct maildrop *d, int fd);

/* What the index is to keep as the mark's doubts when the list goes there that UPDATE made of this one. */
unsigned maildrop_doubt_count(const struct maildrop *d);

/* Whether message m stands in fd as it is listed: it is read when there is doubt, and after many of them all are, once, which may end the doubt. */
bool maildrop_doubt_clear(struct maildrop *d, int fd, const struct message *m);

/* Under the locks: whether M's messages that are marked as deleted are the very ones that are listed, and whole. False: list M anew. */
bool maildrop_doubt_clear_deleted(struct maildrop *d);

#endif
