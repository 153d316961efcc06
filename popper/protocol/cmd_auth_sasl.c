/*
 * cmd_auth_sasl: see cmd_auth_sasl.h. It must never log or keep a message of the client, nor answer by what it knows
 * about a user: it knows nothing.
 */
#include "protocol/cmd_auth_sasl.h"

#include <string.h>

#include "common/digest.h"
#include "common/log.h"

#define TICKET_LINE_MAX (SASL_TICKET_MAX / 3 * 4) /* in base64 */

/* How a message of the client was got. */
enum got { GOT_TOKEN, GOT_CANCEL, GOT_MALFORMED, GOT_NOTHING };

static enum command_event malformed(struct answer *answer, const char *why)
{
    return command_fail(answer, REPLY_NONE, "AUTH: %s.", why);
}

/* "+ " and the message. */
static int send_token(struct cmd_auth_sasl *s, const void *bytes, size_t n)
{
    struct strbuf line = STRBUF_INIT(2 * SASL_TICKET_MAX);
    struct outbuf *out = netio_out(s->io);

    digest_base64(&line, bytes, n);
    outbuf_adds(out, "+ ");
    outbuf_add(out, line.data, line.len);
    outbuf_adds(out, "\r\n");
    strbuf_free(&line);
    log_write(LOG_DEBUG, "(null) at %s (%s): Sent: \"+ ********\"", s->peer->host, s->peer->ip);
    return netio_flush(s->io);
}

static enum got decode(const char *text, size_t n, struct strbuf *token, struct answer *answer)
{
    if (digest_base64_decode(text, n, token) == 0)
        return GOT_TOKEN;
    malformed(answer, "what you sent is not base64");
    return GOT_MALFORMED;
}

static enum got lost(const struct cmd_auth_sasl *s, enum netio_status status)
{
    log_write(LOG_NOTICE, "(null) at %s (%s): -ERR POP EOF or I/O Error in the middle of AUTH%s", s->peer->host,
              s->peer->ip, status == NETIO_TIMEOUT ? ": it said nothing for too long" : "");
    return GOT_NOTHING;
}

static enum got receive_token(struct cmd_auth_sasl *s, struct strbuf *token, struct answer *answer)
{
    enum netio_status status;
    char *line;
    size_t n;
    enum got got;

    do {
        status = netio_line(s->io, &line, &n);
    } while (status == NETIO_INTERRUPTED);
    s->arrived = netio_now();
    if (status == NETIO_TOO_LONG) {
        command_fail(answer, REPLY_NONE, "AUTH: a line longer than %d bytes.", s->line_max);
        got = GOT_MALFORMED;
    } else if (status != NETIO_LINE) {
        got = lost(s, status);
    } else if (n == 1 && line[0] == '*') {
        malformed(answer, "cancelled");
        got = GOT_CANCEL;
    } else {
        log_write(LOG_DEBUG, "(null) at %s (%s): Received: \"********\"", s->peer->host, s->peer->ip);
        got = decode(line, n, token, answer);
    }
    netio_wipe_consumed(s->io);
    return got;
}

/* Says something and gets the answer to it. */
static enum got ask_client(struct cmd_auth_sasl *s, const void *bytes, size_t n, struct strbuf *token,
                           struct answer *answer)
{
    if (send_token(s, bytes, n) < 0)
        return lost(s, NETIO_ERROR);
    return receive_token(s, token, answer);
}

static enum command_event event_of(enum got got)
{
    return got == GOT_NOTHING ? COMMAND_CLOSE : COMMAND_ERR;
}

static void remember_name(struct cmd_auth_sasl *s, const char *name)
{
    strbuf_reset(s->name);
    strbuf_adds(s->name, name);
}

static enum command_event event_of_verdict(struct cmd_auth_sasl *s, enum cmd_auth_verdict verdict)
{
    /* The login was in time; how long the answer takes is ours. */
    netio_set_deadline(s->io, 0);
    return verdict == CMD_AUTH_GRANTED ? COMMAND_NEXT_STATE : COMMAND_ERR_END;
}

static bool is_himself(const struct cmd_auth_sasl *s, const struct sasl_identity *identity, struct answer *answer)
{
    char canonical[AUTH_NAME_MAX + 1];

    auth_canonical_name(s->settings, identity->name, canonical);
    if (sasl_is_himself(identity, canonical))
        return true;
    command_fail(answer, REPLY_AUTH, "AUTH: nobody may log in for somebody else here.");
    return false;
}

/* ---- PLAIN and LOGIN */

static enum command_event check_password(struct cmd_auth_sasl *s, const char *name, const char *password,
                                         enum cmd_auth_verdict *verdict_r)
{
    remember_name(s, name);
    *verdict_r = s->asks->password(s->asks->context, name, password);
    return event_of_verdict(s, *verdict_r);
}

static enum command_event run_plain(struct cmd_auth_sasl *s, const struct strbuf *token, struct answer *answer,
                                    enum cmd_auth_verdict *verdict_r)
{
    struct sasl_identity identity;
    const char *password;

    if (!sasl_identity(SASL_PLAIN, token->data, token->len, &identity, &password))
        return malformed(answer, "PLAIN wants a name and a password");
    if (!is_himself(s, &identity, answer))
        return COMMAND_ERR;
    return check_password(s, identity.name, password, verdict_r);
}

static bool is_text(const struct strbuf *token, size_t max)
{
    return token->len > 0 && token->len <= max && !memchr(token->data, '\0', token->len);
}

/* No RFC has it; what clients of Outlook's time expect. */
static enum command_event run_login(struct cmd_auth_sasl *s, const struct strbuf *first, bool has_first,
                                    struct answer *answer, enum cmd_auth_verdict *verdict_r)
{
    struct strbuf name = STRBUF_INIT(SASL_TOKEN_MAX), password = STRBUF_INIT(SASL_TOKEN_MAX);
    enum command_event event;
    enum got got = GOT_TOKEN;

    if (has_first)
        strbuf_add(&name, first->data, first->len);
    else
        got = ask_client(s, "Username:", 9, &name, answer);
    if (got == GOT_TOKEN)
        got = ask_client(s, "Password:", 9, &password, answer);
    if (got != GOT_TOKEN)
        event = event_of(got);
    else if (!is_text(&name, SASL_NAME_MAX) || !is_text(&password, SASL_TOKEN_MAX))
        event = malformed(answer, "LOGIN wants a name and a password");
    else
        event = check_password(s, name.data, password.data, verdict_r);
    strbuf_free(&name);
    strbuf_free(&password);
    return event;
}

/* ---- those with the server's side in a process of its own */

/* Until the exchange is over. how: after the client's first message. */
static enum command_event run_exchange(struct cmd_auth_sasl *s, enum cmd_auth_sasl_state how, struct strbuf *reply,
                                       struct answer *answer, enum cmd_auth_verdict *verdict_r)
{
    struct strbuf token = STRBUF_INIT(SASL_TICKET_MAX);
    enum command_event event = COMMAND_OK;

    while (event == COMMAND_OK && how == CMD_AUTH_SASL_GOES_ON) {
        enum got got = ask_client(s, reply->data, reply->len, &token, answer);

        if (got == GOT_TOKEN) {
            how = s->asks->sasl_step(s->asks->context, token.data, token.len, reply, verdict_r);
        } else {
            s->asks->sasl_cancel(s->asks->context);
            event = event_of(got);
        }
    }
    strbuf_free(&token);
    if (event != COMMAND_OK)
        return event;
    if (how == CMD_AUTH_SASL_MALFORMED)
        return malformed(answer, "not what this mechanism expects here");
    return event_of_verdict(s, *verdict_r);
}

static enum command_event run_proof(struct cmd_auth_sasl *s, enum sasl_mechanism mechanism, const struct strbuf *token,
                                    struct answer *answer, enum cmd_auth_verdict *verdict_r)
{
    struct strbuf reply = STRBUF_INIT(SASL_TICKET_MAX);
    struct sasl_identity identity = { .name = "" };
    enum cmd_auth_sasl_state how;
    enum command_event event;

    /* Only who has the service's keys can read whom a ticket names. */
    if (mechanism != SASL_GSSAPI && !sasl_identity(mechanism, token->data, token->len, &identity, NULL))
        return malformed(answer, "not what this mechanism expects here");
    if (!is_himself(s, &identity, answer))
        return COMMAND_ERR;
    remember_name(s, identity.name);
    how = s->asks->sasl_start(s->asks->context, mechanism, identity.name, token->data, token->len, &reply, verdict_r);
    event = run_exchange(s, how, &reply, answer, verdict_r);
    strbuf_free(&reply);
    return event;
}

/* There seems to be no database of secrets. The monitor looks, says why in the log, and gives the verdict; should there
   be one by now the client may come again. */
static enum command_event refuse_without_secrets(struct cmd_auth_sasl *s, enum sasl_mechanism mechanism,
                                                 enum cmd_auth_verdict *verdict_r)
{
    struct strbuf reply = STRBUF_INIT(SASL_TICKET_MAX);

    if (s->asks->sasl_start(s->asks->context, mechanism, "-", "", 0, &reply, verdict_r) != CMD_AUTH_SASL_IS_OVER)
        *verdict_r = CMD_AUTH_UNAVAILABLE;
    strbuf_free(&reply);
    return event_of_verdict(s, *verdict_r == CMD_AUTH_GRANTED ? CMD_AUTH_UNAVAILABLE : *verdict_r);
}

/* ---- the command */

static bool may_begin(const struct cmd_auth_sasl *s, enum sasl_mechanism mechanism, const struct command *command,
                      struct answer *answer)
{
    struct strbuf shown = STRBUF_INIT(4 * COMMAND_SHOWN_MAX + 3);

    log_escape(&shown, command->args[0], strlen(command->args[0]), COMMAND_SHOWN_MAX);
    if (command->count > 2)
        malformed(answer, "too many arguments, usage: AUTH mechanism [initial-response]");
    else if (mechanism == SASL_MECHANISMS)
        command_fail(answer, REPLY_NONE, "AUTH: unknown mechanism \"%s\".", shown.data);
    else if (s->offer.barred >> mechanism & 1)
        command_fail(answer, REPLY_NONE, "AUTH: %s is not offered here.", saslname_of(mechanism));
    else if (sasl_needs_binding(mechanism) && !s->offer.binding)
        command_fail(answer, REPLY_NONE, "AUTH: %s is possible inside TLS only.", saslname_of(mechanism));
    else if (sasl_server_first(mechanism) && command->count > 1)
        command_fail(answer, REPLY_NONE, "AUTH: %s takes no initial response.", saslname_of(mechanism));
    strbuf_free(&shown);
    return answer->text.len == 0;
}

/* The client's first message: what came with the command, or the answer to `question`. */
static enum got first_token(struct cmd_auth_sasl *s, const char *initial, const char *question, struct strbuf *token,
                            struct answer *answer)
{
    if (!initial)
        return ask_client(s, question, strlen(question), token, answer);
    if (strcmp(initial, "=") == 0) /* an empty one */
        return GOT_TOKEN;
    return decode(initial, strlen(initial), token, answer);
}

enum command_event cmd_auth_sasl_run(struct cmd_auth_sasl *s, const struct command *command, struct answer *answer,
                                     enum cmd_auth_verdict *verdict_r)
{
    enum sasl_mechanism mechanism = saslname_find(command->args[0]);
    const char *initial = command->count > 1 ? command->args[1] : NULL;
    struct strbuf token = STRBUF_INIT(SASL_TICKET_MAX);
    enum command_event event;
    enum got got = GOT_TOKEN;

    s->arrived = netio_now();
    *verdict_r = CMD_AUTH_UNAVAILABLE;
    if (!may_begin(s, mechanism, command, answer))
        return COMMAND_ERR;
    log_write(LOG_DEBUG, "(null) at %s (%s): AUTH by %s", s->peer->host, s->peer->ip, saslname_of(mechanism));
    if (!sasl_carries_password(mechanism) && mechanism != SASL_GSSAPI && !s->offer.secrets)
        return refuse_without_secrets(s, mechanism, verdict_r);
    s->line_max = mechanism == SASL_GSSAPI ? TICKET_LINE_MAX : COMMAND_LINE_MAX;
    netio_set_line_max(s->io, (size_t)s->line_max);
    if (mechanism != SASL_LOGIN || initial)
        got = first_token(s, initial, sasl_server_first(mechanism) ? s->challenge : "", &token, answer);
    if (got != GOT_TOKEN)
        event = event_of(got);
    else if (mechanism == SASL_LOGIN)
        event = run_login(s, &token, initial != NULL, answer, verdict_r);
    else if (mechanism == SASL_PLAIN)
        event = run_plain(s, &token, answer, verdict_r);
    else
        event = run_proof(s, mechanism, &token, answer, verdict_r);
    netio_set_line_max(s->io, COMMAND_LINE_MAX);
    strbuf_free(&token);
    return event;
}
