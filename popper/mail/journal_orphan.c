/*
 * journal_orphan: see journal_orphan.h. A message is known by its unique id (which no mail reader changes) and the text
 * of its body: a torn message in M has the id of the whole one, but not its body. Status headers may differ.
 */
#include "config.h"

#include "mail/journal_orphan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/digest.h"
#include "common/log.h"
#include "common/mem.h"
#include "mail/filecalls.h"
#include "mail/journal_tail.h"
#include "mail/journal_undo.h"
#include "mail/mboxscan.h"
#include "mail/msglist.h"

#define READ_BLOCK 65536u

/* One message of M or of T. */
struct known {
    unsigned char key[DIGEST_MD5_SIZE];
    uint64_t offset, length;
};

struct known_list {
    struct known *items;
    size_t count, cap;
};

static int stop(const struct mailhost *host, struct strbuf *why, const char *what)
{
    return strbuf_fail(why,
                       "the journal of %s does not fit it any more, and what is missing cannot be put back: %s: %s",
                       journal_shown(host), what, strerror(errno));
}

/* The body without the line ends at its end, of which the next delivery may add or take some. */
static int add_body(struct digest_md5 *hash, int fd, uint64_t at, uint64_t end)
{
    char *block = mem_new(READ_BLOCK, 1);
    uint64_t line_ends = 0; /* seen and not yet hashed */
    ssize_t got = 0;

    while (at < end &&
           (got = filecalls_read(fd, block, end - at < READ_BLOCK ? (size_t)(end - at) : READ_BLOCK, (off_t)at)) > 0) {
        size_t solid = (size_t)got;

        while (solid > 0 && block[solid - 1] == '\n')
            solid--;
        for (; solid > 0 && line_ends > 0; line_ends--)
            digest_md5_add(hash, "\n", 1);
        digest_md5_add(hash, block, solid);
        line_ends += (size_t)got - solid;
        at += (uint64_t)got;
    }
    mem_free(block);
    return got < 0 || at < end ? -1 : 0;
}

static int add_known(struct known_list *list, int fd, const struct msglist *messages, const struct message *m)
{
    const char *uid = msglist_uid(messages, m);
    struct digest_md5 hash;
    struct known *item;

    digest_md5_begin(&hash);
    digest_md5_add(&hash, uid, strlen(uid) + 1);
    if (add_body(&hash, fd, m->offset + m->header_len, m->offset + m->length) != 0)
        return -1;
    mem_reserve(&list->items, &list->cap, list->count + 1, sizeof *list->items);
    item = &list->items[list->count++];
    *item = (struct known){ .offset = m->offset, .length = m->length };
    digest_md5_end(&hash, item->key);
    return 0;
}

/* Adds the messages of the bytes from..to of fd. Bytes that are no mbox add nothing when `lenient`. */
static int scan(struct known_list *list, int fd, uint64_t from, uint64_t to, bool lenient, const struct mailhost *host,
                struct strbuf *why)
{
    struct mboxscan_rules rules = { .format = UIDL_QPOPPER };
    struct msglist messages;
    enum mboxscan_result result;
    size_t newlines;
    int failed = 0;

    if (lenient && journal_join(fd, from, to, "", 0, &from, &newlines) != 0)
        return stop(host, why, "cannot read the journal");
    if (from == to)
        return 0;
    msglist_init(&messages);
    result = mboxscan_file(fd, from, to, MSGSRC_DROP, &rules, NULL, &messages, why);
    for (size_t i = 0; failed == 0 && result == MBOXSCAN_OK && i < messages.count; i++)
        if (add_known(list, fd, &messages, &messages.messages[i]) != 0)
            failed = stop(host, why, "cannot read");
    msglist_free(&messages);
    if (result == MBOXSCAN_IO || (result == MBOXSCAN_NOT_MBOX && !lenient))
        return strbuf_fail(why,
                           "%s is not what its journal says, and cannot be read as an mbox either (%s); put it right, "
                           "then log in again",
                           journal_shown(host), why->data);
    return failed;
}

static int by_key(const void *a, const void *b)
{
    return memcmp(((const struct known *)a)->key, ((const struct known *)b)->key, DIGEST_MD5_SIZE);
}

/* What of `tail` is not in `held`, in its order, to the front of `tail`: as many copies as M lacks. */
static void keep_missing(struct known_list *tail, struct known_list *held)
{
    size_t missing = 0;

    if (held->count > 0)
        qsort(held->items, held->count, sizeof *held->items, by_key);
    for (size_t i = 0; i < tail->count; i++) {
        struct known *found = held->count > 0
                                  ? bsearch(&tail->items[i], held->items, held->count, sizeof *held->items, by_key)
                                  : NULL;

        while (found != NULL && found > held->items && by_key(found - 1, found) == 0)
            found--;
        while (found != NULL && found->length == 0) /* used up */
            found = found + 1 < held->items + held->count && by_key(found + 1, found) == 0 ? found + 1 : NULL;
        if (found != NULL)
            found->length = 0;
        else
            tail->items[missing++] = tail->items[i];
    }
    tail->count = missing;
}

static int find_missing(const struct journal *journal, int drop_fd, uint64_t size, struct known_list *missing,
                        const struct mailhost *host, struct strbuf *why)
{
    struct known_list held = { 0 };
    int result = 0;

    if (size > 0)
        result = scan(&held, drop_fd, 0, size, false, host, why);
    for (size_t i = 0; result == 0 && i < journal->data_count; i++)
        result = scan(missing, journal->fd, journal->data[i].offset, journal->data[i].offset + journal->data[i].length,
                      true, host, why);
    if (result == 0)
        keep_missing(missing, &held);
    mem_free(held.items);
    return result;
}

/* Line ends between what M ends in and the first message, and after a message that lacks its own. */
static int plan_missing(struct journal *journal, int drop_fd, uint64_t size, const struct known_list *missing,
                        struct journal_plan *plan)
{
    char end[2] = { '\n', '\n' };
    size_t n = size < 2 ? (size_t)size : 2;
    uint64_t newlines_at;
    int fd = drop_fd;
    uint64_t end_at = size;

    if (journal_append_data(journal, 2, &newlines_at) != 0 ||
        filecalls_write(journal->fd, "\n\n", 2, (off_t)newlines_at) != 0)
        return -1;
    for (size_t i = 0; i < missing->count; i++) {
        size_t lacking;

        if (filecalls_read(fd, end, n, (off_t)(end_at - n)) != (ssize_t)n)
            return -1;
        lacking = journal_lacking(end, n);
        if (lacking > 0)
            journal_add_segment(plan, newlines_at, lacking, false);
        journal_add_segment(plan, missing->items[i].offset, missing->items[i].length, false);
        fd = journal->fd;
        end_at = missing->items[i].offset + missing->items[i].length;
        n = 2;
    }
    return 0;
}

static int append_missing(struct journal *journal, int drop_fd, uint64_t size, const struct known_list *missing,
                          const struct mailhost *host, struct strbuf *why)
{
    struct journal_intent intent = { .old_end = size, .orphan = true };
    struct journal_commit commit = { .first = size, .orphan = true };
    struct journal_plan plan = { 0 };
    const struct journal_segment *last;
    struct stat st;
    bool doubt;
    int result = plan_missing(journal, drop_fd, size, missing, &plan);

    last = &plan.segments[plan.count - 1];
    commit.old_end = commit.new_end = intent.intent_end = size + (result == 0 ? last->at + last->length : 0);
    if (result != 0 || journal_identify(drop_fd, &st, &intent.identity) != 0 ||
        journal_sum_before(drop_fd, size, &intent.before) != 0 || journal_append_intent(journal, &intent) != 0 ||
        filecalls->fsync(journal->fd) != 0)
        result = stop(host, why, "cannot write the journal");
    else if (journal_extend(drop_fd, size, intent.intent_end) != 0)
        result = stop(host, why, "cannot make it longer");
    if (result == 0)
        result = journal_seal(journal, drop_fd, &commit, &plan, JOURNAL_SAMPLES_MAX / JOURNAL_SAMPLE, &doubt, why);
    mem_free(plan.segments);
    return result;
}

/* M has gone, and J holds mail. */
static int make_drop(int *drop_fd_r, const struct mailhost *host, struct strbuf *why)
{
    *drop_fd_r = host->open(host->context, MAILFILE_DROP, MAILOPEN_NEW, why);
    return *drop_fd_r < 0 ? -1 : host->sync_dir(host->context, MAILFILE_DROP, why);
}

enum journal_finished journal_orphan(struct journal *journal, int *drop_fd_r, const struct mailhost *host,
                                     struct strbuf *why)
{
    struct known_list missing = { 0 };
    enum journal_finished result = JOURNAL_STOPPED;
    struct stat st = { 0 };

    if (*drop_fd_r >= 0 && filecalls->fstat(*drop_fd_r, &st) != 0) {
        stop(host, why, "cannot look at it");
        return result;
    }
    if (find_missing(journal, *drop_fd_r, (uint64_t)st.st_size, &missing, host, why) != 0) {
        mem_free(missing.items);
        return result;
    }
    log_write(LOG_WARNING,
              "%s is not what the journal of a broken update speaks of (replaced, restored or changed since, or the "
              "journal is damaged): "
              "nothing is replayed or deleted, %zu messages that it lacks are appended, the journal is kept as .orphan",
              journal_shown(host), missing.count);
    if (missing.count == 0)
        result = journal_retire(true, host, why);
    else if ((*drop_fd_r >= 0 || make_drop(drop_fd_r, host, why) == 0) &&
             append_missing(journal, *drop_fd_r, (uint64_t)st.st_size, &missing, host, why) == 0)
        result = journal_finish(journal, *drop_fd_r, host, why);
    mem_free(missing.items);
    return result;
}
