/*
 * become: from root to the user whose maildrop it is, for good: his ids and groups, and where only the spool's group
 * may make files in spool-dir, that group as saved gid (identity.h).
 */
#ifndef PROCESS_BECOME_H
#define PROCESS_BECOME_H

#include "auth/auth.h"
#include "common/strbuf.h"
#include "settings/options.h"

/* 0; or -1 and why: a process that has root's rights still must end. Without root's rights it may only be ourselves. */
int become_user(const struct settings *settings, const struct auth_user *user, struct strbuf *why);

#endif
