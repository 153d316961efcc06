/*
 * request: see request.h. Runs in the processes without rights (request_log_record: in those that hear them); nothing here opens, locks or kills.
 */
#include "process/request.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

#include "common/log.h"
#include "common/maillock.h"

static struct {
    int end;               /* of the mailhost */
    bool signals_wait;
    sigset_t mask_before;
} asking = { .end = -1 };

static int log_end = -1;

const char *request_name(uint32_t type)
{
    static const char *const names[REQUEST_COUNT] = {
        [REQUEST_LOG] = "LOG",
        [REQUEST_PASSWORD] = "PASSWORD",
        [REQUEST_APOP] = "APOP",
        [REQUEST_HANDOVER] = "HANDOVER",
        [REQUEST_LOCK] = "LOCK",
        [REQUEST_UNLOCK] = "UNLOCK",
        [REQUEST_LOCK_IS_OURS] = "LOCK_IS_OURS",
        [REQUEST_OPEN] = "OPEN",
        [REQUEST_REMOVE] = "REMOVE",
        [REQUEST_SET_ASIDE] = "SET_ASIDE",
        [REQUEST_SYNC_DIR] = "SYNC_DIR",
        [REQUEST_XMIT_OPEN] = "XMIT_OPEN",
        [REQUEST_XMIT_SEND] = "XMIT_SEND",
        [REQUEST_NOTE_BULLETIN] = "NOTE_BULLETIN",
        [REQUEST_MANGLE_OPEN] = "MANGLE_OPEN",
        [REQUEST_MANGLE] = "MANGLE",
        [REQUEST_COPY] = "COPY",
        [REQUEST_DONE] = "DONE",
        [REQUEST_STLS] = "STLS", [REQUEST_ESTABLISHED] = "ESTABLISHED", [REQUEST_SETTLE] = "SETTLE",
        [REQUEST_SASL_START] = "SASL_START", [REQUEST_SASL_STEP] = "SASL_STEP", [REQUEST_SASL_CANCEL] = "SASL_CANCEL",
        [REQUEST_BINDING] = "BINDING",
    };

    return type < REQUEST_COUNT && names[type] ? names[type] : "unknown";
}

static void send_record(void *context, int priority, const char *text, size_t length)
{
    struct privmsg m;

    (void)context;
    privmsg_init(&m, REQUEST_LOG);
    privmsg_put_number(&m, (uint64_t)priority);
    privmsg_put_bytes(&m, text, length);
    /* When the other side is gone nobody is left to tell. */
    (void)privmsg_send(log_end, &m);
    privmsg_free(&m);
}

void request_log_through(int end)
{
    log_end = end;
    log_set_sink(send_record, NULL);
}

/* Other programs act upon these records: fail2ban, POP before SMTP. Some find them behind anything. */
static const char *const verdicts[] = {
    "[AUTH] Failed attempted login to", "[AUTH] Kerberos authentication of client", "POP login by user"
};

void request_log_record(int priority, const char *text, size_t n)
{
    char shown[LOG_RECORD_MAX];
    char *at;

    n = n < sizeof shown ? n : sizeof shown;
    memcpy(shown, text, n);
    for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++)
        while ((at = memmem(shown, n, verdicts[i], strlen(verdicts[i]))))
            *at = '?';
    log_record(priority, shown, n);
}

int request_ask(int end, struct privmsg *m)
{
    return request_ask_watching(end, m, NULL, NULL);
}

int request_ask_watching(int end, struct privmsg *m, bool (*gone)(void *context), void *context)
{
    int got;

    if (privmsg_send(end, m) < 0) {
        privmsg_free(m);
        return -1;
    }
    privmsg_free(m);
    do {
        got = privmsg_receive(end, m, gone ? REQUEST_LOOK_MS : -1);
    } while (got < 0 && (errno == EINTR || (errno == ETIMEDOUT && gone && !gone(context))));
    if (got <= 0)
        return -1;
    if (m->type == REQUEST_ANSWER)
        return 0;
    privmsg_free(m);
    return -1;
}

int request_settle(void *end, int timeout_ms)
{
    struct privmsg m;
    uint64_t settled;

    privmsg_init(&m, REQUEST_SETTLE);
    privmsg_put_number(&m, (uint64_t)timeout_ms);
    if (request_ask(*(const int *)end, &m) < 0)
        return -1;
    settled = privmsg_get_number(&m);
    privmsg_free(&m);
    return settled == REQUEST_SETTLED_YES ? 1 : settled == REQUEST_SETTLED_NOT_YET ? 0 : -1;
}

/* ---- mailhost over privmsg */

/* The keeper is gone (or mad): without it there are no locks, so nothing may be changed any more. */
static int keeper_lost(struct strbuf *why)
{
    if (why)
        strbuf_fail(why, "the process that keeps the locks of this session has ended; the maildrop is as it was");
    errno = EPIPE;
    return -1;
}

static void let_signals_wait(void)
{
    sigset_t all;

    if (asking.signals_wait)
        return;
    sigfillset(&all);
    asking.signals_wait = sigprocmask(SIG_BLOCK, &all, &asking.mask_before) == 0;
}

static void let_signals_come(void)
{
    if (!asking.signals_wait)
        return;
    asking.signals_wait = false;
    sigprocmask(SIG_SETMASK, &asking.mask_before, NULL);
}

/* The keeper's dot lock counts as stale as soon as it is gone: not a byte may be written from then on, also not in UPDATE, where other signals
   wait. */
static void die_with_keeper(bool at_once)
{
    prctl(PR_SET_PDEATHSIG, at_once ? SIGKILL : SIGTERM);
}

static enum maillock_result ask_lock(void *context, bool updating, int *drop_r, struct strbuf *why)
{
    struct privmsg m;
    enum maillock_result result;

    (void)context;
    if (updating)
        let_signals_wait();
    die_with_keeper(true);
    privmsg_init(&m, REQUEST_LOCK);
    privmsg_put_number(&m, updating);
    if (request_ask(asking.end, &m) < 0) {
        keeper_lost(why);
        die_with_keeper(false);
        let_signals_come();
        return MAILLOCK_ERROR;
    }
    result = (enum maillock_result)privmsg_get_number(&m);
    strbuf_fail(why, "%s", privmsg_get_text(&m, STRBUF_WHY_MAX));
    *drop_r = MAILHOST_SAME_DROP;
    if (privmsg_get_number(&m) == 1) {
        *drop_r = m.fd;
        m.fd = -1;
    }
    privmsg_free(&m);
    if (result != MAILLOCK_OK) {
        die_with_keeper(false);
        let_signals_come();
    }
    return result;
}

static void ask_unlock(void *context)
{
    struct privmsg m;

    (void)context;
    privmsg_init(&m, REQUEST_UNLOCK);
    request_ask(asking.end, &m);
    privmsg_free(&m);
    die_with_keeper(false);
    let_signals_come();
}

static bool ask_lock_is_ours(void *context)
{
    struct privmsg m;
    bool ours;

    (void)context;
    privmsg_init(&m, REQUEST_LOCK_IS_OURS);
    ours = request_ask(asking.end, &m) == 0 && privmsg_get_number(&m) == 1;
    privmsg_free(&m);
    return ours;
}

/* The answer of requests about files: 0, or -1 with errno and why. */
static int file_answer(struct privmsg *m, struct strbuf *why)
{
    int error = (int)privmsg_get_number(m);
    const char *text = privmsg_get_text(m, STRBUF_WHY_MAX);

    if (!privmsg_complete(m)) {
        privmsg_free(m);
        return keeper_lost(why);
    }
    if (error == 0)
        return 0;
    strbuf_fail(why, "%s", text);
    privmsg_free(m);
    errno = error;
    return -1;
}

/* Sends the question, takes the descriptor out of the answer. */
static int ask_for_descriptor(struct privmsg *m, struct strbuf *why)
{
    int fd;

    if (request_ask(asking.end, m) < 0)
        return keeper_lost(why);
    if (file_answer(m, why) < 0)
        return -1;
    fd = m->fd;
    m->fd = -1;
    privmsg_free(m);
    return fd >= 0 ? fd : keeper_lost(why);
}

/* Sends the question; the answer carries nothing but how it went. */
static int ask_whether_done(struct privmsg *m, struct strbuf *why)
{
    if (request_ask(asking.end, m) < 0)
        return keeper_lost(why);
    if (file_answer(m, why) < 0)
        return -1;
    privmsg_free(m);
    return 0;
}

static int ask_open(void *context, enum mailfile which, enum mailopen how, struct strbuf *why)
{
    struct privmsg m;

    (void)context;
    privmsg_init(&m, REQUEST_OPEN);
    privmsg_put_number(&m, which);
    privmsg_put_number(&m, how);
    return ask_for_descriptor(&m, why);
}

int request_xmit_open(void *context, struct strbuf *why)
{
    struct privmsg m;

    (void)context;
    privmsg_init(&m, REQUEST_XMIT_OPEN);
    return ask_for_descriptor(&m, why);
}

int request_xmit_send(void *context, struct strbuf *why)
{
    struct privmsg m;

    (void)context;
    privmsg_init(&m, REQUEST_XMIT_SEND);
    return ask_whether_done(&m, why);
}

int request_mangle_open(void *context, uint64_t octets, struct strbuf *why)
{
    struct privmsg m;

    (void)context;
    privmsg_init(&m, REQUEST_MANGLE_OPEN);
    privmsg_put_number(&m, octets);
    return ask_for_descriptor(&m, why);
}

int request_mangle(void *context, uint64_t octets, const char *wanted, uint64_t *header_r, struct strbuf *why)
{
    struct privmsg m;
    int error, fd;

    (void)context;
    privmsg_init(&m, REQUEST_MANGLE);
    privmsg_put_number(&m, octets);
    privmsg_put_text(&m, wanted);
    if (request_ask(asking.end, &m) < 0)
        return keeper_lost(why);
    error = (int)privmsg_get_number(&m);
    strbuf_fail(why, "%s", privmsg_get_text(&m, STRBUF_WHY_MAX));
    *header_r = privmsg_get_number(&m);
    fd = error == 0 && privmsg_complete(&m) ? m.fd : -1;
    if (fd >= 0)
        m.fd = -1;
    privmsg_free(&m);
    errno = error;
    return fd >= 0 || error ? fd : keeper_lost(why);
}

static int ask_about(enum request type, enum mailfile which, struct strbuf *why)
{
    struct privmsg m;

    privmsg_init(&m, type);
    privmsg_put_number(&m, which);
    return ask_whether_done(&m, why);
}

static int ask_remove(void *context, enum mailfile which, struct strbuf *why)
{
    (void)context;
    return ask_about(REQUEST_REMOVE, which, why);
}

static int ask_set_aside(void *context, enum mailfile which, struct strbuf *why)
{
    (void)context;
    return ask_about(REQUEST_SET_ASIDE, which, why);
}

static int ask_sync_dir(void *context, enum mailfile which, struct strbuf *why)
{
    (void)context;
    return ask_about(REQUEST_SYNC_DIR, which, why);
}

static int ask_note_bulletin(void *context, uint64_t last, struct strbuf *why)
{
    struct privmsg m;

    (void)context;
    privmsg_init(&m, REQUEST_NOTE_BULLETIN);
    privmsg_put_number(&m, last);
    return ask_whether_done(&m, why);
}

/* The locks are the keeper's then, and nothing is written under them here. */
static int ask_copy(void *context, uint64_t n, struct strbuf *why)
{
    struct privmsg m;
    int fd;

    (void)context;
    privmsg_init(&m, REQUEST_COPY);
    privmsg_put_number(&m, n);
    fd = ask_for_descriptor(&m, why);
    if (fd >= 0)
        die_with_keeper(false);
    return fd;
}

void request_mailhost(struct mailhost *host, int end, const char *shown)
{
    asking.end = end;
    *host = (struct mailhost){
        .shown = shown,
        .lock = ask_lock,
        .unlock = ask_unlock,
        .lock_is_ours = ask_lock_is_ours,
        .open = ask_open,
        .remove = ask_remove,
        .set_aside = ask_set_aside,
        .sync_dir = ask_sync_dir,
        .note_bulletin = ask_note_bulletin,
        .copy = ask_copy,
    };
}
