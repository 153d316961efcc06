/*
 * maildrop_state: what the files of maildrop share; nobody else includes it.
 */
#ifndef MAIL_MAILDROP_STATE_H
#define MAIL_MAILDROP_STATE_H

#include "mail/bulletin.h"
#include "mail/dropmark.h"
#include "mail/maildrop.h"
#include "mail/maildrop_doubt.h"
#include "mail/mboxscan.h"
#include "mail/msgwindow.h"

struct maildrop {
    int drop;                     /* M, or -1; closed by us only when ours_to_close */
    int index;                    /* -1: none, or not to be used */
    int leftover;                 /* -1: none that is mail */
    int temp;                     /* our temp drop, or -1 */
    int coming;                   /* the one that the host is still filling (mailhost's copy), or -1 */
    bool ours_to_close;
    bool replaced;                /* by another program, since it was listed: `drop` is another file, or none */
    const char *shown;
    const struct settings *settings;
    const struct mailhost *host;
    struct mboxscan_rules rules;

    struct msglist list;          /* those of the leftover, those of M, bulletins */
    size_t first, count;          /* the ones of M in it */
    struct dropmark mark;         /* M when they were listed */
    struct dropmark trusted;      /* the last status of M that was found to be the same or only grown */
    struct maildrop_doubt doubt;  /* whether samples alone told so */
    uint32_t imap_validity;
    uint64_t leftover_size;
    struct bulletins bulletins;
    bool server_mode;             /* texts come from M itself */
    struct msgwindow window;      /* onto what is sent. Of M it holds nothing that was not found unchanged after it was read */
    bool store;                   /* this session learned what the index does not know */
};

/* M's locks, taken and released through the host; what the result means to the session. M may be another file afterwards (replaced). */
enum maildrop_status maildrop_lock(struct maildrop *d, bool updating, struct strbuf *why);

/* Scans the first size bytes of M into *list, which is emptied before. On anything but OK *list is empty. */
enum maildrop_status maildrop_scan(struct maildrop *d, uint64_t size, struct msglist *list, struct strbuf *why);

/* Scans M, which has grown to `size` bytes, from the last message of *list on: what it consists of may have grown
   too. *list must hold nothing else but M's messages.
   Falls back to a scan of everything. Not OK: *list is empty. */
enum maildrop_status maildrop_scan_grown(struct maildrop *d, uint64_t size, struct msglist *list, struct strbuf *why);

/* Gives up the temp drop: what it takes, or shares with M, may be what the update of a full disk needs. */
void maildrop_drop_copy(struct maildrop *d);

/* M is what the list says, followed by new mail at most. */
bool maildrop_unchanged(struct maildrop *d);

/* msgwindow's judge (context: the maildrop): what was read of M is right only if M is still unchanged. */
bool maildrop_read_is_right(void *context, int fd, struct strbuf *why);

static inline const struct message *maildrop_messages(const struct maildrop *d)
{
    return d->list.messages + d->first;
}

#endif
