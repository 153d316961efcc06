/* mangletext: what the tests of XMANGLE's rooms say texts with, and compare them. */
#ifndef TESTS_MANGLETEXT_H
#define TESTS_MANGLETEXT_H

#include <check.h>
#include <glib.h>
#include <stdbool.h>
#include <string.h>

#include "common/strbuf.h"
#include "mail/mangle_text.h"

/* A text whose length the compiler knows, NULs and all. */
#define T(text) text, sizeof(text) - 1
#define TEN(text) text text text text text text text text text text
#define NICHI "\xe6\x97\xa5" /* two columns wide */

static inline void same(const char *name, const struct strbuf *got, const char *expected, size_t n)
{
    ck_assert_msg(got->len == n && memcmp(got->data, expected, n) == 0, "%s: \"%s\" (%zu) instead of \"%s\" (%zu)", name, got->data, got->len, expected, n);
}

static inline bool is_utf8(const struct strbuf *text)
{
    return g_utf8_validate_len(text->data, text->len, NULL);
}

#endif
