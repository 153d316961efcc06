/*
 * keeper_newfile: the files that the keeper makes without a name: the temp drop, a letter of XTND XMIT, and with
 * fast-update, where the administrator gave up I2, the file that gets M's name.
 *
 * Acts with the user's ids; the extra gid is held around single calls (places_hold_gid). Where the file system makes
 * none without a name it has one for a moment.
 */
#ifndef PROCESS_KEEPER_NEWFILE_H
#define PROCESS_KEEPER_NEWFILE_H

#include <stdbool.h>

#include "process/keeper_files.h"

/* Whether updates of this user replace M (fast-update in server mode). */
bool keeper_newfile_replaces(const struct keeper_files *f);

/* A new empty file in temp-dir. The descriptor, owned by the caller, or -1 with errno and why. */
int keeper_newfile_temp(struct keeper_files *f, struct strbuf *why);

/* The same beside M; f->next_drop becomes a second descriptor for it. */
int keeper_newfile_drop(struct keeper_files *f, struct strbuf *why);

/* f->next_drop gets M's group, mode, locks (lock: M's, held) and name, and f->open.drop is that file from then on. 0, or
   -1 with errno and why: M is as it was. */
int keeper_newfile_replace_drop(struct keeper_files *f, struct maillock *lock, struct strbuf *why);

/* Closes f->next_drop, if there is one, and takes away what name it may have. */
void keeper_newfile_forget(struct keeper_files *f);

#endif
