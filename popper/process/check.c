/*
 * check: see check.h. The runner: the order of the parts, and how findings are said and counted.
 *
 * Rights of this role: those of who called it. Files of a user, and his maildrop, are left to a child that has become
 * the user for good. There is no client.
 */
#include "process/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "process/check_parts.h"
#include "process/child.h"

#define FINDING_MAX LOG_RECORD_MAX
#define SAID_MAX 64

/* Shared with our children, whose findings count as ours. */
struct tally {
    int worst;
    unsigned complaints;
    uint64_t said[SAID_MAX]; /* hashes of the first complaints: what several parts meet is said once */
};

static struct tally *tally;

/* The level of what is said in our own words; -1: it is what the server would log. */
static int speaking = -1;

static bool is_repeated(enum check_level level, const char *text, size_t length)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) + level; /* FNV-1a */

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    for (unsigned i = 0; i < tally->complaints && i < SAID_MAX; i++)
        if (tally->said[i] == hash)
            return true;
    if (tally->complaints < SAID_MAX)
        tally->said[tally->complaints] = hash;
    return false;
}

static void print(enum check_level level, const char *text, size_t length)
{
    static const char *const names[] = { "ok", "warning", "error" };
    struct strbuf line = STRBUF_INIT(FINDING_MAX + 20);
    bool repeated = level != CHECK_OK && is_repeated(level, text, length);

    if (level != CHECK_OK)
        tally->complaints++;
    if (repeated)
        return;
    strbuf_addf(&line, "%s: %.*s\n", names[level], (int)length, text);
    if (file_write(1, line.data, line.len) < 0)
        _exit(CHECK_ERROR); /* nobody reads it */
    strbuf_free(&line);
    if ((int)level > tally->worst)
        tally->worst = (int)level;
}

/* What the server would tell the log in passing is no finding, but where it looks for us. */
static bool infos;

void check_hear_infos(bool on)
{
    infos = on;
}

static void take_record(void *context, int priority, const char *text, size_t length)
{
    (void)context;
    if (speaking >= 0)
        print((enum check_level)speaking, text, length);
    else if (priority <= LOG_ERR)
        print(CHECK_ERROR, text, length);
    else if (priority <= LOG_NOTICE)
        print(CHECK_WARNING, text, length);
    else if (priority == LOG_INFO && infos)
        print(CHECK_OK, text, length);
}

void check_say(enum check_level level, const char *format, ...)
{
    struct strbuf text = STRBUF_INIT(FINDING_MAX);
    va_list ap;

    va_start(ap, format);
    strbuf_addv(&text, format, ap);
    va_end(ap);
    speaking = (int)level;
    log_record(LOG_INFO, text.data, text.len);
    speaking = -1;
    strbuf_free(&text);
}

unsigned check_count(void)
{
    return tally->complaints;
}

bool check_in_child(struct check *c, void (*fn)(struct check *c), const char *what)
{
    pid_t pid = fork();
    int status = 0;

    if (pid == 0) {
        fn(c);
        _exit(0);
    }
    if (pid < 0) {
        check_say(CHECK_ERROR, "%s: no process for it: %s", what, strerror(errno));
        return false;
    }
    status = child_gone(pid);
    if (status != 0)
        check_say(CHECK_ERROR, "%s: the process that looked ended too early (wait status %d)", what, status);
    return status == 0;
}

void check_begin(void)
{
    tally = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tally == MAP_FAILED)
        exit(CHECK_ERROR);
    log_set_sink(take_record, NULL);
}

void check_wrong_setting(void *context, const char *text)
{
    (void)context;
    check_say(CHECK_ERROR, "%s", text);
}

int check_end(void)
{
    check_say(CHECK_ERROR, "until that is mended popper serves nobody; nothing else was looked at");
    return tally->worst;
}

int check_run(const struct settings *settings, const char *user)
{
    static void (*const parts[])(struct check *c) = {
        check_files,       check_privsep, check_programs,    check_stores,
        check_bulletins,   check_tls,     check_directories, check_resolver,
    };
    struct check c = { .settings = settings, .given = user };

    if (gethostname(c.host, sizeof c.host - 1) < 0 || !c.host[0])
        strcpy(c.host, "localhost");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        parts[i](&c);
    if (user)
        check_login(&c);
    if (c.user_found)
        check_maildrop(&c);
    return tally->worst;
}
