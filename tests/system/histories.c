/*
 * histories [COUNT [SEED]]: random lives of a maildrop: deliveries, sessions that delete, mail readers that rewrite
 * it, in place or by a new file, and set mtime back, rewrites of equal size, restores by cp and by mv, damaged and outdated indexes. After every
 * step a session with the index and one without must give the same answers, and no message may be lost or doubled.
 * Prints TAP; a failure names the seed of its history: `histories 1 SEED`
 * repeats it, with the log when HISTORIES_LOG is set.
 *
 * Time is simulated: file times are those of a clock that ticks every 4 ms and goes on by itself only a little, so
 * that many things happen within one tick.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"
#include "mail/filecalls.h"
#include "mail/maildrop.h"
#include "mail/msgsend.h"
#include "mail/uidl.h"
#include "tests/unit/localhost.h"

#define TICK INT64_C(4000000)
#define MESSAGES_MAX 200
#define STEPS 24

static struct localhost h;
static uint64_t history_seed;
static int step_number;
static const char *step_name;
static unsigned long comparisons, used_index;

static void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
static void fail(const char *format, ...)
{
    va_list ap;

    printf("not ok 1 - history with seed %llu\n# step %d (%s): ", (unsigned long long)history_seed, step_number,
           step_name);
    va_start(ap, format);
    vprintf(format, ap);
    va_end(ap);
    printf("\n# the files are left in %s\n1..1\n", h.directory);
    exit(1);
}

/* ---- chance (xorshift64*) */

static uint64_t chance_state;

static uint64_t chance(uint64_t n)
{
    chance_state ^= chance_state >> 12;
    chance_state ^= chance_state << 25;
    chance_state ^= chance_state >> 27;
    return (chance_state * UINT64_C(2685821657736338717) >> 33) % n;
}

/* ---- time and files */

static int64_t clock_ns;           /* now */
static int64_t mtime_ns, ctime_ns; /* M's */

/* Takes the place of the C library's for everything in this program. */
int clock_gettime(clockid_t which, struct timespec *t)
{
    if (which != CLOCK_REALTIME)
        return (int)syscall(SYS_clock_gettime, which, t);
    clock_ns += 1000;
    *t = (struct timespec){ clock_ns / 1000000000, clock_ns % 1000000000 };
    return 0;
}

static void touch_drop(void)
{
    mtime_ns = ctime_ns = clock_ns / TICK * TICK;
}

/* The session may have a descriptor of its own for it. */
static bool is_drop(int fd)
{
    struct stat a, b;

    return fd == h.drop || (h.drop >= 0 && fstat(fd, &a) == 0 && fstat(h.drop, &b) == 0 && a.st_ino == b.st_ino);
}

static void touch_if_drop(int fd)
{
    if (is_drop(fd))
        touch_drop();
}

static ssize_t sim_pwrite(int fd, const void *buf, size_t n, off_t at)
{
    touch_if_drop(fd);
    return pwrite(fd, buf, n, at);
}

static ssize_t sim_copy_range(int from, off_t from_at, int to, off_t to_at, size_t n)
{
    touch_if_drop(to);
    return filecalls_os.copy_range(from, from_at, to, to_at, n);
}

static int sim_ftruncate(int fd, off_t size)
{
    touch_if_drop(fd);
    return ftruncate(fd, size);
}

static int sim_sync(int fd)
{
    (void)fd;
    return 0;
}

static int sim_fstat(int fd, struct stat *st)
{
    if (fstat(fd, st) != 0)
        return -1;
    if (!is_drop(fd))
        return 0;
    st->st_mtim = (struct timespec){ mtime_ns / 1000000000, mtime_ns % 1000000000 };
    st->st_ctim = (struct timespec){ ctime_ns / 1000000000, ctime_ns % 1000000000 };
    return 0;
}

static struct filecalls simulated;

/* ---- what M holds, as another program sees it */

struct model {
    char *text[MESSAGES_MAX];
    size_t count;
};

static struct model model;
static int last_serial;
static bool large; /* this history's messages make M larger than a fingerprint takes whole */

static void model_remove(size_t i)
{
    free(model.text[i]);
    memmove(&model.text[i], &model.text[i + 1], (model.count - i - 1) * sizeof *model.text);
    model.count--;
}

static void model_clear(void)
{
    while (model.count > 0)
        model_remove(model.count - 1);
}

static char *drop_text(size_t *n_r)
{
    char *text = localhost_read(&h, LOCALHOST_DROP, n_r);

    if (!text) {
        *n_r = 0;
        text = calloc(1, 1);
    }
    return text;
}

/* Messages of these histories contain "\n\nFrom " only between them. */
static void model_read(void)
{
    size_t n;
    char *text = drop_text(&n), *p = text;

    model_clear();
    while (*p) {
        char *end = strstr(p, "\n\nFrom ");

        if (model.count == MESSAGES_MAX)
            fail("too many messages");
        model.text[model.count++] = end ? strndup(p, (size_t)(end + 2 - p)) : strdup(p);
        p = end ? end + 2 : p + strlen(p);
    }
    free(text);
}

/* A rewrite in place, or by a new file that gets the name, as mail readers do it. */
static void model_write(bool keep_mtime)
{
    bool by_rename = chance(5) == 0;
    int fd = openat(h.dirfd, by_rename ? "rewritten" : LOCALHOST_DROP, O_WRONLY | O_CREAT, 0600);
    int64_t mtime = mtime_ns;
    off_t at = 0;

    for (size_t i = 0; i < model.count; i++) {
        size_t n = strlen(model.text[i]);

        if (pwrite(fd, model.text[i], n, at) != (ssize_t)n)
            fail("pwrite: %s", strerror(errno));
        at += (off_t)n;
    }
    if (ftruncate(fd, at) != 0)
        fail("ftruncate: %s", strerror(errno));
    close(fd);
    if (by_rename && renameat(h.dirfd, "rewritten", h.dirfd, LOCALHOST_DROP) != 0)
        fail("rename: %s", strerror(errno));
    touch_drop();
    if (keep_mtime)
        mtime_ns = mtime;
}

static char *new_message(void)
{
    static const char *const status[] = { "", "", "Status: O\n", "Status: RO\n", "Status: U\nX-Status: F\n" };
    size_t filler = large ? 20000 + chance(40000) : chance(4) ? chance(200) : chance(5000);
    char *text = malloc(filler + 1000);
    int n, serial = ++last_serial;

    n = sprintf(text,
                "From u%d@example.org Sat Nov 22 10:%02d:%02d 2025\nReceived: from a by b id %d\nDate: Sat, 22 Nov "
                "2025 10:00:00 +0000\n"
                "Message-Id: <%d@x>\n%sSubject: subject %d\n\nserial %08d\n",
                serial, serial / 60 % 60, serial % 60, serial, serial, status[chance(5)], serial, serial);
    for (size_t i = 0; i < filler; i++)
        text[n++] = chance(60) ? (char)('a' + i % 26) : chance(30) ? '\n' : '.';
    if (text[n - 1] == '\n')
        text[n - 1] = 'x';
    text[n] = '\0';
    for (char *p = text; (p = strstr(p, "\n\n")) != NULL; p++) /* line ends in pairs only where they mean something */
        if (p > strstr(text, "\nserial "))
            p[1] = 'y';
    strcpy(text + n, "\n\n");
    return text;
}

/* ---- steps of other programs */

static void step_deliver(void)
{
    size_t count = 1 + chance(3);

    for (size_t i = 0; i < count && model.count < MESSAGES_MAX / 2; i++) {
        char *text = model.count > 0 && chance(6) == 0 ? strdup(model.text[chance(model.count)]) : new_message();

        localhost_append(&h, LOCALHOST_DROP, text, strlen(text));
        model.text[model.count++] = text;
        touch_drop();
    }
}

static void replace_text(size_t i, const char *what, const char *by)
{
    char *at = strstr(model.text[i], what), *text;

    if (!at || at > strstr(model.text[i], "\n\n"))
        return;
    text = malloc(strlen(model.text[i]) + strlen(by) + 1);
    sprintf(text, "%.*s%s%s", (int)(at - model.text[i]), model.text[i], by, at + strlen(what));
    free(model.text[i]);
    model.text[i] = text;
}

static void step_mail_reader(void)
{
    for (size_t i = model.count; i-- > 0;) {
        switch (chance(8)) {
        case 0:
            model_remove(i);
            break;
        case 1:
            replace_text(i, "\nStatus: O\n", "\nStatus: RO\n");
            break;
        case 2:
            replace_text(i, "\nSubject:", "\nStatus: O\nSubject:");
            break;
        case 3: {
            size_t other = chance(model.count);
            char *text = model.text[i];

            model.text[i] = model.text[other];
            model.text[other] = text;
            break;
        }
        default:
            break;
        }
    }
    model_write(chance(2));
}

/* One byte of a header or body, or a Status flag, at equal size. */
static void step_same_size(void)
{
    size_t i;

    if (model.count == 0)
        return;
    i = chance(model.count);
    switch (chance(4)) {
    case 0:
        replace_text(i, "\nSubject: subject", "\nSubject: SUBJECT");
        break;
    case 1:
        replace_text(i, "\nStatus: O\n", "\nStatus: R\n");
        break;
    case 2:
        replace_text(i, "\nReceived: from a", "\nReceived: from c");
        break;
    default: { /* an empty line wanders, so that boundaries stay but octets are others */
        char *body = strstr(model.text[i], "\nserial ") + strlen("\nserial 12345678\n");
        size_t n = strlen(body);

        if (n > 8)
            body[n - 5] = body[n - 5] == '\r' ? 'x' : '\r', body[n - 4] = 'z';
    } break;
    }
    model_write(chance(2));
}

static char *saved;
static size_t saved_size;
static int64_t saved_mtime;

static void step_save(void)
{
    free(saved);
    saved = drop_text(&saved_size);
    saved_mtime = mtime_ns;
}

static void step_restore_cp(void)
{
    if (!saved)
        return;
    localhost_write(&h, LOCALHOST_DROP, saved, saved_size);
    touch_drop();
    if (chance(2))
        mtime_ns = saved_mtime; /* cp -p */
    model_read();
}

static void step_restore_mv(void)
{
    if (!saved)
        return;
    localhost_write(&h, "restored", saved, saved_size);
    if (renameat(h.dirfd, "restored", h.dirfd, LOCALHOST_DROP) != 0)
        fail("rename: %s", strerror(errno));
    touch_drop();
    mtime_ns = saved_mtime;
    model_read();
}

static char *saved_index;
static size_t saved_index_size;

static void step_index(void)
{
    size_t n = 0;
    char *bytes = localhost_read(&h, LOCALHOST_INDEX, &n);

    switch (bytes && n > 0 ? chance(6) : 5) {
    case 0:
        bytes[chance(n)] ^= (char)(1 << chance(8));
        localhost_write(&h, LOCALHOST_INDEX, bytes, n);
        break;
    case 1:
        localhost_write(&h, LOCALHOST_INDEX, bytes, chance(n));
        break;
    case 2:
        unlinkat(h.dirfd, LOCALHOST_INDEX, 0);
        break;
    case 3:
        free(saved_index);
        saved_index = bytes;
        saved_index_size = n;
        bytes = NULL;
        break;
    case 4:
        localhost_write(&h, LOCALHOST_INDEX, "garbage", 7);
        break;
    default:
        if (saved_index)
            localhost_write(&h, LOCALHOST_INDEX, saved_index, saved_index_size);
        break;
    }
    free(bytes);
}

static void step_time(void)
{
    clock_ns += chance(2) ? INT64_C(1000000) * (int64_t)chance(40) : INT64_C(1000000000) * (int64_t)(1 + chance(5));
}

/* ---- sessions */

static struct settings *settings;
static struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);

static struct maildrop *open_session(bool with_index)
{
    struct maildrop_files files = localhost_files(&h, with_index);
    struct maildrop *drop;

    h.locked = 0;
    if (maildrop_open(&drop, &files, settings, &h.host, &why) != MAILDROP_OK)
        fail("maildrop_open: %s", why.data);
    return drop;
}

static int take(void *context, const char *bytes, size_t n)
{
    strbuf_add(context, bytes, n);
    return 0;
}

static void retrieve(struct maildrop *drop, uint64_t number, struct strbuf *text)
{
    const struct message *m = msglist_get(maildrop_list(drop), number);
    struct outbuf out;

    strbuf_reset(text);
    if (maildrop_ready(drop, m, MSGSEND_ALL, &why) != MAILDROP_OK)
        fail("message %llu cannot be had: %s", (unsigned long long)number, why.data);
    outbuf_init(&out, 65536, take, text);
    if (maildrop_send(drop, m, MSGSEND_ALL, &out, &why) != MAILDROP_OK || outbuf_flush(&out) != 0)
        fail("message %llu: %s", (unsigned long long)number, why.data);
    outbuf_free(&out);
}

static void check_unique(const struct msglist *list)
{
    for (size_t i = 0; i < list->count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(msglist_uid(list, &list->messages[i]), msglist_uid(list, &list->messages[j])) == 0)
                fail("messages %zu and %zu have the same id", j + 1, i + 1);
}

static void compare_message(const struct msglist *a, const struct msglist *b, size_t i)
{
    const struct message *x = &a->messages[i], *y = &b->messages[i];
    const char *x_id = msglist_uid(a, x), *y_id = msglist_uid(b, y);
    size_t base = uidl_base_length(x_id, x->flags & MSG_UID_STORED);
    uint64_t x_octets = x->octets - (x->flags & MSG_EDITED ? strlen(x_id) : 0);
    uint64_t y_octets = y->octets - (y->flags & MSG_EDITED ? strlen(y_id) : 0);

    if (x->offset != y->offset || x->length != y->length || x_octets != y_octets || x->header_len != y->header_len
        || x->from_len != y->from_len || (x->flags | MSG_UID_STORED) != (y->flags | MSG_UID_STORED))
        fail("message %zu of %zu: with the index offset %llu length %llu octets %llu header %u flags %u, without it "
             "%llu %llu %llu %u %u",
             i + 1, a->count, (unsigned long long)x->offset, (unsigned long long)x->length,
             (unsigned long long)x->octets, x->header_len, x->flags, (unsigned long long)y->offset,
             (unsigned long long)y->length, (unsigned long long)y->octets, y->header_len, y->flags);
    if (strcmp(x_id, y_id) != 0
        && (base != uidl_base_length(y_id, y->flags & MSG_UID_STORED) || memcmp(x_id, y_id, base) != 0))
        fail("message %zu: id %s with the index, %s without", i + 1, x_id, y_id);
}

/* What a session lists, without QUIT. */
static int list_session(bool with_index, struct msglist *list)
{
    struct maildrop *drop = open_session(with_index);
    const struct msglist *all = maildrop_list(drop);

    msglist_init(list);
    for (size_t i = 0; i < all->count; i++)
        msglist_add(list, &all->messages[i], msglist_uid(all, &all->messages[i]));
    maildrop_close(&drop);
    return h.locked;
}

static void compare(void)
{
    struct msglist a, b;
    int locked = list_session(true, &a);

    list_session(false, &b);
    if (a.count != b.count)
        fail("%zu messages with the index, %zu without", a.count, b.count);
    if (a.count != model.count)
        fail("%zu messages instead of %zu", a.count, model.count);
    for (size_t i = 0; i < a.count; i++)
        compare_message(&a, &b, i);
    check_unique(&a);
    comparisons++;
    used_index += locked == 0;
    msglist_free(&a);
    msglist_free(&b);
}

/* Ordinals at the ends of ids may differ, and with update-status-headers ids are sent. */
static void cut_id(struct strbuf *text)
{
    char *line = strstr(text->data, "\nX-UIDL: "), *end = line ? strchr(line + 1, '\n') : NULL;

    if (!end)
        return;
    memmove(line, end, strlen(end) + 1);
    text->len = strlen(text->data);
}

/* Texts as two sessions give them that see the same M, one after the other. */
static void step_retrieve(void)
{
    struct strbuf a = STRBUF_INIT(1 << 20), b = STRBUF_INIT(1 << 20);
    uint64_t number;
    struct maildrop *drop;

    if (model.count == 0)
        return;
    number = 1 + chance(model.count);
    drop = open_session(true);
    retrieve(drop, number, &a);
    maildrop_close(&drop);
    drop = open_session(false);
    retrieve(drop, number, &b);
    maildrop_close(&drop);
    cut_id(&a);
    cut_id(&b);
    if (a.len == 0 || a.len != b.len || memcmp(a.data, b.data, a.len) != 0)
        fail("message %llu: another text with the index", (unsigned long long)number);
    strbuf_free(&a);
    strbuf_free(&b);
}

static int serial_of(const char *text)
{
    const char *at = strstr(text, "\nserial ");

    return at ? atoi(at + 8) : 0;
}

static unsigned *count_serials(void)
{
    unsigned *counts = calloc((size_t)last_serial + 1, sizeof *counts);

    for (size_t i = 0; i < model.count; i++)
        counts[serial_of(model.text[i])]++;
    return counts;
}

/* Deletes some, perhaps while others do something, and says QUIT. */
static void step_session(void)
{
    struct maildrop *drop = open_session(chance(8) != 0);
    struct msglist *list = maildrop_list(drop);
    unsigned *deleted = calloc((size_t)last_serial + 1, sizeof *deleted), *before, *after;
    bool disturbed = false;
    int serials;

    for (size_t i = 0; i < list->count; i++) {
        if (chance(4) == 0) {
            list->messages[i].flags |= MSG_DELETED;
            deleted[serial_of(model.text[i])]++;
        } else if (chance(4) == 0) {
            list->messages[i].flags |= MSG_RETRIEVED;
        }
    }
    serials = last_serial;
    if (chance(3) == 0)
        step_deliver();
    if (chance(5) == 0) {
        step_mail_reader();
        disturbed = true;
    }
    before = count_serials();
    if (maildrop_update(drop, &why) != MAILDROP_OK)
        fail("maildrop_update: %s", why.data);
    maildrop_close(&drop);
    model_read();
    after = count_serials();
    for (int s = 1; s <= last_serial; s++) {
        unsigned gone = s <= serials ? deleted[s] : 0;

        if (after[s] > before[s] || after[s] + gone < before[s] || (!disturbed && after[s] + gone != before[s]))
            fail("serial %d: %u before, %u deleted, %u after", s, before[s], gone, after[s]);
    }
    free(deleted);
    free(before);
    free(after);
}

/* A delivery agent without locks: a session sees half of a message. */
static void step_deliver_in_halves(void)
{
    char *text = new_message();
    size_t n = strlen(text), part = 70 + chance(n < 1000 ? n - 70 : 300);

    if (model.count >= MESSAGES_MAX / 2) {
        free(text);
        return;
    }
    model.text[model.count++] = text;
    localhost_append(&h, LOCALHOST_DROP, text, part);
    touch_drop();
    compare();
    clock_ns += chance(2) ? INT64_C(100000000) : 0;
    localhost_append(&h, LOCALHOST_DROP, text + part, n - part);
    touch_drop();
}

/* ---- a history */

static const struct step {
    const char *name;
    void (*run)(void);
    unsigned weight;
} steps[] = {
    { "delivery", step_deliver, 6 },
    { "delivery in halves", step_deliver_in_halves, 1 }, { "mail reader", step_mail_reader, 3 },
    { "rewrite of equal size", step_same_size, 3 },
    { "backup", step_save, 2 },
    { "restore by cp", step_restore_cp, 1 },
    { "restore by mv", step_restore_mv, 1 },
    { "index damaged or replaced", step_index, 2 },
    { "time passes", step_time, 6 },
    { "session", step_session, 5 },
    { "retrieval", step_retrieve, 2 },
};

static const struct step *choose(void)
{
    unsigned total = 0, n;
    size_t i = 0;

    for (size_t k = 0; k < sizeof steps / sizeof *steps; k++)
        total += steps[k].weight;
    n = (unsigned)chance(total);
    while (n >= steps[i].weight)
        n -= steps[i++].weight;
    return &steps[i];
}

static void forget(char **bytes)
{
    free(*bytes);
    *bytes = NULL;
}

static void run_history(uint64_t seed)
{
    history_seed = seed;
    chance_state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    localhost_init(&h);
    settings = settings_new();
    settings->server_mode = chance(2);
    settings->update_status_headers = chance(4) == 0;
    large = chance(16) == 0;
    last_serial = 0;
    clock_ns = INT64_C(1763800000000000000);
    touch_drop();
    localhost_write(&h, LOCALHOST_DROP, "", 0);
    for (step_number = 1; step_number <= STEPS; step_number++) {
        const struct step *step = choose();

        step_name = step->name;
        clock_ns += (int64_t)chance(3000000);
        step->run();
        if (chance(3)) { /* not always: then several things happen that no session saw */
            clock_ns += chance(3) ? (int64_t)chance(2000000) : INT64_C(100000000);
            compare();
            if (chance(2))
                compare();
        }
    }
    forget(&saved);
    forget(&saved_index);
    model_clear();
    settings_free(&settings);
    localhost_remove(&h);
}

static void tell(void *context, int priority, const char *text, size_t length)
{
    (void)context;
    (void)priority;
    if (getenv("HISTORIES_LOG"))
        printf("#   %d (%s): %.*s\n", step_number, step_name, (int)length, text);
}

int main(int argc, char **argv)
{
    unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 300;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();

    simulated = filecalls_os;
    simulated.pwrite = sim_pwrite;
    simulated.copy_range = sim_copy_range;
    simulated.ftruncate = sim_ftruncate;
    simulated.fsync = simulated.fdatasync = sim_sync;
    simulated.fstat = sim_fstat;
    filecalls = &simulated;
    log_set_sink(tell, NULL);
    log_set_debug(getenv("HISTORIES_LOG") != NULL);
    printf("# seed %llu\n", (unsigned long long)seed);
    for (unsigned long i = 0; i < count; i++)
        run_history(seed + i);
    printf("# %lu histories, %lu comparisons, %lu of them answered from the index alone\n", count, comparisons,
           used_index);
    printf("%s 1 - the same answers with and without index\n1..1\n", used_index > 0 || count < 10 ? "ok" : "not ok");
    return 0;
}
