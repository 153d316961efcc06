/*
 * checker: see checker.h.
 *
 * Rights of this role: those of the monitor (root, because the shadow file needs it), for the time of one check. It
 * reads no byte from the client's descriptor, writes none, and knows one attempt to log in. Its parent treats its
 * answer as hostile, because it ran libraries of others.
 */
#include "process/checker.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "process/child.h"
#include "wire/netio.h"
#include "wire/privmsg.h"

#define REASON_MAX 300
#define CHECKER_VERDICT 1

/* ---- the child */

static void send_verdict(int end, enum auth_verdict verdict, const struct auth_user *user, const struct strbuf *reason)
{
    struct privmsg m;

    privmsg_init(&m, CHECKER_VERDICT);
    privmsg_put_number(&m, verdict);
    privmsg_put_bytes(&m, reason->data, reason->len < REASON_MAX ? reason->len : REASON_MAX);
    if (verdict == AUTH_GRANTED) {
        privmsg_put_text(&m, user->name);
        privmsg_put_number(&m, user->uid);
        privmsg_put_number(&m, user->gid);
        privmsg_put_text(&m, user->home);
        privmsg_put_number(&m, user->is_virtual);
    }
    privmsg_send(end, &m);
    privmsg_free(&m);
}

static _Noreturn void check(const struct settings *settings, const struct auth_attempt *attempt, int end)
{
    struct auth_user user = { 0 };
    struct strbuf reason = STRBUF_INIT(REASON_MAX);
    int keep[4] = { end };
    size_t count = 1 + log_descriptors(keep + 1);

    /* Descriptor 2 is /dev/null; the client's are not for this process. */
    dup2(2, 0);
    dup2(2, 1);
    file_sanitize_descriptors(3, keep, count);
    send_verdict(end, auth_check(settings, attempt, &user, &reason), &user, &reason);
    /* What holds the password goes with the process: no exit handlers of anybody's library. */
    _exit(0);
}

/* ---- the parent */

/* Copies text that fits. */
static bool take_text(struct privmsg *m, char *to, size_t room)
{
    const char *text = privmsg_get_text(m, room - 1);

    memcpy(to, text, strlen(text) + 1);
    return !m->bad;
}

/* The name becomes part of paths, the ids become ours: looked at again, whatever the child did. */
static bool is_sane(const struct settings *settings, const struct auth_user *user, uint64_t uid, uint64_t gid)
{
    char name[AUTH_NAME_MAX + 1];

    return auth_canonical_name(settings, user->name, name) && strcmp(name, user->name) == 0 && uid > 0 &&
           uid < (uid_t)-1 && gid < (gid_t)-1 && user->home[0] == '/';
}

static enum auth_verdict read_verdict(const struct settings *settings, struct privmsg *m, struct auth_user *user_r,
                                      struct strbuf *reason)
{
    uint64_t verdict = privmsg_get_number(m), uid, gid;
    size_t n;
    const char *said = privmsg_get_bytes(m, REASON_MAX, &n);

    strbuf_reset(reason);
    strbuf_add(reason, said, n);
    if (verdict != AUTH_GRANTED)
        return (verdict == AUTH_REFUSED || verdict == AUTH_UNUSABLE) && privmsg_complete(m) ? (enum auth_verdict)verdict
                                                                                            : AUTH_UNAVAILABLE;
    memset(user_r, 0, sizeof *user_r);
    take_text(m, user_r->name, sizeof user_r->name);
    uid = privmsg_get_number(m);
    gid = privmsg_get_number(m);
    take_text(m, user_r->home, sizeof user_r->home);
    user_r->is_virtual = privmsg_get_number(m) == 1;
    user_r->uid = (uid_t)uid;
    user_r->gid = (gid_t)gid;
    if (!privmsg_complete(m) || !is_sane(settings, user_r, uid, gid)) {
        strbuf_fail(reason, "the process that checks passwords gave a broken answer");
        return AUTH_UNAVAILABLE;
    }
    return AUTH_GRANTED;
}

/* Waits for the answer: 1, 0 when the asker is gone, -1 with reason. */
static int wait_for_answer(int end, int asker, struct strbuf *reason)
{
    int64_t limit = netio_now() + CHECKER_WAIT_MS * INT64_C(1000000);

    for (;;) {
        struct pollfd p[2] = { { .fd = end, .events = POLLIN }, { .fd = asker, .events = 0 } };
        int64_t left = (limit - netio_now()) / 1000000;
        int ready = left <= 0 ? 0 : poll(p, asker >= 0 ? 2 : 1, (int)left);

        if (ready == 0)
            return strbuf_fail(reason, "the check took longer than %d seconds and was abandoned",
                               CHECKER_WAIT_MS / 1000);
        if (ready < 0 && errno != EINTR)
            return strbuf_fail(reason, "poll: %s", strerror(errno));
        if (ready > 0 && p[0].revents)
            return 1;
        if (ready > 0 && p[1].revents)
            return 0;
    }
}

static enum auth_verdict receive_verdict(const struct settings *settings, int end, int asker, struct auth_user *user_r,
                                         struct strbuf *reason, bool *answered_r)
{
    struct privmsg m;
    enum auth_verdict verdict = AUTH_UNAVAILABLE;
    int got = wait_for_answer(end, asker, reason);

    *answered_r = got > 0; /* or has ended without an answer */
    if (got == 0)
        strbuf_fail(reason, "the client or its process is gone");
    if (got <= 0)
        return AUTH_UNAVAILABLE;
    got = privmsg_receive(end, &m, -1);
    if (got > 0)
        verdict = read_verdict(settings, &m, user_r, reason);
    else if (got < 0)
        strbuf_fail(reason, "the answer of the process that checks passwords: %s", strerror(errno));
    privmsg_free(&m);
    return verdict;
}

enum auth_verdict checker_run(const struct settings *settings, const struct auth_attempt *attempt, int asker,
                              struct auth_user *user_r, struct strbuf *reason)
{
    enum auth_verdict verdict;
    int ends[2], status;
    bool answered;
    pid_t child;

    strbuf_reset(reason);
    if (privmsg_pair(ends) < 0) {
        strbuf_fail(reason, "socketpair: %s", strerror(errno));
        return AUTH_UNAVAILABLE;
    }
    child = fork();
    if (child == 0)
        check(settings, attempt, ends[1]);
    close(ends[1]);
    if (child < 0) {
        strbuf_fail(reason, "no process for checking the password: fork: %s", strerror(errno));
        close(ends[0]);
        return AUTH_UNAVAILABLE;
    }
    verdict = receive_verdict(settings, ends[0], asker, user_r, reason, &answered);
    close(ends[0]);
    status = child_reap(child, answered);
    if (verdict == AUTH_UNAVAILABLE && reason->len == 0)
        strbuf_fail(reason, "the process that checks passwords ended without an answer (wait status %d)", status);
    return verdict;
}
