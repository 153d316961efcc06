/*
 * k5login: whom a user of this host lets in by his ~/.k5login (krb5_kuserok), read in a process of its own that has become
 * that user: he decides what is found there, a FIFO or a link to somewhere else for example.
 */
#ifndef PROCESS_K5LOGIN_H
#define PROCESS_K5LOGIN_H

#include "auth/auth.h"
#include "auth/auth_kerberos.h"
#include "common/strbuf.h"

#define K5LOGIN_SECONDS 5 /* for slow file systems; then the answer is -1 */

/* 1 he may be that user, 0 not; -1 and why: it cannot be known. Root's rights, or the user's own. */
int k5login_ask(const struct auth_kerberos_client *client, const struct auth_user *user, struct strbuf *why);

#endif
