/*
 * supervised: see supervised.h. When the standalone process is gone the session goes on as if alone.
 */
#include "process/supervised.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "process/child.h"
#include "wire/privmsg.h"

#define CLIENT 1 /* the only type of message */
#define NUMBER_MAX 24

static int supervisor = -1;

int supervised_give(int end, const struct supervised_client *client)
{
    struct privmsg m;
    int result;

    privmsg_init(&m, CLIENT);
    privmsg_put_number(&m, (uint64_t)client->delay);
    privmsg_put_number(&m, client->secrets);
    privmsg_put_bytes(&m, &client->peer, sizeof client->peer);
    privmsg_put_fd(&m, client->fd);
    result = privmsg_send(end, &m);
    m.fd = -1;
    privmsg_free(&m);
    return result;
}

static bool take(struct privmsg *m, struct supervised_client *client_r)
{
    const char *peer;
    size_t n;

    client_r->delay = (int)privmsg_get_number(m);
    client_r->secrets = privmsg_get_number(m) != 0;
    peer = privmsg_get_bytes(m, sizeof client_r->peer, &n);
    if (!privmsg_complete(m) || m->type != CLIENT || m->fd < 0 || n != sizeof client_r->peer)
        return false;
    memcpy(&client_r->peer, peer, n);
    client_r->fd = m->fd;
    m->fd = -1;
    return true;
}

int supervised_take(int end, struct supervised_client *client_r)
{
    struct privmsg m;
    bool taken;
    int got;

    got = privmsg_await(end, &m, -1);
    if (got <= 0)
        return 0;
    taken = take(&m, client_r);
    privmsg_free(&m);
    return taken;
}

void supervised_enter(int end)
{
    supervisor = end;
}

bool supervised(void)
{
    return supervisor >= 0;
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
    char answer;

    if (supervisor < 0)
        return true;
    say_word(SUPERVISED_CHECK);
    /* Also when the other side is gone: there are no turns any more. */
    if (child_wait(supervisor, asker, SUPERVISED_WAIT_MS) == 1 && recv(supervisor, &answer, 1, MSG_DONTWAIT) >= 0)
        return true;
    say_word(SUPERVISED_CHECKED);
    return false;
}

void supervised_check_end(void)
{
    say_word(SUPERVISED_CHECKED);
}

void supervised_failed(void)
{
    say_word(SUPERVISED_FAILED);
}

static void say_text(enum supervised_word word, const char *text)
{
    char message[SUPERVISED_MESSAGE_MAX] = { (char)word };
    size_t length = strlen(text);

    if (length > sizeof message - 2)
        length = sizeof message - 2;
    memcpy(message + 1, text, length);
    say(message, 1 + length);
}

void supervised_peer(const char *ip)
{
    say_text(SUPERVISED_PEER, ip);
}

void supervised_tls_silent(pid_t pid)
{
    char text[NUMBER_MAX];

    snprintf(text, sizeof text, "%ld", (long)pid);
    say_text(SUPERVISED_TLS_SILENT, text);
}

void supervised_logged_in(void)
{
    say_word(SUPERVISED_LOGGED_IN);
    if (supervisor >= 0)
        close(supervisor);
    supervisor = -1;
}
