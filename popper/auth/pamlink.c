/*
 * pamlink: see pamlink.h. As root, and only there.
 */
#include "auth/pamlink.h"

#include <unistd.h>

#include "common/module.h"

static const struct auth_pam_calls *pam; /* NULL: not loaded */
static struct auth_pam *transaction;
static bool has_session;

bool pamlink_applies(const struct settings *settings)
{
    return options_feature_built(FEATURE_PAM) && settings->pam_service && settings->pam_service[0] && geteuid() == 0;
}

static bool load(struct strbuf *why)
{
    pam = module_find(AUTH_PAM_MODULE_NAME, AUTH_PAM_MODULE_SYMBOL, why);
    return pam != NULL;
}

int pamlink_look(const struct settings *settings, struct strbuf *why)
{
    if (!load(why))
        return -1;
    pam->look(settings->pam_service);
    return 0;
}

enum auth_pam_answer pamlink_check(const struct settings *settings, const struct pamlink_question *question,
                                   struct strbuf *why)
{
    const struct auth_pam_question full = {
        .service = settings->pam_service, .user = question->user, .password = question->password,
        .rhost = question->rhost, .expired_may = !settings->check_password_expired,
    };

    if (!load(why))
        return AUTH_PAM_UNAVAILABLE;
    return pam->check(&full, &transaction, why);
}

const char *pamlink_user(void)
{
    return pam->user(transaction);
}

static enum auth_verdict verdict_of(enum auth_pam_answer answer)
{
    if (answer == AUTH_PAM_YES)
        return AUTH_GRANTED;
    return answer == AUTH_PAM_UNAVAILABLE ? AUTH_UNAVAILABLE : AUTH_REFUSED;
}

enum auth_verdict pamlink_finish(const struct settings *settings, enum auth_verdict verdict, struct strbuf *reason)
{
    if (transaction && verdict == AUTH_GRANTED) {
        verdict = verdict_of(pam->establish(transaction, settings->pam_session, reason));
        has_session = verdict == AUTH_GRANTED && settings->pam_session;
    }
    if (!has_session)
        pamlink_end();
    return verdict;
}

bool pamlink_holds_session(void)
{
    return has_session;
}

void pamlink_end(void)
{
    if (transaction)
        pam->end(&transaction);
    has_session = false;
}
