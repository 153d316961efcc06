/*
 * cmd_auth: see cmd_auth.h. It must never tell a client more about a user than that a name with a password was right:
 * no answer here depends on the name before the monitor granted the login.
 */
#include "protocol/cmd_auth.h"

#include <config.h>
#include <string.h>

#include "auth/auth_sasl.h"
#include "auth/policy.h"
#include "common/log.h"
#include "protocol/capa.h"
#include "protocol/cmd_auth_sasl.h"

#define SECOND INT64_C(1000000000)
#define LAST_WORD (10 * SECOND) /* for the client to take the answer to its login */

struct authorization {
    struct netio *io;
    const struct settings *settings;
    const struct peer *peer;
    const char *host;
    const struct cmd_auth_asks *asks;
    const char *stamp;  /* "" when there is no database of secrets */
    bool no_tls;        /* it was asked for in vain */
    int tries;          /* AUTH commands that came to nothing */
    struct strbuf name; /* of the last USER, as the client sent it; empty: none yet */
};

/* Whether this way to log in may be used on the connection as it is. */
static enum policy_offer offers(const struct authorization *a, enum auth_how how)
{
    struct policy_connection at;

    policy_connection_of(a->settings, a->asks->tls, a->peer->local, &at);
    return policy_offers(how, &at);
}

/* The same for USER and PASS. */
static enum policy_offer offers_pass(const struct authorization *a)
{
    struct policy_connection at;

    policy_connection_of(a->settings, a->asks->tls, a->peer->local, &at);
    return policy_offers(policy_pass(&at), &at);
}

static bool stls_allowed(const struct authorization *a)
{
    return a->settings->tls_support == TLS_SUPPORT_STLS && a->asks->prepare_tls && !a->asks->tls;
}

/* The name as replies show it. The caller frees. */
static struct strbuf shown_name(const struct authorization *a)
{
    struct strbuf shown = STRBUF_INIT(COMMAND_SHOWN_MAX * 4 + 3);

    log_escape(&shown, a->name.data, a->name.len, COMMAND_SHOWN_MAX);
    return shown;
}

/* The same for every name, and before a password is on the wire. */
static enum command_event refuse_way(enum policy_offer offer, const struct command *command, struct answer *answer)
{
    switch (offer) {
    case POLICY_NOT_BUILT:
        return command_fail(answer, REPLY_NONE, "%s is not available here.", command->name);
    case POLICY_TICKET_ONLY:
        return command_fail(answer, REPLY_AUTH, "Only USER and PASS are accepted after a Kerberos ticket.");
    case POLICY_LOCAL_ONLY:
        return command_fail(answer, REPLY_AUTH, "Clear-text passwords are accepted from this host itself only.");
    case POLICY_TLS_ONLY:
        return command_fail(answer, REPLY_AUTH, "Clear-text passwords are accepted inside TLS only.");
    default:
        return command_fail(answer, REPLY_AUTH, "Clear-text passwords are not accepted.");
    }
}

static enum command_event run_user(void *state, const struct command *command, struct answer *answer)
{
    struct authorization *a = state;
    enum policy_offer offer = offers_pass(a);
    struct strbuf shown;

    if (offer != POLICY_OFFERED)
        return refuse_way(offer, command, answer);
    strbuf_reset(&a->name);
    strbuf_adds(&a->name, command->args[0]);
    shown = shown_name(a);
    command_say(answer, "Password required for %s.", shown.data);
    strbuf_free(&shown);
    return COMMAND_OK;
}

/* The first multiple of failure-delay after the password arrived that is not over yet: the time of the work does not
   show. */
static int64_t answer_instant(const struct authorization *a, int64_t arrived)
{
    int64_t delay = a->settings->failure_delay * SECOND;
    int64_t taken = netio_now() - arrived;

    if (delay <= 0)
        return arrived;
    return arrived + delay * (taken <= delay ? 1 : (taken + delay - 1) / delay);
}

/* False: the client is gone. */
static bool wait_for_instant(const struct authorization *a, int64_t instant)
{
    /* What waits in the buffer answers earlier commands; a client that reads it before it hangs up is told. */
    netio_set_deadline(a->io, instant + LAST_WORD);
    if (netio_flush(a->io) < 0)
        return false;
    if (netio_sleep_until(a->io, instant) == 0)
        return true;
    log_write(LOG_DEBUG, "(null) at %s (%s): hung up before the failed login was answered", a->peer->host, a->peer->ip);
    return false;
}

static enum command_event answer_failure(struct authorization *a, enum cmd_auth_verdict verdict, int64_t arrived,
                                         struct answer *answer)
{
    struct strbuf shown;

    if (!wait_for_instant(a, answer_instant(a, arrived)))
        return COMMAND_CLOSE;
    if (verdict == CMD_AUTH_UNAVAILABLE) {
        command_fail(answer, REPLY_SYS_TEMP, "Passwords cannot be checked at the moment; try again later.");
        return COMMAND_ERR_END;
    }
    if (verdict == CMD_AUTH_UNUSABLE) {
        command_fail(answer, REPLY_SYS_PERM, "Passwords cannot be checked; tell the administrator.");
        return COMMAND_ERR_END;
    }
    shown = shown_name(a);
    command_fail(answer, REPLY_AUTH, "Password supplied for \"%s\" is incorrect.", shown.data);
    strbuf_free(&shown);
    return COMMAND_ERR_END;
}

static enum command_event run_pass(void *state, const struct command *command, struct answer *answer)
{
    struct authorization *a = state;
    int64_t arrived = netio_now();
    enum policy_offer offer = offers_pass(a);
    enum cmd_auth_verdict verdict;

    if (offer != POLICY_OFFERED)
        return refuse_way(offer, command, answer);
    if (a->name.len == 0)
        return command_fail(answer, REPLY_NONE, "PASS must follow USER.");
    /* The login was in time; how long the answer takes is ours. */
    netio_set_deadline(a->io, 0);
    verdict = a->asks->password(a->asks->context, a->name.data, command->args[0]);
    netio_wipe_consumed(a->io);
    if (verdict == CMD_AUTH_GRANTED)
        return COMMAND_NEXT_STATE;
    return answer_failure(a, verdict, arrived, answer);
}

static enum command_event run_apop(void *state, const struct command *command, struct answer *answer)
{
    struct authorization *a = state;
    int64_t arrived = netio_now();
    enum policy_offer offer = offers(a, AUTH_BY_APOP);
    enum cmd_auth_verdict verdict;

    if (offer != POLICY_OFFERED)
        return refuse_way(offer, command, answer);
    strbuf_reset(&a->name);
    strbuf_adds(&a->name, command->args[0]);
    netio_set_deadline(a->io, 0);
    verdict = a->asks->apop(a->asks->context, a->name.data, command->args[1]);
    netio_wipe_consumed(a->io);
    if (verdict == CMD_AUTH_GRANTED)
        return COMMAND_NEXT_STATE;
    return answer_failure(a, verdict, arrived, answer);
}

static struct sasl_offer offer_of(const struct authorization *a)
{
    return (struct sasl_offer){ .passwords = offers(a, AUTH_BY_PASSWORD) == POLICY_OFFERED,
                                .tickets = offers(a, AUTH_BY_GSSAPI) == POLICY_OFFERED,
                                .secrets = a->stamp[0] != '\0',
                                .barred = a->settings->sasl_barred,
                                .binding = a->asks->tls && a->asks->binding && a->asks->binding(a->asks->context) };
}

/* The third one ends the session, when a failed login would be answered. */
static enum command_event count_try(struct authorization *a, int64_t arrived)
{
    if (++a->tries < CMD_AUTH_TRIES)
        return COMMAND_ERR;
    return wait_for_instant(a, answer_instant(a, arrived)) ? COMMAND_ERR_END : COMMAND_CLOSE;
}

static enum command_event run_auth(void *state, const struct command *command, struct answer *answer)
{
    struct authorization *a = state;
    struct cmd_auth_sasl s = {
        .io = a->io, .settings = a->settings, .peer = a->peer, .asks = a->asks, .challenge = a->stamp,
        .offer = offer_of(a), .name = &a->name
    };
    enum sasl_mechanism mechanism = command->count > 0 ? saslname_find(command->args[0]) : SASL_MECHANISMS;
    enum policy_offer offer =
        mechanism != SASL_MECHANISMS ? offers(a, auth_sasl_how(mechanism)) : POLICY_OFFERED;
    enum cmd_auth_verdict verdict;
    enum command_event event;

    if (command->count == 0) {
        command_say(answer, "Mechanisms follow");
        return COMMAND_OK_BODY;
    }
    if (offer != POLICY_OFFERED) {
        const struct command by_name = { .name = saslname_of(mechanism) };

        refuse_way(offer, &by_name, answer);
        /* What is refused before anything was proved counts no more than with USER and PASS: the client may say STLS and try again. */
        return offer == POLICY_NOT_BUILT ? count_try(a, netio_now()) : COMMAND_ERR;
    }
    event = cmd_auth_sasl_run(&s, command, answer, &verdict);
    netio_wipe_consumed(a->io);
    if (event == COMMAND_ERR_END)
        return answer_failure(a, verdict, s.arrived, answer);
    if (event != COMMAND_ERR)
        return event;
    /* What sasl-mechanisms leaves out is refused as what clear-text-password forbids is. */
    return mechanism != SASL_MECHANISMS && (s.offer.barred >> mechanism & 1) ? COMMAND_ERR : count_try(a, s.arrived);
}

/* What Netscape's clients asked before there was CAPA. */
static enum command_event body_auth(void *state, const struct command *command, struct outbuf *out)
{
    const struct authorization *a = state;
    const struct sasl_offer offer = offer_of(a);

    (void)command;
    for (int i = 0; i < SASL_MECHANISMS; i++)
        if (sasl_offered((enum sasl_mechanism)i, &offer))
            outbuf_addf(out, "%s\r\n", saslname_of((enum sasl_mechanism)i));
    return COMMAND_OK;
}

static enum command_event body_capa(void *state, const struct command *command, struct outbuf *out)
{
    const struct authorization *a = state;
    const struct sasl_offer offer = offer_of(a);
    struct strbuf list = STRBUF_INIT(SASL_LIST_MAX);
    struct capa capa = {
        .user_allowed = offers_pass(a) == POLICY_OFFERED,
        .stls_allowed = stls_allowed(a) && !a->no_tls, .logged_in = false
    };

    (void)command;
    sasl_list(&offer, &list);
    capa.sasl = list.data;
    capa_list(&capa, a->settings, out);
    strbuf_free(&list);
    return COMMAND_OK;
}

/* RFC 2595 section 4. Trouble with TLS does not end the session: the client decides whether it goes on without. */
static enum command_event run_stls(void *state, const struct command *command, struct answer *answer)
{
    struct authorization *a = state;

    (void)command;
    if (a->asks->tls)
        return command_fail(answer, REPLY_NONE, "TLS is active already.");
    if (!stls_allowed(a))
        return command_fail(answer, REPLY_NONE, "STLS is not offered here.");
    if (a->no_tls || !a->asks->prepare_tls(a->asks->context)) {
        a->no_tls = true;
        return command_fail(answer, REPLY_SYS_PERM, "TLS is not possible at the moment; the server's log says why.");
    }
    command_say(answer, "STLS");
    return COMMAND_OK_THEN;
}

/* What was sent or said in clear text counts no more: somebody on the way may have put it there. */
static enum command_event body_stls(void *state, const struct command *command, struct outbuf *out)
{
    struct authorization *a = state;

    (void)command;
    (void)out;
    a->asks->enter_tls(a->asks->context);
    netio_replaced(a->io);
    strbuf_wipe(&a->name);
    return COMMAND_OK;
}

static enum command_event run_quit(void *state, const struct command *command, struct answer *answer)
{
    const struct authorization *a = state;

    (void)command;
    command_say(answer, "Pop server at %s signing off.", a->host);
    return COMMAND_QUIT;
}

/* A PROXY protocol header (version 1) from who may not send one: whatever it wants us to believe, it is not answered. */
static enum command_event run_proxy(void *state, const struct command *command, struct answer *answer)
{
    const struct authorization *a = state;

    (void)command, (void)answer;
    log_write(LOG_NOTICE, "(null) at %s (%s): the connection is closed: a PROXY protocol header, but this address is not "
              "in proxy-networks", a->peer->host, a->peer->ip);
    return COMMAND_CLOSE;
}

static const struct command_row rows[] = {
    { "USER", 1, 1, 0, "USER name", run_user, NULL },
    { "PASS", 1, 1, COMMAND_REST | COMMAND_SECRET, "PASS password", run_pass, NULL },
    { "APOP", 2, 2, COMMAND_SECRET, "APOP name digest", run_apop, NULL },
    { "AUTH", 0, COMMAND_ARGS_MAX, COMMAND_SECRET, "AUTH mechanism [initial-response]", run_auth, body_auth },
    { "CAPA", 0, 0, 0, "CAPA", capa_run, body_capa },
    { "STLS", 0, 0, 0, "STLS", run_stls, body_stls },
    { "QUIT", 0, 0, 0, "QUIT", run_quit, NULL },
    { "PROXY", 0, 1, COMMAND_REST, "", run_proxy, NULL },
    { 0 },
};

static const char *const transaction_names[] = { "STAT", "LIST", "RETR", "DELE", "NOOP",
                                                 "RSET", "TOP",  "UIDL", "LAST", "MDEF", NULL };

static const struct command_table table = { .rows = rows,
                                            .elsewhere = transaction_names,
                                            .elsewhere_hint = "log in first" };

static void greet(const struct authorization *a, const char *stamp)
{
    struct strbuf text = STRBUF_INIT(REPLY_MAX);

    if (a->settings->shy)
        strbuf_adds(&text, "ready  ");
    else
        strbuf_addf(&text, "Qpopper (version %s) at %s starting.  ", PACKAGE_VERSION, a->host);
    if (stamp)
        strbuf_adds(&text, stamp);
    reply_ok(netio_out(a->io), text.data);
    strbuf_free(&text);
}

enum command_end cmd_auth_serve(struct netio *io, const struct settings *settings, const struct peer *peer,
                                const char *host, const char *stamp, const struct cmd_auth_asks *asks)
{
    struct authorization a = {
        .io = io, .settings = settings, .peer = peer, .host = host, .asks = asks, .stamp = stamp ? stamp : "",
        .name = STRBUF_INIT(COMMAND_LINE_MAX)
    };
    struct command_client client = { .peer = peer,
                                     .timeout = settings->timeout,
                                     .deadline = settings->preauth_timeout };
    enum command_end end;

    netio_set_timeout(io, settings->timeout);
    netio_set_deadline(io, netio_now() + settings->preauth_timeout * SECOND);
    greet(&a, stamp);
    end = command_serve(io, &table, &a, &client);
    netio_set_deadline(io, 0);
    strbuf_free(&a.name);
    return end;
}
