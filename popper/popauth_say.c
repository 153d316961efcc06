/*
 * popauth_say: see popauth_say.h.
 */
#include "popauth_say.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/strbuf.h"

#define WAITING_MAX 65536

static struct {
    bool waits;
    struct strbuf texts; /* each with its kind in front and a NUL behind */
} self = { .texts = STRBUF_INIT(WAITING_MAX) };

static void say(enum popauth_say kind, const char *text)
{
    if (kind != POPAUTH_SAY_LOG)
        fprintf(stderr, "popauth: %s%s\n", kind == POPAUTH_SAY_DEBUG ? "debug: " : "", text);
    log_write(LOG_DEBUG, "%s", text);
}

void popauth_say(enum popauth_say kind, const char *text)
{
    if (self.waits) {
        strbuf_addc(&self.texts, (char)kind);
        strbuf_add(&self.texts, text, strlen(text) + 1);
    } else
        say(kind, text);
}

void popauth_say_later(void)
{
    self.waits = true;
}

void popauth_say_now(void)
{
    const char *end = self.texts.data + self.texts.len;

    self.waits = false;
    for (const char *at = self.texts.data; at < end; at += strlen(at + 1) + 2)
        say((enum popauth_say)*at, at + 1);
    strbuf_free(&self.texts);
}
