/*
 * checker_ahead: see checker_ahead.h. Runs with the rights of the monitor.
 */
#include "process/checker_ahead.h"

#include <unistd.h>

#include "auth/pamlink.h"
#include "process/checker_child.h"
#include "process/checker_message.h"
#include "process/child.h"
#include "wire/privmsg.h"

static struct {
    pid_t pid; /* 0: nobody */
    int end;
} waiting;

bool checker_ahead_session(const struct settings *settings)
{
    return settings->pam_session && pamlink_applies(settings);
}

void checker_ahead_make(const struct settings *settings)
{
    int ends[2];

    /* What a ticket or a session needs is not in a message. */
    if (waiting.pid > 0 || settings->kerberos || checker_ahead_session(settings) || privmsg_pair(ends) < 0)
        return;
    waiting.pid = fork();
    if (waiting.pid == 0)
        checker_child_wait(settings, ends[1]);
    close(ends[1]);
    waiting.end = ends[0];
    if (waiting.pid < 0)
        close(ends[0]);
}

pid_t checker_ahead_use(const struct auth_attempt *attempt, int *end_r)
{
    pid_t pid = waiting.pid;

    if (pid <= 0)
        return 0;
    if (attempt->ticket || checker_send_attempt(waiting.end, attempt) < 0) {
        checker_ahead_end();
        return 0;
    }
    *end_r = waiting.end;
    waiting.pid = 0;
    return pid;
}

void checker_ahead_end(void)
{
    if (waiting.pid <= 0)
        return;
    close(waiting.end);
    child_dismiss(waiting.pid);
    child_gone(waiting.pid);
    waiting.pid = 0;
}
