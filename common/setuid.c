/*
 * setuid: see setuid.h. It must never go on with ids that it did not read back.
 */
#include "config.h"

#include "common/setuid.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/file.h"

#define MIB (1ul << 20)

/* Less than that of a hard limit could end us, or make a write fail, in the middle of a change. */
static const struct {
    __rlimit_resource_t what;
    rlim_t least;
    const char *flag; /* of the shell's ulimit */
} limits[] = {
    { RLIMIT_FSIZE, 256 * MIB, "-f" }, { RLIMIT_CPU, 30, "-t" },     { RLIMIT_DATA, 128 * MIB, "-d" },
    { RLIMIT_AS, 256 * MIB, "-v" },    { RLIMIT_NOFILE, 32, "-n" },
};

static int raise_limits(bool strict, struct strbuf *why)
{
    const struct rlimit none = { 0, 0 };
    struct rlimit now;
    size_t i;

    setrlimit(RLIMIT_CORE, &none);
    for (i = 0; i < sizeof limits / sizeof *limits; i++) {
        if (getrlimit(limits[i].what, &now) < 0)
            continue;
        if (strict && now.rlim_max < limits[i].least)
            return strbuf_fail(why, "the limit that ulimit -H %s shows is too low; run this without it",
                               limits[i].flag);
        now.rlim_cur = now.rlim_max;
        setrlimit(limits[i].what, &now);
    }
    return 0;
}

static void clean_signals(void)
{
    sigset_t none;
    int number;

    for (number = 1; number < NSIG; number++)
        signal(number, SIG_DFL); /* fails for those that cannot be changed */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void stop_timers(void)
{
    const struct itimerval never = { 0 };

    setitimer(ITIMER_REAL, &never, NULL);
    setitimer(ITIMER_VIRTUAL, &never, NULL);
    setitimer(ITIMER_PROF, &never, NULL);
}

static int proven(uid_t real, uid_t effective, gid_t effective_group, struct strbuf *why)
{
    if (getuid() == real && geteuid() == effective && getegid() == effective_group)
        return 0;
    return strbuf_fail(why, "the user id cannot be changed: %s", strerror(errno));
}

/* The super-user who runs a program that is set-uid to somebody else stays the super-user. */
static int be_root(struct setuid *s, struct strbuf *why)
{
    if (setresuid(0, 0, 0) < 0 || setresgid(s->caller_group, s->caller_group, s->caller_group) < 0)
        return strbuf_fail(why, "the user id cannot be changed to 0: %s", strerror(errno));
    s->uid = 0;
    s->gid = s->caller_group;
    s->elevated = false;
    return proven(0, 0, s->gid, why);
}

int setuid_begin(struct setuid *s, struct strbuf *why)
{
    static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", lang[] = "LANG=C";
    static char *allowed[] = { path, lang, NULL };

    *s = (struct setuid){ .caller = getuid(), .caller_group = getgid(), .uid = geteuid(), .gid = getegid() };
    s->elevated = s->uid != s->caller || s->gid != s->caller_group;
    environ = allowed;
    file_sanitize_descriptors(3, NULL, 0);
    umask(077);
    stop_timers();
    clean_signals();
    prctl(PR_SET_DUMPABLE, 0);
    if (s->caller == 0 && s->elevated && be_root(s, why) < 0)
        return -1;
    return raise_limits(s->elevated, why);
}

int setuid_wear_caller(const struct setuid *s, struct strbuf *why)
{
    if (!s->elevated)
        return 0;
    if (setegid(s->caller_group) < 0 || seteuid(s->caller) < 0)
        return strbuf_fail(why, "the user id cannot be changed to %ld: %s", (long)s->caller, strerror(errno));
    return proven(s->caller, s->caller, s->caller_group, why);
}

int setuid_wear_own(const struct setuid *s, struct strbuf *why)
{
    if (!s->elevated)
        return 0;
    if (seteuid(s->uid) < 0 || setegid(s->gid) < 0)
        return strbuf_fail(why, "the user id cannot be changed to %ld: %s", (long)s->uid, strerror(errno));
    return proven(s->caller, s->uid, s->gid, why);
}

int setuid_forget_caller(const struct setuid *s, struct strbuf *why)
{
    if (!s->elevated)
        return 0;
    if (s->uid == 0 && setgroups(0, NULL) < 0)
        return strbuf_fail(why, "setgroups: %s", strerror(errno));
    if (setresgid(s->gid, s->gid, s->gid) < 0 || setresuid(s->uid, s->uid, s->uid) < 0)
        return strbuf_fail(why, "the user id cannot be changed to %ld: %s", (long)s->uid, strerror(errno));
    return proven(s->uid, s->uid, s->gid, why);
}
