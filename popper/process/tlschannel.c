/*
 * tlschannel: see tlschannel.h. Runs in a monitor, as root or as the user that it has become, and in tlsmaker, as root.
 */
#include "process/tlschannel.h"

#include <errno.h>
#include <string.h>

#include "wire/privmsg.h"

int tlschannel_put(int end, enum tlschannel_word word, uint64_t number, const void *bytes, size_t n, int fd)
{
    struct privmsg m;
    int result;

    privmsg_init(&m, word);
    privmsg_put_number(&m, number);
    privmsg_put_bytes(&m, bytes, n);
    privmsg_put_fd(&m, fd);
    result = privmsg_send(end, &m);
    m.fd = -1;
    privmsg_free(&m);
    return result;
}

int tlschannel_get(int end, int ms, enum tlschannel_word word, uint64_t *number_r, void *bytes_r, size_t n, int *fd_r)
{
    struct privmsg m;
    int got = privmsg_await(end, &m, ms), result = -1;
    const char *bytes;
    size_t length;

    if (got <= 0) {
        errno = got == 0 ? 0 : errno;
        return -1;
    }
    *number_r = privmsg_get_number(&m);
    bytes = privmsg_get_bytes(&m, n, &length);
    if (m.type == (uint32_t)word && privmsg_complete(&m) && length == n && (m.fd >= 0) == (fd_r != NULL)) {
        if (n > 0)
            memcpy(bytes_r, bytes, n);
        if (fd_r)
            *fd_r = m.fd;
        m.fd = -1;
        result = 0;
    }
    privmsg_free(&m);
    errno = EBADMSG;
    return result;
}
