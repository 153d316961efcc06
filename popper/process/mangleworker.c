/*
 * mangleworker: the program popper-mangle, which makes text out of mail (mail/mangle.h). The keeper starts it when a client
 * first asks for that (process/mangler.h) and gives it message after message over descriptor 0, a privmsg end.
 *
 * Rights of this role: uid and groups of the user, without the keeper's extra gid; an empty environment; no descriptor
 * but that end and /dev/null. The libraries for MIME and HTML and all charset converters (mangle_charset_load) are loaded
 * first; then it closes itself in, before it sees mail: it opens nothing more, with no need of Landlock, since what a
 * strange charset would have to open is refused like a file that is not there. From then on it may compute, read and map
 * what it is given, make memory files, and answer. Limits: address space, size of a file, processor time, no core, no
 * children, 16 descriptors. It retires when it has used much time, so that what is left of that limit is always enough
 * for a message; the keeper starts another.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <config.h>

#include "common/file.h"
#include "common/mem.h"
#include "mail/mangle.h"
#include "process/mangler.h"
#include "process/sandbox.h"
#include "wire/privmsg.h"

#define KEEPER 0
#define MEMORY_MAX (768ul << 20) /* address space: libraries, a message of MANGLE_INPUT_MAX, and what is made of it */
#define PROCESSOR_SECONDS 120
#define RETIRE_SECONDS (PROCESSOR_SECONDS - 2 * MANGLER_SECONDS)

static int limit(int resource, rlim_t most)
{
    struct rlimit both = { most, most };

    return setrlimit(resource, &both);
}

static bool set_limits(void)
{
    signal(SIGXFSZ, SIG_IGN); /* a write that is too long fails instead */
    return (sandbox_instrumented() || limit(RLIMIT_AS, MEMORY_MAX) == 0) && limit(RLIMIT_FSIZE, MANGLER_RESULT_MAX) == 0 &&
           limit(RLIMIT_CPU, PROCESSOR_SECONDS) == 0;
}

/* ---- one message */

static int write_result(void *context, const char *bytes, size_t n)
{
    return file_write(*(int *)context, bytes, n) == (ssize_t)n ? 0 : -1;
}

static int convert(const char *bytes, size_t n, const struct manglespec *spec, size_t *header_r)
{
    int fd = memfd_create(MANGLER_PROGRAM, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct outbuf out;
    bool well;

    if (fd < 0)
        return -1;
    outbuf_init(&out, 65536, write_result, &fd);
    mangle_message(bytes, n, spec, &out, header_r);
    well = outbuf_flush(&out) == 0;
    outbuf_free(&out);
    if (well)
        return fd;
    close(fd);
    return -1;
}

/* The descriptor of the result, or -1. The keeper saw to it that the file has n bytes for good. */
static int convert_file(int input, size_t n, const struct manglespec *spec, size_t *header_r)
{
    void *bytes = n > 0 && n <= MANGLE_INPUT_MAX ? mmap(NULL, n, PROT_READ, MAP_PRIVATE, input, 0) : MAP_FAILED;
    int fd;

    if (bytes == MAP_FAILED)
        return -1;
    fd = convert(bytes, n, spec, header_r);
    munmap(bytes, n);
    return fd;
}

static void answer(enum mangler_outcome outcome, size_t header, int fd)
{
    struct privmsg m;

    privmsg_init(&m, MANGLER_ANSWER);
    privmsg_put_number(&m, outcome);
    privmsg_put_number(&m, header);
    if (fd >= 0)
        privmsg_put_fd(&m, fd);
    privmsg_send(KEEPER, &m);
    privmsg_free(&m); /* and closes it */
}

static void serve(struct privmsg *m)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct manglespec spec;
    size_t n = (size_t)privmsg_get_number(m), header = 0;
    const char *wanted = privmsg_get_text(m, MANGLER_TEXT_MAX);
    int fd = -1;

    if (!privmsg_complete(m) || m->fd < 0 || manglespec_parse(&spec, wanted, &why) < 0) {
        answer(MANGLER_FAILED, 0, -1);
    } else if (!mangle_knows(spec.charset)) {
        answer(MANGLER_NO_CHARSET, 0, -1);
    } else {
        fd = convert_file(m->fd, n, &spec, &header);
        answer(fd >= 0 ? MANGLER_DONE : MANGLER_FAILED, header, fd);
    }
    strbuf_free(&why);
}

int main(int argc, char **argv)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    enum sandbox_mode mode = argc > 1 ? (enum sandbox_mode)atoi(argv[1]) : SANDBOX_MODE_ENFORCE;
    struct privmsg m;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc != 4 || strcmp(argv[3], PACKAGE_VERSION) != 0)
        return MANGLER_OTHER_VERSION;
    if (getppid() != atol(argv[2]) || !set_limits())
        return MEM_EXIT_STATUS;
    mangle_load();
    if (sandbox_enter(SANDBOX_MANGLER, mode, &why) < 0 && mode == SANDBOX_MODE_ENFORCE)
        return MEM_EXIT_STATUS;
    while (clock() / CLOCKS_PER_SEC < RETIRE_SECONDS && privmsg_receive(KEEPER, &m, -1) > 0) {
        if (m.type == MANGLER_ASK)
            serve(&m);
        privmsg_free(&m);
    }
    return 0;
}
