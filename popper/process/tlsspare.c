/*
 * tlsspare: see tlsspare.h. Runs in tlsmaker, with its rights; of the files it sees only whether they have changed. What the relay may do itself: tlsrole.c.
 */
#include "process/tlsspare.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/fskind.h"
#include "common/log.h"
#include "common/mem.h"
#include "process/child.h"
#include "process/startup.h"
#include "process/tlschannel.h"
#include "process/tlsrole.h"
#include "wire/netio.h"
#include "wire/privmsg.h"

#define SECOND INT64_C(1000000000)
#define DELAY (SECOND / 1000) /* from a request to the next spare: the client who asked goes first */

/* The n-th file that a relay loads; NULL after the last one. */
static const char *file_of(const struct settings *settings, size_t n)
{
    const struct option_list *lists[] = { &settings->tls_server_cert_file, &settings->tls_private_key_file };

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        if (n < lists[i]->count)
            return lists[i]->item[n];
        n -= lists[i]->count;
    }
    return n == 0 ? settings->tls_ticket_key_file : NULL;
}

static void look(const char *path, struct stat *st_r)
{
    if (stat(path, st_r) < 0)
        memset(st_r, 0, sizeof *st_r);
}

static bool is_up_to_date(const struct tlsspare *s, const struct settings *settings)
{
    struct stat now;

    for (size_t i = 0; i < s->count; i++) {
        look(file_of(settings, i), &now);
        if (!file_unchanged(&s->files[i], &now))
            return false;
    }
    return true;
}

/* Room for what it will say of them. */
static void prepare(struct tlsspare *s, const struct settings *settings)
{
    s->count = 0;
    while (file_of(settings, s->count))
        s->count++;
    s->files = mem_new(s->count + 1, sizeof *s->files);
}

/* ---- the relay's side */

/* Whether tlsmaker, whom all wait for, may look at them again: another host might not answer. */
static bool are_local(const struct settings *settings)
{
    const char *path;

    for (size_t i = 0; (path = file_of(settings, i)) != NULL; i++) {
        int fd = open(path, O_PATH | O_CLOEXEC);
        enum fskind kind = fd < 0 ? FSKIND_UNKNOWN : fskind_of(fd, NULL);

        if (fd >= 0)
            close(fd);
        if (kind != FSKIND_LOCAL && kind != FSKIND_MEMORY)
            return false;
    }
    return true;
}

/* Until somebody wants it: 0, and role is complete; or -1: nobody ever will. */
static int meet(struct tlsrole *role, int door, const struct tlsspare *loaded, struct peer *peer)
{
    uint64_t nothing;
    int channel, result;

    if (tlschannel_put(door, TLSCHANNEL_MADE, 0, loaded->files, loaded->count * sizeof *loaded->files, -1) < 0 ||
        tlschannel_get(door, -1, TLSCHANNEL_MAKE, &nothing, NULL, 0, &channel) < 0)
        return -1;
    close(door);
    result = tlsrole_meet(role, channel, TLSCHANNEL_CALLER_MS, peer);
    close(channel);
    return result;
}

/* What is wrong is said by the relay of the next client, which finds it again. */
static _Noreturn void wait_for_client(struct tlsspare *s, const struct settings *settings, int door)
{
    struct peer peer;
    struct tlsrole role = { .settings = settings, .peer = &peer, .stls = true };
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    int keep[4] = { door };
    size_t count = 1 + log_descriptors(keep + 1);

    startup_signals();
    file_close_others(3, keep, count);
    if (!are_local(settings))
        tlsrole_end(&role, 0);
    for (size_t i = 0; i < s->count; i++) /* before they are loaded */
        look(file_of(settings, i), &s->files[i]);
    if (tlsrole_get_ready(&role, keep, count, &why) < 0 || meet(&role, door, s, &peer) < 0)
        tlsrole_end(&role, 0);
    tlsrole_serve(&role);
}

/* ---- tlsmaker's */

void tlsspare_drop(struct tlsspare *s)
{
    if (s->door >= 0)
        close(s->door);
    mem_free(s->files);
    *s = (struct tlsspare)TLSSPARE_NONE;
}

void tlsspare_want(struct tlsspare *s, int64_t now)
{
    if (s->pid == 0)
        s->due = now + DELAY;
}

int64_t tlsspare_pause(const struct tlsspare *s, int64_t now)
{
    if (s->due == 0)
        return -1;
    return s->due > now ? s->due - now : 0;
}

/* Without one each client has a relay made, as before. */
static void make(struct tlsspare *s, const struct settings *settings, int64_t now)
{
    int ends[2];
    pid_t pid;

    s->due = 0;
    if (privmsg_pair(ends) < 0)
        return;
    prepare(s, settings);
    pid = fork();
    if (pid == 0)
        wait_for_client(s, settings, ends[1]);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        tlsspare_drop(s);
        return;
    }
    s->pid = pid;
    s->door = ends[0];
    s->due = now + TLSSPARE_LIFE * SECOND;
}

void tlsspare_turn(struct tlsspare *s, const struct settings *settings, int64_t now)
{
    if (s->due == 0 || s->due > now)
        return;
    if (s->pid > 0)
        tlsspare_drop(s);
    else
        make(s, settings, now);
}

void tlsspare_hear(struct tlsspare *s)
{
    uint64_t nothing;

    s->ready = tlschannel_get(s->door, 0, TLSCHANNEL_MADE, &nothing, s->files, s->count * sizeof *s->files, NULL) == 0;
    if (!s->ready)
        tlsspare_drop(s);
}

pid_t tlsspare_give(struct tlsspare *s, const struct settings *settings, int channel)
{
    pid_t pid = s->pid;

    if (!s->ready)
        return -1;
    if (!is_up_to_date(s, settings) || tlschannel_put(s->door, TLSCHANNEL_MAKE, 0, "", 0, channel) < 0)
        pid = -1;
    tlsspare_drop(s);
    return pid;
}
