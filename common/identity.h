/*
 * identity: who this process is: becoming a user for good and proving it, and holding one extra group around one system
 * call.
 *
 * Without root all of it degrades to checks that nothing needs to change, so that tests and the demo run the same code.
 */
#ifndef COMMON_IDENTITY_H
#define COMMON_IDENTITY_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/strbuf.h"

#define IDENTITY_NO_GID ((gid_t)-1)

/* The process started with effective uid 0. */
bool identity_privileged(void);

#define IDENTITY_GROUPS_MAX 64 /* enough for nearly everybody */

struct identity_groups {
    gid_t list[IDENTITY_GROUPS_MAX];
    int n; /* 0: not looked up, or more than there is room for */
};

/* The groups of name in the group database and gid. Asks the name service, whose modules do what they like in a process. */
void identity_look_up(const char *name, gid_t gid, struct identity_groups *groups_r);

/* Real, effective and saved uid become uid; gids become gid; supplementary groups those of `name` in the group
   database plus gid (name NULL: none but gid; so for virtual users, whose name may be somebody else's there).
   extra_gid, unless IDENTITY_NO_GID, becomes the saved gid only, for identity_hold_gid. All is read back from the
   kernel, capabilities are cleared, and the ways back to root are tried and must fail. uid 0 and extra gid 0 are
   refused. 0, or -1 and why: the caller must end the process. Unprivileged: succeeds when uid is ours already, fails
   otherwise; gids stay. Clears the dumpable flag. */
int identity_become(const char *name, uid_t uid, gid_t gid, gid_t extra_gid, struct strbuf *why);

/* The same; groups that somebody has looked up already are not looked up again. name is needed when none were. */
int identity_become_in(const struct identity_groups *known, const char *name, uid_t uid, gid_t gid, gid_t extra_gid, struct strbuf *why);

/* Effective gid = extra_gid (the one given to identity_become) until identity_drop_gid. Both keep errno of what came
   between. No-ops when there is no extra gid. A failure to drop ends the process. */
void identity_hold_gid(void);
void identity_drop_gid(void);

/* Gives up the extra gid for good (session, recovery). 0 or -1 and why. */
int identity_forget_gid(struct strbuf *why);

#endif
