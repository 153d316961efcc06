/*
 * refind: finds the messages of one list again in another list of the same maildrop, by unique id, and never guesses.
 *
 * Ids are compared without the ordinal that tells equal ones apart, since ordinals speak of positions, but with a number
 * at the end of one that stands in the message: it may be another server's (uidl_base_length). This room reads no file.
 */
#ifndef MAIL_REFIND_H
#define MAIL_REFIND_H

#include <stdbool.h>
#include <stddef.h>

#include "mail/msglist.h"

/* The MSGSRC_DROP messages of a list by id. */
struct refind {
    const struct msglist *list;
    size_t *order;        /* indexes, sorted by id, then by position */
    size_t count;
};

void refind_init(struct refind *r, const struct msglist *list);
void refind_free(struct refind *r);

/* The indexes of those with the id of message m of `list`, in order: *count_r of them, borrowed. */
const size_t *refind_all(const struct refind *r, const struct msglist *list, const struct message *m, size_t *count_r);

/* How to look into a message of `now`: whether there is a Message-Id in it. */
struct refind_text {
    bool (*has_message_id)(void *context, const struct message *m);
    void *context;
};

/* Sets MSG_DELETED on the messages of `now` that are the ones marked MSG_DELETED in `then`; MSGSRC_DROP messages only.
   A message whose id occurs once in each list is the same, whatever was done to it, if the id stands in it or is made
   of a Message-Id too; otherwise if the bodies are equally long: new mail must not go in place of another. Of several
   with one id those are taken for one another whose bodies are equally long, and then all or none: a copy that was to
   stay must not go in place of another. Several that begin with the same UIDL_BASE_MAX bytes are not found.
   *found_r and *missed_r: how many of the deleted ones were found, and were not. */
void refind_deleted(const struct msglist *then, struct msglist *now, const struct refind_text *text, size_t *found_r,
                    size_t *missed_r);

/* Whether both lists hold the same messages, equal in everything but ordinals. */
bool refind_same(const struct msglist *a, const struct msglist *b);

#endif
