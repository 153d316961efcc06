/*
 * apopfile: the file under a database of secrets, whatever its format: where it is, who may own it, its lock, the
 * private copy that a change is made in, and how that becomes the file. Part of apopdb, which knows what is in it.
 */
#ifndef COMMON_APOPFILE_H
#define COMMON_APOPFILE_H

#include <sys/stat.h>

#include "common/apopdb.h"

#define APOPFILE_MAX (256 << 20) /* bytes of a database that can be changed */

/* What apopfile.c and apopfile_change.c know about an open one; nobody else looks inside. */
struct apopfile {
    char *path;             /* of the file that was found: FILE or FILE.pag */
    bool is_pair;
    int fd;
    int copy;               /* -1 when it is for reading */
    struct stat st;
    struct strbuf original; /* secret */
};

/* See apopdb_look and apopdb_open; the format is not looked at, except that a BSD database FILE.db is told. */
enum apopdb_result apopfile_look(const char *path, struct strbuf *why);
enum apopdb_result apopfile_open(const char *path, uid_t owner, bool change, int wait_ms, struct apopfile **file_r,
                                 struct strbuf *why);

/* Where to read: the file itself, or its copy in memory when it was opened for changes, which is also where to write.
   Stays apopfile's. */
int apopfile_fd(const struct apopfile *file);
const char *apopfile_shown(const struct apopfile *file); /* its path */
uid_t apopfile_owner(const struct apopfile *file);
void apopfile_stat(const struct apopfile *file, struct stat *st_r); /* as it was when it was opened */

/* See apopdb_commit. */
enum apopdb_result apopfile_commit(struct apopfile *file, struct strbuf *why);
void apopfile_close(struct apopfile **file);

/* A nameless file in memory for a new database; its content becomes the file at path. See apopdb_create. -1: why. */
int apopfile_scratch(struct strbuf *why);
enum apopdb_result apopfile_create(const char *path, uid_t owner, gid_t group, bool replace, int wait_ms, int scratch,
                                   struct strbuf *why);

/* For apopfile.c and apopfile_change.c alone. */

/* Says into why that `what` failed for the file `shown`, and errno; returns result. */
enum apopdb_result apopfile_fail(enum apopdb_result result, struct strbuf *why, const char *shown, const char *what);
/* Takes flock `how` (LOCK_SH, LOCK_EX), waiting for up to *wait_ms, which says afterwards how much of that is left. OK,
   BUSY or BROKEN and why. */
enum apopdb_result apopfile_lock(int fd, int how, int *wait_ms, const char *shown, struct strbuf *why);
/* Finds the file of the database at path: *found_r (owned by the caller; NULL unless OK) is path itself or FILE.pag. OK;
   MISSING, FOREIGN (only a FILE.db is there) or BROKEN and why. */
enum apopdb_result apopfile_locate(const char *path, char **found_r, bool *is_pair_r, struct stat *st_r,
                                   struct strbuf *why);
char *apopfile_with_suffix(const char *path, const char *suffix); /* owned by the caller */

#endif
