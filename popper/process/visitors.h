/*
 * visitors: who is connected in standalone mode, and what the limits say about them: how many there are, whom to end
 * when too many have not logged in, whose password is checked next, how long who failed before waits. Decides only; it
 * touches no process and no descriptor.
 *
 * A source is an IPv4 address or the first 64 bits of an IPv6 address, which is what one site gets. "" is nobody in
 * particular (the proxy has not said yet; a local socket) and counts for no limit of sources.
 */
#ifndef PROCESS_VISITORS_H
#define PROCESS_VISITORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define VISITORS_SOURCE_MAX 64
#define VISITORS_FAILURES_MAX 4096            /* sources that are remembered for failed logins */
#define VISITORS_FAILURE_SECONDS 600          /* how long, after the last one */
#define VISITORS_FREE_FAILURES 3              /* until then the delay does not grow */
#define VISITORS_DELAY_MAX 30                 /* seconds */

enum visitor_state {
    VISITOR_PREAUTH,  /* has not logged in */
    VISITOR_WAITING,  /* and wants its password checked */
    VISITOR_CHECKING, /* and has it checked */
    VISITOR_SESSION   /* has logged in */
};

struct visitor {
    pid_t pid;
    int end; /* what its monitor talks to us over, -1 none any more */
    char source[VISITORS_SOURCE_MAX];
    enum visitor_state state;
    bool ending;     /* was told to end: counts no more */
    uint64_t number; /* order of arrival */
    uint64_t asked;  /* order of asking for a check */
};

struct visitors_failure {
    char source[VISITORS_SOURCE_MAX];
    unsigned count;
    int64_t last; /* ns */
};

struct visitors {
    struct visitor *item;
    size_t count, room;
    uint64_t clock;
    struct visitors_failure *failures; /* no order */
    size_t failure_count;
};

/* The source of an address in text; "" of "unknown". */
void visitors_source(const char *ip, char source_r[VISITORS_SOURCE_MAX]);

/* Pointers into v are valid until the next add or remove. */
struct visitor *visitors_add(struct visitors *v, pid_t pid, int end, const char *source);
struct visitor *visitors_of_pid(struct visitors *v, pid_t pid); /* or NULL */
void visitors_remove(struct visitors *v, struct visitor *gone);
void visitors_free(struct visitors *v); /* for tests: the listener keeps them until it ends */

/* Those that were not told to end. */
size_t visitors_total(const struct visitors *v);
size_t visitors_from(const struct visitors *v, const char *source);
size_t visitors_preauth(const struct visitors *v);

/* Who has to go when too many have not logged in: of the source with most of them, the one that came first, and none
   whose password is being checked. NULL: nobody. */
struct visitor *visitors_greediest(struct visitors *v);

/* Who may check a password now, when max may do so at the same time: of those who wait the one whose source has
   fewest checks running, of these the one that asked first. NULL: nobody. */
struct visitor *visitors_next_check(struct visitors *v, size_t max);
void visitors_ask(struct visitors *v, struct visitor *who); /* wants a check */

/* now: CLOCK_MONOTONIC in ns. */
void visitors_failed(struct visitors *v, const char *source, int64_t now);

/* Seconds from a wrong password to its answer: `base` at first, doubled by each failure from VISITORS_FREE_FAILURES
   on, up to VISITORS_DELAY_MAX (or base, when that is more). 0 stays 0. */
int visitors_delay(const struct visitors *v, const char *source, int base, int64_t now);

#endif
