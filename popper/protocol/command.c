/*
 * command: see command.h. Client text leaves here only escaped and bounded; arguments of commands that are not in the
 * table are never shown at all, since they may be a password that came at the wrong time.
 */
#include "protocol/command.h"

#include <config.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "common/log.h"

#define COMMAND_NAME_MAX 32 /* bytes of an unknown command that are shown */

struct serving {
    struct netio *io;
    const struct command_table *table;
    void *state;
    const struct command_client *client;
    unsigned errors; /* -ERR replies so far */
    bool astray; /* a command with a secret came to nothing: the client may send the secret all the same */
    enum netio_status lost; /* of the last command, with COMMAND_LOST */
};

enum command_event command_say(struct answer *answer, const char *format, ...)
{
    va_list ap;

    strbuf_reset(&answer->text);
    va_start(ap, format);
    strbuf_addv(&answer->text, format, ap);
    va_end(ap);
    return COMMAND_OK;
}

enum command_event command_fail(struct answer *answer, enum reply_code code, const char *format, ...)
{
    va_list ap;

    answer->code = code;
    strbuf_reset(&answer->text);
    va_start(ap, format);
    strbuf_addv(&answer->text, format, ap);
    va_end(ap);
    return COMMAND_ERR;
}

bool command_number(const char *text, uint64_t *n_r)
{
    uint64_t n = 0;
    size_t digits = 0;

    for (; text[digits]; digits++) {
        if (text[digits] < '0' || text[digits] > '9' || digits == 19)
            return false;
        n = n * 10 + (uint64_t)(text[digits] - '0');
    }
    if (digits == 0)
        return false;
    *n_r = n;
    return true;
}

/* ---- what is said about the client */

static const char *shown_user(const struct command_client *client)
{
    return client->user ? client->user : "(null)";
}

static void log_err(const struct command_client *client, enum reply_code code, const char *text)
{
    log_write(LOG_NOTICE, "%s at %s (%s): -ERR %s%s", shown_user(client), client->peer->host, client->peer->ip,
              reply_code_text(code), text);
}

void command_refuse(struct netio *io, const struct command_client *client, enum reply_code code, const char *text)
{
    log_err(client, code, text);
    reply_err(netio_out(io), code, text);
    netio_flush(io);
}

/* A client that only makes errors must not fill the log. */
static void serve_log_err(struct serving *s, enum reply_code code, const char *text)
{
    if (s->errors < COMMAND_ERRORS_LOGGED)
        log_err(s->client, code, text);
    else if (s->errors == COMMAND_ERRORS_LOGGED)
        log_write(LOG_NOTICE, "%s at %s (%s): %d -ERR replies in this session; no more of them are logged",
                  shown_user(s->client), s->client->peer->host, s->client->peer->ip, COMMAND_ERRORS_LOGGED);
    s->errors++;
}

/* ---- one line */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static char *skip_blanks(char *at)
{
    while (is_blank(*at))
        at++;
    return at;
}

/* The end of the word at `at`. A parenthesis that is never closed takes the rest of the line. */
static char *skip_word(char *at, bool parentheses)
{
    size_t depth = 0;

    for (; *at && (depth > 0 || !is_blank(*at)); at++) {
        if (parentheses && *at == '(')
            depth++;
        else if (*at == ')' && depth > 0)
            depth--;
    }
    return at;
}

static const struct command_row *find_row(const struct command_table *table, const char *name)
{
    for (const struct command_row *row = table->rows; row->name; row++) {
        if (strcasecmp(row->name, name) == 0)
            return row;
    }
    return NULL;
}

static bool is_elsewhere(const struct command_table *table, const char *name)
{
    for (const char *const *known = table->elsewhere; known && *known; known++) {
        if (strcasecmp(*known, name) == 0)
            return true;
    }
    return false;
}

static enum command_event fail_unknown(const struct serving *s, const char *name, struct answer *answer)
{
    const struct command_table *table = s->table;
    struct strbuf shown = STRBUF_INIT(COMMAND_NAME_MAX * 4 + 3);
    enum command_event event;

    if (s->astray && !is_elsewhere(table, name))
        return command_fail(answer, REPLY_NONE, "Unknown command (not shown: it may be a secret that belongs to the command before it).");
    log_escape(&shown, name, strlen(name), COMMAND_NAME_MAX);
    if (is_elsewhere(table, name))
        event = command_fail(answer, REPLY_NONE, "\"%s\" is not possible in this state: %s.", shown.data,
                             table->elsewhere_hint);
    else
        event = command_fail(answer, REPLY_NONE, "Unknown command: \"%s\".", shown.data);
    strbuf_free(&shown);
    return event;
}

/* Splits the text after the keyword. False when there are more words than any command takes. */
static bool parse_words(char *at, bool parentheses, struct command *command)
{
    for (at = skip_blanks(at); *at; at = skip_blanks(at)) {
        if (command->count == COMMAND_ARGS_MAX)
            return false;
        command->args[command->count++] = at;
        at = skip_word(at, parentheses);
        if (*at)
            *at++ = '\0';
    }
    return true;
}

static bool parse_arguments(const struct command_row *row, char *at, struct command *command)
{
    if (!(row->flags & COMMAND_REST))
        return parse_words(at, row->flags & COMMAND_PARENTHESES, command);
    if (*at)
        command->args[command->count++] = at;
    return true;
}

static void expand_arguments(const struct serving *s, struct command *command)
{
    for (size_t i = 0; s->table->expand && i < command->count; i++)
        command->args[i] = s->table->expand(s->state, command->args[i]);
}

static void trace_command(const struct serving *s, const struct command_row *row, const struct command *command)
{
    struct strbuf shown = STRBUF_INIT(LOG_RECORD_MAX);

    strbuf_adds(&shown, row->name);
    for (size_t i = 0; i < command->count; i++) {
        strbuf_addc(&shown, ' ');
        if (row->flags & COMMAND_SECRET)
            strbuf_adds(&shown, "********");
        else
            log_escape(&shown, command->args[i], strlen(command->args[i]), COMMAND_SHOWN_MAX);
    }
    log_write(LOG_DEBUG, "%s at %s (%s): Received: \"%s\"", shown_user(s->client), s->client->peer->host,
              s->client->peer->ip, shown.data);
    strbuf_free(&shown);
}

/* Parses the line and runs its row. *row_r is NULL when none was found. */
static enum command_event run_line(struct serving *s, char *line, size_t len, const struct command_row **row_r,
                                   struct command *command, struct answer *answer)
{
    const struct command_row *row;
    char *name, *rest;

    if (memchr(line, '\0', len))
        return command_fail(answer, REPLY_NONE, "Command line with a NUL byte ignored.");
    name = skip_blanks(line);
    rest = skip_word(name, false);
    if (*rest)
        *rest++ = '\0';
    if (!*name)
        return command_fail(answer, REPLY_NONE, "Empty command line.");
    row = find_row(s->table, name);
    if (!row)
        return fail_unknown(s, name, answer);
    *row_r = row;
    command->name = row->name;
    if (!parse_arguments(row, rest, command) || command->count > row->max_args)
        return command_fail(answer, REPLY_NONE, "Too many arguments for the %s command, usage: %s", row->name,
                            row->usage);
    if (command->count < row->min_args)
        return command_fail(answer, REPLY_NONE, "Too few arguments for the %s command, usage: %s", row->name,
                            row->usage);
    if (log_debugging())
        trace_command(s, row, command);
    expand_arguments(s, command);
    return row->run(s->state, command, answer);
}

/* Writes what the event asks for. Returns the event, or COMMAND_CLOSE when a body broke off. */
static enum command_event reply_event(struct serving *s, enum command_event event, const struct command_row *row,
                                      const struct command *command, struct answer *answer)
{
    struct outbuf *out = netio_out(s->io);

    switch (event) {
    case COMMAND_OK:
    case COMMAND_QUIT:
        reply_ok(out, answer->text.data);
        break;
    case COMMAND_OK_AGAIN:
        reply_ok(out, answer->text.data);
        if (!row || netio_flush(s->io) < 0)
            return COMMAND_CLOSE;
        strbuf_reset(&answer->text);
        return reply_event(s, row->run(s->state, command, answer), row, command, answer);
    case COMMAND_OK_BODY:
        reply_ok(out, answer->text.data);
        if (row && row->body(s->state, command, out) == COMMAND_CLOSE)
            return COMMAND_CLOSE;
        reply_end(out);
        break;
    case COMMAND_OK_THEN:
        reply_ok(out, answer->text.data);
        if (netio_flush(s->io) == 0 && row && row->body(s->state, command, out) == COMMAND_CLOSE)
            return COMMAND_CLOSE;
        break;
    case COMMAND_ERR:
    case COMMAND_ERR_END:
        serve_log_err(s, answer->code, answer->text.data);
        reply_err(out, answer->code, answer->text.data);
        break;
    case COMMAND_NEXT_STATE:
    case COMMAND_CLOSE:
    case COMMAND_LOST:
        return event;
    }
    if (log_debugging() && event != COMMAND_ERR && event != COMMAND_ERR_END)
        log_write(LOG_DEBUG, "%s at %s (%s): Sent: \"+OK %s\"", shown_user(s->client), s->client->peer->host,
                  s->client->peer->ip, answer->text.data);
    return event;
}

/* One line from the client, answered. */
static enum command_event serve_line(struct serving *s, enum netio_status status, char *line, size_t len)
{
    struct answer answer = { .code = REPLY_NONE, .text = STRBUF_INIT(REPLY_MAX) };
    struct command command = { .count = 0 };
    const struct command_row *row = NULL;
    enum command_event event;

    if (status == NETIO_TOO_LONG)
        event = command_fail(&answer, REPLY_NONE, "Command line longer than %d bytes ignored.", COMMAND_LINE_MAX);
    else
        event = run_line(s, line, len, &row, &command, &answer);
    if (row)
        s->astray = (row->flags & COMMAND_SECRET) && event == COMMAND_ERR;
    event = reply_event(s, event, row, &command, &answer);
    s->lost = answer.lost;
    strbuf_free(&answer.text);
    /* Also what was no command: it may have been a password. */
    if (!row || (row->flags & COMMAND_SECRET))
        netio_wipe_consumed(s->io);
    return event;
}

/* ---- how it ends */

static bool taken_over(const struct serving *s)
{
    return s->table->interrupted && s->table->interrupted(s->state);
}

/* Which of the two limits it was. */
static int timeout_seconds(const struct serving *s)
{
    int64_t idle = (netio_now() - netio_last_moved(s->io)) / 1000000000;

    if (s->client->deadline > 0 && idle + 1 < s->client->timeout)
        return s->client->deadline;
    return s->client->timeout;
}

/* Says what upstream says (facts 4.1), to the log always and to the client where somebody may still listen. */
static enum command_end end_lost(const struct serving *s, enum netio_status status)
{
    const struct peer *peer = s->client->peer;
    struct strbuf text = STRBUF_INIT(REPLY_MAX);
    enum command_end end = COMMAND_END_IO;

    if (status == NETIO_TIMEOUT) {
        log_write(LOG_NOTICE, "(v%s) Timeout (%d secs) during nw read from %s at %s (%s)", PACKAGE_VERSION,
                  timeout_seconds(s), shown_user(s->client), peer->host, peer->ip);
        strbuf_addf(&text, "POP timeout from %s", peer->host);
        end = COMMAND_END_TIMEOUT;
    } else if (status == NETIO_EOF) {
        strbuf_adds(&text, "POP EOF or I/O Error");
        end = COMMAND_END_EOF;
    } else {
        strbuf_addf(&text, "POP hangup from %s", peer->host);
    }
    if (end == COMMAND_END_IO)
        log_err(s->client, REPLY_NONE, text.data);
    else
        command_refuse(s->io, s->client, REPLY_NONE, text.data);
    strbuf_free(&text);
    return end;
}

/* The signal may have closed the connection for reading to wake us. */
static enum command_end input_lost(const struct serving *s, enum netio_status status)
{
    return taken_over(s) ? COMMAND_END_TAKEOVER : end_lost(s, status);
}

static enum command_end end_output_lost(const struct serving *s)
{
    if (taken_over(s))
        return COMMAND_END_TAKEOVER;
    log_write(LOG_NOTICE, "(v%s) I/O error flushing output to client %s at %s (%s)", PACKAGE_VERSION,
              shown_user(s->client), s->client->peer->host, s->client->peer->ip);
    return COMMAND_END_IO;
}

/* True when the event ends the state; *end_r says how. */
static bool event_ends(const struct serving *s, enum command_event event, enum command_end *end_r)
{
    bool failed = netio_out(s->io)->failed;

    switch (event) {
    case COMMAND_OK:
    case COMMAND_OK_BODY:
    case COMMAND_OK_AGAIN:
    case COMMAND_OK_THEN:
    case COMMAND_ERR:
        if (failed)
            *end_r = end_output_lost(s);
        return failed;
    case COMMAND_QUIT:
        *end_r = COMMAND_END_QUIT;
        netio_flush(s->io);
        return true;
    case COMMAND_ERR_END:
        *end_r = COMMAND_END_ERR;
        netio_flush(s->io);
        return true;
    case COMMAND_NEXT_STATE:
        *end_r = netio_flush(s->io) == 0 ? COMMAND_END_NEXT_STATE : end_output_lost(s);
        return true;
    case COMMAND_CLOSE:
        *end_r = failed ? end_output_lost(s) : COMMAND_END_IO;
        return true;
    case COMMAND_LOST:
        *end_r = input_lost(s, s->lost);
        return true;
    }
    return true;
}

enum command_end command_serve(struct netio *io, const struct command_table *table, void *state,
                               const struct command_client *client)
{
    struct serving s = { .io = io, .table = table, .state = state, .client = client };
    enum command_end end = COMMAND_END_IO;
    enum netio_status status;
    char *line;
    size_t len;

    for (;;) {
        status = netio_line(io, &line, &len);
        switch (status) {
        case NETIO_LINE:
        case NETIO_TOO_LONG:
            if (event_ends(&s, serve_line(&s, status, line, len), &end))
                return end;
            break;
        case NETIO_INTERRUPTED:
            if (taken_over(&s))
                return COMMAND_END_TAKEOVER;
            break;
        case NETIO_EOF:
        case NETIO_TIMEOUT:
        case NETIO_ERROR:
            return input_lost(&s, status);
        }
    }
}
