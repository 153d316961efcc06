/*
 * apopdb: the database of secrets for APOP, CRAM-MD5 and SCRAM: a file of gdbm, in the format that Qpopper's popauth
 * made. The file is apopfile's matter, gdbm is gdbmfile's, which loads the library when a database is opened, not before.
 *
 * FILE is one file of gdbm, or the pair FILE.pag and FILE.dir of gdbm's ndbm face. In it stand, for a user:
 *   key NAME NUL          value secret, each byte XOR 0xFF, NUL              for APOP and CRAM-MD5, and good for SCRAM
 *   key 0x01 NAME NUL     value verifiers as scram_format writes them, one line each, NUL               for SCRAM alone
 * and for all of them: key 0x01 NUL, value base64 of 32 random bytes, NUL, from which salts are made for those who
 * have none of their own. No user's name starts with 0x01, so that other programs take none of the latter for users.
 *
 * The file must have mode 0600 and one link and belong to the user of the database, to root, or (without root) to us.
 * Readers hold flock shared, writers exclusive, as gdbm itself does. A change is made in a private copy, which then
 * replaces the file by rename; where the directory lets us not, it is written over the file and put back when that
 * fails, so there a loss of power in that moment can cost the database.
 */
#ifndef COMMON_APOPDB_H
#define COMMON_APOPDB_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/scram.h"
#include "common/strbuf.h"

#define APOPDB_NAME_MAX 64
#define APOPDB_SECRET_MAX 255
#define APOPDB_SEED_SIZE 32

enum apopdb_result {
    APOPDB_OK,
    APOPDB_NOT_BUILT, /* no gdbm in this build, or its library cannot be loaded */
    APOPDB_MISSING,   /* there is no database */
    APOPDB_UNSAFE,    /* owner, mode, links or kind of the file are not as they must be */
    APOPDB_FOREIGN,   /* a database of another library, or of gdbm on another kind of machine: to be converted */
    APOPDB_BUSY,      /* locked for longer than we wait */
    APOPDB_EXISTS,    /* apopdb_create was not to replace it */
    APOPDB_BROKEN     /* cannot be read or written, or is damaged */
};

/* All that is stored of a user. A secret: the caller wipes it. */
struct apopdb_user {
    bool present;   /* something is stored under the name, even if it is of no use */
    bool has_secret;
    char secret[APOPDB_SECRET_MAX + 1];
    struct scram_keys scram[SCRAM_HASHES]; /* as stored: empty when there are none */
    /* For who has no verifiers, whether he exists or not: always the same for a name, as long as nobody sets the seed
       (without one: writes to the file), and nothing that strangers can foresee. */
    unsigned char salt[SCRAM_HASHES][SCRAM_SALT_NEW];
};

struct apopdb;

/* Whether a database is there and can be one, by a look at the names alone: file, mode, links. Cheap. APOPDB_OK,
   MISSING, UNSAFE, FOREIGN or NOT_BUILT. */
enum apopdb_result apopdb_look(const char *path, struct strbuf *why);

/* Opens the database at path for reading or, with `change`, also for changes. owner: uid that may own it besides root
   and ourselves ((uid_t)-1: nobody else). Waits up to wait_ms for the lock. APOPDB_OK and *db_r; otherwise *db_r is
   NULL and why says what to mend. */
enum apopdb_result apopdb_open(const char *path, uid_t owner, bool change, int wait_ms, struct apopdb **db_r,
                               struct strbuf *why);

/* Releases the lock. Changes that were not committed are gone. *db becomes NULL; NULL is allowed. */
void apopdb_close(struct apopdb **db);

/* The owner of the file that was opened. */
uid_t apopdb_owner(const struct apopdb *db);

/* Looks a user up (name: any text). APOPDB_OK, found or not (user_r->present; the salts are there); or BROKEN and why. */
enum apopdb_result apopdb_find(struct apopdb *db, const char *name, struct apopdb_user *user_r, struct strbuf *why);

/* The random bytes for salts. False when the database has none (no popauth of ours has written to it yet). */
bool apopdb_seed(struct apopdb *db, unsigned char seed_r[APOPDB_SEED_SIZE]);

/* Calls each for every user once, in no order, until it returns false. APOPDB_OK, or BROKEN and why. */
typedef bool apopdb_each(void *context, const char *name);
enum apopdb_result apopdb_list(struct apopdb *db, apopdb_each *each, void *context, struct strbuf *why);

/* What may stand in a database: a name of 1 to APOPDB_NAME_MAX bytes that starts with no control character; a secret
   of 1 to APOPDB_SECRET_MAX bytes without control characters. */
bool apopdb_name_valid(const char *name);
bool apopdb_secret_valid(const char *secret);

/* Changes, kept back until apopdb_commit. Both setters replace all that was stored of the user: a secret that is used
   for all, or verifiers for SCRAM made of it (with new salts), after which nothing that is worth stealing is stored.
   APOPDB_OK, or BROKEN and why. */
enum apopdb_result apopdb_set_secret(struct apopdb *db, const char *name, const char *secret, struct strbuf *why);
enum apopdb_result apopdb_set_scram(struct apopdb *db, const char *name, const char *secret, struct strbuf *why);
enum apopdb_result apopdb_delete(struct apopdb *db, const char *name, struct strbuf *why);

/* Makes the changes the database's content, durably. Before it returns APOPDB_OK readers see the old content, after it
   the new one; after BROKEN and why the old one (unless why says that it could not be put back). Once only. */
enum apopdb_result apopdb_commit(struct apopdb *db, struct strbuf *why);

/* Makes an empty database at path, of that owner and mode 0600 (without root: ours). replace: whatever database is
   there is thrown away (after waiting for its lock); otherwise EXISTS. */
enum apopdb_result apopdb_create(const char *path, uid_t owner, gid_t group, bool replace, int wait_ms,
                                 struct strbuf *why);

#endif
