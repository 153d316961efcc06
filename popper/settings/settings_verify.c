/*
 * settings_verify: which settings do not go together; see options.h. A row for each: the options that are at fault, whose place is
 * said, and what is wrong.
 */
#include "settings/options.h"

#include <string.h>

#include "common/maillock.h"
#include "common/saslname.h"

static int mail_locks(struct settings *s, struct strbuf *why)
{
    if (s->mail_locks == NULL)
        return strbuf_fail(why, "mail-locks names no lock; it must name at least one of dotlock, fcntl and flock");
    return maillock_parse(s->mail_locks, &s->mail_lock_mask, why);
}

static int sasl_mechanisms(struct settings *s, struct strbuf *why)
{
    return saslname_barred(s->sasl_mechanisms ? s->sasl_mechanisms : "", &s->sasl_barred, why);
}

static int spool_dir(struct settings *s, struct strbuf *why)
{
    return s->spool_dir != NULL || s->home_dir_mail != NULL
               ? 0
               : strbuf_fail(why, "neither spool-dir nor home-dir-mail is set, so there are no maildrops");
}

static int named(const char *name, const char *option, struct strbuf *why)
{
    return name != NULL ? 0 : strbuf_fail(why, "%s is empty; it must name a file, with %%s for the user", option);
}

static int temp_name(struct settings *s, struct strbuf *why)
{
    return named(s->temp_name, "temp-name", why);
}

static int cache_name(struct settings *s, struct strbuf *why)
{
    if (named(s->cache_name, "cache-name", why) < 0)
        return -1;
    if (s->temp_name != NULL && strcmp(s->temp_name, s->cache_name) == 0)
        return strbuf_fail(why, "temp-name and cache-name are the same, \"%s\"", s->temp_name);
    return 0;
}

static int tls_support(struct settings *s, struct strbuf *why)
{
    return s->tls_support == TLS_SUPPORT_NONE || s->tls_server_cert_file.count > 0
               ? 0
               : strbuf_fail(why, "tls-support is on, but tls-server-cert-file does not say where the certificate is");
}

static int tls_private_key_file(struct settings *s, struct strbuf *why)
{
    return s->tls_private_key_file.count <= s->tls_server_cert_file.count
               ? 0
               : strbuf_fail(why, "tls-private-key-file names more files than tls-server-cert-file; the n-th key belongs to "
                                  "the n-th certificate");
}

static const struct {
    enum option_id option, other; /* whose places count, the first one that has one */
    int (*verify)(struct settings *s, struct strbuf *why);
} rows[] = {
    { OPTION_mail_locks, OPTION_mail_locks, mail_locks },
    { OPTION_sasl_mechanisms, OPTION_sasl_mechanisms, sasl_mechanisms },
    { OPTION_spool_dir, OPTION_home_dir_mail, spool_dir },
    { OPTION_temp_name, OPTION_temp_name, temp_name },
    { OPTION_cache_name, OPTION_temp_name, cache_name },
    { OPTION_tls_support, OPTION_tls_server_cert_file, tls_support },
    { OPTION_tls_private_key_file, OPTION_tls_server_cert_file, tls_private_key_file },
};

/* In a file; or NULL. */
static const char *place_of(const struct option_origin *origin)
{
    return origin->source == OPTION_FILE || origin->source == OPTION_HOME || origin->source == OPTION_SPOOL ? origin->where : NULL;
}

static bool verify_row(struct settings *s, size_t row, struct strbuf *why)
{
    const char *place = place_of(&s->origin[rows[row].option]);

    if (rows[row].verify(s, why) == 0)
        return true;
    if (place == NULL)
        place = place_of(&s->origin[rows[row].other]);
    if (place != NULL)
        strbuf_fail(why, "%s: %s", place, why->data);
    return false;
}

static void derive(struct settings *s)
{
    if (s->old_style_uid && s->origin[OPTION_uidl_format].source == OPTION_DEFAULT)
        s->uidl_format = UIDL_MD5;
    if (s->auto_delete && s->origin[OPTION_announce_expire].source == OPTION_DEFAULT)
        s->announce_expire = 0;
}

int settings_verify(struct settings *s, struct strbuf *why)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!verify_row(s, i, why))
            return -1;
    derive(s);
    return 0;
}

size_t settings_verify_all(struct settings *s, settings_report *report, void *context)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    size_t wrong = 0;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (verify_row(s, i, &why))
            continue;
        report(context, why.data);
        wrong++;
    }
    strbuf_free(&why);
    derive(s);
    return wrong;
}
