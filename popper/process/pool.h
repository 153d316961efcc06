/*
 * pool: the processes that serve clients in standalone mode, and how the listener makes them: for a client who is there,
 * or, option prefork, before he comes. Those that wait have done all that needs no client: the monitor, and in it preauth,
 * which has given up its rights and is in its sandbox. They know the settings of the time when they were made.
 */
#ifndef PROCESS_POOL_H
#define PROCESS_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "process/supervised.h"
#include "settings/options.h"

#define POOL_MAX 64           /* option prefork goes as far */
#define POOL_DESCRIPTORS 2    /* of ours for each that waits */
#define POOL_PAUSE_NS INT64_C(1000000000) /* nobody is made ahead so long after one that waited has ended by itself */

struct pool_place {
    pid_t pid;
    int end;  /* what it is told its client over, and what it talks to us over then */
    int door; /* of its preauth, -1: there is none yet */
};

struct pool {
    const char *argv0;         /* for the log */
    struct rlimit descriptors; /* that the processes get */
    struct pool_place item[POOL_MAX]; /* the oldest first */
    size_t count;
    int64_t pause_until;
};

/* Gives the client to one that waits, or to a new process. His connection stays open in the caller. The process, and *end_r
   is for what it says (process/supervised); -1: there is none, errno says why; 0: this is the new process, it has served
   him, and must end with *status_r. */
pid_t pool_serve(struct pool *p, struct settings *settings, const struct supervised_client *client, int *end_r,
                 int *status_r);

/* Whether fewer wait than option prefork wants. */
bool pool_hungry(const struct pool *p, const struct settings *settings, int64_t now);

/* Makes one more that waits. True in it, when it has served its client, or there will be none. */
bool pool_grow(struct pool *p, struct settings *settings, int64_t now, int *status_r);

/* Whether this process waited; now it is gone. */
bool pool_forget(struct pool *p, pid_t pid, int64_t now);

/* Those that wait end: they know what is no longer true, or no more clients come. */
void pool_empty(struct pool *p);

#endif
