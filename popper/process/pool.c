/*
 * pool: see pool.h. Runs with the rights of the standalone process, up to monitor_run; reads nothing from any socket.
 */
#include "process/pool.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "process/monitor.h"
#include "process/startup.h"
#include "process/tlsready.h"
#include "wire/netio.h"
#include "wire/privmsg.h"

/* ---- in the new process */

/* It keeps nothing of the listener's but log, its end, its door (-1: none), and where it may ask for a TLS relay. */
static void begin(const struct pool *p, const struct settings *settings, int end, int door)
{
    int keep[6] = { end, door, tlsready_end() };
    size_t count = 3;

    count += log_descriptors(keep + count);
    startup_signals();
    setrlimit(RLIMIT_NOFILE, &p->descriptors);
    file_close_others(3, keep, count);
    log_open(p->argv0, settings->log_facility);
}

static int serve_now(const struct pool *p, struct settings *settings, const struct supervised_client *client, int end)
{
    if (dup2(client->fd, 0) < 0 || dup2(client->fd, 1) < 0)
        return MEM_EXIT_STATUS;
    begin(p, settings, end, -1);
    supervised_enter(end);
    settings->failure_delay = client->delay;
    return monitor_run(settings);
}

/* ---- in the listener */

static pid_t start_fresh(const struct pool *p, struct settings *settings, const struct supervised_client *client,
                         int *end_r, int *status_r)
{
    int ends[2], saved;
    pid_t pid;

    if (privmsg_pair(ends) < 0)
        return -1;
    pid = fork();
    if (pid == 0) {
        *status_r = serve_now(p, settings, client, ends[1]);
        return 0;
    }
    saved = errno;
    close(ends[1]);
    if (pid > 0)
        *end_r = ends[0];
    else
        close(ends[0]);
    errno = saved;
    return pid;
}

static void take_out(struct pool *p, size_t i)
{
    p->count--;
    memmove(&p->item[i], &p->item[i + 1], (p->count - i) * sizeof *p->item);
}

/* It ends when nobody holds these any more. */
static void let_go(const struct pool_place *place)
{
    file_close_pair((const int[]){ place->end, place->door });
}

/* The monitor first, which reads nothing from him and greets nobody: so the next place can take him when preauth is not there any more. False: one of
   them is not. */
static bool tell_both(const struct pool_place *place, const struct supervised_client *client)
{
    return supervised_give(place->end, client) == 0 && (place->door < 0 || supervised_give(place->door, client) == 0);
}

pid_t pool_serve(struct pool *p, struct settings *settings, const struct supervised_client *client, int *end_r,
                 int *status_r)
{
    while (p->count > 0) {
        struct pool_place place = p->item[0];

        take_out(p, 0);
        if (tell_both(&place, client)) {
            if (place.door >= 0)
                close(place.door);
            *end_r = place.end;
            return place.pid;
        }
        let_go(&place);
        p->pause_until = netio_now() + POOL_PAUSE_NS;
        log_write(LOG_WARNING, "a process that waited for a client was not there any more; another one serves him");
    }
    return start_fresh(p, settings, client, end_r, status_r);
}

bool pool_hungry(const struct pool *p, const struct settings *settings, int64_t now)
{
    return p->count < (size_t)settings->prefork && now >= p->pause_until;
}

bool pool_grow(struct pool *p, struct settings *settings, int64_t now, int *status_r)
{
    int ends[2] = { -1, -1 }, doors[2] = { -1, -1 };
    pid_t pid = -1;

    if (privmsg_pair(ends) == 0 && (!monitor_preauth_ahead(settings) || privmsg_pair(doors) == 0))
        pid = fork();
    if (pid == 0) {
        begin(p, settings, ends[1], doors[1]);
        *status_r = monitor_run_ahead(settings, ends[1], doors[1]);
        return true;
    }
    if (pid > 0) {
        p->item[p->count++] = (struct pool_place){ .pid = pid, .end = ends[0], .door = doors[0] };
        ends[0] = doors[0] = -1;
    } else
        p->pause_until = now + POOL_PAUSE_NS;
    file_close_pair(ends);
    file_close_pair(doors);
    return false;
}

bool pool_forget(struct pool *p, pid_t pid, int64_t now)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->item[i].pid == pid) {
            let_go(&p->item[i]);
            take_out(p, i);
            p->pause_until = now + POOL_PAUSE_NS;
            return true;
        }
    return false;
}

void pool_empty(struct pool *p)
{
    for (size_t i = 0; i < p->count; i++)
        let_go(&p->item[i]);
    p->count = 0;
}
