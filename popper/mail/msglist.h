/*
 * msglist: the messages of one session: where each lies, how long it is, its unique id and its flags. Plain data, 40
 * bytes a message plus its unique id in one pool, so that 100,000 messages are nothing.
 */
#ifndef MAIL_MSGLIST_H
#define MAIL_MSGLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum msglist_flag {
    MSG_DELETED = 1,        /* DELE in this session */
    MSG_RETRIEVED = 2,      /* RETR in this session */
    MSG_SEEN = 4,           /* its Status header said R when it was scanned */
    MSG_HIDDEN = 8,         /* not numbered, never sent, always kept (UW-kluge) */
    MSG_EDITED = 16,        /* sent otherwise than stored: msgsend must look at its header line by line */
    MSG_NULS = 32,          /* holds NUL bytes (sent as blanks) */
    MSG_UID_STORED = 64,    /* its unique id stands in the message (X-UIDL, or X-UID for uidl-format dovecot) */
    MSG_TOUCHED = 128       /* Status header is to be rewritten in UPDATE (update-status-headers) */
};

/* Which file the offset speaks of. */
enum msglist_source { MSGSRC_DROP, MSGSRC_LEFTOVER, MSGSRC_BULLETIN };

struct message {
    uint64_t offset;      /* of the first byte of its From_ line in its file */
    uint64_t length;      /* to the next message's From_ line or the end: includes the separating blank line */
    uint64_t octets;      /* what RETR sends before byte-stuffing, CRLF counted (RFC 1939); never 0, since an empty line
                             ends every header */
    uint32_t header_len;  /* from offset to the first byte of the body: From_ line, header, blank line; equals length
                             when there is no body. UINT32_MAX: no body either (a header of more than 4 GiB counts as
                             the whole message). See msglist_header_len */
    uint32_t uid_at;      /* of the NUL-terminated unique id in the pool */
    uint16_t from_len;    /* of the From_ line with its line end; 0 for bulletins served without one */
    uint8_t flags;
    uint8_t source;
    uint32_t reserved;    /* 0: the index stores messages as they lie here, without a gap */
};

struct msglist {
    struct message *messages; /* all, hidden ones too, in order of listing */
    size_t count, cap;
    char *uids;
    size_t uids_len, uids_cap;
    uint32_t *numbers;         /* message number - 1 -> index into messages; NULL while nothing is hidden (then they are
                                  equal) */
    size_t visible;            /* number of visible messages, deleted ones too */
};

void msglist_init(struct msglist *list);
void msglist_free(struct msglist *list);

/* Appends a message (copied) with its unique id ("" when not known yet). Returns its index. The pointer-free index
   stays valid. */
size_t msglist_add(struct msglist *list, const struct message *m, const char *uid);
void msglist_set_uid(struct msglist *list, size_t index, const char *uid);
const char *msglist_uid(const struct msglist *list, const struct message *m);

/* header_len as it is meant: never more than length. */
static inline uint64_t msglist_header_len(const struct message *m)
{
    return m->header_len == UINT32_MAX || m->header_len > m->length ? m->length : m->header_len;
}

/* Drops the messages from index on (a grown maildrop is scanned again from its last message). */
void msglist_truncate(struct msglist *list, size_t index);

/* To be called once after filling: computes numbers and visible. */
void msglist_number(struct msglist *list);

/* The message with the number 1..visible, or NULL. */
struct message *msglist_get(const struct msglist *list, uint64_t number);

/* Visible and not deleted: how many, and octets together. Hidden: how many. */
void msglist_totals(const struct msglist *list, uint64_t *count_r, uint64_t *octets_r, uint64_t *hidden_r);

#endif
