/*
 * prompt: see prompt.h. It must never leave the terminal without echo, nor a secret in memory that it gave up.
 */
#include "config.h"

#include "common/prompt.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"

static const int caught[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGALRM, SIGTSTP, SIGTTIN, SIGTTOU };

#define CAUGHT (sizeof caught / sizeof *caught)

static volatile sig_atomic_t came;

static void note(int number)
{
    came = number;
}

bool prompt_at_terminal(void)
{
    return isatty(STDIN_FILENO) == 1;
}

static void tell(const char *text)
{
    if (file_write(STDERR_FILENO, text, strlen(text)) < 0)
        return; /* who cannot see the question can still answer */
}

/* As read, but signals that are blocked and not in let (unless NULL) come while it waits, and only then: EINTR. */
static ssize_t read_byte(char *c, const sigset_t *let)
{
    struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };

    if (let && ppoll(&p, 1, NULL, let) < 0)
        return -1;
    return read(STDIN_FILENO, c, 1);
}

/* One line without its end, byte by byte, so that nothing behind it is taken. 0, or -1 with errno: EINTR a signal,
   EFBIG too long, EILSEQ a NUL, ENODATA nothing at all. */
static int read_line(struct strbuf *line, const sigset_t *let)
{
    char c = 0;
    ssize_t got;
    bool any = false;

    strbuf_wipe(line);
    while ((got = read_byte(&c, let)) == 1 && c != '\n') {
        any = true;
        if (c == '\0' || (line->len == line->max && c != '\r')) {
            errno = c ? EFBIG : EILSEQ;
            return -1;
        }
        strbuf_addc(line, c);
    }
    if (got == 0 && !any)
        errno = ENODATA;
    return got < 0 || (got == 0 && !any) ? -1 : 0;
}

static void explain(int error, const struct strbuf *line, struct strbuf *why)
{
    if (error == EFBIG)
        strbuf_fail(why, "the secret is longer than %zu bytes", line->max);
    else if (error == EILSEQ)
        strbuf_fail(why, "the secret holds a NUL");
    else if (error == ENODATA)
        strbuf_fail(why, "no secret was given");
    else
        strbuf_fail(why, "the secret cannot be read: %s", strerror(error));
}

/* From begin to end the signals that would end or stop us are noted, and only while we wait for the answer. */
struct signals {
    struct sigaction before[CAUGHT];
    sigset_t mask;
};

static void signals_begin(struct signals *s)
{
    struct sigaction catcher = { .sa_handler = note };
    sigset_t held;
    size_t i;

    came = 0;
    sigemptyset(&held);
    for (i = 0; i < CAUGHT; i++)
        sigaddset(&held, caught[i]);
    sigprocmask(SIG_BLOCK, &held, &s->mask);
    for (i = 0; i < CAUGHT; i++)
        sigaction(caught[i], &catcher, &s->before[i]);
}

/* What was noted happens now. */
static void signals_end(const struct signals *s)
{
    size_t i;

    for (i = 0; i < CAUGHT; i++)
        sigaction(caught[i], &s->before[i], NULL);
    if (came)
        raise(came);
    sigprocmask(SIG_SETMASK, &s->mask, NULL);
}

/* As read_line, without echo; a signal is passed on when the terminal is itself again. */
static int read_unseen(const char *ask, struct strbuf *line)
{
    struct signals signals;
    struct termios old, quiet;
    int result, error;

    if (tcgetattr(STDIN_FILENO, &old) < 0)
        return -1;
    quiet = old;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
    signals_begin(&signals);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    tell(ask);
    result = read_line(line, &signals.mask);
    error = errno;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
    tell("\n");
    signals_end(&signals);
    errno = error;
    return result;
}

/* Stopped and continued, the question is asked again. */
static int ask_unseen(const char *ask, struct strbuf *line)
{
    int result;

    do
        result = read_unseen(ask, line);
    while (result < 0 && errno == EINTR);
    return result;
}

static int ask_twice(const char *ask, const char *again, struct strbuf *secret, struct strbuf *why)
{
    struct strbuf second = STRBUF_INIT(secret->max);
    int result = ask_unseen(ask, secret);

    if (result == 0 && again)
        result = ask_unseen(again, &second);
    if (result < 0)
        explain(errno, secret, why);
    else if (again && (second.len != secret->len || !mem_equal(second.data, secret->data, second.len)))
        result = strbuf_fail(why, "the two are not the same");
    strbuf_free(&second);
    return result;
}

int prompt_secret(const char *ask, const char *again, struct strbuf *secret, struct strbuf *why)
{
    int result;

    if (prompt_at_terminal()) {
        result = ask_twice(ask, again, secret, why);
    } else {
        result = read_line(secret, NULL);
        if (result < 0)
            explain(errno, secret, why);
        else if (secret->len > 0 && secret->data[secret->len - 1] == '\r')
            strbuf_truncate(secret, secret->len - 1);
    }
    if (result < 0)
        strbuf_wipe(secret);
    return result;
}

bool prompt_yes(const char *ask)
{
    struct strbuf answer = STRBUF_INIT(10);
    bool yes;

    tell(ask);
    yes = read_line(&answer, NULL) == 0 && strcmp(answer.data, "yes") == 0;
    strbuf_free(&answer);
    return yes;
}
