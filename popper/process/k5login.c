/*
 * k5login: see k5login.h.
 *
 * Rights of this role: those of the checker while it loads the module; before the Kerberos library does anything it is the
 * user for good, with his groups, so nothing that he put there leads back to root. It has one end of a privmsg pair, no
 * log and no client, and is killed when it has answered or K5LOGIN_SECONDS are over. It has no sandbox: krb5.conf may name
 * plugins and other directories. What it says is believed only about this user, who may let in whom he likes.
 */
#include "process/k5login.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <config.h>

#include "common/file.h"
#include "common/identity.h"
#include "common/log.h"
#include "process/child.h"
#include "wire/privmsg.h"

#define HOME_SAYS 1 /* number enum home_answer; bytes why */
#define REASON_MAX 300

enum home_answer { HOME_NO, HOME_YES, HOME_CANNOT };

/* ---- the child */

static enum home_answer look(const struct auth_kerberos_client *client, const struct auth_user *user, pid_t parent, struct strbuf *why)
{
    const struct auth_kerberos_calls *calls = auth_kerberos_load(why);
    const struct rlimit none = { 0, 0 };

    if (!calls || identity_become(user->name, user->uid, user->gid, IDENTITY_NO_GID, why) < 0)
        return HOME_CANNOT;
    setrlimit(RLIMIT_CORE, &none);
    /* Only now: the change of uid would have cleared it. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0);
    switch (calls->may_log_in(client->principal, user->name, why)) {
    case 1:
        return HOME_YES;
    case 0:
        return HOME_NO;
    default:
        return HOME_CANNOT;
    }
}

static _Noreturn void be_user(const struct auth_kerberos_client *client, const struct auth_user *user, int end, pid_t parent)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct privmsg m;

    log_set_sink(NULL, NULL);
    log_close();
    file_sanitize_descriptors(3, &end, 1);
    privmsg_init(&m, HOME_SAYS);
    privmsg_put_number(&m, look(client, user, parent, &why));
    privmsg_put_bytes(&m, why.data, why.len < REASON_MAX ? why.len : REASON_MAX);
    privmsg_send(end, &m);
    _exit(0);
}

/* ---- the checker */

static enum home_answer take_answer(struct privmsg *m, struct strbuf *why)
{
    uint64_t answer = privmsg_get_number(m);
    size_t n;
    const char *reason = privmsg_get_bytes(m, REASON_MAX, &n);

    strbuf_fail(why, "%.*s", (int)n, reason);
    if (m->type == HOME_SAYS && privmsg_complete(m) && m->fd < 0 && answer <= HOME_CANNOT)
        return (enum home_answer)answer;
    strbuf_fail(why, "the process that looks for .k5login gave a broken answer");
    return HOME_CANNOT;
}

static enum home_answer hear_child(int end, const struct auth_user *user, struct strbuf *why)
{
    enum home_answer answer = HOME_CANNOT;
    struct privmsg m;
    int got = privmsg_await(end, &m, K5LOGIN_SECONDS * 1000);

    if (got > 0)
        answer = take_answer(&m, why);
    else if (got == 0)
        strbuf_fail(why, "the process that looks for %s/.k5login ended without a word", user->home);
    else if (errno == ETIMEDOUT)
        strbuf_fail(why, "%s/.k5login could not be read within %d seconds; look whether it is a plain file of the user, not a huge one, and whether "
                    "the file system of his home answers", user->home, K5LOGIN_SECONDS);
    else
        strbuf_fail(why, "the process that looks for %s/.k5login: %s", user->home, strerror(errno));
    privmsg_free(&m);
    return answer;
}

static enum home_answer run_child(const struct auth_kerberos_client *client, const struct auth_user *user, struct strbuf *why)
{
    enum home_answer answer;
    pid_t pid, parent = getpid();
    int ends[2];

    if (privmsg_pair(ends) < 0) {
        strbuf_fail(why, "socketpair: %s", strerror(errno));
        return HOME_CANNOT;
    }
    pid = fork();
    if (pid == 0)
        be_user(client, user, ends[1], parent);
    close(ends[1]);
    if (pid > 0) {
        answer = hear_child(ends[0], user, why);
        child_reap(pid, false);
    } else {
        strbuf_fail(why, "fork: %s", strerror(errno));
        answer = HOME_CANNOT;
    }
    close(ends[0]);
    return answer;
}

int k5login_ask(const struct auth_kerberos_client *client, const struct auth_user *user, struct strbuf *why)
{
    enum home_answer answer = run_child(client, user, why);

    return answer == HOME_CANNOT ? -1 : answer == HOME_YES;
}
