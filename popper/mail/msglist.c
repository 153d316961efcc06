/*
 * msglist: see msglist.h. Plain data and arithmetic; it reads no file and knows nothing of what a message contains.
 */
#include "mail/msglist.h"

#include <string.h>

#include "common/mem.h"

void msglist_init(struct msglist *list)
{
    *list = (struct msglist){ .messages = NULL };
}

void msglist_free(struct msglist *list)
{
    mem_free(list->messages);
    mem_free(list->uids);
    mem_free(list->numbers);
    msglist_init(list);
}

/* Copies uid to the end of the pool. */
static uint32_t pool_add(struct msglist *list, const char *uid)
{
    size_t n = strlen(uid) + 1, at = list->uids_len;

    /* 4 GiB of ids: more than memory holds before that; asking for all of it ends the process as running out does. */
    mem_reserve(&list->uids, &list->uids_cap, at + n <= UINT32_MAX ? at + n : SIZE_MAX / 4, 1);
    memcpy(list->uids + at, uid, n);
    list->uids_len = at + n;
    return (uint32_t)at;
}

size_t msglist_add(struct msglist *list, const struct message *m, const char *uid)
{
    struct message *added;

    mem_reserve(&list->messages, &list->cap, list->count + 1, sizeof *list->messages);
    added = &list->messages[list->count];
    *added = *m;
    added->uid_at = pool_add(list, uid);
    return list->count++;
}

void msglist_set_uid(struct msglist *list, size_t index, const char *uid)
{
    struct message *m = &list->messages[index];
    char *old = list->uids + m->uid_at;

    if (strlen(uid) <= strlen(old))
        memmove(old, uid, strlen(uid) + 1);
    else
        m->uid_at = pool_add(list, uid);
}

const char *msglist_uid(const struct msglist *list, const struct message *m)
{
    return list->uids + m->uid_at;
}

void msglist_truncate(struct msglist *list, size_t index)
{
    while (list->count > index) {
        const struct message *last = &list->messages[--list->count];

        if (last->uid_at + strlen(list->uids + last->uid_at) + 1 == list->uids_len)
            list->uids_len = last->uid_at;
    }
}

void msglist_number(struct msglist *list)
{
    size_t hidden = 0;

    for (size_t i = 0; i < list->count; i++)
        hidden += (list->messages[i].flags & MSG_HIDDEN) != 0;
    mem_free(list->numbers);
    list->numbers = NULL;
    list->visible = list->count - hidden;
    if (hidden == 0)
        return;
    list->numbers = mem_new(list->visible, sizeof *list->numbers);
    for (size_t i = 0, number = 0; i < list->count; i++)
        if (!(list->messages[i].flags & MSG_HIDDEN))
            list->numbers[number++] = (uint32_t)i;
}

struct message *msglist_get(const struct msglist *list, uint64_t number)
{
    if (number < 1 || number > list->visible)
        return NULL;
    return &list->messages[list->numbers ? list->numbers[number - 1] : number - 1];
}

void msglist_totals(const struct msglist *list, uint64_t *count_r, uint64_t *octets_r, uint64_t *hidden_r)
{
    *count_r = *octets_r = *hidden_r = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct message *m = &list->messages[i];

        if (m->flags & MSG_HIDDEN) {
            ++*hidden_r;
        } else if (!(m->flags & MSG_DELETED)) {
            ++*count_r;
            *octets_r += m->octets;
        }
    }
}
