/*
 * places: see places.h and the facts page 6.2. It never follows what a client said, and never creates anything but hash
 * directories.
 */
#include "process/places.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/identity.h"
#include "common/log.h"
#include "common/mem.h"
#include "settings/defaults.h"

#define PATH_BYTES 4096

/* ---- names */

/* "/a" (the sum of the first five bytes), "/f/s" (first and second letter), or "". */
static void add_hash(struct strbuf *path, int hash_spool, const char *user)
{
    unsigned sum = 0;
    size_t i;

    if (hash_spool == 1) {
        for (i = 0; i < 5 && user[i]; i++)
            sum += (unsigned char)user[i];
        strbuf_addf(path, "/%c", (int)('a' + sum % 26));
    } else if (hash_spool == 2) {
        strbuf_addf(path, "/%c/%c", user[0], user[1] ? user[1] : user[0]);
    }
}

static char *path_of(const char *dir, int hash_spool, const char *user)
{
    struct strbuf path = STRBUF_INIT(PATH_BYTES);
    char *dir_path;

    strbuf_adds(&path, dir);
    add_hash(&path, hash_spool, user);
    dir_path = mem_strdup(path.data);
    strbuf_free(&path);
    return dir_path;
}

char *places_spool_dir(const struct settings *settings, const char *user)
{
    return path_of(settings->spool_dir, settings->hash_spool, user);
}

/* pattern with the user for each %s. */
static char *fill_pattern(const char *pattern, const char *user)
{
    struct strbuf name = STRBUF_INIT(PATH_BYTES);
    char *filled;

    for (; *pattern; pattern++) {
        if (pattern[0] == '%' && pattern[1] == 's') {
            strbuf_adds(&name, user);
            pattern++;
        } else {
            strbuf_addc(&name, *pattern);
        }
    }
    filled = mem_strdup(name.data);
    strbuf_free(&name);
    return filled;
}

/* ---- directories */

/* For reading, so that it can be synced; where only searching is allowed, as a mere place. */
static int open_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 && errno == EACCES)
        fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd;
}

/* Each directory is opened once. */
static void place_in(struct places *p, struct place *place, const char *dir, char *name, bool in_home)
{
    struct strbuf shown = STRBUF_INIT(PATH_BYTES);
    size_t i;

    for (i = 0; i < p->opened_count && strcmp(p->opened[i].path, dir) != 0; i++)
        continue;
    if (i == p->opened_count) {
        p->opened[i].path = mem_strdup(dir);
        p->opened[i].fd = open_directory(dir);
        p->opened[i].error = p->opened[i].fd < 0 ? errno : 0;
        p->opened_count++;
    }
    strbuf_addf(&shown, "%s/%s", dir, name);
    *place = (struct place){ .dir = p->opened[i].fd, .error = p->opened[i].error, .name = name, .in_home = in_home };
    place->shown = mem_strdup(shown.data);
    strbuf_free(&shown);
}

static void find_drop(struct places *p, const struct settings *settings, const struct auth_user *user)
{
    const char *in_home = settings->home_dir_mail;
    char *dir = path_of(in_home ? user->home : settings->spool_dir, settings->hash_spool, user->name);
    struct strbuf path = STRBUF_INIT(PATH_BYTES), journal = STRBUF_INIT(PATH_BYTES);
    char *name;

    strbuf_addf(&path, "%s/%s", dir, in_home ? in_home : user->name);
    name = strrchr(path.data, '/');
    *name++ = '\0';
    place_in(p, &p->file[MAILFILE_DROP], path.data, mem_strdup(name), in_home != NULL);
    strbuf_addf(&journal, ".%s.journal", name);
    place_in(p, &p->file[MAILFILE_JOURNAL], path.data, mem_strdup(journal.data), in_home != NULL);
    strbuf_free(&path);
    strbuf_free(&journal);
    mem_free(dir);
}

void places_find(struct places *p, const struct settings *settings, const struct auth_user *user)
{
    const char *base = settings->home_dir_misc ? user->home : settings->spool_dir;
    const char *temp_base = settings->temp_dir ? settings->temp_dir : base;
    const char *index_base = settings->cache_dir ? settings->cache_dir : temp_base;
    char *temp_dir = path_of(temp_base, settings->hash_spool, user->name);
    char *index_dir = path_of(index_base, settings->hash_spool, user->name);
    char *meeting_dir = path_of(settings->spool_dir, settings->hash_spool, user->name);

    memset(p, 0, sizeof *p);
    find_drop(p, settings, user);
    place_in(p, &p->file[MAILFILE_TEMPDROP], temp_dir, fill_pattern(settings->temp_name, user->name),
             temp_base == user->home);
    place_in(p, &p->index, index_dir, fill_pattern(settings->cache_name, user->name), index_base == user->home);
    place_in(p, &p->meeting, meeting_dir, fill_pattern(".%s.cache", user->name), false);
    if (settings->check_old_spool_loc &&
        (settings->hash_spool > 0 || settings->home_dir_mail || settings->home_dir_misc))
        place_in(p, &p->old_tempdrop, settings->spool_dir, fill_pattern(".%s.pop", user->name), false);
    p->file[MAILFILE_POPBULL].dir = -1;
    mem_free(temp_dir);
    mem_free(index_dir);
    mem_free(meeting_dir);
}

static const char *popbull_dir = POPBULL_DIR;

void places_set_popbull_dir(const char *dir)
{
    popbull_dir = dir;
}

void places_find_popbull(struct places *p, const struct auth_user *user)
{
    struct place *home = popbull_dir ? &p->old_popbull : &p->file[MAILFILE_POPBULL];

    if (home->name)
        return;
    place_in(p, home, user->home, mem_strdup(".popbull"), true);
    if (popbull_dir)
        place_in(p, &p->file[MAILFILE_POPBULL], popbull_dir, fill_pattern("%s.popbull", user->name), false);
}

static void forget(struct place *place)
{
    mem_free(place->name);
    mem_free(place->shown);
    *place = (struct place){ .dir = -1 };
}

void places_hold_gid(const struct place *place)
{
    if (!place->in_home)
        identity_hold_gid();
}

void places_close(struct places *p)
{
    size_t i;

    for (i = 0; i < MAILFILE_COUNT; i++)
        forget(&p->file[i]);
    forget(&p->index);
    forget(&p->meeting);
    forget(&p->old_tempdrop);
    forget(&p->old_popbull);
    for (i = 0; i < p->opened_count; i++) {
        if (p->opened[i].fd >= 0)
            close(p->opened[i].fd);
        mem_free(p->opened[i].path);
    }
    p->opened_count = 0;
}

/* ---- names that must not be the same */

static bool same_directory(const struct place *a, const struct place *b)
{
    struct stat of_a, of_b;

    if (a->dir < 0 || b->dir < 0)
        return false;
    return a->dir == b->dir || (fstat(a->dir, &of_a) == 0 && fstat(b->dir, &of_b) == 0 && file_same(&of_a, &of_b));
}

static bool goes_with(const char *name, const char *drop)
{
    static const char *const patterns[] = { "%s", "%s.lock", ".%s.lock.new", ".%s.lock.old", ".%s.journal", ".%s.next" };
    bool same = false;

    for (size_t i = 0; i < sizeof patterns / sizeof *patterns && !same; i++) {
        char *taken = fill_pattern(patterns[i], drop);

        same = strcmp(name, taken) == 0;
        mem_free(taken);
    }
    return same;
}

bool places_collide(const struct places *p, const char *user, struct strbuf *why)
{
    const struct place *drop = &p->file[MAILFILE_DROP];
    const struct {
        const struct place *place;
        const char *option, *what;
    } named[] = { { &p->file[MAILFILE_TEMPDROP], "temp-name", "temp drop" }, { &p->index, "cache-name", "index" } };

    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        if (!goes_with(named[i].place->name, drop->name) || !same_directory(named[i].place, drop))
            continue;
        strbuf_fail(why, "%s makes %s the %s of %s, but that is the maildrop or goes with it; give it another name or directory", named[i].option,
                    named[i].place->shown, named[i].what, user);
        return true;
    }
    return false;
}

/* ---- hash directories */

/* One level below parent, opened; it must belong to the same owner. Mode last, so that nobody can use it before it is
   right. */
static int make_like(int parent, const char *name, const struct stat *like)
{
    bool made = mkdirat(parent, name, 0700) == 0;
    struct stat st;
    int fd, error;

    if (!made && errno != EEXIST)
        return -1;
    fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == EACCES && !made) /* what is there may be for searching only */
        fd = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (made && (fchown(fd, like->st_uid, like->st_gid) < 0 || fchmod(fd, like->st_mode & 07777) < 0))
        error = errno;
    else if (fstat(fd, &st) < 0 || st.st_uid != like->st_uid)
        error = EPERM; /* somebody else's: nothing is made below it */
    else
        return fd;
    close(fd);
    if (made)
        unlinkat(parent, name, AT_REMOVEDIR);
    errno = error;
    return -1;
}

/* "a" or "a/b" below base. */
static int make_levels(int base, const struct stat *like, const char *levels)
{
    char first[2] = { levels[0], '\0' };
    int upper = make_like(base, first, like), lower;

    if (upper < 0 || levels[1] == '\0')
        return upper;
    lower = make_like(upper, levels + 2, like);
    close(upper);
    return lower;
}

/* Root makes them wherever they are missing; the user only in directories of his own. */
static void make_hash_dir(const char *base, int hash_spool, const char *user)
{
    struct strbuf levels = STRBUF_INIT(16);
    struct stat like, there;
    int fd, made = -1;

    add_hash(&levels, hash_spool, user);
    fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &like) == 0 && (geteuid() == 0 || like.st_uid == geteuid()) &&
        fstatat(fd, levels.data + 1, &there, 0) < 0 && errno == ENOENT) {
        made = make_levels(fd, &like, levels.data + 1);
        if (made >= 0)
            close(made);
        else
            log_write(LOG_WARNING,
                      "hash directory %s%s of %s cannot be made: %s; make it with mode, owner and group of %s", base,
                      levels.data, user, strerror(errno), base);
    }
    if (fd >= 0)
        close(fd);
    strbuf_free(&levels);
}

void places_make_hash_dirs(const struct settings *settings, const struct auth_user *user)
{
    bool in_base = !settings->temp_dir; /* temp drop and perhaps index stand beside the maildrop or in the home */
    bool spool = !settings->home_dir_mail || (in_base && !settings->home_dir_misc);
    bool home = (settings->home_dir_mail || (in_base && settings->home_dir_misc)) && geteuid() != 0;
    const char *const bases[] = { spool ? settings->spool_dir : NULL, settings->temp_dir, settings->cache_dir,
                                  home ? user->home : NULL };

    if (settings->hash_spool == 0 || !settings->check_hash_dir)
        return;
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++)
        if (bases[i])
            make_hash_dir(bases[i], settings->hash_spool, user->name);
}

gid_t places_spool_gid(const struct settings *settings, const struct auth_user *user)
{
    struct stat st;

    if (!settings->spool_dir || stat(settings->spool_dir, &st) < 0)
        return IDENTITY_NO_GID;
    if ((st.st_mode & S_IWOTH) || !(st.st_mode & S_IWGRP) || st.st_gid == 0 || st.st_gid == user->gid ||
        st.st_uid == user->uid)
        return IDENTITY_NO_GID;
    return st.st_gid;
}

bool places_writable(const struct settings *settings)
{
    return faccessat(AT_FDCWD, settings->spool_dir, W_OK, AT_EACCESS) == 0;
}
