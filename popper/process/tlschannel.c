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

int tlschannel_give(int channel, const struct peer *peer, int client, int plain, int monitor)
{
    return tlschannel_put(channel, TLSCHANNEL_CLIENT, 0, peer, sizeof *peer, client) == 0 && tlschannel_put(channel, TLSCHANNEL_PLAIN, 0, "", 0, plain) == 0 &&
                   tlschannel_put(channel, TLSCHANNEL_MONITOR, 0, "", 0, monitor) == 0
               ? 0
               : -1;
}

int tlschannel_take(int channel, int ms, struct peer *peer_r, int *client_r, int *plain_r, int *monitor_r)
{
    uint64_t nothing;

    return tlschannel_get(channel, ms, TLSCHANNEL_CLIENT, &nothing, peer_r, sizeof *peer_r, client_r) == 0 &&
                   tlschannel_get(channel, ms, TLSCHANNEL_PLAIN, &nothing, NULL, 0, plain_r) == 0 &&
                   tlschannel_get(channel, ms, TLSCHANNEL_MONITOR, &nothing, NULL, 0, monitor_r) == 0
               ? 0
               : -1;
}
