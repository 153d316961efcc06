/*
 * background: see background.h. The pid file stands where only root writes, or is refused.
 */
#include "process/background.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"

#define PID_TEXT_MAX 32

static char *written; /* the pid file; the settings may name another one by the time it goes */

/* In the process that was started: ends it. */
static _Noreturn void wait_until_ready(int from, pid_t child)
{
    char byte;
    ssize_t n = file_read(from, &byte, 1);

    waitpid(child, NULL, 0);
    _exit(n == 1 ? 0 : 1);
}

int background_enter(int *ready_r, struct strbuf *why)
{
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return strbuf_fail(why, "pipe: %s", strerror(errno));
    pid = fork();
    if (pid < 0)
        return strbuf_fail(why, "fork: %s", strerror(errno));
    if (pid > 0) {
        close(ends[1]);
        wait_until_ready(ends[0], pid);
    }
    close(ends[0]);
    /* The leader of the new session ends, so that what goes on can never get a terminal. */
    if (setsid() < 0)
        return strbuf_fail(why, "setsid: %s", strerror(errno));
    pid = fork();
    if (pid < 0)
        return strbuf_fail(why, "fork: %s", strerror(errno));
    if (pid > 0)
        _exit(0);
    *ready_r = ends[1];
    return 0;
}

void background_ready(int ready)
{
    if (ready < 0)
        return;
    (void)!write(ready, "", 1);
    close(ready);
}

static int open_pid_file(const char *path, int flags, struct strbuf *why)
{
    const struct file_rules rules = { .owner = geteuid(), .forbidden = 022 };
    struct stat st;

    return file_open(AT_FDCWD, path, path, flags, 0644, &rules, &st, why);
}

int background_write_pid_file(const struct settings *settings, struct strbuf *why)
{
    char text[PID_TEXT_MAX];
    int fd, length;
    bool well;

    if (!settings->pid_file)
        return 0;
    fd = open_pid_file(settings->pid_file, O_WRONLY | O_CREAT | O_TRUNC, why);
    if (fd < 0)
        return -1;
    length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    well = file_write(fd, text, (size_t)length) == length && fchmod(fd, 0644) == 0;
    if (!well)
        strbuf_fail(why, "cannot write pid-file %s: %s", settings->pid_file, strerror(errno));
    close(fd);
    written = mem_strdup(settings->pid_file);
    return well ? 0 : -1;
}

void background_remove_pid_file(void)
{
    struct strbuf content = STRBUF_INIT(PID_TEXT_MAX), why = STRBUF_INIT(STRBUF_WHY_MAX);
    int fd = written ? open_pid_file(written, O_RDONLY, &why) : -1;

    if (fd >= 0 && file_slurp(fd, PID_TEXT_MAX, written, &content, &why) == 0 &&
        strtol(content.data, NULL, 10) == (long)getpid() && unlink(written) < 0)
        log_write(LOG_WARNING, "cannot remove pid-file %s: %s", written, strerror(errno));
    if (fd >= 0)
        close(fd);
    strbuf_free(&content);
    strbuf_free(&why);
}
