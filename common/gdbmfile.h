/*
 * gdbmfile: keys and values in a database of gdbm, over a descriptor that the caller has opened, checked and locked.
 * The only room that knows gdbm; it loads the library when a database is opened, not before.
 *
 * A damaged database ends in an error, never in the end of the process: gdbm's way of giving up is turned into a
 * return. Nothing is mapped into memory, so that a file that shrinks is a read error. Texts in why go behind the name
 * of the file: "is a database of BSD".
 */
#ifndef COMMON_GDBMFILE_H
#define COMMON_GDBMFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/strbuf.h"

enum gdbmfile_result {
    GDBMFILE_OK,
    GDBMFILE_NONE,      /* no such key */
    GDBMFILE_NOT_BUILT, /* no gdbm in this build, or its library cannot be loaded */
    GDBMFILE_FOREIGN,   /* a database of another library, or of gdbm on another kind of machine */
    GDBMFILE_BROKEN     /* damaged, or cannot be read or written */
};

struct gdbmfile;

/* Opens the database on fd, or (create) makes an empty one there. fd stays the caller's and must stay open. OK and
   *db_r; otherwise *db_r is NULL, and why. */
enum gdbmfile_result gdbmfile_open(int fd, bool change, struct gdbmfile **db_r, struct strbuf *why);
enum gdbmfile_result gdbmfile_create(int fd, struct gdbmfile **db_r, struct strbuf *why);

/* Replaces the content of value (wiped first). OK (cut when it is longer than value may be), NONE, or BROKEN and
   why. */
enum gdbmfile_result gdbmfile_fetch(struct gdbmfile *db, const void *key, size_t n, struct strbuf *value,
                                    struct strbuf *why);

/* Adds or replaces; removes if it is there. OK, or BROKEN and why. */
enum gdbmfile_result gdbmfile_store(struct gdbmfile *db, const void *key, size_t n, const void *value,
                                    size_t value_length, struct strbuf *why);
enum gdbmfile_result gdbmfile_delete(struct gdbmfile *db, const void *key, size_t n, struct strbuf *why);

/* Each key once, in no order, until each returns false. OK, or BROKEN and why. */
typedef bool gdbmfile_each(void *context, const void *key, size_t n);
enum gdbmfile_result gdbmfile_keys(struct gdbmfile *db, gdbmfile_each *each, void *context, struct strbuf *why);

/* What was changed is in the file then. OK, or BROKEN and why. */
enum gdbmfile_result gdbmfile_sync(struct gdbmfile *db, struct strbuf *why);

/* *db becomes NULL; NULL is allowed. */
void gdbmfile_close(struct gdbmfile **db);

#endif
