/*
 * auth_pam: see auth_pam.h. The module popper-pam.so.
 *
 * Runs as root in the process that checks one login. It never says to anybody but the log what the modules said, never
 * lets PAM wait (failure-delay does), and answers no question that it does not understand.
 */
#include "auth/auth_pam.h"

#include <limits.h>
#include <security/pam_appl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <config.h>

#include "common/log.h"
#include "common/mem.h"

#define SHOWN_MAX 200 /* bytes of a text of a module that the log shows */

struct auth_pam {
    pam_handle_t *handle; /* NULL: PAM could not be had */
    struct auth_pam_question question;
    char *name; /* of the user, which outlives the question */
    struct pam_conv conversation;
    bool credentials, session;
    int last; /* for pam_end */
};

/* ---- the conversation */

static void log_text(const struct auth_pam *pam, const char *text)
{
    struct strbuf shown = STRBUF_INIT(SHOWN_MAX * 4 + 3);

    if (text)
        log_escape(&shown, text, strlen(text), SHOWN_MAX);
    log_write(LOG_DEBUG, "PAM (service %s) says of %s: \"%s\"", pam->question.service, pam->question.user, shown.data);
    strbuf_free(&shown);
}

/* libpam frees answers by free(3), and so may modules. */
static int answer_one(const struct auth_pam *pam, const struct pam_message *message, struct pam_response *response)
{
    const char *answer;

    switch (message->msg_style) {
    case PAM_PROMPT_ECHO_OFF:
        answer = pam->question.password;
        break;
    case PAM_PROMPT_ECHO_ON:
        answer = pam->question.user;
        break;
    case PAM_ERROR_MSG:
    case PAM_TEXT_INFO:
        log_text(pam, message->msg);
        return PAM_SUCCESS;
    default:
        log_write(LOG_ERR, "PAM (service %s) wants an answer of style %d, which POP3 cannot give", pam->question.service,
                  message->msg_style);
        return PAM_CONV_ERR;
    }
    /* Nobody is there to be asked for more. */
    response->resp = answer ? strdup(answer) : NULL;
    return response->resp ? PAM_SUCCESS : PAM_CONV_ERR;
}

static void forget_answers(struct pam_response *responses, int count)
{
    for (int i = 0; i < count; i++) {
        if (responses[i].resp)
            mem_wipe(responses[i].resp, strlen(responses[i].resp));
        free(responses[i].resp);
    }
    free(responses);
}

static int converse(int count, const struct pam_message **messages, struct pam_response **responses_r, void *context)
{
    const struct auth_pam *pam = context;
    struct pam_response *responses;
    int result = PAM_SUCCESS;

    *responses_r = NULL;
    if (count <= 0 || count > PAM_MAX_NUM_MSG)
        return PAM_CONV_ERR;
    responses = calloc((size_t)count, sizeof *responses);
    if (!responses)
        return PAM_BUF_ERR;
    for (int i = 0; i < count && result == PAM_SUCCESS; i++)
        result = answer_one(pam, messages[i], &responses[i]);
    if (result == PAM_SUCCESS)
        *responses_r = responses;
    else
        forget_answers(responses, count);
    return result;
}

/* In place of PAM's own delay after a failure. */
static void no_delay(int result, unsigned microseconds, void *context)
{
    (void)result;
    (void)microseconds;
    (void)context;
}

/* ---- the transaction */

/* libpam takes the file "other" without a word. */
static void look_for_service(const char *service)
{
    static const char *const places[] = { "/etc/pam.d", "/usr/lib/pam.d" };
    struct strbuf path = STRBUF_INIT(PATH_MAX);
    bool found = access(places[0], F_OK) < 0; /* there is one /etc/pam.conf for all, then */

    for (size_t i = 0; i < sizeof places / sizeof *places && !found; i++) {
        strbuf_reset(&path);
        strbuf_addf(&path, "%s/%s", places[i], service);
        found = access(path.data, F_OK) == 0;
    }
    strbuf_free(&path);
    if (!found)
        log_write(LOG_WARNING,
                  "there is no /etc/pam.d/%s, so that PAM judges by its rules for \"other\"; copy samples/pam.d/pop3 "
                  "there, or set pam-service to the name of a file that is there",
                  service);
}

/* The outcomes that do not depend on who the user is. Others must look like a wrong password to the client. */
static enum auth_pam_answer answer_of(int result, enum auth_pam_answer otherwise)
{
    switch (result) {
    case PAM_SUCCESS:
        return AUTH_PAM_YES;
    case PAM_ABORT:
    case PAM_OPEN_ERR:
    case PAM_SYMBOL_ERR:
    case PAM_MODULE_UNKNOWN:
    case PAM_BUF_ERR:
        return AUTH_PAM_UNAVAILABLE;
    default:
        return otherwise;
    }
}

/* Whether a module could not do its work, which the administrator should hear in plain words. */
static bool is_trouble(int result)
{
    return result == PAM_SYSTEM_ERR || result == PAM_SERVICE_ERR || result == PAM_AUTHINFO_UNAVAIL ||
           result == PAM_CONV_ERR || result == PAM_CRED_UNAVAIL || result == PAM_SESSION_ERR;
}

static enum auth_pam_answer explain(struct auth_pam *pam, const char *step, enum auth_pam_answer otherwise,
                                    struct strbuf *why)
{
    const char *text = pam_strerror(pam->handle, pam->last);

    strbuf_reset(why);
    if (pam->last == PAM_SUCCESS)
        return AUTH_PAM_YES;
    strbuf_fail(why, "PAM (service %s), %s: %s (%d)", pam->question.service, step, text ? text : "?", pam->last);
    if (is_trouble(pam->last))
        log_write(LOG_ERR,
                  "PAM (service %s), %s of %s: %s (%d): a module could not do its work; look for its own record "
                  "(facility authpriv)",
                  pam->question.service, step, pam->question.user, text ? text : "?", pam->last);
    return answer_of(pam->last, otherwise);
}

/* Whatever modules may look at. */
static int set_items(struct auth_pam *pam)
{
    union {
        void (*call)(int, unsigned, void *);
        const void *item;
    } delay = { .call = no_delay };
    int result = PAM_SUCCESS;

    if (pam->question.rhost)
        result = pam_set_item(pam->handle, PAM_RHOST, pam->question.rhost);
    if (result == PAM_SUCCESS)
        result = pam_set_item(pam->handle, PAM_TTY, AUTH_PAM_TTY);
    if (result == PAM_SUCCESS)
        result = pam_set_item(pam->handle, PAM_FAIL_DELAY, delay.item);
    return result;
}

static int account(struct auth_pam *pam)
{
    int result = pam_acct_mgmt(pam->handle, PAM_DISALLOW_NULL_AUTHTOK);

    return result == PAM_NEW_AUTHTOK_REQD && pam->question.expired_may ? PAM_SUCCESS : result;
}

static enum auth_pam_answer check(const struct auth_pam_question *question, struct auth_pam **pam_r, struct strbuf *why)
{
    struct auth_pam *pam = mem_new(1, sizeof *pam);

    *pam_r = pam;
    pam->question = *question;
    pam->name = mem_strdup(question->user);
    pam->question.user = pam->name;
    pam->conversation = (struct pam_conv){ .conv = converse, .appdata_ptr = pam };
    look_for_service(question->service);
    pam->last = pam_start(question->service, question->user, &pam->conversation, &pam->handle);
    if (pam->last != PAM_SUCCESS) {
        strbuf_fail(why, "PAM cannot be used for the service %s: %s (%d)", question->service,
                    pam_strerror(NULL, pam->last), pam->last);
        pam->handle = NULL;
        return AUTH_PAM_UNAVAILABLE;
    }
    pam->last = set_items(pam);
    if (pam->last == PAM_SUCCESS && question->password)
        pam->last = pam_authenticate(pam->handle, PAM_DISALLOW_NULL_AUTHTOK);
    pam->question.password = NULL; /* for no later step */
    if (pam->last != PAM_SUCCESS)
        return explain(pam, "authentication", AUTH_PAM_WRONG, why);
    pam->last = account(pam);
    return explain(pam, "account", AUTH_PAM_BARRED, why);
}

static const char *user(struct auth_pam *pam)
{
    const void *name = NULL;

    return pam_get_item(pam->handle, PAM_USER, &name) == PAM_SUCCESS && name ? name : "";
}

static enum auth_pam_answer establish(struct auth_pam *pam, bool session, struct strbuf *why)
{
    pam->last = pam_setcred(pam->handle, PAM_ESTABLISH_CRED);
    pam->credentials = pam->last == PAM_SUCCESS;
    if (!pam->credentials || !session)
        return explain(pam, "credentials", AUTH_PAM_BARRED, why);
    pam->last = pam_open_session(pam->handle, 0);
    pam->session = pam->last == PAM_SUCCESS;
    return explain(pam, "session", AUTH_PAM_BARRED, why);
}

static void end(struct auth_pam **pam_r)
{
    struct auth_pam *pam = *pam_r;
    int result;

    if (!pam)
        return;
    if (pam->session) {
        result = pam_close_session(pam->handle, 0);
        if (result != PAM_SUCCESS)
            log_write(LOG_ERR, "PAM (service %s): the session of %s cannot be closed: %s (%d)", pam->question.service,
                      pam->question.user, pam_strerror(pam->handle, result), result);
    }
    if (pam->credentials)
        pam_setcred(pam->handle, PAM_DELETE_CRED);
    if (pam->handle)
        pam_end(pam->handle, pam->last);
    mem_free(pam->name);
    mem_free(pam);
    *pam_r = NULL;
}

const struct auth_pam_calls auth_pam_calls = {
    .version = PACKAGE_VERSION, .look = look_for_service, .check = check, .user = user, .establish = establish, .end = end
};
