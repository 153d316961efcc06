/*
 * trespass_calls: see trespass_calls.h.
 */
#include "tests/system/trespass_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct trespass_note *trespass_note;
char trespass_file[256] = "/etc/shadow";
int trespass_pid = 1;

static long call_open(void)
{
    return syscall(SYS_openat, AT_FDCWD, trespass_file, O_RDONLY);
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
    return syscall(SYS_ptrace, PTRACE_ATTACH, (long)trespass_pid, 0L, 0L);
}

static long call_read_memory(void)
{
    char here[8];
    struct iovec local = { here, sizeof here }, remote = { (void *)call_read_memory, sizeof here };

    return syscall(SYS_process_vm_readv, (long)trespass_pid, &local, 1L, &remote, 1L, 0L);
}

/* No signal, only the question whether it may be sent: SIGCONT would be allowed to everybody in the same terminal session (kill(2)). */
static long call_kill(void)
{
    return syscall(SYS_kill, (long)trespass_pid, 0L);
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

    for (int i = 0; i < 6000 && !__atomic_load_n(&trespass_note->go_on, __ATOMIC_SEQ_CST); i++)
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

void trespass_map(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *shared = fd >= 0 ? mmap(NULL, sizeof *trespass_note, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;

    if (fd >= 0)
        close(fd);
    if (shared != MAP_FAILED)
        trespass_note = shared;
}

void trespass_make(const char *name)
{
    if (!trespass_note || trespass_note->attempts > 0)
        return;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        long result;

        if (strcmp(calls[i].name, name) != 0)
            continue;
        trespass_note->pid = (int32_t)getpid();
        trespass_note->attempts++;
        result = calls[i].make();
        trespass_note->error = result < 0 ? errno : 0;
        trespass_note->returned = 1;
        return;
    }
}
