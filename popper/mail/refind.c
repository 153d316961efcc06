/*
 * refind: see refind.h. Where two answers are possible it gives none: what is not found stays, and the client deletes
 * it the next time.
 */
#include "config.h" /* _GNU_SOURCE: qsort_r */

#include "mail/refind.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "mail/uidl.h"

/* What is compared of an id. */
struct key {
    const char *id;
    size_t n;
};

static struct key key_of(const struct msglist *list, const struct message *m)
{
    const char *id = msglist_uid(list, m);

    return (struct key){ id, uidl_base_length(id, m->flags & MSG_UID_STORED) };
}

static int compare_keys(struct key a, struct key b)
{
    int order = memcmp(a.id, b.id, a.n < b.n ? a.n : b.n);

    return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

static struct key key_at(const struct msglist *list, size_t index)
{
    return key_of(list, &list->messages[index]);
}

static int compare_indexes(const void *a, const void *b, void *list)
{
    const size_t *x = a, *y = b;
    int order = compare_keys(key_at(list, *x), key_at(list, *y));

    return order != 0 ? order : (*x > *y) - (*x < *y);
}

void refind_init(struct refind *r, const struct msglist *list)
{
    r->list = list;
    r->order = mem_new(list->count, sizeof *r->order);
    r->count = 0;
    for (size_t i = 0; i < list->count; i++)
        if (list->messages[i].source == MSGSRC_DROP)
            r->order[r->count++] = i;
    qsort_r(r->order, r->count, sizeof *r->order, compare_indexes, (void *)list);
}

void refind_free(struct refind *r)
{
    mem_free(r->order);
    r->order = NULL;
    r->count = 0;
}

/* How many from `at` on have the same id as the one there. */
static size_t group_length(const struct refind *r, size_t at)
{
    size_t end = at + 1;

    while (end < r->count && compare_keys(key_at(r->list, r->order[at]), key_at(r->list, r->order[end])) == 0)
        end++;
    return end - at;
}

const size_t *refind_all(const struct refind *r, const struct msglist *list, const struct message *m, size_t *count_r)
{
    const struct key key = key_of(list, m);
    size_t low = 0, high = r->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare_keys(key_at(r->list, r->order[middle]), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *count_r = low < r->count && compare_keys(key_at(r->list, r->order[low]), key) == 0 ? group_length(r, low) : 0;
    return r->order + low;
}

static uint64_t body_length(const struct message *m)
{
    return m->length - msglist_header_len(m);
}

/* Those of a group whose bodies are n bytes long: how many, and how many of them are deleted. */
static size_t count_bodies(const struct msglist *list, const size_t *group, size_t count, uint64_t n, size_t *deleted_r)
{
    size_t found = 0;

    *deleted_r = 0;
    for (size_t i = 0; i < count; i++) {
        const struct message *m = &list->messages[group[i]];

        if (body_length(m) != n)
            continue;
        found++;
        *deleted_r += (m->flags & MSG_DELETED) != 0;
    }
    return found;
}

static void delete_bodies(struct msglist *list, const size_t *group, size_t count, uint64_t n)
{
    for (size_t i = 0; i < count; i++)
        if (body_length(&list->messages[group[i]]) == n)
            list->messages[group[i]].flags |= MSG_DELETED;
}

/* Several with one id: for each length of body all or none. One that is new (more now than then) may be the one to
   keep. */
static size_t match_bodies(const struct msglist *then, const size_t *old, size_t old_count, struct msglist *now,
                           const size_t *new, size_t new_count)
{
    size_t found = 0;

    for (size_t i = 0; i < old_count; i++) {
        const struct message *m = &then->messages[old[i]];
        size_t before, deleted, after, ignored;

        if ((m->flags & MSG_DELETED) == 0)
            continue;
        before = count_bodies(then, old, old_count, body_length(m), &deleted);
        after = count_bodies(now, new, new_count, body_length(m), &ignored);
        if (deleted < before || after > before || ignored == after)
            continue; /* the last: nothing there, or done for an earlier one of them */
        delete_bodies(now, new, new_count, body_length(m));
        found += after;
    }
    return found;
}

/* Whether two messages with one key, which no others have, are the same. A computed id may be that of new mail, too: all that it
   is made of may be equal. Stored ones may differ where a key ends. */
static bool is_same(const struct msglist *then, const struct message *old, const struct msglist *now,
                    const struct message *new, const struct refind_text *text)
{
    if (old->flags & new->flags & MSG_UID_STORED)
        return strcmp(msglist_uid(then, old), msglist_uid(now, new)) == 0;
    return body_length(old) == body_length(new) || text->has_message_id(text->context, new);
}

/* Where keys are cut, several of them may have different ids: none is found. */
static size_t match_group(const struct msglist *then, const size_t *old, size_t old_count, struct msglist *now,
                          const size_t *new, size_t new_count, const struct refind_text *text)
{
    if (old_count > 1 || new_count > 1)
        return key_at(then, old[0]).n == UIDL_BASE_MAX ? 0 : match_bodies(then, old, old_count, now, new, new_count);
    if (new_count == 0 || !is_same(then, &then->messages[old[0]], now, &now->messages[new[0]], text))
        return 0;
    now->messages[new[0]].flags |= MSG_DELETED;
    return 1;
}

void refind_deleted(const struct msglist *then, struct msglist *now, const struct refind_text *text, size_t *found_r,
                    size_t *missed_r)
{
    struct refind old, new;
    size_t wanted = 0;

    *found_r = 0;
    refind_init(&old, then);
    refind_init(&new, now);
    for (size_t at = 0, n; at < old.count; at += n) {
        const size_t *group;
        size_t deleted = 0, count;

        n = group_length(&old, at);
        for (size_t i = 0; i < n; i++)
            deleted += (then->messages[old.order[at + i]].flags & MSG_DELETED) != 0;
        if (deleted == 0)
            continue;
        wanted += deleted;
        group = refind_all(&new, then, &then->messages[old.order[at]], &count);
        *found_r += match_group(then, old.order + at, n, now, group, count, text);
    }
    *missed_r = wanted - *found_r;
    refind_free(&old);
    refind_free(&new);
}

/* An ordinal that one of them has, of which the message says nothing, makes no difference. */
static bool same_id(const struct msglist *a_list, const struct message *a, const struct msglist *b_list, const struct message *b)
{
    if (strcmp(msglist_uid(a_list, a), msglist_uid(b_list, b)) == 0)
        return true;
    return !(a->flags & b->flags & MSG_UID_STORED) && compare_keys(key_of(a_list, a), key_of(b_list, b)) == 0;
}

/* The octets of an edited message contain its id. */
static uint64_t octets_less_id(const struct message *m, const char *id)
{
    return m->flags & MSG_EDITED ? m->octets - strlen(id) : m->octets;
}

static bool same_message(const struct msglist *a_list, const struct message *a, const struct msglist *b_list,
                         const struct message *b)
{
    return a->offset == b->offset && a->length == b->length && a->header_len == b->header_len
           && a->from_len == b->from_len && (a->flags | MSG_UID_STORED) == (b->flags | MSG_UID_STORED)
           && a->source == b->source && same_id(a_list, a, b_list, b)
           && octets_less_id(a, msglist_uid(a_list, a)) == octets_less_id(b, msglist_uid(b_list, b));
}

bool refind_same(const struct msglist *a, const struct msglist *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!same_message(a, &a->messages[i], b, &b->messages[i]))
            return false;
    return true;
}
