/*
 * xmit: see xmit.h.
 *
 * Rights of the child: those of the user, without the keeper's extra gid, no sandbox and no no_new_privs (sendmail may be set-gid, as Postfix's postdrop is).
 * It gets the message as file, a fresh environment, umask 022, default signals, and no other descriptor. Nobody here parses the message.
 */
#include "process/xmit.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/identity.h"
#include "common/log.h"
#include "common/mem.h"
#include "process/child.h"
#include "wire/netio.h"

#define COMPLAINT_MAX 400 /* bytes of its output that are quoted */
#define WORDS_MAX 16      /* of mail-command, with our arguments */

/* command is cut into words at blanks; there is no shell. */
static void make_words(char *command, char *words[WORDS_MAX])
{
    static char recipients[] = "-t", dots[] = "-i", errors[] = "-oem";
    size_t n = 0;

    for (char *at = strtok(command, " \t"); at && n < WORDS_MAX - 4; at = strtok(NULL, " \t"))
        words[n++] = at;
    words[n++] = recipients;
    words[n++] = dots;
    words[n++] = errors;
    words[n] = NULL;
}

static _Noreturn void run(const struct settings *settings, const struct auth_user *user, int fd, int complaints)
{
    char home[AUTH_HOME_MAX + 8], name[AUTH_NAME_MAX + 8], logname[AUTH_NAME_MAX + 12];
    char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    char *environment[] = { path, home, name, logname, NULL };
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    char *words[WORDS_MAX];

    snprintf(home, sizeof home, "HOME=%s", user->home);
    snprintf(name, sizeof name, "USER=%s", user->name);
    snprintf(logname, sizeof logname, "LOGNAME=%s", user->name);
    make_words(mem_strdup(settings->mail_command), words);
    if (identity_forget_gid(&why) < 0 || lseek(fd, 0, SEEK_SET) != 0 || dup2(fd, 0) < 0 || dup2(complaints, 1) < 0 || dup2(complaints, 2) < 0)
        _exit(126);
    file_sanitize_descriptors(3, NULL, 0);
    setpgid(0, 0);
    child_fresh_signals();
    umask(022);
    execve(words[0], words, environment);
    dprintf(2, "%s: %s", words[0], strerror(errno));
    _exit(127);
}

/* What it has said so far; more than fits is read and dropped. */
static void listen_to(int fd, struct strbuf *complaint)
{
    char bytes[512];
    ssize_t n = read(fd, bytes, sizeof bytes);

    if (n > 0)
        strbuf_add(complaint, bytes, (size_t)n);
}

/* Waits for its end, not for that of its output, which a process that it left in the background may keep open. False when the time is over. */
static bool wait_for(pid_t pid, int output, int64_t limit, struct strbuf *complaint, int *status_r)
{
    int look_ms;
    int pinned = child_pin(pid, &look_ms);
    struct pollfd p[] = { { .fd = pinned, .events = POLLIN }, { .fd = output, .events = POLLIN } };
    bool ended = false;

    while (!ended) {
        bool gone = child_has_ended(pid); /* before its output is looked at, which is complete then */
        int64_t left = (limit - netio_now()) / 1000000 + 1;

        if (left <= 0)
            break;
        if (poll(p, 2, gone ? 0 : left < look_ms ? (int)left : look_ms) < 0)
            continue;
        if (p[1].revents & POLLIN)
            listen_to(output, complaint);
        else if (p[1].revents)
            p[1].fd = -1;
        ended = gone && !(p[1].revents & POLLIN);
    }
    if (pinned >= 0)
        close(pinned);
    return ended && waitpid(pid, status_r, 0) == pid;
}

/* Its lines, escaped, in one. */
static void show(struct strbuf *shown, const struct strbuf *complaint)
{
    const char *at = complaint->data, *end = at + complaint->len;

    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((newline ? newline : end) - at);

        if (n > 0 && shown->len > 0)
            strbuf_add(shown, "; ", 2);
        log_escape(shown, at, n, COMPLAINT_MAX);
        at += n + (newline != NULL);
    }
}

static int judge(const struct settings *settings, int status, const struct strbuf *complaint, struct strbuf *why)
{
    struct strbuf shown = STRBUF_INIT(4 * COMPLAINT_MAX);

    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    show(&shown, complaint);
    if (WIFEXITED(status))
        strbuf_fail(why, "%s ended with exit status %d%s%s", settings->mail_command, WEXITSTATUS(status), shown.len > 0 ? ": " : "", shown.data);
    else
        strbuf_fail(why, "%s was killed by signal %d", settings->mail_command, WTERMSIG(status));
    strbuf_free(&shown);
    return -1;
}

int xmit_send(const struct settings *settings, const struct auth_user *user, int fd, struct strbuf *why)
{
    struct strbuf complaint = STRBUF_INIT(COMPLAINT_MAX);
    int seconds = settings->timeout < XMIT_SECONDS ? settings->timeout : XMIT_SECONDS;
    int64_t limit = netio_now() + seconds * INT64_C(1000000000);
    int ends[2], status = 0, result;
    pid_t pid;

    if (!settings->mail_command)
        return strbuf_fail(why, "no mail-command is set");
    if (pipe2(ends, O_CLOEXEC) < 0)
        return strbuf_fail(why, "pipe: %s", strerror(errno));
    pid = fork();
    if (pid == 0)
        run(settings, user, fd, ends[1]);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return strbuf_fail(why, "fork: %s", strerror(errno));
    }
    if (wait_for(pid, ends[0], limit, &complaint, &status)) {
        result = judge(settings, status, &complaint, why);
    } else {
        kill(-pid, SIGKILL);
        kill(pid, SIGKILL);
        child_gone(pid);
        result = strbuf_fail(why, "%s did not end within %d seconds and was killed", settings->mail_command, seconds);
    }
    close(ends[0]);
    strbuf_free(&complaint);
    return result;
}
