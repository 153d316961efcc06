/*
 * bulletin: see bulletin.h. A bulletin is read whole, rendered in memory and appended to the offer's text; the scanner
 * then says what it consists of, as it would of any mail, so that numbers and octets agree with what is sent (I6).
 */
#include "mail/bulletin.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"
#include "mail/filecalls.h"
#include "mail/headerfield.h"

#define RENDER_SLACK (64 * 1024) /* for what is added: id, To, quoting */

/* ---- names and numbers */

/* Digits at the start of n bytes. How many there are; 0: none, or the number is too large. */
static size_t parse_number(const char *text, size_t n, uint64_t *number_r)
{
    uint64_t number = 0;
    size_t i;

    for (i = 0; i < n && text[i] >= '0' && text[i] <= '9'; i++) {
        unsigned digit = (unsigned)(text[i] - '0');

        if (number > ((uint64_t)INT64_MAX - digit) / 10)
            return 0;
        number = number * 10 + digit;
    }
    *number_r = number;
    return i;
}

bool bulletin_number(const char *name, uint64_t *number_r)
{
    return parse_number(name, strlen(name), number_r) > 0;
}

bool bulletin_group(const char *name, char *group_r, size_t n)
{
    const char *dot = strchr(name, '.');
    size_t length = dot ? strcspn(dot + 1, ".") : 0;

    group_r[0] = '\0';
    if (length >= n)
        return false;
    if (dot)
        memcpy(group_r, dot + 1, length);
    group_r[length] = '\0';
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

enum bulletin_last bulletin_parse_last(const char *text, size_t n, uint64_t *last_r)
{
    size_t at = 0, digits;

    *last_r = 0;
    if (n == 0)
        return BULLETIN_LAST_EMPTY;
    while (at < n && is_blank(text[at]))
        at++;
    digits = parse_number(text + at, n - at, last_r);
    at += digits;
    while (at < n && is_blank(text[at]))
        at++;
    if (digits > 0 && (at == n || text[at] == '\n'))
        return BULLETIN_LAST_NUMBER;
    *last_r = 0;
    return BULLETIN_LAST_GARBAGE;
}

void bulletin_id(uint64_t number, int64_t time, char id_r[UIDL_MAX + 1])
{
    snprintf(id_r, UIDL_MAX + 1, "%lld.%03llu", (long long)time, (unsigned long long)number);
}

/* ---- one bulletin's text */

struct rendering {
    struct strbuf *out;
    const char *line_end; /* as in the From_ line */
    const char *to;
    bool to_done;
    bool dropped;         /* the field at hand is left out */
};

static size_t line_length(const char *line, size_t n)
{
    const char *end = memchr(line, '\n', n);

    return end ? (size_t)(end - line) + 1 : n;
}

static void add_field(struct rendering *r, const char *name, const char *value)
{
    strbuf_adds(r->out, name);
    strbuf_adds(r->out, value);
    strbuf_adds(r->out, r->line_end);
}

/* What a mail reader or server wrote about the copy that was saved, not the author. */
static bool is_of_the_copy(enum headerfield field)
{
    return field == HEADERFIELD_STATUS || field == HEADERFIELD_X_UIDL || field == HEADERFIELD_X_UID
           || field == HEADERFIELD_X_IMAP || field == HEADERFIELD_X_IMAPBASE;
}

static void render_header_line(struct rendering *r, const char *line, size_t n)
{
    if (!headerfield_continues(line, n)) {
        bool is_to = n >= 3 && strncasecmp(line, "To:", 3) == 0;

        r->dropped = is_to || is_of_the_copy(headerfield_of(line, n));
        if (is_to && !r->to_done)
            add_field(r, "To: ", r->to);
        r->to_done |= is_to;
    }
    if (!r->dropped)
        strbuf_add(r->out, line, n);
}

/* How many bytes the header has, the empty line at its end not counted. */
static size_t render_header(struct rendering *r, const char *text, size_t n)
{
    size_t at = 0;

    while (at < n) {
        size_t length = line_length(text + at, n - at);

        if (headerfield_bare(text + at, length) == 0)
            break;
        render_header_line(r, text + at, length);
        at += length;
    }
    return at;
}

static void render_body(struct rendering *r, const char *text, size_t n)
{
    bool after_empty = false;
    size_t length;

    for (size_t at = 0; at < n; at += length) {
        const char *line = text + at;

        length = line_length(line, n - at);
        if (after_empty && length >= 5 && memcmp(line, "From ", 5) == 0)
            strbuf_addc(r->out, '>');
        strbuf_add(r->out, line, length);
        after_empty = headerfield_bare(line, length) == 0;
    }
}

static bool ends_with(const struct strbuf *text, const char *end)
{
    size_t n = strlen(end);

    return text->len >= n && memcmp(text->data + text->len - n, end, n) == 0;
}

/* Another message may follow. */
static void end_message(struct rendering *r)
{
    if (!ends_with(r->out, "\n"))
        strbuf_adds(r->out, r->line_end);
    if (!ends_with(r->out, "\n\n") && !ends_with(r->out, "\n\r\n"))
        strbuf_adds(r->out, r->line_end);
}

bool bulletin_render(const char *text, size_t n, const char *to, const char *id, struct strbuf *out)
{
    struct rendering r = { .out = out, .line_end = "\n", .to = to };
    size_t at = line_length(text, n), from = headerfield_bare(text, at);

    strbuf_reset(out);
    if (!mboxscan_is_from(text, from) || at >= MBOXSCAN_FROM_MAX)
        return false;
    if (at - from == 2)
        r.line_end = "\r\n";
    strbuf_add(out, text, from);
    strbuf_adds(out, r.line_end);
    add_field(&r, "X-UIDL: ", id);
    at += render_header(&r, text + at, n - at);
    if (at >= n && !ends_with(out, "\n"))
        strbuf_adds(out, r.line_end); /* the last field had no line end */
    render_body(&r, text + at, n - at);
    end_message(&r);
    return !out->cut;
}

/* ---- the list */

struct listing {
    const struct bulletin_offer *offer;
    struct mboxscan_rules rules;
    struct msglist *list;
    struct bulletins *b;
    uint64_t before; /* the number that counted as seen before b->last did */
    bool in_trouble; /* what hinders one has nothing to do with it, and may pass: it and all after it wait */
    struct strbuf why;
};

/* Reads it whole. NULL with why. The caller frees. */
static char *read_text(struct listing *l, const struct bulletin *item, size_t *n_r, int64_t *time_r, struct strbuf *why)
{
    struct stat st;
    ssize_t got;
    char *text;

    if (filecalls->fstat(item->fd, &st) != 0) {
        l->in_trouble = true;
        strbuf_fail(why, "%s", strerror(errno));
        return NULL;
    }
    if (st.st_size > BULLETIN_BYTES_MAX) {
        strbuf_fail(why, "it is longer than %d bytes", BULLETIN_BYTES_MAX);
        return NULL;
    }
    text = mem_resize(NULL, (size_t)st.st_size + 1, 1);
    got = filecalls_read(item->fd, text, (size_t)st.st_size, 0);
    if (got < 0) {
        l->in_trouble = true;
        strbuf_fail(why, "%s", strerror(errno));
        mem_free(text);
        return NULL;
    }
    *n_r = (size_t)got;
    *time_r = (int64_t)st.st_mtim.tv_sec;
    return text;
}

static bool is_listed(const struct msglist *list, const char *id)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(msglist_uid(list, &list->messages[i]), id) == 0)
            return true;
    return false;
}

/* Appends the rendered text to the offer's, and the message to the list. 0, or -1 and why: nothing was added. */
static int add_message(struct listing *l, const struct strbuf *text, struct strbuf *why)
{
    uint64_t end = l->b->size + text->len;
    size_t before = l->list->count;

    if (filecalls_write(l->offer->text, text->data, text->len, (off_t)l->b->size) != 0) {
        l->in_trouble = true;
        return strbuf_fail(why, "no room for it in memory: %s", strerror(errno));
    }
    if (mboxscan_file(l->offer->text, l->b->size, end, MSGSRC_BULLETIN, &l->rules, NULL, l->list, why) == MBOXSCAN_OK
        && l->list->count == before + 1) {
        l->b->size = end;
        l->b->count++;
        return 0;
    }
    msglist_truncate(l->list, before);
    return strbuf_fail(why, "it is more than one message");
}

/* 1: the user has it now; 0: he had it; -1 and why. */
static int show(struct listing *l, const struct bulletin *item, struct strbuf *why)
{
    struct strbuf rendered = STRBUF_INIT(BULLETIN_BYTES_MAX + RENDER_SLACK);
    char id[UIDL_MAX + 1];
    int result = 0;
    int64_t time;
    size_t n;
    char *text = read_text(l, item, &n, &time, why);

    if (!text)
        return -1;
    bulletin_id(item->number, time, id);
    if (is_listed(l->list, id)) {
        result = 0;
    } else if (!bulletin_render(text, n, l->offer->to, id, &rendered)) {
        result = strbuf_fail(why, "its first line is no From_ line (From ADDRESS DATE)");
    } else {
        result = add_message(l, &rendered, why) == 0 ? 1 : -1;
    }
    strbuf_free(&rendered);
    mem_free(text);
    return result;
}

/* One that cannot be shown counts as seen only when a later one is: until then it may be mended. */
static void list_item(struct listing *l, const struct bulletin *item)
{
    if (item->fd >= 0 && show(l, item, &l->why) < 0) {
        log_write(LOG_WARNING, "bulletin %s is not shown: %s", item->shown, l->why.data);
        if (l->in_trouble && item->number == l->b->last)
            l->b->last = l->before; /* others of its number come once more, if they are not there any more */
        return;
    }
    if (item->number != l->b->last)
        l->before = l->b->last;
    l->b->last = item->number;
}

void bulletin_list(const struct bulletin_offer *offer, const struct mboxscan_rules *rules, struct msglist *list,
                   struct bulletins *b)
{
    struct listing l = { .offer = offer, .rules = *rules, .list = list, .b = b, .why = STRBUF_INIT(STRBUF_WHY_MAX) };

    *b = (struct bulletins){ .text = -1, .first = list->count };
    if (!offer)
        return;
    b->text = offer->text;
    b->last = offer->last;
    l.rules.uw_kluge = false;
    for (size_t i = 0; i < offer->count && !l.in_trouble; i++)
        list_item(&l, &offer->items[i]);
    b->changed = !offer->noted || b->last != offer->last;
    strbuf_free(&l.why);
}

/* ---- .popbull */

static int write_last(int fd, uint64_t last)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%llu\n", (unsigned long long)last);

    if (filecalls_write(fd, text, (size_t)n, 0) != 0 || filecalls->ftruncate(fd, n) != 0)
        return -1;
    return filecalls->fsync(fd);
}

static int note_in_file(uint64_t last, const struct mailhost *host, struct strbuf *why)
{
    int fd = host->open(host->context, MAILFILE_POPBULL, MAILOPEN_EXISTING, why), result;
    bool made = false;

    if (fd < 0 && errno == ENOENT) {
        fd = host->open(host->context, MAILFILE_POPBULL, MAILOPEN_NEW, why);
        made = true;
    }
    if (fd < 0)
        return -1;
    result = write_last(fd, last);
    if (result != 0)
        strbuf_fail(why, "%s", strerror(errno));
    close(fd);
    if (result == 0 && made)
        result = host->sync_dir(host->context, MAILFILE_POPBULL, why);
    return result;
}

static int note(uint64_t last, const struct mailhost *host, struct strbuf *why)
{
    if (host->note_bulletin) {
        if (host->note_bulletin(host->context, last, why) == 0)
            return 0;
        if (errno != ENOTSUP)
            return -1;
    }
    return note_in_file(last, host, why);
}

int bulletin_note(uint64_t last, const struct mailhost *host)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    int result = note(last, host, &why);

    if (result != 0)
        log_write(LOG_WARNING, "cannot note the last bulletin %llu for the owner of %s: %s", (unsigned long long)last,
                  host->shown, why.data);
    strbuf_free(&why);
    return result;
}
