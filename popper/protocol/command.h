/*
 * command: parses a POP3 command line, finds its row in the table of the state, runs it, and replies: the only place that does.
 *
 * One table per state; a command that is illegal in a state is absent from its table. Handlers return an event and fill an answer;
 * command_serve writes the status line, streams the body, and says how the state ended.
 */
#ifndef PROTOCOL_COMMAND_H
#define PROTOCOL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/outbuf.h"
#include "common/strbuf.h"
#include "wire/netio.h"
#include "wire/reply.h"

#define COMMAND_LINE_MAX 1024 /* bytes of a command line; RFC 2449 asks for 255 */
#define COMMAND_ARGS_MAX 8

enum command_event {
    COMMAND_OK,         /* +OK answer */
    COMMAND_OK_BODY,    /* +OK answer, then row->body, then the dot */
    COMMAND_ERR,        /* -ERR [code] answer */
    COMMAND_ERR_END,    /* -ERR [code] answer, then this state's process ends the session */
    COMMAND_QUIT,       /* +OK answer, then the session ends */
    COMMAND_NEXT_STATE, /* nothing is written: the next state's process answers (login succeeded) */
    COMMAND_CLOSE       /* nothing more can be said: end at once */
};

/* How command_serve ended. */
enum command_end {
    COMMAND_END_QUIT, COMMAND_END_ERR, COMMAND_END_NEXT_STATE, COMMAND_END_EOF, COMMAND_END_TIMEOUT, COMMAND_END_IO, COMMAND_END_TAKEOVER
};

struct command {
    const char *name;                    /* upper case */
    const char *args[COMMAND_ARGS_MAX];  /* blank separated words, or with COMMAND_REST one argument: everything after the first blank */
    size_t count;
};

struct answer {
    enum reply_code code;
    struct strbuf text;
};

enum command_flag {
    COMMAND_REST = 1,    /* the argument is the rest of the line, blanks and all (PASS) */
    COMMAND_SECRET = 2   /* the argument never reaches log or trace: shown as "********" */
};

struct command_row {
    const char *name;
    unsigned min_args, max_args;
    unsigned flags;
    const char *usage;   /* for the -ERR on a wrong number of arguments, such as "TOP msg lines" */
    enum command_event (*run)(void *state, const struct command *command, struct answer *answer);
    /* Streams the body after COMMAND_OK_BODY; adds the lines but not the final dot. COMMAND_OK, or COMMAND_CLOSE when the body broke off. */
    enum command_event (*body)(void *state, const struct command *command, struct outbuf *out);
};

struct command_table {
    const struct command_row *rows;  /* ends with a row whose name is NULL */
    const char *state;               /* "authorization", "transaction": for the -ERR on an unknown command */
    /* Called when netio_line was interrupted by the takeover signal: true ends the session. NULL: never. */
    bool (*interrupted)(void *state);
};

/* Reads and answers commands until the state ends. user_shown and host go into the log lines ("USER at HOST (IP): -ERR text", facts 4.3). */
enum command_end command_serve(struct netio *io, const struct command_table *table, void *state);

/* Strict message or line number: decimal digits only, no sign, at most 19 digits... false on anything else, including overflow. */
bool command_number(const char *text, uint64_t *n_r);

#endif
