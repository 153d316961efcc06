/*
 * check_parts: what the files of --check (check*.c) share; nobody else includes it.
 */
#ifndef PROCESS_CHECK_PARTS_H
#define PROCESS_CHECK_PARTS_H

#include <stdbool.h>
#include <sys/types.h>

#include "auth/auth.h"
#include "process/check.h"
#include "process/places.h"
#include "settings/options.h"

struct check {
    const struct settings *settings;
    const char *given;       /* USER as on the command line, or NULL */
    char host[256];          /* our name */
    struct auth_user user;   /* when the account of `given` was found */
    bool user_found;
    const char *no_temp_dir; /* temp-dir, when it was said that it cannot be opened and what that means; or NULL */
};

/* Says one finding. Control characters are escaped. */
void check_say(enum check_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* How many findings that are no "ok" there have been: whoever calls code that logs can tell whether it had something to
   say. */
unsigned check_count(void);

/* Whether records of priority LOG_INFO are findings, too: "ok". */
void check_hear_infos(bool on);

/* Runs fn in a process of its own; its findings count here, too. False when there could be none. */
bool check_in_child(struct check *c, void (*fn)(struct check *c), const char *what);

/* The parts. Each says what it finds. */
void check_files(struct check *c);
void check_privsep(struct check *c);
void check_programs(struct check *c);
void check_stores(struct check *c);
void check_bulletins(struct check *c);
void check_tls(struct check *c);
void check_directories(struct check *c);
void check_resolver(struct check *c);
void check_login(struct check *c);    /* needs `given` */
void check_maildrop(struct check *c); /* needs user_found */

/* A journal that is there; a dot lock and what broken updates left, where they are. */
void check_journal(const struct place *place);
void check_beside(const struct places *p);

/* What locks work in the directory at dir (shown), with the rights of this process. True when all that the settings ask for do. */
bool check_locks(const struct settings *settings, int dir, const char *shown);

#endif
