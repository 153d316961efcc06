/*
 * maildrop: one user's maildrop during one session: what is in it, the text of a message, deleting, UPDATE.
 * Everything that the POP3 commands need; it hides index, temp drop, journal and locks.
 *
 * It opens no file by name (mailhost does) and writes to M only in maildrop_update and in recovery (I1).
 */
#ifndef MAIL_MAILDROP_H
#define MAIL_MAILDROP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/outbuf.h"
#include "common/strbuf.h"
#include "mail/bulletin.h"
#include "mail/mailhost.h"
#include "mail/msglist.h"
#include "settings/options.h"

enum maildrop_status {
    MAILDROP_OK,
    MAILDROP_BUSY,   /* [IN-USE] */
    MAILDROP_TEMP,   /* [SYS/TEMP]: try again; why for the log and the client */
    MAILDROP_PERM    /* [SYS/PERM]: the administrator must act (not an mbox, wrong owner, ...) */
};

/* What the keeper opened as the user before the session was closed in. -1: there is none. */
struct maildrop_files {
    int drop;        /* M, read-write; -1: no maildrop yet = empty */
    int index;       /* read-write, holds the session lock; -1: no index */
    int leftover;    /* a non-empty temp drop that was there before us, read-only */
    bool journal;    /* J exists: recovery comes first */
    const char *shown; /* M's path for messages, borrowed */
    const struct bulletin_offer *bulletins; /* NULL: none; borrowed */
};

struct maildrop;

/* Recovers if needed, loads the index or scans, makes the list. On anything but OK *drop_r is NULL and why is set. */
enum maildrop_status maildrop_open(struct maildrop **drop_r, const struct maildrop_files *files,
                                   const struct settings *settings, const struct mailhost *host, struct strbuf *why);

/* The list; flags may be changed by the caller (DELETED, RETRIEVED), nothing else. Lives as long as the maildrop. */
struct msglist *maildrop_list(struct maildrop *drop);

/* Sends header and at most body_lines lines of message m (MSGSEND_ALL: everything) to out. The +OK line is the
   caller's and goes out between maildrop_ready and this. TEMP after bytes went out: the caller must end the session. */
enum maildrop_status maildrop_send(struct maildrop *drop, const struct message *m, uint64_t body_lines,
                                   struct outbuf *out, struct strbuf *why);

/* To be called before the +OK of RETR/TOP: makes the temp drop when it is needed (normal mode), or sees to it that the beginning of message m (all of it
   unless it is long; NULL: none yet), of which body_lines are wanted, was read and that M had changed by growth at most then (server mode).
   Not OK: the bytes of this session's messages cannot be had any more; the session must end with [SYS/TEMP]. */
enum maildrop_status maildrop_ready(struct maildrop *drop, const struct message *m, uint64_t body_lines, struct strbuf *why);

/* For tests: from how many bytes on the host makes the copy (mailhost); 0: the normal value. */
void maildrop_set_copy_beside(uint64_t least);

/* UPDATE: removes the deleted messages, appends the bulletins, rewrites Status headers where set, durably; writes the
   index. Takes and releases the locks.
   Not OK: nothing was lost; reply -ERR [SYS/TEMP]. May be called once. */
enum maildrop_status maildrop_update(struct maildrop *drop, struct strbuf *why);

/* Ends without UPDATE (also after it); may write the index if this session had to scan; removes our temp drop. NULLs.
   */
void maildrop_close(struct maildrop **drop);

#endif
