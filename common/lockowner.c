/*
 * lockowner: see lockowner.h. Reads /proc and sends signal 0; changes nothing.
 */
#include "config.h" /* system extensions, 64-bit offsets */

#include "common/lockowner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"

struct owner {
    long pid;
    char host[72];
    char boot[72];
    char start[24];  /* the process's start time: a pid alone may be somebody else's by now */
    char space[32];  /* the pid name space: in another container the same pid is another process */
};

static struct owner us; /* pid 0: not read yet */

/* /proc/PID/stat from its field 3 on, the state; NULL when there is no such process to be seen. */
static const char *read_stat(long pid, char text_r[1024])
{
    char path[48];
    const char *p;
    ssize_t n;
    int fd;

    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    n = file_read(fd, text_r, 1023);
    close(fd);
    text_r[n > 0 ? n : 0] = '\0';
    p = strrchr(text_r, ')'); /* the command's name may hold blanks and brackets */
    return p && p[1] == ' ' ? p + 2 : NULL;
}

/* Field 22, counted from a text that begins with field 3. */
static bool start_in(const char *stat, char *start_r, size_t size)
{
    size_t n;

    for (int field = 3; stat && field < 22; field++) {
        stat = strchr(stat, ' ');
        stat = stat ? stat + 1 : NULL;
    }
    n = stat ? strspn(stat, "0123456789") : 0;
    if (n == 0 || n >= size)
        return false;
    memcpy(start_r, stat, n);
    start_r[n] = '\0';
    return true;
}

bool lockowner_start(long pid, char *start_r, size_t size)
{
    char text[1024];

    return start_in(read_stat(pid, text), start_r, size);
}

/* One word of printable characters, "-" for what is not known. */
static void make_word(char *word, size_t size)
{
    word[size - 1] = '\0';
    word[strcspn(word, "\n")] = '\0';
    for (char *p = word; *p; p++) {
        if (*p <= ' ' || *p > '~')
            *p = '_';
    }
    if (!*word)
        strcpy(word, "-");
}

static void read_boot_id(char *boot, size_t size)
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : file_read(fd, boot, size - 1);

    if (fd >= 0)
        close(fd);
    boot[n > 0 ? n : 0] = '\0';
}

static const struct owner *ourselves(void)
{
    long pid = (long)getpid();
    ssize_t n;

    if (us.pid == pid)
        return &us;
    if (us.pid == 0) {
        if (gethostname(us.host, sizeof us.host) < 0)
            us.host[0] = '\0';
        make_word(us.host, sizeof us.host);
        read_boot_id(us.boot, sizeof us.boot);
        make_word(us.boot, sizeof us.boot);
        n = readlink("/proc/self/ns/pid", us.space, sizeof us.space - 1);
        us.space[n > 0 ? n : 0] = '\0';
        make_word(us.space, sizeof us.space);
    }
    us.pid = pid;
    if (!lockowner_start(pid, us.start, sizeof us.start))
        strcpy(us.start, "-");
    return &us;
}

/* "pid host boot-id start pid-name-space\n" exactly: what is cut, empty or another program's is not believed. */
static bool parse_owner(const char *text, size_t n, struct owner *o_r)
{
    char copy[LOCKOWNER_MAX], again[LOCKOWNER_MAX];
    int length;

    if (n == 0 || n >= sizeof copy)
        return false;
    memcpy(copy, text, n);
    copy[n] = '\0';
    if (sscanf(copy, "%10ld %71s %71s %23s %31s", &o_r->pid, o_r->host, o_r->boot, o_r->start, o_r->space) != 5)
        return false;
    if (o_r->pid <= 0 || o_r->pid > INT_MAX)
        return false;
    length = snprintf(again, sizeof again, "%ld %s %s %s %s\n", o_r->pid, o_r->host, o_r->boot, o_r->start, o_r->space);
    return (size_t)length == n && memcmp(again, text, n) == 0;
}

/* A process of this boot of this machine, whose pid means here what it meant to the writer. */
static bool is_here(const struct owner *o)
{
    const struct owner *own = ourselves();

    return strcmp(o->host, own->host) == 0 && strcmp(o->boot, own->boot) == 0 && strcmp(o->space, own->space) == 0 &&
           strcmp(o->boot, "-") != 0 && strcmp(o->space, "-") != 0;
}

static bool is_alive(const struct owner *o)
{
    char text[1024], start[sizeof o->start];
    const char *stat;

    if (kill((pid_t)o->pid, 0) < 0 && errno == ESRCH)
        return false;
    stat = read_stat(o->pid, text);
    if (!stat)
        return true; /* /proc may hide it (hidepid) although it lives */
    if (*stat == 'Z' || *stat == 'X')
        return false; /* ended; only its parent has not asked yet */
    return strcmp(o->start, "-") == 0 || !start_in(stat, start, sizeof start) || strcmp(o->start, start) == 0;
}

size_t lockowner_text(char text_r[LOCKOWNER_MAX])
{
    const struct owner *own = ourselves();

    return (size_t)snprintf(text_r, LOCKOWNER_MAX, "%ld %s %s %s %s\n", own->pid, own->host, own->boot, own->start,
                            own->space);
}

enum lockowner_state lockowner_judge(const char *text, size_t n, long *pid_r)
{
    struct owner owner;

    if (!parse_owner(text, n, &owner) || !is_here(&owner))
        return LOCKOWNER_UNKNOWN;
    *pid_r = owner.pid;
    return is_alive(&owner) ? LOCKOWNER_ALIVE : LOCKOWNER_GONE;
}
