/*
 * mboxplan: see mboxplan.h. A growing array of pieces; it reads no file.
 */
#include "config.h"

#include "mail/mboxplan.h"

#include <string.h>

#include "common/mem.h"

void mboxplan_init(struct mboxplan *plan)
{
    *plan = (struct mboxplan){ 0 };
}

void mboxplan_free(struct mboxplan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        mem_free(plan->pieces[i].text);
    mem_free(plan->pieces);
    mboxplan_init(plan);
}

static struct mboxpiece *add_piece(struct mboxplan *plan, uint64_t length)
{
    struct mboxpiece *piece;

    mem_reserve(&plan->pieces, &plan->cap, plan->count + 1, sizeof *plan->pieces);
    piece = &plan->pieces[plan->count++];
    *piece = (struct mboxpiece){ .fd = -1, .length = length };
    plan->length += length;
    return piece;
}

void mboxplan_add_range(struct mboxplan *plan, int fd, uint64_t offset, uint64_t length)
{
    struct mboxpiece *last = plan->count > 0 ? &plan->pieces[plan->count - 1] : NULL;

    if (length == 0)
        return;
    if (last != NULL && last->fd == fd && last->offset + last->length == offset) {
        last->length += length;
        plan->length += length;
        return;
    }
    last = add_piece(plan, length);
    last->fd = fd;
    last->offset = offset;
}

void mboxplan_add_text(struct mboxplan *plan, const char *text, size_t n)
{
    struct mboxpiece *piece;

    if (n == 0)
        return;
    piece = add_piece(plan, n);
    piece->text = mem_new(n, 1);
    memcpy(piece->text, text, n);
}

void mboxplan_message(struct mboxplan *plan)
{
    if (plan->count <= 1)
        plan->mark = plan->length;
}

uint64_t mboxplan_first_change(const struct mboxplan *plan, int drop_fd)
{
    const struct mboxpiece *first = plan->pieces;

    return plan->count > 0 && first->fd == drop_fd && first->offset == 0 ? first->length : 0;
}
