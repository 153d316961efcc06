/*
 * trespass: what makes popper-trespass of popper: the same objects, and a traitor in one of the roles, who makes one system call in the middle of the
 * role's work. For tests/system/trespass.py; never installed.
 *
 * TRESPASS=ROLE:CALL names both, TRESPASS_NOTE a file that is mapped before anything else runs: what was tried stands there, whatever became of
 * descriptors, root directory and filters. TRESPASS_FILE and TRESPASS_PID: what is opened, who is signalled and traced. The linker's --wrap leads here
 * from where the roles call each other's rooms.
 *
 * TRESPASS=write:pause waits before call number TRESPASS_COUNT of those that change files in UPDATE, until the test says in the note that it goes on:
 * so tests/system/intruder.py can do something to the processes at each of these moments.
 */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "auth/drac.h"
#include "auth/sasl.h"
#include "common/gdbmfile.h"
#include "common/maillock.h"
#include "common/module.h"
#include "mail/filecalls.h"
#include "mail/journal.h"
#include "mail/maildrop.h"
#include "process/preauth.h"
#include "process/privsep.h"
#include "process/session.h"
#include "process/tlspump.h"
#include "tests/system/trespass_calls.h"
#include "wire/netio.h"
#include "wire/proxyheader.h"

static char role_wanted[40];
static char call_wanted[40];
static int count_wanted;
static const char *role = "monitor";

/* ---- the traitor */

static void copy_word(char *to, size_t room, const char *from, size_t n)
{
    snprintf(to, room, "%.*s", (int)n, from);
}

__attribute__((constructor)) static void remember_order(void)
{
    const char *order = getenv("TRESPASS"), *file = getenv("TRESPASS_NOTE"), *pid = getenv("TRESPASS_PID");
    const char *other_file = getenv("TRESPASS_FILE"), *count = getenv("TRESPASS_COUNT");
    const char *colon = order ? strchr(order, ':') : NULL;

    if (!colon || !file)
        return;
    trespass_map(file);
    if (pid)
        trespass_pid = atoi(pid);
    if (count)
        count_wanted = atoi(count);
    if (other_file)
        copy_word(trespass_file, sizeof trespass_file, other_file, strlen(other_file));
    copy_word(role_wanted, sizeof role_wanted, order, (size_t)(colon - order));
    copy_word(call_wanted, sizeof call_wanted, colon + 1, strlen(colon + 1));
}

/* This role is in the middle of its work. */
static void trespass(const char *here)
{
    if (strcmp(here, role_wanted) == 0)
        trespass_make(call_wanted);
}

/* ---- the calls that change files */

static bool in_update;
static int writes_left = 1;

static void before_write(void)
{
    if (in_update && --writes_left == 0)
        trespass("write");
}

static ssize_t watched_pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    before_write();
    return filecalls_os.pwrite(fd, bytes, n, at);
}

static ssize_t watched_copy(int from, off_t from_at, int to, off_t to_at, size_t n)
{
    before_write();
    return filecalls_os.copy_range(from, from_at, to, to_at, n);
}

static int watched_ftruncate(int fd, off_t size)
{
    before_write();
    return filecalls_os.ftruncate(fd, size);
}

static int watched_reserve(int fd, off_t at, off_t n)
{
    before_write();
    return filecalls_os.reserve(fd, at, n);
}

static int watched_fsync(int fd)
{
    before_write();
    return filecalls_os.fsync(fd);
}

static int watched_fdatasync(int fd)
{
    before_write();
    return filecalls_os.fdatasync(fd);
}

static void watch_writes(int count)
{
    static struct filecalls watched;

    watched = filecalls_os;
    watched.pwrite = watched_pwrite;
    watched.copy_range = watched_copy;
    watched.ftruncate = watched_ftruncate;
    watched.reserve = watched_reserve;
    watched.fsync = watched_fsync;
    watched.fdatasync = watched_fdatasync;
    filecalls = &watched;
    writes_left = count;
}

/* ---- where the roles pass */

/* The function of that name is called from other rooms through here. */
#define PASS(type, name, parameters)                                                                                   \
    type __real_##name parameters;                                                                                     \
    type __wrap_##name parameters;                                                                                     \
    type __wrap_##name parameters

PASS(_Noreturn void, preauth_main, (const struct preauth_start *start))
{
    role = "preauth";
    __real_preauth_main(start);
}

PASS(_Noreturn void, session_main, (const struct session_start *start))
{
    role = "session";
    watch_writes(count_wanted);
    __real_session_main(start);
}

PASS(_Noreturn void, session_recover, (const struct session_start *start))
{
    role = "recovery";
    __real_session_recover(start);
}

/* preauth and session: a line of the client is there. */
PASS(enum netio_status, netio_line, (struct netio *io, char **line_r, size_t *len_r))
{
    enum netio_status status = __real_netio_line(io, line_r, len_r);

    if (status == NETIO_LINE)
        trespass(role);
    return status;
}

/* session: the client said QUIT, and the maildrop is about to be changed. */
PASS(enum maildrop_status, maildrop_update, (struct maildrop *drop, struct strbuf *why))
{
    trespass("update");
    in_update = true;
    return __real_maildrop_update(drop, why);
}

/* recovery: the journal is about to be read. */
PASS(enum journal_settled, journal_recover, (int *drop_fd_r, const struct mailhost *host, struct strbuf *why))
{
    if (strcmp(role, "recovery") == 0)
        trespass(role);
    return __real_journal_recover(drop_fd_r, host, why);
}

/* The process is a child, and still has the rights that it was born with. */
PASS(int, privsep_enter, (enum sandbox_role in, enum sandbox_mode mode, pid_t parent, struct strbuf *why))
{
    trespass("birth");
    return __real_privsep_enter(in, mode, parent, why);
}

/* kpop, and saslticket for AUTH GSSAPI: keys and replay cache are in its hands, the sandbox is closed, and the client's ticket is about to be read. */
PASS(int, privsep_enter_with_file,
     (const char *directory, const char *name, enum sandbox_role in, enum sandbox_mode mode, pid_t parent, struct strbuf *why))
{
    int result = __real_privsep_enter_with_file(directory, name, in, mode, parent, why);

    if (result == 0)
        trespass(in == SANDBOX_GSSAPI ? "saslticket" : "kpop");
    return result;
}

/* dracteller: the process that talks is about to load the RPC library. */
PASS(const void *, module_find, (const char *name, const char *symbol, struct strbuf *why))
{
    if (strcmp(name, DRAC_MODULE_NAME) == 0) {
        role = "dracteller";
        trespass(role);
    }
    return __real_module_find(name, symbol, why);
}

/* dracteller: the host was found, and rpcbind is about to be asked. */
PASS(int, sandbox_enter, (enum sandbox_role in, enum sandbox_mode mode, struct strbuf *why))
{
    int result = __real_sandbox_enter(in, mode, why);

    if (result == 0 && in == SANDBOX_DRAC)
        trespass("drac");
    return result;
}

/* The handshake is over. */
PASS(enum tlspump_end, tlspump_run, (struct tlspump *p, struct strbuf *why))
{
    trespass("tlsrelay");
    return __real_tlspump_run(p, why);
}

/* The stranger's first bytes are there. */
PASS(enum proxyheader_result, proxyheader_parse,
     (const void *bytes, size_t n, size_t *more_r, struct proxyheader_client *client_r, struct strbuf *why))
{
    if (n > 0)
        trespass("proxyreader");
    return __real_proxyheader_parse(bytes, n, more_r, client_r, why);
}

/* A client's message of AUTH is there, and the user's record. */
PASS(enum sasl_outcome, sasl_step,
     (struct sasl_exchange *exchange, const char *token, size_t n, struct strbuf *reply, struct strbuf *why))
{
    trespass("saslstate");
    return __real_sasl_step(exchange, token, n, reply, why);
}

/* The session asked for the locks. */
PASS(enum maillock_result, maillock_acquire, (struct maillock *lock, int fd, int wait_ms, struct strbuf *why))
{
    trespass("keeper");
    return __real_maillock_acquire(lock, fd, wait_ms, why);
}

/* The database is about to be read. */
PASS(enum gdbmfile_result, gdbmfile_open, (int fd, bool change, struct gdbmfile **db_r, struct strbuf *why))
{
    trespass("bulldb");
    return __real_gdbmfile_open(fd, change, db_r, why);
}

/* The name service is about to be asked. */
PASS(int, getnameinfo,
     (const struct sockaddr *address, socklen_t length, char *host, socklen_t host_room, char *service,
      socklen_t service_room, int flags))
{
    trespass("resolver");
    return __real_getnameinfo(address, length, host, host_room, service, service_room, flags);
}
