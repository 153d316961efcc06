/*
 * module: parts of the program in shared objects of their own, because most processes never need them and their
 * libraries cost every start.
 *
 * They are looked for beside the running program, then where configure installs programs (--with-popperdir), and
 * nowhere else: no environment variable, option or directory of somebody else takes part.
 */
#ifndef COMMON_MODULE_H
#define COMMON_MODULE_H

#include "common/strbuf.h"

/* Loads the file of that name (popper-tls.so), for good, and returns its symbol: a table of calls, whose first member is
   the version of popper that it was built for (const char *version). NULL, and why names the file and what to do; also
   when that is another version than the program's, or, with root's rights, when somebody else than root could have changed
   the file. Not for processes in a sandbox. */
const void *module_find(const char *name, const char *symbol, struct strbuf *why);

/* The path of a program that belongs to us and stands in the same places, in path[PATH_MAX]. 0, or -1 and why. */
int module_path(const char *name, char *path, struct strbuf *why);

#endif
