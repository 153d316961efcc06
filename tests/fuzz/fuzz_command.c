/*
 * fuzz_command: whatever a client says, in both states. Promised: every reply line is printable ASCII, short enough and
 * ends in CRLF; no record has control characters; what is asked about a login is not empty. The first byte chooses:
 * even before login (plus 2: in TLS, plus 4: with a database of secrets), odd after it.
 */
#include <fcntl.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "mail/msgsend.h"
#include "protocol/cmd_auth.h"
#include "protocol/cmd_mail.h"
#include "tests/fuzz/fuzz.h"
/* The whole of it, so that the archive's netio stays out. */
#include "tests/unit/fake_netio.c"

struct maildrop {
    struct msglist list;
};

static struct peer peer = { .host = "mua.example", .ip = "192.0.2.7" };

struct msglist *maildrop_list(struct maildrop *d)
{
    return &d->list;
}

enum maildrop_status maildrop_ready(struct maildrop *d, const struct message *m, uint64_t body_lines, struct strbuf *why)
{
    (void)d, (void)m, (void)body_lines, (void)why;
    return MAILDROP_OK;
}

enum maildrop_status maildrop_send(struct maildrop *d, const struct message *m, uint64_t body_lines, struct outbuf *out,
                                   struct strbuf *why)
{
    (void)body_lines, (void)why;
    outbuf_addf(out, "text of %s\r\n", msglist_uid(&d->list, m));
    return MAILDROP_OK;
}

enum maildrop_status maildrop_update(struct maildrop *d, struct strbuf *why)
{
    (void)d, (void)why;
    return MAILDROP_OK;
}

static enum cmd_auth_verdict ask(void *context, const char *name, const char *password)
{
    (void)context;
    FUZZ_REQUIRE(*name && strlen(name) <= COMMAND_LINE_MAX, "name \"%s\"", name);
    FUZZ_REQUIRE(*password && strlen(password) <= COMMAND_LINE_MAX, "password \"%s\"", password);
    return strcmp(password, "right") == 0 ? CMD_AUTH_GRANTED : CMD_AUTH_REFUSED;
}

static enum cmd_auth_sasl_state step(void *context, const char *token, size_t n, struct strbuf *reply,
                                     enum cmd_auth_verdict *verdict_r)
{
    (void)context;
    FUZZ_REQUIRE(n <= SASL_TOKEN_MAX, "%zu", n);
    *verdict_r = n == 0 ? CMD_AUTH_GRANTED : CMD_AUTH_REFUSED;
    strbuf_reset(reply);
    strbuf_adds(reply, "go on");
    return n % 3 == 0 ? CMD_AUTH_SASL_IS_OVER : token[0] % 2 ? CMD_AUTH_SASL_GOES_ON : CMD_AUTH_SASL_MALFORMED;
}

static enum cmd_auth_sasl_state begin(void *context, enum sasl_mechanism mechanism, const char *name, const char *token,
                                      size_t n, struct strbuf *reply, enum cmd_auth_verdict *verdict_r)
{
    FUZZ_REQUIRE(*name && strlen(name) <= SASL_NAME_MAX, "name \"%s\"", name);
    FUZZ_REQUIRE(!sasl_carries_password(mechanism), "%d", mechanism);
    return step(context, token, n, reply, verdict_r);
}

static void cancel(void *context)
{
    (void)context;
}

static bool has_binding(void *context)
{
    (void)context;
    return true;
}

static void look_at_record(void *context, int priority, const char *text, size_t length)
{
    (void)context;
    FUZZ_REQUIRE(priority >= LOG_ERR && priority <= LOG_DEBUG, "%d", priority);
    FUZZ_REQUIRE(length <= LOG_RECORD_MAX, "%zu", length);
    for (size_t i = 0; i < length; i++)
        FUZZ_REQUIRE((unsigned char)text[i] >= ' ' && text[i] != 0x7f, "record \"%s\"", text);
}

static void look_at_replies(const char *heard)
{
    while (*heard) {
        const char *end = strstr(heard, "\r\n");

        FUZZ_REQUIRE(end, "a reply without line end: %s", heard);
        FUZZ_REQUIRE(end - heard <= REPLY_MAX - 2, "%s", heard);
        const bool ok = strncmp(heard, "+OK", 3) == 0; /* these carry the bytes of headers as they are */

        for (; heard < end; heard++)
            FUZZ_REQUIRE((*heard >= ' ' && *heard <= '~') || (ok && (unsigned char)*heard >= 0x80), "%s", heard);
        heard += 2;
    }
}

/* XTND XMIT's message goes to /dev/null. */
static int xmit_open(void *context, struct strbuf *why)
{
    (void)context, (void)why;
    return open("/dev/null", O_WRONLY | O_CLOEXEC);
}

static int xmit_send(void *context, struct strbuf *why)
{
    (void)context;
    return strbuf_fail(why, "no such mailbox");
}

static const struct transaction_asks mail_asks = { .xmit_open = xmit_open, .xmit_send = xmit_send };

static void serve_mail(struct netio *io, const struct settings *settings)
{
    struct maildrop drop = { .list = { .count = 0 } };
    struct message m = { .octets = 100 };

    msglist_init(&drop.list);
    msglist_add(&drop.list, &m, "uid-1");
    msglist_add(&drop.list, &m, "uid-2");
    m.flags = MSG_HIDDEN;
    msglist_add(&drop.list, &m, "uid-3");
    msglist_number(&drop.list);
    cmd_mail_serve(io, settings, &peer, "pop.example", "alice", &drop, &mail_asks, NULL);
    msglist_free(&drop.list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct settings settings = {
        .timeout = 600, .preauth_timeout = 60, .announce_expire = -1, .announce_login_delay = -1, .statistics = true
    };
    struct cmd_auth_asks asks = { .password = ask, .apop = ask, .sasl_start = begin, .sasl_step = step,
                                  .sasl_cancel = cancel, .binding = has_binding, .tls = size > 0 && data[0] & 2 };
    struct netio *io;

    if (size < 1)
        return 0;
    log_set_sink(look_at_record, NULL);
    log_set_debug(true);
    io = fake_netio_new();
    fake_say_bytes(io, (const char *)data + 1, size - 1);
    if (data[0] & 1)
        serve_mail(io, &settings);
    else
        cmd_auth_serve(io, &settings, &peer, "pop.example", data[0] & 4 ? "<1.2@pop.example>" : NULL, &asks);
    look_at_replies(fake_heard(io));
    netio_close(&io);
    return 0;
}
