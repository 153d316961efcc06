/*
 * mailindex: see mailindex.h.
 *
 * The file: struct header, then `count` records of struct message as they lie in memory, then their ids, each with
 * its NUL, in the same order. The header says how large a record is and in which byte order, so that another
 * machine's or version's file is not taken for ours.
 *
 * It is written body first and header last and never synced, and nothing marks it invalid before: the checksum covers
 * all of it, so that whatever mixture of old and new blocks a crash leaves is either one whole index or none. An old
 * whole one describes M by a status that M has no more.
 */
#include "mail/mailindex.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "common/digest.h"
#include "common/log.h"
#include "common/mem.h"
#include "mail/filecalls.h"

#define MAGIC "PopIndx" /* and its NUL */
#define ORDER UINT32_C(0x01020304)
#define SIZE_LIMIT (UINT64_C(64) << 20)
#define PIECE 65536 /* checksummed and written at a time */
#define STORED_FLAGS (MSG_SEEN | MSG_HIDDEN | MSG_EDITED | MSG_NULS | MSG_UID_STORED)

struct header {
    char magic[8];
    uint32_t order;
    uint16_t version;
    uint16_t record;        /* sizeof(struct message) */
    uint8_t format, status_headers, uw_kluge, racy;
    uint32_t imap_validity;
    uint64_t dev, ino, size;
    int64_t mtime, ctime;
    uint64_t fingerprint;
    uint64_t count, ids;    /* messages; bytes of their ids */
    uint64_t sum;           /* of the header with 0 here, then of the body */
    uint64_t doubts;
    uint64_t reserved;
};

_Static_assert(sizeof(struct message) == 40, "no padding may get into the file");
_Static_assert(sizeof(struct header) == 112, "no padding may get into the file");

static uint64_t header_sum(const struct header *h)
{
    struct header copy = *h;

    copy.sum = 0;
    return digest_sum64(0, &copy, sizeof copy);
}

/* Both sides of the checksum go over the records, then over the ids, in pieces of PIECE bytes. */
static uint64_t body_sum(uint64_t sum, const void *bytes, size_t n)
{
    const char *p = bytes;

    for (; n > PIECE; n -= PIECE, p += PIECE)
        sum = digest_sum64(sum, p, PIECE);
    return digest_sum64(sum, p, n);
}

/* ---- reading */

static const char *header_fault(const struct header *h, uint64_t file_size, const struct mboxscan_rules *rules)
{
    if (memcmp(h->magic, MAGIC, sizeof h->magic) != 0)
        return "it is not an index of ours";
    if (h->order != ORDER || h->version != MAILINDEX_VERSION || h->record != sizeof(struct message))
        return "another version or machine wrote it";
    if (h->count > SIZE_LIMIT / sizeof(struct message) || h->ids > SIZE_LIMIT
        || file_size != sizeof *h + h->count * sizeof(struct message) + h->ids)
        return "its length is wrong";
    if (h->format != rules->format || h->status_headers != rules->status_headers || h->uw_kluge != rules->uw_kluge)
        return "the options were others";
    if (h->racy > 1 || h->size > INT64_MAX || h->doubts > MAILINDEX_DOUBTS_MAX)
        return "its numbers are wrong";
    return NULL;
}

static bool record_fits(const struct message *m, uint64_t offset, uint64_t end, size_t id_at)
{
    return m->offset == offset && m->length > 0 && m->length <= end - offset
           && (m->header_len <= m->length || m->header_len == UINT32_MAX) && m->from_len <= m->header_len
           && m->octets > 0 && m->octets <= 2 * m->length + 2 * UIDL_MAX && m->uid_at == id_at
           && (m->flags & ~STORED_FLAGS) == 0 && m->source == MSGSRC_DROP && m->reserved == 0;
}

/* The length of the id at the start of `id`, or 0 when none of 1 to UIDL_MAX legal bytes with its NUL stands there. */
static size_t id_length(const char *id, size_t room)
{
    size_t max = room < UIDL_MAX + 1 ? room : UIDL_MAX + 1;

    for (size_t n = 0; n < max; n++) {
        if (id[n] == '\0')
            return n;
        if ((unsigned char)id[n] < 0x21 || (unsigned char)id[n] > 0x7e)
            return 0;
    }
    return 0;
}

/* Records and ids lie one after the other without a gap and end where M and the pool end. */
static bool body_fits(const struct msglist *list, uint64_t end)
{
    uint64_t offset = list->count > 0 ? list->messages[0].offset : end;
    size_t id_at = 0;

    if (offset > end)
        return false;
    for (size_t i = 0; i < list->count; i++) {
        size_t n;

        if (!record_fits(&list->messages[i], offset, end, id_at))
            return false;
        n = id_length(list->uids + id_at, list->uids_len - id_at);
        if (n == 0)
            return false;
        id_at += n + 1;
        offset += list->messages[i].length;
    }
    return offset == end && id_at == list->uids_len;
}

static bool read_exactly(int fd, void *to, size_t n, uint64_t at)
{
    return filecalls_read(fd, to, n, (off_t)at) == (ssize_t)n;
}

static const char *read_body(int fd, const struct header *h, struct msglist *list)
{
    size_t records = (size_t)h->count * sizeof(struct message);
    uint64_t sum = header_sum(h);

    list->messages = mem_resize(NULL, h->count, sizeof(struct message));
    list->cap = (size_t)h->count;
    list->uids = mem_resize(NULL, h->ids, 1);
    list->uids_cap = (size_t)h->ids;
    if (!read_exactly(fd, list->messages, records, sizeof *h)
        || !read_exactly(fd, list->uids, h->ids, sizeof *h + records))
        return "it cannot be read to its end";
    sum = body_sum(sum, list->messages, records);
    sum = body_sum(sum, list->uids, h->ids);
    if (sum != h->sum)
        return "its checksum is wrong";
    list->count = (size_t)h->count;
    list->uids_len = (size_t)h->ids;
    return body_fits(list, h->size) ? NULL : "its numbers are wrong";
}

static void mark_from(const struct header *h, struct dropmark *mark)
{
    *mark = (struct dropmark){
        .dev = h->dev,
        .ino = h->ino,
        .size = h->size,
        .mtime = h->mtime,
        .ctime = h->ctime,
        .fingerprint = h->fingerprint,
        .racy = h->racy,
        .doubts = (unsigned)h->doubts,
    };
}

/* What can be said before the body is read: an index of another file or of a longer M is not worth it. */
static bool may_fit(const struct dropmark *mark, const struct stat *st)
{
    return dropmark_is(mark, st)
           || (mark->dev == (uint64_t)st->st_dev && mark->ino == (uint64_t)st->st_ino
               && mark->size < (uint64_t)st->st_size);
}

static const char *load(int fd, int drop_fd, const struct stat *st, const struct mboxscan_rules *rules,
                        struct msglist *list, struct dropmark *mark, uint32_t *imap_validity_r,
                        enum mailindex_state *state_r)
{
    struct stat file;
    struct header h;
    const char *fault;

    if (filecalls->fstat(fd, &file) != 0)
        return "it cannot be looked at";
    if (file.st_size == 0)
        return "it is empty";
    if (file.st_size < (off_t)sizeof h || (uint64_t)file.st_size > SIZE_LIMIT || !read_exactly(fd, &h, sizeof h, 0))
        return "its length is wrong";
    if ((fault = header_fault(&h, (uint64_t)file.st_size, rules)))
        return fault;
    mark_from(&h, mark);
    if (!may_fit(mark, st))
        return "the maildrop is not the file that it describes";
    if ((fault = read_body(fd, &h, list)))
        return fault;
    switch (dropmark_compare(mark, drop_fd, st, list->messages, list->count)) {
    case DROPMARK_SAME:
        *state_r = mark->racy ? MAILINDEX_RACY : MAILINDEX_VALID;
        break;
    case DROPMARK_GROWN:
        if (mark->doubts == MAILINDEX_DOUBTS_MAX)
            return "the maildrop has grown often since it was read as a whole";
        *state_r = MAILINDEX_GROWN;
        break;
    case DROPMARK_CHANGED:
        return "the maildrop was changed by another program";
    }
    *imap_validity_r = h.imap_validity;
    return NULL;
}

enum mailindex_state mailindex_load(int fd, int drop_fd, const struct stat *st, const struct mboxscan_rules *rules,
                                    struct msglist *list, struct dropmark *mark_r, uint32_t *imap_validity_r)
{
    enum mailindex_state state = MAILINDEX_NONE;
    const char *fault;

    if (fd < 0)
        return MAILINDEX_NONE;
    fault = load(fd, drop_fd, st, rules, list, mark_r, imap_validity_r, &state);
    if (!fault)
        return state;
    log_write(LOG_DEBUG, "index not used: %s", fault);
    msglist_free(list);
    return MAILINDEX_NONE;
}

/* ---- writing */

struct writer {
    int fd;
    uint64_t at;    /* of piece in the file */
    uint64_t sum;
    size_t len;
    int error;      /* the first errno, 0 none */
    char piece[PIECE];
};

static void write_piece(struct writer *w)
{
    w->sum = digest_sum64(w->sum, w->piece, w->len);
    if (w->error == 0 && w->len > 0 && filecalls_write(w->fd, w->piece, w->len, (off_t)w->at) != 0)
        w->error = errno;
    w->at += w->len;
    w->len = 0;
}

/* Pieces are PIECE bytes long but for the last one of records and of ids, as body_sum takes them. */
static void write_bytes(struct writer *w, const void *bytes, size_t n)
{
    const char *p = bytes;

    while (n > 0) {
        size_t room = PIECE - w->len, part = n < room ? n : room;

        if (room == 0) {
            write_piece(w);
            continue;
        }
        memcpy(w->piece + w->len, p, part);
        w->len += part;
        p += part;
        n -= part;
    }
}

static void write_records(struct writer *w, const struct msglist *list)
{
    uint32_t id_at = 0;

    for (size_t i = 0; i < list->count; i++) {
        struct message m = list->messages[i];

        if (m.source != MSGSRC_DROP)
            continue;
        m.uid_at = id_at;
        m.flags &= STORED_FLAGS;
        id_at += (uint32_t)strlen(msglist_uid(list, &list->messages[i])) + 1;
        write_bytes(w, &m, sizeof m);
    }
    write_piece(w);
}

static void write_ids(struct writer *w, const struct msglist *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *id = msglist_uid(list, &list->messages[i]);

        if (list->messages[i].source == MSGSRC_DROP)
            write_bytes(w, id, strlen(id) + 1);
    }
    write_piece(w);
}

static void count_body(const struct msglist *list, struct header *h)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->messages[i].source != MSGSRC_DROP)
            continue;
        h->count++;
        h->ids += strlen(msglist_uid(list, &list->messages[i])) + 1;
    }
}

static int store(struct writer *w, struct header *h, const struct msglist *list)
{
    w->at = sizeof *h;
    w->sum = header_sum(h);
    write_records(w, list);
    write_ids(w, list);
    h->sum = w->sum;
    if (w->error == 0 && filecalls->ftruncate(w->fd, (off_t)w->at) != 0)
        w->error = errno;
    if (w->error == 0 && filecalls_write(w->fd, h, sizeof *h, 0) != 0)
        w->error = errno;
    return w->error;
}

int mailindex_store(int fd, const struct dropmark *mark, const struct mboxscan_rules *rules, const struct msglist *list,
                    uint32_t imap_validity)
{
    struct header h = {
        .magic = MAGIC,
        .order = ORDER,
        .version = MAILINDEX_VERSION,
        .record = sizeof(struct message),
        .format = (uint8_t)rules->format,
        .status_headers = rules->status_headers,
        .uw_kluge = rules->uw_kluge,
        .racy = mark->racy,
        .imap_validity = imap_validity,
        .dev = mark->dev,
        .ino = mark->ino,
        .size = mark->size,
        .mtime = mark->mtime,
        .ctime = mark->ctime,
        .fingerprint = mark->fingerprint,
        .doubts = mark->doubts,
    };
    struct writer *w = mem_resize(NULL, 1, sizeof *w);
    int error;

    w->fd = fd;
    w->len = 0;
    w->error = 0;
    count_body(list, &h);
    error = sizeof h + h.count * sizeof(struct message) + h.ids > SIZE_LIMIT ? EFBIG : store(w, &h, list);
    mem_free(w);
    if (error == 0)
        return 0;
    /* Where even this fails the checksum, or M's status, speaks against what stands there. */
    (void)filecalls->ftruncate(fd, 0);
    errno = error;
    return -1;
}
