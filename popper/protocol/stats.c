/*
 * stats: see stats.h. Other programs parse these lines to the byte; whatever came from a client or a resolver is
 * escaped first, so that nobody can make a line that says something else.
 */
#include "protocol/stats.h"

#include <config.h>
#include <inttypes.h>
#include <string.h>

#include "common/log.h"
#include "common/strbuf.h"

#define SHOWN_USER_MAX 64
#define SHOWN_HOST_MAX 255
#define STANDARD_LOGIN "(v%0) POP login by user \"%1\" at (%2) %3"

static void escape(struct strbuf *sb, const char *text, size_t max)
{
    log_escape(sb, text, strlen(text), max);
}

void stats_session(const struct settings *settings, const char *user, const struct peer *peer, uint64_t deleted,
                   uint64_t deleted_octets, uint64_t left, uint64_t left_octets)
{
    if (!settings->statistics)
        return;
    log_write(LOG_NOTICE, "Stats: %s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %s %s", user, deleted,
              deleted_octets, left, left_octets, peer->host, peer->ip);
}

/* Fills in the format. False when it is not one (config refuses such formats; this is for settings that came another
   way). */
static bool fill_login(struct strbuf *text, const char *format, const char *user, const struct peer *peer)
{
    for (const char *at = format; *at; at++) {
        if (*at != '%') {
            strbuf_addc(text, *at);
            continue;
        }
        switch (*++at) {
        case '0':
            strbuf_adds(text, PACKAGE_VERSION);
            break;
        case '1':
            escape(text, user, SHOWN_USER_MAX);
            break;
        case '2':
            escape(text, peer->host, SHOWN_HOST_MAX);
            break;
        case '3':
            escape(text, peer->ip, sizeof peer->ip);
            break;
        default:
            return false;
        }
    }
    return true;
}

void stats_login(const struct settings *settings, const char *user, const struct peer *peer)
{
    struct strbuf text = STRBUF_INIT(LOG_RECORD_MAX);

    if (!settings->log_login || !settings->log_login[0])
        return;
    if (!fill_login(&text, settings->log_login, user, peer)) {
        log_write(LOG_WARNING,
                  "log-login \"%s\" holds a %% that is not %%0, %%1, %%2 or %%3; the standard line is used",
                  settings->log_login);
        strbuf_reset(&text);
        fill_login(&text, STANDARD_LOGIN, user, peer);
    }
    log_write(LOG_NOTICE, "%s", text.data);
    strbuf_free(&text);
}

void stats_apop(const char *user)
{
    struct strbuf shown = STRBUF_INIT(SHOWN_USER_MAX * 4 + 3);

    escape(&shown, user, SHOWN_USER_MAX);
    log_write(LOG_INFO, "apop \"%s\"", shown.data);
    strbuf_free(&shown);
}

void stats_sasl(const char *user, const char *mechanism)
{
    struct strbuf shown = STRBUF_INIT(SHOWN_USER_MAX * 4 + 3);

    escape(&shown, user, SHOWN_USER_MAX);
    log_write(LOG_INFO, "auth %s \"%s\"", mechanism, shown.data);
    strbuf_free(&shown);
}

/* Blanks, too: who reads the record takes the name for one word, and the last one for the address. */
static void escape_word(struct strbuf *sb, const char *text, size_t max)
{
    struct strbuf escaped = STRBUF_INIT(SHOWN_USER_MAX * 4 + 3);

    escape(&escaped, text, max);
    for (size_t i = 0; i < escaped.len; i++) {
        if (escaped.data[i] == ' ')
            strbuf_adds(sb, "\\x20");
        else
            strbuf_addc(sb, escaped.data[i]);
    }
    strbuf_free(&escaped);
}

void stats_failed_login(const char *user, const struct peer *peer, const char *reason)
{
    struct strbuf shown = STRBUF_INIT(SHOWN_USER_MAX * 4 + 3);

    escape_word(&shown, user, SHOWN_USER_MAX);
    log_write(LOG_NOTICE, "[AUTH] Failed attempted login to %s from host (%s) %s", shown.data, peer->host, peer->ip);
    if (reason && *reason)
        log_write(LOG_INFO, "%s at %s (%s): -ERR [AUTH] login refused: %s", shown.data, peer->host, peer->ip, reason);
    strbuf_free(&shown);
}

static int64_t whole_seconds(int64_t ns)
{
    return (ns + 500000000) / 1000000000;
}

void stats_timing(const struct settings *settings, const char *user, const struct peer *peer, bool normal,
                  int64_t auth_ns, int64_t init_ns, int64_t clean_ns)
{
    if (!settings->timing)
        return;
    log_write(LOG_INFO, "(v%s) Timing for %s@%s (%s) auth=%" PRId64 " init=%" PRId64 " clean=%" PRId64, PACKAGE_VERSION,
              user, peer->host, normal ? "normal" : "error", whole_seconds(auth_ns), whole_seconds(init_ns),
              whole_seconds(clean_ns));
}
