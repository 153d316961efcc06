/*
 * reload: see reload.h.
 */
#include "process/reload.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <config.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "process/child.h"
#include "process/systemd.h"
#include "process/tlstrial.h"
#include "settings/config.h"
#include "wire/netio.h"

#define TRIAL_MS 10000 /* a configuration on a file system that hangs must not stop the listening */

void reload_prepare(struct reload *r, int argc, char **argv, const char *argv0)
{
    *r = (struct reload){ .argc = argc, .argv = argv, .argv0 = argv0 };
    r->directory = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* New settings; or NULL and why. */
static struct settings *read_all(const struct reload *r, struct strbuf *why)
{
    struct settings *settings = settings_new();
    struct config_action action;

    if (config_argv(settings, r->argc, r->argv, &action, NULL, why) == 0 && settings_verify(settings, why) == 0)
        return settings;
    settings_free(&settings);
    return NULL;
}

static _Noreturn void try_in_child(const struct reload *r, int to)
{
    struct strbuf why = STRBUF_INIT(CONFIG_WHY_MAX);
    struct settings *settings;

    log_close();
    /* A file system that does not answer may hold it, and what it makes, forever: not also the port, and those who wait for clients. */
    file_close_others(3, &to, 1);
    settings = read_all(r, &why);
    if (settings && tlstrial_check(settings, &why) == 0)
        _exit(0);
    (void)!file_write(to, why.data, why.len);
    _exit(1);
}

/* What the child says until it ends, or a reason of our own: false then, and it is killed, but may not be dead for a long time. */
static bool hear_child(int from, pid_t child, struct strbuf *why)
{
    int64_t limit = netio_now() + TRIAL_MS * INT64_C(1000000);
    char some[512];

    strbuf_reset(why);
    for (;;) {
        struct pollfd p = { .fd = from, .events = POLLIN };
        int64_t left = (limit - netio_now()) / 1000000;
        ssize_t n;

        if (left <= 0 || poll(&p, 1, (int)left) <= 0) {
            kill(child, SIGKILL);
            strbuf_fail(why, "it, or a file that it names, could not be read within %d seconds", TRIAL_MS / 1000);
            return false;
        }
        n = read(from, some, sizeof some);
        if (n <= 0)
            return true;
        strbuf_add(why, some, (size_t)n);
    }
}

static bool is_good(const struct reload *r, struct strbuf *why)
{
    int ends[2], status = 0;
    bool ended = false;
    pid_t child;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return strbuf_fail(why, "pipe: %s", strerror(errno)) == 0;
    child = fork();
    if (child == 0)
        try_in_child(r, ends[1]);
    close(ends[1]);
    if (child > 0) {
        ended = hear_child(ends[0], child, why);
        /* Who does not end is the caller's to wait for, like his other children. */
        if (ended)
            status = child_gone(child);
    } else
        strbuf_fail(why, "fork: %s", strerror(errno));
    close(ends[0]);
    return ended && status == 0;
}

static void tell_begin(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    systemd_notify("RELOADING=1\nMONOTONIC_USEC=%lld",
                   (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

/* What the old settings did to the log must not outlive them. */
static void forget_log(const struct reload *r)
{
    struct settings *defaults = settings_new();

    log_close();
    log_set_debug(false);
    log_open(r->argv0, defaults->log_facility);
    settings_free(&defaults);
}

bool reload_do(const struct reload *r, struct settings **settings)
{
    struct strbuf why = STRBUF_INIT(CONFIG_WHY_MAX);
    struct settings *new = NULL;

    tell_begin();
    if (r->directory >= 0 && fchdir(r->directory) < 0)
        log_write(LOG_WARNING, "the directory that popper was started in cannot be entered: %s", strerror(errno));
    if (is_good(r, &why)) {
        forget_log(r);
        new = read_all(r, &why);
    }
    if (new) {
        settings_free(settings);
        *settings = new;
        log_write(LOG_NOTICE, "(v%s) the configuration was read again; sessions that run keep the old one", PACKAGE_VERSION);
    } else
        log_write(LOG_ERR, "the configuration stays as it was, because the new one is wrong: %s", why.data);
    if (chdir("/") < 0)
        mem_end_process("chdir to /");
    strbuf_free(&why);
    systemd_notify("READY=1");
    return new != NULL;
}
