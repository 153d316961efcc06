/*
 * mem: see mem.h. Nothing here parses, logs secrets, or returns NULL.
 */
#include "common/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

void mem_end_process(const char *what)
{
    log_write(LOG_ERR, "%s", what);
    _exit(MEM_EXIT_STATUS);
}

static void __attribute__((noreturn)) mem_exhausted(size_t n, size_t size)
{
    char what[160];

    snprintf(what, sizeof what, "out of memory asking for %zu x %zu bytes; this session ends, the maildrop is safe", n,
             size);
    mem_end_process(what);
}

void *mem_new(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);

    if (!p)
        mem_exhausted(n, size);
    return p;
}

void *mem_bytes(size_t n)
{
    void *p = malloc(n ? n : 1);

    if (!p)
        mem_exhausted(n, 1);
    return p;
}

void *mem_pages(size_t n)
{
    void *p;

    if (posix_memalign(&p, MEM_PAGE, n ? n : 1) != 0)
        mem_exhausted(n, 1);
    return p;
}

void *mem_resize(void *p, size_t n, size_t size)
{
    void *q = reallocarray(p, n ? n : 1, size ? size : 1);

    if (!q)
        mem_exhausted(n, size);
    return q;
}

void mem_reserve(void *array_r, size_t *cap_r, size_t need, size_t size)
{
    void *array;
    size_t cap = *cap_r;

    if (need <= cap)
        return;
    cap = cap > SIZE_MAX / 2 ? need : cap + cap / 2;
    if (cap < need)
        cap = need;
    if (cap < 8)
        cap = 8;
    memcpy(&array, array_r, sizeof array);
    array = mem_resize(array, cap, size);
    memcpy(array_r, &array, sizeof array);
    *cap_r = cap;
}

char *mem_strdup(const char *text)
{
    return mem_strndup(text, strlen(text));
}

char *mem_strndup(const char *text, size_t n)
{
    size_t len = strnlen(text, n);
    char *copy = mem_new(len + 1, 1);

    memcpy(copy, text, len);
    return copy;
}

void mem_free(void *p)
{
    free(p);
}

void mem_wipe(void *p, size_t n)
{
    explicit_bzero(p, n);
}

void mem_free_secret(void *p, size_t n)
{
    if (!p)
        return;
    mem_wipe(p, n);
    free(p);
}

bool mem_equal(const void *a, const void *b, size_t n)
{
    const volatile unsigned char *x = a;
    const volatile unsigned char *y = b;
    unsigned char differ = 0;

    for (size_t i = 0; i < n; i++)
        differ |= (unsigned char)(x[i] ^ y[i]);
    return differ == 0;
}
