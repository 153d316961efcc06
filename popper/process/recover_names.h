/*
 * recover_names: of which maildrops an interrupted update may have left a journal: names, sorted, each once.
 *
 * It reads directories and the names of accounts, and opens no file of a user. Names found in a spool are anybody's text.
 */
#ifndef PROCESS_RECOVER_NAMES_H
#define PROCESS_RECOVER_NAMES_H

#include <stddef.h>

#include "common/strbuf.h"
#include "settings/options.h"

struct recover_names {
    char **name;
    size_t count, cap;
};

/* Those whose journals stand in spool-dir, hash directories included, where a server with these settings would look;
   with home-dir-mail, where only the users may look, everybody. A directory that cannot be read is said in why: -1, and
   the names are those from elsewhere. */
int recover_names_find(struct recover_names *names, const struct settings *settings, struct strbuf *why);
void recover_names_free(struct recover_names *names);

#endif
