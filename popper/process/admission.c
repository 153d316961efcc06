/*
 * admission: see admission.h. Runs with the rights of the standalone process; reads nothing from any socket.
 */
#include "process/admission.h"

#include <signal.h>
#include <sys/socket.h>

#include "common/log.h"
#include "wire/netio.h"

#define BETWEEN_NS INT64_C(1000000000) /* two records about refused clients */

void admission_note(struct admission *a, const char *ip, const char *reason)
{
    int64_t now = netio_now();

    if (a->logged && now - a->logged < BETWEEN_NS) {
        a->since++;
        return;
    }
    if (a->since)
        log_write(LOG_WARNING, "client %s: %s (and %u more clients since the last such record)", ip, reason, a->since);
    else
        log_write(LOG_WARNING, "client %s: %s", ip, reason);
    a->since = 0;
    a->logged = now;
}

void admission_refuse(struct admission *a, const struct settings *settings, int client, const char *ip,
                      const char *reason)
{
    static const char answer[] = "-ERR [SYS/TEMP] Too many connections; please try again later.\r\n";

    admission_note(a, ip, reason);
    if (settings->tls_support != TLS_SUPPORT_ALTERNATE_PORT)
        (void)!send(client, answer, sizeof answer - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void admission_end(struct visitor *who)
{
    who->ending = true;
    kill(who->pid, SIGTERM);
}

/* Ends the session that deserves it most of those that have not logged in. */
static bool make_room(struct admission *a, struct visitors *visitors, const char *reason)
{
    struct visitor *who = visitors_greediest(visitors);

    if (!who)
        return false;
    admission_note(a, who->source[0] ? who->source : "unknown", reason);
    admission_end(who);
    return true;
}

const char *admission_obstacle(struct admission *a, struct visitors *visitors, const struct settings *settings,
                               const char *source)
{
    if (visitors_from(visitors, source) >= (size_t)settings->max_sessions_per_address)
        return "refused: max-sessions-per-address is reached";
    if (visitors_total(visitors) >= (size_t)settings->max_sessions &&
        !make_room(a, visitors, "ended before it logged in: max-sessions is reached"))
        return "refused: max-sessions is reached, and all of them have logged in";
    if (visitors_preauth(visitors) >= (size_t)settings->max_preauth &&
        !make_room(a, visitors, "ended before it logged in: max-preauth is reached"))
        return "refused: max-preauth is reached";
    return NULL;
}
