/*
 * mailhost: what the mail rooms ask of the process that may open names (the keeper). They never see a path: files are named by role.
 * The session's version sends privmsg requests; unit tests and the crash test bring their own.
 *
 * Names behind the roles (the keeper knows them): DROP the maildrop M; JOURNAL J beside M, ".NAME.journal" in M's own
 * directory whatever temp-dir says; TEMPDROP temp-dir/temp-name, normally ".NAME.pop"; INDEX cache-dir/cache-name, ".NAME.cache".
 */
#ifndef MAIL_MAILHOST_H
#define MAIL_MAILHOST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/maillock.h"
#include "common/strbuf.h"

enum mailfile { MAILFILE_DROP, MAILFILE_JOURNAL, MAILFILE_TEMPDROP, MAILFILE_POPBULL, MAILFILE_COUNT };

enum mailopen {
    MAILOPEN_EXISTING,  /* read and write; ENOENT when there is none */
    MAILOPEN_NEW        /* O_CREAT|O_EXCL 0600 (the drop: 0660 & ~umask of the spool's custom), read and write; EEXIST when there is one.
                           TEMPDROP: a fresh file without a name in temp-dir, each time: never EEXIST, nothing to
                           remove, a leftover stays as it is; with fast-update in server mode beside M */
};

#define MAILHOST_SAME_DROP (-2)

struct mailhost {
    void *context;
    const char *shown; /* M's path, for messages only; borrowed */

    /* The maildrop's locks (maillock.h), on M's shared descriptor and its dot lock; waits a bounded time (option-independent, about 10 s in
       UPDATE, 3 s at login).
       *drop_r, whatever the result: MAILHOST_SAME_DROP; or M's name is another file's now, and it is that which was to be locked: its descriptor, owned
       by the caller; or -1: there is no M any more. */
    enum maillock_result (*lock)(void *context, bool updating, int *drop_r, struct strbuf *why);
    void (*unlock)(void *context);
    /* The dot lock is still ours (also refreshes it). False: someone broke it. */
    bool (*lock_is_ours)(void *context);

    /* A descriptor owned by the caller, or -1 with errno and why. DROP may only be opened NEW (a missing maildrop that is to be made, and is then
       locked, too); an existing drop was handed over at the start or by `lock`. */
    int (*open)(void *context, enum mailfile which, enum mailopen how, struct strbuf *why);
    /* Removes the name (TEMPDROP: of the leftover). 0 (also when there was none), or -1 with errno and why. */
    int (*remove)(void *context, enum mailfile which, struct strbuf *why);
    /* JOURNAL: renames it to NAME.orphan.TIME beside M. DROP (fast-update in server mode): the TEMPDROP made last gets
       M's group, mode and locks, and takes its name. 0 or -1 with errno and why. */
    int (*set_aside)(void *context, enum mailfile which, struct strbuf *why);
    /* fsync of the directory that holds it. */
    int (*sync_dir)(void *context, enum mailfile which, struct strbuf *why);
    /* The number of the last bulletin goes, durably, where POPBULL is not what counts: 0; -1 with errno and why; ENOTSUP:
       POPBULL counts. NULL: always ENOTSUP. */
    int (*note_bulletin)(void *context, uint64_t last, struct strbuf *why);
    /* Under M's locks (not an update's), which are the host's then: a temp drop into which the first n bytes of M are copied from now on, beside what the
       caller does. Its mode is 0400 when it is complete and M was the same all the while, and the locks go; or 0, and it is empty, when it could not be
       made, which the host logs. lock(), unlock() and the end of the session give it up (0). -1 with errno and why: not here (EOPNOTSUPP), or there is no
       room; the locks are the caller's as before. NULL: never. */
    int (*copy)(void *context, uint64_t n, struct strbuf *why);
};

#endif
