/*
 * tlslinger: under inetd, where no listener keeps a process that has the TLS library ready (process/tlsready), a session that
 * wants TLS and finds none leaves one behind (option tls-linger). The sessions that follow have their relays made there. It ends when
 * none has come for that many seconds.
 *
 * It is found by a socket in /var/run that only root can make or use. Its name is made of all that decides what a relay does: the settings,
 * the files of this program and of its TLS module, and the mount namespace; who has others never meets it.
 */
#ifndef PROCESS_TLSLINGER_H
#define PROCESS_TLSLINGER_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/strbuf.h"
#include "settings/options.h"

/* Whether sessions with these settings use one: only as root, and not where there is a listener of ours. */
bool tlslinger_wanted(const struct settings *settings);

/* Whether one could be left behind, and found, here. 0; or -1 and why. */
int tlslinger_look(const struct settings *settings, struct strbuf *why);

/* A new channel to it (see process/tlschannel), which the caller closes, and its pid; or -1: there is none, or it has no time. */
int tlslinger_call(const struct settings *settings, pid_t *pid_r);

/* It was called and did not answer: it is killed, which is logged, and found no more. */
void tlslinger_silent(const struct settings *settings, pid_t pid);

/* Leaves one behind, which is nobody's child, unless there is one by now. Waits for nothing that takes long; what fails is logged. */
void tlslinger_leave(const struct settings *settings);

#endif
