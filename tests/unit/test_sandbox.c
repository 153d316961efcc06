/* sandbox: each role lives with what it is allowed and dies of what it is not. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/identity.h"
#include "process/sandbox.h"
#include "wire/netio.h"

static int try_open(void) { return open("/etc/passwd", O_RDONLY); }
static int try_exec(void) { return execl("/bin/true", "true", (char *)NULL); }
static int try_socket(void) { return socket(AF_INET, SOCK_STREAM, 0); }
static int try_ptrace(void) { return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL); }
static int try_kill(void) { return kill(getppid(), 0); }
static int try_setuid(void) { return setuid(getuid()); }
static int try_fork(void) { return fork(); }
static int try_unlink(void) { return unlink("/nonexistent"); }
static int try_rename(void) { return rename("/nonexistent", "/nonexistent2"); }
static int try_connect(void) { return connect(0, NULL, 0); }

static const struct {
    const char *name;
    int (*run)(void);
} deadly[] = { { "open", try_open }, { "exec", try_exec }, { "socket", try_socket }, { "ptrace", try_ptrace }, { "kill", try_kill },
               { "setuid", try_setuid }, { "fork", try_fork }, { "unlink", try_unlink }, { "rename", try_rename }, { "connect", try_connect } };
#define DEADLY (int)(sizeof deadly / sizeof *deadly)

static int run_in(enum sandbox_role role, enum sandbox_mode mode, int (*run)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);

        if (sandbox_enter(role, mode, &why) < 0)
            _exit(99);
        run();
        _exit(7);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

START_TEST(forbidden_calls_kill)
{
    if (!sandbox_built())
        return;
    for (int role = 0; role < SANDBOX_ROLES; role++) {
        struct strbuf text = STRBUF_INIT(STRBUF_WHY_MAX);
        int status;

        if ((role == SANDBOX_MANGLER || role == SANDBOX_TICKET || role == SANDBOX_GSSAPI) && deadly[_i].run == try_open)
            continue;
        if (role == SANDBOX_GSSAPI && deadly[_i].run == try_socket)
            continue;
        status = run_in((enum sandbox_role)role, SANDBOX_MODE_ENFORCE, deadly[_i].run);
        ck_assert_msg(sandbox_killed(status, (enum sandbox_role)role, &text), "%s survived %s (status %x)",
                      sandbox_role_name((enum sandbox_role)role), deadly[_i].name, status);
        ck_assert_ptr_nonnull(strstr(text.data, sandbox_role_name((enum sandbox_role)role)));
        strbuf_free(&text);
    }
}
END_TEST

/* As the roles do it: who was root is somebody else first. */
START_TEST(nobody_closed_in_is_dumpable)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
        if ((getuid() == 0 && identity_become(NULL, 65534, 65534, IDENTITY_NO_GID, &why) < 0) ||
            sandbox_enter(SANDBOX_SESSION, SANDBOX_MODE_OFF, &why) < 0)
            _exit(2);
        _exit(prctl(PR_GET_DUMPABLE) == 0 ? 7 : 1);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}
END_TEST

START_TEST(mode_off_and_log_do_not_kill)
{
    struct strbuf text = STRBUF_INIT(STRBUF_WHY_MAX);
    int status = run_in(SANDBOX_SESSION, SANDBOX_MODE_OFF, try_open);

    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    status = run_in(SANDBOX_SESSION, SANDBOX_MODE_LOG, try_open);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    ck_assert(!sandbox_killed(status, SANDBOX_SESSION, &text));
}
END_TEST

/* It opens nothing, but lives. */
static int mangler_work(void)
{
    int fd = memfd_create("result", MFD_CLOEXEC);
    struct stat st;

    if (open("/etc/passwd", O_RDONLY) != -1 || openat(AT_FDCWD, "/dev/null", O_RDONLY) != -1)
        _exit(1);
    if (fd < 0 || write(fd, "x", 1) != 1 || fstat(fd, &st) != 0 || mmap(NULL, 1, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED)
        _exit(2);
    if (mmap(NULL, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) != MAP_FAILED || ftruncate(fd, 0) != -1)
        _exit(3);
    _exit(0);
}

/* What the Kerberos library does with its replay cache, and how much memory a client can make it take. */
static int ticket_work(void)
{
    struct flock lock = { .l_type = F_WRLCK };
    int fd = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    struct stat st;

    if (fd < 0 || fcntl(fd, F_OFD_SETLKW, &lock) != 0 || fstat(fd, &st) != 0 || lseek(fd, 0, SEEK_SET) != 0 || write(fd, "x", 1) != 1)
        _exit(1);
    if (mmap(NULL, (size_t)2 << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
        _exit(2);
    if (unlink("/nonexistent/file") == 0)
        _exit(3);
    _exit(0);
}

START_TEST(ticket_keeps_a_file)
{
    struct strbuf text = STRBUF_INIT(STRBUF_WHY_MAX);
    int status;

    if (!sandbox_built())
        return;
    status = run_in(SANDBOX_TICKET, SANDBOX_MODE_ENFORCE, ticket_work);
    ck_assert_msg(sandbox_killed(status, SANDBOX_TICKET, &text), "unlink did not kill it: status %x", status);
    strbuf_free(&text);
}
END_TEST

/* How it ends when its parent does, and nothing else of what prctl can. */
static int session_parting(void)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_PDEATHSIG, SIGTERM) != 0)
        _exit(1);
    if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != -1 || errno != ENOSYS)
        _exit(2);
    _exit(0);
}

START_TEST(session_dies_with_its_parent)
{
    if (sandbox_built())
        ck_assert_int_eq(run_in(SANDBOX_SESSION, SANDBOX_MODE_ENFORCE, session_parting), 0);
}
END_TEST

static int gssapi_work(void)
{
    if (try_socket() != -1 || errno != ENOSYS || socket(AF_UNIX, SOCK_STREAM, 0) != -1 || errno != ENOSYS)
        _exit(1);
    _exit(0);
}

START_TEST(gssapi_asks_no_names)
{
    int status;

    if (!sandbox_built())
        return;
    status = run_in(SANDBOX_GSSAPI, SANDBOX_MODE_ENFORCE, gssapi_work);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
}
END_TEST

START_TEST(mangler_opens_nothing)
{
    int status;

    if (!sandbox_built())
        return;
    status = run_in(SANDBOX_MANGLER, SANDBOX_MODE_ENFORCE, mangler_work);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
}
END_TEST

static int work_fd;

/* What a session does with a file it was handed. 0 when everything worked. */
static int session_work(void)
{
    struct stat st;
    char byte = 'x';
    struct rlimit files;

    if (pwrite(work_fd, &byte, 1, 0) != 1 || pread(work_fd, &byte, 1, 0) != 1 || fstat(work_fd, &st) != 0)
        _exit(1);
    if (ftruncate(work_fd, 4096) != 0 || fsync(work_fd) != 0 || posix_fallocate(work_fd, 0, 4096) != 0)
        _exit(2);
    free(malloc(1 << 22));
    /* Not needed, not deadly: answered ENOSYS. */
    if (getrlimit(RLIMIT_NOFILE, &files) != -1 || errno != ENOSYS)
        _exit(3);
    if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
        _exit(4);
    _exit(0);
}

START_TEST(session_can_work)
{
    char name[] = "/tmp/test_sandbox.XXXXXX";
    int status;

    work_fd = mkstemp(name);
    unlink(name);
    ck_assert_int_ge(work_fd, 0);
    if (!sandbox_built())
        return;
    status = run_in(SANDBOX_SESSION, SANDBOX_MODE_ENFORCE, session_work);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
    close(work_fd);
}
END_TEST

/* What every role does with its client's socket. */
static int client_work(void)
{
    int fd = work_fd, ttl = 9;
    char byte = 'x';

    if (!netio_tune_descriptor(fd))
        _exit(1);
    if (send(fd, &byte, 1, MSG_NOSIGNAL) != -1 || errno != EPIPE || recv(fd, &byte, 1, MSG_DONTWAIT) != -1 || errno != ENOTCONN)
        _exit(2);
    if (syscall(SYS_setsockopt, fd, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl) != -1 || errno != ENOSYS)
        _exit(3);
    _exit(0);
}

START_TEST(client_is_served)
{
    work_fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_ge(work_fd, 0);
    if (sandbox_built())
        for (int role = 0; role < SANDBOX_ROLES; role++) {
            int status = run_in((enum sandbox_role)role, SANDBOX_MODE_ENFORCE, client_work);

            ck_assert_msg(status == 0, "%s: status %x", sandbox_role_name((enum sandbox_role)role), status);
        }
    close(work_fd);
}
END_TEST

static int preauth_file_work(void)
{
    char byte = 'x';

    if (pwrite(work_fd, &byte, 1, 0) != -1 || errno != ENOSYS)
        _exit(1);
    if (write(work_fd, &byte, 1) != 1) /* `popper >file`, run by hand */
        _exit(2);
    _exit(0);
}

START_TEST(preauth_writes_only_its_output)
{
    char name[] = "/tmp/test_sandbox.XXXXXX";
    int status;

    signal(SIGXFSZ, SIG_IGN);
    work_fd = mkstemp(name);
    unlink(name);
    if (!sandbox_built())
        return;
    status = run_in(SANDBOX_PREAUTH, SANDBOX_MODE_ENFORCE, preauth_file_work);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
    close(work_fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sandbox");
    TCase *tc = tcase_create("sandbox");

    tcase_add_loop_test(tc, forbidden_calls_kill, 0, DEADLY);
    tcase_add_test(tc, nobody_closed_in_is_dumpable);
    tcase_add_test(tc, mode_off_and_log_do_not_kill);
    tcase_add_test(tc, session_can_work);
    tcase_add_test(tc, gssapi_asks_no_names);
    tcase_add_test(tc, mangler_opens_nothing);
    tcase_add_test(tc, ticket_keeps_a_file);
    tcase_add_test(tc, session_dies_with_its_parent);
    tcase_add_test(tc, client_is_served);
    tcase_add_test(tc, preauth_writes_only_its_output);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
