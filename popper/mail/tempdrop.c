/*
 * tempdrop: see tempdrop.h. It never opens, changes or removes a file by name, and never writes to M or to a leftover.
 */
#include "mail/tempdrop.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/fskind.h"
#include "common/mem.h"
#include "mail/filecalls.h"
#include "mail/refind.h"
#include "mail/uidl.h"

#define BLOCK 16384

/* Blocks that are there before the bytes come cost less than those that are found one by one. Where they would be shared with M none are wanted. */
static int reserve(int fd, uint64_t n)
{
    if (!fskind_copies_plainly(fd) || filecalls->reserve(fd, 0, (off_t)n) == 0 || (errno != ENOSPC && errno != EDQUOT))
        return 0;
    return -1;
}

int tempdrop_copy(int drop_fd, uint64_t n, const struct mailhost *host, struct strbuf *why)
{
    int fd = host->open(host->context, MAILFILE_TEMPDROP, MAILOPEN_NEW, why);

    if (fd < 0)
        return -1;
    if (reserve(fd, n) != 0 || filecalls_copy(drop_fd, 0, fd, 0, n) != 0) {
        int error = errno;

        close(fd);
        strbuf_fail(why, "cannot copy the maildrop %s into a temp drop: %s", host->shown, strerror(error));
        errno = error;
        return -1;
    }
    return fd;
}

static bool same_bytes(int a, uint64_t a_at, int b, uint64_t b_at, uint64_t n)
{
    char block[2][BLOCK];

    while (n > 0) {
        size_t part = n < BLOCK ? (size_t)n : BLOCK;

        if (filecalls_read(a, block[0], part, (off_t)a_at) != (ssize_t)part
            || filecalls_read(b, block[1], part, (off_t)b_at) != (ssize_t)part || memcmp(block[0], block[1], part) != 0)
            return false;
        a_at += part;
        b_at += part;
        n -= part;
    }
    return true;
}

/* The last message of a file may lack its last line end and the empty line: at most so many bytes. */
static bool only_line_ends(int fd, uint64_t at, uint64_t n)
{
    char rest[4];

    if (n > sizeof rest || filecalls_read(fd, rest, n, (off_t)at) != (ssize_t)n)
        return false;
    for (uint64_t i = 0; i < n; i++)
        if (rest[i] != '\n' && rest[i] != '\r')
            return false;
    return true;
}

static bool same_message(int a, const struct message *m, int b, const struct message *o)
{
    uint64_t n = m->length < o->length ? m->length : o->length;

    return same_bytes(a, m->offset, b, o->offset, n) && only_line_ends(a, m->offset + n, m->length - n)
           && only_line_ends(b, o->offset + n, o->length - n);
}

/* Each message of M stands for one of the leftover at most. */
static bool stands_in_drop(int fd, const struct msglist *left, const struct message *m, int drop_fd,
                           const struct refind *drop, bool *taken)
{
    size_t count;
    const size_t *same_id = refind_all(drop, left, m, &count);

    for (size_t i = 0; i < count; i++) {
        if (taken[same_id[i]] || !same_message(fd, m, drop_fd, &drop->list->messages[same_id[i]]))
            continue;
        taken[same_id[i]] = true;
        return true;
    }
    return false;
}

static void append_all(struct msglist *to, const struct msglist *from, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++)
        msglist_add(to, &from->messages[i], msglist_uid(from, &from->messages[i]));
}

/* M's messages come first while ids are told apart, so that theirs stay; then the order is turned. as_in_drop: those of
   left with ids that are made as M's are. */
static size_t merge(int fd, const struct msglist *left, const struct msglist *as_in_drop, int drop_fd, struct msglist *list)
{
    size_t of_drop = list->count, doubles = 0;
    bool *taken = mem_new(of_drop, sizeof *taken);
    struct msglist merged;
    struct refind drop;

    refind_init(&drop, list);
    msglist_init(&merged);
    append_all(&merged, list, 0, of_drop);
    for (size_t i = 0; i < left->count; i++) {
        if (stands_in_drop(fd, as_in_drop, &as_in_drop->messages[i], drop_fd, &drop, taken))
            doubles++;
        else
            append_all(&merged, left, i, i + 1);
    }
    refind_free(&drop);
    mem_free(taken);
    uidl_resolve_duplicates(&merged, of_drop);
    msglist_free(list);
    append_all(list, &merged, of_drop, merged.count);
    append_all(list, &merged, 0, of_drop);
    msglist_free(&merged);
    return doubles;
}

enum mboxscan_result tempdrop_leftover(int fd, int drop_fd, const struct mboxscan_rules *rules, uint32_t imap_validity,
                                       struct msglist *list, uint64_t *size_r, size_t *doubles_r, struct strbuf *why)
{
    bool own_base = imap_validity == 0 && uidl_is_of_imap(rules->format);
    enum mboxscan_result result = MBOXSCAN_IO;
    struct msglist as_in_drop, left;
    struct stat st;

    *doubles_r = 0;
    msglist_init(&as_in_drop);
    msglist_init(&left);
    if (filecalls->fstat(fd, &st) != 0) {
        strbuf_fail(why, "%s", strerror(errno));
    } else {
        *size_r = (uint64_t)st.st_size;
        result = mboxscan_file(fd, 0, *size_r, MSGSRC_LEFTOVER, rules, &imap_validity, &as_in_drop, why);
    }
    if (result == MBOXSCAN_OK && own_base)
        result = mboxscan_file(fd, 0, *size_r, MSGSRC_LEFTOVER, rules, NULL, &left, why);
    if (result == MBOXSCAN_OK && own_base && left.count != as_in_drop.count) {
        strbuf_fail(why, "it changes");
        result = MBOXSCAN_IO;
    }
    if (result == MBOXSCAN_OK)
        *doubles_r = merge(fd, own_base ? &left : &as_in_drop, &as_in_drop, drop_fd, list);
    msglist_free(&as_in_drop);
    msglist_free(&left);
    return result;
}
