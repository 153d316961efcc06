/*
 * tlstrial: see tlstrial.h. The process that tries keeps the rights of who asks; it meets no client, and ends when it has
 * answered.
 */
#include "process/tlstrial.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/log.h"
#include "process/child.h"
#include "process/request.h"
#include "process/tlsrelay.h"
#include "process/tlsrole.h"
#include "wire/peer.h"
#include "wire/privmsg.h"

static _Noreturn void try_main(struct tlsrole *r, const char *examined_as)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    bool well;

    tlsrole_hide_memory();
    /* Not even a file that cannot be read keeps it when nobody waits any more. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    request_log_through(r->monitor);
    log_close();
    well = tlsrole_load(r, &why) == 0;
    if (well && examined_as)
        r->calls->examine(r->site, examined_as);
    tlsrole_report(r, well, why.data);
    tlsrole_end(r, 0);
}

/* host: NULL, or what it is examined as. */
static int try_it(const struct settings *settings, const char *host, struct strbuf *why)
{
    struct tlsrole role = { .settings = settings };
    struct peer nobody = { .ip = "nobody" };
    struct tlsrelay r = TLSRELAY_NONE;
    int ends[2], result;

    if (settings->tls_support == TLS_SUPPORT_NONE)
        return 0;
    if (privmsg_pair(ends) < 0)
        return strbuf_fail(why, "TLS cannot be checked: socketpair: %s", strerror(errno));
    r.pid = fork();
    if (r.pid == 0) {
        role.monitor = ends[1];
        try_main(&role, host);
    }
    close(ends[1]);
    r.end = ends[0];
    if (r.pid < 0) {
        close(r.end);
        return strbuf_fail(why, "TLS cannot be checked: fork: %s", strerror(errno));
    }
    result = tlsrelay_wait_ready(&r, why);
    if (result < 0) {
        tlsrelay_dismiss(&r, &nobody, -1);
        (void)tlsrelay_buried(&r, &nobody, CHILD_LINGER_MS);
    } else
        tlsrelay_finish(&r, settings, &nobody);
    return result;
}

int tlstrial_check(const struct settings *settings, struct strbuf *why)
{
    return try_it(settings, NULL, why);
}

int tlstrial_examine(const struct settings *settings, const char *host, struct strbuf *why)
{
    return try_it(settings, host, why);
}
