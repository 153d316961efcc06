/*
 * dotlock_state: what the files of dotlock share, and the calls that change the lock's directory, each with the group that may (identity.h; not in
 * directories that a user rules). Nobody else includes this.
 */
#ifndef COMMON_DOTLOCK_STATE_H
#define COMMON_DOTLOCK_STATE_H

#include <stdbool.h>
#include <sys/stat.h>

/* How a lock is made here (dotlock_make). */
enum dotlock_way { DOTLOCK_NAMELESS, DOTLOCK_NAMED, DOTLOCK_EXCLUSIVE, DOTLOCK_WAYS };

struct dotlock {
    int dirfd;
    char *shown;    /* the maildrop's path for messages */
    char *name;     /* NAME.lock */
    char *new_name; /* .NAME.lock.new: a lock before it has its name, where files need one */
    char *old_name; /* .NAME.lock.old: a stale one on its way out */
    bool only_link; /* never O_EXCL alone */
    bool spare_gid;
    enum dotlock_way way; /* the first that is not known to be impossible */
    int fd;               /* our lock, while we hold it; else -1 */
};

/* The calls: result and errno as of the system's. */
int dotlock_dir_create(const struct dotlock *l, const char *name); /* exclusively, 0600, for writing */
int dotlock_dir_nameless(const struct dotlock *l);                 /* the same without a name (O_TMPFILE) */
int dotlock_dir_link(const struct dotlock *l, int fd);             /* the open file gets the lock's name */
int dotlock_dir_link_back(const struct dotlock *l);                /* .old gets the lock's name, too */
int dotlock_dir_rename(const struct dotlock *l, const char *from, const char *to, bool replace);
int dotlock_dir_unlink(const struct dotlock *l, const char *name);

/* Takes away what has the name. In a sticky directory a stranger's file stays: then *name (of l, owned) becomes one that nobody can know. False with errno. */
bool dotlock_dir_clear(const struct dotlock *l, char **name);

/* Whether the name in the directory is this file. */
bool dotlock_dir_names(const struct dotlock *l, const char *name, const struct stat *file);

#endif
