/*
 * cmd_mail: see cmd_mail.h. It must never change the maildrop except by maildrop_update, nor say +OK to QUIT before
 * that was durable (I1).
 */
#include "protocol/cmd_mail.h"

#include <inttypes.h>
#include <string.h>

#include "common/log.h"
#include "mail/msgsend.h"
#include "protocol/capa.h"
#include "protocol/cmd_mangle.h"
#include "protocol/cmd_xtnd.h"
#include "protocol/stats.h"
#include "protocol/transaction.h"

#define LIST_USAGE "LIST [msg]"
#define RETR_USAGE "RETR msg"
#define TOP_USAGE "TOP msg lines"

/* ---- message numbers */

const struct transaction_wording transaction_plain_wording = { "does not exist", "has been deleted" };
const struct transaction_wording transaction_uidl_wording = { "out of range", "is marked for deletion" };

struct message *transaction_find(const struct transaction *t, const char *text, const struct transaction_wording *wording, uint64_t *number_r,
                                 struct answer *answer)
{
    struct strbuf shown = STRBUF_INIT(COMMAND_SHOWN_MAX * 4 + 3);
    struct message *m = NULL;

    if (!command_number(text, number_r)) {
        log_escape(&shown, text, strlen(text), COMMAND_SHOWN_MAX);
        command_fail(answer, REPLY_NONE, "\"%s\" is not a message number.", shown.data);
        strbuf_free(&shown);
        return NULL;
    }
    m = msglist_get(t->list, *number_r);
    if (!m) {
        command_fail(answer, REPLY_NONE, "Message %" PRIu64 " %s.", *number_r, wording->missing);
        return NULL;
    }
    if (m->flags & MSG_DELETED) {
        command_fail(answer, REPLY_NONE, "Message %" PRIu64 " %s.", *number_r, wording->deleted);
        return NULL;
    }
    return m;
}

static struct message *find_plain(const struct transaction *t, const struct command *command, uint64_t *number_r,
                                  struct answer *answer)
{
    return transaction_find(t, command->args[0], &transaction_plain_wording, number_r, answer);
}

/* ---- STAT LIST UIDL LAST */

static enum command_event run_stat(void *state, const struct command *command, struct answer *answer)
{
    const struct transaction *t = state;
    uint64_t count, octets, hidden;

    (void)command;
    msglist_totals(t->list, &count, &octets, &hidden);
    return command_say(answer, "%" PRIu64 " %" PRIu64, count, octets);
}

static enum command_event run_list(void *state, const struct command *command, struct answer *answer)
{
    struct transaction *t = state;
    const struct message *m;
    uint64_t number, count, octets, hidden;
    size_t arguments;

    if (cmd_mangle_modifier(t, command, 0, 1, LIST_USAGE, &arguments, answer) != COMMAND_OK)
        return COMMAND_ERR;
    if (t->mangle && transaction_ready(t, NULL, 0, answer) != COMMAND_OK)
        return COMMAND_ERR_END;
    if (arguments == 0) {
        msglist_totals(t->list, &count, &octets, &hidden);
        command_say(answer, "%" PRIu64 " visible messages (%" PRIu64 " octets)", count, octets);
        return COMMAND_OK_BODY;
    }
    m = find_plain(t, command, &number, answer);
    if (!m)
        return COMMAND_ERR;
    if (t->mangle)
        return cmd_mangle_size(t, number, answer);
    return command_say(answer, "%" PRIu64 " %" PRIu64, number, m->octets);
}

static enum command_event body_list(void *state, const struct command *command, struct outbuf *out)
{
    struct transaction *t = state;

    (void)command;
    if (t->mangle)
        return cmd_mangle_list(t, out);
    for (uint64_t number = 1; number <= t->list->visible && !out->failed; number++) {
        const struct message *m = msglist_get(t->list, number);

        if (m->flags & MSG_DELETED)
            continue;
        outbuf_add_numbers(out, number, m->octets);
    }
    return COMMAND_OK;
}

static enum command_event run_uidl(void *state, const struct command *command, struct answer *answer)
{
    const struct transaction *t = state;
    const struct message *m;
    uint64_t number;

    if (command->count == 0) {
        command_say(answer, "uidl command accepted.");
        return COMMAND_OK_BODY;
    }
    m = transaction_find(t, command->args[0], &transaction_uidl_wording, &number, answer);
    if (!m)
        return COMMAND_ERR;
    return command_say(answer, "%" PRIu64 " %s", number, msglist_uid(t->list, m));
}

static enum command_event body_uidl(void *state, const struct command *command, struct outbuf *out)
{
    const struct transaction *t = state;

    (void)command;
    for (uint64_t number = 1; number <= t->list->visible && !out->failed; number++) {
        const struct message *m = msglist_get(t->list, number);

        if (m->flags & MSG_DELETED)
            continue;
        outbuf_add_pair(out, number, msglist_uid(t->list, m), strlen(msglist_uid(t->list, m)));
    }
    return COMMAND_OK;
}

/* RFC 1460: the highest number that was retrieved, by this session or, as a Status header tells, an earlier one. */
static enum command_event run_last(void *state, const struct command *command, struct answer *answer)
{
    const struct transaction *t = state;
    uint64_t number = t->list->visible;

    (void)command;
    while (number > 0 && !(msglist_get(t->list, number)->flags & (MSG_RETRIEVED | MSG_SEEN)))
        number--;
    return command_say(answer, "%" PRIu64, number);
}

/* ---- RETR TOP */

enum command_event transaction_ready(struct transaction *t, const struct message *m, uint64_t body_lines, struct answer *answer)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    enum maildrop_status status = maildrop_ready(t->drop, m, body_lines, &why);

    if (status == MAILDROP_OK)
        return COMMAND_OK;
    t->broken = true;
    command_fail(answer, status == MAILDROP_PERM ? REPLY_SYS_PERM : REPLY_SYS_TEMP, "%s.", why.data);
    strbuf_free(&why);
    return COMMAND_ERR_END;
}

enum command_event transaction_broke(struct transaction *t, uint64_t number, const struct strbuf *why)
{
    t->broken = true;
    log_write(LOG_ERR, "%s at %s (%s): message %" PRIu64 " broke off, the session ends without changing the maildrop: %s",
              t->user, t->peer->host, t->peer->ip, number, why->data);
    return COMMAND_CLOSE;
}

static enum command_event send_message(struct transaction *t, uint64_t lines, struct outbuf *out)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct message *m = msglist_get(t->list, t->number);

    if (maildrop_send(t->drop, m, lines, out, &why) == MAILDROP_OK)
        return COMMAND_OK;
    transaction_broke(t, t->number, &why);
    strbuf_free(&why);
    return COMMAND_CLOSE;
}

/* Who logged in with -no-mime wants it of every message. */
static bool wants_text(struct transaction *t)
{
    if (!t->mangle && t->asks->no_mime && cmd_mangle_offered(t->settings))
        t->mangle = "XMANGLE";
    return t->mangle != NULL;
}

static enum command_event run_retr(void *state, const struct command *command, struct answer *answer)
{
    struct transaction *t = state;
    const struct message *m;
    size_t arguments;

    if (cmd_mangle_modifier(t, command, 1, 1, RETR_USAGE, &arguments, answer) != COMMAND_OK)
        return COMMAND_ERR;
    m = find_plain(t, command, &t->number, answer);
    if (!m)
        return COMMAND_ERR;
    if (transaction_ready(t, m, MSGSEND_ALL, answer) != COMMAND_OK)
        return COMMAND_ERR_END;
    if (wants_text(t))
        return cmd_mangle_run(t, t->number, answer);
    command_say(answer, "%" PRIu64 " octets", m->octets);
    return COMMAND_OK_BODY;
}

static enum command_event body_retr(void *state, const struct command *command, struct outbuf *out)
{
    struct transaction *t = state;

    (void)command;
    if ((t->mangle ? cmd_mangle_send(t, MSGSEND_ALL, out) : send_message(t, MSGSEND_ALL, out)) != COMMAND_OK)
        return COMMAND_CLOSE;
    if (!out->failed)
        msglist_get(t->list, t->number)->flags |= MSG_RETRIEVED;
    return COMMAND_OK;
}

static enum command_event run_top(void *state, const struct command *command, struct answer *answer)
{
    struct transaction *t = state;
    struct strbuf shown = STRBUF_INIT(COMMAND_SHOWN_MAX * 4 + 3);
    const struct message *m;
    size_t arguments;

    if (cmd_mangle_modifier(t, command, 2, 2, TOP_USAGE, &arguments, answer) != COMMAND_OK)
        return COMMAND_ERR;
    m = find_plain(t, command, &t->number, answer);
    if (!m)
        return COMMAND_ERR;
    if (!command_number(command->args[1], &t->lines)) {
        log_escape(&shown, command->args[1], strlen(command->args[1]), COMMAND_SHOWN_MAX);
        command_fail(answer, REPLY_NONE, "\"%s\" is not a number of lines.", shown.data);
        strbuf_free(&shown);
        return COMMAND_ERR;
    }
    if (transaction_ready(t, m, t->lines, answer) != COMMAND_OK)
        return COMMAND_ERR_END;
    if (wants_text(t))
        return cmd_mangle_run(t, t->number, answer);
    command_say(answer, "Message follows");
    return COMMAND_OK_BODY;
}

static enum command_event body_top(void *state, const struct command *command, struct outbuf *out)
{
    struct transaction *t = state;

    (void)command;
    return t->mangle ? cmd_mangle_send(t, t->lines, out) : send_message(t, t->lines, out);
}

/* ---- DELE NOOP RSET */

static enum command_event run_dele(void *state, const struct command *command, struct answer *answer)
{
    const struct transaction *t = state;
    uint64_t number;
    struct message *m = find_plain(t, command, &number, answer);

    if (!m)
        return COMMAND_ERR;
    m->flags |= MSG_DELETED;
    return command_say(answer, "Message %" PRIu64 " has been deleted.", number);
}

static enum command_event run_noop(void *state, const struct command *command, struct answer *answer)
{
    (void)state;
    (void)command;
    return command_say(answer, "no big woop");
}

static enum command_event run_rset(void *state, const struct command *command, struct answer *answer)
{
    const struct transaction *t = state;
    uint64_t count, octets, hidden;

    (void)command;
    for (size_t i = 0; i < t->list->count; i++)
        t->list->messages[i].flags &= (uint8_t)~(MSG_DELETED | MSG_RETRIEVED);
    msglist_totals(t->list, &count, &octets, &hidden);
    return command_say(answer, "Maildrop has %" PRIu64 " messages (%" PRIu64 " octets)", count, octets);
}

/* ---- CAPA QUIT */

static enum command_event body_capa(void *state, const struct command *command, struct outbuf *out)
{
    const struct transaction *t = state;
    struct capa capa = { .user_allowed = capa_user_possible(t->settings), .sasl = t->asks->sasl, .logged_in = true };

    (void)command;
    capa_list(&capa, t->settings, out);
    return COMMAND_OK;
}

/* ---- MDEF */

static enum command_event run_mdef(void *state, const struct command *command, struct answer *answer)
{
    struct transaction *t = state;
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    enum command_event event;
    const char *name;

    if (macros_define(&t->macros, command->args[0], &name, &why) == 0)
        event = command_say(answer, "Macro \"%s\" accepted", name);
    else
        event = command_fail(answer, REPLY_NONE, "This macro is not possible: %s.", why.data);
    strbuf_free(&why);
    return event;
}

static const char *expand(void *state, const char *argument)
{
    const struct transaction *t = state;

    return macros_expand(&t->macros, argument);
}

/* At QUIT only: whoever vanished may not have got what we sent. */
static void auto_delete(struct transaction *t)
{
    for (size_t i = 0; i < t->list->count; i++)
        if (t->list->messages[i].flags & MSG_RETRIEVED)
            t->list->messages[i].flags |= MSG_DELETED;
}

static bool any_deleted(const struct msglist *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->messages[i].flags & MSG_DELETED)
            return true;
    return false;
}

static void say_stats(const struct transaction *t)
{
    uint64_t left, left_octets, hidden, deleted = 0, deleted_octets = 0;

    for (size_t i = 0; i < t->list->count; i++) {
        const struct message *m = &t->list->messages[i];

        if ((m->flags & (MSG_DELETED | MSG_HIDDEN)) == MSG_DELETED) {
            deleted++;
            deleted_octets += m->octets;
        }
    }
    msglist_totals(t->list, &left, &left_octets, &hidden);
    stats_session(t->settings, t->user, t->peer, deleted, deleted_octets, left, left_octets);
}

/* UPDATE. Not COMMAND_OK: the answer says what went wrong; nothing was lost. */
static enum command_event update(struct transaction *t, struct answer *answer)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    int64_t start = netio_now();
    enum maildrop_status status;

    say_stats(t);
    status = maildrop_update(t->drop, &why);
    t->update_ns = netio_now() - start;
    if (status == MAILDROP_OK)
        return COMMAND_OK;
    command_fail(answer, REPLY_SYS_TEMP, "No mail is lost, but the maildrop could not be updated: %s.", why.data);
    strbuf_free(&why);
    return COMMAND_ERR_END;
}

static enum command_event run_quit(void *state, const struct command *command, struct answer *answer)
{
    struct transaction *t = state;

    (void)command;
    if (t->settings->auto_delete)
        auto_delete(t);
    /* A client that sent QUIT ahead and vanished before it got what it asked for must not lose it. */
    if ((any_deleted(t->list) ? netio_settle(t->io) : netio_flush(t->io)) < 0) {
        t->broken = true;
        log_write(LOG_NOTICE, "%s at %s (%s): QUIT came before the client had taken what we sent, and it took no more; "
                  "nothing was deleted", t->user, t->peer->host, t->peer->ip);
        return COMMAND_CLOSE;
    }
    if (update(t, answer) != COMMAND_OK)
        return COMMAND_ERR_END;
    command_say(answer, "Pop server at %s signing off.", t->host);
    return COMMAND_QUIT;
}

static bool was_interrupted(void *state)
{
    const struct transaction *t = state;

    return t->asks->interrupted && t->asks->interrupted(t->asks->context);
}

static const struct command_row rows[] = {
    { "STAT", 0, 0, 0, "STAT", run_stat, NULL },
    { "LIST", 0, 2, COMMAND_PARENTHESES, LIST_USAGE, run_list, body_list },
    { "RETR", 1, 2, COMMAND_PARENTHESES, RETR_USAGE, run_retr, body_retr },
    { "DELE", 1, 1, 0, "DELE msg", run_dele, NULL },
    { "NOOP", 0, 0, 0, "NOOP", run_noop, NULL },
    { "RSET", 0, 0, 0, "RSET", run_rset, NULL },
    { "TOP", 2, 3, COMMAND_PARENTHESES, TOP_USAGE, run_top, body_top },
    { "UIDL", 0, 1, 0, "UIDL [msg]", run_uidl, body_uidl },
    { "EUIDL", 0, 1, 0, "EUIDL [msg]", cmd_xtnd_run_euidl, cmd_xtnd_body_euidl },
    { "LAST", 0, 0, 0, "LAST", run_last, NULL },
    { "XTND", 1, 3, 0, "XTND XLST header [msg], XTND XMIT", cmd_xtnd_run, cmd_xtnd_body },
    { "MDEF", 1, 1, COMMAND_PARENTHESES, "MDEF name(value)", run_mdef, NULL },
    { "CAPA", 0, 0, 0, "CAPA", capa_run, body_capa },
    { "QUIT", 0, 0, 0, "QUIT", run_quit, NULL },
    { 0 },
};

static const char *const authorization_names[] = { "USER", "PASS", "APOP", "AUTH", "STLS", NULL };

static const struct command_table table = { .rows = rows,
                                            .elsewhere = authorization_names,
                                            .elsewhere_hint = "you are logged in already",
                                            .interrupted = was_interrupted,
                                            .expand = expand };

static void welcome(const struct transaction *t)
{
    struct strbuf text = STRBUF_INIT(REPLY_MAX);
    uint64_t count, octets, hidden;

    msglist_totals(t->list, &count, &octets, &hidden);
    strbuf_addf(&text, "%s has %" PRIu64 " visible message%s (%" PRIu64 " hidden) in %" PRIu64 " octets.", t->user,
                count, count == 1 ? "" : "s", hidden, octets);
    reply_ok(netio_out(t->io), text.data);
    strbuf_free(&text);
}

/* The client is gone without QUIT. */
static void update_on_abort(struct transaction *t)
{
    struct answer answer = { .text = STRBUF_INIT(STRBUF_WHY_MAX) };

    if (!t->settings->update_on_abort || t->broken)
        return;
    if (update(t, &answer) != COMMAND_OK)
        log_write(LOG_ERR, "%s at %s (%s): %s", t->user, t->peer->host, t->peer->ip, answer.text.data);
    strbuf_free(&answer.text);
}

enum command_end cmd_mail_serve(struct netio *io, const struct settings *settings, const struct peer *peer,
                                const char *host, const char *user, struct maildrop *drop,
                                const struct transaction_asks *asks, int64_t *update_ns_r)
{
    struct transaction t = {
        .io = io,
        .settings = settings,
        .peer = peer,
        .host = host,
        .user = user,
        .drop = drop,
        .list = maildrop_list(drop),
        .asks = asks,
        .xmit = -1,
        .mangled = -1,
    };
    struct command_client client = { .user = user, .peer = peer, .timeout = settings->timeout };
    enum command_end end;

    netio_set_timeout(io, settings->timeout);
    welcome(&t);
    end = command_serve(io, &table, &t, &client);
    if (end == COMMAND_END_EOF || end == COMMAND_END_TIMEOUT || end == COMMAND_END_IO)
        update_on_abort(&t);
    macros_free(&t.macros);
    if (update_ns_r)
        *update_ns_r = t.update_ns;
    return end;
}
