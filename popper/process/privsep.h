/*
 * privsep: how a process that meets bytes from strangers gives up all rights: as root it becomes the privsep user
 * (configure --with-privsep-user), locked into an empty directory (--with-privsep-path, or one of the kernel's in which
 * nothing can be made); with or without root it enters the sandbox.
 */
#ifndef PROCESS_PRIVSEP_H
#define PROCESS_PRIVSEP_H

#include <sys/types.h>

#include "common/strbuf.h"
#include "process/sandbox.h"
#include "settings/options.h"

/* parent: the process that forked this one, as it knew itself before; when it dies, or has died already, this one ends at
   once. 0: this one outlives it. 0; or -1 and why: the process must end. */
int privsep_enter(enum sandbox_role role, enum sandbox_mode mode, pid_t parent, struct strbuf *why);

/* The same for a role that keeps something on disk: the root directory is DIRECTORY/jail, which holds one file, `name`, of
   the privsep user. DIRECTORY is root's alone (0700), so that no other process of that user gets there; both and the
   file are made where they are missing. Without root nothing is locked in, and the file is DIRECTORY/name. */
int privsep_enter_with_file(const char *directory, const char *name, enum sandbox_role role, enum sandbox_mode mode,
                            pid_t parent, struct strbuf *why);

/* Only the change of uid, for a process that needs files and sockets of everybody (the resolver). 0, or -1 and why. */
int privsep_become_nobody(struct strbuf *why);

/* Looks that user up now, for this process and those that it will make: standalone mode, at the beginning and when the
   configuration is read again. */
void privsep_remember(void);

/* Who that user is, and which directory. What the site should mend but can live with is logged. 0, and why is empty or says why the
   directory is not the site's; or -1 and why: there is none. */
int privsep_look(uid_t *uid_r, const char **jail_r, struct strbuf *why);

#endif
