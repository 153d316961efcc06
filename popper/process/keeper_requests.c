/*
 * keeper_requests: see keeper_requests.h. What the session says counts as hostile: files are named by role, the table
 * below says what is answered and when.
 */
#include "process/keeper_requests.h"

#include <errno.h>
#include <unistd.h>

#include "common/log.h"
#include "common/maillock.h"
#include "common/mem.h"
#include "process/keeper_newfile.h"
#include "process/request.h"
#include "process/xmit.h"
#include "wire/netio.h"
#include "wire/privmsg.h"

#define REFRESH_MS 30000      /* how often a held dot lock is touched */
#define UPDATE_WAIT_MS 10000
#define LOGIN_WAIT_MS 3000
#define SETTLE_MAX_MS 5000
#define REPLACED_MAX 5        /* times that M is replaced between opening and locking */
#define RECORDS_MAX 20000     /* log records of one session; more is an attack on the disk */

static void answer_file(struct keeper *k, int error, const struct strbuf *why, int fd)
{
    struct privmsg answer;

    privmsg_init(&answer, REQUEST_ANSWER);
    privmsg_put_number(&answer, (uint64_t)error);
    privmsg_put_text(&answer, error ? why->data : "");
    if (fd >= 0)
        privmsg_put_fd(&answer, fd);
    privmsg_send(k->end, &answer);
    answer.fd = -1;
    privmsg_free(&answer);
}

static void answer_number(struct keeper *k, uint64_t n, const char *text)
{
    struct privmsg answer;

    privmsg_init(&answer, REQUEST_ANSWER);
    privmsg_put_number(&answer, n);
    if (text)
        privmsg_put_text(&answer, text);
    privmsg_send(k->end, &answer);
    privmsg_free(&answer);
}

static void serve_log(struct keeper *k, struct privmsg *m)
{
    int priority = (int)privmsg_get_number(m);
    size_t n;
    const char *text = privmsg_get_bytes(m, LOG_RECORD_MAX, &n);

    if (privmsg_complete(m) && k->records++ < RECORDS_MAX)
        request_log_record(priority, text, n);
    if (k->complaint && !m->bad && priority == LOG_ERR)
        strbuf_fail(k->complaint, "%.*s", (int)n, text);
}

/* Locks the file that has M's name once it is locked, whatever other programs do to that name meanwhile. */
static enum maillock_result lock_drop(struct keeper *k, int wait_ms, bool *moved_r, struct strbuf *why)
{
    for (int i = 0; i < REPLACED_MAX; i++) {
        enum maillock_result result;

        if (keeper_files_follow_drop(&k->files, moved_r, why) < 0)
            return MAILLOCK_ERROR;
        result = maillock_acquire(k->lock, k->files.open.drop, wait_ms, why);
        if (result != MAILLOCK_OK || keeper_files_same_drop(&k->files))
            return result;
        maillock_release(k->lock);
    }
    strbuf_fail(why, "%s is replaced again and again by another program", k->files.open.shown);
    return MAILLOCK_ERROR;
}

/* Of a service with which we share no session lock: what it left of M is neither to be served nor changed before it is settled. */
static bool journal_appeared(const struct keeper *k, struct strbuf *why)
{
    if (k->recovers || !keeper_files_journal_exists(&k->files))
        return false;
    strbuf_fail(why, "an update of %s by another session broke off; the next login settles it", k->files.open.shown);
    return true;
}

static void give_up_copy(struct keeper *k)
{
    if (!keeper_copy_goes_on(&k->copy))
        return;
    keeper_copy_end(&k->copy);
    maillock_release(k->lock);
}

static void serve_lock(struct keeper *k, struct privmsg *m)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    bool updating = privmsg_get_number(m) == 1, moved = false;
    enum maillock_result result = MAILLOCK_OK;
    struct privmsg answer;

    if (!privmsg_complete(m))
        return;
    give_up_copy(k); /* its locks may be less than what is wanted now */
    maillock_only_reads(k->lock, !updating && !keeper_files_journal_exists(&k->files));
    if (!maillock_held(k->lock)) {
        k->updating = false;
        result = lock_drop(k, updating ? UPDATE_WAIT_MS : LOGIN_WAIT_MS, &moved, &why);
        if (result == MAILLOCK_OK && journal_appeared(k, &why)) {
            maillock_release(k->lock);
            result = MAILLOCK_ERROR;
        }
    }
    k->updating |= updating;
    privmsg_init(&answer, REQUEST_ANSWER);
    privmsg_put_number(&answer, result);
    privmsg_put_text(&answer, why.data);
    privmsg_put_number(&answer, moved);
    if (moved && k->files.open.drop >= 0)
        privmsg_put_fd(&answer, k->files.open.drop);
    privmsg_send(k->end, &answer);
    answer.fd = -1;
    privmsg_free(&answer);
    strbuf_free(&why);
}

static void serve_unlock(struct keeper *k, struct privmsg *m)
{
    (void)m;
    give_up_copy(k);
    maillock_release(k->lock);
    k->recovers = false;
    answer_number(k, 0, NULL);
}

static void serve_lock_is_ours(struct keeper *k, struct privmsg *m)
{
    bool ours = maillock_held(k->lock) && maillock_is_ours(k->lock);

    (void)m;
    if (ours)
        maillock_refresh(k->lock);
    answer_number(k, ours, NULL);
}

/* The role that the message names; MAILFILE_COUNT and bad when there is none such. */
static enum mailfile get_role(struct privmsg *m)
{
    uint64_t which = privmsg_get_number(m);

    if (which < MAILFILE_COUNT)
        return (enum mailfile)which;
    m->bad = true;
    return MAILFILE_COUNT;
}

static void serve_open(struct keeper *k, struct privmsg *m)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    enum mailfile which = get_role(m);
    uint64_t how = privmsg_get_number(m);
    bool keep;
    int fd;

    if (!privmsg_complete(m))
        return;
    fd = keeper_files_serve_open(&k->files, which, how == MAILOPEN_NEW ? MAILOPEN_NEW : MAILOPEN_EXISTING, k->lock,
                                 &keep, &why);
    answer_file(k, fd < 0 ? (errno ? errno : EIO) : 0, &why, fd);
    if (fd >= 0 && !keep)
        close(fd);
    strbuf_free(&why);
}

static void serve_copy(struct keeper *k, struct privmsg *m)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    uint64_t n = privmsg_get_number(m);
    int fd;

    if (!privmsg_complete(m))
        return;
    k->refreshed = netio_now();
    fd = keeper_copy_goes_on(&k->copy) ? strbuf_fail(&why, "there is one already") : keeper_newfile_temp(&k->files, &why);
    if (fd >= 0 && keeper_copy_begin(&k->copy, k->files.open.drop, fd, n, &why) < 0)
        fd = -1;
    answer_file(k, fd < 0 ? (errno ? errno : EIO) : 0, &why, fd);
    strbuf_free(&why);
}

/* Between two requests. */
static void copy_on(struct keeper *k)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);

    if (keeper_copy_step(&k->copy, k->files.open.drop, &why))
        return;
    if (why.len > 0)
        log_write(LOG_WARNING, "no temp drop for %s, its messages are sent from the maildrop itself: %s", k->files.open.shown, why.data);
    maillock_release(k->lock);
    strbuf_free(&why);
}

typedef int file_act(struct keeper *k, enum mailfile which, struct strbuf *why);

static void serve_file(struct keeper *k, struct privmsg *m, file_act *act)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    enum mailfile which = get_role(m);
    int result;

    if (!privmsg_complete(m))
        return;
    result = act(k, which, &why);
    answer_file(k, result < 0 ? (errno ? errno : EIO) : 0, &why, -1);
    strbuf_free(&why);
}

static int remove_file(struct keeper *k, enum mailfile which, struct strbuf *why)
{
    return keeper_files_remove(&k->files, which, why);
}

static int set_file_aside(struct keeper *k, enum mailfile which, struct strbuf *why)
{
    return keeper_files_set_aside(&k->files, which, k->lock, why);
}

static int sync_directory(struct keeper *k, enum mailfile which, struct strbuf *why)
{
    return keeper_files_sync_dir(&k->files, which, why);
}

static void serve_remove(struct keeper *k, struct privmsg *m)
{
    serve_file(k, m, remove_file);
}

static void serve_set_aside(struct keeper *k, struct privmsg *m)
{
    serve_file(k, m, set_file_aside);
}

static void serve_sync_dir(struct keeper *k, struct privmsg *m)
{
    serve_file(k, m, sync_directory);
}

static void serve_xmit_open(struct keeper *k, struct privmsg *m)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    int fd;

    (void)m;
    if (k->letter >= 0)
        close(k->letter);
    errno = EPERM;
    k->letter = k->settings->xmit ? keeper_files_make_xmit(&k->files, &why) : strbuf_fail(&why, "xmit is off");
    fd = k->letter;
    answer_file(k, fd < 0 ? (errno ? errno : EIO) : 0, &why, fd);
    strbuf_free(&why);
}

static void serve_xmit_send(struct keeper *k, struct privmsg *m)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    int result = strbuf_fail(&why, "there is no message");

    (void)m;
    give_up_copy(k); /* what sends the letter may deliver to this very maildrop, and we wait for it */
    if (k->letter >= 0) {
        result = xmit_send(k->settings, k->start->user, k->letter, &why);
        close(k->letter);
        k->letter = -1;
    }
    answer_file(k, result < 0 ? EIO : 0, &why, -1);
    strbuf_free(&why);
}

static void serve_mangle_open(struct keeper *k, struct privmsg *m)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    uint64_t octets = privmsg_get_number(m);
    int fd = -1;

    if (!privmsg_complete(m))
        return;
    errno = EPERM;
    if (k->settings->xmangle)
        fd = mangler_input(&k->mangler, octets, &why);
    else
        strbuf_fail(&why, "xmangle is off");
    answer_file(k, fd < 0 ? (errno ? errno : EIO) : 0, &why, fd);
    strbuf_free(&why);
}

static void serve_mangle(struct keeper *k, struct privmsg *m)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct privmsg answer;
    uint64_t octets = privmsg_get_number(m), header = 0;
    const char *wanted = privmsg_get_text(m, MANGLER_TEXT_MAX);
    int fd;

    if (!privmsg_complete(m))
        return;
    give_up_copy(k); /* its locks are not for so long */
    fd = mangler_convert(&k->mangler, k->settings, k->start->user->name, octets, wanted, &header, &why);
    privmsg_init(&answer, REQUEST_ANSWER);
    privmsg_put_number(&answer, (uint64_t)(fd >= 0 ? 0 : errno ? errno : EIO));
    privmsg_put_text(&answer, fd >= 0 ? "" : why.data);
    privmsg_put_number(&answer, header);
    if (fd >= 0)
        privmsg_put_fd(&answer, fd);
    privmsg_send(k->end, &answer);
    privmsg_free(&answer); /* and closes fd */
    strbuf_free(&why);
}

static void serve_settle(struct keeper *k, struct privmsg *m)
{
    uint64_t ms = privmsg_get_number(m);

    if (privmsg_complete(m))
        answer_number(k, (uint64_t)tlsrelay_settle(k->start->relay, ms < SETTLE_MAX_MS ? (int)ms : SETTLE_MAX_MS),
                      NULL);
}

static void serve_done(struct keeper *k, struct privmsg *m)
{
    k->status = privmsg_get_number(m) == 0 ? 0 : MEM_EXIT_STATUS;
    k->done = privmsg_complete(m);
}

static void serve_note_bulletin(struct keeper *k, struct privmsg *m)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    uint64_t last = privmsg_get_number(m);
    int error = ENOTSUP;

    if (!privmsg_complete(m))
        return;
    strbuf_fail(&why, "%s", k->no_bulldb ? k->no_bulldb : "there is no database of bulletins");
    if (k->no_bulldb)
        error = EIO;
    if (k->bulldb.end >= 0)
        error = bulldb_set(&k->bulldb, last, &why) == 0 ? 0 : EIO;
    answer_file(k, error, &why, -1);
    strbuf_free(&why);
}

/* When a row is open. */
enum when {
    WHEN_EVER,
    WHEN_OPEN,   /* the maildrop could be opened */
    WHEN_LOCKED, /* its locks are held: the request changes what they guard */
    WHEN_READING /* they are, and not for an update: the request ends by releasing them */
};

struct row {
    enum request type;
    enum when when;
    void (*serve)(struct keeper *k, struct privmsg *m);
};

static const struct row rows[] = {
    { REQUEST_LOG, WHEN_EVER, serve_log },
    { REQUEST_LOCK, WHEN_OPEN, serve_lock },
    { REQUEST_UNLOCK, WHEN_OPEN, serve_unlock },
    { REQUEST_LOCK_IS_OURS, WHEN_OPEN, serve_lock_is_ours },
    { REQUEST_OPEN, WHEN_OPEN, serve_open },
    { REQUEST_COPY, WHEN_READING, serve_copy },
    { REQUEST_REMOVE, WHEN_LOCKED, serve_remove },
    { REQUEST_SET_ASIDE, WHEN_LOCKED, serve_set_aside },
    { REQUEST_SYNC_DIR, WHEN_OPEN, serve_sync_dir },
    { REQUEST_XMIT_OPEN, WHEN_OPEN, serve_xmit_open },
    { REQUEST_XMIT_SEND, WHEN_OPEN, serve_xmit_send },
    { REQUEST_MANGLE_OPEN, WHEN_OPEN, serve_mangle_open },
    { REQUEST_MANGLE, WHEN_OPEN, serve_mangle },
    { REQUEST_SETTLE, WHEN_OPEN, serve_settle },
    { REQUEST_NOTE_BULLETIN, WHEN_OPEN, serve_note_bulletin },
    { REQUEST_DONE, WHEN_EVER, serve_done },
};

static bool held(const struct keeper *k)
{
    return k->lock && maillock_held(k->lock);
}

static bool is_open(const struct keeper *k, const struct row *row)
{
    if (k->done)
        return false;
    switch (row->when) {
    case WHEN_EVER:
        return true;
    case WHEN_OPEN:
        return k->lock != NULL;
    case WHEN_LOCKED:
        return held(k);
    case WHEN_READING:
        return held(k) && !k->updating;
    }
    return false;
}

/* 0, or -1 when the child broke the rules: the conversation ends. */
static int serve(struct keeper *k, struct privmsg *m)
{
    size_t i;

    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].type != m->type || m->fd >= 0 || !is_open(k, &rows[i]))
            continue;
        rows[i].serve(k, m);
        if (privmsg_complete(m))
            return 0;
        break;
    }
    k->done = false;
    log_write(LOG_ERR, "the session of %s asked for %s, %s; it is ended", k->start->user->name, request_name(m->type),
              i < sizeof rows / sizeof *rows ? "but brokenly" : "which it may not now");
    return -1;
}

/* Nobody asks anything. */
static void time_passes(struct keeper *k)
{
    bool copies = keeper_copy_goes_on(&k->copy);

    if (!copies || netio_now() - k->refreshed > REFRESH_MS * INT64_C(1000000)) {
        k->refreshed = netio_now();
        maillock_refresh(k->lock);
    }
    if (copies)
        copy_on(k);
}

void keeper_requests_serve(struct keeper *k)
{
    for (;;) {
        struct privmsg m;
        int ms = keeper_copy_goes_on(&k->copy) ? 0 : held(k) ? REFRESH_MS : -1;
        int got = tlsrelay_wait(k->start->relay, k->end, ms);
        bool ended;

        privmsg_init(&m, 0);
        if (got == 0)
            errno = ETIMEDOUT;
        got = got > 0 ? privmsg_receive(k->end, &m, ms) : -1;
        ended = got == 0;
        k->gone = got == 0;
        if (got > 0)
            ended = serve(k, &m) < 0;
        else if (got < 0 && errno == ETIMEDOUT)
            time_passes(k);
        else if (got < 0 && errno != EINTR)
            ended = true;
        privmsg_free(&m);
        if (ended)
            return;
    }
}
