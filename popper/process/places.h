/*
 * places: where the files of one user are. The only room that makes names of files out of settings and a user (DESIGN
 * section 2: names come from root's settings and the passwd entry, never from a client).
 *
 * It opens directories with the rights of the caller (the keeper, who is the user by then) and decides nothing about
 * what is in them.
 */
#ifndef PROCESS_PLACES_H
#define PROCESS_PLACES_H

#include <stdbool.h>

#include "auth/auth.h"
#include "common/strbuf.h"
#include "mail/mailhost.h"
#include "settings/options.h"

struct place {
    int dir;        /* descriptor, borrowed from the places; -1: cannot be opened, error says why */
    int error;      /* errno of that */
    char *name;     /* inside dir; owned by the places */
    char *shown;    /* the whole path, for messages; owned by the places */
    bool in_home;   /* below a directory of the user's own: the extra gid is never held there */
};

struct places {
    struct place file[MAILFILE_COUNT];
    struct place index;
    /* where the index would be without cache-dir, cache-name, temp-dir and home-dir-misc: services whose settings differ
       in these meet here for the session lock */
    struct place meeting;
    /* where a leftover may stand from the time before the spool moved; name NULL: nowhere */
    struct place old_tempdrop;
    struct place old_popbull; /* name NULL: nowhere */
    struct {
        char *path;
        int fd;
        int error;
    } opened[8];
    size_t opened_count;
};

/* Fills in names and opens directories. Never fails: a place that cannot be reached says so itself. */
void places_find(struct places *p, const struct settings *settings, const struct auth_user *user);
void places_close(struct places *p);

/* Whether temp-name or cache-name (with their directories) name the maildrop, or a file that belongs to it: its mail would be taken for another's, or
   written over. why says which. */
bool places_collide(const struct places *p, const char *user, struct strbuf *why);

/* Holds the extra gid (identity.h), until identity_drop_gid, for a call that changes the place's directory. */
void places_hold_gid(const struct place *place);

/* Opens the directory of POPBULL, which few sessions need: the user's home or, where configure was told so, popbulldir
   (old_popbull is then the one in the home). May be called again. */
void places_find_popbull(struct places *p, const struct auth_user *user);

/* For tests: what configure --enable-popbulldir says (borrowed); NULL: the home. */
void places_set_popbull_dir(const char *dir);

/* The directory of the maildrops of users like this one: spool-dir with its hash directories; the caller frees. */
char *places_spool_dir(const struct settings *settings, const char *user);

/* Makes the missing directories of hash-spool below spool-dir, temp-dir and cache-dir, with mode, owner and group of
   the directory that they are in (option check-hash-dir). To be called as root, and again as the user with his own
   settings: then only in directories that are his, his home among them. Links are not followed. What fails is logged;
   opening the maildrop will say more. */
void places_make_hash_dirs(const struct settings *settings, const struct auth_user *user);

/* The group that the keeper must be able to hold, because only it lets the user's mail be created and removed in
   spool-dir; IDENTITY_NO_GID when none is needed. Judged by owner and mode, before the keeper becomes the user;
   `places_writable` is the probe afterwards. */
gid_t places_spool_gid(const struct settings *settings, const struct auth_user *user);
bool places_writable(const struct settings *settings);

#endif
