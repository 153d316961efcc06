/*
 * monitor_sasl: see monitor_sasl.h. Runs in the monitor, with its rights. It must never read a client's message, hold a
 * secret, or take a user's name from preauth for more than a question.
 */
#include "process/monitor_sasl.h"

#include <string.h>

#include "auth/policy.h"
#include "process/checker.h"
#include "process/supervised.h"

static void over(struct monitor_sasl_result *r, enum auth_verdict verdict, const char *reason)
{
    r->how = REQUEST_SASL_IS_OVER;
    r->verdict = verdict;
    strbuf_reset(&r->reply);
    if (reason)
        strbuf_fail(&r->reason, "%s", reason);
}

/* In its turn, as every work on a login. */
static bool begin_work(int asker, struct monitor_sasl_result *r)
{
    if (supervised_check_begin(asker))
        return true;
    over(r, AUTH_UNAVAILABLE, "the client is gone, or too many passwords are being checked (max-password-checks)");
    return false;
}

/* Who it would be, and the record to the process that waits for it. False: there is no exchange. */
static bool look_up(struct monitor_sasl *x, const struct settings *settings, int asker, struct monitor_sasl_result *r)
{
    const struct checker_record wanted = { .mechanism = x->mechanism, .to = x->state.record };
    struct auth_sasl found;

    if (!begin_work(asker, r))
        return false;
    x->verdict = checker_find(settings, x->name, &wanted, asker, &x->user, &found, &r->reason);
    supervised_check_end();
    x->refusal = found.refusal;
    strncpy(x->reason, r->reason.data, sizeof x->reason - 1);
    if (found.closed)
        over(r, x->verdict == AUTH_GRANTED ? AUTH_UNAVAILABLE : x->verdict, NULL);
    return !found.closed;
}

static void judge(struct monitor_sasl *x, int outcome, struct monitor_sasl_result *r)
{
    r->how = outcome == SASL_GO_ON ? REQUEST_SASL_GOES_ON : REQUEST_SASL_MALFORMED;
    switch (outcome) {
    case SASL_GO_ON:
    case SASL_MALFORMED:
        break;
    case SASL_PROVED:
        over(r, x->verdict, x->reason);
        break;
    case SASL_DISPROVED:
        over(r, x->refusal, x->reason[0] ? x->reason : NULL);
        break;
    default:
        over(r, AUTH_UNAVAILABLE, NULL);
    }
}

void monitor_sasl_step(struct monitor_sasl *x, int asker, const char *token, size_t n, struct monitor_sasl_result *r)
{
    if (!begin_work(asker, r)) {
        saslstate_stop(&x->state);
        return;
    }
    judge(x, saslstate_step(&x->state, token, n, asker, &r->reply, &r->reason), r);
    supervised_check_end();
}

void monitor_sasl_start(struct monitor_sasl *x, const struct settings *settings, const struct tlsrelay *relay,
                        const char *challenge, int asker, const char *token, size_t n, struct monitor_sasl_result *r)
{
    bool found;

    x->tries++;
    memset(x->reason, 0, sizeof x->reason);
    if (saslstate_start(&x->state, settings, x->mechanism, x->name, challenge, relay, &r->reason) < 0) {
        over(r, AUTH_UNAVAILABLE, NULL);
        return;
    }
    x->verdict = AUTH_GRANTED;
    x->refusal = AUTH_REFUSED;
    /* Who brings a ticket is looked up when it is known who that is. */
    found = x->mechanism == SASL_GSSAPI || look_up(x, settings, asker, r);
    saslstate_record_given(&x->state);
    if (found)
        monitor_sasl_step(x, asker, token, n, r);
    else
        saslstate_stop(&x->state);
}

void monitor_sasl_stop(struct monitor_sasl *x)
{
    saslstate_stop(&x->state);
}

bool monitor_sasl_binding(const struct tlsrelay *relay)
{
    return relay->established && (relay->exporter_length > 0 || relay->end_point_length > 0);
}

void monitor_sasl_list(const struct settings *settings, const struct peer *peer, const struct tlsrelay *relay,
                       bool secrets, struct strbuf *list)
{
    struct sasl_offer offer = { .secrets = secrets, .binding = monitor_sasl_binding(relay), .barred = settings->sasl_barred };
    struct policy_connection at;

    policy_connection_of(settings, relay->pid > 0, peer->local, &at);
    offer.tickets = policy_offers(AUTH_BY_GSSAPI, &at) == POLICY_OFFERED;
    offer.passwords = policy_offers(AUTH_BY_PASSWORD, &at) == POLICY_OFFERED;
    sasl_list(&offer, list);
}
