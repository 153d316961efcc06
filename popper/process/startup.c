/*
 * startup: see startup.h. Trusts nothing that was inherited but the client's descriptors and the uid.
 */
#include "process/startup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "process/systemd.h"

#define TZ_MAX 200

void startup_signals(void)
{
    /* Those that somebody may have left ignored and that we need, or that shall end us. */
    const int wanted[] = { SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGALRM, SIGURG, SIGUSR1, SIGUSR2 };
    const int unwanted[] = { SIGPIPE, SIGXFSZ };
    sigset_t none;
    size_t i;

    for (i = 0; i < sizeof wanted / sizeof *wanted; i++)
        signal(wanted[i], SIG_DFL);
    for (i = 0; i < sizeof unwanted / sizeof *unwanted; i++)
        signal(unwanted[i], SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void clean_environment(void)
{
    /* Said in so many words, the zone file is read once, and still known where there is no /etc (preauth). */
    static char tz[TZ_MAX + 4] = "TZ=:/etc/localtime";
    static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", lang[] = "LANG=C";
    static char *allowed[] = { path, lang, tz, NULL };
    const char *given = getenv("TZ");

    if (given && strlen(given) <= TZ_MAX)
        snprintf(tz, sizeof tz, "TZ=%s", given);
    environ = allowed;
}

void startup_clean(void)
{
    file_sanitize_descriptors(SYSTEMD_FIRST_FD + systemd_inherit(), NULL, 0);
    umask(077);
    startup_signals();
    clean_environment();
}

void startup_detach(void)
{
    int null;

    close(2); /* 0 and 1 are there */
    null = open("/dev/null", O_RDWR);
    if (null < 0)
        log_write(LOG_ERR, "/dev/null cannot be opened: %s; make it again: mknod -m 666 /dev/null c 1 3", strerror(errno));
    if (null != 2 || chdir("/") < 0)
        _exit(MEM_EXIT_STATUS);
}

bool startup_has_client(void)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;

    return getpeername(0, (struct sockaddr *)&address, &length) == 0;
}
