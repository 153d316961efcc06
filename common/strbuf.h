/*
 * strbuf: a text or byte buffer that grows up to a bound and then says that it was cut.
 *
 * The data always ends in a NUL that len does not count, so data may be handed to anything that wants a C string.
 * `struct strbuf *why` is how a soft failure says what happened: the callee replaces its content by one sentence without
 * a final full stop or newline, naming the user or file and what to do. why may never be NULL.
 */
#ifndef COMMON_STRBUF_H
#define COMMON_STRBUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct strbuf {
    char *data;   /* NUL-terminated; "" when nothing was ever added */
    size_t len;   /* bytes in data, the NUL not counted */
    size_t cap;   /* bytes allocated; 0 means data is not ours to free */
    size_t max;   /* len never exceeds this */
    bool cut;     /* something did not fit */
};

#define STRBUF_WHY_MAX 1000

/* An empty buffer that may hold up to max bytes. Nothing is allocated before something is added. */
#define STRBUF_INIT(max_) { .data = (char *)"", .max = (max_) }
void strbuf_init(struct strbuf *sb, size_t max);

/* Each add appends as much as fits and returns true when all did, false (and sets cut) otherwise. */
bool strbuf_add(struct strbuf *sb, const void *bytes, size_t n);
bool strbuf_adds(struct strbuf *sb, const char *text);
bool strbuf_addc(struct strbuf *sb, char c);
bool strbuf_addf(struct strbuf *sb, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool strbuf_addv(struct strbuf *sb, const char *format, va_list ap) __attribute__((format(printf, 2, 0)));

/* Replaces the content. The form to use for `why`; returns -1 so that a caller can say return strbuf_fail(why, ...). */
int strbuf_fail(struct strbuf *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Empties; keeps the memory and clears cut. strbuf_wipe also overwrites what was there, for secrets. */
void strbuf_reset(struct strbuf *sb);
void strbuf_wipe(struct strbuf *sb);

/* Cuts to n bytes (n <= len). */
void strbuf_truncate(struct strbuf *sb, size_t n);

/* Frees the memory (wiping it) and leaves an empty, usable buffer. */
void strbuf_free(struct strbuf *sb);

#endif
