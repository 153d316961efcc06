/*
 * tlslinger: see tlslinger.h. Runs in the monitor, as root, before its login; what the process that is left behind does: tlsmaker.c.
 */
#include "process/tlslinger.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <paths.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/digest.h"
#include "common/log.h"
#include "common/module.h"
#include "common/strbuf.h"
#include "process/child.h"
#include "process/supervised.h"
#include "process/tls.h"
#include "process/tlsmaker.h"
#include "settings/config.h"

#define SETTINGS_MAX (1 << 20)
#define NAME_BYTES 12 /* of the hash */
#define WAITING 128   /* sessions that called and were not heard yet */

/* In the process that was left behind: what it is found by, and the socket that this must be. */
static struct {
    struct sockaddr_un address;
    ino_t inode;
} place;

bool tlslinger_wanted(const struct settings *settings)
{
    return settings->tls_linger > 0 && geteuid() == 0 && !supervised();
}

/* Two that are the same file, and say so, have the same dev, inode and times. -1, and why: nobody can tell. */
static int add_file(struct strbuf *all, const char *path, struct strbuf *why)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return strbuf_fail(why, "%s: %s", path, strerror(errno));
    strbuf_addf(all, "%s %ju %ju %jd.%09ld\n", path, (uintmax_t)st.st_dev, (uintmax_t)st.st_ino, (intmax_t)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
    return 0;
}

static int add_namespace(struct strbuf *all, struct strbuf *why)
{
    struct stat mounts, root;

    if (stat("/proc/self/ns/mnt", &mounts) < 0 || stat("/", &root) < 0)
        return strbuf_fail(why, "/proc/self/ns/mnt: %s", strerror(errno));
    strbuf_addf(all, "%ju %ju %ju\n", (uintmax_t)mounts.st_ino, (uintmax_t)root.st_dev, (uintmax_t)root.st_ino);
    return 0;
}

/* Where it is found by who has the same settings, program and module (an upgrade replaces them one after the other) and sees the same files. 0; or
   -1 and why: without /proc, for one, nobody can tell. */
static int find_address(const struct settings *settings, struct sockaddr_un *address_r, struct strbuf *why)
{
    struct strbuf all = STRBUF_INIT(SETTINGS_MAX), name = STRBUF_INIT(sizeof address_r->sun_path - 1);
    unsigned char hash[DIGEST_SHA256_SIZE];
    char module[PATH_MAX];
    int found;

    config_print(settings, &all);
    found = add_file(&all, "/proc/self/exe", why) == 0 && add_namespace(&all, why) == 0 && module_path(TLS_MODULE_NAME, module, why) == 0
                ? add_file(&all, module, why)
                : -1;
    if (found == 0 && all.cut)
        found = strbuf_fail(why, "the settings are too long");
    if (found == 0) {
        digest_sha256(all.data, all.len, hash);
        strbuf_adds(&name, _PATH_VARRUN "popper-tls-");
        digest_hex(&name, hash, NAME_BYTES);
        *address_r = (struct sockaddr_un){ .sun_family = AF_UNIX };
        memcpy(address_r->sun_path, name.data, name.len);
    }
    strbuf_free(&all);
    strbuf_free(&name);
    return found;
}

int tlslinger_look(const struct settings *settings, struct strbuf *why)
{
    struct sockaddr_un address;

    if (!child_can_be_pinned())
        return strbuf_fail(why, "pidfd_open: %s", strerror(errno));
    if (access(_PATH_VARRUN, W_OK | X_OK) < 0)
        return strbuf_fail(why, "%s: %s", _PATH_VARRUN, strerror(errno));
    return find_address(settings, &address, why);
}

static void complain(const char *why)
{
    log_write(LOG_WARNING, "tls-linger: no process can be left behind that has the TLS library ready: %s", why);
}

/* Only root could make it there; this is so even if that directory is not what it should be. */
static bool is_roots(int end, pid_t *pid_r)
{
    struct ucred who;
    socklen_t size = sizeof who;

    if (getsockopt(end, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0 || who.uid != 0)
        return false;
    *pid_r = who.pid;
    return true;
}

/* Where too many wait it is quicker without. */
static int call(const struct sockaddr_un *address, pid_t *pid_r)
{
    int end = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (end < 0)
        return -1;
    if (connect(end, (const struct sockaddr *)address, sizeof *address) == 0 && is_roots(end, pid_r) && fcntl(end, F_SETFL, 0) == 0)
        return end;
    close(end);
    return -1;
}

int tlslinger_call(const struct settings *settings, pid_t *pid_r)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct sockaddr_un address;
    int end = find_address(settings, &address, &why) == 0 ? call(&address, pid_r) : -1;

    strbuf_free(&why);
    return end;
}

void tlslinger_silent(const struct settings *settings, pid_t pid)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct sockaddr_un address;
    int look_ms, pinned = child_pin(pid, &look_ms), end = -1;
    pid_t there;

    if (find_address(settings, &address, &why) == 0)
        end = call(&address, &there);
    if (end >= 0 && there == pid) /* not another one, which has its place by now */
        unlink(address.sun_path);
    if (end >= 0)
        close(end);
    strbuf_free(&why);
    if (pinned < 0)
        return;
    (void)syscall(SYS_pidfd_send_signal, pinned, SIGKILL, NULL, 0);
    close(pinned);
    log_write(LOG_WARNING, "the process %ld that has the TLS library ready did not answer and was killed; the next session that needs it leaves another one behind",
              (long)pid);
}

/* ---- the one that is left behind */

/* What is there may be another one's by now. */
static void unlist(void)
{
    struct stat st;

    if (stat(place.address.sun_path, &st) == 0 && st.st_ino == place.inode)
        unlink(place.address.sun_path);
}

/* Under its name only once it can be called; takes the place of what is left of one that was killed. The socket, or -1 with errno. */
static int listen_at(const struct sockaddr_un *address)
{
    struct sockaddr_un fresh = { .sun_family = AF_UNIX };
    int end = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), error;
    struct stat st;

    snprintf(fresh.sun_path, sizeof fresh.sun_path, "%.80s.%ld", address->sun_path, (long)getpid());
    unlink(fresh.sun_path);
    if (end >= 0 && bind(end, (const struct sockaddr *)&fresh, sizeof fresh) == 0) {
        if (listen(end, WAITING) == 0 && stat(fresh.sun_path, &st) == 0 && rename(fresh.sun_path, address->sun_path) == 0) {
            place.address = *address;
            place.inode = st.st_ino;
            return end;
        }
        error = errno;
        unlink(fresh.sun_path);
        errno = error;
    }
    error = errno;
    if (end >= 0)
        close(end);
    errno = error;
    return -1;
}

/* The client's descriptors are not for it. */
static _Noreturn void stay(const struct settings *settings)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct sockaddr_un address;
    pid_t pid;
    int end;

    if (dup2(2, 0) < 0 || dup2(2, 1) < 0)
        _exit(1);
    if (find_address(settings, &address, &why) == 0) {
        if (call(&address, &pid) >= 0)
            _exit(0);
        end = listen_at(&address);
        if (end >= 0)
            tlsmaker_linger(settings, end, unlist);
        strbuf_fail(&why, "%s: %s", address.sun_path, strerror(errno));
    }
    complain(why.data);
    _exit(1);
}

static int leave(const struct settings *settings, struct strbuf *why)
{
    pid_t pid;

    if (tlslinger_look(settings, why) < 0)
        return -1;
    pid = fork();
    if (pid == 0) {
        setsid();
        pid = fork();
        if (pid == 0)
            stay(settings);
        _exit(pid < 0 ? errno : 0);
    }
    if (pid > 0)
        errno = WEXITSTATUS(child_gone(pid));
    return pid > 0 && errno == 0 ? 0 : strbuf_fail(why, "fork: %s", strerror(errno));
}

void tlslinger_leave(const struct settings *settings)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);

    if (leave(settings, &why) < 0)
        complain(why.data);
    strbuf_free(&why);
}
