/*
 * systemd: see systemd.h. Believes the environment, which is root's when root starts us; reads nothing from sockets.
 */
#include "process/systemd.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "process/listener.h"

#define NOTE_MAX 500

static struct {
    int sockets;
    struct sockaddr_un notify;
    socklen_t notify_length; /* 0: nobody wants to hear */
} given;

static long number_of(const char *name)
{
    const char *text = getenv(name);
    char *end;
    long number = text && *text ? strtol(text, &end, 10) : 0;

    return number > 0 && *end == '\0' ? number : 0;
}

/* A path, or an abstract name after '@'. */
static void remember_notify_socket(const char *name)
{
    size_t length = name ? strlen(name) : 0;

    if (length < 2 || length >= sizeof given.notify.sun_path || (name[0] != '/' && name[0] != '@'))
        return;
    given.notify.sun_family = AF_UNIX;
    memcpy(given.notify.sun_path, name, length + 1);
    if (name[0] == '@')
        given.notify.sun_path[0] = '\0';
    given.notify_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

int systemd_inherit(void)
{
    long pid = number_of("LISTEN_PID");
    long count = pid > 0 && pid == (long)getpid() ? number_of("LISTEN_FDS") : 0;

    remember_notify_socket(getenv("NOTIFY_SOCKET"));
    if (count > SYSTEMD_SOCKETS_MAX)
        count = SYSTEMD_SOCKETS_MAX;
    if (count == 1 && !listener_listens(SYSTEMD_FIRST_FD)) {
        dup2(SYSTEMD_FIRST_FD, 0);
        dup2(SYSTEMD_FIRST_FD, 1);
        count = 0;
    }
    given.sockets = (int)count;
    for (int i = 0; i < given.sockets; i++)
        fcntl(SYSTEMD_FIRST_FD + i, F_SETFD, FD_CLOEXEC);
    return given.sockets;
}

int systemd_sockets(void)
{
    return given.sockets;
}

void systemd_notify(const char *format, ...)
{
    char note[NOTE_MAX];
    va_list ap;
    int fd, length;

    if (given.notify_length == 0)
        return;
    va_start(ap, format);
    length = vsnprintf(note, sizeof note, format, ap);
    va_end(ap);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (length > 0 && length < NOTE_MAX)
        (void)!sendto(fd, note, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&given.notify,
                      given.notify_length);
    close(fd);
}
