/*
 * simcalls: the file calls and the mailhost that work on a simulated disk (simdisk.h).
 */
#include "config.h"

#include "tests/crash/simdisk.h"

#include <errno.h>
#include <string.h>

#include "common/mem.h"

struct simdisk *sim;

/* ---- calls */

static struct simfile *of(int fd)
{
    return &sim->files[fd - SIM_FD];
}

/* Whether the call may happen: every call comes through here. changes: it is one that the machine can stop after. */
static bool proceed(const char *what, int file, bool changes)
{
    if (sim->stopped) {
        errno = EIO;
        return false;
    }
    if (sim->before_call != NULL)
        sim->before_call(sim, what, file);
    if (++sim->all_calls == sim->fail_at) {
        errno = sim->fail_errno;
        sim->failed = what[0];
        return false;
    }
    if (changes) {
        if (sim->keeps_call_kinds && sim->calls < sizeof sim->kinds)
            sim->kinds[sim->calls] = what[0];
        sim->calls++;
    }
    return true;
}

/* To be called when the call has had its effect. */
static void happened(void)
{
    if (sim->stop_after != 0 && sim->calls >= sim->stop_after)
        sim->stopped = true;
}

static bool interrupted(void)
{
    if (!sim->interrupt)
        return false;
    sim->interrupted = !sim->interrupted;
    if (sim->interrupted)
        errno = EINTR;
    return sim->interrupted;
}

static size_t shortened(size_t n)
{
    return sim->longest_write > 0 && n > sim->longest_write ? sim->longest_write : n;
}

/* Short writes end where pages, and so sectors, do. */
static size_t shortened_write(size_t n, off_t at)
{
    size_t part = shortened(n), over = ((size_t)at + part) % SIM_SECTOR;

    return part < n && over < part ? part - over : part;
}

static ssize_t sim_pread(int fd, void *buf, size_t n, off_t at)
{
    struct simfile *file = of(fd);
    size_t part;

    if (!proceed("read", fd - SIM_FD, false) || interrupted())
        return -1;
    if ((uint64_t)at >= file->now.size)
        return 0;
    part = file->now.size - (size_t)at < n ? file->now.size - (size_t)at : n;
    part = shortened(part);
    memcpy(buf, file->now.bytes + at, part);
    return (ssize_t)part;
}

static ssize_t sim_pwrite(int fd, const void *buf, size_t n, off_t at)
{
    struct simfile *file = of(fd);

    if (interrupted() || !proceed("write", fd - SIM_FD, true))
        return -1;
    n = shortened_write(n, at);
    if (!sim_has_room(sim, file, (uint64_t)at + n)) {
        errno = ENOSPC;
        return -1;
    }
    sim_file_write(file, (uint64_t)at, buf, n);
    happened();
    return (ssize_t)n;
}

static ssize_t sim_copy_range(int from, off_t from_at, int to, off_t to_at, size_t n)
{
    struct simfile *source = of(from);
    unsigned char *bytes;

    if (interrupted() || !proceed("copy", to - SIM_FD, true))
        return -1;
    if ((uint64_t)from_at >= source->now.size)
        return 0;
    n = shortened_write(source->now.size - (size_t)from_at < n ? source->now.size - (size_t)from_at : n, to_at);
    if (!sim_has_room(sim, of(to), (uint64_t)to_at + n)) {
        errno = ENOSPC;
        return -1;
    }
    bytes = mem_new(n + 1, 1);
    memcpy(bytes, source->now.bytes + from_at, n);
    sim_file_write(of(to), (uint64_t)to_at, bytes, n);
    mem_free(bytes);
    happened();
    return (ssize_t)n;
}

static int sim_ftruncate(int fd, off_t size)
{
    if (!proceed("truncate", fd - SIM_FD, true))
        return -1;
    sim_file_truncate(of(fd), (uint64_t)size);
    happened();
    return 0;
}

static int sim_reserve(int fd, off_t at, off_t n)
{
    struct simfile *file = of(fd);
    uint64_t end = (uint64_t)at + (uint64_t)n;

    if (!proceed("reserve", fd - SIM_FD, true))
        return -1;
    if (!sim_has_room(sim, file, end)) {
        errno = ENOSPC;
        return -1;
    }
    if (end > file->now.size)
        sim_file_truncate(file, end);
    happened();
    return 0;
}

static int sync_file(const char *what, int fd)
{
    struct simfile *file = of(fd);

    if (!proceed(what, fd - SIM_FD, true)) {
        if (!sim->stopped)
            for (size_t i = 0; i < file->op_count; i++)
                file->ops[i].doomed = file->ops[i].kind == SIM_WRITE;
        return -1;
    }
    sim_file_sync(file);
    happened();
    return 0;
}

static int sim_fsync(int fd)
{
    return sync_file("fsync", fd);
}

static int sim_fdatasync(int fd)
{
    return sync_file("fdatasync", fd);
}

static int sim_fstat(int fd, struct stat *st)
{
    if (!proceed("stat", fd - SIM_FD, false))
        return -1;
    *st = (struct stat){
        .st_ino = of(fd)->inode, .st_size = (off_t)of(fd)->now.size, .st_mode = S_IFREG | 0600, .st_nlink = 1
    };
    return 0;
}

static int64_t sim_birth(int fd)
{
    return (int64_t)of(fd)->inode * 7;
}

const struct filecalls sim_filecalls = {
    .pread = sim_pread,
    .pwrite = sim_pwrite,
    .copy_range = sim_copy_range,
    .ftruncate = sim_ftruncate,
    .reserve = sim_reserve,
    .fsync = sim_fsync,
    .fdatasync = sim_fdatasync,
    .fstat = sim_fstat,
    .birth = sim_birth,
};

/* ---- host */

static int refuse(struct strbuf *why, const char *what)
{
    int error = errno;

    strbuf_fail(why, "%s: %s", what, strerror(error));
    errno = error;
    return -1;
}

static void change_name(enum simname name, int file, int gone)
{
    struct simdirop *op = &sim->dirops[sim->dirop_count++];

    *op = (struct simdirop){ .name = name, .file = file, .gone = gone, .order = sim_next_order() };
    sim_rename(sim->now, op);
}

static int host_open(void *context, enum mailfile which, enum mailopen how, struct strbuf *why)
{
    enum simname name = (enum simname)which;
    int file = sim->now[name];

    (void)context;
    if (!proceed(how == MAILOPEN_NEW ? "New" : "open", file, how == MAILOPEN_NEW))
        return refuse(why, "open");
    if (which == MAILFILE_TEMPDROP && how == MAILOPEN_NEW) {
        sim->next = sim_new_file(sim);
        happened();
        return SIM_FD + sim->next;
    }
    if (how == MAILOPEN_EXISTING ? file < 0 : file >= 0) {
        errno = how == MAILOPEN_EXISTING ? ENOENT : EEXIST;
        return refuse(why, "open");
    }
    if (how == MAILOPEN_NEW) {
        file = sim_new_file(sim);
        change_name(name, file, -1);
        happened();
    }
    return SIM_FD + file;
}

static int host_remove(void *context, enum mailfile which, struct strbuf *why)
{
    (void)context;
    if (!proceed("Remove", sim->now[which], true))
        return refuse(why, "remove");
    if (sim->now[which] >= 0)
        change_name((enum simname)which, -1, -1);
    happened();
    return 0;
}

static int host_set_aside(void *context, enum mailfile which, struct strbuf *why)
{
    enum simname to = SIM_ORPHAN;

    (void)context;
    if (!proceed("Aside", sim->now[which], true))
        return refuse(why, "rename");
    while (to < SIM_NAMES - 1 && sim->now[to] >= 0)
        to++;
    if (which == MAILFILE_DROP)
        change_name(SIM_DROP, sim->next, -1);
    else
        change_name(to, sim->now[which], (int)which);
    happened();
    return 0;
}

static int directory_of(enum simname name)
{
    return name == SIM_TEMPDROP ? 1 : name == SIM_POPBULL ? 2 : 0;
}

static int host_sync_dir(void *context, enum mailfile which, struct strbuf *why)
{
    size_t kept = 0;

    (void)context;
    if (!proceed("Dirsync", -1, true))
        return refuse(why, "sync");
    for (size_t i = 0; i < sim->dirop_count; i++) {
        const struct simdirop *op = &sim->dirops[i];

        if (directory_of(op->name) == directory_of((enum simname)which))
            sim_rename(sim->disk, op);
        else
            sim->dirops[kept++] = *op;
    }
    sim->dirop_count = kept;
    happened();
    return 0;
}

static enum maillock_result host_lock(void *context, bool updating, int *drop_r, struct strbuf *why)
{
    (void)context, (void)updating, (void)why;
    *drop_r = MAILHOST_SAME_DROP;
    return MAILLOCK_OK;
}

static void host_unlock(void *context)
{
    (void)context;
}

static bool host_lock_is_ours(void *context)
{
    (void)context;
    return !sim->lock_lost;
}

const struct mailhost sim_host = {
    .shown = "/sim/drop",
    .lock = host_lock,
    .unlock = host_unlock,
    .lock_is_ours = host_lock_is_ours,
    .open = host_open,
    .remove = host_remove,
    .set_aside = host_set_aside,
    .sync_dir = host_sync_dir,
};
