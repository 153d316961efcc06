/*
 * become: see become.h. Runs as root up to the change of uid.
 */
#include "process/become.h"

#include "common/identity.h"
#include "process/places.h"

int become_user(const struct settings *settings, const struct auth_user *user, struct strbuf *why)
{
    gid_t spool_gid = identity_privileged() ? places_spool_gid(settings, user) : IDENTITY_NO_GID;

    const struct identity_groups *groups = user->is_virtual ? NULL : &user->groups;

    if (identity_become_in(groups, user->is_virtual ? NULL : user->name, user->uid, user->gid, spool_gid, why) < 0)
        return -1;
    /* The probe: an ACL may let him in without. */
    return spool_gid == IDENTITY_NO_GID || !places_writable(settings) ? 0 : identity_forget_gid(why);
}
