/*
 * sandbox_gen: prints the seccomp filters of all roles as C arrays (sandbox_filters.h). Runs at build time only; it is the only file that knows libseccomp.
 *
 * To allow a role another system call: add it to the role's list below, say why, and extend tests/unit/test_sandbox.c.
 * The lists have the names of 64-bit machines; what a 32-bit one calls instead (spellings) is found from them.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define LIST(...) ((const int[]){ __VA_ARGS__, -1 })

/* What every role needs: memory, time, signals' return, ending, its descriptors. */
static const int *const everybody = LIST(SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(getpid), SCMP_SYS(gettid),
    SCMP_SYS(getrandom), SCMP_SYS(futex), SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(recvfrom),
    SCMP_SYS(sendto), SCMP_SYS(recvmsg), SCMP_SYS(sendmsg), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(close), SCMP_SYS(shutdown),
    SCMP_SYS(getsockopt), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid));

/* The files that a session was handed: read, write, make durable; never by name. */
static const int *const files = LIST(SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(preadv), SCMP_SYS(pwritev), SCMP_SYS(lseek),
    SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(copy_file_range), SCMP_SYS(fstat),
    SCMP_SYS(fstatfs), SCMP_SYS(fadvise64), SCMP_SYS(sync_file_range), SCMP_SYS(utimensat));

static const int *const nothing_more = LIST(SCMP_SYS(getppid));

/* After STLS the relay's stream takes the place of the client's descriptors. */
static const int *const replaces_descriptors = LIST(SCMP_SYS(getppid), SCMP_SYS(dup2), SCMP_SYS(dup3));

/* Kerberos: its replay cache, which the library opens by name, in a jail that holds nothing else. */
static const int *const replay_file = LIST(SCMP_SYS(getppid), SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(lseek), SCMP_SYS(fstat), SCMP_SYS(newfstatat),
    SCMP_SYS(stat), SCMP_SYS(statx), SCMP_SYS(ftruncate), SCMP_SYS(alarm), SCMP_SYS(setitimer));

/* The MIME worker reads and maps messages and makes memory files. Nothing else from `files`. */
static const int *const mangles = LIST(SCMP_SYS(memfd_create), SCMP_SYS(fstat), SCMP_SYS(lseek));

/* Deadly for all but GSSAPI: its library asks for the name of its host, lives well without an answer, and tries for each. */
static const int *const asks_names = LIST(SCMP_SYS(socket));

/* Deadly for all but these: a library that is asked for a charset that it does not know tries to open something. */
static const int *const opens = LIST(SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(memfd_create));

/* An attempt at one of these is an attack or a serious mistake: the process dies. */
static const int *const deadly = LIST(SCMP_SYS(openat2), SCMP_SYS(creat), SCMP_SYS(open_by_handle_at),
    SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(socketpair), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(accept),
    SCMP_SYS(accept4), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(kill), SCMP_SYS(tkill), SCMP_SYS(tgkill),
    SCMP_SYS(rt_sigqueueinfo), SCMP_SYS(rt_tgsigqueueinfo), SCMP_SYS(pidfd_open), SCMP_SYS(pidfd_send_signal), SCMP_SYS(pidfd_getfd),
    SCMP_SYS(fork), SCMP_SYS(vfork),
    SCMP_SYS(clone), SCMP_SYS(clone3), SCMP_SYS(setuid), SCMP_SYS(setgid), SCMP_SYS(setreuid), SCMP_SYS(setregid), SCMP_SYS(setresuid),
    SCMP_SYS(setresgid), SCMP_SYS(setfsuid), SCMP_SYS(setfsgid), SCMP_SYS(setgroups), SCMP_SYS(capset), SCMP_SYS(chroot), SCMP_SYS(mount),
    SCMP_SYS(umount2), SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(bpf), SCMP_SYS(io_uring_setup), SCMP_SYS(keyctl), SCMP_SYS(add_key),
    SCMP_SYS(link), SCMP_SYS(linkat), SCMP_SYS(symlink), SCMP_SYS(symlinkat), SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2),
    SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(chmod), SCMP_SYS(fchmodat), SCMP_SYS(chown), SCMP_SYS(lchown), SCMP_SYS(fchownat), SCMP_SYS(truncate));

static void must(int result, const char *what)
{
    if (result >= 0)
        return;
    fprintf(stderr, "sandbox_gen: %s: error %d\n", what, -result);
    exit(1);
}

/* What a C library calls on a 32-bit machine instead: wider offsets, user ids and times, or what came before the call it has on others. */
static const char *const suffixes[] = { "64", "32", "_time64" };
static const struct {
    const char *name, *also;
} spellings[] = { { "mmap", "mmap2" }, { "lseek", "_llseek" }, { "newfstatat", "fstatat64" }, { "fadvise64", "fadvise64_64" }, { "fadvise64", "arm_fadvise64_64" },
                  { "sync_file_range", "sync_file_range2" }, { "rt_sigreturn", "sigreturn" }, { "recvfrom", "recv" }, { "sendto", "send" }, { "umount2", "umount" } };

static void add_named(scmp_filter_ctx filter, uint32_t action, const char *name, const struct scmp_arg_cmp *condition)
{
    int call = seccomp_syscall_resolve_name(name);

    if (call != __NR_SCMP_ERROR)
        must(seccomp_rule_add_array(filter, action, call, condition ? 1 : 0, condition), name);
}

/* condition: NULL for whatever arguments. Calls that this machine does not have make no rule. */
static void add(scmp_filter_ctx filter, uint32_t action, int call, const struct scmp_arg_cmp *condition)
{
    char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, call), longer[64];

    if (!name) {
        must(-ENOENT, "name of a system call");
        return;
    }
    add_named(filter, action, name, condition);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        snprintf(longer, sizeof longer, "%s%s", name, suffixes[i]);
        add_named(filter, action, longer, condition);
    }
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++)
        if (strcmp(name, spellings[i].name) == 0)
            add_named(filter, action, spellings[i].also, condition);
    free(name);
}

static void add_all(scmp_filter_ctx filter, uint32_t action, const int *calls)
{
    for (; *calls != -1; calls++)
        add(filter, action, *calls, NULL);
}

/* Calls that are harmless with the right arguments only. */
static void add_limited(scmp_filter_ctx filter, bool with_files, bool with_locks)
{
    const int levels[] = { SOL_SOCKET, IPPROTO_TCP };
    const int flags[] = { F_GETFL, F_GETFD };
    const int locks[] = { F_SETFD, F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW };

    add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), &SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), &SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        add(filter, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), &SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)levels[i], 0));
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), &SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)flags[i], 0));
    for (size_t i = 0; with_locks && i < sizeof locks / sizeof *locks; i++)
        add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), &SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)locks[i], 0));
    if (!with_files)
        return;
    /* fstat(2) and statx(2) of a descriptor come as these with an empty path. */
    add(filter, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), &SCMP_A3(SCMP_CMP_EQ, AT_EMPTY_PATH, 0));
    add(filter, SCMP_ACT_ALLOW, SCMP_SYS(statx), &SCMP_A2(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH));
}

static void print_filter(scmp_filter_ctx filter, const char *name, const char *mode)
{
    struct sock_filter line;
    FILE *file = tmpfile();

    if (!file)
        must(-errno, "temporary file");
    must(seccomp_export_bpf(filter, fileno(file)), "export");
    rewind(file);
    printf("static const struct sock_filter sandbox_%s_%s[] = {\n", name, mode);
    while (fread(&line, sizeof line, 1, file) == 1)
        printf("    { 0x%02x, %u, %u, 0x%08x },\n", line.code, line.jt, line.jf, line.k);
    printf("};\n");
    fclose(file);
}

/* asks: for names of hosts, in vain. */
static void make(const char *name, const int *calls, bool with_files, bool asks, bool enforce)
{
    scmp_filter_ctx filter = seccomp_init(enforce ? SCMP_ACT_ERRNO(ENOSYS) : SCMP_ACT_LOG);

    if (!filter)
        must(-ENOMEM, "init");
    must(seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2), "optimize");
    must(seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, enforce ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_LOG), "other architectures");
    add_all(filter, SCMP_ACT_ALLOW, everybody);
    add_all(filter, SCMP_ACT_ALLOW, calls);
    add_limited(filter, with_files, calls == replay_file);
    if (calls == files) /* how it ends with its keeper (request.c) */
        add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), &SCMP_A0(SCMP_CMP_EQ, PR_SET_PDEATHSIG, 0));
    if (enforce)
        add_all(filter, SCMP_ACT_KILL_PROCESS, deadly);
    if (enforce && !asks)
        add_all(filter, SCMP_ACT_KILL_PROCESS, asks_names);
    if (enforce && calls != mangles && calls != replay_file)
        add_all(filter, SCMP_ACT_KILL_PROCESS, opens);
    print_filter(filter, name, enforce ? "enforce" : "log");
    seccomp_release(filter);
}

int main(void)
{
    printf("/* Made by sandbox_gen; do not edit. */\n");
    for (int enforce = 0; enforce <= 1; enforce++) {
        make("preauth", replaces_descriptors, false, false, enforce);
        make("relay", nothing_more, false, false, enforce);
        make("session", files, true, false, enforce);
        make("sasl", nothing_more, false, false, enforce);
        make("drac", nothing_more, false, false, enforce);
        make("mangler", mangles, true, false, enforce);
        make("gssapi", replay_file, false, true, enforce);
        make("ticket", replay_file, false, false, enforce);
    }
    return 0;
}
