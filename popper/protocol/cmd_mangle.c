/*
 * cmd_mangle: see cmd_mangle.h. The message goes, as RETR would send it but with LF and without byte-stuffing, into a
 * memory file; who converts it is not this process. What comes back is sent like any message.
 */
#include "protocol/cmd_mangle.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "mail/manglespec.h"
#include "mail/msgsend.h"
#include "protocol/dotted.h"

#define BLOCK 65536

bool cmd_mangle_offered(const struct settings *settings)
{
    return settings->xmangle && options_feature_built(FEATURE_GMIME);
}

enum command_event cmd_mangle_modifier(struct transaction *t, const struct command *command, size_t least,
                                       size_t most, const char *usage, size_t *count_r, struct answer *answer)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct manglespec spec;
    enum command_event event = COMMAND_OK;

    t->mangle = NULL;
    *count_r = command->count;
    if (command->count > 0 && manglespec_is(command->args[command->count - 1]))
        t->mangle = command->args[--*count_r];
    if (*count_r < least || *count_r > most)
        event = command_fail(answer, REPLY_NONE, "Too %s arguments for the %s command, usage: %s",
                             *count_r > most ? "many" : "few", command->name, usage);
    else if (t->mangle && (!t->asks->mangle || !cmd_mangle_offered(t->settings)))
        event = command_fail(answer, REPLY_NONE, "XMANGLE is not available on this server.");
    else if (t->mangle && manglespec_parse(&spec, t->mangle, &why) < 0)
        event = command_fail(answer, REPLY_NONE, "Syntax error in Mangle: %s.", why.data);
    strbuf_free(&why);
    return event;
}

/* ---- converting */

/* Between msgsend and the memory file. */
struct unstuffing {
    struct dotted dotted;
    struct outbuf text;
    int fd;
};

static int write_text(void *context, const char *bytes, size_t n)
{
    const struct unstuffing *u = context;

    return file_write(u->fd, bytes, n) == (ssize_t)n ? 0 : -1;
}

static int unstuff(void *context, const char *bytes, size_t n)
{
    struct unstuffing *u = context;

    return dotted_feed(&u->dotted, bytes, n, &u->text) == n && !u->text.failed ? 0 : -1;
}

/* COMMAND_OK and the octets that were written; COMMAND_ERR: the memory file takes no more; COMMAND_CLOSE: the message
   cannot be read. */
static enum command_event fill(struct transaction *t, const struct message *m, int fd, uint64_t *octets_r, struct strbuf *why)
{
    struct unstuffing u = { .dotted = DOTTED_INIT, .fd = fd };
    enum command_event event = COMMAND_OK;
    struct outbuf stuffed;

    outbuf_init(&u.text, BLOCK, write_text, &u);
    outbuf_init(&stuffed, BLOCK, unstuff, &u);
    if (maildrop_send(t->drop, m, MSGSEND_ALL, &stuffed, why) != MAILDROP_OK)
        event = COMMAND_CLOSE;
    else if (outbuf_flush(&stuffed) < 0 || outbuf_flush(&u.text) < 0) {
        strbuf_fail(why, "no memory for it: %s", strerror(errno));
        event = COMMAND_ERR;
    }
    *octets_r = u.text.total;
    outbuf_free(&stuffed);
    outbuf_free(&u.text);
    return event;
}

static void drop_result(struct transaction *t)
{
    if (t->mangled >= 0)
        close(t->mangled);
    t->mangled = -1;
}

/* COMMAND_OK and t->mangled; COMMAND_ERR and why (errno EINVAL: the charset); COMMAND_CLOSE and why: the maildrop
   cannot be read. */
static enum command_event convert(struct transaction *t, uint64_t number, struct strbuf *why)
{
    const struct transaction_asks *asks = t->asks;
    const struct message *m = msglist_get(t->list, number);
    enum command_event event;
    uint64_t octets;
    int fd;

    drop_result(t);
    fd = asks->mangle_open(asks->context, m->octets, why);
    if (fd < 0)
        return COMMAND_ERR;
    event = fill(t, m, fd, &octets, why);
    close(fd);
    if (event != COMMAND_OK)
        return event;
    t->mangled = asks->mangle(asks->context, octets, t->mangle, &t->mangled_header, why);
    return t->mangled >= 0 ? COMMAND_OK : COMMAND_ERR;
}

/* The answer to a message that was not converted. */
static enum command_event refuse(struct transaction *t, enum command_event event, uint64_t number, const struct strbuf *why,
                                 struct answer *answer)
{
    bool charset = event == COMMAND_ERR && errno == EINVAL;

    command_fail(answer, charset ? REPLY_NONE : REPLY_SYS_TEMP, "Message %" PRIu64 " cannot be converted: %s.", number,
                 why->data);
    if (event == COMMAND_ERR)
        return COMMAND_ERR;
    t->broken = true;
    return COMMAND_ERR_END;
}

enum command_event cmd_mangle_run(struct transaction *t, uint64_t number, struct answer *answer)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    enum command_event event = convert(t, number, &why);

    if (event == COMMAND_OK) {
        command_say(answer, "Message follows");
        event = COMMAND_OK_BODY;
    } else {
        event = refuse(t, event, number, &why, answer);
    }
    strbuf_free(&why);
    return event;
}

/* ---- sending */

/* 0, or -1 and why. */
static int send_result(const struct transaction *t, uint64_t lines, struct outbuf *out, uint64_t *octets_r, struct strbuf *why)
{
    struct message m = { .header_len = (uint32_t)t->mangled_header };
    struct msgwindow window = MSGWINDOW_INIT;
    struct stat st;
    int result;

    if (fstat(t->mangled, &st) != 0)
        return strbuf_fail(why, "%s", strerror(errno));
    m.length = (uint64_t)st.st_size;
    result = msgsend_message(&window, t->mangled, 0, &m, "", lines, out, octets_r, why);
    msgwindow_free(&window);
    return result;
}

enum command_event cmd_mangle_send(struct transaction *t, uint64_t lines, struct outbuf *out)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    enum command_event event = COMMAND_OK;

    if (send_result(t, lines, out, NULL, &why) < 0)
        event = transaction_broke(t, t->number, &why);
    drop_result(t);
    strbuf_free(&why);
    return event;
}

static int drop_bytes(void *context, const char *bytes, size_t n)
{
    (void)context, (void)bytes, (void)n;
    return 0;
}

/* Of the result, which is dropped then. */
static enum command_event count_octets(struct transaction *t, uint64_t *octets_r, struct strbuf *why)
{
    struct outbuf nowhere;
    int result;

    outbuf_init(&nowhere, BLOCK, drop_bytes, NULL);
    result = send_result(t, MSGSEND_ALL, &nowhere, octets_r, why);
    outbuf_free(&nowhere);
    drop_result(t);
    return result == 0 ? COMMAND_OK : COMMAND_ERR;
}

enum command_event cmd_mangle_size(struct transaction *t, uint64_t number, struct answer *answer)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    enum command_event event = convert(t, number, &why);
    uint64_t octets;

    if (event == COMMAND_OK)
        event = count_octets(t, &octets, &why);
    if (event == COMMAND_OK)
        command_say(answer, "%" PRIu64 " %" PRIu64, number, octets);
    else
        event = refuse(t, event, number, &why, answer);
    strbuf_free(&why);
    return event;
}

enum command_event cmd_mangle_list(struct transaction *t, struct outbuf *out)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    enum command_event event = COMMAND_OK;

    for (uint64_t number = 1; number <= t->list->visible && !out->failed && event != COMMAND_CLOSE; number++) {
        const struct message *m = msglist_get(t->list, number);
        uint64_t octets = m->octets;

        if (m->flags & MSG_DELETED)
            continue;
        event = convert(t, number, &why);
        if (event == COMMAND_OK && count_octets(t, &octets, &why) != COMMAND_OK)
            octets = m->octets;
        if (event == COMMAND_CLOSE)
            transaction_broke(t, number, &why);
        else
            outbuf_addf(out, "%" PRIu64 " %" PRIu64 "\r\n", number, octets);
        if (t->asks->interrupted && t->asks->interrupted(t->asks->context))
            event = COMMAND_CLOSE;
    }
    strbuf_free(&why);
    return event == COMMAND_CLOSE ? COMMAND_CLOSE : COMMAND_OK;
}
