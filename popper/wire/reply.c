/*
 * reply: see reply.h. The only place that knows how a POP3 status line looks; it must never let text from elsewhere end
 * a line.
 */
#include "wire/reply.h"

#include <stdbool.h>
#include <string.h>

const char *reply_code_text(enum reply_code code)
{
    static const char *const texts[] = {
        [REPLY_NONE] = "",
        [REPLY_IN_USE] = "[IN-USE] ",
        [REPLY_AUTH] = "[AUTH] ",
        [REPLY_SYS_TEMP] = "[SYS/TEMP] ",
        [REPLY_SYS_PERM] = "[SYS/PERM] ",
    };

    return texts[code];
}

/* Appends text to the line as far as it fits, made harmless. Returns the new length. */
static size_t reply_put(char line[REPLY_MAX], size_t len, const char *text, bool eight_bit)
{
    for (; *text && len < REPLY_MAX - 2; text++) {
        unsigned char c = (unsigned char)*text;

        if (c < ' ')
            c = ' ';
        else if (c > '~' && !(eight_bit && c >= 0x80))
            c = '?';
        line[len++] = (char)c;
    }
    return len;
}

static void reply_status(struct outbuf *out, const char *status, const char *code, const char *text, bool eight_bit)
{
    char line[REPLY_MAX];
    size_t len = reply_put(line, 0, status, false);

    if (*code || *text)
        len = reply_put(line, len, " ", false);
    len = reply_put(line, len, code, false);
    len = reply_put(line, len, text, eight_bit);
    memcpy(line + len, "\r\n", 2);
    outbuf_add(out, line, len + 2);
}

void reply_ok(struct outbuf *out, const char *text)
{
    reply_status(out, "+OK", "", text, true);
}

void reply_err(struct outbuf *out, enum reply_code code, const char *text)
{
    reply_status(out, "-ERR", reply_code_text(code), text, false);
}

void reply_end(struct outbuf *out)
{
    outbuf_add(out, ".\r\n", 3);
}
