/*
 * transaction: what the rooms of the TRANSACTION state (cmd_mail, cmd_xtnd) know of the session, and how they look up a message.
 * The functions are cmd_mail's.
 */
#ifndef PROTOCOL_TRANSACTION_H
#define PROTOCOL_TRANSACTION_H

#include <stdbool.h>
#include <stdint.h>

#include "mail/maildrop.h"
#include "protocol/command.h"
#include "protocol/macros.h"
#include "settings/options.h"
#include "wire/peer.h"

/* What the state asks of the process that may do it. */
struct transaction_asks {
    void *context;
    /* Session to end (command.h); may be NULL. */
    bool (*interrupted)(void *context);
    /* XTND XMIT: a new empty file for a message, owned by the caller, or -1 and why. NULL: there is no XMIT. */
    int (*xmit_open)(void *context, struct strbuf *why);
    /* Hands the file made last to mail-command and waits: 0 sent, -1 and why. */
    int (*xmit_send)(void *context, struct strbuf *why);
    const char *sasl; /* what CAPA lists of AUTH, the same as before the login (RFC 5034); NULL or "": nothing */
    /* XMANGLE: a memory file for a message of so many octets, owned by the caller, or -1 and why. NULL: there is no
       XMANGLE. */
    int (*mangle_open)(void *context, uint64_t octets, struct strbuf *why);
    /* Converts what was written into it as `wanted` says (manglespec.h): a file of the result, owned by the caller, and
       how many octets its header has; or -1 and why, with errno EINVAL when it is the charset. */
    int (*mangle)(void *context, uint64_t octets, const char *wanted, uint64_t *header_r, struct strbuf *why);
    bool no_mime; /* not asked: the user wants all mail converted, as he said when he logged in */
};

struct transaction {
    struct netio *io;
    const struct settings *settings;
    const struct peer *peer;
    const char *host;
    const char *user;
    struct maildrop *drop;
    struct msglist *list;
    const struct transaction_asks *asks;
    bool broken;       /* the maildrop cannot be read any more: no UPDATE, whatever the options say */
    uint64_t lines;    /* of the TOP being answered */
    uint64_t number;   /* of the message being sent; 0: all of them */
    struct macros macros;
    const char *mangle; /* what is wanted of the message at hand (XMANGLE...), borrowed; NULL: as it is */
    int mangled;        /* the file that came out of it, -1 */
    uint64_t mangled_header;
    int xmit;          /* the file that XTND XMIT fills, -1 */
    int64_t update_ns;
};

/* Where commands that take a message look it up: their wording for what is missing differs (facts 4.1). */
struct transaction_wording {
    const char *missing;
    const char *deleted;
};

extern const struct transaction_wording transaction_plain_wording;
extern const struct transaction_wording transaction_uidl_wording;

/* The undeleted message that text names; NULL when there is none and the answer says why. */
struct message *transaction_find(const struct transaction *t, const char *text, const struct transaction_wording *wording, uint64_t *number_r,
                                 struct answer *answer);

/* To be called before the +OK: the text must be there, of which message and how many lines of its body (as maildrop_ready). Not COMMAND_OK: the answer
   says why, and the session ends. */
enum command_event transaction_ready(struct transaction *t, const struct message *m, uint64_t body_lines, struct answer *answer);

/* A message broke off while it was sent: logged, no UPDATE. Returns COMMAND_CLOSE. */
enum command_event transaction_broke(struct transaction *t, uint64_t number, const struct strbuf *why);

#endif
