/*
 * mangler: the keeper's side of the process that converts mail for XMANGLE (mangleworker.c): starts it when the first
 * message is asked for, hands it one after the other, and ends it when it dies, takes too long or the session is over.
 *
 * The message comes in a memory file that the session fills, the result in one that the worker makes; nobody here looks
 * into either. What the worker says counts as hostile: mail may have taken it over.
 */
#ifndef PROCESS_MANGLER_H
#define PROCESS_MANGLER_H

#include <stdint.h>
#include <sys/types.h>

#include "common/strbuf.h"
#include "settings/options.h"

#define MANGLER_PROGRAM "popper-mangle"
#define MANGLER_SECONDS 20     /* for one message, the start of the process included */
#define MANGLER_FAILURES_MAX 10 /* of one session; then nothing is converted any more */
#define MANGLER_TEXT_MAX 1200  /* bytes of what the client wants */
#define MANGLER_RESULT_MAX (16u << 20)
#define MANGLER_OTHER_VERSION 3 /* its exit status: what a later popper would ask may mean something else to it */

/* Between it and the worker. */
enum mangler_message {
    MANGLER_ASK = 1, /* number octets of the message, text the client's argument, the descriptor to read from */
    MANGLER_ANSWER   /* number enum mangler_outcome, number octets of the header, the descriptor of the result when it is DONE */
};
enum mangler_outcome { MANGLER_DONE, MANGLER_NO_CHARSET, MANGLER_FAILED };

struct mangler {
    pid_t pid;        /* 0: it does not run */
    int end;          /* ours to it, when it runs */
    int input;        /* the memory file of the message that comes next, or -1 */
    uint64_t size;    /* of that */
    unsigned failures;
    int seconds;      /* that a message may take */
    int status;       /* how the last one ended, as wait(2) says it */
};

#define MANGLER_INIT { .end = -1, .input = -1 }

/* A memory file of size bytes to write the message into (borrowed, valid until the next call), or -1, errno and why. */
int mangler_input(struct mangler *m, uint64_t size, struct strbuf *why);

/* Converts the first n bytes of it. A descriptor of the result, which nobody can change any more and the caller closes,
   and *header_r; or -1, errno (EINVAL: no such charset) and why. Failures of the process are logged, naming user.
   Takes MANGLER_SECONDS at most, or timeout if that is less. */
int mangler_convert(struct mangler *m, const struct settings *settings, const char *user, uint64_t n, const char *wanted,
                    uint64_t *header_r, struct strbuf *why);

void mangler_end(struct mangler *m);

#endif
