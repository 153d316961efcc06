/*
 * monitor_login: see monitor_login.h. Runs in the monitor, with its rights: it must never read the client's descriptors,
 * nor judge a password itself. Names, passwords and SASL's messages that preauth sends pass through as bounded bytes.
 */
#include "process/monitor_login.h"

#include <string.h>

#include <config.h>

#include "auth/pamlink.h"
#include "common/log.h"
#include "process/checker.h"
#include "process/child.h"
#include "process/supervised.h"
#include "protocol/command.h"
#include "protocol/stats.h"
#include "wire/netio.h"

static void note_verdict(struct monitor *mon, enum auth_verdict verdict, const struct auth_attempt *attempt,
                         const char *reason)
{
    mon->auth_ns = netio_now() - mon->started;
    switch (verdict) {
    case AUTH_GRANTED:
        if (attempt->how == AUTH_BY_APOP)
            stats_apop(mon->user.name);
        if (attempt->how == AUTH_BY_CRAM_MD5 || attempt->how == AUTH_BY_SCRAM ||
            attempt->how == AUTH_BY_GSSAPI)
            stats_sasl(mon->user.name, saslname_of(mon->sasl.mechanism));
        stats_login(mon->settings, mon->user.name, &mon->peer);
        break;
    case AUTH_REFUSED:
        supervised_failed();
        stats_failed_login(attempt->name, &mon->peer, reason);
        break;
    case AUTH_UNAVAILABLE:
    case AUTH_UNUSABLE:
        /* Who hung up meanwhile wants no answer, and nobody need look into it. */
        log_write(child_wait(-1, mon->preauth, 1) == 0 ? LOG_INFO : LOG_ERR, "passwords cannot be checked: %s", reason);
        break;
    }
}

/* In its turn: in standalone mode only so many passwords are checked at the same time. */
static enum auth_verdict check(struct monitor *mon, const struct auth_attempt *attempt, struct strbuf *reason)
{
    enum auth_verdict verdict;

    if (!supervised_check_begin(mon->preauth)) {
        strbuf_fail(reason, "the client is gone, or too many passwords are being checked (max-password-checks)");
        return AUTH_UNAVAILABLE;
    }
    verdict = checker_run(mon->settings, attempt, mon->preauth, &mon->user, &mon->session, reason);
    /* Who is let in says so at once, which ends his turn, too. */
    if (verdict != AUTH_GRANTED)
        supervised_check_end();
    return verdict;
}

/* Names and passwords, right or wrong, are taken once. */
static void close_logins(struct monitor *mon)
{
    mon->open_rows &= ~(1u << REQUEST_PASSWORD | 1u << REQUEST_APOP | 1u << REQUEST_SASL_START | 1u << REQUEST_SASL_STEP |
                        1u << REQUEST_SASL_CANCEL);
}

void monitor_login_open(struct monitor *mon)
{
    close_logins(mon);
    monitor_permit(mon, REQUEST_APOP);
    monitor_permit(mon, REQUEST_PASSWORD);
    if (mon->sasl.tries < REQUEST_SASL_TRIES)
        monitor_permit(mon, REQUEST_SASL_START);
}

/* The log and the next step of who was, or was not, let in. */
static void settle_attempt(struct monitor *mon, enum auth_verdict verdict, const struct auth_attempt *attempt,
                           const char *reason)
{
    if (verdict == AUTH_GRANTED)
        supervised_logged_in();
    resolver_finish(&mon->resolver, &mon->peer);
    note_verdict(mon, verdict, attempt, reason);
    mon->granted = verdict == AUTH_GRANTED;
    if (mon->granted)
        monitor_permit(mon, REQUEST_HANDOVER);
}

static enum monitor_next serve_attempt(struct monitor *mon, const struct auth_attempt *attempt)
{
    struct strbuf reason = STRBUF_INIT(STRBUF_WHY_MAX);
    enum auth_verdict verdict = check(mon, attempt, &reason);
    struct privmsg answer;
    int sent;

    settle_attempt(mon, verdict, attempt, reason.data);
    strbuf_free(&reason);
    privmsg_init(&answer, REQUEST_ANSWER);
    privmsg_put_number(&answer, verdict);
    sent = privmsg_send(mon->preauth, &answer);
    privmsg_free(&answer);
    return sent < 0 ? NEXT_GONE : NEXT_GO_ON;
}

static struct auth_attempt attempt_from(const struct monitor *mon, enum auth_how how)
{
    return (struct auth_attempt){ .how = how, .stamp = mon->stamp, .tls = mon->relay.pid > 0, .local = mon->peer.local,
                                  .ticket = mon->settings->kerberos ? &mon->ticket : NULL,
                                  .rhost = strcmp(mon->peer.ip, "unknown") != 0 ? mon->peer.ip : NULL };
}

enum monitor_next monitor_login_password(struct monitor *mon, struct privmsg *m)
{
    enum auth_how pass = mon->settings->kerberos ? AUTH_BY_KERBEROS : AUTH_BY_PASSWORD;
    struct auth_attempt attempt = attempt_from(mon, m->type == REQUEST_APOP ? AUTH_BY_APOP : pass);

    attempt.name = privmsg_get_text(m, COMMAND_LINE_MAX);
    attempt.response = privmsg_get_text(m, COMMAND_LINE_MAX);
    close_logins(mon);
    /* The caller looks, too, and ends it. */
    return privmsg_complete(m) ? serve_attempt(mon, &attempt) : NEXT_GO_ON;
}

/* ---- AUTH without a password */

/* Whom a ticket that was good is for: who it names, or whom he names. Some clients (curl) name the principal itself. */
static void take_ticket_name(struct monitor *mon)
{
    const struct saslstate *state = &mon->sasl.state;
    bool himself = !state->authzid[0] || strcmp(state->authzid, state->client.principal) == 0;
    const char *name = himself ? state->client.local : state->authzid;

    memcpy(mon->sasl.name, name, strlen(name) + 1);
    log_write(LOG_INFO, "(v%s) AUTH GSSAPI: client %s is %s", PACKAGE_VERSION, mon->peer.ip, state->client.principal);
}

/* He is who he says; a ticket may still be for another user, so the checker compares. PAM, where it judges logins, has not been asked about the account. */
static enum auth_verdict admit(struct monitor *mon, struct strbuf *reason)
{
    struct auth_attempt attempt = attempt_from(mon, AUTH_PROVED);

    attempt.name = mon->sasl.name;
    if (mon->sasl.mechanism == SASL_GSSAPI) {
        attempt.how = AUTH_BY_GSSAPI;
        attempt.ticket = &mon->sasl.state.client;
        return check(mon, &attempt, reason);
    }
    if (pamlink_applies(mon->settings))
        return check(mon, &attempt, reason);
    mon->user = mon->sasl.user;
    return AUTH_GRANTED;
}

static enum monitor_next answer_sasl(struct monitor *mon, struct monitor_sasl_result *r)
{
    const struct auth_attempt attempt = { .how = auth_sasl_how(mon->sasl.mechanism), .name = mon->sasl.name };
    struct privmsg answer;
    int sent;

    if (r->how == REQUEST_SASL_IS_OVER) {
        if (r->verdict == AUTH_GRANTED && mon->sasl.mechanism == SASL_GSSAPI)
            take_ticket_name(mon);
        if (r->verdict == AUTH_GRANTED)
            r->verdict = admit(mon, &r->reason);
        settle_attempt(mon, r->verdict, &attempt, r->reason.data);
    } else if (r->how == REQUEST_SASL_GOES_ON) {
        monitor_permit(mon, REQUEST_SASL_STEP);
        monitor_permit(mon, REQUEST_SASL_CANCEL);
    } else {
        log_write(LOG_INFO, "AUTH %s from %s: %s", saslname_of(mon->sasl.mechanism), mon->peer.ip, r->reason.data);
        monitor_login_open(mon);
    }
    privmsg_init(&answer, REQUEST_ANSWER);
    privmsg_put_number(&answer, r->how);
    privmsg_put_number(&answer, r->verdict);
    privmsg_put_bytes(&answer, r->reply.data, r->reply.len);
    sent = privmsg_send(mon->preauth, &answer);
    privmsg_free(&answer);
    strbuf_free(&r->reply);
    strbuf_free(&r->reason);
    return sent < 0 ? NEXT_GONE : NEXT_GO_ON;
}

#define SASL_RESULT { .reply = STRBUF_INIT(SASL_TICKET_MAX), .reason = STRBUF_INIT(STRBUF_WHY_MAX) }

enum monitor_next monitor_login_sasl_start(struct monitor *mon, struct privmsg *m)
{
    struct monitor_sasl_result result = SASL_RESULT;
    uint64_t mechanism = privmsg_get_number(m);
    const char *name = privmsg_get_text(m, SASL_NAME_MAX), *token;
    size_t n;

    token = privmsg_get_bytes(m, SASL_TICKET_MAX, &n);
    m->bad = m->bad || mechanism >= SASL_MECHANISMS || sasl_carries_password((enum sasl_mechanism)mechanism) ||
             (mon->settings->sasl_barred >> mechanism & 1) != 0;
    close_logins(mon);
    if (!privmsg_complete(m))
        return NEXT_GO_ON;
    mon->sasl.mechanism = (enum sasl_mechanism)mechanism;
    memcpy(mon->sasl.name, name, strlen(name) + 1);
    monitor_sasl_start(&mon->sasl, mon->settings, &mon->relay, mon->stamp, mon->preauth, token, n, &result);
    return answer_sasl(mon, &result);
}

enum monitor_next monitor_login_sasl_step(struct monitor *mon, struct privmsg *m)
{
    struct monitor_sasl_result result = SASL_RESULT;
    size_t n;
    const char *token = privmsg_get_bytes(m, SASL_TICKET_MAX, &n);

    close_logins(mon);
    if (!privmsg_complete(m))
        return NEXT_GO_ON;
    monitor_sasl_step(&mon->sasl, mon->preauth, token, n, &result);
    return answer_sasl(mon, &result);
}

enum monitor_next monitor_login_sasl_cancel(struct monitor *mon, struct privmsg *m)
{
    (void)m;
    monitor_sasl_stop(&mon->sasl);
    monitor_login_open(mon);
    return NEXT_GO_ON;
}

enum monitor_next monitor_login_binding(struct monitor *mon, struct privmsg *m)
{
    struct privmsg answer;
    int sent;

    (void)m;
    privmsg_init(&answer, REQUEST_ANSWER);
    privmsg_put_number(&answer, monitor_sasl_binding(&mon->relay));
    sent = privmsg_send(mon->preauth, &answer);
    privmsg_free(&answer);
    return sent < 0 ? NEXT_GONE : NEXT_GO_ON;
}
