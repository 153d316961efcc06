/*
 * dotlock_state: what the files of dotlock share, and the system calls that change the lock's directory, each made while
 * the extra gid is held (identity_hold_gid; never in a directory that a user rules). Nobody else includes this.
 */
#ifndef COMMON_DOTLOCK_STATE_H
#define COMMON_DOTLOCK_STATE_H

#include <stdbool.h>
#include <sys/stat.h>

/* How a lock is made in this directory, the best way first (dotlock_make.c). */
enum dotlock_way { DOTLOCK_NAMELESS, DOTLOCK_NAMED, DOTLOCK_EXCLUSIVE, DOTLOCK_WAYS };

struct dotlock {
    int dirfd;
    char *shown;    /* the maildrop's path, for messages */
    char *name;     /* NAME.lock */
    char *new_name; /* .NAME.lock.new: a lock that is not complete yet, where no file can be made without a name */
    char *old_name; /* .NAME.lock.old: a stale lock that is being removed */
    bool only_link; /* never DOTLOCK_EXCLUSIVE */
    bool hold_no_gid; /* a user rules the directory: the extra gid is never held for it */
    enum dotlock_way way; /* the first that is not known to be impossible */
    int fd;               /* our lock, while we hold it; else -1 */
};

/* They return what the system call returns, with its errno. */
int dotlock_dir_create(const struct dotlock *l, const char *name); /* exclusively, 0600, for writing */
int dotlock_dir_nameless(const struct dotlock *l);                 /* the same without a name (O_TMPFILE) */
int dotlock_dir_link(const struct dotlock *l, int fd);             /* the open file gets the lock's name */
int dotlock_dir_link_back(const struct dotlock *l);                /* .old gets the lock's name, too */
int dotlock_dir_rename(const struct dotlock *l, const char *from, const char *to, bool replace);
int dotlock_dir_unlink(const struct dotlock *l, const char *name);

/* Removes the file `*name`. Where that is not allowed (a stranger's file in a sticky directory), *name, which belongs to
   l, becomes another name, which nobody can foresee. False with errno: neither. */
bool dotlock_dir_clear(const struct dotlock *l, char **name);

/* Whether the file of that name is this one. */
bool dotlock_dir_names(const struct dotlock *l, const char *name, const struct stat *file);

#endif
