/*
 * keeper_newfile: see keeper_newfile.h. A name is given to such a file, and taken from M, in one place only:
 * keeper_newfile_replace_drop.
 */
#include "process/keeper_newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/file.h"
#include "common/identity.h"

#define NAME_BYTES 512

bool keeper_newfile_replaces(const struct keeper_files *f)
{
    return f->settings->fast_update && f->settings->server_mode;
}

/* The name that a new maildrop has for the moment before it takes the maildrop's: one per maildrop, so that a crash
   leaves one at most. */
static void next_name(const struct keeper_files *f, char name_r[NAME_BYTES])
{
    snprintf(name_r, NAME_BYTES, ".%s.next", f->places.file[MAILFILE_DROP].name);
}

/* Without a name where the file system can; else with a name of its own that goes at once, unless it is to become the
   maildrop. */
static int make_unnamed(const struct place *place, const char *name, bool keep_name, struct strbuf *why)
{
    int fd;

    if (place->dir < 0) {
        errno = place->error;
        return strbuf_fail(why, "%s: the directory cannot be opened: %s", place->shown, strerror(place->error));
    }
    places_hold_gid(place);
    fd = openat(place->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    identity_drop_gid();
    if (fd >= 0)
        return fd;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT && errno != EINVAL) {
        strbuf_fail(why, "a temporary file beside %s cannot be made: %s", place->shown, strerror(errno));
        return -1;
    }
    places_hold_gid(place);
    unlinkat(place->dir, name, 0);
    fd = openat(place->dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0 && !keep_name)
        unlinkat(place->dir, name, 0);
    identity_drop_gid();
    if (fd < 0)
        strbuf_fail(why, "%s beside %s cannot be made: %s", name, place->shown, strerror(errno));
    return fd;
}

int keeper_newfile_temp(struct keeper_files *f, struct strbuf *why)
{
    const struct place *place = &f->places.file[MAILFILE_TEMPDROP];
    char name[NAME_BYTES];

    snprintf(name, sizeof name, "%s.%ld", place->name, (long)getpid());
    return make_unnamed(place, name, false, why);
}

/* Beside M, since a rename does not leave its file system. */
int keeper_newfile_drop(struct keeper_files *f, struct strbuf *why)
{
    char name[NAME_BYTES];
    int fd;

    next_name(f, name);
    fd = make_unnamed(&f->places.file[MAILFILE_DROP], name, true, why);
    if (fd < 0)
        return -1;
    if (f->next_drop >= 0)
        close(f->next_drop);
    f->next_drop = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return fd;
}

/* Group and mode as M has them, and its locks. What cannot be carried over is a reason not to replace M. */
static int make_like_drop(struct keeper_files *f, struct maillock *lock, struct strbuf *why)
{
    const struct place *drop = &f->places.file[MAILFILE_DROP];
    struct stat old, new;
    int result;

    if (fstat(f->open.drop, &old) < 0 || fstat(f->next_drop, &new) < 0)
        return strbuf_fail(why, "%s cannot be looked at: %s", drop->shown, strerror(errno));
    places_hold_gid(drop);
    result = new.st_gid == old.st_gid ? 0 : fchown(f->next_drop, (uid_t)-1, old.st_gid);
    identity_drop_gid();
    if (result < 0 || fchmod(f->next_drop, old.st_mode & 07777) < 0)
        return strbuf_fail(why, "%s cannot be replaced: group and mode of its file cannot be given to another: %s",
                           drop->shown, strerror(errno));
    if (fgetxattr(f->open.drop, "system.posix_acl_access", NULL, 0) > 0) {
        errno = EOPNOTSUPP;
        return strbuf_fail(why, "%s cannot be replaced: it has an access control list", drop->shown);
    }
    return maillock_take_too(lock, f->next_drop, why);
}

/* By link and rename when the new file has no name yet: a link never takes the place of another. */
static int give_name(const struct keeper_files *f, const char *name)
{
    const struct place *drop = &f->places.file[MAILFILE_DROP];
    struct stat named, next;
    char from[64];

    if (fstatat(drop->dir, name, &named, AT_SYMLINK_NOFOLLOW) < 0 || fstat(f->next_drop, &next) < 0 ||
        !file_same(&named, &next)) {
        snprintf(from, sizeof from, "/proc/self/fd/%d", f->next_drop);
        unlinkat(drop->dir, name, 0); /* a crash left it */
        if (linkat(AT_FDCWD, from, drop->dir, name, AT_SYMLINK_FOLLOW) < 0)
            return -1;
    }
    return renameat(drop->dir, name, drop->dir, drop->name);
}

/* The descriptor keeps its number: locks are known by it. */
int keeper_newfile_replace_drop(struct keeper_files *f, struct maillock *lock, struct strbuf *why)
{
    const struct place *drop = &f->places.file[MAILFILE_DROP];
    char name[NAME_BYTES];
    int result;

    errno = EPERM;
    if (!keeper_newfile_replaces(f) || f->next_drop < 0 || f->open.drop < 0)
        return strbuf_fail(why, "the maildrop is replaced with fast-update in server mode only");
    if (make_like_drop(f, lock, why) < 0)
        return -1;
    next_name(f, name);
    places_hold_gid(drop);
    result = give_name(f, name);
    identity_drop_gid();
    if (result < 0)
        return strbuf_fail(why, "%s cannot be replaced: %s", drop->shown, strerror(errno));
    dup3(f->next_drop, f->open.drop, O_CLOEXEC);
    close(f->next_drop);
    f->next_drop = -1;
    return 0;
}

/* It may have its name, where the file system makes none without. */
void keeper_newfile_forget(struct keeper_files *f)
{
    const struct place *drop = &f->places.file[MAILFILE_DROP];
    char name[NAME_BYTES];

    if (f->next_drop < 0)
        return;
    next_name(f, name);
    places_hold_gid(drop);
    unlinkat(drop->dir, name, 0);
    identity_drop_gid();
    close(f->next_drop);
}
