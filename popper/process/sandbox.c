/*
 * sandbox: see sandbox.h. Installing a filter is two system calls; nothing here allocates or logs after the filter is in.
 */
#include "process/sandbox.h"

#include "config.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/identity.h"
#include "common/log.h"

/* Sanitizers and coverage open files and map executable memory at their own times. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(undefined_behavior_sanitizer)
#define SANDBOX_INSTRUMENTED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(POPPER_INSTRUMENTED)
#define SANDBOX_INSTRUMENTED 1
#endif

#if defined(WITH_SANDBOX) && !defined(SANDBOX_INSTRUMENTED)
#include "process/sandbox_filters.h"
#define FILTER(name, mode) { sizeof sandbox_##name##_##mode / sizeof(struct sock_filter), (struct sock_filter *)sandbox_##name##_##mode }
#else
#define FILTER(name, mode) { 0, NULL }
#endif

static const struct {
    const char *name;
    rlim_t descriptors; /* never below what poll(2) gets */
    rlim_t memory;      /* bytes of data; 0: as it was */
    struct sock_fprog enforce, log;
} roles[SANDBOX_ROLES] = {
    [SANDBOX_PREAUTH] = { "preauth", 16, 0, FILTER(preauth, enforce), FILTER(preauth, log) },
    [SANDBOX_RELAY] = { "tlsrelay", 16, 0, FILTER(relay, enforce), FILTER(relay, log) },
    [SANDBOX_SESSION] = { "session", 64, 0, FILTER(session, enforce), FILTER(session, log) },
    [SANDBOX_SASL] = { "saslstate", 16, 0, FILTER(sasl, enforce), FILTER(sasl, log) },
    [SANDBOX_MANGLER] = { "mangler", 16, 0, FILTER(mangler, enforce), FILTER(mangler, log) },
    /* Libraries of others, which take as much memory as a stranger's message asks for. */
    [SANDBOX_GSSAPI] = { "gssapi", 16, 32 << 20, FILTER(gssapi, enforce), FILTER(gssapi, log) },
    [SANDBOX_DRAC] = { "drac", 16, 32 << 20, FILTER(drac, enforce), FILTER(drac, log) },
    [SANDBOX_TICKET] = { "kpop", 16, 32 << 20, FILTER(ticket, enforce), FILTER(ticket, log) },
};

bool sandbox_instrumented(void)
{
#ifdef SANDBOX_INSTRUMENTED
    return true;
#else
    return false;
#endif
}

bool sandbox_built(void)
{
    return roles[SANDBOX_PREAUTH].enforce.len > 0;
}

const char *sandbox_role_name(enum sandbox_role role)
{
    return roles[role].name;
}

static int limit(int resource, rlim_t most)
{
    struct rlimit both = { most, most };

    return setrlimit(resource, &both);
}

static int limits_enter(enum sandbox_role role)
{
    /* No limit on file sizes: what a person runs by hand may write its replies to a file. */
    if (limit(RLIMIT_CORE, 0) < 0 || limit(RLIMIT_NPROC, 0) < 0)
        return -1;
#ifndef SANDBOX_INSTRUMENTED
    if (roles[role].memory && limit(RLIMIT_DATA, roles[role].memory) < 0)
        return -1;
#endif
    return limit(RLIMIT_NOFILE, roles[role].descriptors);
}

static int filter_enter(const struct sock_fprog *filter)
{
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, filter);
}

int sandbox_enter(enum sandbox_role role, enum sandbox_mode mode, struct strbuf *why)
{
    const char *name = roles[role].name;

    /* Once is enough: identity_become has cleared that flag. */
    if ((!identity_privileged() && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || limits_enter(role) < 0)
        return strbuf_fail(why, "cannot limit the %s process: %s", name, strerror(errno));
    if (mode == SANDBOX_MODE_OFF)
        return 0;
    if (!sandbox_built()) {
        log_write(LOG_DEBUG, "the sandbox of the %s process is not enforced: not in this build", name);
        return 0;
    }
    if (filter_enter(mode == SANDBOX_MODE_LOG ? &roles[role].log : &roles[role].enforce) < 0)
        return strbuf_fail(why, "cannot close the %s process in: seccomp: %s; `set sandbox = off` serves without it", name, strerror(errno));
    return 0;
}

bool sandbox_killed(int wait_status, enum sandbox_role role, struct strbuf *text)
{
    if (!WIFSIGNALED(wait_status) || WTERMSIG(wait_status) != SIGSYS)
        return false;
    strbuf_fail(text, "the %s process was killed by the sandbox: it tried a system call that it may not make (the kernel's audit log, type 1326, "
                "names it); please report this", roles[role].name);
    return true;
}
