/*
 * sandbox: what a role may still ask the kernel for once it meets bytes from strangers: a seccomp filter, resource limits, no_new_privs, not dumpable.
 *
 * The filters are made at build time by sandbox_gen (libseccomp), because building one at run time costs a third of a millisecond per session.
 * Default deny: opening, executing, sockets, signals to others, ptrace and changes of identity kill the process (SIGSYS, its parent logs it);
 * everything else that a role does not need answers ENOSYS.
 */
#ifndef PROCESS_SANDBOX_H
#define PROCESS_SANDBOX_H

#include <stdbool.h>

#include "common/strbuf.h"
#include "settings/options.h"

enum sandbox_role {
    SANDBOX_PREAUTH,  /* client socket and privmsg: no files at all */
    SANDBOX_RELAY,    /* tlsrelay: two sockets, poll */
    SANDBOX_SESSION,  /* client, privmsg, and the files it was handed: also recovery */
    SANDBOX_SASL,     /* saslstate: computes and answers over privmsg */
    SANDBOX_TICKET,   /* client socket, and one file that it opens by itself in its jail: the Kerberos library */
    SANDBOX_GSSAPI,   /* saslticket: as TICKET; the library also tries to look its host up, so sockets are refused, not deadly */
    SANDBOX_DRAC,     /* dracteller: sends and receives over a socket that it was given */
    SANDBOX_MANGLER,  /* computes on files that it is handed and answers with one: what it cannot open is refused, not deadly,
                         since libraries try */
    SANDBOX_ROLES
};

/* Closes this process in. Who was root has become somebody else by identity_become, which makes him not dumpable; for others that is done here.
   mode off: only the limits and no_new_privs. 0; or -1 and why: the process must not go on (mode enforce),
   or may (mode log, kernels without seccomp). A build without libseccomp, or with sanitizers, says so once at debug and succeeds. */
int sandbox_enter(enum sandbox_role role, enum sandbox_mode mode, struct strbuf *why);

/* The filters of this build are real: libseccomp was there and no sanitizer or coverage needs more than they allow. */
bool sandbox_built(void);

/* Built with sanitizers or for coverage, which need memory without end and files at their own times. */
bool sandbox_instrumented(void);

const char *sandbox_role_name(enum sandbox_role role); /* "preauth", ... */

/* Whether a child that ended with this wait(2) status was killed by its filter. Then text gets a phrase for the log. */
bool sandbox_killed(int wait_status, enum sandbox_role role, struct strbuf *text);

#endif
