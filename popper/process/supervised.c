/*
 * supervised: see supervised.h. When the standalone process is gone the session goes on as if alone.
 */
#include "process/supervised.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/netio.h"

static int supervisor = -1;

void supervised_enter(int end)
{
    supervisor = end;
}

static void say(const char *message, size_t length)
{
    if (supervisor >= 0)
        (void)!send(supervisor, message, length, MSG_NOSIGNAL);
}

static void say_word(enum supervised_word word)
{
    char byte = (char)word;

    say(&byte, 1);
}

bool supervised_check_begin(int asker)
{
    int64_t limit = netio_now() + SUPERVISED_WAIT_MS * INT64_C(1000000);
    char answer;

    if (supervisor < 0)
        return true;
    say_word(SUPERVISED_CHECK);
    for (;;) {
        struct pollfd p[2] = { { .fd = supervisor, .events = POLLIN }, { .fd = asker, .events = 0 } };
        int64_t left = (limit - netio_now()) / 1000000;
        int ready = left <= 0 ? 0 : poll(p, 2, (int)left);

        if (ready < 0 && errno == EINTR)
            continue;
        if (ready > 0 && p[0].revents && recv(supervisor, &answer, 1, MSG_DONTWAIT) >= 0)
            return true;
        if (ready > 0 && p[0].revents && !p[1].revents && errno == EAGAIN)
            continue;
        say_word(SUPERVISED_CHECKED);
        return false;
    }
}

void supervised_check_end(void)
{
    say_word(SUPERVISED_CHECKED);
}

void supervised_failed(void)
{
    say_word(SUPERVISED_FAILED);
}

void supervised_peer(const char *ip)
{
    char message[SUPERVISED_MESSAGE_MAX] = { SUPERVISED_PEER };
    size_t length = strnlen(ip, sizeof message - 2);

    memcpy(message + 1, ip, length);
    say(message, 1 + length);
}

void supervised_logged_in(void)
{
    say_word(SUPERVISED_LOGGED_IN);
    if (supervisor >= 0)
        close(supervisor);
    supervisor = -1;
}
