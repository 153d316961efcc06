/*
 * tlsrole: see tlsrole.h.
 *
 * Rights of this role: those of who forked it (the monitor, or tlsmaker, then perhaps ahead: tlsspare) while it loads the TLS module, certificates and
 * keys; then, before it reads the client's first byte, none: the privsep user, locked into an empty directory, in the sandbox. It holds the
 * client's descriptors, one end of the plain stream and one end of a privmsg pair, and in its memory the private keys,
 * which no other process of the session ever has: it is not dumpable and makes no core file from the beginning, and
 * wipes them at the end. It says log records and one REQUEST_ESTABLISHED to the monitor, and answers REQUEST_SETTLE.
 */
#include "process/tlsrole.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <config.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/module.h"
#include "process/privsep.h"
#include "process/request.h"
#include "process/ticketkeys.h"
#include "process/tlschannel.h"
#include "process/tlspump.h"
#include "wire/netio.h"
#include "wire/privmsg.h"

#define SECOND INT64_C(1000000000)

void tlsrole_report(const struct tlsrole *r, bool well, const char *why)
{
    struct privmsg m;

    privmsg_init(&m, REQUEST_ANSWER);
    privmsg_put_number(&m, well);
    privmsg_put_text(&m, why);
    (void)privmsg_send(r->monitor, &m);
    privmsg_free(&m);
}

_Noreturn void tlsrole_end(struct tlsrole *r, int status)
{
    if (r->calls) {
        r->calls->end(&r->tls);
        r->calls->close(&r->site);
    }
    ticketkeys_forget();
    _exit(status);
}

static const struct tls_calls *find_module(struct strbuf *why)
{
    const struct tls_calls *calls = module_find(TLS_MODULE_NAME, TLS_MODULE_SYMBOL, why);

    if (!calls)
        return NULL;
    if (calls->settings_size == sizeof(struct settings))
        return calls;
    strbuf_fail(why, "%s is of another build than popper; install both again, and restart a popper that listens itself", TLS_MODULE_NAME);
    return NULL;
}

void tlsrole_preload(void)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    const struct tls_calls *calls = find_module(&why);

    if (calls)
        calls->warm();
    strbuf_free(&why);
}

int tlsrole_load(struct tlsrole *r, struct strbuf *why)
{
    const struct tls_calls *calls = find_module(why);
    const unsigned char *keys;
    size_t key_count;

    if (!calls)
        return -1;
    keys = ticketkeys_get(&key_count);
    r->site = calls->open(r->settings, keys, key_count, why);
    if (!r->site)
        return -1;
    r->calls = calls;
    r->tls = calls->start(r->site);
    return r->tls ? 0 : strbuf_fail(why, "no memory for a TLS connection");
}

void tlsrole_hide_memory(void)
{
    const struct rlimit none = { 0, 0 };

    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    setrlimit(RLIMIT_CORE, &none);
}

/* It ends when the session does, in order, whatever order to end the session gets. */
static void ignore_signals(void)
{
    const int ignored[] = { SIGTERM, SIGHUP, SIGINT, SIGURG, SIGPIPE };
    size_t i;

    for (i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
}

int tlsrole_get_ready(struct tlsrole *r, const int *keep, size_t count, struct strbuf *why)
{
    int result;

    ignore_signals();
    tlsrole_hide_memory();
    file_sanitize_descriptors(3, keep, count);
    result = tlsrole_load(r, why);
    log_close();
    return result == 0 ? privsep_enter(SANDBOX_RELAY, r->settings->sandbox, 0, why) : -1;
}

int tlsrole_meet(struct tlsrole *r, int channel, int ms, struct peer *peer)
{
    if (tlschannel_take(channel, ms, peer, &r->client_in, &r->plain, &r->monitor) < 0)
        return -1;
    r->client_out = r->client_in;
    r->peer = peer;
    return 0;
}

/* The byte that preauth sends when the +OK is with the client. */
static void wait_for_word(struct tlsrole *r)
{
    char byte;
    ssize_t n;

    do {
        n = recv(r->plain, &byte, 1, 0);
    } while (n < 0 && errno == EINTR);
    if (n != 1)
        tlsrole_end(r, 0);
}

static void say_established(const struct tlsrole *r)
{
    struct tls_facts facts;
    struct privmsg m;

    r->calls->facts(r->tls, &facts);
    log_write(LOG_NOTICE, "(v%s) %s handshake with client at %s (%s); %s session-id; cipher: %s (%s), %d bits",
              PACKAGE_VERSION, facts.protocol, r->peer->host, r->peer->ip, facts.resumed ? "reused" : "new",
              facts.cipher, facts.cipher_text, facts.bits);
    privmsg_init(&m, REQUEST_ESTABLISHED);
    privmsg_put_bytes(&m, facts.exporter, facts.exporter_length);
    privmsg_put_bytes(&m, facts.end_point, facts.end_point_length);
    (void)privmsg_send(r->monitor, &m);
    privmsg_free(&m);
    mem_wipe(&facts, sizeof facts);
}

/* 0 when there is TLS now. */
static int shake_hands(struct tlsrole *r, struct tlspump *pump)
{
    const struct settings *settings = r->settings;
    int seconds = settings->timeout < settings->preauth_timeout ? settings->timeout : settings->preauth_timeout;
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    enum tlspump_end end = tlspump_handshake(pump, netio_now() + seconds * SECOND, &why);

    switch (end) {
    case TLSPUMP_DONE:
        say_established(r);
        break;
    case TLSPUMP_SILENCE:
        log_write(LOG_DEBUG, "client at %s (%s) left without a word of TLS", r->peer->host, r->peer->ip);
        break;
    case TLSPUMP_TIMEOUT:
        log_write(LOG_NOTICE, "TLS handshake with client at %s (%s) not finished within %d seconds", r->peer->host,
                  r->peer->ip, seconds);
        break;
    case TLSPUMP_LOST:
    case TLSPUMP_BROKEN:
        log_write(LOG_NOTICE, "TLS handshake with client at %s (%s) failed: %s", r->peer->host, r->peer->ip, why.data);
        break;
    case TLSPUMP_ALONE:
        break;
    }
    strbuf_free(&why);
    return end == TLSPUMP_DONE ? 0 : -1;
}

static void relay(struct tlsrole *r, struct tlspump *pump)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);

    switch (tlspump_run(pump, &why)) {
    case TLSPUMP_BROKEN:
        log_write(LOG_NOTICE, "TLS connection with client at %s (%s) ended: %s", r->peer->host, r->peer->ip, why.data);
        break;
    case TLSPUMP_TIMEOUT:
        log_write(LOG_NOTICE,
                  "TLS connection with client at %s (%s) ended: it took nothing of what was sent for too long",
                  r->peer->host, r->peer->ip);
        break;
    default:
        log_write(LOG_DEBUG, "TLS connection with client at %s (%s) ended%s%s", r->peer->host, r->peer->ip,
                  why.len ? ": " : "", why.data);
        break;
    }
    strbuf_free(&why);
}

_Noreturn void tlsrole_serve(struct tlsrole *r)
{
    struct tlspump pump = { .calls = r->calls,
                            .tls = r->tls,
                            .client_in = r->client_in,
                            .client_out = r->client_out,
                            .plain = r->plain,
                            .control = r->monitor,
                            .timeout_ms = r->settings->timeout * 1000 };

    request_log_through(r->monitor);
    tlsrole_report(r, true, "");
    netio_tune_descriptor(r->client_out);
    if (r->stls)
        wait_for_word(r);
    if (shake_hands(r, &pump) == 0)
        relay(r, &pump);
    tlsrole_end(r, 0);
}

_Noreturn void tlsrole_main(struct tlsrole *r)
{
    const int keep[] = { r->client_in, r->client_out, r->plain, r->monitor };
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);

    request_log_through(r->monitor);
    log_close();
    if (tlsrole_get_ready(r, keep, sizeof keep / sizeof *keep, &why) == 0)
        tlsrole_serve(r);
    tlsrole_report(r, false, why.data);
    tlsrole_end(r, MEM_EXIT_STATUS);
}
