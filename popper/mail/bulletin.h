/*
 * bulletin: announcements of the administrator to all users (facts page 6.6; the manual's section on bulletins): which
 * names are bulletins, how one reads for one user, and which of them a session lists after the user's own mail.
 *
 * A bulletin stays outside the maildrop until UPDATE appends it like mail that has arrived; its unique id, made of its
 * number and its file's time, goes with it in an X-UIDL field, so that it is the same before and after, and so that one
 * that stands in the maildrop already is not listed again. It opens no file by name and looks up no group.
 */
#ifndef MAIL_BULLETIN_H
#define MAIL_BULLETIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/strbuf.h"
#include "mail/mailhost.h"
#include "mail/mboxscan.h"
#include "mail/msglist.h"

#define BULLETIN_BYTES_MAX (8 << 20)  /* a longer one is not shown */
#define BULLETIN_OFFER_MAX 100        /* new ones in one session; the next session brings the rest */

struct bulletin {
    uint64_t number;
    int fd;            /* read-only; -1: not for this user, it only counts as seen */
    char *shown;       /* path, for messages */
};

/* What the keeper found as the user. */
struct bulletin_offer {
    const char *to;          /* user@host, for the To field */
    int text;                /* an empty file without a name, read and write; -1: there is nothing to show */
    struct bulletin *items;  /* those above `last`, in order */
    size_t count;
    uint64_t last;           /* the highest number that the user has, or that counts so */
    bool noted;              /* .popbull says `last` */
};

/* What a session lists of it. Empty: all zero, text -1. */
struct bulletins {
    int text;          /* the listed ones, as one mbox: their offsets speak of it. Borrowed */
    uint64_t size;
    size_t first, count; /* in the list */
    uint64_t last;     /* what .popbull shall say after UPDATE */
    bool changed;      /* it does not say that yet */
};

/* The number with which the name of a bulletin begins: at most INT64_MAX. False: it is no bulletin. */
bool bulletin_number(const char *name, uint64_t *number_r);

/* The group it is for: the second part of the name, between dots; "" when there is none. False: longer than n. */
bool bulletin_group(const char *name, char *group_r, size_t n);

enum bulletin_last {
    BULLETIN_LAST_NUMBER,
    BULLETIN_LAST_EMPTY,   /* all that are there count as seen */
    BULLETIN_LAST_GARBAGE  /* as if there were no file */
};

/* What a .popbull of n bytes says: one decimal line; what follows it does not count. */
enum bulletin_last bulletin_parse_last(const char *text, size_t n, uint64_t *last_r);

/* The unique id: time and number. */
void bulletin_id(uint64_t number, int64_t time, char id_r[UIDL_MAX + 1]);

/* Replaces *out by the bulletin for this user: X-UIDL after the From_ line, To replaced; Status and ids of the mailbox
   that it was saved from left out; a body line that would begin another message quoted; an empty line at its end.
   False: its first line is no From_ line, or out is too short. */
bool bulletin_render(const char *text, size_t n, const char *to, const char *id, struct strbuf *out);

/* Adds the offered ones to the list, after all else; what is wrong with one is logged. offer may be NULL. */
void bulletin_list(const struct bulletin_offer *offer, const struct mboxscan_rules *rules, struct msglist *list,
                   struct bulletins *b);

/* Writes `last` to POPBULL, or where the host keeps it, durably; what fails is logged. 0 or -1. */
int bulletin_note(uint64_t last, const struct mailhost *host);

#endif
