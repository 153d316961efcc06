/*
 * keeper_lock: see keeper_lock.h.
 */
#include "process/keeper_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/identity.h"
#include "common/log.h"

static bool same_place(const struct place *a, const struct place *b)
{
    return a->dir == b->dir && strcmp(a->name, b->name) == 0;
}

static bool exists(const struct place *place)
{
    return faccessat(place->dir, place->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Where it cannot be had the mail locks must do. */
static enum sessionlock_result take_meeting_lock(struct keeper_files *f, bool takeover, struct strbuf *why)
{
    const struct place *meeting = &f->places.meeting;
    enum sessionlock_result result;

    if (f->settings->index && !f->lock_is_tempdrop && same_place(meeting, &f->places.index))
        return SESSIONLOCK_OK;
    if (!f->settings->index && !exists(meeting))
        return SESSIONLOCK_OK;
    result = sessionlock_take(meeting, f->uid, takeover, &f->meeting, why);
    if (result == SESSIONLOCK_NONE)
        log_write(LOG_DEBUG, "no session lock for services with another cache-dir: %s", why->data);
    return result == SESSIONLOCK_BUSY ? SESSIONLOCK_BUSY : SESSIONLOCK_OK;
}

/* Keeps errno. */
static void tell_remedy(const struct keeper_files *f, struct strbuf *why)
{
    int error = errno;

    if (error == ENOENT || error == EACCES)
        strbuf_addf(why, "; a session needs a lock there or in the index (%s): make the directory with mode 1777, or 2775 and a group "
                    "such as mail, or set temp-dir or cache-dir to another", f->places.index.shown);
    errno = error;
}

enum sessionlock_result keeper_lock_take(struct keeper_files *f, struct strbuf *why)
{
    bool takeover = f->settings->takeover_idle > 0;
    enum sessionlock_result result = SESSIONLOCK_NONE;

    if (f->settings->index) {
        result = sessionlock_take(&f->places.index, f->uid, takeover, &f->lock, why);
        f->open.index = f->lock;
        if (result == SESSIONLOCK_NONE)
            log_write(errno == EACCES || errno == EROFS || errno == ENOENT ? LOG_INFO : LOG_WARNING, "no index: %s",
                      why->data);
    }
    if (result == SESSIONLOCK_NONE) {
        result = sessionlock_take(&f->places.file[MAILFILE_TEMPDROP], f->uid, takeover, &f->lock, why);
        f->lock_is_tempdrop = result == SESSIONLOCK_OK;
        if (result == SESSIONLOCK_NONE)
            tell_remedy(f, why);
    }
    return result == SESSIONLOCK_OK ? take_meeting_lock(f, takeover, why) : result;
}

static bool can_be_had(const struct place *place)
{
    bool can;

    if (place->dir < 0)
        return false;
    if (exists(place))
        return faccessat(place->dir, place->name, R_OK | W_OK, AT_EACCESS) == 0;
    places_hold_gid(place);
    can = faccessat(place->dir, ".", W_OK | X_OK, AT_EACCESS) == 0;
    identity_drop_gid();
    return can;
}

bool keeper_lock_possible(const struct keeper_files *f, const struct settings *settings)
{
    return (settings->index && can_be_had(&f->places.index)) || can_be_had(&f->places.file[MAILFILE_TEMPDROP]);
}
