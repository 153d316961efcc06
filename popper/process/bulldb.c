/*
 * bulldb: see bulldb.h.
 *
 * Rights of this role: uid and gid of the owner of bulldb.pag, who is not root; no supplementary group. It opens
 * bulldb.pag in bulldir and the library of gdbm, nothing else, and holds one end of a privmsg pair. Its parent treats
 * what it says as hostile, because a damaged database may do anything to a library.
 */
#include "process/bulldb.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/gdbmfile.h"
#include "common/identity.h"
#include "common/mem.h"
#include "process/child.h"
#include "settings/defaults.h"
#include "wire/privmsg.h"

#define DATABASE "bulldb.pag"
#define PAUSE_MS 100    /* between two tries at most */
#define GRACE_MS 10000  /* what reading and syncing may take */

enum { ASK_GET = 1, ASK_SET = 2, ANSWER = 3 };
enum { FOUND = 1, NONE = 0, FAILED = 2 };

/* ---- the process */

struct helper {
    const char *user;
    char *shown;
    int dir;
    uid_t owner;
    int tries;
    struct strbuf why;
};

static int fail(struct helper *h, const char *what, const char *reason)
{
    return strbuf_fail(&h->why, "the database of bulletins %s %s%s", h->shown, what, reason);
}

/* Old Qpopper's gdbm takes the same lock. */
static int take_lock(struct helper *h, int fd, int how)
{
    for (int i = 1; flock(fd, how | LOCK_NB) != 0; i++) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return fail(h, "cannot be locked: ", strerror(errno));
        if (i >= h->tries)
            return fail(h, "is in use by other processes for too long (bulldb-max-tries)", "");
        usleep((useconds_t)(1 + (getpid() * 31 + i * 17) % PAUSE_MS) * 1000);
    }
    return 0;
}

/* A locked descriptor, or -1 and why. */
static int open_locked(struct helper *h, int how, struct stat *st_r)
{
    struct file_rules rules = { .owner = h->owner, .forbidden = S_IWOTH, .many_links = true };
    int fd = file_open(h->dir, DATABASE, h->shown, O_RDWR, 0, &rules, st_r, &h->why);

    if (fd < 0)
        return -1;
    if (take_lock(h, fd, how) == 0 && fstat(fd, st_r) == 0)
        return fd;
    close(fd);
    return -1;
}

static size_t key_length(const struct helper *h)
{
    return strlen(h->user) + 1;
}

static int read_value(struct helper *h, int fd, uint64_t *last_r)
{
    struct strbuf value = STRBUF_INIT(64), why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct gdbmfile *db;
    enum gdbmfile_result result = gdbmfile_open(fd, false, &db, &why);
    long last = 0;

    if (result == GDBMFILE_OK)
        result = gdbmfile_fetch(db, h->user, key_length(h), &value, &why);
    gdbmfile_close(&db);
    if (result == GDBMFILE_OK && value.len == sizeof last)
        memcpy(&last, value.data, sizeof last);
    else if (result == GDBMFILE_OK)
        result = GDBMFILE_NONE; /* of another kind of machine */
    if (result != GDBMFILE_OK && result != GDBMFILE_NONE)
        fail(h, "", why.data);
    strbuf_free(&value);
    strbuf_free(&why);
    *last_r = last > 0 ? (uint64_t)last : 0;
    return result == GDBMFILE_OK ? FOUND : result == GDBMFILE_NONE ? NONE : FAILED;
}

static int get(struct helper *h, uint64_t *last_r)
{
    struct stat st;
    int fd = open_locked(h, LOCK_SH, &st), result;

    if (fd < 0)
        return FAILED;
    result = st.st_size == 0 ? NONE : read_value(h, fd, last_r);
    close(fd);
    return result;
}

static int write_value(struct helper *h, int fd, bool is_new, long last)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct gdbmfile *db;
    enum gdbmfile_result result = is_new ? gdbmfile_create(fd, &db, &why) : gdbmfile_open(fd, true, &db, &why);

    if (result == GDBMFILE_OK)
        result = gdbmfile_store(db, h->user, key_length(h), &last, sizeof last, &why);
    if (result == GDBMFILE_OK)
        result = gdbmfile_sync(db, &why);
    gdbmfile_close(&db);
    if (result != GDBMFILE_OK)
        fail(h, "", why.data);
    strbuf_free(&why);
    return result == GDBMFILE_OK ? FOUND : FAILED;
}

static int set(struct helper *h, uint64_t last)
{
    struct stat st;
    int fd = open_locked(h, LOCK_EX, &st), result;

    if (fd < 0)
        return FAILED;
    result = write_value(h, fd, st.st_size == 0, last < LONG_MAX ? (long)last : LONG_MAX);
    close(fd);
    return result;
}

static void answer(int end, int result, uint64_t last, const char *why)
{
    struct privmsg m;

    privmsg_init(&m, ANSWER);
    privmsg_put_number(&m, (uint64_t)result);
    privmsg_put_number(&m, last);
    privmsg_put_text(&m, result == FAILED ? why : "");
    privmsg_send(end, &m);
    privmsg_free(&m);
}

/* Answers until the keeper is gone. */
static void serve(struct helper *h, int end)
{
    struct privmsg m;

    while (privmsg_await(end, &m, -1) > 0) {
        uint64_t last = 0;

        if (m.type == ASK_GET) {
            int result = get(h, &last);

            answer(end, result, last, h->why.data);
        } else if (m.type == ASK_SET) {
            last = privmsg_get_number(&m);
            answer(end, privmsg_complete(&m) ? set(h, last) : FAILED, 0, h->why.data);
        }
        privmsg_free(&m);
    }
}

static _Noreturn void help(struct helper *h, const struct stat *st, int end)
{
    const int keep[] = { end, h->dir };

    /* Descriptor 2 is /dev/null; the client's are not for this process. */
    dup2(2, 0);
    dup2(2, 1);
    file_sanitize_descriptors(3, keep, 2);
    if (identity_become(NULL, st->st_uid, st->st_gid, IDENTITY_NO_GID, &h->why) == 0)
        serve(h, end);
    else
        answer(end, FAILED, 0, h->why.data); /* to the first question */
    _exit(0);
}

/* ---- the keeper's side */

static int start(struct bulldb *db, struct helper *h, const struct stat *st)
{
    int ends[2];

    if (privmsg_pair(ends) < 0)
        return fail(h, "needs a process, but: ", strerror(errno));
    db->pid = fork();
    if (db->pid == 0)
        help(h, st, ends[1]);
    close(ends[1]);
    if (db->pid < 0) {
        close(ends[0]);
        return fail(h, "needs a process, but: ", strerror(errno));
    }
    db->end = ends[0];
    db->wait_ms = h->tries * PAUSE_MS + GRACE_MS;
    return 0;
}

static int look_and_start(struct bulldb *db, struct helper *h)
{
    struct stat st;

    if (h->dir < 0)
        return 0; /* that is said when it is read */
    if (fstatat(h->dir, DATABASE, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT && !BULLDB_REQUIRED)
            return 0;
        return fail(h, "is not there or cannot be looked at (make an empty file, owned by a user that is not root): ",
                    strerror(errno));
    }
    if (!S_ISREG(st.st_mode))
        return fail(h, "is no regular file", "");
    if (st.st_uid == 0 && identity_privileged())
        return fail(h, "is owned by root: give it to a user that nobody logs in as (chown)", "");
    h->owner = st.st_uid;
    return start(db, h, &st);
}

int bulldb_start(struct bulldb *db, const struct settings *settings, const char *user, struct strbuf *why)
{
    struct strbuf path = STRBUF_INIT(PATH_MAX);
    struct helper h = { .user = user, .dir = -1, .tries = settings->bulldb_max_tries, .why = STRBUF_INIT(STRBUF_WHY_MAX) };
    int result;

    *db = (struct bulldb){ .end = -1 };
    if (!WITH_BULLDB || !settings->bulldir || !*settings->bulldir)
        return 0;
    strbuf_addf(&path, "%s/%s", settings->bulldir, DATABASE);
    h.shown = path.data;
    h.dir = open(settings->bulldir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    result = look_and_start(db, &h);
    if (result != 0)
        strbuf_fail(why, "%s", h.why.data);
    if (h.dir >= 0)
        close(h.dir);
    strbuf_free(&h.why);
    strbuf_free(&path);
    return result;
}

/* FOUND, NONE; or -1 and why. */
static int ask(struct bulldb *db, struct privmsg *m, uint64_t *last_r, struct strbuf *why)
{
    uint64_t result = FAILED;
    int got = privmsg_send(db->end, m);

    privmsg_free(m);
    if (got == 0)
        got = privmsg_await(db->end, m, db->wait_ms);
    if (got > 0) {
        const char *text;

        result = privmsg_get_number(m);
        *last_r = privmsg_get_number(m);
        text = privmsg_get_text(m, STRBUF_WHY_MAX);
        if (result == FAILED)
            strbuf_fail(why, "%s", text);
        if (!privmsg_complete(m))
            got = -1;
        privmsg_free(m);
    }
    if (got > 0 && result != FAILED)
        return result == FOUND ? FOUND : NONE;
    return got > 0 ? -1 : strbuf_fail(why, "the process that reads the database of bulletins gave no answer");
}

int bulldb_get(struct bulldb *db, uint64_t *last_r, struct strbuf *why)
{
    struct privmsg m;

    privmsg_init(&m, ASK_GET);
    return ask(db, &m, last_r, why);
}

int bulldb_set(struct bulldb *db, uint64_t last, struct strbuf *why)
{
    struct privmsg m;
    uint64_t ignored;

    privmsg_init(&m, ASK_SET);
    privmsg_put_number(&m, last);
    return ask(db, &m, &ignored, why) < 0 ? -1 : 0;
}

void bulldb_end(struct bulldb *db)
{
    if (db->end < 0)
        return;
    close(db->end);
    db->end = -1;
    child_reap(db->pid, true);
}
