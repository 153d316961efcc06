/*
 * checker_message: see checker_message.h.
 */
#include "process/checker_message.h"

#include <string.h>

#include "wire/privmsg.h"

#define CHECKER_VERDICT 1
#define CHECKER_ATTEMPT 2

/* ---- attempts */

static void put_optional(struct privmsg *m, const char *text)
{
    privmsg_put_number(m, text != NULL);
    privmsg_put_text(m, text ? text : "");
}

static const char *get_optional(struct privmsg *m)
{
    bool there = privmsg_get_number(m) == 1;
    const char *text = privmsg_get_text(m, PRIVMSG_MAX);

    return there ? text : NULL;
}

int checker_send_attempt(int end, const struct auth_attempt *attempt)
{
    struct privmsg m;
    int sent;

    privmsg_init(&m, CHECKER_ATTEMPT);
    privmsg_put_number(&m, attempt->how);
    put_optional(&m, attempt->name);
    put_optional(&m, attempt->response);
    put_optional(&m, attempt->stamp);
    put_optional(&m, attempt->rhost);
    privmsg_put_number(&m, attempt->tls);
    privmsg_put_number(&m, attempt->local);
    privmsg_put_number(&m, attempt->only_asked);
    sent = privmsg_send(end, &m);
    privmsg_free(&m);
    return sent;
}

bool checker_take_attempt(struct privmsg *m, struct auth_attempt *attempt_r)
{
    *attempt_r = (struct auth_attempt){ .how = (enum auth_how)privmsg_get_number(m) };
    attempt_r->name = get_optional(m);
    attempt_r->response = get_optional(m);
    attempt_r->stamp = get_optional(m);
    attempt_r->rhost = get_optional(m);
    attempt_r->tls = privmsg_get_number(m) == 1;
    attempt_r->local = privmsg_get_number(m) == 1;
    attempt_r->only_asked = privmsg_get_number(m) == 1;
    return m->type == CHECKER_ATTEMPT && privmsg_complete(m);
}

/* ---- verdicts */

void checker_send_verdict(int end, enum auth_verdict verdict, const struct auth_user *user, const struct strbuf *reason,
                          const struct auth_sasl *sasl, bool stays)
{
    struct privmsg m;

    privmsg_init(&m, CHECKER_VERDICT);
    privmsg_put_number(&m, verdict);
    privmsg_put_bytes(&m, reason->data, reason->len < CHECKER_REASON_MAX ? reason->len : CHECKER_REASON_MAX);
    privmsg_put_number(&m, sasl->refusal);
    privmsg_put_number(&m, sasl->closed);
    if (verdict == AUTH_GRANTED) {
        privmsg_put_text(&m, user->name);
        privmsg_put_number(&m, user->uid);
        privmsg_put_number(&m, user->gid);
        privmsg_put_text(&m, user->home);
        privmsg_put_number(&m, user->is_virtual);
        privmsg_put_number(&m, stays);
        privmsg_put_number(&m, user->no_mime);
        privmsg_put_number(&m, (uint64_t)user->groups.n);
        for (int i = 0; i < user->groups.n; i++)
            privmsg_put_number(&m, user->groups.list[i]);
    }
    privmsg_send(end, &m);
    privmsg_free(&m);
}

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

/* No more than fit, whatever is said. */
static void take_groups(struct privmsg *m, struct identity_groups *groups_r)
{
    uint64_t n = privmsg_get_number(m);

    m->bad = m->bad || n > IDENTITY_GROUPS_MAX;
    for (uint64_t i = 0; i < n && !m->bad; i++) {
        uint64_t gid = privmsg_get_number(m);

        m->bad = m->bad || gid >= (gid_t)-1;
        groups_r->list[groups_r->n++] = (gid_t)gid;
    }
}

/* A verdict that is not to grant anything. */
static enum auth_verdict refusal_of(uint64_t verdict)
{
    return verdict == AUTH_REFUSED || verdict == AUTH_UNUSABLE ? (enum auth_verdict)verdict : AUTH_UNAVAILABLE;
}

enum auth_verdict checker_read_verdict(const struct settings *settings, struct privmsg *m, struct auth_user *user_r,
                                       struct strbuf *reason, struct auth_sasl *sasl_r, bool *stays_r)
{
    uint64_t verdict = privmsg_get_number(m), uid, gid;
    size_t n;
    const char *said = privmsg_get_bytes(m, CHECKER_REASON_MAX, &n);

    m->bad = m->bad || m->type != CHECKER_VERDICT || m->fd >= 0;
    strbuf_reset(reason);
    strbuf_add(reason, said, n);
    sasl_r->refusal = refusal_of(privmsg_get_number(m));
    sasl_r->closed = privmsg_get_number(m) != 0;
    if (verdict != AUTH_GRANTED) {
        sasl_r->closed = sasl_r->closed || !privmsg_complete(m);
        return privmsg_complete(m) ? refusal_of(verdict) : AUTH_UNAVAILABLE;
    }
    memset(user_r, 0, sizeof *user_r);
    take_text(m, user_r->name, sizeof user_r->name);
    uid = privmsg_get_number(m);
    gid = privmsg_get_number(m);
    take_text(m, user_r->home, sizeof user_r->home);
    user_r->is_virtual = privmsg_get_number(m) == 1;
    *stays_r = privmsg_get_number(m) == 1;
    user_r->no_mime = privmsg_get_number(m) == 1;
    take_groups(m, &user_r->groups);
    user_r->uid = (uid_t)uid;
    user_r->gid = (gid_t)gid;
    if (!privmsg_complete(m) || !is_sane(settings, user_r, uid, gid)) {
        strbuf_fail(reason, "the process that checks passwords gave a broken answer");
        sasl_r->closed = true;
        return AUTH_UNAVAILABLE;
    }
    return AUTH_GRANTED;
}
