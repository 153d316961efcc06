/*
 * mboxmodel: what mboxscan and msgsend must say about a file, worked out the slow and obvious way: the whole file in memory, line by line,
 * From_ lines by a regular expression. It shares no code with them.
 */
#ifndef TESTS_UNIT_MBOXMODEL_H
#define TESTS_UNIT_MBOXMODEL_H

#include <stdbool.h>
#include <stddef.h>

struct model_message {
    size_t offset, length, header_len, from_len;
    bool hidden;
    char *text;       /* as sent, before byte-stuffing */
    size_t octets;
    size_t head;      /* octets of its header with the empty line */
};

struct model {
    bool is_mbox;
    struct model_message *messages;
    size_t count;
};

/* edited: update-status-headers. uids: what to put into X-UIDL, one for each message (the model knows no hashes); may be NULL unless edited. */
void mboxmodel_make(struct model *model, const char *file, size_t n);
/* Fills text, octets and head of message i. */
void mboxmodel_text(struct model *model, size_t i, const char *file, const char *edited_uid);
void mboxmodel_free(struct model *model);

#endif
