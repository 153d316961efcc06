/*
 * localhost: a mailhost over a temporary directory, with real files and real locks, doing by itself what the keeper does for a session.
 */
#ifndef TESTS_LOCALHOST_H
#define TESTS_LOCALHOST_H

#include "common/maillock.h"
#include "mail/maildrop.h"
#include "mail/mailhost.h"

struct localhost {
    struct mailhost host;
    char directory[64];
    char shown[80];              /* DIRECTORY/drop */
    int dirfd;
    int drop, index, leftover;   /* descriptors of the session under way, or -1; drop: what has the name, once it was locked */
    struct maillock *lock;
    int locked;                  /* times the locks were taken */
    int temps;                   /* temp drops made */
    int wait_ms;                 /* for locks */
    const struct bulletin_offer *bulletins;
    bool no_temp;                /* temp drops cannot be made */
    bool copies;                 /* mailhost's copy works */
    unsigned begun;              /* copies that were asked for */
    int copy;                    /* the one that goes on, or -1; the locks are held for it */
    int copy_given;              /* the number that the session got it by */
    uint64_t copied, copy_end;
};

/* Names in the directory. */
#define LOCALHOST_DROP "drop"
#define LOCALHOST_JOURNAL ".drop.journal"
#define LOCALHOST_TEMPDROP ".drop.pop"
#define LOCALHOST_INDEX ".drop.cache"

void localhost_init(struct localhost *h);
/* n bytes more of the copy that goes on. */
void localhost_copy_on(struct localhost *h, uint64_t n);
/* It goes on no more. */
void localhost_fail_copy(struct localhost *h);
void localhost_remove(struct localhost *h);   /* closes, deletes the directory */

/* Opens what a session gets. with_index: an index file is there (made when missing). The result lives until localhost_close_files. */
struct maildrop_files localhost_files(struct localhost *h, bool with_index);
void localhost_close_files(struct localhost *h);

/* Content of a file of the directory: malloced, NUL-terminated; NULL when there is none. */
char *localhost_read(struct localhost *h, const char *name, size_t *n_r);
/* Makes, or replaces the content of, a file (same inode). */
void localhost_write(struct localhost *h, const char *name, const char *bytes, size_t n);
void localhost_append(struct localhost *h, const char *name, const char *bytes, size_t n);

#endif
