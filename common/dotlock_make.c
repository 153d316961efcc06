/*
 * dotlock_make: see dotlock_make.h.
 *
 * A lock made by O_CREAT|O_EXCL is empty until its owner stands in it. Who is killed in that instant would leave one that everybody respects for
 * MAILLOCK_STALE seconds, since other programs make empty locks. So the file is complete before it gets the lock's name, by link(2), which never replaces
 * anything, on NFS neither. The ways, each tried when the one before is impossible:
 *   1. A file without a name. Who is killed leaves nothing, or a whole lock. (ext4, xfs, btrfs, tmpfs; it costs one call more than O_EXCL, and on ext4
 *      less time.)
 *   2. A file .NAME.lock.new, where files need names (NFS). One name per maildrop, so that one at most is left over, and no user's name begins with
 *      a dot. Who finds it takes it away and makes his own: it is left over, or its maker then has a file without links, cannot link it and tries again.
 *      A lock that has it as its second link (killed before the name was taken away) is freed of it by dotlock's judge.
 *   3. O_EXCL, where link(2) is impossible (file systems without hard links, no /proc); never with option no-atomic-open.
 * What is linked is the descriptor, not the name, which may be somebody else's file by now; it is our own file, which fs.protected_hardlinks lets
 * link. On NFS the answer to a link that worked may be lost: on an error the lock's name is looked at.
 */
#include "config.h" /* system extensions, 64-bit offsets */

#include "common/dotlock_make.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/dotlock_state.h"
#include "common/file.h"
#include "common/lockowner.h"
#include "common/log.h"

/* Who holds it, for the reader of the file. On a full disk or quota the lock is good without: it then ages out like
   any other. */
static void write_owner(int fd)
{
    char text[LOCKOWNER_MAX];
    size_t n = lockowner_text(text);

    if (file_write(fd, text, n) < 0 && ftruncate(fd, 0) < 0)
        log_write(LOG_DEBUG, "dot lock: %s", strerror(errno)); /* a torn text is not believed either */
}

static int create_new(struct dotlock *l)
{
    int fd = dotlock_dir_create(l, l->new_name);

    if (fd < 0 && errno == EEXIST && dotlock_dir_clear(l, &l->new_name))
        fd = dotlock_dir_create(l, l->new_name);
    return fd;
}

/* By the ways 1 and 2. */
static enum dotlock_made link_into_place(struct dotlock *l, int fd)
{
    struct stat st = { 0 };
    int error;

    if (dotlock_dir_link(l, fd) == 0) {
        l->fd = fd;
        return DOTLOCK_MADE;
    }
    error = errno;
    if (fstat(fd, &st) == 0 && dotlock_dir_names(l, l->name, &st)) {
        l->fd = fd;
        return DOTLOCK_MADE;
    }
    if (l->way == DOTLOCK_NAMED && (error == ESTALE || st.st_nlink == 0))
        error = EEXIST; /* somebody took our .new away */
    errno = error;
    return error == EEXIST ? DOTLOCK_EXISTS : DOTLOCK_FAILED;
}

static enum dotlock_made make_complete(struct dotlock *l)
{
    int fd = l->way == DOTLOCK_NAMELESS ? dotlock_dir_nameless(l) : create_new(l);
    enum dotlock_made made;
    int error;

    if (fd < 0)
        return l->way == DOTLOCK_NAMED && errno == EEXIST ? DOTLOCK_EXISTS : DOTLOCK_FAILED;
    write_owner(fd);
    made = link_into_place(l, fd);
    error = errno;
    if (l->way == DOTLOCK_NAMED)
        dotlock_dir_unlink(l, l->new_name);
    if (made != DOTLOCK_MADE)
        close(fd);
    errno = error;
    return made;
}

static enum dotlock_made make_exclusively(struct dotlock *l)
{
    int fd = dotlock_dir_create(l, l->name);

    if (fd < 0)
        return errno == EEXIST ? DOTLOCK_EXISTS : DOTLOCK_FAILED;
    write_owner(fd);
    l->fd = fd;
    return DOTLOCK_MADE;
}

/* What fails with the last way, too, does not make a way impossible. */
enum dotlock_made dotlock_make(struct dotlock *l)
{
    const enum dotlock_way first = l->way, last = l->only_link ? DOTLOCK_NAMED : DOTLOCK_EXCLUSIVE;
    enum dotlock_made made;

    for (;;) {
        made = l->way == DOTLOCK_EXCLUSIVE ? make_exclusively(l) : make_complete(l);
        if (made != DOTLOCK_FAILED)
            return made;
        if (l->way == last) {
            l->way = first;
            return made;
        }
        l->way++;
    }
}

bool dotlock_make_clock(struct dotlock *l, struct timespec *now_r)
{
    struct stat st;
    bool named = false;
    int fd = dotlock_dir_nameless(l), error;

    if (fd < 0) {
        fd = create_new(l);
        named = true;
    }
    if (fd < 0)
        return false;
    error = fstat(fd, &st) < 0 ? errno : 0;
    close(fd);
    if (named)
        dotlock_dir_unlink(l, l->new_name);
    *now_r = st.st_mtim;
    errno = error;
    return error == 0;
}
