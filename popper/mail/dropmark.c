/*
 * dropmark: see dropmark.h. It must never call a changed maildrop the same; calling an unchanged one changed only
 * costs a scan.
 */
#include "mail/dropmark.h"

#include <errno.h>
#include <time.h>

#include "common/digest.h"
#include "common/file.h"
#include "common/fskind.h"
#include "common/mem.h"
#include "mail/filecalls.h"

#define MARGIN_LOCAL INT64_C(50000000)    /* ns: several ticks of the slowest kernel clock (100 Hz) */
#define MARGIN_WIDE INT64_C(2000000000)   /* ns: clocks of two machines, file systems with whole seconds */
#define NS_PER_S INT64_C(1000000000)
#define WHOLE_MAX (UINT64_C(1) << 20)     /* reading this much costs less than finding out what to read */
#define HEAD_BYTES 4096
#define TAIL_BYTES 65536
#define SAMPLES 256
#define SAMPLE_BYTES 2048
#define BLOCK 65536

static bool is_local(int fd)
{
    enum fskind kind = fskind_of(fd, NULL);

    return kind == FSKIND_LOCAL || kind == FSKIND_MEMORY;
}

/* Old ext3 and ext4 with small inodes keep whole seconds. */
static bool whole_seconds(const struct stat *st)
{
    return st->st_ctim.tv_nsec == 0 && st->st_mtim.tv_nsec == 0;
}

void dropmark_take(struct dropmark *mark, int drop_fd, const struct stat *st)
{
    struct timespec now;
    int64_t margin = is_local(drop_fd) && !whole_seconds(st) ? MARGIN_LOCAL : MARGIN_WIDE;

    clock_gettime(CLOCK_REALTIME, &now);
    *mark = (struct dropmark){
        .dev = (uint64_t)st->st_dev,
        .ino = (uint64_t)st->st_ino,
        .size = (uint64_t)st->st_size,
        .mtime = file_ns(&st->st_mtim),
        .ctime = file_ns(&st->st_ctim),
    };
    /* A ctime in the future (clock set back, server's clock ahead) is racy too. */
    mark->racy = file_ns(&now) - mark->ctime < margin;
}

bool dropmark_is(const struct dropmark *mark, const struct stat *st)
{
    return mark->dev == (uint64_t)st->st_dev && mark->ino == (uint64_t)st->st_ino && mark->size == (uint64_t)st->st_size
           && mark->mtime == file_ns(&st->st_mtim) && mark->ctime == file_ns(&st->st_ctim);
}

struct summing {
    int fd;
    uint64_t end; /* nothing beyond this belongs to the old part */
    uint64_t sum;
    char *block;
};

static int sum_range(struct summing *s, uint64_t at, uint64_t n)
{
    if (at >= s->end)
        return 0;
    if (n > s->end - at)
        n = s->end - at;
    while (n > 0) {
        size_t want = n < BLOCK ? (size_t)n : BLOCK;
        ssize_t got = filecalls_read(s->fd, s->block, want, (off_t)at);

        if (got < 0)
            return -1;
        if ((size_t)got < want) {
            errno = EIO;
            return -1;
        }
        s->sum = digest_sum64(s->sum, s->block, want);
        at += want;
        n -= want;
    }
    return 0;
}

static int sum_header(struct summing *s, const struct message *m)
{
    return sum_range(s, m->offset, m->header_len < SAMPLE_BYTES ? m->header_len : SAMPLE_BYTES);
}

static int sum_samples(struct summing *s, const struct message *messages, size_t count)
{
    size_t samples = count < SAMPLES ? count : SAMPLES;

    if (sum_range(s, 0, HEAD_BYTES) != 0 || sum_range(s, s->end - TAIL_BYTES, TAIL_BYTES) != 0)
        return -1;
    for (size_t i = 0; i < samples; i++)
        if (sum_header(s, &messages[i * count / samples]) != 0)
            return -1;
    return count > 0 ? sum_header(s, &messages[count - 1]) : 0;
}

static int fingerprint(int drop_fd, uint64_t size, const struct message *messages, size_t count, uint64_t *sum_r)
{
    struct summing s = { .fd = drop_fd, .end = size, .sum = size, .block = mem_resize(NULL, BLOCK, 1) };
    int result = size <= WHOLE_MAX ? sum_range(&s, 0, size) : sum_samples(&s, messages, count);

    *sum_r = s.sum;
    mem_free(s.block);
    return result;
}

bool dropmark_is_sampled(const struct dropmark *mark)
{
    return mark->size > WHOLE_MAX;
}

int dropmark_fingerprint(struct dropmark *mark, int drop_fd, const struct message *messages, size_t count)
{
    return fingerprint(drop_fd, mark->size, messages, count, &mark->fingerprint);
}

bool dropmark_verify(const struct dropmark *mark, int drop_fd, const struct message *messages, size_t count)
{
    uint64_t sum;

    return fingerprint(drop_fd, mark->size, messages, count, &sum) == 0 && sum == mark->fingerprint;
}

/* Some delivery agents (Exim) set the times after an append, in whole seconds: mtime may then be less than that of an append before it in
   the same second. mutt puts an old mtime back, which is not that of now. */
static bool set_by_delivery(const struct dropmark *mark, int64_t mtime, int64_t ctime)
{
    return mtime % NS_PER_S == 0 && mtime >= mark->mtime - mark->mtime % NS_PER_S && ctime - mtime < 2 * NS_PER_S;
}

/* An append moves mtime and ctime on together. One in the same tick of the clock as the last change before it leaves
   them as they were, which only a racy mark can have seen. */
static bool times_of_an_append(const struct dropmark *mark, const struct stat *st)
{
    int64_t mtime = file_ns(&st->st_mtim), ctime = file_ns(&st->st_ctim);

    if (ctime == mark->ctime)
        return mark->racy && mtime >= mark->mtime;
    return ctime > mark->ctime && (mtime > mark->mtime || set_by_delivery(mark, mtime, ctime));
}

enum dropmark_match dropmark_compare(const struct dropmark *mark, int drop_fd, const struct stat *st,
                                     const struct message *messages, size_t count)
{
    if (dropmark_is(mark, st))
        return DROPMARK_SAME;
    if (mark->dev != (uint64_t)st->st_dev || mark->ino != (uint64_t)st->st_ino || (uint64_t)st->st_size <= mark->size)
        return DROPMARK_CHANGED;
    if (!times_of_an_append(mark, st) || !dropmark_verify(mark, drop_fd, messages, count))
        return DROPMARK_CHANGED;
    return DROPMARK_GROWN;
}
