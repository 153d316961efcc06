/*
 * command: parses a POP3 command line, finds its row in the table of the state, runs it, and replies: the only place
 * that does.
 *
 * One table per state; a command that is illegal in a state is absent from its table. Handlers return an event and fill
 * an answer; command_serve writes the status line, logs it when it is -ERR, streams the body, and says how the state
 * ended.
 *
 * Syntax (RFC 1939 section 3): a keyword of any case, then words between blanks or tabs; several blanks and blanks at
 * the ends do no harm, except in a COMMAND_REST argument, which is everything after the first blank. A line with a NUL
 * in it or longer than COMMAND_LINE_MAX gets -ERR and changes nothing.
 */
#ifndef PROTOCOL_COMMAND_H
#define PROTOCOL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/outbuf.h"
#include "common/strbuf.h"
#include "wire/netio.h"
#include "wire/peer.h"
#include "wire/reply.h"

#define COMMAND_LINE_MAX 1024 /* bytes of a command line; RFC 2449 asks for 255. No argument can be longer. */
#define COMMAND_ARGS_MAX 8
#define COMMAND_SHOWN_MAX 64     /* bytes of client text in a reply or record */
#define COMMAND_ERRORS_LOGGED 100 /* -ERR records of one state; then one more says that the rest is left out */

enum command_event {
    COMMAND_OK,         /* +OK answer */
    COMMAND_OK_BODY,    /* +OK answer, then row->body, then the dot */
    COMMAND_ERR,        /* -ERR [code] answer */
    COMMAND_ERR_END,    /* -ERR [code] answer, then this state's process ends the session */
    COMMAND_QUIT,       /* +OK answer, then the session ends */
    COMMAND_NEXT_STATE, /* nothing is written: the next state's process answers (login succeeded) */
    COMMAND_CLOSE,      /* nothing more can be said: end at once. Who returns it logged why, unless the client is gone */
    COMMAND_LOST,       /* the input that run read itself ended: answer->lost says how. As after a command line: logged, said
                           where somebody may still listen */
    COMMAND_OK_AGAIN,   /* +OK answer, which is flushed; then run is called again (the arguments are gone), reads what the
                           client sends on, and its event is replied to */
    COMMAND_OK_THEN     /* +OK answer, flushed; then row->body, which adds nothing to the output */
};

/* How command_serve ended. All output is flushed where there still is a client. */
enum command_end {
    COMMAND_END_QUIT,       /* QUIT was answered +OK */
    COMMAND_END_ERR,        /* an -ERR that ends the session was sent */
    COMMAND_END_NEXT_STATE,
    COMMAND_END_EOF,        /* the client closed the connection without QUIT; logged */
    COMMAND_END_TIMEOUT,    /* the client said nothing for too long; logged */
    COMMAND_END_IO,         /* reset, the client does not take our output, or COMMAND_CLOSE */
    COMMAND_END_TAKEOVER    /* table->interrupted said so; nothing was said or logged about it */
};

struct command {
    const char *name;                    /* upper case */
    const char *args[COMMAND_ARGS_MAX];  /* blank separated words, or with COMMAND_REST one argument: everything after
                                            the first blank */
    size_t count;
};

struct answer {
    enum reply_code code;
    struct strbuf text;
    enum netio_status lost; /* with COMMAND_LOST: NETIO_EOF, _TIMEOUT, _ERROR, or _INTERRUPTED when the table's interrupted said so */
};

/* What handlers end with: the text becomes the answer's (formatted), the return value is COMMAND_OK or COMMAND_ERR. */
enum command_event command_say(struct answer *answer, const char *format, ...) __attribute__((format(printf, 2, 3)));
enum command_event command_fail(struct answer *answer, enum reply_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

enum command_flag {
    COMMAND_REST = 1, /* the argument is the rest of the line, blanks and all (PASS); an empty one counts as none */
    COMMAND_SECRET = 2, /* the argument never reaches log or trace: "********"; the input buffer is wiped afterwards */
    COMMAND_PARENTHESES = 4 /* a blank between parentheses does not end a word */
};

struct command_row {
    const char *name;
    unsigned min_args, max_args;
    unsigned flags;
    const char *usage;   /* for the -ERR on a wrong number of arguments, such as "TOP msg lines" */
    /* The arguments stand in the input buffer: they are gone with the next netio_line or netio_wipe_consumed. */
    enum command_event (*run)(void *state, const struct command *command, struct answer *answer);
    /* Streams the body after COMMAND_OK_BODY; adds the lines but not the final dot. COMMAND_OK, or COMMAND_CLOSE when
       the body broke off. */
    enum command_event (*body)(void *state, const struct command *command, struct outbuf *out);
};

struct command_table {
    const struct command_row *rows;  /* ends with a row whose name is NULL */
    const char *const *elsewhere;    /* commands that exist in another state, ended by NULL */
    const char *elsewhere_hint;      /* what to do about it: "log in first" */
    /* Called when netio was interrupted by a signal, and when the connection seems lost: true ends the session (a
       takeover, an order to end). Once true it must stay true. NULL: never. */
    bool (*interrupted)(void *state);
    /* What stands for an argument (a macro's value), borrowed while the command runs; itself for most. NULL: no such
       thing. */
    const char *(*expand)(void *state, const char *argument);
};

/* Whom we talk to, for records ("USER at CLIENT (IP): -ERR text", facts 4.3) and for what is said at a timeout. */
struct command_client {
    const char *user;        /* NULL before login: shown as (null) */
    const struct peer *peer;
    int timeout;             /* seconds of silence that netio allows */
    int deadline;            /* seconds in all that netio allows, 0: no such limit */
};

/* Reads and answers commands until the state ends. */
enum command_end command_serve(struct netio *io, const struct command_table *table, void *state,
                               const struct command_client *client);

/* Says and logs one -ERR outside a table (a maildrop that cannot be opened after the login) and flushes. The caller
   ends the session. */
void command_refuse(struct netio *io, const struct command_client *client, enum reply_code code, const char *text);

/* Strict message or line number: 1 to 19 decimal digits, nothing else. False on anything else. */
bool command_number(const char *text, uint64_t *n_r);

#endif
