/*
 * privsep: see privsep.h. Runs as root up to the change of uid.
 */
#include "process/privsep.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
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

/* The number in front of a colon. Not sscanf, which costs each session five pages. */
static bool take_number(const char **at, unsigned long *number_r)
{
    char *end;

    if (**at < '0' || **at > '9')
        return false;
    *number_r = strtoul(*at, &end, 10);
    *at = end + 1;
    return *end == ':';
}

/* The uid and gid in a line of /etc/passwd that is about that user; never root's. */
static bool take_ids(const char *line, const char *name, uid_t *uid_r, gid_t *gid_r)
{
    size_t length = strlen(name);
    unsigned long uid, gid;

    if (strncmp(line, name, length) != 0 || line[length] != ':')
        return false;
    line = strchr(line + length + 1, ':');
    if (!line++ || !take_number(&line, &uid) || !take_number(&line, &gid) || uid == 0 || gid == 0 || uid >= (uid_t)-1 ||
        gid >= (gid_t)-1)
        return false;
    *uid_r = (uid_t)uid;
    *gid_r = (gid_t)gid;
    return true;
}

/* Looks in /etc/passwd itself: it is a system account, and loading the name service would cost every session. System
   accounts stand first, so it is read block by block. */
static bool find_local_user(const char *name, uid_t *uid_r, gid_t *gid_r)
{
    struct strbuf content = STRBUF_INIT(PASSWD_MAX);
    int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    char block[2048];
    size_t at = 0; /* of the first line that was not looked at */
    bool found = false;
    ssize_t got;

    if (fd < 0)
        return false;
    do {
        const char *newline;

        got = file_read(fd, block, sizeof block);
        if (got <= 0 || !strbuf_add(&content, block, (size_t)got))
            break;
        while (!found && (newline = strchr(content.data + at, '\n')) != NULL) {
            found = take_ids(content.data + at, name, uid_r, gid_r);
            at = (size_t)(newline + 1 - content.data);
        }
    } while (!found && got == (ssize_t)sizeof block);
    close(fd);
    /* The last line may have no end. */
    found = found || (content.len > at && take_ids(content.data + at, name, uid_r, gid_r));
    strbuf_free(&content);
    return found;
}

static struct {
    bool known;
    uid_t uid;
    gid_t gid;
} remembered;

static void find_privsep_user(uid_t *uid_r, gid_t *gid_r)
{
    if (remembered.known) {
        *uid_r = remembered.uid;
        *gid_r = remembered.gid;
        return;
    }
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

    if (chroot(jail) < 0)
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
    strbuf_reset(why);
    if (strcmp(*jail_r, PRIVSEP_PATH) != 0)
        strbuf_fail(why, PRIVSEP_PATH " %s", access(PRIVSEP_PATH, F_OK) == 0 ? "is not a directory of root's in which nobody else can make files"
                                                                             : "is missing");
    if (access(*jail_r, X_OK) == 0)
        return 0;
    return strbuf_fail(why, "processes that meet clients cannot be locked in: %s: %s; make " PRIVSEP_PATH
                       ", owned by root and empty", *jail_r, strerror(errno));
}

void privsep_remember(void)
{
    remembered.known = false;
    if (!identity_privileged())
        return;
    find_privsep_user(&remembered.uid, &remembered.gid);
    remembered.known = true;
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

/* After the change of uid, which clears it. A parent that died before this gives no signal any more. */
static int close_in(enum sandbox_role role, enum sandbox_mode mode, pid_t parent, struct strbuf *why)
{
    if (parent > 0 && (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent))
        _exit(MEM_EXIT_STATUS);
    if (sandbox_enter(role, mode, why) < 0 && mode == SANDBOX_MODE_ENFORCE)
        return -1;
    return 0;
}

/* ---- a jail that holds a file */

/* A directory of root in which nobody else can change anything; made when it is missing. Its descriptor. */
static int open_own_directory(int parent, const char *name, const char *shown, mode_t mode, struct strbuf *why)
{
    struct stat st;
    bool made = mkdirat(parent, name, mode) == 0;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return strbuf_fail(why, "%s cannot be made or opened: %s; make the directory it is in", shown, strerror(errno));
    /* What was made just now may be another one by now, where others may change the directory it is in. */
    if ((!made || fchmod(fd, mode) == 0) && fstat(fd, &st) == 0 && st.st_uid == 0 && !(st.st_mode & 0777 & ~mode))
        return fd;
    close(fd);
    return strbuf_fail(why, "%s must belong to root and have mode %03o; chown root %s; chmod %03o %s", shown, (unsigned)mode, shown,
                       (unsigned)mode, shown);
}

static int make_own_file(int jail, const char *name, const char *shown, uid_t uid, gid_t gid, struct strbuf *why)
{
    const struct file_rules rules = { .any_owner = true };
    struct stat st;
    int fd = file_open(jail, name, shown, O_RDWR | O_CREAT, 0600, &rules, &st, why);
    int result = 0;

    if (fd < 0)
        return -1;
    if ((st.st_uid != uid || st.st_gid != gid) && fchown(fd, uid, gid) < 0)
        result = strbuf_fail(why, "%s in %s cannot be given away: %s", name, shown, strerror(errno));
    close(fd);
    return result;
}

static int lock_in_with_file(const char *directory, const char *name, uid_t uid, gid_t gid, struct strbuf *why)
{
    int outer = open_own_directory(AT_FDCWD, directory, directory, 0700, why);
    int jail = outer < 0 ? -1 : open_own_directory(outer, "jail", "its jail", 0711, why);
    int result = -1;

    if (jail >= 0 && make_own_file(jail, name, directory, uid, gid, why) == 0)
        result = fchdir(jail) == 0 && chroot(".") == 0 && chdir("/") == 0
                     ? 0
                     : strbuf_fail(why, "chroot to %s/jail: %s", directory, strerror(errno));
    if (jail >= 0)
        close(jail);
    if (outer >= 0)
        close(outer);
    return result;
}

int privsep_enter_with_file(const char *directory, const char *name, enum sandbox_role role, enum sandbox_mode mode,
                            pid_t parent, struct strbuf *why)
{
    uid_t uid = 0;
    gid_t gid = 0;

    if (identity_privileged()) {
        find_privsep_user(&uid, &gid);
        if (lock_in_with_file(directory, name, uid, gid, why) < 0 || identity_become(NULL, uid, gid, IDENTITY_NO_GID, why) < 0)
            return -1;
    } else if (mkdir(directory, 0700) < 0 && errno != EEXIST) {
        return strbuf_fail(why, "%s cannot be made: %s", directory, strerror(errno));
    }
    return close_in(role, mode, parent, why);
}

/* ---- an empty jail */

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
    return close_in(role, mode, parent, why);
}
