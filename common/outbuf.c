/*
 * outbuf: see outbuf.h. A failed drain is remembered, never retried: the session ends at the next look at `failed`.
 */
#include "common/outbuf.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"

void outbuf_init(struct outbuf *out, size_t cap, outbuf_drain *drain, void *context)
{
    *out = (struct outbuf){ .cap = cap, .drain = drain, .context = context };
}

void outbuf_free(struct outbuf *out)
{
    mem_free(out->data);
    out->data = NULL;
    out->len = 0;
}

int outbuf_flush(struct outbuf *out)
{
    if (!out->failed && out->len > 0 && out->drain(out->context, out->data, out->len) < 0)
        out->failed = true;
    out->len = 0;
    return out->failed ? -1 : 0;
}

char *outbuf_room(struct outbuf *out, size_t least, size_t *room_r)
{
    if (!out->data)
        out->data = mem_bytes(out->cap);
    if (out->cap - out->len < least)
        outbuf_flush(out);
    *room_r = out->cap - out->len;
    return out->data + out->len;
}

void outbuf_commit(struct outbuf *out, size_t n)
{
    out->len += n;
    out->total += n;
    if (out->len > out->most)
        out->most = out->len;
}

void outbuf_add(struct outbuf *out, const void *bytes, size_t n)
{
    const char *from = bytes;

    while (n > 0) {
        size_t room;
        char *to = outbuf_room(out, 1, &room);
        size_t now = n < room ? n : room;

        memcpy(to, from, now);
        outbuf_commit(out, now);
        from += now;
        n -= now;
    }
}

void outbuf_adds(struct outbuf *out, const char *text)
{
    outbuf_add(out, text, strlen(text));
}

void outbuf_addf(struct outbuf *out, const char *format, ...)
{
    char text[1000];
    va_list ap;
    int n;

    va_start(ap, format);
    n = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (n < 0)
        return;
    outbuf_add(out, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

#define DIGITS_MAX 20

/* Writes n to the end of digits; returns where it begins. */
static const char *to_digits(uint64_t n, char digits[DIGITS_MAX])
{
    char *at = digits + DIGITS_MAX;

    do {
        *--at = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    return at;
}

void outbuf_add_number(struct outbuf *out, uint64_t n)
{
    char digits[DIGITS_MAX];
    const char *at = to_digits(n, digits);

    outbuf_add(out, at, (size_t)(digits + DIGITS_MAX - at));
}

void outbuf_add_pair(struct outbuf *out, uint64_t n, const char *text, size_t length)
{
    char digits[DIGITS_MAX];
    const char *at = to_digits(n, digits);
    size_t count = (size_t)(digits + DIGITS_MAX - at), room;
    char *to;

    if (out->cap < count + length + 3) {
        outbuf_add(out, at, count);
        outbuf_add(out, " ", 1);
        outbuf_add(out, text, length);
        outbuf_add(out, "\r\n", 2);
        return;
    }
    to = outbuf_room(out, count + length + 3, &room);
    memcpy(to, at, count);
    to[count] = ' ';
    memcpy(to + count + 1, text, length);
    memcpy(to + count + 1 + length, "\r\n", 2);
    outbuf_commit(out, count + length + 3);
}

void outbuf_add_numbers(struct outbuf *out, uint64_t n, uint64_t second)
{
    char digits[DIGITS_MAX];
    const char *at = to_digits(second, digits);

    outbuf_add_pair(out, n, at, (size_t)(digits + DIGITS_MAX - at));
}
