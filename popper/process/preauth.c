/*
 * preauth: see preauth.h.
 *
 * Rights of this role: none. Started by root it becomes the privsep user (configure --with-privsep-user), locked into
 * an empty directory (--with-privsep-path), in the sandbox; it holds the client's descriptors and one end of a privmsg
 * pair, nothing else; in standalone mode, where it may be made before there is a client, also the door at which he comes,
 * from which it reads one message of our own and which it closes then. It cannot open, signal or connect to anything, and
 * whatever it says to the monitor is checked there. Without root it keeps the uid, in the same sandbox.
 */
#include "process/preauth.h"

#include <unistd.h>

#include "auth/auth.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "process/privsep.h"
#include "process/request.h"
#include "process/supervised.h"
#include "process/ticketkeys.h"
#include "protocol/cmd_auth.h"
#include "wire/netio.h"

#define OUTPUT_BYTES 4096

struct preauth {
    const struct preauth_start *start;
    struct cmd_auth_asks asks;
    struct netio *io;
    int plain; /* STLS was granted: the stream that takes the place of the client's descriptors */
};

static void give_up_rights(const struct preauth_start *start)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);

    if (privsep_enter(SANDBOX_PREAUTH, start->settings->sandbox, start->monitor_pid, &why) == 0)
        return;
    log_write(LOG_ERR, "no client is served: %s", why.data);
    _exit(MEM_EXIT_STATUS);
}

/* ---- asking the monitor */

static enum cmd_auth_verdict verdict_of(uint64_t verdict)
{
    switch (verdict) {
    case AUTH_GRANTED:
        return CMD_AUTH_GRANTED;
    case AUTH_REFUSED:
        return CMD_AUTH_REFUSED;
    case AUTH_UNUSABLE:
        return CMD_AUTH_UNUSABLE;
    default:
        return CMD_AUTH_UNAVAILABLE;
    }
}

static bool client_gone(void *context)
{
    return netio_gone(context);
}

/* Checks may take long. Whoever asks for a client that has hung up in the meantime ends, and so does the check. */
static void ask_watching(const struct preauth *p, struct privmsg *m)
{
    if (request_ask_watching(p->start->monitor, m, client_gone, p->io) == 0)
        return;
    _exit(netio_gone(p->io) ? 0 : MEM_EXIT_STATUS);
}

static enum cmd_auth_verdict ask_login(const struct preauth *p, enum request type, const char *name,
                                       const char *response)
{
    struct privmsg m;
    uint64_t verdict;

    privmsg_init(&m, type);
    privmsg_put_text(&m, name);
    privmsg_put_text(&m, response);
    ask_watching(p, &m);
    verdict = privmsg_get_number(&m);
    privmsg_free(&m);
    return verdict_of(verdict);
}

static enum cmd_auth_verdict ask_password(void *context, const char *name, const char *password)
{
    return ask_login(context, REQUEST_PASSWORD, name, password);
}

static enum cmd_auth_verdict ask_apop(void *context, const char *name, const char *digest)
{
    return ask_login(context, REQUEST_APOP, name, digest);
}

/* m: the question, and freed. */
static enum cmd_auth_sasl_state ask_sasl(const struct preauth *p, struct privmsg *m, struct strbuf *reply,
                                         enum cmd_auth_verdict *verdict_r)
{
    uint64_t how;
    const char *bytes;
    size_t n;

    ask_watching(p, m);
    how = privmsg_get_number(m);
    *verdict_r = verdict_of(privmsg_get_number(m));
    bytes = privmsg_get_bytes(m, SASL_TICKET_MAX, &n);
    strbuf_reset(reply);
    strbuf_add(reply, bytes, n);
    privmsg_free(m);
    if (how == REQUEST_SASL_IS_OVER)
        return CMD_AUTH_SASL_IS_OVER;
    return how == REQUEST_SASL_GOES_ON ? CMD_AUTH_SASL_GOES_ON : CMD_AUTH_SASL_MALFORMED;
}

static enum cmd_auth_sasl_state ask_sasl_start(void *context, enum sasl_mechanism mechanism, const char *name,
                                               const char *token, size_t n, struct strbuf *reply,
                                               enum cmd_auth_verdict *verdict_r)
{
    struct privmsg m;

    privmsg_init(&m, REQUEST_SASL_START);
    privmsg_put_number(&m, mechanism);
    privmsg_put_text(&m, name);
    privmsg_put_bytes(&m, token, n);
    return ask_sasl(context, &m, reply, verdict_r);
}

static enum cmd_auth_sasl_state ask_sasl_step(void *context, const char *token, size_t n, struct strbuf *reply,
                                              enum cmd_auth_verdict *verdict_r)
{
    struct privmsg m;

    privmsg_init(&m, REQUEST_SASL_STEP);
    privmsg_put_bytes(&m, token, n);
    return ask_sasl(context, &m, reply, verdict_r);
}

static void tell_sasl_cancel(void *context)
{
    const struct preauth *p = context;
    struct privmsg m;

    privmsg_init(&m, REQUEST_SASL_CANCEL);
    (void)privmsg_send(p->start->monitor, &m);
    privmsg_free(&m);
}

static bool has_binding(void *context)
{
    const struct preauth *p = context;
    struct privmsg m;
    bool has;

    privmsg_init(&m, REQUEST_BINDING);
    if (request_ask(p->start->monitor, &m) < 0)
        _exit(MEM_EXIT_STATUS);
    has = privmsg_get_number(&m) == 1;
    privmsg_free(&m);
    return has;
}

static bool prepare_tls(void *context)
{
    struct preauth *p = context;
    struct privmsg m;

    privmsg_init(&m, REQUEST_STLS);
    if (request_ask(p->start->monitor, &m) < 0)
        _exit(MEM_EXIT_STATUS);
    if (privmsg_get_number(&m) == 1) {
        p->plain = m.fd;
        m.fd = -1;
    }
    privmsg_free(&m);
    return p->plain >= 0;
}

/* The byte tells the relay that the client has its +OK. */
static void enter_tls(void *context)
{
    struct preauth *p = context;

    if (dup2(p->plain, 0) < 0 || dup2(p->plain, 1) < 0 || file_write(0, "", 1) != 1)
        _exit(MEM_EXIT_STATUS);
    close(p->plain);
    p->plain = -1;
    p->asks.tls = true;
}

static void hand_over(const struct preauth_start *start, const struct netio *io)
{
    struct privmsg m;
    const char *bytes;
    size_t n = netio_unread(io, &bytes);

    privmsg_init(&m, REQUEST_HANDOVER);
    privmsg_put_bytes(&m, bytes, n);
    privmsg_send(start->monitor, &m);
    privmsg_free(&m);
}

/* Who takes the place of nobody in start and on descriptors 0 and 1. */
static void await_client(struct preauth_start *start, struct settings *settings, struct peer *peer)
{
    struct supervised_client client;

    if (supervised_take(start->door, &client) == 0)
        _exit(0);
    if (dup2(client.fd, 0) < 0 || dup2(client.fd, 1) < 0)
        _exit(MEM_EXIT_STATUS);
    close(client.fd);
    close(start->door);
    *settings = *start->settings;
    settings->failure_delay = client.delay;
    *peer = client.peer;
    start->settings = settings;
    start->peer = peer;
    if (!client.secrets)
        start->stamp = NULL;
}

_Noreturn void preauth_main(const struct preauth_start *given)
{
    struct preauth_start here = *given;
    const struct preauth_start *start = &here;
    struct settings settings;
    struct peer peer;
    struct preauth p = {
        .start = start, .plain = -1,
        .asks = { .context = &p, .password = ask_password, .apop = ask_apop, .prepare_tls = prepare_tls,
                  .enter_tls = enter_tls, .tls = start->tls, .sasl_start = ask_sasl_start, .sasl_step = ask_sasl_step,
                  .sasl_cancel = tell_sasl_cancel, .binding = has_binding },
    };
    enum command_end end;

    request_log_through(start->monitor);
    log_close();
    ticketkeys_forget();
    file_close_others(3, (const int[]){ start->monitor, start->door }, start->door >= 0 ? 2 : 1);
    give_up_rights(start);
    if (start->door >= 0)
        await_client(&here, &settings, &peer);
    p.io = netio_new(0, 1, COMMAND_LINE_MAX, OUTPUT_BYTES);
    netio_tune_socket(p.io);
    end = cmd_auth_serve(p.io, start->settings, start->peer, start->host, start->stamp, &p.asks);
    if (end == COMMAND_END_NEXT_STATE)
        hand_over(start, p.io);
    netio_close(&p.io);
    _exit(0);
}
