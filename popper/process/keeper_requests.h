/*
 * keeper_requests: the keeper's side of process/request.h: answers what its child, the session or a recovery, asks. With
 * the rights of the keeper (see the head of keeper.c).
 */
#ifndef PROCESS_KEEPER_REQUESTS_H
#define PROCESS_KEEPER_REQUESTS_H

#include <stdbool.h>

#include "common/maillock.h"
#include "common/strbuf.h"
#include "process/bulldb.h"
#include "process/keeper.h"
#include "process/keeper_bulletins.h"
#include "process/keeper_copy.h"
#include "process/keeper_files.h"
#include "process/mangler.h"

/* What a keeper holds; keeper.c makes it and closes all of it. */
struct keeper {
    const struct keeper_start *start;
    struct settings *settings;  /* the user's own copy */
    struct keeper_files files;
    struct keeper_bulletins bulletins;
    struct bulldb bulldb;
    char *no_bulldb;            /* why a database that should be there cannot be used; or NULL */
    struct maillock *lock;
    struct keeper_copy copy;    /* while it goes on the locks are held for it */
    bool updating;              /* they are held for an update */
    bool recovers;              /* the child begins with settling the journal: it locks for that first */
    int64_t refreshed;          /* when the dot lock was, while it goes on (netio_now) */
    int end;                    /* our end to the child */
    struct mangler mangler;
    int letter;                 /* file of XTND XMIT, -1 */
    unsigned records;
    struct strbuf *complaint;   /* the last error that the child logged, for who waits for recovery; NULL */
    bool done;                  /* the child said how it ends */
    bool gone;                  /* it closed its end */
    int status;
};

/* Answers on k->end, and refreshes a held dot lock meanwhile, until the child closes its end or breaks the rules (then
   with a record). Sets k->done, k->gone and k->status. */
void keeper_requests_serve(struct keeper *k);

#endif
