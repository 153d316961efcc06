/*
 * config: configuration files. See the header. The files may be anything that a user can make: nothing here trusts their length,
 * their bytes, or that they are files at all.
 */
#include "settings/config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/nearest.h"

#define SHOWN 80 /* bytes of a wrong word that an error repeats */

/* One call of config_file or config_fd with all files that it leads to. */
struct run {
    struct settings *settings;
    enum option_source source;
    settings_report *report; /* NULL: the first error ends it */
    settings_report *opened; /* or NULL */
    void *context;
    size_t bad, bad_max;
    int files;
    bool placed; /* the error in hand already begins with its place */
};

struct reader {
    int fd;
    size_t at, end;
    size_t total; /* bytes read so far */
    char bytes[4096];
};

enum line { LINE_ERROR = -1, LINE_END, LINE_OK, LINE_LONG }; /* an error leaves errno */

static enum line fill(struct reader *r)
{
    ssize_t n;

    if (r->total >= CONFIG_BYTES_MAX) {
        errno = EFBIG;
        return LINE_ERROR;
    }
    do
        n = read(r->fd, r->bytes, sizeof r->bytes);
    while (n < 0 && errno == EINTR);
    r->at = 0;
    r->end = n > 0 ? (size_t)n : 0;
    r->total += r->end;
    return n < 0 ? LINE_ERROR : n == 0 ? LINE_END : LINE_OK;
}

/* The next line without its line end. The last one needs none. What a long line has too much is skipped. */
static enum line next_line(struct reader *r, struct strbuf *line)
{
    bool any = false;

    strbuf_reset(line);
    for (;;) {
        char *start, *newline;
        size_t n;

        if (r->at == r->end) {
            enum line filled = fill(r);

            if (filled != LINE_OK && !(filled == LINE_END && any))
                return filled;
            if (filled == LINE_END)
                break;
        }
        any = true;
        start = r->bytes + r->at;
        newline = memchr(start, '\n', r->end - r->at);
        n = newline == NULL ? r->end - r->at : (size_t)(newline - start);
        strbuf_add(line, start, n);
        r->at += n + (newline != NULL);
        if (newline != NULL)
            break;
    }
    return line->cut ? LINE_LONG : LINE_OK;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static const char *skip_blanks(const char *p)
{
    while (blank(*p))
        p++;
    return p;
}

/* Length of the name or keyword at p. */
static size_t word_length(const char *p)
{
    size_t n = 0;

    while (p[n] != '\0' && !blank(p[n]) && p[n] != '=' && p[n] != '#')
        n++;
    return n;
}

/* `before "word" after` */
static int fail_word(struct strbuf *why, const char *before, const char *word, size_t n, const char *after)
{
    strbuf_reset(why);
    strbuf_adds(why, before);
    strbuf_addc(why, '"');
    log_escape(why, word, n, SHOWN);
    strbuf_addc(why, '"');
    strbuf_adds(why, after);
    return -1;
}

static int fail_option(const struct run *run, const char *name, size_t n, struct strbuf *why)
{
    struct nearest nearest;

    nearest_begin(&nearest, name, n);
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (options_allowed(option_rows[i].restriction, run->source))
            nearest_offer(&nearest, option_rows[i].name);
    fail_word(why, "unknown option ", name, n, "");
    if (!nearest_say(&nearest, "", why))
        strbuf_adds(why, "; `popper -h` lists them all");
    return -1;
}

/* A quoted value; p is at the quote. \ takes its meaning from the quote or backslash behind it. The place behind it, NULL: no end. */
static const char *take_quoted(const char *p, struct strbuf *value)
{
    char quote = *p++;

    for (; *p != quote; p++) {
        if (*p == '\0')
            return NULL;
        if (*p == '\\' && (p[1] == quote || p[1] == '\\'))
            p++;
        strbuf_addc(value, *p);
    }
    return p + 1;
}

/* A bare value: to the next blank, and for what is not text also to the next #. */
static const char *take_bare(const char *p, bool text, struct strbuf *value)
{
    while (*p != '\0' && !blank(*p) && (text || *p != '#'))
        strbuf_addc(value, *p++);
    return p;
}

static int take_value(const struct option_row *row, const char *p, struct strbuf *value, struct strbuf *why)
{
    bool text = row->kind == KIND_STRING || row->kind == KIND_LIST;
    const char *end;

    p = skip_blanks(p);
    if (*p == '\0' || *p == '#')
        return strbuf_fail(why, "there is no value after = for %s", row->name);
    if (*p == '"' || *p == '\'' || *p == '`') {
        end = take_quoted(p, value);
        if (end == NULL)
            return fail_word(why, "the quote at ", p, strlen(p), " has no end on this line");
    } else {
        end = take_bare(p, text, value);
    }
    p = skip_blanks(end);
    if (*p != '\0' && *p != '#')
        return fail_word(why, "", p, strlen(p), " stands behind the value; put values with blanks into quotes, and # before comments");
    return 0;
}

static int read_path(struct run *run, const char *path, struct strbuf *why);

static int apply(struct run *run, const struct option_row *row, const char *value, const char *where, struct strbuf *why)
{
    if (settings_set(run->settings, row, value, run->source, where, why) < 0)
        return -1;
    if (row != &option_rows[OPTION_config_file] || value[0] == '\0')
        return 0;
    if (value[0] != '/' && (run->source == OPTION_HOME || run->source == OPTION_SPOOL))
        return fail_word(why, "config-file must be a path that starts with / here; it is ", value, strlen(value), "");
    return read_path(run, value, why);
}

static int do_set(struct run *run, const struct option_row *row, const char *p, const char *where, struct strbuf *why)
{
    struct strbuf value = STRBUF_INIT(CONFIG_LINE_MAX);
    int result;

    if (*p == '=')
        result = take_value(row, p + 1, &value, why);
    else if (*p != '\0' && *p != '#')
        result = fail_word(why, "an = is missing before ", p, strlen(p), "");
    else
        return settings_set(run->settings, row, NULL, run->source, where, why);
    if (result == 0)
        result = apply(run, row, value.data, where, why);
    strbuf_free(&value);
    return result;
}

/* One line of a file. where is its place. */
static int do_line(struct run *run, const char *p, const char *where, struct strbuf *why)
{
    const struct option_row *row;
    size_t n;
    bool set;

    p = skip_blanks(p);
    if (*p == '\0' || *p == '#')
        return 0;
    n = word_length(p);
    set = n == 3 && strncasecmp(p, "set", 3) == 0;
    if (!set && !(n == 5 && strncasecmp(p, "reset", 5) == 0))
        return fail_word(why, "", p, n > 0 ? n : 1, " is no command; a line starts with set, reset or #");
    p = skip_blanks(p + n);
    n = word_length(p);
    if (n == 0)
        return strbuf_fail(why, "%s lacks the name of an option", set ? "set" : "reset");
    row = options_find(p, n);
    if (row == NULL)
        return fail_option(run, p, n, why);
    p = skip_blanks(p + n);
    if (set)
        return do_set(run, row, p, where, why);
    if (*p != '\0' && *p != '#')
        return fail_word(why, "", p, strlen(p), " cannot follow reset, which takes the name of an option and no value");
    return settings_reset(run->settings, row, run->source, where, why);
}

static int check_line(struct run *run, enum line kind, bool first, const struct strbuf *line, const char *where, struct strbuf *why)
{
    static const char utf8_mark[] = "\xef\xbb\xbf"; /* editors of Windows write it, and nobody sees it */
    bool marked = first && strncmp(line->data, utf8_mark, 3) == 0;

    if (kind == LINE_LONG)
        return strbuf_fail(why, "the line is longer than %d bytes", CONFIG_LINE_MAX);
    if (memchr(line->data, '\0', line->len) != NULL)
        return strbuf_fail(why, "the line contains a NUL byte, so this is no text file");
    return do_line(run, line->data + (marked ? 3 : 0), where, why);
}

/* Puts the place before the error of a line, unless it came up from a file that this line names. True: go on with the next line. */
static bool bad_line(struct run *run, const char *where, struct strbuf *why)
{
    if (!run->placed)
        strbuf_fail(why, "%s: %s", where, why->data);
    run->placed = run->report == NULL;
    if (run->report == NULL)
        return false;
    run->bad++;
    run->report(run->context, why->data);
    if (run->bad < run->bad_max)
        return true;
    run->report(run->context, "too many bad lines: the rest is not read");
    return false;
}

/* 0; or -1 and why. With a report only a file that cannot be read is an error. */
static int read_lines(struct run *run, int fd, const char *shown, struct strbuf *why)
{
    struct reader reader = {.fd = fd};
    struct strbuf line = STRBUF_INIT(CONFIG_LINE_MAX);
    struct strbuf where = STRBUF_INIT(CONFIG_LINE_MAX);
    enum line kind;
    int result = 0;

    for (unsigned number = 1; (kind = next_line(&reader, &line)) > LINE_END; number++) {
        strbuf_reset(&where);
        strbuf_addf(&where, "%s:%u", shown, number);
        if (check_line(run, kind, number == 1, &line, where.data, why) < 0 && !bad_line(run, where.data, why)) {
            result = run->report == NULL ? -1 : 0;
            break;
        }
        if (run->report != NULL && run->bad >= run->bad_max)
            break;
    }
    if (kind == LINE_ERROR)
        result = strbuf_fail(why, "cannot read %s: %s", shown, strerror(errno));
    strbuf_free(&line);
    strbuf_free(&where);
    return result;
}

/* Regular files, and /dev/null, which is how one says "none". */
static bool readable_kind(const struct stat *st)
{
    return S_ISREG(st->st_mode) || (S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3));
}

static int open_path(const char *path, struct strbuf *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;

    if (fd < 0)
        return strbuf_fail(why, "cannot read the configuration file %s: %s", path, strerror(errno));
    if (fstat(fd, &st) == 0 && readable_kind(&st))
        return fd;
    close(fd);
    return strbuf_fail(why, "cannot read the configuration file %s: it is not a regular file", path);
}

static int read_path(struct run *run, const char *path, struct strbuf *why)
{
    char *shown = mem_strdup(path); /* path may be the value of config-file, which a nested file changes */
    int fd, result;

    if (++run->files > CONFIG_FILES_MAX) {
        mem_free(shown);
        return strbuf_fail(why, "more than %d configuration files lead to each other", CONFIG_FILES_MAX);
    }
    fd = open_path(shown, why);
    if (fd >= 0 && run->opened)
        run->opened(run->context, shown);
    result = fd < 0 ? -1 : read_lines(run, fd, shown, why);
    if (fd >= 0)
        close(fd);
    mem_free(shown);
    return result;
}

int config_file(struct settings *s, const char *path, enum option_source source, const char *where, struct config_complaints *complaints,
                struct strbuf *why)
{
    struct run run = {.settings = s, .source = source};
    int result;

    if (settings_set(s, &option_rows[OPTION_config_file], path, source, where, why) < 0)
        return -1;
    if (complaints == NULL)
        return read_path(&run, path, why);
    run.report = complaints->report;
    run.opened = complaints->opened;
    run.context = complaints->context;
    run.bad = complaints->count;
    run.bad_max = CONFIG_COMPLAINTS_MAX;
    result = run.bad < run.bad_max ? read_path(&run, path, why) : 0;
    if (result < 0) {
        run.bad++;
        run.report(run.context, why->data);
    }
    complaints->count = run.bad;
    return 0;
}

size_t config_fd(struct settings *s, int fd, const char *shown, enum option_source source, settings_report *report, void *context)
{
    struct run run = {.settings = s, .source = source, .report = report, .context = context, .bad_max = CONFIG_BAD_MAX, .files = 1};
    struct strbuf why = STRBUF_INIT(CONFIG_WHY_MAX);

    if (read_lines(&run, fd, shown, &why) < 0) {
        run.bad++;
        report(context, why.data);
    }
    strbuf_free(&why);
    return run.bad;
}
