/*
 * pam_try: a PAM module for pam.py that does what its arguments say, one after the other, and then succeeds. The same
 * for authentication, account, credentials and session.
 *
 *   sleep=SECONDS   takes its time             delay=SECONDS  asks libpam to wait after a failure
 *   code=N          ends with this result      crash          dies
 *   password=TEXT   asks for it; PAM_AUTH_ERR when it is another
 *   name            asks for the name with echo; PAM_USER_UNKNOWN when it is not PAM_USER
 *   text            says something long and nasty
 *   style=N         sends a message of that style and ends with what came of it
 *   rename=NAME     makes it PAM_USER
 *   note=FILE       adds a line about what it sees
 */
#include <security/pam_appl.h>
#include <security/pam_modules.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

static const char *item(pam_handle_t *handle, int type)
{
    const void *value = NULL;

    pam_get_item(handle, type, &value);
    return value ? value : "-";
}

/* One message; the answer, to be freed, in answer_r. */
static int say(pam_handle_t *handle, int style, const char *text, char **answer_r)
{
    const struct pam_message message = { .msg_style = style, .msg = text };
    const struct pam_message *messages[] = { &message };
    struct pam_response *response = NULL;
    const void *value = NULL;
    const struct pam_conv *conv;
    int result = pam_get_item(handle, PAM_CONV, &value);

    conv = value;
    if (result == PAM_SUCCESS)
        result = conv->conv(1, messages, &response, conv->appdata_ptr);
    *answer_r = result == PAM_SUCCESS && response ? response->resp : NULL;
    free(response);
    return result;
}

static int ask(pam_handle_t *handle, int style, const char *wanted, int otherwise)
{
    char *answer;
    int result = say(handle, style, "? ", &answer);

    if (result == PAM_SUCCESS && (!answer || strcmp(answer, wanted) != 0))
        result = otherwise;
    if (answer)
        explicit_bzero(answer, strlen(answer));
    free(answer);
    return result;
}

static int text(pam_handle_t *handle)
{
    char long_text[1000], *answer;
    int result;

    memset(long_text, 'x', sizeof long_text);
    memcpy(long_text, "first\nsecond \"quoted\" \033[2J ", 27);
    long_text[sizeof long_text - 1] = '\0';
    result = say(handle, PAM_TEXT_INFO, long_text, &answer);
    if (result == PAM_SUCCESS)
        result = say(handle, PAM_ERROR_MSG, "an error", &answer);
    return result;
}

static void note(pam_handle_t *handle, const char *step, const char *path)
{
    FILE *file = fopen(path, "a");
    mode_t mask = umask(0);
    struct rlimit core, cpu, size;

    umask(mask);
    getrlimit(RLIMIT_CORE, &core);
    getrlimit(RLIMIT_CPU, &cpu);
    getrlimit(RLIMIT_FSIZE, &size);
    fprintf(file, "%s user=%s rhost=%s tty=%s euid=%d umask=%03o core=%d cpu=%lld fsize=%lld env=", step, item(handle, PAM_USER),
            item(handle, PAM_RHOST), item(handle, PAM_TTY), (int)geteuid(), (unsigned)mask, (int)core.rlim_cur,
            /* -1: none */ (long long)cpu.rlim_cur, (long long)size.rlim_cur);
    for (char **at = environ; at && *at; at++)
        fprintf(file, "%s%s", at == environ ? "" : ",", *at);
    fputc('\n', file);
    fclose(file);
}

static int act(pam_handle_t *handle, const char *step, const char *word)
{
    const char *value = strchr(word, '=') ? strchr(word, '=') + 1 : "";
    char *answer;
    int result;

    if (strncmp(word, "sleep=", 6) == 0)
        sleep((unsigned)atoi(value));
    else if (strncmp(word, "delay=", 6) == 0)
        pam_fail_delay(handle, (unsigned)atoi(value) * 1000000);
    else if (strncmp(word, "code=", 5) == 0)
        return atoi(value);
    else if (strcmp(word, "crash") == 0)
        raise(SIGSEGV);
    else if (strncmp(word, "password=", 9) == 0)
        return ask(handle, PAM_PROMPT_ECHO_OFF, value, PAM_AUTH_ERR);
    else if (strcmp(word, "name") == 0)
        return ask(handle, PAM_PROMPT_ECHO_ON, item(handle, PAM_USER), PAM_USER_UNKNOWN);
    else if (strcmp(word, "text") == 0)
        return text(handle);
    else if (strncmp(word, "rename=", 7) == 0)
        pam_set_item(handle, PAM_USER, value);
    else if (strncmp(word, "note=", 5) == 0)
        note(handle, step, value);
    else if (strncmp(word, "style=", 6) == 0) {
        result = say(handle, atoi(value), "?", &answer);
        free(answer);
        return result;
    }
    return PAM_SUCCESS;
}

static int act_all(pam_handle_t *handle, const char *step, int argc, const char **argv)
{
    int result = PAM_SUCCESS;

    for (int i = 0; i < argc && result == PAM_SUCCESS; i++)
        result = act(handle, step, argv[i]);
    return result;
}

int pam_sm_authenticate(pam_handle_t *handle, int flags, int argc, const char **argv)
{
    (void)flags;
    return act_all(handle, "authenticate", argc, argv);
}

/* Runs for the auth lines; nothing but notes is of interest. */
int pam_sm_setcred(pam_handle_t *handle, int flags, int argc, const char **argv)
{
    int result = PAM_SUCCESS;

    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "note=", 5) == 0)
            note(handle, flags & PAM_DELETE_CRED ? "delete credentials" : "credentials", argv[i] + 5);
        if (strncmp(argv[i], "cred=", 5) == 0 && !(flags & PAM_DELETE_CRED))
            result = atoi(argv[i] + 5);
    }
    return result;
}

int pam_sm_acct_mgmt(pam_handle_t *handle, int flags, int argc, const char **argv)
{
    (void)flags;
    return act_all(handle, "account", argc, argv);
}

int pam_sm_open_session(pam_handle_t *handle, int flags, int argc, const char **argv)
{
    (void)flags;
    return act_all(handle, "open session", argc, argv);
}

int pam_sm_close_session(pam_handle_t *handle, int flags, int argc, const char **argv)
{
    (void)flags;
    return act_all(handle, "close session", argc, argv);
}
