/*
 * setuid: what a program that users may run set-uid must put right before anything else, and whose rights it uses when.
 *
 * Nothing that the caller handed down is believed: environment, descriptors, umask, signals, timers, limits.
 */
#ifndef COMMON_SETUID_H
#define COMMON_SETUID_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/strbuf.h"

struct setuid {
    uid_t caller;        /* who started us */
    gid_t caller_group;
    uid_t uid;           /* whose rights we were given */
    gid_t gid;
    bool elevated;       /* they are not the caller's own */
};

/* Descriptors 0 to 2 valid and the others closed, umask 077, empty environment but for PATH and LANG, signals and mask
   as new with SIGPIPE and SIGXFSZ ignored, no timers, no core dump, not to be traced, soft limits raised. A caller who
   is root stays root, and counts as not elevated. 0; or -1 and why: the caller's hard limits are so low that our work
   could break off in the middle (only when elevated). */
int setuid_begin(struct setuid *s, struct strbuf *why);

/* The caller's effective ids, for files that he names; and back. -1 and why: the program must end. */
int setuid_wear_caller(const struct setuid *s, struct strbuf *why);
int setuid_wear_own(const struct setuid *s, struct strbuf *why);

/* From here on the real ids are our own, too: the caller can send us no signal. -1 and why: the program must end. */
int setuid_forget_caller(const struct setuid *s, struct strbuf *why);

#endif
