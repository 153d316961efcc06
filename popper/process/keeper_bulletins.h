/*
 * keeper_bulletins: which bulletins a session may show its user: looks into bulldir and .popbull as the user, asks the
 * group database, opens what is new. What a bulletin says is read by the session (mail/bulletin.h).
 *
 * Whatever is wrong is logged and ends in fewer bulletins, never in a refused login. It changes no file.
 */
#ifndef PROCESS_KEEPER_BULLETINS_H
#define PROCESS_KEEPER_BULLETINS_H

#include "mail/bulletin.h"
#include "process/keeper_files.h"

struct keeper_bulletins {
    struct bulletin_offer offer;
    char *to;
};

/* Sets f->open.bulletins when there is something to show or to note; b must be all zero. host: our name. */
void keeper_bulletins_find(struct keeper_bulletins *b, struct keeper_files *f, const char *host);

/* Also where nothing was found. */
void keeper_bulletins_close(struct keeper_bulletins *b);

#endif
