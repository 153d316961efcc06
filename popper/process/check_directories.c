/*
 * check_directories: the part of --check that looks at the directories that maildrops, temp drops and indexes are in: can users make
 * files there, is there room, what kind of file system it is, which locks work. See check.h.
 *
 * What it makes for that has no name, or a unique one, and is gone at once.
 */
#include "process/check_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/digest.h"
#include "common/fskind.h"
#include "common/identity.h"
#include "common/maillock.h"
#include "process/places.h"

#define LOW_BYTES (UINT64_C(16) << 20)
#define LOW_FILES 100
#define SCRATCH_BYTES 64

static void scratch_name(char name_r[SCRATCH_BYTES])
{
    uint64_t random;

    digest_random(&random, sizeof random);
    snprintf(name_r, SCRATCH_BYTES, ".popper-check.%ld.%016llx", (long)getpid(), (unsigned long long)random);
}

/* An empty file without a name, or -1 with errno. */
static int make_scratch(int dir)
{
    char name[SCRATCH_BYTES];
    int fd;

    identity_hold_gid();
    fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT || errno == EINVAL)) {
        scratch_name(name);
        fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0)
            unlinkat(dir, name, 0);
    }
    identity_drop_gid();
    return fd;
}

/* ---- locks */

static const struct {
    unsigned method;
    const char *name;
} methods[] = { { MAILLOCK_DOTLOCK, "dotlock" }, { MAILLOCK_FCNTL, "fcntl" }, { MAILLOCK_FLOCK, "flock" } };

static bool try_method(const struct settings *s, unsigned method, int dir, int fd, const char *shown, struct strbuf *why)
{
    struct strbuf path = STRBUF_INIT(STRBUF_WHY_MAX);
    char name[SCRATCH_BYTES];
    struct maillock *lock;
    bool works;

    scratch_name(name);
    strbuf_addf(&path, "%s/%s", shown, name);
    lock = maillock_new(dir, name, path.data, method, s->no_atomic_open);
    works = maillock_acquire(lock, fd, 0, why) == MAILLOCK_OK;
    maillock_close(&lock);
    strbuf_free(&path);
    return works;
}

bool check_locks(const struct settings *s, int dir, const char *shown)
{
    struct strbuf working = STRBUF_INIT(100), why = STRBUF_INIT(STRBUF_WHY_MAX);
    int fd = make_scratch(dir);
    bool all = true;

    if (fd < 0) {
        check_say(CHECK_ERROR, "%s: no file can be made there: %s", shown, strerror(errno));
        return false;
    }
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (try_method(s, methods[i].method, dir, fd, shown, &why))
            strbuf_addf(&working, "%s%s", working.len ? ", " : "", methods[i].name);
        else if (s->mail_lock_mask & methods[i].method) {
            check_say(CHECK_ERROR, "%s: mail-locks asks for %s, which does not work there: %s", shown, methods[i].name,
                      why.data);
            all = false;
        }
    }
    close(fd);
    if (all)
        check_say(CHECK_OK, "%s: locks that work there: %s; used: %s", shown, working.data, s->mail_locks);
    strbuf_free(&working);
    strbuf_free(&why);
    return all;
}

/* ---- one directory */

enum role { ROLE_SPOOL, ROLE_TEMP, ROLE_INDEX, ROLES };

struct directory {
    enum role role;
    const char *option;
    const char *path; /* NULL: not set */
    int fd, error;    /* fd -1: errno of opening it */
    struct stat st;
    bool shut;        /* users can make no files there */
};

static void check_room(const struct directory *d)
{
    struct statvfs fs;
    uint64_t bytes;

    if (fstatvfs(d->fd, &fs) < 0)
        return;
    bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (fs.f_flag & ST_RDONLY)
        check_say(CHECK_ERROR, "%s %s is on a file system that is mounted read-only", d->option, d->path);
    else if (bytes < LOW_BYTES)
        check_say(bytes == 0 ? CHECK_ERROR : CHECK_WARNING,
                  "%s %s: only %llu KiB are free; deliveries and updates will fail for want of room", d->option, d->path,
                  (unsigned long long)bytes >> 10);
    else if (fs.f_files > 0 && fs.f_favail < LOW_FILES)
        check_say(CHECK_WARNING, "%s %s: only %llu more files can be made (inodes)", d->option, d->path,
                  (unsigned long long)fs.f_favail);
    else
        check_say(CHECK_OK, "%s %s: %llu MiB are free", d->option, d->path, (unsigned long long)bytes >> 20);
}

static void check_kind(const struct settings *s, const struct directory *d)
{
    const char *name;
    enum fskind kind = fskind_of(d->fd, &name);

    if (kind == FSKIND_MEMORY && d->role == ROLE_SPOOL)
        check_say(CHECK_WARNING, "%s %s is on %s: mail and journals are gone when the host stops", d->option, d->path, name);
    else if (kind == FSKIND_NETWORK && d->role == ROLE_SPOOL && !(s->mail_lock_mask & MAILLOCK_DOTLOCK))
        check_say(CHECK_WARNING, "%s %s is on %s, where only dot locks are sure to reach other hosts; add dotlock to "
                  "mail-locks", d->option, d->path, name);
    else if (kind == FSKIND_NETWORK || kind == FSKIND_UNKNOWN)
        check_say(CHECK_OK, "%s %s is on %s: treated as a network file system (file times count after 2 s)", d->option,
                  d->path, name);
}

/* The same judgement as the keeper's: who is no owner and not in the group needs it as an extra one, and only that of
   spool-dir can be had. */
static bool users_can_write(const struct settings *s, const struct stat *st)
{
    const struct auth_user somebody = { .uid = (uid_t)-2, .gid = (gid_t)-2 };

    if (geteuid() != 0 || (st->st_mode & S_IWOTH))
        return true;
    return (st->st_mode & S_IWGRP) && st->st_gid == places_spool_gid(s, &somebody);
}

/* Whether sessions find no place for their lock, which index or temp drop carry. Where they are is decided by places.c. */
static bool no_lock(const struct settings *s, const struct directory d[ROLES])
{
    bool beside = s->home_dir_misc ? false : d[ROLE_SPOOL].shut;
    bool temp_shut = s->temp_dir ? d[ROLE_TEMP].shut : beside;
    bool index_shut = s->cache_dir ? d[ROLE_INDEX].shut : temp_shut;

    return temp_shut && (index_shut || !s->index);
}

/* What goes wrong because this one is shut. */
static const char *loss(const struct settings *s, const struct directory d[ROLES], enum role role, bool *fatal_r)
{
    bool sessions = role != ROLE_SPOOL || (!s->temp_dir && !s->home_dir_misc); /* have files of theirs there */

    *fatal_r = true;
    if (role == ROLE_SPOOL && (s->mail_lock_mask & MAILLOCK_DOTLOCK))
        return "no dot locks: logins will fail";
    if (sessions && no_lock(s, d))
        return "no index and no lock of sessions: logins will fail";
    *fatal_r = false;
    if (role == ROLE_SPOOL && sessions)
        return "no journal: a QUIT that deletes other than the last messages will fail; and sessions send mail from the maildrop itself "
               "instead of a copy";
    if (role == ROLE_SPOOL)
        return "no journal: a QUIT that deletes other than the last messages will fail";
    return role == ROLE_TEMP ? "sessions send mail from the maildrop itself instead of a copy" : "no index: each login reads all of the maildrop";
}

static void look(const struct settings *s, struct directory *d)
{
    if (!d->path)
        return;
    d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->fd < 0 && errno == EACCES)
        d->fd = open(d->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    d->error = errno;
    d->shut = d->fd < 0 || (fstat(d->fd, &d->st) == 0 && !users_can_write(s, &d->st));
}

static void say_mode(const struct settings *s, const struct directory d[ROLES], enum role role)
{
    const struct directory *here = &d[role];
    unsigned mode = (unsigned)(here->st.st_mode & 07777);
    bool fatal;
    const char *then = loss(s, d, role, &fatal);

    if (here->fd < 0)
        check_say(CHECK_ERROR, "%s %s: %s: %s%s", here->option, here->path, strerror(here->error), then,
                  here->error == ENOENT ? "; make it with mode 1777, or 2775 and a group such as mail" : "");
    else if ((mode & S_IWOTH) && !(mode & S_ISVTX))
        check_say(CHECK_ERROR, "%s %s: everybody can remove everybody's files (mode %04o); chmod 1777 %s", here->option, here->path, mode,
                  here->path);
    else if (here->shut)
        check_say(fatal ? CHECK_ERROR : CHECK_WARNING,
                  "%s %s: users cannot make files there (mode %04o, group %ld): %s. Mode 1777 lets them, or 2775 and a group "
                  "such as mail", here->option, here->path, mode, (long)here->st.st_gid, then);
}

static void check_directory(const struct settings *s, const struct directory d[ROLES], enum role role)
{
    if (!d[role].path)
        return;
    say_mode(s, d, role);
    if (d[role].fd < 0)
        return;
    check_room(&d[role]);
    check_kind(s, &d[role]);
    if (role == ROLE_SPOOL)
        check_locks(s, d[role].fd, d[role].path);
}

/* ---- copies that cost nothing */

static void check_reflinks(const struct settings *s, const struct directory *spool, const struct directory *temp)
{
    int from = make_scratch(spool->fd), to = make_scratch(temp->fd);

    if (from < 0 || to < 0)
        check_say(CHECK_WARNING, "%s: no temp drop can be made: %s", temp->path, strerror(errno));
    else if (write(from, "x", 1) == 1 && ioctl(to, FICLONE, from) == 0)
        check_say(CHECK_OK, "%s: temp drops cost nothing (reflinks)", temp->path);
    else
        check_say(CHECK_OK, "%s: no reflinks (%s): a session that fetches mail copies the maildrop%s", temp->path,
                  strerror(errno), s->server_mode ? "" : "; server-mode spares that");
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
}

void check_directories(struct check *c)
{
    const struct settings *s = c->settings;
    struct directory d[ROLES] = { { .role = ROLE_SPOOL, .option = "spool-dir", .path = s->spool_dir, .fd = -1 },
                                  { .role = ROLE_TEMP, .option = "temp-dir", .path = s->temp_dir, .fd = -1 },
                                  { .role = ROLE_INDEX, .option = "cache-dir", .path = s->cache_dir, .fd = -1 } };
    const struct directory *spool = &d[ROLE_SPOOL], *copies = &d[s->temp_dir ? ROLE_TEMP : ROLE_SPOOL];

    for (enum role role = 0; role < ROLES; role++)
        look(s, &d[role]);
    for (enum role role = 0; role < ROLES; role++)
        check_directory(s, d, role);
    c->no_temp_dir = d[ROLE_TEMP].fd < 0 ? s->temp_dir : NULL;
    if (!s->server_mode && !s->home_dir_misc && spool->fd >= 0 && copies->fd >= 0)
        check_reflinks(s, spool, copies);
    if (s->home_dir_mail)
        check_say(CHECK_OK, "home-dir-mail: maildrops are in the homes; name a user to look at one");
    for (enum role role = 0; role < ROLES; role++)
        close(d[role].fd);
}
