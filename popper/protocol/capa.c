/*
 * capa: see capa.h.
 */
#include "protocol/capa.h"

#include <config.h>
#include <time.h>

#include "protocol/cmd_mangle.h"

#include "auth/policy.h"

bool capa_user_possible(const struct settings *settings)
{
    struct policy_connection at;

    policy_connection_of(settings, true, true, &at);
    return policy_offers(policy_pass(&at), &at) == POLICY_OFFERED;
}

/* EXPIRE NEVER would be a lie when auto-delete removes what was sent. */
static int expire_days(const struct settings *settings)
{
    if (settings->announce_expire < 0 && settings->auto_delete)
        return 0;
    return settings->announce_expire;
}

/* Our time of day as RFC 5322 writes it. log_open has read the zone. */
static void add_local_time(struct outbuf *out)
{
    time_t now = time(NULL);
    struct tm tm;
    char text[64];

    if (localtime_r(&now, &tm) && strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S %z", &tm) > 0)
        outbuf_addf(out, "X-LOCALTIME %s\r\n", text);
}

enum command_event capa_run(void *state, const struct command *command, struct answer *answer)
{
    (void)state;
    (void)command;
    command_say(answer, "Capability list follows");
    return COMMAND_OK_BODY;
}

void capa_list(const struct capa *capa, const struct settings *settings, struct outbuf *out)
{
    int expire = expire_days(settings);

    outbuf_adds(out, "TOP\r\n");
    if (capa->sasl && capa->sasl[0])
        outbuf_addf(out, "SASL %s\r\n", capa->sasl);
    if (capa->user_allowed)
        outbuf_adds(out, "USER\r\n");
    if (settings->announce_login_delay >= 0)
        outbuf_addf(out, "LOGIN-DELAY %d\r\n", settings->announce_login_delay);
    if (expire < 0)
        outbuf_adds(out, "EXPIRE NEVER\r\n");
    else
        outbuf_addf(out, "EXPIRE %d\r\n", expire);
    outbuf_adds(out, "UIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n");
    if (cmd_mangle_offered(settings))
        outbuf_adds(out, "X-MANGLE\r\n");
    outbuf_adds(out, "X-MACRO\r\n");
    add_local_time(out);
    if (capa->stls_allowed)
        outbuf_adds(out, "STLS\r\n");
    if (capa->logged_in || !settings->shy)
        outbuf_adds(out, "IMPLEMENTATION Qpopper-version-" PACKAGE_VERSION "\r\n");
}
