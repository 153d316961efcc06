/*
 * msgsend: see msgsend.h. A window of the file is read at a time; a message that fits is read at once and in its exact length, or, when it follows the
 * one that was sent before, together with those that follow it. What is sent of it goes straight from the window into the output's own buffer. It
 * remembers the last three bytes sent, because the rules about empty lines need them. It changes no file and no flag of the message.
 */
#include "mail/msgsend.h"

#include <string.h>

#include "mail/headerfield.h"
#include "mail/lines.h"

#define LINE_GUESS 100 /* bytes to read for each body line that TOP wants */

struct send {
    struct msgwindow *window;
    int fd;
    uint64_t ahead;           /* how far the window may read */
    const struct message *m;
    const char *uid;
    struct outbuf *out;
    struct strbuf *why;
    uint64_t body, end;       /* file offsets: end of the header, end of what may be sent (padding taken off) */
    uint64_t plan;            /* how far it makes sense to read at first */
    uint64_t at;              /* file offset of the next byte to send */
    struct lines_wire wire;
    uint32_t tail;            /* the last three bytes sent of the part at hand, which is preceded by a line end */
};

static size_t block_size = MSGWINDOW_MAX;

void msgsend_set_block(size_t block)
{
    block_size = block ? block : MSGWINDOW_MAX;
}

/* ---- the window */

/* The first bytes of what is planned, as many as a window holds. */
static int fill(struct send *s, uint64_t from, uint64_t to)
{
    return msgwindow_read(s->window, s->fd, from, to - from < block_size ? (size_t)(to - from) : block_size, s->ahead, s->why);
}

/* The bytes in view from `at` on, up to `limit`; at least `least` of them unless the limit is nearer. NULL when they
   cannot be read. */
static char *view(struct send *s, uint64_t limit, size_t least, size_t *n_r)
{
    uint64_t seen;

    if (limit - s->at < least)
        least = (size_t)(limit - s->at);
    if (!msgwindow_holds(s->window, s->fd, s->at, s->at + (least > 0 ? least : 1))
        && fill(s, s->at, s->at + least <= s->plan ? s->plan : s->end) < 0)
        return NULL;
    seen = s->window->start + s->window->n;
    *n_r = (size_t)((seen < limit ? seen : limit) - s->at);
    return msgwindow_at(s->window, s->at);
}

/* ---- output */

static void blank_nuls(char *p, size_t n)
{
    char *nul;

    while ((nul = memchr(p, '\0', n))) {
        *nul = ' ';
        n -= (size_t)(nul - p);
        p = nul;
    }
}

/* Sends n bytes of the window and remembers how they end. */
static void put(struct send *s, char *bytes, size_t n)
{
    const char *p = bytes, *end = p + n;

    if (s->m->flags & MSG_NULS)
        blank_nuls(bytes, n);
    for (size_t i = n < 3 ? 0 : n - 3; i < n; i++)
        s->tail = s->tail << 8 | (unsigned char)p[i];
    while (p < end) {
        size_t room;
        char *to = outbuf_room(s->out, 2 * LINES_ROOM, &room), *o = to;

        lines_to_wire(&s->wire, &p, end, &o, to + room);
        outbuf_commit(s->out, (size_t)(o - to));
    }
}

/* A last line without line end gets one. */
static void end_line(struct send *s)
{
    if (!s->wire.line_start)
        outbuf_adds(s->out, s->wire.cr ? "\n" : "\r\n");
    s->wire.line_start = true;
    s->wire.cr = false;
}

static bool ends_in_empty_line(uint32_t tail)
{
    return (tail & 0xffff) == 0x0a0a || (tail & 0xffffff) == 0x0a0d0a;
}

/* ---- header */

/* A field that is left out, together with the lines that continue it. */
static bool is_dropped(enum headerfield field)
{
    return field == HEADERFIELD_X_UIDL || field == HEADERFIELD_CONTENT_LENGTH;
}

static void put_uid(struct send *s)
{
    end_line(s);
    outbuf_adds(s->out, "X-UIDL: ");
    outbuf_adds(s->out, s->uid);
    outbuf_adds(s->out, "\r\n");
}

static bool is_empty_line(const char *p, size_t n)
{
    return p[0] == '\n' || (n > 1 && p[0] == '\r' && p[1] == '\n');
}

/* The header line by line: MSG_EDITED. Lines longer than the window come in pieces. */
static int send_edited_header(struct send *s, uint64_t limit)
{
    bool line_start = true, dropped = false, uid_sent = false;

    while (s->at < limit && !s->out->failed) {
        size_t n;
        char *p = view(s, limit, line_start ? HEADERFIELD_LOOK : 1, &n), *lf;

        if (!p)
            return -1;
        if (line_start && !headerfield_continues(p, n)) {
            enum headerfield field = headerfield_of(p, n);

            if (!uid_sent && (field == HEADERFIELD_STATUS || is_empty_line(p, n))) {
                put_uid(s);
                uid_sent = true;
            }
            dropped = is_dropped(field);
        }
        lf = memchr(p, '\n', n);
        if (lf)
            n = (size_t)(lf - p) + 1;
        if (!dropped)
            put(s, p, n);
        line_start = lf != NULL;
        s->at += n;
    }
    if (!uid_sent)
        put_uid(s);
    return 0;
}

static int send_stored(struct send *s, uint64_t limit)
{
    while (s->at < limit && !s->out->failed) {
        size_t n;
        char *p = view(s, limit, 1, &n);

        if (!p)
            return -1;
        put(s, p, n);
        s->at += n;
    }
    return 0;
}

static int send_header(struct send *s)
{
    uint64_t limit = s->body < s->end ? s->body : s->end;

    s->tail = '\n';
    if ((s->m->flags & MSG_EDITED ? send_edited_header(s, limit) : send_stored(s, limit)) < 0)
        return -1;
    end_line(s);
    if (s->body >= s->end && !ends_in_empty_line(s->tail))
        outbuf_add(s->out, "\r\n", 2);
    return 0;
}

/* ---- body */

/* How many of the n bytes at p, with which the message ends, are sent: less the separating empty line. */
static size_t without_separator(const struct send *s, const char *p, size_t n)
{
    uint32_t tail = s->tail;

    for (size_t i = n < 3 ? 0 : n - 3; i < n; i++)
        tail = tail << 8 | (unsigned char)p[i];
    if (!ends_in_empty_line(tail))
        return n;
    return n - ((tail >> 8 & 0xff) == '\r' ? 2 : 1);
}

/* Bytes of the first *lines_r lines; counts *lines_r down. */
static size_t bytes_of_lines(const char *p, size_t n, uint64_t *lines_r)
{
    const char *at = p, *end = p + n;

    while (*lines_r > 0 && at < end) {
        const char *lf = memchr(at, '\n', (size_t)(end - at));

        if (!lf)
            return n;
        at = lf + 1;
        --*lines_r;
    }
    return (size_t)(at - p);
}

static int send_body(struct send *s, uint64_t lines)
{
    s->tail = '\n';
    while (s->at < s->end && lines > 0 && !s->out->failed) {
        size_t n, sent;
        char *p = view(s, s->end, 2, &n);

        if (!p)
            return -1;
        if (s->at + n == s->end)
            sent = without_separator(s, p, n);
        else
            sent = s->at + n + 1 == s->end && n > 1 ? --n : n; /* the last two bytes are to be seen together */
        if (lines != MSGSEND_ALL)
            sent = bytes_of_lines(p, sent, &lines);
        put(s, p, sent);
        s->at += n;
    }
    end_line(s);
    return 0;
}

/* ---- the message */

/* NULs after the last line end are padding: moves end before them. */
static int take_padding_off(struct send *s)
{
    uint64_t start = s->at, end = s->end;

    while (end > start) {
        size_t n = end - start < block_size ? (size_t)(end - start) : block_size;
        const char *bytes;

        if (!msgwindow_holds(s->window, s->fd, end - n, end) && fill(s, end - n, end) < 0)
            return -1;
        bytes = msgwindow_at(s->window, end - n);
        while (n > 0 && bytes[n - 1] == '\0') {
            n--;
            end--;
        }
        if (n > 0 && bytes[n - 1] != '\n')
            return 0;
        if (n > 0)
            break;
    }
    s->end = end;
    return 0;
}

/* Where reading stops at first: the header alone for TOP n 0, some more for a few lines, everything otherwise. */
static uint64_t reading_plan(const struct send *s, uint64_t body_lines)
{
    if (s->body >= s->end || body_lines >= (s->end - s->body) / LINE_GUESS)
        return s->end;
    return s->body + body_lines * LINE_GUESS;
}

static struct send send_of(struct msgwindow *window, int fd, uint64_t ahead, const struct message *m, uint64_t body_lines, struct strbuf *why)
{
    struct send s = { .window = window, .fd = fd, .m = m, .why = why, .wire = { .line_start = true }, .at = m->offset + m->from_len,
                      .body = m->offset + msglist_header_len(m), .end = m->offset + m->length };

    /* One that does not follow the last one says nothing about what comes next. */
    if (window->fd == fd && window->next == m->offset)
        s.ahead = ahead;
    s.plan = reading_plan(&s, body_lines);
    return s;
}

int msgsend_prepare(struct msgwindow *window, int fd, uint64_t ahead, const struct message *m, uint64_t body_lines, struct strbuf *why)
{
    struct send s = send_of(window, fd, ahead, m, body_lines, why);
    uint64_t first = s.plan - s.at < block_size ? s.plan : s.at + block_size;

    return s.at >= s.plan || msgwindow_holds(window, fd, s.at, first) ? 0 : fill(&s, s.at, s.plan);
}

int msgsend_message(struct msgwindow *window, int fd, uint64_t ahead, const struct message *m, const char *uid, uint64_t body_lines, struct outbuf *out,
                    uint64_t *octets_r, struct strbuf *why)
{
    struct send s = send_of(window, fd, ahead, m, body_lines, why);
    uint64_t before = out->total;

    s.uid = uid;
    s.out = out;
    if (m->flags & MSG_NULS && take_padding_off(&s) < 0)
        return -1;
    if (send_header(&s) < 0 || send_body(&s, body_lines) < 0)
        return -1;
    if (octets_r)
        *octets_r = out->total - before - s.wire.stuffed;
    if (m->flags & MSG_NULS)
        msgwindow_forget(window); /* put wrote into it */
    window->next = m->offset + m->length;
    return 0;
}
