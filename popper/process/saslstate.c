/*
 * saslstate: see saslstate.h.
 *
 * Rights of this role: none. Started by root it becomes the privsep user, locked into an empty directory, in the
 * sandbox, before it is given anything; it holds one end of a privmsg pair to the monitor and, until it has read one
 * user's record from it, one to the checker; no descriptor of the client, no file, no database. It parses the client's
 * messages, which monitor and preauth only pass on. That it says yes is believed about the user whose record it was
 * given, and about nobody else. Without root it keeps the uid, in the same sandbox.
 *
 * For GSSAPI there is no record: it has the service's keys (process/saslticket, with the rights there), and what it says about
 * who the client is is believed.
 */
#include "process/saslstate.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/digest.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "process/child.h"
#include "process/privsep.h"
#include "process/request.h"
#include "process/sandbox.h"
#include "process/saslticket.h"
#include "process/ticketkeys.h"
#include "wire/privmsg.h"

#define RECORD_MS 90000  /* for the checker's look at the stores; it is bounded there */
#define REASON_MAX 200
#define RECORDS_MAX 20
#define NONCE_BYTES 18

enum { MESSAGE_RECORD = 1, MESSAGE_TOKEN, MESSAGE_OUTCOME };

/* ---- the record */

void saslstate_send_record(int record, const struct sasl_record *r)
{
    struct privmsg m;

    privmsg_init(&m, MESSAGE_RECORD);
    privmsg_put_text(&m, r->name);
    privmsg_put_number(&m, r->usable);
    privmsg_put_number(&m, r->has_secret);
    privmsg_put_text(&m, r->secret);
    privmsg_put_number(&m, r->keys.iterations);
    privmsg_put_bytes(&m, r->keys.salt, r->keys.salt_length);
    privmsg_put_bytes(&m, r->keys.stored, sizeof r->keys.stored);
    privmsg_put_bytes(&m, r->keys.server, sizeof r->keys.server);
    (void)privmsg_send(record, &m);
    privmsg_free(&m);
}

static size_t take_bytes(struct privmsg *m, void *to, size_t room)
{
    size_t n;
    const char *bytes = privmsg_get_bytes(m, room, &n);

    memcpy(to, bytes, n);
    return n;
}

static bool read_record(struct privmsg *m, struct sasl_record *r)
{
    const char *text = privmsg_get_text(m, sizeof r->name - 1);

    memcpy(r->name, text, strlen(text) + 1);
    r->usable = privmsg_get_number(m) == 1;
    r->has_secret = privmsg_get_number(m) == 1;
    text = privmsg_get_text(m, sizeof r->secret - 1);
    memcpy(r->secret, text, strlen(text) + 1);
    r->keys.iterations = (unsigned)privmsg_get_number(m);
    r->keys.salt_length = take_bytes(m, r->keys.salt, sizeof r->keys.salt);
    take_bytes(m, r->keys.stored, sizeof r->keys.stored);
    take_bytes(m, r->keys.server, sizeof r->keys.server);
    return m->type == MESSAGE_RECORD && privmsg_complete(m) && r->keys.iterations <= SCRAM_ITERATIONS_MAX;
}

/* ---- the child */

struct child {
    const struct settings *settings;
    int end, record;
    pid_t parent;
    struct sasl_start start;
    struct sasl_record user;
    char nonce[SASL_NONCE_MAX];
};

static void make_nonce(struct child *c)
{
    struct strbuf text = STRBUF_INIT(SASL_NONCE_MAX - 1);
    unsigned char bytes[NONCE_BYTES];

    digest_random(bytes, sizeof bytes);
    digest_base64(&text, bytes, sizeof bytes);
    memcpy(c->nonce, text.data, text.len + 1);
    strbuf_free(&text);
}

static void discard_message(int end)
{
    struct privmsg m;

    (void)privmsg_receive(end, &m, SASLSTATE_WAIT_MS);
    privmsg_free(&m);
}

static void give_up_rights(struct child *c)
{
    bool by_ticket = c->start.mechanism == SASL_GSSAPI; /* then there is no record */
    const int keep[] = { c->end, c->record };
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);

    request_log_through(c->end);
    log_close();
    ticketkeys_forget();
    /* Descriptor 2 is /dev/null; the client's are not for this process. */
    dup2(2, 0);
    dup2(2, 1);
    file_sanitize_descriptors(3, keep, by_ticket ? 1 : 2);
    if (by_ticket ? saslticket_enter(c->settings, c->parent, &why) == 0
                  : privsep_enter(SANDBOX_SASL, c->settings->sandbox, c->parent, &why) == 0)
        return;
    log_write(LOG_ERR, "nobody can log in by AUTH %s: %s", saslname_of(c->start.mechanism), why.data);
    /* Without a record there is no pause before the first message; unread, it would take what was said above with it. */
    if (by_ticket)
        discard_message(c->end);
    _exit(MEM_EXIT_STATUS);
}

/* Without one there is nothing to do. */
static void wait_for_record(struct child *c)
{
    struct privmsg m;
    bool well;

    if (privmsg_receive(c->record, &m, RECORD_MS) <= 0)
        _exit(0);
    well = read_record(&m, &c->user);
    privmsg_free(&m);
    close(c->record);
    if (!well)
        _exit(MEM_EXIT_STATUS);
}

/* client, authzid: meant for GSSAPI. */
static void answer(int end, enum sasl_outcome outcome, const struct strbuf *reply, const struct strbuf *why,
                   const struct auth_kerberos_client *client, const char *authzid)
{
    struct privmsg m;

    privmsg_init(&m, MESSAGE_OUTCOME);
    privmsg_put_number(&m, outcome);
    privmsg_put_bytes(&m, reply->data, reply->len);
    privmsg_put_bytes(&m, why->data, why->len);
    privmsg_put_text(&m, client->principal);
    privmsg_put_text(&m, client->local);
    privmsg_put_text(&m, authzid);
    (void)privmsg_send(end, &m);
    privmsg_free(&m);
}

static void converse(struct child *c)
{
    bool by_ticket = c->start.mechanism == SASL_GSSAPI;
    struct sasl_exchange *exchange = by_ticket ? NULL : sasl_begin(&c->start);
    struct auth_kerberos_client client = { .principal = "" };
    char authzid[SASL_NAME_MAX + 1] = "";
    struct strbuf reply = STRBUF_INIT(SASL_TICKET_MAX), why = STRBUF_INIT(REASON_MAX);
    enum sasl_outcome outcome = SASL_GO_ON;

    while (outcome == SASL_GO_ON) {
        struct privmsg m;
        const char *token;
        size_t n;

        if (privmsg_receive(c->end, &m, -1) <= 0)
            break;
        token = privmsg_get_bytes(&m, SASL_TICKET_MAX, &n);
        if (m.type != MESSAGE_TOKEN || !privmsg_complete(&m))
            outcome = SASL_MALFORMED;
        else if (by_ticket)
            outcome = saslticket_step(token, n, &reply, &client, authzid, &why);
        else
            outcome = sasl_step(exchange, token, n, &reply, &why);
        answer(c->end, outcome, &reply, &why, &client, authzid);
        privmsg_free(&m);
    }
    sasl_end(&exchange);
    strbuf_free(&reply);
    strbuf_free(&why);
}

static _Noreturn void child_main(struct child *c)
{
    give_up_rights(c);
    make_nonce(c);
    c->start.nonce = c->nonce;
    c->start.record = &c->user;
    if (c->start.mechanism != SASL_GSSAPI)
        wait_for_record(c);
    converse(c);
    mem_wipe(&c->user, sizeof c->user);
    _exit(0);
}

/* ---- the parent */

/* Of this mechanism: whoever could bind, but was shown no -PLUS, has been deceived only if there was one. */
static bool offers_binding(const struct settings *settings, enum sasl_mechanism mechanism, const struct tlsrelay *relay)
{
    enum scram_hash hash;

    sasl_is_scram(mechanism, &hash);
    return (relay->exporter_length > 0 || relay->end_point_length > 0) &&
           !(settings->sasl_barred >> (hash == SCRAM_SHA1 ? SASL_SCRAM_SHA_1_PLUS : SASL_SCRAM_SHA_256_PLUS) & 1);
}

int saslstate_start(struct saslstate *s, const struct settings *settings, enum sasl_mechanism mechanism,
                    const char *name, const char *challenge, const struct tlsrelay *relay, struct strbuf *why)
{
    struct child c = { .settings = settings, .parent = getpid(), .start = { .mechanism = mechanism, .name = name, .challenge = challenge } };
    int ends[2], records[2];

    *s = (struct saslstate)SASLSTATE_NONE;
    s->by_ticket = mechanism == SASL_GSSAPI;
    if (relay->established) {
        c.start.exporter = relay->exporter;
        c.start.exporter_length = relay->exporter_length;
        c.start.end_point = relay->end_point;
        c.start.end_point_length = relay->end_point_length;
        c.start.binding_offered = offers_binding(settings, mechanism, relay);
    }
    if (privmsg_pair(ends) < 0)
        return strbuf_fail(why, "no process for AUTH: socketpair: %s", strerror(errno));
    if (privmsg_pair(records) < 0) {
        close(ends[0]);
        close(ends[1]);
        return strbuf_fail(why, "no process for AUTH: socketpair: %s", strerror(errno));
    }
    s->pid = fork();
    if (s->pid == 0) {
        c.end = ends[1];
        c.record = records[1];
        child_main(&c);
    }
    close(ends[1]);
    close(records[1]);
    s->end = ends[0];
    s->record = records[0];
    if (s->pid > 0)
        return 0;
    strbuf_fail(why, "no process for AUTH: fork: %s", strerror(errno));
    s->pid = 0;
    saslstate_stop(s);
    return -1;
}

void saslstate_record_given(struct saslstate *s)
{
    close(s->record);
    s->record = -1;
}

static void end_it(struct saslstate *s, bool about_to_end, struct strbuf *reason)
{
    struct strbuf text = STRBUF_INIT(STRBUF_WHY_MAX);
    int status;

    if (s->record >= 0)
        close(s->record);
    if (s->end >= 0)
        close(s->end);
    if (s->pid > 0) {
        status = child_reap(s->pid, about_to_end);
        if (sandbox_killed(status, s->by_ticket ? SANDBOX_GSSAPI : SANDBOX_SASL, &text))
            log_write(LOG_CRIT, "%s", text.data);
        if (reason && reason->len == 0)
            strbuf_fail(reason, "the process that serves AUTH ended without an answer (wait status %d)", status);
    }
    s->pid = 0;
    s->end = s->record = -1;
    s->records = 0;
    strbuf_free(&text);
}

void saslstate_stop(struct saslstate *s)
{
    end_it(s, false, NULL);
}

static void take_text(struct privmsg *m, char *to, size_t room)
{
    const char *text = privmsg_get_text(m, room - 1);

    memcpy(to, text, strlen(text) + 1);
}

/* What it says counts as hostile, because it has read what the client sent. */
static int read_outcome(struct saslstate *s, struct privmsg *m, struct strbuf *reply, struct strbuf *reason)
{
    uint64_t outcome = privmsg_get_number(m);
    size_t n;
    const char *bytes = privmsg_get_bytes(m, SASL_TICKET_MAX, &n);

    strbuf_add(reply, bytes, n);
    bytes = privmsg_get_bytes(m, REASON_MAX, &n);
    strbuf_add(reason, bytes, n);
    take_text(m, s->client.principal, sizeof s->client.principal);
    take_text(m, s->client.local, sizeof s->client.local);
    take_text(m, s->authzid, sizeof s->authzid);
    if (privmsg_complete(m) && m->fd < 0 && outcome <= SASL_MALFORMED &&
        (!s->by_ticket || outcome != SASL_PROVED || s->client.principal[0]))
        return (int)outcome;
    return strbuf_fail(reason, "the process that serves AUTH gave a broken answer");
}

static void take_record(struct saslstate *s, struct privmsg *m)
{
    int priority = (int)privmsg_get_number(m);
    size_t n;
    const char *text = privmsg_get_bytes(m, LOG_RECORD_MAX, &n);

    s->records++;
    if (privmsg_complete(m))
        request_log_record(priority, text, n);
}

/* Its next word that is not for the log. Whoever talks without end is not waited for. */
static int wait_for_outcome(struct saslstate *s, int asker, struct strbuf *reply, struct strbuf *reason,
                            bool *about_to_end_r)
{
    *about_to_end_r = false;
    for (;;) {
        struct privmsg m;
        int outcome = -1;
        int got = child_wait(s->end, asker, SASLSTATE_WAIT_MS);
        bool is_record;

        if (got <= 0)
            return strbuf_fail(reason, got == 0 ? "the client or its process is gone" : "the process that serves AUTH is stuck");
        got = privmsg_receive(s->end, &m, -1);
        *about_to_end_r = got == 0;
        is_record = got > 0 && m.type == REQUEST_LOG && m.fd < 0;
        if (is_record && s->records >= RECORDS_MAX) {
            strbuf_fail(reason, "the process that serves AUTH says too much");
            is_record = false;
        } else if (is_record)
            take_record(s, &m);
        else if (got > 0 && m.type == MESSAGE_OUTCOME)
            outcome = read_outcome(s, &m, reply, reason);
        privmsg_free(&m);
        if (!is_record)
            return outcome;
    }
}

int saslstate_step(struct saslstate *s, const char *token, size_t n, int asker, struct strbuf *reply,
                   struct strbuf *reason)
{
    struct privmsg m;
    bool about_to_end = true;
    int outcome = -1;

    strbuf_reset(reply);
    strbuf_reset(reason);
    privmsg_init(&m, MESSAGE_TOKEN);
    privmsg_put_bytes(&m, token, n);
    if (privmsg_send(s->end, &m) == 0)
        outcome = wait_for_outcome(s, asker, reply, reason, &about_to_end);
    privmsg_free(&m);
    if (outcome != SASL_GO_ON)
        end_it(s, about_to_end || outcome >= 0, outcome < 0 ? reason : NULL);
    return outcome;
}
