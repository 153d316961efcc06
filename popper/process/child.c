/*
 * child: see child.h.
 */
#include "process/child.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wire/netio.h"

#define LOOK_MS 20 /* how often one looks where the kernel has no pidfd (before Linux 5.3), or a container forbids it */

bool child_has_ended(pid_t pid)
{
    siginfo_t info = { .si_pid = 0 };

    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

int child_pin(pid_t pid, int *look_ms_r)
{
    int pinned = (int)syscall(SYS_pidfd_open, pid, 0);

    *look_ms_r = pinned >= 0 ? INT_MAX : LOOK_MS;
    return pinned;
}

bool child_can_be_pinned(void)
{
    int look_ms, pinned = child_pin(getpid(), &look_ms);

    if (pinned >= 0)
        close(pinned);
    return pinned >= 0;
}

bool child_ends_within(pid_t pid, int ms)
{
    int64_t limit = netio_now() + ms * INT64_C(1000000);
    int look_ms;
    struct pollfd p = { .fd = child_pin(pid, &look_ms), .events = POLLIN };
    int64_t left;
    bool ended;

    do {
        left = (limit - netio_now()) / 1000000;
        ended = (p.fd < 0 && child_has_ended(pid)) || poll(&p, 1, left <= 0 ? 0 : left < look_ms ? (int)left : look_ms) > 0;
    } while (!ended && left > 0);
    if (p.fd >= 0)
        close(p.fd);
    return ended;
}

int child_wait(int end, int asker, int timeout_ms)
{
    int64_t limit = netio_now() + timeout_ms * INT64_C(1000000);

    for (;;) {
        struct pollfd p[2] = { { .fd = end, .events = POLLIN }, { .fd = asker, .events = 0 } };
        int64_t left = (limit - netio_now()) / 1000000;
        int ready = left <= 0 ? 0 : poll(p, asker >= 0 ? 2 : 1, (int)left);

        if (ready == 0)
            errno = ETIMEDOUT;
        if (ready == 0 || (ready < 0 && errno != EINTR))
            return -1;
        if (ready > 0 && p[0].revents)
            return 1;
        if (ready > 0 && p[1].revents)
            return 0;
    }
}

void child_dismiss(pid_t pid)
{
    kill(pid, SIGKILL);
}

int child_gone(pid_t pid)
{
    int status = 0;

    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return status;
}

int child_reap(pid_t pid, bool about_to_end)
{
    int status = 0;

    if (about_to_end && waitpid(pid, &status, WNOHANG) == pid)
        return status;
    if (!about_to_end || !child_ends_within(pid, CHILD_LINGER_MS))
        child_dismiss(pid);
    return child_gone(pid);
}

void child_fresh_signals(void)
{
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}
