/*
 * bulldb: the database of bulletins, which may stand in for everybody's .popbull (facts page 6.6): bulldb.pag in
 * bulldir, a database of gdbm; key is the user's name with a NUL, value a native long, the number of the last bulletin
 * that he has. An empty bulldb.pag is a new one; bulldb.dir, which the manual has made beside it, holds nothing.
 *
 * It belongs to all users and is thus nobody's: a process of its own, with the uid and gid of the file's owner, reads
 * and writes it for one user, as long as his keeper may need it. That process never has root's rights and knows
 * neither the client nor mail.
 */
#ifndef PROCESS_BULLDB_H
#define PROCESS_BULLDB_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/strbuf.h"
#include "settings/options.h"

struct bulldb {
    int end;  /* to the process; -1: there is no database */
    pid_t pid;
    int wait_ms;
};

/* There is one in this settings' bulldir: then the process runs when this returns. To be called with the monitor's
   rights. 0, also when there is none; -1 and why, when it cannot be had. */
int bulldb_start(struct bulldb *db, const struct settings *settings, const char *user, struct strbuf *why);

/* 1 and the number; 0: it does not know the user; -1 and why. */
int bulldb_get(struct bulldb *db, uint64_t *last_r, struct strbuf *why);

/* Durably. 0, or -1 and why. */
int bulldb_set(struct bulldb *db, uint64_t last, struct strbuf *why);

/* Ends the process; also where there is none. */
void bulldb_end(struct bulldb *db);

#endif
