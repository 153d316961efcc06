/*
 * keeper_bulletins: which bulletins a session may show its user: looks into bulldir and .popbull as the user, asks the
 * group database, opens what is new. What a bulletin says is read by the session (mail/bulletin.h).
 *
 * Whatever is wrong is logged and ends in fewer bulletins, not in a refused login, unless it is the database. It
 * changes no file. When a journal is to be recovered first there are none: what the user has is known only then.
 */
#ifndef PROCESS_KEEPER_BULLETINS_H
#define PROCESS_KEEPER_BULLETINS_H

#include "mail/bulletin.h"
#include "process/bulldb.h"
#include "process/keeper_files.h"

struct keeper_bulletins {
    struct bulletin_offer offer;
    char *to;
};

/* Sets f->open.bulletins when there is something to show or to note; b must be all zero. db: NULL or not running:
   .popbull counts. host: our name. 0; -1 and why when the database cannot be used. */
int keeper_bulletins_find(struct keeper_bulletins *b, struct keeper_files *f, struct bulldb *db, const char *host,
                          struct strbuf *why);

/* Also where nothing was found. */
void keeper_bulletins_close(struct keeper_bulletins *b);

#endif
