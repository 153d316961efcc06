/*
 * privsep: see privsep.h. Runs as root up to the change of uid.
 */
#include "process/privsep.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <config.h>

#include "common/file.h"
#include "common/identity.h"
#include "common/log.h"
#include "common/mem.h"

#ifndef PRIVSEP_USER
#define PRIVSEP_USER "nobody"
#endif
#ifndef PRIVSEP_PATH
#define PRIVSEP_PATH "/var/empty"
#endif

#define OWN_JAIL "/proc/self/fdinfo"
#define PASSWD_MAX (1 << 20) /* a larger /etc/passwd is not looked through before each greeting */

/* The uid and gid in a line of /etc/passwd that is about that user; never root's. */
static bool take_ids(const char *line, const char *name, uid_t *uid_r, gid_t *gid_r)
{
    size_t length = strlen(name);
    unsigned long uid, gid;

    if (strncmp(line, name, length) != 0 || line[length] != ':')
        return false;
    line = strchr(line + length + 1, ':');
    if (!line || sscanf(line, ":%lu:%lu:", &uid, &gid) != 2 || uid == 0 || gid == 0 || uid >= (uid_t)-1 ||
        gid >= (gid_t)-1)
        return false;
    *uid_r = (uid_t)uid;
    *gid_r = (gid_t)gid;
    return true;
}

/* Looks in /etc/passwd itself: it is a system account, and loading the name service would cost every session. */
static bool find_local_user(const char *name, uid_t *uid_r, gid_t *gid_r)
{
    struct strbuf content = STRBUF_INIT(PASSWD_MAX), why = STRBUF_INIT(STRBUF_WHY_MAX);
    int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    const char *line = NULL;

    if (fd >= 0 && file_slurp(fd, PASSWD_MAX, "/etc/passwd", &content, &why) == 0)
        line = content.data;
    if (fd >= 0)
        close(fd);
    while (line && !take_ids(line, name, uid_r, gid_r)) {
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    strbuf_free(&content);
    strbuf_free(&why);
    return line != NULL;
}

static void find_privsep_user(uid_t *uid_r, gid_t *gid_r)
{
    if (find_local_user(PRIVSEP_USER, uid_r, gid_r))
        return;
    log_write(LOG_WARNING,
              "there is no user " PRIVSEP_USER " in /etc/passwd for the processes that meet clients; nobody is used. "
              "Make one that owns nothing, or set configure --with-privsep-user");
    if (find_local_user("nobody", uid_r, gid_r))
        return;
    *uid_r = 65534;
    *gid_r = 65534;
}

/* Whether only root can put something there. */
static bool is_jail(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == 0 && !(st.st_mode & 022);
}

/* An empty root directory is a second wall behind the uid. Where the site made none, the kernel's list of our own
   descriptors does as well: nothing can be made there, and what there is cannot be opened by who we are then. */
static const char *find_jail(void)
{
    return is_jail(PRIVSEP_PATH) ? PRIVSEP_PATH : OWN_JAIL;
}

static void lock_in(void)
{
    const char *jail = find_jail();

    if (chdir(jail) < 0 || chroot(".") < 0)
        log_write(LOG_WARNING,
                  "a process that meets clients cannot be locked in: chroot to %s: %s; make " PRIVSEP_PATH
                  ", owned by root and empty",
                  jail, strerror(errno));
    if (chdir("/") < 0)
        _exit(MEM_EXIT_STATUS);
}

int privsep_look(uid_t *uid_r, const char **jail_r, struct strbuf *why)
{
    gid_t gid;

    find_privsep_user(uid_r, &gid);
    *jail_r = find_jail();
    if (access(*jail_r, X_OK) == 0)
        return 0;
    return strbuf_fail(why, "processes that meet clients cannot be locked in: %s: %s; make " PRIVSEP_PATH
                       ", owned by root and empty", *jail_r, strerror(errno));
}

int privsep_become_nobody(struct strbuf *why)
{
    uid_t uid = 0;
    gid_t gid = 0;

    if (!identity_privileged())
        return 0;
    find_privsep_user(&uid, &gid);
    return identity_become(NULL, uid, gid, IDENTITY_NO_GID, why);
}

int privsep_enter(enum sandbox_role role, enum sandbox_mode mode, pid_t parent, struct strbuf *why)
{
    uid_t uid = 0;
    gid_t gid = 0;

    if (identity_privileged()) {
        find_privsep_user(&uid, &gid);
        lock_in();
        if (identity_become(NULL, uid, gid, IDENTITY_NO_GID, why) < 0)
            return -1;
    }
    /* After the change of uid, which clears it. A parent that died before this gives no signal any more. */
    if (parent > 0 && (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent))
        _exit(MEM_EXIT_STATUS);
    if (sandbox_enter(role, mode, why) < 0 && mode == SANDBOX_MODE_ENFORCE)
        return -1;
    return 0;
}
