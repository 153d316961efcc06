/*
 * request: what the processes of a session ask of each other, over privmsg: preauth of the monitor, the session and
 * recovery of the keeper. The asking side's stubs; the answering side's tables stand in monitor.c and
 * keeper_requests.c.
 *
 * No request carries a path, a user name that is believed, or a descriptor. Whoever loses the other side ends at once.
 */
#ifndef PROCESS_REQUEST_H
#define PROCESS_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/strbuf.h"
#include "mail/mailhost.h"
#include "wire/privmsg.h"

enum request {
    REQUEST_LOG = 1,      /* number priority, bytes record; no answer */
    REQUEST_PASSWORD,     /* text name, text password; answer: number (enum auth_verdict) */
    REQUEST_APOP,         /* text name, text digest; answer as PASSWORD */
    REQUEST_HANDOVER,     /* bytes unread input; no answer */
    /* number updating; answer: number (enum maillock_result), text why, number 1 when M is another file now, and its descriptor (none: there is
       no M) */
    REQUEST_LOCK,
    REQUEST_UNLOCK,       /* nothing; answer: nothing */
    REQUEST_LOCK_IS_OURS, /* nothing; answer: number */
    /* number enum mailfile, number enum mailopen; answer: number errno, text why, the descriptor when errno is 0 */
    REQUEST_OPEN,
    REQUEST_REMOVE,       /* number enum mailfile; answer: number errno, text why; so the next two */
    REQUEST_SET_ASIDE,
    REQUEST_SYNC_DIR,
    REQUEST_XMIT_OPEN,    /* nothing; answer as OPEN: a new file for a message of XTND XMIT */
    REQUEST_XMIT_SEND,    /* nothing; answer as REMOVE: mail-command has run on that file */
    REQUEST_NOTE_BULLETIN, /* number of the last one; answer as REMOVE */
    REQUEST_MANGLE_OPEN,  /* number octets; answer as OPEN: a memory file for a message */
    /* number octets in it, text what the client wants; answer: number errno (EINVAL: no such charset), text why, number
       octets of the header, the descriptor of the result when errno is 0 */
    REQUEST_MANGLE,
    REQUEST_COPY,         /* number n; answer as OPEN: the temp drop that n bytes of M go into (mailhost's copy) */
    REQUEST_DONE,         /* number exit status; no answer */
    REQUEST_STLS,         /* nothing; answer: number 1 and the descriptor that replaces the client's, or number 0 */
    REQUEST_ESTABLISHED,  /* from the TLS relay: bytes tls-exporter, bytes tls-server-end-point; no answer */
    REQUEST_SETTLE,       /* number ms; answer: number (enum request_settled), at the latest after so many ms */
    /* number enum sasl_mechanism, text name, bytes the client's first message; answer: number enum request_sasl, number
       (enum auth_verdict), bytes message for the client */
    REQUEST_SASL_START,
    REQUEST_SASL_STEP,    /* bytes the client's next message; answer as SASL_START */
    REQUEST_SASL_CANCEL,  /* nothing; no answer: another try may follow */
    REQUEST_BINDING,      /* nothing; answer: number 1 when TLS has something that SASL can be bound to */
    REQUEST_COUNT,
    REQUEST_ANSWER = 1000
};

/* How an exchange of SASL stands. */
enum request_sasl {
    REQUEST_SASL_IS_OVER,  /* and this is the verdict */
    REQUEST_SASL_GOES_ON,  /* with the message */
    REQUEST_SASL_MALFORMED /* as SASL_CANCEL */
};

#define REQUEST_SASL_TRIES 3 /* exchanges that may be begun in one session */

/* Whether the client's machine has acknowledged all that was sent before. */
enum request_settled { REQUEST_SETTLED_NOT_YET, REQUEST_SETTLED_YES, REQUEST_SETTLED_NEVER };

const char *request_name(uint32_t type); /* for the log */

/* Sends what log_write says over `end`, from now on. For processes that may open no socket. */
void request_log_through(int end);

/* For who hears such a record, bytes that count as hostile: writes it, but never as one of those that say who has logged in, or has not. */
void request_log_record(int priority, const char *text, size_t n);

/* Asks and waits for the answer (m is the question and then the answer). 0; or -1 when the other side is gone or
   answered nonsense. */
int request_ask(int end, struct privmsg *m);

/* The same; while the answer does not come, gone(context) is asked every REQUEST_LOOK_MS. -1, too, when it says yes. */
#define REQUEST_LOOK_MS 300
int request_ask_watching(int end, struct privmsg *m, bool (*gone)(void *context), void *context);

/* REQUEST_SETTLE of whoever is at `end`: as netio_set_settle wants it (context: a pointer to the descriptor). */
int request_settle(void *end, int timeout_ms);

/* What a file's owner asks of the keeper: fills host (context included) so that the mail rooms' calls travel over
   `end`. shown: borrowed. Signals wait from lock(updating) to unlock. */
void request_mailhost(struct mailhost *host, int end, const char *shown);

/* transaction.h's xmit_open and xmit_send over the same end as the mailhost. */
int request_xmit_open(void *context, struct strbuf *why);
int request_xmit_send(void *context, struct strbuf *why);

/* transaction.h's mangle_open and mangle, likewise. */
int request_mangle_open(void *context, uint64_t octets, struct strbuf *why);
int request_mangle(void *context, uint64_t octets, const char *wanted, uint64_t *header_r, struct strbuf *why);

#endif
