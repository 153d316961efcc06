/*
 * keeper_copy: see keeper_copy.h. It reads M and writes to a file without a name; it opens nothing.
 */
#include <config.h> /* _GNU_SOURCE: fallocate */

#include "process/keeper_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/fskind.h"
#include "common/log.h"
#include "mail/filecalls.h"

#define PIECE (1u << 20)

static void forget(struct keeper_copy *c)
{
    close(c->to);
    c->to = -1;
}

/* The session has it open as well. */
void keeper_copy_end(struct keeper_copy *c)
{
    if (c->to < 0)
        return;
    if (ftruncate(c->to, 0) != 0)
        log_write(LOG_DEBUG, "a copy that was given up keeps its room: %s", strerror(errno));
    if (fchmod(c->to, 0) != 0)
        log_write(LOG_DEBUG, "a copy that was given up: %s", strerror(errno));
    forget(c);
}

static int reserve(int fd, uint64_t n)
{
    return fallocate(fd, 0, 0, (off_t)n) == 0 || (errno != ENOSPC && errno != EDQUOT) ? 0 : -1;
}

static int begin(struct keeper_copy *c, int from, int to, uint64_t n)
{
    if (fstat(from, &c->before) != 0)
        return -1;
    errno = EINVAL;
    if (n == 0 || n > (uint64_t)c->before.st_size)
        return -1;
    errno = EOPNOTSUPP;
    if (!fskind_copies_plainly(to))
        return -1;
    return reserve(to, n);
}

static void finish(const struct keeper_copy *c, int from, struct strbuf *why)
{
    struct stat now;

    if (fstat(from, &now) != 0 || !file_unchanged(&c->before, &now))
        strbuf_fail(why, "another program changed the maildrop while it was copied");
    else if (fchmod(c->to, 0400) != 0)
        strbuf_fail(why, "%s", strerror(errno));
}

int keeper_copy_begin(struct keeper_copy *c, int from, int to, uint64_t n, struct strbuf *why)
{
    int error;

    *c = (struct keeper_copy)KEEPER_COPY_INIT;
    if (begin(c, from, to, n) == 0) {
        c->to = to;
        c->end = n;
        return 0;
    }
    error = errno;
    close(to);
    strbuf_fail(why, "the maildrop cannot be copied beside the session: %s", strerror(error));
    errno = error;
    return -1;
}

bool keeper_copy_step(struct keeper_copy *c, int from, struct strbuf *why)
{
    uint64_t rest = c->end - c->at, n = rest < PIECE ? rest : PIECE;

    if (filecalls_copy(from, (off_t)c->at, c->to, (off_t)c->at, n) != 0)
        strbuf_fail(why, "%s", strerror(errno));
    else
        c->at += n;
    if (why->len == 0 && c->at == c->end)
        finish(c, from, why);
    if (why->len > 0)
        keeper_copy_end(c);
    else if (c->at == c->end)
        forget(c);
    return keeper_copy_goes_on(c);
}
