/*
 * cmd_xtnd: see cmd_xtnd.h. Text out of a message is never a format, and reaches replies only bounded and without control characters.
 */
#include "protocol/cmd_xtnd.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/log.h"
#include "mail/filecalls.h"
#include "protocol/dotted.h"
#include "protocol/headerline.h"
#include "protocol/transaction.h"

#define FIELD_NAME_MAX 64 /* longer ones stand in no header, and the reply repeats it */
#define FROM_SHOWN 128 /* facts 4.2 */
#define PIECE 65536

/* ---- XLST and XLIST */

static bool is_field_name(const char *name)
{
    size_t n = strlen(name);

    if (n > 0 && name[n - 1] == ':')
        n--;
    for (size_t i = 0; i < n; i++) {
        if (name[i] <= ' ' || name[i] == ':' || name[i] > '~')
            return false;
    }
    return n > 0 && n <= FIELD_NAME_MAX;
}

static enum command_event run_list(struct transaction *t, const struct command *command, struct answer *answer)
{
    t->number = 0;
    if (command->count < 2)
        return command_fail(answer, REPLY_NONE, "Too few arguments for the XTND %s command, usage: XTND XLST header [msg]", command->args[0]);
    if (!is_field_name(command->args[1]))
        return command_fail(answer, REPLY_NONE, "The second argument of XTND XLST must be the name of a header.");
    if (command->count == 3 && !transaction_find(t, command->args[2], &transaction_plain_wording, &t->number, answer))
        return COMMAND_ERR;
    if (transaction_ready(t, NULL, 0, answer) != COMMAND_OK)
        return COMMAND_ERR_END;
    command_say(answer, "xtnd extension accepted");
    return COMMAND_OK_BODY;
}

/* "5 Subject: hello"; a message without that header gets an empty one. */
static enum command_event list_one(struct transaction *t, const char *name, uint64_t number, struct outbuf *out)
{
    struct strbuf text = STRBUF_INIT(HEADERLINE_MAX), why = STRBUF_INIT(STRBUF_WHY_MAX);
    enum command_event event = COMMAND_OK;

    if (headerline_find(t->drop, msglist_get(t->list, number), name, &text, &why) != MAILDROP_OK)
        event = transaction_broke(t, number, &why);
    outbuf_add_number(out, number);
    outbuf_addf(out, " %s: ", name);
    outbuf_add(out, text.data, text.len);
    outbuf_add(out, "\r\n", 2);
    strbuf_free(&text);
    strbuf_free(&why);
    return event;
}

enum command_event cmd_xtnd_body(void *state, const struct command *command, struct outbuf *out)
{
    struct transaction *t = state;
    struct strbuf name = STRBUF_INIT(COMMAND_LINE_MAX);
    enum command_event event = COMMAND_OK;

    strbuf_adds(&name, command->args[1]);
    if (name.data[name.len - 1] == ':')
        strbuf_truncate(&name, name.len - 1);
    if (t->number > 0)
        event = list_one(t, name.data, t->number, out);
    for (uint64_t n = 1; t->number == 0 && n <= t->list->visible && event == COMMAND_OK && !out->failed; n++) {
        if (!(msglist_get(t->list, n)->flags & MSG_DELETED))
            event = list_one(t, name.data, n, out);
    }
    strbuf_free(&name);
    return event;
}

/* ---- XMIT */

struct letter {
    int fd;
    uint64_t length;
    int error;       /* the first errno, or EFBIG; the rest of the message is read and dropped */
};

static int store(void *context, const char *bytes, size_t n)
{
    struct letter *letter = context;

    if (letter->error == 0 && letter->length + n > CMD_XTND_MESSAGE_MAX)
        letter->error = EFBIG;
    if (letter->error == 0 && filecalls_write(letter->fd, bytes, n, (off_t)letter->length) < 0)
        letter->error = errno;
    letter->length += n;
    return 0;
}

/* Reads to the lone dot. NETIO_LINE, or how the input ended before it. */
static enum netio_status receive(struct transaction *t, struct letter *letter)
{
    struct dotted dotted = DOTTED_INIT;
    enum netio_status status = NETIO_LINE;
    struct outbuf out;
    bool ended = false;

    outbuf_init(&out, PIECE, store, letter);
    while (!ended && !dotted_ended(&dotted)) {
        const char *bytes;
        size_t n, used;

        status = netio_bytes(t->io, &bytes, &n);
        if (status == NETIO_LINE) {
            used = dotted_feed(&dotted, bytes, n, &out);
            netio_give_back(t->io, n - used);
        } else if (status != NETIO_INTERRUPTED || (t->asks->interrupted && t->asks->interrupted(t->asks->context))) {
            ended = true;
        }
    }
    outbuf_flush(&out);
    outbuf_free(&out);
    return ended ? status : NETIO_LINE;
}

static enum command_event send_letter(struct transaction *t, const struct letter *letter, struct answer *answer)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);

    if (letter->error == EFBIG)
        strbuf_fail(&why, "it has more than %" PRIu64 " bytes", CMD_XTND_MESSAGE_MAX);
    else if (letter->error)
        strbuf_fail(&why, "it cannot be kept: %s", strerror(letter->error));
    else if (letter->length == 0)
        strbuf_fail(&why, "it is empty");
    else if (t->asks->xmit_send(t->asks->context, &why) == 0) {
        log_write(LOG_DEBUG, "Pop transmit from \"%s\" on \"%s\"", t->user, t->peer->host);
        strbuf_free(&why);
        return command_say(answer, "Message sent successfully");
    }
    log_write(LOG_NOTICE, "%s at %s (%s): a message of XTND XMIT was not sent: %s", t->user, t->peer->host, t->peer->ip, why.data);
    command_fail(answer, REPLY_NONE, "Unable to send message: %s.", why.data);
    strbuf_free(&why);
    return COMMAND_ERR;
}

/* The second half, after "+OK Start sending message." went out. */
static enum command_event take_letter(struct transaction *t, struct answer *answer)
{
    struct letter letter = { .fd = t->xmit };
    enum command_event event = COMMAND_LOST;

    t->xmit = -1;
    answer->lost = receive(t, &letter);
    if (answer->lost == NETIO_LINE)
        event = send_letter(t, &letter, answer);
    else
        log_write(LOG_NOTICE, "%s at %s (%s): gone in the middle of a message of XTND XMIT; it was not sent", t->user, t->peer->host, t->peer->ip);
    close(letter.fd);
    return event;
}

static enum command_event run_xmit(struct transaction *t, const struct command *command, struct answer *answer)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);

    if (command->count > 1)
        return command_fail(answer, REPLY_NONE, "Too many arguments for the XTND XMIT command, usage: XTND XMIT");
    if (!t->settings->xmit || !t->asks->xmit_open)
        return command_fail(answer, REPLY_NONE, "XTND XMIT is not available on this server.");
    t->xmit = t->asks->xmit_open(t->asks->context, &why);
    if (t->xmit < 0) {
        log_write(LOG_ERR, "%s at %s (%s): no file for a message of XTND XMIT: %s", t->user, t->peer->host, t->peer->ip, why.data);
        command_fail(answer, REPLY_SYS_TEMP, "Unable to take a message at the moment.");
        strbuf_free(&why);
        return COMMAND_ERR;
    }
    command_say(answer, "Start sending message.");
    return COMMAND_OK_AGAIN;
}

enum command_event cmd_xtnd_run(void *state, const struct command *command, struct answer *answer)
{
    struct transaction *t = state;

    if (t->xmit >= 0)
        return take_letter(t, answer);
    if (strcasecmp(command->args[0], "XLST") == 0 || strcasecmp(command->args[0], "XLIST") == 0)
        return run_list(t, command, answer);
    if (strcasecmp(command->args[0], "XMIT") == 0)
        return run_xmit(t, command, answer);
    return command_fail(answer, REPLY_NONE, "Unknown XTND command; known are XLST, XLIST and XMIT.");
}

/* ---- EUIDL */

/* "5 uid 1234 Ann <ann@example.org>" without the line end. */
static enum command_event euidl_line(struct transaction *t, uint64_t number, struct strbuf *line)
{
    struct strbuf from = STRBUF_INIT(FROM_SHOWN), why = STRBUF_INIT(STRBUF_WHY_MAX);
    const struct message *m = msglist_get(t->list, number);
    enum command_event event = COMMAND_OK;

    if (headerline_find(t->drop, m, "From", &from, &why) != MAILDROP_OK)
        event = transaction_broke(t, number, &why);
    strbuf_addf(line, "%" PRIu64 " %s %" PRIu64 " ", number, msglist_uid(t->list, m), m->octets);
    strbuf_add(line, from.data, from.len);
    strbuf_free(&from);
    strbuf_free(&why);
    return event;
}

enum command_event cmd_xtnd_run_euidl(void *state, const struct command *command, struct answer *answer)
{
    struct transaction *t = state;
    uint64_t number;

    if (command->count > 0 && !transaction_find(t, command->args[0], &transaction_uidl_wording, &number, answer))
        return COMMAND_ERR;
    if (transaction_ready(t, NULL, 0, answer) != COMMAND_OK)
        return COMMAND_ERR_END;
    if (command->count == 0) {
        command_say(answer, "uidl command accepted.");
        return COMMAND_OK_BODY;
    }
    return euidl_line(t, number, &answer->text);
}

enum command_event cmd_xtnd_body_euidl(void *state, const struct command *command, struct outbuf *out)
{
    struct transaction *t = state;
    enum command_event event = COMMAND_OK;

    (void)command;
    for (uint64_t n = 1; n <= t->list->visible && event == COMMAND_OK && !out->failed; n++) {
        struct strbuf line = STRBUF_INIT(COMMAND_LINE_MAX);

        if (msglist_get(t->list, n)->flags & MSG_DELETED)
            continue;
        event = euidl_line(t, n, &line);
        outbuf_add(out, line.data, line.len);
        outbuf_add(out, "\r\n", 2);
        strbuf_free(&line);
    }
    return event;
}
