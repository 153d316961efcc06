/*
 * preauth: see preauth.h.
 *
 * Rights of this role: none. Started by root it becomes the privsep user (configure --with-privsep-user), locked into an empty directory
 * (--with-privsep-path), in the sandbox; it holds the client's descriptors and one end of a privmsg pair, nothing else. It cannot open, signal or
 * connect to anything, and whatever it says to the monitor is checked there. Without root it keeps the uid, in the same sandbox.
 */
#include "process/preauth.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <config.h>

#include "auth/auth.h"
#include "common/file.h"
#include "common/identity.h"
#include "common/log.h"
#include "common/mem.h"
#include "process/request.h"
#include "process/sandbox.h"
#include "protocol/cmd_auth.h"
#include "wire/netio.h"

#ifndef PRIVSEP_USER
#define PRIVSEP_USER "nobody"
#endif
#ifndef PRIVSEP_PATH
#define PRIVSEP_PATH "/var/empty"
#endif

#define OWN_JAIL "/proc/self/fdinfo"
#define OUTPUT_BYTES 4096
#define PASSWD_MAX (1 << 20) /* a larger /etc/passwd is not looked through before each greeting */

/* ---- giving up rights */

/* The uid and gid in a line of /etc/passwd that is about that user; never root's. */
static bool take_ids(const char *line, const char *name, uid_t *uid_r, gid_t *gid_r)
{
    size_t length = strlen(name);
    unsigned long uid, gid;

    if (strncmp(line, name, length) != 0 || line[length] != ':')
        return false;
    line = strchr(line + length + 1, ':');
    if (!line || sscanf(line, ":%lu:%lu:", &uid, &gid) != 2 || uid == 0 || gid == 0 || uid >= (uid_t)-1 || gid >= (gid_t)-1)
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
    log_write(LOG_WARNING, "there is no user " PRIVSEP_USER " in /etc/passwd for the process that meets clients first; nobody is used. Make one that owns "
              "nothing, or set configure --with-privsep-user");
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

/* An empty root directory is a second wall behind the uid. Where the site made none, the kernel's list of our own descriptors does as well: nothing can be
   made there, and what there is cannot be opened by who we are then. */
static void lock_in(void)
{
    const char *jail = is_jail(PRIVSEP_PATH) ? PRIVSEP_PATH : OWN_JAIL;

    if (chdir(jail) < 0 || chroot(".") < 0)
        log_write(LOG_WARNING, "the process that meets clients first cannot be locked in: chroot to %s: %s; make " PRIVSEP_PATH
                  ", owned by root and empty", jail, strerror(errno));
    if (chdir("/") < 0)
        _exit(MEM_EXIT_STATUS);
}

static void give_up_rights(const struct preauth_start *start)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    uid_t uid = 0;
    gid_t gid = 0;
    bool done = true;

    if (identity_privileged()) {
        find_privsep_user(&uid, &gid);
        lock_in();
        done = identity_become(NULL, uid, gid, IDENTITY_NO_GID, &why) == 0;
    }
    /* After the change of uid, which clears it. The monitor may have died before. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (done && sandbox_enter(SANDBOX_PREAUTH, start->settings->sandbox, &why) < 0)
        done = start->settings->sandbox != SANDBOX_MODE_ENFORCE;
    if (!done) {
        log_write(LOG_ERR, "no client is served: %s", why.data);
        _exit(MEM_EXIT_STATUS);
    }
    strbuf_free(&why);
}

/* ---- asking the monitor */

static enum cmd_auth_verdict ask_password(void *context, const char *name, const char *password)
{
    const struct preauth_start *start = context;
    struct privmsg m;
    uint64_t verdict;

    privmsg_init(&m, REQUEST_PASSWORD);
    privmsg_put_text(&m, name);
    privmsg_put_text(&m, password);
    if (request_ask(start->monitor, &m) < 0)
        _exit(MEM_EXIT_STATUS);
    verdict = privmsg_get_number(&m);
    privmsg_free(&m);
    switch (verdict) {
    case AUTH_GRANTED:
        return CMD_AUTH_GRANTED;
    case AUTH_REFUSED:
        return CMD_AUTH_REFUSED;
    default:
        return CMD_AUTH_UNAVAILABLE;
    }
}

static void hand_over(const struct preauth_start *start, const struct netio *io)
{
    struct privmsg m;
    const char *bytes;
    size_t n = netio_unread(io, &bytes);

    privmsg_init(&m, REQUEST_HANDOVER);
    privmsg_put_bytes(&m, bytes, n);
    privmsg_send(start->monitor, &m);
    privmsg_free(&m);
}

_Noreturn void preauth_main(const struct preauth_start *start)
{
    struct cmd_auth_asks asks = { .context = (void *)start, .password = ask_password };
    struct netio *io;
    enum command_end end;

    request_log_through(start->monitor);
    log_close();
    file_sanitize_descriptors(3, &start->monitor, 1);
    give_up_rights(start);
    io = netio_new(0, 1, COMMAND_LINE_MAX, OUTPUT_BYTES);
    netio_tune_socket(io);
    end = cmd_auth_serve(io, start->settings, start->peer, start->host, start->stamp, &asks);
    if (end == COMMAND_END_NEXT_STATE)
        hand_over(start, io);
    netio_close(&io);
    _exit(0);
}
