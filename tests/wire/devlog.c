/*
 * devlog: loaded into the server by LD_PRELOAD, it leads connections to /dev/log to the socket that the environment names: the player's
 * own syslogd, so that transcripts see what syslogd would get without being root. Tests only.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static char here[sizeof(((struct sockaddr_un *)0)->sun_path)];

/* Early: the server replaces its environment. */
__attribute__((constructor)) static void remember(void)
{
    const char *path = getenv("POPPER_TEST_DEVLOG");

    if (path && strlen(path) < sizeof here)
        strcpy(here, path);
}

int connect(int fd, const struct sockaddr *to, socklen_t length)
{
    int (*next)(int, const struct sockaddr *, socklen_t);
    struct sockaddr_un local; /* a whole one, so that its path ends */

    *(void **)&next = dlsym(RTLD_NEXT, "connect");
    if (to->sa_family != AF_UNIX || length > sizeof local || !here[0])
        return next(fd, to, length);
    memset(&local, 0, sizeof local);
    memcpy(&local, to, length);
    if (strcmp(local.sun_path, "/dev/log") == 0)
        strcpy(local.sun_path, here);
    return next(fd, (const struct sockaddr *)&local, sizeof local);
}
