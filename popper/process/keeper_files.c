/*
 * keeper_files: see keeper_files.h.
 */
#include "process/keeper_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "common/identity.h"
#include "common/log.h"
#include "common/mem.h"
#include "process/keeper_lock.h"
#include "process/keeper_newfile.h"

#define NAME_BYTES 512
#define HOLES_MAX (INT64_C(1) << 20)

static struct file_rules rules_for(const struct keeper_files *f, mode_t forbidden)
{
    return (struct file_rules){ .owner = f->uid, .forbidden = forbidden };
}

/* What a failed opening is for the client: some the administrator or the user must mend. */
static enum maildrop_status status_of(int error)
{
    switch (error) {
    case EACCES:
    case EPERM:
    case ELOOP:
    case EMLINK:
    case ENOTDIR:
    case EISDIR:
    case ENXIO:
    case EINVAL:
    case EROFS:
    case ENODEV:
        return MAILDROP_PERM;
    default:
        return MAILDROP_TEMP;
    }
}

/* Sets why for a place whose directory cannot be opened. -1. */
static int no_directory(const struct place *place, struct strbuf *why)
{
    strbuf_fail(why, "%s: the directory cannot be opened: %s", place->shown, strerror(place->error));
    errno = place->error;
    return -1;
}

static int open_place(const struct keeper_files *f, const struct place *place, int flags, mode_t mode, mode_t forbidden,
                      struct strbuf *why)
{
    struct file_rules rules = rules_for(f, forbidden);
    struct stat st;
    int fd;

    if (place->dir < 0)
        return no_directory(place, why);
    if (flags & O_CREAT)
        places_hold_gid(place);
    fd = file_open(place->dir, place->name, place->shown, flags, mode, &rules, &st, why);
    identity_drop_gid();
    return fd;
}

/* ---- at the start */

static enum maildrop_status take_session_lock(struct keeper_files *f, struct strbuf *why)
{
    enum sessionlock_result result = keeper_lock_take(f, why);

    if (result == SESSIONLOCK_OK)
        return MAILDROP_OK;
    return result == SESSIONLOCK_BUSY ? MAILDROP_BUSY : status_of(errno);
}

static enum maildrop_status open_drop(struct keeper_files *f, struct strbuf *why)
{
    const struct place *place = &f->places.file[MAILFILE_DROP];

    f->open.drop = open_place(f, place, O_RDWR, 0, S_IWOTH, why);
    if (f->open.drop >= 0 || (errno == ENOENT && place->dir >= 0))
        return MAILDROP_OK;
    return status_of(errno);
}

/* Bytes that are stored of a file with holes, as far as its file system tells; its size otherwise. */
static int64_t bytes_stored(int fd, const struct stat *st)
{
    off_t stored = 0, data, hole = 0;

    if ((int64_t)st->st_blocks * 512 >= st->st_size)
        return st->st_size;
    while ((data = lseek(fd, hole, SEEK_DATA)) >= 0 && (hole = lseek(fd, data, SEEK_HOLE)) > data)
        stored += hole - data;
    return errno == ENXIO ? stored : st->st_size;
}

/* A user can make a file of any size without any room, which takes hours to read; a server writes temp drops from end to end. */
static bool is_hollow(const struct place *place, int fd, const struct stat *st)
{
    int64_t stored = bytes_stored(fd, st);

    if (st->st_size - stored <= stored + HOLES_MAX)
        return false;
    log_write(LOG_WARNING,
              "%s was left there as a temp drop of %lld bytes, but most of them are holes (%lld are stored), as no server leaves it: it is neither served nor "
              "touched; see what it is, deliver what is mail in it to its user (formail -s), and remove it",
              place->shown, (long long)st->st_size, (long long)stored);
    return true;
}

/* The old place may be the same one. */
static bool carries_lock(const struct keeper_files *f, const struct place *place)
{
    const struct place *carrier = &f->places.file[MAILFILE_TEMPDROP];

    return f->lock_is_tempdrop && place->dir == carrier->dir && strcmp(place->name, carrier->name) == 0;
}

/* An older Qpopper that still runs holds an flock on its temp drop. On what carries our own lock that may be our own (NFS). */
static bool is_in_use(const struct keeper_files *f, const struct place *place, int fd, struct strbuf *why)
{
    if (carries_lock(f, place) || flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return false;
    strbuf_fail(why, "%s is locked (flock): a session of another server, perhaps an older Qpopper, is not over yet", place->shown);
    return true;
}

/* A non-empty temp drop is mail that a crashed server left. claim: that server must be gone, and others are kept off. */
static enum maildrop_status open_leftover(struct keeper_files *f, const struct place *place, bool claim, struct strbuf *why)
{
    struct stat st;
    int fd;

    if (!place->name || place->dir < 0 || f->open.leftover >= 0)
        return MAILDROP_OK;
    fd = open_place(f, place, O_RDONLY, 0, S_IRWXO, why);
    if (fd < 0)
        return errno == ENOENT ? MAILDROP_OK : status_of(errno);
    if (claim && is_in_use(f, place, fd, why)) {
        close(fd);
        return MAILDROP_BUSY;
    }
    if (fstat(fd, &st) == 0 && st.st_size > 0 && !is_hollow(place, fd, &st)) {
        f->open.leftover = fd;
        f->leftover = place;
    } else if (!carries_lock(f, place)) { /* closing it would give the session lock away */
        close(fd);
    }
    return MAILDROP_OK;
}

bool keeper_files_journal_exists(const struct keeper_files *f)
{
    const struct place *place = &f->places.file[MAILFILE_JOURNAL];
    struct stat st;

    return place->dir >= 0 && fstatat(place->dir, place->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void find_files(struct keeper_files *f, const struct settings *settings, const struct auth_user *user)
{
    *f = (struct keeper_files){ .settings = settings, .user = user, .uid = user->uid, .lock = -1, .meeting = -1, .next_drop = -1,
                                .open = { .drop = -1, .index = -1, .leftover = -1 } };
    places_find(&f->places, settings, user);
    f->open.shown = f->places.file[MAILFILE_DROP].shown;
}

static enum maildrop_status open_mail(struct keeper_files *f, bool claim, struct strbuf *why)
{
    enum maildrop_status status = open_drop(f, why);

    if (status == MAILDROP_OK)
        status = open_leftover(f, &f->places.file[MAILFILE_TEMPDROP], claim, why);
    if (status == MAILDROP_OK)
        status = open_leftover(f, &f->places.old_tempdrop, claim, why);
    if (status == MAILDROP_OK)
        f->open.journal = keeper_files_journal_exists(f);
    return status;
}

enum maildrop_status keeper_files_open(struct keeper_files *f, const struct settings *settings,
                                       const struct auth_user *user, struct strbuf *why)
{
    enum maildrop_status status;

    find_files(f, settings, user);
    if (places_collide(&f->places, user->name, why))
        return MAILDROP_PERM;
    status = take_session_lock(f, why);
    return status == MAILDROP_OK ? open_mail(f, true, why) : status;
}

enum maildrop_status keeper_files_look(struct keeper_files *f, const struct settings *settings,
                                       const struct auth_user *user, struct strbuf *why)
{
    find_files(f, settings, user);
    if (places_collide(&f->places, user->name, why))
        return MAILDROP_PERM;
    if (settings->index && f->places.index.dir >= 0) {
        f->open.index = open_place(f, &f->places.index, O_RDWR, 0, 0022, why);
        if (f->open.index < 0 && errno != ENOENT)
            log_write(LOG_WARNING, "no index: %s", why->data);
    }
    return open_mail(f, false, why);
}

bool keeper_files_same_drop(const struct keeper_files *f)
{
    const struct place *place = &f->places.file[MAILFILE_DROP];
    struct stat open, named;
    int found = fstatat(place->dir, place->name, &named, AT_SYMLINK_NOFOLLOW);

    if (f->open.drop < 0)
        return found < 0 && (errno == ENOENT || place->dir < 0);
    return found == 0 && fstat(f->open.drop, &open) == 0 && file_same(&open, &named) && open.st_nlink == 1 &&
           open.st_uid == f->uid;
}

int keeper_files_follow_drop(struct keeper_files *f, bool *moved_r, struct strbuf *why)
{
    int fd;

    if (keeper_files_same_drop(f))
        return 0;
    fd = open_place(f, &f->places.file[MAILFILE_DROP], O_RDWR, 0, S_IWOTH, why);
    if (fd < 0 && errno != ENOENT)
        return -1;
    strbuf_reset(why);
    if (f->open.drop >= 0)
        close(f->open.drop);
    f->open.drop = fd;
    *moved_r = true;
    return 0;
}

/* ---- on request */

/* A temp drop that is there already may be where it was before the spool moved. */
static const struct place *place_of(const struct keeper_files *f, enum mailfile which)
{
    if (which == MAILFILE_TEMPDROP && f->leftover)
        return f->leftover;
    return &f->places.file[which];
}

static int refuse_request(int error, struct strbuf *why, const char *text)
{
    strbuf_fail(why, "%s", text);
    errno = error;
    return -1;
}

/* A missing maildrop. In a spool where delivery agents of another uid and the spool's group write, it is the
   group's, too. */
static int make_drop(struct keeper_files *f, struct maillock *lock, struct strbuf *why)
{
    const struct place *place = &f->places.file[MAILFILE_DROP];
    struct stat dir;
    mode_t mode = 0600;
    mode_t before;
    int fd;

    if (place->dir >= 0 && fstat(place->dir, &dir) == 0 && !place->in_home && (dir.st_mode & S_ISGID) &&
        (dir.st_mode & S_IWGRP))
        mode = 0660;
    before = umask(0007);
    fd = open_place(f, place, O_RDWR | O_CREAT | O_EXCL, mode, S_IWOTH, why);
    umask(before);
    if (fd < 0)
        return -1;
    if (maillock_move(lock, fd, why) != MAILLOCK_OK) { /* a delivery agent was faster; who locks next finds the file */
        close(fd);
        errno = EBUSY;
        return -1;
    }
    f->open.drop = fd;
    return fd;
}

/* The dot lock's text may have taken the block that a journal needs at least. */
static int open_journal(struct keeper_files *f, int flags, struct maillock *lock, struct strbuf *why)
{
    int fd = open_place(f, &f->places.file[MAILFILE_JOURNAL], flags, 0600, S_IWGRP | S_IWOTH, why);

    if (fd >= 0 && (flags & O_CREAT) && fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 1) < 0 && (errno == ENOSPC || errno == EDQUOT))
        maillock_give_room(lock);
    return fd;
}

int keeper_files_serve_open(struct keeper_files *f, enum mailfile which, enum mailopen how, struct maillock *lock,
                            bool *keep_r, struct strbuf *why)
{
    int flags = how == MAILOPEN_NEW ? O_RDWR | O_CREAT | O_EXCL : O_RDWR;

    *keep_r = false;
    switch (which) {
    case MAILFILE_DROP:
        *keep_r = true;
        if (how != MAILOPEN_NEW)
            return refuse_request(EINVAL, why, "the maildrop is open already");
        if (f->open.drop >= 0 || !maillock_held(lock))
            return refuse_request(EPERM, why, "a maildrop is made where there is none, and under its locks");
        return make_drop(f, lock, why);
    case MAILFILE_TEMPDROP:
        if (how == MAILOPEN_NEW)
            return keeper_newfile_replaces(f) ? keeper_newfile_drop(f, why) : keeper_newfile_temp(f, why);
        *keep_r = carries_lock(f, place_of(f, which)); /* closing it would give the session lock away */
        return open_place(f, place_of(f, which), flags, 0600, S_IRWXO, why);
    case MAILFILE_POPBULL:
        places_find_popbull(&f->places, f->user); /* recovery may need it where bulletins are not set */
        return open_place(f, &f->places.file[which], flags, 0600, S_IWGRP | S_IWOTH, why);
    case MAILFILE_JOURNAL:
        return open_journal(f, flags, lock, why);
    default:
        return refuse_request(EINVAL, why, "there is no such file");
    }
}

int keeper_files_make_xmit(struct keeper_files *f, struct strbuf *why)
{
    return keeper_newfile_temp(f, why);
}

int keeper_files_open_popbull(struct keeper_files *f, bool old, int flags, const char **shown_r, struct strbuf *why)
{
    const struct place *place = old ? &f->places.old_popbull : &f->places.file[MAILFILE_POPBULL];

    places_find_popbull(&f->places, f->user);
    *shown_r = place->shown;
    if (!place->name)
        return refuse_request(ENOENT, why, "there is no other one");
    return open_place(f, place, flags, 0, S_IWGRP | S_IWOTH, why);
}

int keeper_files_can_make_popbull(struct keeper_files *f, struct strbuf *why)
{
    const struct place *place = &f->places.file[MAILFILE_POPBULL];
    int result;

    places_find_popbull(&f->places, f->user);
    if (place->dir < 0)
        return no_directory(place, why);
    places_hold_gid(place);
    result = faccessat(place->dir, ".", W_OK | X_OK, AT_EACCESS);
    identity_drop_gid();
    return result == 0 ? 0 : strbuf_fail(why, "%s cannot be made: %s", place->shown, strerror(errno));
}

int keeper_files_remove(struct keeper_files *f, enum mailfile which, struct strbuf *why)
{
    const struct place *place = place_of(f, which);
    int result;

    if (which == MAILFILE_POPBULL)
        return refuse_request(EPERM, why, "a .popbull is never removed");
    if (which == MAILFILE_DROP)
        return refuse_request(EPERM, why, "a maildrop is never removed");
    if (place->dir < 0)
        return no_directory(place, why);
    if (carries_lock(f, place))
        return 0; /* it carries the session lock: emptied by the session, removed at the end */
    places_hold_gid(place);
    result = unlinkat(place->dir, place->name, 0);
    identity_drop_gid();
    if (result < 0 && errno == ENOENT)
        return 0;
    if (result < 0)
        strbuf_fail(why, "%s cannot be removed: %s", place->shown, strerror(errno));
    return result;
}

/* For file systems that do not know RENAME_NOREPLACE. */
static int rename_without_flag(const struct place *place, const char *name)
{
    if (faccessat(place->dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        errno = EEXIST;
        return -1;
    }
    return renameat(place->dir, place->name, place->dir, name);
}

/* NAME.orphan.TIME, with a number behind when that is taken. */
static int set_journal_aside(struct keeper_files *f, struct strbuf *why)
{
    const struct place *place = &f->places.file[MAILFILE_JOURNAL];
    const char *drop = f->places.file[MAILFILE_DROP].name;
    char name[NAME_BYTES];
    int i, result = -1;

    for (i = 0; i < 100 && result < 0; i++) {
        if (i == 0)
            snprintf(name, sizeof name, ".%s.orphan.%lld", drop, (long long)time(NULL));
        else
            snprintf(name, sizeof name, ".%s.orphan.%lld.%d", drop, (long long)time(NULL), i);
        places_hold_gid(place);
        result = renameat2(place->dir, place->name, place->dir, name, RENAME_NOREPLACE);
        if (result < 0 && errno == EINVAL)
            result = rename_without_flag(place, name);
        identity_drop_gid();
        if (result < 0 && errno != EEXIST && errno != EINVAL)
            break;
    }
    if (result < 0)
        return strbuf_fail(why, "%s cannot be renamed to %s: %s", place->shown, name, strerror(errno));
    log_write(LOG_WARNING, "%s is kept as %s", place->shown, name);
    return 0;
}

int keeper_files_set_aside(struct keeper_files *f, enum mailfile which, struct maillock *lock, struct strbuf *why)
{
    if (which == MAILFILE_JOURNAL)
        return set_journal_aside(f, why);
    if (which == MAILFILE_DROP)
        return keeper_newfile_replace_drop(f, lock, why);
    return refuse_request(EINVAL, why, "this file is never set aside");
}

int keeper_files_sync_dir(struct keeper_files *f, enum mailfile which, struct strbuf *why)
{
    const struct place *place = place_of(f, which);

    if (place->dir < 0)
        return no_directory(place, why);
    if (fsync(place->dir) == 0)
        return 0;
    /* A directory that may only be searched: everything of its file system. */
    if (errno == EBADF && f->open.drop >= 0 && syncfs(f->open.drop) == 0)
        return 0;
    return strbuf_fail(why, "the directory of %s cannot be made durable: %s", place->shown, strerror(errno));
}

/* ---- at the end */

static void leave_temp_drop(struct keeper_files *f)
{
    const struct place *place = &f->places.file[MAILFILE_TEMPDROP];
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct stat st;
    int fd = -1;

    if (f->settings->keep_temp_drop) {
        fd = f->lock_is_tempdrop ? f->lock : open_place(f, place, O_RDWR | O_CREAT, 0600, S_IRWXO, &why);
        if (fd >= 0)
            futimens(fd, NULL);
        else
            log_write(LOG_WARNING, "keep-temp-drop: %s", why.data);
    } else if (f->lock_is_tempdrop && fstat(f->lock, &st) == 0 && st.st_size == 0) {
        places_hold_gid(place);
        unlinkat(place->dir, place->name, 0);
        identity_drop_gid();
    }
    strbuf_free(&why);
}

void keeper_files_leave(struct keeper_files *f)
{
    if (f->lock >= 0)
        leave_temp_drop(f);
    keeper_newfile_forget(f);
    /* Before the session lock: who has that next is not to find it in use. */
    if (f->open.leftover >= 0)
        close(f->open.leftover);
    f->open.leftover = -1;
}

void keeper_files_close(struct keeper_files *f)
{
    places_close(&f->places);
    if (f->open.drop >= 0)
        close(f->open.drop);
    if (f->lock >= 0)
        close(f->lock);
    if (f->meeting >= 0)
        close(f->meeting);
}
