/*
 * log: see log.h. Talks to /dev/log itself, because syslog(3) would stamp each record with the pid of the process
 * that happens to write it, and waits when syslogd does not read.
 *
 * It must never block for longer than ROOM_WAIT_MS, never end the process, never allocate (mem calls it when there is no memory), never change
 * errno, and never write a control character.
 */
#include "config.h" /* system extensions, 64-bit offsets */

#include "common/log.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"

#define TAG_MAX 48
#define ROOM_WAIT_MS 200
#define AGAIN_NS INT64_C(100000000) /* where no syslogd listens it is not looked for with every record */
#define STAMP_MAX 80 /* "<191>Mon dd hh:mm:ss tag[pid]: " without the tag */

static const char months[12][4] = {
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
};

static struct {
    bool open;
    bool stream;         /* syslogd listens on a stream socket: records end in NUL */
    bool debug;
    bool in_sink;        /* a sink that wants to log something itself must not come back here */
    bool trace_failed;   /* said once that the trace file cannot be written */
    int facility;
    pid_t pid;
    int fd;
    int trace;
    int copy;            /* of the trace: a user's own */
    unsigned lost;       /* records that syslogd had no room for */
    int64_t missed;      /* when no syslogd was found; 0: never. Children know it, too. */
    log_sink *sink;
    void *context;
    char tag[TAG_MAX + 1];
    char socket_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
} self = { .fd = -1, .trace = -1, .copy = -1, .facility = LOG_LOCAL0, .tag = "popper", .socket_path = "/dev/log" };

/* What escaping needs to know of its output: where it may be cut without tearing a character. */
struct text {
    char bytes[LOG_RECORD_MAX + 1];
    size_t len;
    size_t safe; /* the last boundary between characters that leaves room for "..." */
};

/* The number of bytes at p that make up one control character, or 0. U+0080 to U+009F act on UTF-8 terminals too. */
static size_t control_at(const unsigned char *p, const unsigned char *end)
{
    if (*p < ' ' || *p == 0x7f)
        return 1;
    if (*p == 0xc2 && p + 1 < end && p[1] >= 0x80 && p[1] <= 0x9f)
        return 2;
    return 0;
}

static bool text_add(struct text *t, const char *bytes, size_t n)
{
    if (t->len + n > LOG_RECORD_MAX) {
        memcpy(t->bytes + t->safe, "...", 4);
        t->len = t->safe + 3;
        return false;
    }
    /* A continuation byte of UTF-8 belongs to what stands before it. */
    if (t->len <= LOG_RECORD_MAX - 3 && ((unsigned char)*bytes & 0xc0) != 0x80)
        t->safe = t->len;
    memcpy(t->bytes + t->len, bytes, n);
    t->len += n;
    t->bytes[t->len] = '\0';
    return true;
}

/* Controls escaped, cut to LOG_RECORD_MAX with "..." when it is longer. */
static void text_set(struct text *t, const char *bytes, size_t n)
{
    const unsigned char *p = (const unsigned char *)bytes;
    const unsigned char *end = p + n;
    size_t controls;
    char hex[9];

    t->len = t->safe = 0;
    t->bytes[0] = '\0';
    while (p < end) {
        controls = control_at(p, end);
        if (controls == 0) {
            if (!text_add(t, (const char *)p++, 1))
                return;
            continue;
        }
        snprintf(hex, sizeof hex, controls == 1 ? "\\x%02x" : "\\x%02x\\x%02x", p[0], controls == 1 ? 0u : p[1]);
        if (!text_add(t, hex, 4 * controls))
            return;
        p += controls;
    }
}

static void socket_close(void)
{
    if (self.fd >= 0)
        close(self.fd);
    self.fd = -1;
}

static void socket_connect(void)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };

    socket_close();
    self.missed = clock_now();
    memcpy(to.sun_path, self.socket_path, sizeof to.sun_path);
    for (int stream = 0; stream <= 1; stream++) {
        self.fd = socket(AF_UNIX, (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (self.fd < 0)
            return;
        if (connect(self.fd, (struct sockaddr *)&to, sizeof to) == 0) {
            self.stream = stream;
            self.missed = 0;
            return;
        }
        socket_close();
        if (errno != EPROTOTYPE)
            return;
    }
}

/* syslogd's queue is short (net.unix.max_dgram_qlen, often 10): a burst waits for it a moment. One that does not read at all is waited for
   once. False when there was no room in time. */
static bool wait_for_room(void)
{
    struct pollfd p = { .fd = self.fd, .events = POLLOUT };
    int ready;

    if (self.lost > 0)
        return false;
    do
        ready = poll(&p, 1, ROOM_WAIT_MS);
    while (ready < 0 && errno == EINTR);
    return ready > 0;
}

/* Whether the datagram went out. A restarted syslogd has a new socket: one fresh connection is tried. */
static bool socket_send(const char *bytes, size_t n)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        ssize_t sent;

        if (self.fd < 0 && (self.missed == 0 || clock_now() - self.missed >= AGAIN_NS))
            socket_connect();
        if (self.fd < 0)
            return false;
        do
            sent = send(self.fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        while (sent < 0 && errno == EINTR);
        if (sent == (ssize_t)n)
            return true;
        if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
            if (attempt == 0 && wait_for_room())
                continue;
            return false;
        }
        socket_close(); /* gone, or a stream that has half a record */
    }
    return false;
}

static void stamp_now(struct timespec *now, struct tm *tm)
{
    clock_gettime(CLOCK_REALTIME, now);
    if (!localtime_r(&now->tv_sec, tm))
        memset(tm, 0, sizeof *tm);
}

static bool send_record(int priority, const struct tm *tm, const char *text, size_t length)
{
    char line[STAMP_MAX + TAG_MAX + LOG_RECORD_MAX + 1];
    int n;

    n = snprintf(line, sizeof line, "<%d>%s %2d %02d:%02d:%02d %s[%ld]: %.*s", self.facility | priority,
                 months[tm->tm_mon], tm->tm_mday, tm->tm_hour, tm->tm_min, tm->tm_sec, self.tag, (long)self.pid,
                 (int)length, text);
    return socket_send(line, (size_t)n + (self.stream ? 1 : 0));
}

static void write_syslog(int priority, const struct tm *tm, const struct text *t)
{
    char note[80];
    int n;

    if (self.lost) {
        n = snprintf(note, sizeof note, "%u log records were lost: syslogd did not read or was away", self.lost);
        if (send_record(LOG_WARNING, tm, note, (size_t)n))
            self.lost = 0;
    }
    if (!send_record(priority, tm, t->bytes, t->len))
        self.lost++;
}

/* One write, so that the records of several processes do not mix. */
static void write_trace(int trace, const struct timespec *now, const struct tm *tm, const struct text *t)
{
    static const char failed[] =
        "the trace file cannot be written (disk full, quota or file size limit?); records are missing from it";
    char line[STAMP_MAX + LOG_RECORD_MAX + 2];
    int n;

    n = snprintf(line, sizeof line, "%s %2d %02d:%02d:%02d.%03d %d [%ld] %s\n", months[tm->tm_mon], tm->tm_mday,
                 tm->tm_hour, tm->tm_min, tm->tm_sec, (int)(now->tv_nsec / 1000000), tm->tm_year + 1900, (long)self.pid,
                 t->bytes);
    if (write(trace, line, (size_t)n) == n || self.trace_failed)
        return;
    self.trace_failed = true;
    if (self.open)
        send_record(LOG_WARNING, tm, failed, sizeof failed - 1);
}

static void deliver(int priority, const struct text *t)
{
    struct timespec now;
    struct tm tm;

    if (self.sink) {
        if (self.in_sink)
            return;
        self.in_sink = true;
        self.sink(self.context, priority, t->bytes, t->len);
        self.in_sink = false;
        return;
    }
    if (!self.open && self.trace < 0 && self.copy < 0)
        return;
    stamp_now(&now, &tm);
    if (self.open)
        write_syslog(priority, &tm, t);
    if (self.trace >= 0)
        write_trace(self.trace, &now, &tm, t);
    if (self.copy >= 0)
        write_trace(self.copy, &now, &tm, t);
}

static void set_tag(const char *argv0)
{
    const char *base = argv0 ? strrchr(argv0, '/') : NULL;
    size_t n = 0;

    base = base ? base + 1 : argv0;
    for (; base && *base && n < TAG_MAX; base++) {
        /* What would end the tag early for a program that reads the log. */
        bool plain = *base > ' ' && *base < 0x7f && !strchr("[]:\"\\", *base);

        self.tag[n++] = plain ? *base : '_';
    }
    if (n == 0)
        n = (size_t)sprintf(self.tag, "popper");
    self.tag[n] = '\0';
}

void log_open(const char *argv0, int facility)
{
    int saved = errno;

    tzset(); /* reads the zone now: later there may be a chroot */
    set_tag(argv0);
    self.pid = getpid();
    self.open = true;
    log_set_facility(facility);
    socket_connect();
    errno = saved;
}

void log_reopen(void)
{
    int saved = errno;

    self.pid = getpid();
    socket_connect();
    errno = saved;
}

void log_close(void)
{
    int saved = errno;

    socket_close();
    self.open = false;
    log_trace_close();
    log_copy_close();
    errno = saved;
}

void log_set_facility(int facility)
{
    self.facility = facility & LOG_FACMASK;
}

void log_set_socket_path(const char *path)
{
    socket_close();
    self.missed = 0;
    snprintf(self.socket_path, sizeof self.socket_path, "%s", path);
}

size_t log_descriptors(int fds_r[3])
{
    size_t n = 0;

    if (self.fd >= 0)
        fds_r[n++] = self.fd;
    if (self.trace >= 0)
        fds_r[n++] = self.trace;
    if (self.copy >= 0)
        fds_r[n++] = self.copy;
    return n;
}

void log_set_debug(bool on)
{
    self.debug = on;
}

bool log_debugging(void)
{
    return self.debug;
}

/* A trace file for appending, or -1 and why. */
static int open_trace(const char *path, struct strbuf *why)
{
    struct file_rules rules = { .owner = geteuid(), .root_may_own = true };
    struct stat st;
    int fd;

    fd = file_open(AT_FDCWD, path, path, O_WRONLY | O_APPEND | O_CREAT, 0600, &rules, &st, why);
    if (fd < 0)
        return strbuf_fail(why, "trace file: %s", why->data);
    if (self.pid == 0)
        self.pid = getpid();
    self.trace_failed = false;
    return fd;
}

int log_trace_open(const char *path, struct strbuf *why)
{
    int fd = open_trace(path, why);

    if (fd < 0)
        return -1;
    log_trace_close();
    self.trace = fd;
    return 0;
}

void log_trace_close(void)
{
    if (self.trace >= 0)
        close(self.trace);
    self.trace = -1;
}

int log_copy_open(const char *path, struct strbuf *why)
{
    int fd = open_trace(path, why);

    if (fd < 0)
        return -1;
    log_copy_close();
    self.copy = fd;
    return 0;
}

void log_copy_close(void)
{
    if (self.copy >= 0)
        close(self.copy);
    self.copy = -1;
}

bool log_tracing(void)
{
    return self.trace >= 0;
}

void log_set_sink(log_sink *fn, void *context)
{
    self.sink = fn;
    self.context = context;
    self.in_sink = false;
}

void log_write(int priority, const char *format, ...)
{
    char raw[LOG_RECORD_MAX + 2]; /* one byte more than fits, so that text_set sees that it is too long */
    struct text t;
    int saved = errno;
    va_list ap;
    int n;

    if (priority == LOG_DEBUG && !self.debug)
        return;
    va_start(ap, format);
    n = vsnprintf(raw, sizeof raw, format, ap);
    va_end(ap);
    if (n < 0)
        n = snprintf(raw, sizeof raw, "%s", format);
    text_set(&t, raw, (size_t)n < sizeof raw ? (size_t)n : sizeof raw - 1);
    deliver(priority, &t);
    errno = saved;
}

void log_record(int priority, const char *text, size_t length)
{
    struct text t;
    int saved = errno;

    if (priority < LOG_ERR || priority > LOG_DEBUG)
        priority = LOG_NOTICE;
    text_set(&t, text, length <= LOG_RECORD_MAX ? length : LOG_RECORD_MAX + 1);
    deliver(priority, &t);
    errno = saved;
}

void log_escape(struct strbuf *sb, const void *bytes, size_t n, size_t max)
{
    const unsigned char *p = bytes;
    const unsigned char *end = p + (n < max ? n : max);

    while (p < end) {
        size_t controls = control_at(p, end);

        if (controls == 0 && *p != '"' && *p != '\\') {
            strbuf_add(sb, p++, 1);
            continue;
        }
        for (size_t i = 0; i < (controls ? controls : 1); i++)
            strbuf_addf(sb, "\\x%02x", *p++);
    }
    if (n > max)
        strbuf_adds(sb, "...");
}
