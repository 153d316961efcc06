/*
 * mboxplan: what the maildrop shall hold after UPDATE, as a list of pieces: kept ranges of M, text made here (a new
 * Status line), messages of a leftover temp drop or of bulletins. It decides nothing about how to write.
 */
#ifndef MAIL_MBOXPLAN_H
#define MAIL_MBOXPLAN_H

#include <stddef.h>
#include <stdint.h>

struct mboxpiece {
    int fd;          /* file the bytes come from; -1: text */
    char *text;      /* owned; NULL unless fd is -1 */
    uint64_t offset; /* in fd */
    uint64_t length;
};

struct mboxplan {
    struct mboxpiece *pieces;
    size_t count, cap;
    uint64_t length; /* of all pieces: the new size N of M */
    uint64_t mark;   /* where the last message starts that begins in, or right after, the first piece */
};

void mboxplan_init(struct mboxplan *plan);
void mboxplan_free(struct mboxplan *plan);

/* Appends; text is copied; a range that continues the last piece is merged with it. Zero length adds nothing. */
void mboxplan_add_range(struct mboxplan *plan, int fd, uint64_t offset, uint64_t length);
void mboxplan_add_text(struct mboxplan *plan, const char *text, size_t n);

/* A message starts with what is added next. Lets an update begin at a message, so that its journal holds whole
   messages; a plan without marks is carried out as well, but a journal that has to be set aside can then not give every
   message back. */
void mboxplan_message(struct mboxplan *plan);

/* First byte f of M (descriptor drop_fd) that changes: the length of the first piece when it is M from 0, else 0. */
uint64_t mboxplan_first_change(const struct mboxplan *plan, int drop_fd);

#endif
