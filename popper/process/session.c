/*
 * session: see session.h.
 *
 * Rights of this role: uid, gid and groups of the user, without the keeper's extra gid, in the sandbox: it opens
 * nothing, and holds the client's descriptors, the maildrop, the index, perhaps a leftover temp drop, and one end of a
 * privmsg pair. Names, locks and log are the keeper's. Its signals: SIGURG (another login asks it to go) and SIGTERM,
 * SIGHUP, SIGINT (end without update); all wait during UPDATE. A keeper's death is SIGTERM,
 * and while it holds the locks SIGKILL.
 */
#include "process/session.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/file.h"
#include "common/identity.h"
#include "common/log.h"
#include "common/mem.h"
#include "mail/journal.h"
#include "process/request.h"
#include "process/sandbox.h"
#include "protocol/cmd_mail.h"
#include "protocol/stats.h"
#include "wire/netio.h"

#define OUTPUT_BYTES (124 * 1024) /* malloc(3) would map more by itself */
#define LAST_WORD_SECONDS 1 /* for a client that is told why its session ends */
#define BUSY_TEXT "TEMPDROP lock busy!  Is another session active? (%d)"

struct session {
    const struct session_start *start;
    struct command_client client;
    struct mailhost host;
    struct netio *io;
    int keeper;
    struct maildrop *drop;
    bool taken_over;
};

/* ---- signals */

static volatile sig_atomic_t woken;    /* one of the next two is set */
static volatile sig_atomic_t asked;    /* a newcomer asks whether we are idle */
static volatile sig_atomic_t stop;     /* the signal that ends the session */

static void on_ask(int number)
{
    (void)number;
    asked = 1;
    woken = 1;
}

static void on_stop(int number)
{
    stop = number;
    woken = 1;
    /* A read that is about to begin must not wait for the client either. No effect on pipes and terminals. */
    shutdown(0, SHUT_RD);
}

static void handle(int number, void (*handler)(int))
{
    struct sigaction act = { .sa_handler = handler };

    sigaction(number, &act, NULL);
}

/* Called when the session was woken: true ends it. */
static bool interrupted(void *context)
{
    struct session *s = context;
    int64_t idle = s->start->settings->takeover_idle * INT64_C(1000000000);

    woken = 0;
    if (stop || s->taken_over)
        return true;
    if (!asked)
        return false;
    asked = 0;
    s->taken_over = idle > 0 && netio_now() - netio_last_moved(s->io) >= idle;
    return s->taken_over;
}

/* ---- beginning */

static _Noreturn void done(const struct session_start *start, int status)
{
    struct privmsg m;

    privmsg_init(&m, REQUEST_DONE);
    privmsg_put_number(&m, (uint64_t)status);
    privmsg_send(start->keeper, &m);
    _exit(0);
}

/* Only the descriptors that were handed over stay. */
static void keep_descriptors(const struct session_start *start)
{
    const struct bulletin_offer *bulletins = start->files.bulletins;
    size_t count = 0, room = 5 + (bulletins ? bulletins->count : 0);
    int *keep = mem_new(room, sizeof *keep);

    keep[count++] = start->keeper;
    keep[count++] = start->files.drop;
    keep[count++] = start->files.index;
    keep[count++] = start->files.leftover;
    if (bulletins)
        keep[count++] = bulletins->text;
    for (size_t i = 0; bulletins && i < bulletins->count; i++)
        if (bulletins->items[i].fd >= 0)
            keep[count++] = bulletins->items[i].fd;
    file_close_others(3, keep, count);
    mem_free(keep);
}

static void give_up_rights(const struct session_start *start)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    bool well = identity_forget_gid(&why) == 0;

    /* A session without keeper has no locks: it ends when the keeper does, in order (but see request.c). */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != start->keeper_pid)
        _exit(MEM_EXIT_STATUS);
    if (well && sandbox_enter(SANDBOX_SESSION, start->settings->sandbox, &why) < 0)
        well = start->settings->sandbox != SANDBOX_MODE_ENFORCE;
    if (well) {
        strbuf_free(&why);
        return;
    }
    log_write(LOG_ERR, "%s at %s (%s): the session ends: %s", start->user, start->peer->host, start->peer->ip,
              why.data);
    done(start, MEM_EXIT_STATUS);
}

/* The unread input comes from a process that met the client first; netio bounds it, the client owns its content
   anyway. */
static void open_client(struct session *s)
{
    const struct session_start *start = s->start;

    s->io = netio_new(0, 1, COMMAND_LINE_MAX, OUTPUT_BYTES);
    netio_set_interrupt(s->io, &woken, interrupted, s);
    netio_set_chunky(s->io, start->settings->chunky_writes == CHUNKY_ALWAYS ||
                                (start->settings->chunky_writes == CHUNKY_TLS && start->tls));
    if (start->tls)
        netio_set_settle(s->io, request_settle, &s->keeper);
    if (netio_prepend(s->io, start->unread, start->unread_count) < 0) {
        log_write(LOG_ERR, "%s at %s (%s): more unread input than fits was handed over; the session ends", start->user,
                  start->peer->host, start->peer->ip);
        done(start, MEM_EXIT_STATUS);
    }
}

/* ---- ending */

static void refuse(struct session *s, enum reply_code code, const char *text)
{
    command_refuse(s->io, &s->client, code, text);
}

/* The maildrop cannot be served. */
static int refuse_maildrop(struct session *s, enum maildrop_status status, const char *why)
{
    char busy[80];

    switch (status) {
    case MAILDROP_BUSY:
        snprintf(busy, sizeof busy, BUSY_TEXT, EAGAIN);
        log_write(LOG_INFO, "maildrop of %s: %s", s->start->user, why);
        refuse(s, REPLY_IN_USE, busy);
        break;
    case MAILDROP_PERM:
        log_write(LOG_ERR, "maildrop of %s: %s", s->start->user, why);
        refuse(s, REPLY_SYS_PERM, why);
        break;
    default:
        log_write(LOG_ERR, "maildrop of %s: %s", s->start->user, why);
        refuse(s, REPLY_SYS_TEMP, why);
        break;
    }
    return MEM_EXIT_STATUS;
}

/* Says why to a client that did not expect the end. */
static void say_interrupted(struct session *s)
{
    const struct session_start *start = s->start;

    netio_set_timeout(s->io, LAST_WORD_SECONDS);
    if (s->taken_over) {
        log_write(LOG_NOTICE, "%s at %s (%s): the session was idle and gave way to a new login; nothing was deleted",
                  start->user, start->peer->host, start->peer->ip);
        refuse(s, REPLY_IN_USE, "Another session of yours has taken over; nothing was deleted");
    } else if (stop == SIGHUP) {
        refuse(s, REPLY_NONE, "SIGHUP or SIGPIPE flagged");
    } else {
        refuse(s, REPLY_SYS_TEMP, "The server is told to end this session; nothing was deleted");
    }
}

static bool is_normal(enum command_end end)
{
    return end == COMMAND_END_QUIT;
}

static int serve(struct session *s)
{
    const struct session_start *start = s->start;
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    int64_t opened, began = netio_now(), update_ns = 0;
    const struct transaction_asks asks = {
        .context = s,
        .interrupted = interrupted,
        .xmit_open = request_xmit_open,
        .xmit_send = request_xmit_send,
        .sasl = start->sasl,
        .mangle_open = request_mangle_open,
        .mangle = request_mangle,
        .no_mime = start->no_mime,
    };
    enum maildrop_status status;
    enum command_end end;

    status = maildrop_open(&s->drop, &start->files, start->settings, &s->host, &why);
    if (status != MAILDROP_OK)
        return refuse_maildrop(s, status, why.data);
    opened = netio_now();
    end = cmd_mail_serve(s->io, start->settings, start->peer, start->host, start->user, s->drop, &asks, &update_ns);
    if (end == COMMAND_END_TAKEOVER || (end == COMMAND_END_IO && (stop || s->taken_over)))
        say_interrupted(s);
    stats_timing(start->settings, start->user, start->peer, is_normal(end), start->auth_ns, opened - began, update_ns);
    return end == COMMAND_END_ERR ? MEM_EXIT_STATUS : 0;
}

_Noreturn void session_main(const struct session_start *start)
{
    struct session s = {
        .start = start,
        .keeper = start->keeper,
        .client = { .user = start->user, .peer = start->peer, .timeout = start->settings->timeout },
    };
    int status;

    request_log_through(start->keeper);
    log_close();
    keep_descriptors(start);
    handle(SIGURG, on_ask);
    handle(SIGTERM, on_stop);
    handle(SIGHUP, on_stop);
    handle(SIGINT, on_stop);
    give_up_rights(start);
    open_client(&s);
    request_mailhost(&s.host, start->keeper, start->files.shown);
    if (start->status != MAILDROP_OK)
        status = refuse_maildrop(&s, start->status, start->why);
    else
        status = serve(&s);
    netio_close(&s.io);
    /* The client need not wait for the end of this process, nor for a large copy to be freed, nor for the index. */
    shutdown(1, SHUT_WR);
    maildrop_close(&s.drop);
    done(start, status);
}

_Noreturn void session_recover(const struct session_start *start)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct mailhost host;
    int drop = start->files.drop, now = MAILHOST_SAME_DROP;
    enum maillock_result locked;
    bool settled = false;

    request_log_through(start->keeper);
    log_close();
    dup2(2, 0);
    dup2(2, 1);
    keep_descriptors(start);
    /* Nobody waits for it: it ends when it is done or killed. */
    handle(SIGURG, SIG_IGN);
    handle(SIGTERM, SIG_IGN);
    handle(SIGHUP, SIG_IGN);
    handle(SIGINT, SIG_IGN);
    give_up_rights(start);
    request_mailhost(&host, start->keeper, start->files.shown);
    locked = host.lock(host.context, true, &now, &why);
    if (now != MAILHOST_SAME_DROP)
        drop = now;
    if (locked == MAILLOCK_OK) {
        settled = journal_recover(&drop, &host, &why) == JOURNAL_SETTLED;
        host.unlock(host.context);
    }
    if (settled)
        log_write(LOG_NOTICE, "maildrop of %s: what an interrupted update left was settled at once", start->user);
    else
        log_write(LOG_ERR,
                  "maildrop of %s: an interrupted update could not be settled yet; the next login tries again: %s",
                  start->user, why.data);
    done(start, settled ? 0 : MEM_EXIT_STATUS);
}
