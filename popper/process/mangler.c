/*
 * mangler: see mangler.h. What may be done with the rights of the keeper is done here; the child gives up its extra gid
 * and executes the worker, which closes itself in (see there).
 */
#include "process/mangler.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <config.h>

#include "common/file.h"
#include "common/identity.h"
#include "common/log.h"
#include "common/module.h"
#include "mail/mangle.h"
#include "process/child.h"
#include "process/sandbox.h"
#include "wire/privmsg.h"

/* ---- the message */

static void drop_input(struct mangler *m)
{
    if (m->input >= 0)
        close(m->input);
    m->input = -1;
}

int mangler_input(struct mangler *m, uint64_t size, struct strbuf *why)
{
    drop_input(m);
    errno = EFBIG;
    if (size == 0 || size > MANGLE_INPUT_MAX)
        return strbuf_fail(why, "messages of more than %u MiB are not converted", MANGLE_INPUT_MAX >> 20);
    m->input = memfd_create(MANGLER_PROGRAM, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    m->size = size;
    /* Neither the session nor the worker can make it grow. */
    if (m->input >= 0 && ftruncate(m->input, (off_t)size) == 0 &&
        fcntl(m->input, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0)
        return m->input;
    strbuf_fail(why, "no memory file for a message: %s", strerror(errno));
    drop_input(m);
    return -1;
}

/* ---- the process */

static _Noreturn void execute(const char *path, int end, enum sandbox_mode mode)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    char program[] = MANGLER_PROGRAM, sandbox[12], keeper[24], version[] = PACKAGE_VERSION;
    char *words[] = { program, sandbox, keeper, version, NULL }, *environment[] = { NULL };

    snprintf(sandbox, sizeof sandbox, "%d", (int)mode);
    snprintf(keeper, sizeof keeper, "%ld", (long)getppid());
    if (identity_forget_gid(&why) < 0 || dup2(end, 0) != 0 || dup2(2, 1) != 1)
        _exit(126);
    file_sanitize_descriptors(3, NULL, 0);
    child_fresh_signals();
    execve(path, words, environment);
    _exit(127);
}

static int start(struct mangler *m, enum sandbox_mode mode, struct strbuf *why)
{
    char path[PATH_MAX];
    int ends[2];

    if (module_path(MANGLER_PROGRAM, path, why) < 0)
        return -1;
    if (privmsg_pair(ends) < 0)
        return strbuf_fail(why, "socketpair: %s", strerror(errno));
    m->pid = fork();
    if (m->pid == 0)
        execute(path, ends[1], mode);
    close(ends[1]);
    if (m->pid > 0) {
        m->end = ends[0];
        return 0;
    }
    m->pid = 0;
    close(ends[0]);
    return strbuf_fail(why, "fork: %s", strerror(errno));
}

static void stop(struct mangler *m, bool about_to_end)
{
    if (m->pid > 0) {
        close(m->end);
        m->status = child_reap(m->pid, about_to_end);
    }
    m->pid = 0;
    m->end = -1;
}

void mangler_end(struct mangler *m)
{
    stop(m, true);
    drop_input(m);
}

/* ---- one message */

enum { GONE_BEFORE = 2, NOT_STARTED = -2 };

/* 1: it answered; 0: it is gone; -1: it takes too long, or what it says is nonsense; or GONE_BEFORE it could be asked. */
static int ask(struct mangler *m, uint64_t n, const char *wanted, struct privmsg *answer)
{
    struct privmsg question;
    int sent;

    privmsg_init(&question, MANGLER_ASK);
    privmsg_put_number(&question, n);
    privmsg_put_text(&question, wanted);
    privmsg_put_fd(&question, m->input);
    sent = privmsg_send(m->end, &question);
    question.fd = -1;
    privmsg_free(&question);
    return sent < 0 ? GONE_BEFORE : privmsg_await(m->end, answer, m->seconds * 1000);
}

/* What happened to a worker that gave no good answer: for the log and the client. */
static int bury(struct mangler *m, const char *user, int got, struct strbuf *why)
{
    struct strbuf text = STRBUF_INIT(STRBUF_WHY_MAX);
    int error = errno, status;

    stop(m, got == 0 || got == GONE_BEFORE);
    status = m->status;
    m->failures++;
    if (sandbox_killed(status, SANDBOX_MANGLER, &text))
        strbuf_fail(why, "%s", text.data);
    else if (got < 0 && error == ETIMEDOUT)
        strbuf_fail(why, "it took longer than %d seconds", m->seconds);
    else if (got < 0)
        strbuf_fail(why, "the process that converts it gave a broken answer");
    else if (WIFEXITED(status) && WEXITSTATUS(status) == MANGLER_OTHER_VERSION)
        strbuf_fail(why, MANGLER_PROGRAM " is of another version than popper (" PACKAGE_VERSION "); install both again, and restart a popper that listens itself");
    else if (WIFSIGNALED(status))
        strbuf_fail(why, "the process that converts it was killed by signal %d", WTERMSIG(status));
    else
        strbuf_fail(why, "the process that converts it ended with exit status %d", WEXITSTATUS(status));
    log_write(LOG_ERR, "a message of %s could not be converted to text (%s): %s", user, MANGLER_PROGRAM, why->data);
    strbuf_free(&text);
    errno = EIO;
    return -1;
}

/* Takes the result out of the answer: nobody may change it from now on. -1: nonsense. */
static int take_result(struct privmsg *answer)
{
    struct stat st;
    int fd = answer->fd;

    answer->fd = -1;
    if (fd >= 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0 &&
        fstat(fd, &st) == 0 && st.st_size > 0 && st.st_size <= MANGLER_RESULT_MAX)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static int judge(struct mangler *m, const char *user, struct privmsg *answer, uint64_t *header_r, struct strbuf *why)
{
    uint64_t outcome = privmsg_get_number(answer);
    int fd = -1;

    *header_r = privmsg_get_number(answer);
    if (answer->type != MANGLER_ANSWER || !privmsg_complete(answer)) {
        errno = EBADMSG;
        return bury(m, user, -1, why);
    }
    if (outcome == MANGLER_NO_CHARSET) {
        errno = EINVAL;
        return strbuf_fail(why, "this character set is not known here");
    }
    if (outcome == MANGLER_DONE)
        fd = take_result(answer);
    if (fd >= 0)
        return fd;
    errno = EBADMSG;
    return bury(m, user, -1, why);
}

/* A worker that has done much retires between two messages (with status 0), or somebody killed it there: then there is
   another. One that dies of a message does not get it again. */
static bool was_idle(const struct mangler *m, int got)
{
    return got == GONE_BEFORE || (got == 0 && WIFEXITED(m->status) && WEXITSTATUS(m->status) == 0);
}

static int ask_one(struct mangler *m, enum sandbox_mode mode, uint64_t n, const char *wanted, struct privmsg *answer,
                   struct strbuf *why)
{
    bool fresh = m->pid == 0;
    int got;

    if (fresh && start(m, mode, why) < 0)
        return NOT_STARTED;
    got = ask(m, n, wanted, answer);
    if (got == 0 || got == GONE_BEFORE)
        stop(m, true);
    if (fresh || !was_idle(m, got))
        return got;
    if (start(m, mode, why) < 0)
        return NOT_STARTED;
    return ask(m, n, wanted, answer);
}

int mangler_convert(struct mangler *m, const struct settings *settings, const char *user, uint64_t n, const char *wanted,
                    uint64_t *header_r, struct strbuf *why)
{
    struct privmsg answer;
    int got, fd;

    errno = EIO;
    if (m->input < 0 || n > m->size)
        return strbuf_fail(why, "there is no message");
    if (m->failures >= MANGLER_FAILURES_MAX)
        return strbuf_fail(why, "too many messages of this session could not be converted; log in again");
    m->seconds = settings->timeout < MANGLER_SECONDS ? settings->timeout : MANGLER_SECONDS;
    privmsg_init(&answer, 0);
    got = ask_one(m, settings->sandbox, n, wanted, &answer, why);
    if (got == NOT_STARTED) {
        m->failures++;
        log_write(LOG_ERR, "no message of %s can be converted to text: %s", user, why->data);
        errno = EIO;
        fd = -1;
    } else {
        fd = got == 1 ? judge(m, user, &answer, header_r, why) : bury(m, user, got, why);
    }
    got = errno;
    privmsg_free(&answer);
    drop_input(m);
    errno = got;
    return fd;
}
