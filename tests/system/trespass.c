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
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

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
#include "wire/netio.h"
#include "wire/proxyheader.h"

/* As trespass.py reads it. */
struct note {
    int32_t attempts;
    int32_t pid;
    int32_t returned; /* the call came back */
    int32_t error;    /* errno, 0 success */
    int32_t go_on;    /* written by the test */
};

static struct note *note;
static char role_wanted[40];
static char call_wanted[40];
static int count_wanted;
static const char *role = "monitor";
static char file_wanted[256] = "/etc/shadow";
static int other_pid = 1;

/* ---- the calls */

static long call_open(void)
{
    return syscall(SYS_openat, AT_FDCWD, file_wanted, O_RDONLY);
}

static long call_creat(void)
{
    return syscall(SYS_openat, AT_FDCWD, "/tmp/popper-trespass-was-here", O_WRONLY | O_CREAT, 0600);
}

static long call_execve(void)
{
    char *const arguments[] = { (char *)"/bin/true", NULL };

    return syscall(SYS_execve, arguments[0], arguments, arguments + 1);
}

static long call_socket(void)
{
    return syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
}

static long call_connect(void)
{
    struct sockaddr_un where = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };

    return syscall(SYS_connect, 2, &where, sizeof where);
}

static long call_ptrace(void)
{
    return syscall(SYS_ptrace, PTRACE_ATTACH, (long)other_pid, 0L, 0L);
}

static long call_read_memory(void)
{
    char here[8];
    struct iovec local = { here, sizeof here }, remote = { (void *)call_read_memory, sizeof here };

    return syscall(SYS_process_vm_readv, (long)other_pid, &local, 1L, &remote, 1L, 0L);
}

static long call_kill(void)
{
    return syscall(SYS_kill, (long)other_pid, (long)SIGCONT);
}

static long call_setuid(void)
{
    return syscall(SYS_setuid, 0L);
}

static long call_setgid(void)
{
    return syscall(SYS_setgid, 0L);
}

static long call_setgroups(void)
{
    const gid_t mail[] = { 8 };

    return syscall(SYS_setgroups, 1L, mail);
}

static long call_fork(void)
{
    long pid = syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);

    if (pid == 0)
        _exit(0);
    return pid;
}

static long call_chroot(void)
{
    return syscall(SYS_chroot, "/");
}

static long call_mount(void)
{
    return syscall(SYS_mount, "none", "/mnt", "tmpfs", 0L, 0L);
}

static long call_unlink(void)
{
    return syscall(SYS_unlinkat, AT_FDCWD, "/etc/popper-trespass", 0L);
}

static long call_rename(void)
{
    return syscall(SYS_renameat2, AT_FDCWD, "/etc/popper-trespass", AT_FDCWD, "/etc/popper-trespass-2", 0L);
}

static long call_chmod(void)
{
    return syscall(SYS_fchmodat, AT_FDCWD, "/etc/passwd", 0666L);
}

static long call_memfd(void)
{
    return syscall(SYS_memfd_create, "x", 0L);
}

static long call_io_uring(void)
{
    return syscall(SYS_io_uring_setup, 1L, NULL);
}

static long call_userns(void)
{
    return syscall(SYS_unshare, 0x10000000L); /* CLONE_NEWUSER: root of a world of its own */
}

/* Signals cut it short only when they end the process. */
static long call_pause(void)
{
    const struct timespec moment = { .tv_nsec = 5000000 };

    for (int i = 0; i < 6000 && !__atomic_load_n(&note->go_on, __ATOMIC_SEQ_CST); i++)
        nanosleep(&moment, NULL);
    return 0;
}

static const struct {
    const char *name;
    long (*make)(void);
} calls[] = {
    { "open", call_open },         { "creat", call_creat },
    { "execve", call_execve },     { "socket", call_socket },           { "connect", call_connect },
    { "ptrace", call_ptrace },     { "read-memory", call_read_memory }, { "kill", call_kill },
    { "setuid", call_setuid },     { "setgid", call_setgid },           { "setgroups", call_setgroups },
    { "fork", call_fork },         { "chroot", call_chroot },           { "mount", call_mount },
    { "unlink", call_unlink },     { "rename", call_rename },           { "chmod", call_chmod },
    { "memfd", call_memfd },       { "io-uring", call_io_uring },       { "userns", call_userns },
    { "pause", call_pause },
};

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
    int fd = colon && file ? open(file, O_RDWR | O_CLOEXEC) : -1;
    void *shared = fd >= 0 ? mmap(NULL, sizeof *note, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;

    if (fd >= 0)
        close(fd);
    if (shared == MAP_FAILED)
        return;
    note = shared;
    if (pid)
        other_pid = atoi(pid);
    if (count)
        count_wanted = atoi(count);
    if (other_file)
        copy_word(file_wanted, sizeof file_wanted, other_file, strlen(other_file));
    copy_word(role_wanted, sizeof role_wanted, order, (size_t)(colon - order));
    copy_word(call_wanted, sizeof call_wanted, colon + 1, strlen(colon + 1));
}

/* This role is in the middle of its work. */
static void trespass(const char *here)
{
    if (!note || note->attempts > 0 || strcmp(here, role_wanted) != 0)
        return;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        long result;

        if (strcmp(calls[i].name, call_wanted) != 0)
            continue;
        note->pid = (int32_t)getpid();
        note->attempts++;
        result = calls[i].make();
        note->error = result < 0 ? errno : 0;
        note->returned = 1;
        return;
    }
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

/* kpop: keys and replay cache are in its hands, the sandbox is closed, and the client's ticket is about to be read. */
PASS(int, privsep_enter_with_file,
     (const char *directory, const char *name, enum sandbox_role in, enum sandbox_mode mode, pid_t parent, struct strbuf *why))
{
    int result = __real_privsep_enter_with_file(directory, name, in, mode, parent, why);

    if (result == 0)
        trespass("kpop");
    return result;
}

/* Who loads this module is dracteller's process that talks. */
PASS(const void *, module_find, (const char *name, const char *symbol, struct strbuf *why))
{
    if (strcmp(name, DRAC_MODULE_NAME) == 0)
        role = "dracteller";
    return __real_module_find(name, symbol, why);
}

/* dracteller: the RPC library is loaded, and the login is about to be told. */
PASS(int, privsep_become_nobody, (struct strbuf *why))
{
    int result = __real_privsep_become_nobody(why);

    if (result == 0 && strcmp(role, "dracteller") == 0)
        trespass(role);
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
