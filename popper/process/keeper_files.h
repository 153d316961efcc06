/*
 * keeper_files: the files of one user by their roles: what the keeper opens at the start and makes, removes and renames
 * when the session asks.
 *
 * Acts with the user's ids; the extra gid is held around single calls in directories that are root's choice, never in
 * the user's home. Nothing is followed, nothing is read.
 */
#ifndef PROCESS_KEEPER_FILES_H
#define PROCESS_KEEPER_FILES_H

#include <stdbool.h>
#include <sys/types.h>

#include "auth/auth.h"
#include "common/maillock.h"
#include "mail/maildrop.h"
#include "process/places.h"
#include "settings/options.h"

struct keeper_files {
    const struct settings *settings;
    const struct auth_user *user;
    uid_t uid;
    struct places places;
    struct maildrop_files open; /* for the session */
    int lock;              /* holds the session lock; the index, or the temp drop where there is no index */
    bool lock_is_tempdrop;
    int meeting;           /* holds it for services with other directories as well; -1: lock is that file, or none */
    const struct place *leftover; /* where open.leftover was found; NULL none */
    int next_drop;         /* what is to replace M with fast-update; -1 none */
};

/* Finds everything, takes the session lock, opens what there is. OK, or what to tell the client. */
enum maildrop_status keeper_files_open(struct keeper_files *f, const struct settings *settings,
                                       const struct auth_user *user, struct strbuf *why);

/* The same for looking only (--check): no session lock, nothing is made. */
enum maildrop_status keeper_files_look(struct keeper_files *f, const struct settings *settings,
                                       const struct auth_user *user, struct strbuf *why);

/* The maildrop's name still is the file that is open (or there is still none). */
bool keeper_files_same_drop(const struct keeper_files *f);

/* When another program has made, replaced or removed M, open.drop becomes the file that has its name now (-1: none), and *moved_r is set. Its owner, links
   and kind are judged as at the start: -1 with errno and why. The locks must not be held: they are the former file's. */
int keeper_files_follow_drop(struct keeper_files *f, bool *moved_r, struct strbuf *why);

bool keeper_files_journal_exists(const struct keeper_files *f);

/* mailhost's open, remove, set_aside (lock: M's), sync_dir. The descriptor stays the keeper's when it is M
   (*keep_r), else it is the caller's. */
int keeper_files_serve_open(struct keeper_files *f, enum mailfile which, enum mailopen how, struct maillock *lock,
                            bool *keep_r, struct strbuf *why);
int keeper_files_remove(struct keeper_files *f, enum mailfile which, struct strbuf *why);
int keeper_files_set_aside(struct keeper_files *f, enum mailfile which, struct maillock *lock, struct strbuf *why);
int keeper_files_sync_dir(struct keeper_files *f, enum mailfile which, struct strbuf *why);

/* A new file without a name in temp-dir for a message of XTND XMIT. The descriptor, owned by the caller, or -1 with
   errno and why. */
int keeper_files_make_xmit(struct keeper_files *f, struct strbuf *why);

/* The user's .popbull, or with old the one in his home, where another directory is used now. flags: O_RDONLY or
   O_RDWR. -1 with errno (ENOENT: there is none) and why. *shown_r: its path, borrowed. */
int keeper_files_open_popbull(struct keeper_files *f, bool old, int flags, const char **shown_r, struct strbuf *why);

/* Whether a .popbull could be made: 0, or -1 and why. */
int keeper_files_can_make_popbull(struct keeper_files *f, struct strbuf *why);

/* Leaves an empty temp drop (keep-temp-drop), or removes the one that only carried the lock, and what was never finished. */
void keeper_files_leave(struct keeper_files *f);

/* Closes everything, the session lock last. */
void keeper_files_close(struct keeper_files *f);

#endif
