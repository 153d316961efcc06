/*
 * headerline: see headerline.h. It lets maildrop_send produce the header and looks at it as it passes, so that there is one reader of messages.
 */
#include "protocol/headerline.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define PIECE 4096

enum where { AT_LINE_START, IN_NAME, IN_WANTED, IN_OTHER };

struct finder {
    const char *name;
    size_t name_len;
    size_t matched;      /* bytes of the name seen in this line */
    enum where where;
    bool current;        /* the field that the line before belongs to is the wanted one */
    bool done;           /* its end was seen */
    struct strbuf *body;
};

/* One byte of the wanted field's body: runs of blanks and line ends become one blank. */
static void take(struct finder *f, unsigned char c)
{
    bool blank = c <= ' ' || c == 0x7f;

    if (!blank)
        strbuf_addc(f->body, (char)c);
    else if (f->body->len > 0 && f->body->data[f->body->len - 1] != ' ')
        strbuf_addc(f->body, ' ');
}

static void line_starts(struct finder *f, unsigned char c)
{
    if (c == ' ' || c == '\t') {
        f->where = f->current ? IN_WANTED : IN_OTHER;
        if (f->current)
            take(f, ' ');
        return;
    }
    f->done = f->done || f->current;
    f->current = false;
    f->matched = 0;
    f->where = IN_NAME;
}

static void name_goes_on(struct finder *f, unsigned char c)
{
    if (f->matched < f->name_len) {
        if (tolower(c) != tolower((unsigned char)f->name[f->matched++]))
            f->where = IN_OTHER;
        return;
    }
    if (c == ':') {
        f->current = !f->done;
        f->where = f->current ? IN_WANTED : IN_OTHER;
    } else if (c != ' ' && c != '\t') {
        f->where = IN_OTHER;
    }
}

static int feed(void *context, const char *bytes, size_t n)
{
    struct finder *f = context;

    for (size_t i = 0; i < n && !f->done; i++) {
        unsigned char c = (unsigned char)bytes[i];

        if (c == '\n') {
            f->where = AT_LINE_START;
            continue;
        }
        if (f->where == AT_LINE_START)
            line_starts(f, c);
        if (f->where == IN_NAME)
            name_goes_on(f, c);
        else if (f->where == IN_WANTED)
            take(f, c);
    }
    return 0;
}

enum maildrop_status headerline_find(struct maildrop *drop, const struct message *m, const char *name, struct strbuf *body, struct strbuf *why)
{
    struct finder f = { .name = name, .name_len = strlen(name), .body = body };
    enum maildrop_status status;
    struct outbuf out;

    strbuf_reset(body);
    outbuf_init(&out, PIECE, feed, &f);
    status = maildrop_send(drop, m, 0, &out, why);
    outbuf_flush(&out);
    outbuf_free(&out);
    if (body->len > 0 && body->data[body->len - 1] == ' ')
        strbuf_truncate(body, body->len - 1);
    return status;
}
