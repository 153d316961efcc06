/*
 * mboxscan: see mboxscan.h. The file passes through one window of fixed size. A message is read by three states: its
 * From_ line, its header (line by line, because a few fields matter), its body (lines_find looks for the next place
 * where a message may begin and counts what goes by). Lines and fields may be longer than the buffer: whatever is
 * needed of them is taken in pieces. It writes nothing and trusts nothing that it reads.
 */
#include "config.h" /* _GNU_SOURCE: strcasestr */

#include "mail/mboxscan.h"

#include <string.h>

#include "common/log.h"
#include "mail/headerfield.h"
#include "mail/lines.h"
#include "mail/scanwindow.h"

#define VALUE_MAX 256 /* bytes kept of the fields that are looked into */
#define X_UIDL_ADDED 10 /* "X-UIDL: " and CRLF */

struct scan {
    struct scanwindow w;

    const struct mboxscan_rules *rules;
    struct msglist *list;
    uint32_t imap_validity;
    bool base_seen;            /* the first message had a field that says it */
    bool padding_logged;

    /* the From_ line at pos, when at_from found one */
    size_t from_line, from_text;

    /* the message at hand */
    struct message m;
    bool first;                /* of the file */
    unsigned internal_signs;   /* of the UW folder-internal message */
    uint64_t header_octets, dropped_octets; /* of the lines sent, and of those that MSG_EDITED leaves out */
    bool in_header;
    size_t unchecked;          /* header bytes from buf[unchecked] to pos were not searched for NULs */
    bool blank;                /* its header ended in an empty line */
    enum headerfield field;    /* whose line is being read */
    char value[VALUE_MAX];
    size_t value_len;
    struct lines_scan body;
    uint64_t body_start, padding;
    struct uidl uid;
};

static size_t block_size = MBOXSCAN_BLOCK;
static uint32_t header_max = UINT32_MAX;

void mboxscan_set_limits(size_t block, uint32_t header)
{
    block_size = block ? block : MBOXSCAN_BLOCK;
    header_max = header ? header : UINT32_MAX;
}

/* ---- the window */

static uint64_t here(const struct scan *s)
{
    return scanwindow_here(&s->w);
}

static size_t left(const struct scan *s)
{
    return scanwindow_left(&s->w);
}

/* Searches what was read of the header since last time: once for many lines. */
static void check_header_nuls(struct scan *s)
{
    if (memchr(s->w.buf + s->unchecked, '\0', s->w.pos - s->unchecked))
        s->m.flags |= MSG_NULS;
}

/* scanwindow_more. */
static bool more(struct scan *s, size_t n)
{
    bool enough;

    if (left(s) >= n)
        return true;
    if (s->in_header)
        check_header_nuls(s);
    enough = scanwindow_more(&s->w, n);
    s->unchecked = s->w.pos;
    return enough;
}

/* The line end of the line at pos, if it is in view; reads on until there is one or `enough` bytes are seen. */
static char *line_end(struct scan *s, size_t enough)
{
    for (;;) {
        char *lf = memchr(s->w.buf + s->w.pos, '\n', left(s));

        if (lf || left(s) >= enough || !more(s, left(s) + 1))
            return lf;
    }
}

/* ---- the From_ line */

/* Whether a From_ line stands at pos; remembers its length with and without line end. */
static bool at_from(struct scan *s)
{
    const char *line, *lf;
    size_t n;

    if (!more(s, 5) || memcmp(s->w.buf + s->w.pos, "From ", 5) != 0)
        return false;
    lf = line_end(s, MBOXSCAN_FROM_MAX);
    line = s->w.buf + s->w.pos;
    n = lf ? (size_t)(lf - line) : left(s);
    if (n >= MBOXSCAN_FROM_MAX)
        return false;
    s->from_line = n + (lf != NULL);
    if (n > 0 && line[n - 1] == '\r')
        n--;
    s->from_text = n;
    return mboxscan_is_from(line, n);
}

static void begin_message(struct scan *s, enum msglist_source source)
{
    s->m = (struct message){ .offset = here(s), .from_len = (uint16_t)s->from_line, .source = (uint8_t)source };
    uidl_begin(&s->uid, s->w.buf + s->w.pos, s->from_text);
    s->w.pos += s->from_line;
    s->header_octets = s->dropped_octets = 0;
    s->blank = false;
    s->in_header = true;
    s->unchecked = s->w.pos;
    s->field = HEADERFIELD_OTHER;
    s->internal_signs = 0;
    s->padding = 0;
}

/* ---- header fields */

static bool is_hashed(enum headerfield field)
{
    return field >= HEADERFIELD_RECEIVED && field <= HEADERFIELD_SUBJECT;
}

/* Fields whose value is looked at; Subject and From only for the UW folder-internal message. */
static bool is_looked_into(const struct scan *s, enum headerfield field)
{
    if (field == HEADERFIELD_SUBJECT || field == HEADERFIELD_FROM || field == HEADERFIELD_X_IMAP ||
        field == HEADERFIELD_X_IMAPBASE)
        return s->first;
    return field >= HEADERFIELD_STATUS && field <= HEADERFIELD_X_UID;
}

/* Left out when the message is sent (msgsend's rule). */
static bool is_dropped(const struct scan *s, enum headerfield field)
{
    return s->rules->status_headers && (field == HEADERFIELD_X_UIDL || field == HEADERFIELD_CONTENT_LENGTH);
}

/* The number at the start of the value, followed by a blank or nothing; 0 when it is none. */
static uint32_t value_number(const char *value, size_t n)
{
    uint64_t number = 0;
    size_t i = 0;

    while (i < n && (value[i] == ' ' || value[i] == '\t'))
        i++;
    for (; i < n && value[i] >= '0' && value[i] <= '9'; i++) {
        number = number * 10 + (uint64_t)(value[i] - '0');
        if (number > UINT32_MAX)
            return 0;
    }
    return i == n || value[i] == ' ' || value[i] == '\t' ? (uint32_t)number : 0;
}

/* What a folder-internal message says (facts page 5.3), in letters of either case. */
static bool value_says(const struct scan *s, const char *text)
{
    char value[VALUE_MAX + 1];

    memcpy(value, s->value, s->value_len);
    value[s->value_len] = '\0';
    return strcasestr(value, text) != NULL;
}

/* The first line of a field that is_looked_into is complete. */
static void look_into(struct scan *s)
{
    switch (s->field) {
    case HEADERFIELD_STATUS:
        if (memchr(s->value, 'R', s->value_len))
            s->m.flags |= MSG_SEEN;
        break;
    case HEADERFIELD_X_UIDL:
        if (s->value_len < VALUE_MAX)
            uidl_stored(&s->uid, s->value, s->value_len);
        break;
    case HEADERFIELD_X_UID:
        s->uid.imap_uid = value_number(s->value, s->value_len);
        break;
    case HEADERFIELD_X_IMAP:
        s->internal_signs++;
        __attribute__((fallthrough));
    case HEADERFIELD_X_IMAPBASE:
        if (!s->base_seen)
            s->imap_validity = value_number(s->value, s->value_len);
        s->base_seen = true;
        break;
    case HEADERFIELD_SUBJECT:
        s->internal_signs += value_says(s, "DON'T DELETE THIS MESSAGE") || value_says(s, "FOLDER INTERNAL DATA");
        break;
    case HEADERFIELD_FROM:
        s->internal_signs += value_says(s, "Mail System Internal Data");
        break;
    default:
        break;
    }
}

static void keep_value(struct scan *s, const char *bytes, size_t n)
{
    size_t room = VALUE_MAX - s->value_len;

    if (n > room)
        n = room;
    memcpy(s->value + s->value_len, bytes, n);
    s->value_len += n;
}

/* ---- the header */

static bool only_nuls(const char *p, size_t n)
{
    while (n > 0 && *p == '\0') {
        p++;
        n--;
    }
    return n == 0;
}

/* Reads a piece of a line at pos (all that is in view up to its line end lf, or NULL) and hands it to those who want
   it. Returns whether the line goes on. *octets_r grows by the piece, *text_r is set when there was anything but NULs.
   */
static bool header_piece(struct scan *s, const char *lf, bool looked_into, uint64_t *octets_r, bool *text_r)
{
    const char *p = s->w.buf + s->w.pos;
    bool last = lf || s->w.base + s->w.len == s->w.end;
    size_t n = lf ? (size_t)(lf - p) + 1 : left(s), text = n - (lf != NULL);

    if (text > 0 && p[text - 1] == '\r') {
        text--;
        if (!last)
            n--; /* its LF may be the next byte to come */
    }
    *text_r = *text_r || n == 0 || !only_nuls(p, n);
    *octets_r += text;
    if (is_hashed(s->field)) {
        if (text + 1 == n && lf) {
            uidl_hash(&s->uid, p, n);
        } else {
            uidl_hash(&s->uid, p, text);
            if (last)
                uidl_hash(&s->uid, "\n", 1);
        }
    }
    if (looked_into)
        keep_value(s, p, text);
    s->w.pos += n;
    return !last;
}

/* Reads one line of the header. False: it was the empty line, or the file ends here. */
static bool header_line(struct scan *s)
{
    uint64_t octets = 0;
    bool looked_into = false, text = false;
    const char *p, *lf = line_end(s, HEADERFIELD_LOOK);
    size_t n;

    p = s->w.buf + s->w.pos;
    n = left(s);
    if (n == 0)
        return false;
    if (p[0] == '\n' || (n > 1 && p[0] == '\r' && p[1] == '\n')) {
        s->w.pos += p[0] == '\n' ? 1 : 2;
        s->blank = true;
        return false;
    }
    if (!headerfield_continues(p, n)) {
        s->field = headerfield_of(p, n);
        looked_into = is_looked_into(s, s->field);
        s->value_len = 0;
    }
    while (header_piece(s, lf, looked_into, &octets, &text))
        lf = line_end(s, 2);
    if (looked_into) {
        size_t name = headerfield_name_length(s->field);

        memmove(s->value, s->value + name, s->value_len - name);
        s->value_len -= name;
        look_into(s);
    }
    if (!text)
        s->padding = octets; /* a last line of nothing but NULs: not sent */
    else if (is_dropped(s, s->field))
        s->dropped_octets += octets + 2;
    else
        s->header_octets += octets + 2;
    return true;
}

/* ---- the body */

static uint64_t skip_nuls(struct scan *s)
{
    uint64_t from = here(s);

    while (more(s, 1) && s->w.buf[s->w.pos] == '\0') {
        while (s->w.pos < s->w.len && s->w.buf[s->w.pos] == '\0')
            s->w.pos++;
    }
    return here(s) - from;
}

static void log_padding(struct scan *s)
{
    if (!s->padding_logged)
        log_write(LOG_NOTICE,
                  "maildrop: NUL bytes stand before the message at offset %llu (a delivery agent left them); "
                  "they are kept and not sent",
                  (unsigned long long)here(s));
    s->padding_logged = true;
}

/* Reads up to the From_ line of the next message (at pos then) or to the end. */
static void scan_body(struct scan *s)
{
    for (;;) {
        bool after_empty;

        s->w.pos += lines_find(&s->body, s->w.buf + s->w.pos, left(s));
        if (s->w.pos == s->w.len) {
            if (!more(s, 1))
                return;
            continue;
        }
        after_empty = s->body.after_empty;
        s->padding = skip_nuls(s);
        if (!more(s, 1))
            return;
        if (after_empty && at_from(s)) {
            if (s->padding)
                log_padding(s);
            return;
        }
        s->body.nuls |= s->padding > 0;
        s->padding = 0;
        lines_inside(&s->body);
    }
}

/* Octets of the body: a CR for each bare LF, a line end for a last line that has none, less the separating empty line.
   */
static uint64_t body_octets(const struct scan *s)
{
    uint64_t bytes = here(s) - s->padding - s->body_start;
    uint64_t octets = bytes + s->body.lf - s->body.crlf;

    if (bytes == 0)
        return 0;
    if (s->body.after_empty)
        return octets - 2;
    if (!s->body.line_start)
        return octets + (s->body.cr ? 1 : 2);
    return octets;
}

/* ---- the message as a whole */

static uint64_t text_octets(const struct scan *s)
{
    uint64_t octets = s->header_octets + 2; /* its empty line is sent even where it is missing */

    if (!s->blank)
        return octets;
    octets += body_octets(s);
    /* Everything is header: the separator is the empty line at its end, or one is added. */
    if (s->m.header_len == UINT32_MAX && here(s) - s->padding > s->body_start)
        octets += 2;
    return octets;
}

static void set_header_len(struct scan *s)
{
    uint64_t length = here(s) - s->m.offset;

    s->m.header_len = length < header_max ? (uint32_t)length : UINT32_MAX;
}

static void end_message(struct scan *s)
{
    char id[UIDL_MAX + 1];

    s->m.length = here(s) - s->m.offset;
    s->m.octets = text_octets(s);
    if (s->padding || (s->blank && s->body.nuls))
        s->m.flags |= MSG_NULS;
    if (uidl_end(&s->uid, s->imap_validity, id))
        s->m.flags |= MSG_UID_STORED;
    if (s->rules->status_headers && s->m.header_len != UINT32_MAX) {
        s->m.flags |= MSG_EDITED;
        s->m.octets += X_UIDL_ADDED + strlen(id);
    } else {
        s->m.octets += s->dropped_octets;
    }
    if (s->first && s->rules->uw_kluge && s->internal_signs >= 2)
        s->m.flags |= MSG_HIDDEN;
    msglist_add(s->list, &s->m, id);
}

/* The From_ line is at pos. */
static void scan_message(struct scan *s, enum msglist_source source)
{
    begin_message(s, source);
    while (header_line(s))
        ;
    check_header_nuls(s);
    s->in_header = false;
    set_header_len(s);
    if (s->blank) {
        s->body_start = here(s);
        s->body = (struct lines_scan)LINES_SCAN_START;
        scan_body(s);
    }
    end_message(s);
    s->first = false;
}

/* NULs at the start of the file become a hidden message, so that every byte of the file belongs to one and stays. */
static void padding_message(struct scan *s, enum msglist_source source)
{
    char id[UIDL_MAX + 1];

    s->m = (struct message){ .octets = 2, .flags = MSG_HIDDEN | MSG_NULS, .source = (uint8_t)source };
    s->padding = s->m.length = skip_nuls(s);
    set_header_len(s);
    uidl_begin(&s->uid, "", 0);
    uidl_end(&s->uid, 0, id);
    msglist_add(s->list, &s->m, id);
}

static enum mboxscan_result not_mbox(struct scan *s, uint64_t start)
{
    if (s->w.failed)
        return MBOXSCAN_IO;
    strbuf_fail(s->w.why,
                "no From_ line with a date at offset %llu: this is no mbox file, or its start is damaged; "
                "it was not changed",
                (unsigned long long)start);
    return MBOXSCAN_NOT_MBOX;
}

static enum mboxscan_result scan_all(struct scan *s, enum msglist_source source)
{
    uint64_t start = here(s);

    if (start == s->w.end)
        return MBOXSCAN_OK;
    if (start == 0 && more(s, 1) && s->w.buf[s->w.pos] == '\0')
        padding_message(s, source);
    if (!at_from(s))
        return not_mbox(s, start);
    if (here(s) > start)
        log_padding(s);
    while (here(s) < s->w.end)
        scan_message(s, source);
    return s->w.failed ? MBOXSCAN_IO : MBOXSCAN_OK;
}

enum mboxscan_result mboxscan_file(int fd, uint64_t start, uint64_t end, enum msglist_source source,
                                   const struct mboxscan_rules *rules, uint32_t *imap_validity_r, struct msglist *list, struct strbuf *why)
{
    struct scan s = { .first = start == 0, .rules = rules, .list = list, .base_seen = source == MSGSRC_LEFTOVER && imap_validity_r,
                      .imap_validity = imap_validity_r ? *imap_validity_r : 0 };
    enum mboxscan_result result;

    uidl_init(&s.uid, rules->format, list);
    scanwindow_open(&s.w, fd, start, end, block_size, MBOXSCAN_FROM_MAX, why);
    result = scan_all(&s, source);
    uidl_flush(&s.uid);
    scanwindow_close(&s.w);
    if (imap_validity_r)
        *imap_validity_r = s.imap_validity;
    return result;
}
