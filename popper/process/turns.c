/*
 * turns: see turns.h. Runs with the rights of the standalone process; it sees no password.
 */
#include "process/turns.h"

#include <sys/socket.h>
#include <unistd.h>

#include "process/supervised.h"

void turns_begin(struct turns *t)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    t->processors = processors > 0 ? (size_t)processors : 1;
}

static size_t checks_max(const struct turns *t, const struct settings *settings)
{
    return settings->max_password_checks > 0 ? (size_t)settings->max_password_checks : t->processors;
}

bool turns_grant(const struct turns *t, struct visitors *visitors, const struct settings *settings)
{
    struct visitor *who;
    bool granted = false;

    while ((who = visitors_next_check(visitors, checks_max(t, settings))) != NULL) {
        const char go = SUPERVISED_GO;

        who->state = VISITOR_CHECKING;
        (void)!send(who->end, &go, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        granted = true;
    }
    return granted;
}
