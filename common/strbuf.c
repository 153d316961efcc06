/*
 * strbuf: see strbuf.h. Growth wipes what it leaves behind, because passwords pass through here.
 */
#include "common/strbuf.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"

void strbuf_init(struct strbuf *sb, size_t max)
{
    *sb = (struct strbuf)STRBUF_INIT(max);
}

/* Room for n more bytes and the NUL. */
static void strbuf_grow(struct strbuf *sb, size_t n)
{
    size_t need = sb->len + n + 1;
    size_t cap = sb->cap ? sb->cap : 64;
    char *data;

    if (need <= sb->cap)
        return;
    while (cap < need)
        cap += cap / 2;
    data = mem_bytes(cap);
    memcpy(data, sb->data, sb->len);
    if (sb->cap)
        mem_free_secret(sb->data, sb->cap);
    sb->data = data;
    sb->cap = cap;
}

bool strbuf_add(struct strbuf *sb, const void *bytes, size_t n)
{
    size_t room = sb->max - sb->len;
    bool fits = n <= room;

    if (!fits) {
        n = room;
        sb->cut = true;
    }
    if (n == 0)
        return fits;
    strbuf_grow(sb, n);
    memcpy(sb->data + sb->len, bytes, n);
    sb->len += n;
    sb->data[sb->len] = '\0';
    return fits;
}

bool strbuf_adds(struct strbuf *sb, const char *text)
{
    return strbuf_add(sb, text, strlen(text));
}

bool strbuf_addc(struct strbuf *sb, char c)
{
    return strbuf_add(sb, &c, 1);
}

bool strbuf_addv(struct strbuf *sb, const char *format, va_list ap)
{
    char small[256];
    char *big;
    va_list again;
    int n;
    bool fits;

    va_copy(again, ap);
    n = vsnprintf(small, sizeof small, format, ap);
    if (n < 0) {
        va_end(again);
        sb->cut = true;
        return false;
    }
    if ((size_t)n < sizeof small) {
        va_end(again);
        fits = strbuf_add(sb, small, (size_t)n);
        mem_wipe(small, (size_t)n);
        return fits;
    }
    big = mem_new((size_t)n + 1, 1);
    vsnprintf(big, (size_t)n + 1, format, again);
    va_end(again);
    fits = strbuf_add(sb, big, (size_t)n);
    mem_free_secret(big, (size_t)n + 1);
    mem_wipe(small, sizeof small);
    return fits;
}

bool strbuf_addf(struct strbuf *sb, const char *format, ...)
{
    va_list ap;
    bool fits;

    va_start(ap, format);
    fits = strbuf_addv(sb, format, ap);
    va_end(ap);
    return fits;
}

int strbuf_fail(struct strbuf *why, const char *format, ...)
{
    struct strbuf text = STRBUF_INIT(why->max);
    va_list ap;

    /* Formatted aside first: an argument may point into why itself. */
    va_start(ap, format);
    strbuf_addv(&text, format, ap);
    va_end(ap);
    strbuf_free(why);
    *why = text;
    return -1;
}

void strbuf_reset(struct strbuf *sb)
{
    if (sb->cap)
        sb->data[0] = '\0';
    sb->len = 0;
    sb->cut = false;
}

void strbuf_wipe(struct strbuf *sb)
{
    if (sb->cap)
        mem_wipe(sb->data, sb->cap);
    strbuf_reset(sb);
}

void strbuf_truncate(struct strbuf *sb, size_t n)
{
    if (n >= sb->len)
        return;
    sb->len = n;
    sb->data[n] = '\0';
}

void strbuf_free(struct strbuf *sb)
{
    if (sb->cap)
        mem_free_secret(sb->data, sb->cap);
    strbuf_init(sb, sb->max);
}
