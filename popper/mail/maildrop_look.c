/*
 * maildrop_look: see maildrop_look.h. A session's maildrop with a host that grants every lock and opens nothing, closed
 * before it can write its index.
 */
#include "mail/maildrop_look.h"

#include "mail/filecalls.h"
#include "mail/maildrop_state.h"

static enum maillock_result grant(void *context, bool updating, int *drop_r, struct strbuf *why)
{
    (void)context;
    (void)updating;
    *drop_r = MAILHOST_SAME_DROP;
    (void)why;
    return MAILLOCK_OK;
}

static void ignore(void *context)
{
    (void)context;
}

static enum mailindex_state index_state(const struct maildrop *d)
{
    struct msglist list;
    struct dropmark mark;
    enum mailindex_state state = MAILINDEX_NONE;
    uint32_t validity;
    struct stat st;

    msglist_init(&list);
    if (d->drop >= 0 && filecalls->fstat(d->drop, &st) == 0)
        state = mailindex_load(d->index, d->drop, &st, &d->rules, &list, &mark, &validity);
    msglist_free(&list);
    return state;
}

static void take_view(const struct maildrop *d, struct maildrop_view *view_r)
{
    struct stat st;

    view_r->messages = d->list.count;
    view_r->leftover = d->first;
    for (size_t i = 0; i < d->list.count; i++)
        view_r->octets += d->list.messages[i].octets;
    view_r->moving = d->drop >= 0 && (filecalls->fstat(d->drop, &st) != 0 || !dropmark_is(&d->mark, &st));
    if (view_r->index == MAILINDEX_NONE)
        view_r->index = index_state(d);
}

enum maildrop_status maildrop_look(const struct maildrop_files *files, const struct settings *settings,
                                   struct maildrop_view *view_r, struct strbuf *why)
{
    const struct mailhost host = { .shown = files->shown, .lock = grant, .unlock = ignore };
    struct maildrop_files only = *files;
    struct maildrop *d;
    enum maildrop_status status;

    only.journal = false;
    only.bulletins = NULL;
    *view_r = (struct maildrop_view){ .index = MAILINDEX_NONE };
    status = maildrop_open(&d, &only, settings, &host, why);
    if (status != MAILDROP_OK)
        return status;
    take_view(d, view_r);
    d->store = false;
    maildrop_close(&d);
    return MAILDROP_OK;
}
