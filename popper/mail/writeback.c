/*
 * writeback: see writeback.h. A line at a time over a header in memory; whatever it does not understand it copies.
 */
#include "mail/writeback.h"

#include <errno.h>
#include <string.h>

#include "common/mem.h"
#include "mail/filecalls.h"
#include "mail/headerfield.h"
#include "mail/uidl.h"

struct rewriting {
    struct strbuf *out;
    const char *line_end;
    bool seen;
    bool status_done;
    enum headerfield field; /* of the line before */
};

static void add_field(struct rewriting *w, const char *name, const char *value)
{
    strbuf_adds(w->out, name);
    strbuf_adds(w->out, value);
    strbuf_adds(w->out, w->line_end);
}

static void add_line(struct rewriting *w, const char *line, size_t n)
{
    strbuf_add(w->out, line, n);
    if (n > 0 && line[n - 1] != '\n')
        strbuf_adds(w->out, w->line_end);
}

static void rewrite_line(struct rewriting *w, const char *line, size_t n)
{
    bool first = !headerfield_continues(line, n);

    if (first)
        w->field = headerfield_of(line, n);
    if (w->field == HEADERFIELD_X_UIDL)
        return;
    if (w->field != HEADERFIELD_STATUS || !w->seen) {
        w->status_done |= w->field == HEADERFIELD_STATUS;
        add_line(w, line, n);
    } else if (first && !w->status_done) {
        add_field(w, "Status: ", "RO");
        w->status_done = true;
    }
}

static size_t line_length(const char *line, size_t n)
{
    const char *end = memchr(line, '\n', n);

    return end ? (size_t)(end - line) + 1 : n;
}

/* Where a field may be put in: behind the From_ line and what continues no field, which must not continue ours, or it would go with it. */
static size_t fields_at(const char *text, size_t n, size_t from_len)
{
    size_t at = from_len;

    while (headerfield_continues(text + at, n - at))
        at += line_length(text + at, n - at);
    return at;
}

static bool is_empty(const char *line, size_t n)
{
    return headerfield_bare(line, line_length(line, n)) == 0;
}

static void rewrite(struct rewriting *w, const char *text, size_t n, size_t from_len, const char *uid)
{
    size_t at = fields_at(text, n, from_len);

    add_line(w, text, at);
    add_field(w, "X-UIDL: ", uid);
    while (at < n && !is_empty(text + at, n - at)) {
        size_t length = line_length(text + at, n - at);

        rewrite_line(w, text + at, length);
        at += length;
    }
    if (!w->status_done)
        add_field(w, "Status: ", w->seen ? "RO" : "U");
    strbuf_add(w->out, text + at, n - at);
}

/* The first n bytes of m. */
static int read_start(int fd, const struct message *m, size_t n, struct strbuf *start, struct strbuf *why)
{
    char *text = mem_resize(NULL, n, 1);
    ssize_t got = filecalls_read(fd, text, n, (off_t)m->offset);

    strbuf_reset(start);
    if (got == (ssize_t)n)
        strbuf_add(start, text, n);
    mem_free(text);
    if (got == (ssize_t)n)
        return start->cut ? 0 : 1;
    return strbuf_fail(why, "cannot read a message's header: %s",
                       got < 0 ? strerror(errno) : "the file has become shorter");
}

static int read_header(int fd, const struct message *m, struct strbuf *header, struct strbuf *why)
{
    uint64_t n = msglist_header_len(m);

    strbuf_reset(header);
    return n > WRITEBACK_MAX || m->from_len == 0 || m->from_len > n ? 0 : read_start(fd, m, (size_t)n, header, why);
}

int writeback_start(int fd, const struct message *m, struct strbuf *start, struct strbuf *why)
{
    uint64_t header = msglist_header_len(m);
    size_t n = header < WRITEBACK_MAX ? (size_t)header : WRITEBACK_MAX;
    int result;

    strbuf_reset(start);
    if (m->from_len == 0 || m->from_len > n)
        return 0;
    result = read_start(fd, m, n, start, why);
    if (result != 1)
        return result;
    start->len = fields_at(start->data, n, m->from_len);
    start->data[start->len] = '\0';
    return start->len < n || n == header;
}

int writeback_header(int fd, const struct message *m, const char *uid, struct strbuf *header, struct strbuf *why)
{
    struct rewriting w = { .out = header, .line_end = "\n", .seen = (m->flags & (MSG_SEEN | MSG_RETRIEVED)) != 0 };
    struct strbuf text = STRBUF_INIT(WRITEBACK_MAX);
    int result = read_header(fd, m, &text, why);

    strbuf_reset(header);
    if (result == 1) {
        if (m->from_len > 1 && text.data[m->from_len - 2] == '\r')
            w.line_end = "\r\n";
        rewrite(&w, text.data, text.len, m->from_len, uid);
        result = !header->cut;
    }
    strbuf_free(&text);
    return result;
}

void writeback_insert(struct strbuf *header, const char *field)
{
    struct strbuf whole = STRBUF_INIT(header->max);
    size_t first = fields_at(header->data, header->len, line_length(header->data, header->len));

    strbuf_add(&whole, header->data, first);
    if (first > 0 && header->data[first - 1] != '\n')
        strbuf_addc(&whole, '\n'); /* a message that was delivered only in part */
    strbuf_adds(&whole, field);
    strbuf_add(&whole, header->data + first, header->len - first);
    strbuf_reset(header);
    strbuf_add(header, whole.data, whole.len);
    strbuf_free(&whole);
}

int writeback_imapbase(int fd, const struct message *m, struct strbuf *field, struct strbuf *why)
{
    struct strbuf header = STRBUF_INIT(WRITEBACK_MAX);
    int result = read_header(fd, m, &header, why);
    size_t length;

    strbuf_reset(field);
    for (size_t at = 0; result == 1 && at < header.len && field->len == 0; at += length) {
        const char *line = header.data + at;
        enum headerfield what = headerfield_of(line, header.len - at);

        length = line_length(line, header.len - at);
        if (what == HEADERFIELD_X_IMAPBASE || what == HEADERFIELD_X_IMAP) {
            size_t name = headerfield_name_length(what);

            strbuf_adds(field, "X-IMAPbase:");
            strbuf_add(field, line + name, length - name);
        }
    }
    if (field->len > 0 && field->data[field->len - 1] != '\n')
        strbuf_addc(field, '\n');
    strbuf_free(&header);
    return result < 0 ? -1 : 0;
}

bool writeback_has_message_id(int fd, const struct message *m)
{
    struct strbuf header = STRBUF_INIT(WRITEBACK_MAX), why = STRBUF_INIT(STRBUF_WHY_MAX);
    bool found = false;
    size_t length;

    if (read_header(fd, m, &header, &why) != 1)
        strbuf_reset(&header);
    for (size_t at = 0; at < header.len && !found; at += length) {
        const char *line = header.data + at;

        length = line_length(line, header.len - at);
        if (headerfield_of(line, header.len - at) == HEADERFIELD_MESSAGE_ID)
            for (size_t i = headerfield_name_length(HEADERFIELD_MESSAGE_ID); i < length; i++)
                found |= (unsigned char)line[i] > ' ';
    }
    strbuf_free(&header);
    strbuf_free(&why);
    return found;
}
