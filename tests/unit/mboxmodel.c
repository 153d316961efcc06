/* mboxmodel: see mboxmodel.h. */
#include "tests/unit/mboxmodel.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FROM_MAX 4096

static bool is_from(const char *line, size_t n)
{
    static const char pattern[] =
        "^From ([^\n]*[ \t])?(Sun|Mon|Tue|Wed|Thu|Fri|Sat)[ \t]+(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[ \t]+"
        "(0?[1-9]|[12][0-9]|3[01])[ \t]+([01]?[0-9]|2[0-3]):[0-5][0-9](:([0-5][0-9]|6[01]))?[ \t]+"
        "(([A-Za-z]{1,6}|[+-][0-9]{4})[ \t]+[0-9]{4}|[0-9]{4}([ \t]+([A-Za-z]{1,6}|[+-][0-9]{4}))?)"
        "([ \t]+remote[ \t]+from[ \t]+[^ \t]+)?[ \t]*$";
    static regex_t compiled;
    static bool ready;
    char text[FROM_MAX + 1];

    if (n >= FROM_MAX)
        return false;
    if (n > 0 && line[n - 1] == '\r')
        n--;
    for (size_t i = 0; i < n; i++)
        text[i] = line[i] ? line[i] : '\1';
    text[n] = '\0';
    if (!ready && regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        abort();
    ready = true;
    return regexec(&compiled, text, 0, NULL, 0) == 0;
}

/* Length of the line at p without its LF. */
static size_t line_length(const char *p, const char *end)
{
    const char *at = p;

    while (at < end && *at != '\n')
        at++;
    return (size_t)(at - p);
}

static size_t nuls_at(const char *p, const char *end)
{
    const char *at = p;

    while (at < end && *at == '\0')
        at++;
    return (size_t)(at - p);
}

static void add(struct model *model, size_t offset, size_t from_len, bool hidden)
{
    model->messages = realloc(model->messages, (model->count + 1) * sizeof *model->messages);
    model->messages[model->count++] = (struct model_message){ .offset = offset, .from_len = from_len, .hidden = hidden };
}

static bool line_is_empty(const char *p, size_t n)
{
    return n == 0 || (n == 1 && *p == '\r');
}

/* Past the first empty line, or the end. */
static size_t header_length(const char *message, const struct model_message *m)
{
    size_t at = m->from_len;

    while (at < m->length) {
        size_t n = line_length(message + at, message + m->length);
        bool ended = at + n < m->length;
        bool empty = ended && line_is_empty(message + at, n);

        at += n + ended;
        if (empty)
            break;
    }
    return at;
}

void mboxmodel_make(struct model *model, const char *file, size_t n)
{
    const char *p = file, *end = file + n;
    bool empty = true;

    *model = (struct model){ .is_mbox = true };
    while (p < end) {
        size_t nuls = nuls_at(p, end), length;

        if (empty && p + nuls < end && is_from(p + nuls, line_length(p + nuls, end))) {
            if (p == file && nuls > 0)
                add(model, 0, 0, true);
            p += nuls;
            length = line_length(p, end);
            add(model, (size_t)(p - file), length + (p + length < end), false);
        } else if (p == file) {
            model->is_mbox = false;
            return;
        }
        length = line_length(p, end);
        empty = p + length < end && line_is_empty(p, length);
        p += length + 1;
    }
    for (size_t i = 0; i < model->count; i++) {
        struct model_message *m = &model->messages[i];

        m->length = (i + 1 < model->count ? model->messages[i + 1].offset : n) - m->offset;
        m->header_len = header_length(file + m->offset, m);
    }
}

static void say(struct model_message *m, const char *bytes, size_t n)
{
    m->text = realloc(m->text, m->octets + n + 1);
    for (size_t i = 0; i < n; i++)
        m->text[m->octets + i] = bytes[i] ? bytes[i] : ' ';
    m->octets += n;
    m->text[m->octets] = '\0';
}

static bool starts(const char *line, size_t n, const char *name)
{
    return n >= strlen(name) && strncasecmp(line, name, strlen(name)) == 0;
}

void mboxmodel_text(struct model *model, size_t i, const char *file, const char *edited_uid)
{
    struct model_message *m = &model->messages[i];
    const char *p = file + m->offset + m->from_len, *body = file + m->offset + m->header_len, *end = file + m->offset + m->length;
    bool blank = false, uid_said = !edited_uid, dropping = false;

    say(m, "", 0);
    while (p <= end) {
        bool in_header = !blank;
        size_t n = line_length(p, end), text = n;
        bool ended = p + n < end;

        if (p == end || (in_header && p >= body))
            break;
        if (!ended && nuls_at(p, end) == n)
            break; /* padding */
        if (text > 0 && p[text - 1] == '\r')
            text--;
        blank = blank || (ended && text == 0);
        if (!in_header && ended && text == 0 && p + n + 1 + nuls_at(p + n + 1, end) == end)
            break; /* the separator */
        if (in_header && *p != ' ' && *p != '\t')
            dropping = edited_uid && (starts(p, n, "X-UIDL:") || starts(p, n, "Content-Length:"));
        if (in_header && !uid_said && (blank || starts(p, n, "Status:"))) {
            say(m, "X-UIDL: ", 8);
            say(m, edited_uid, strlen(edited_uid));
            say(m, "\r\n", 2);
            uid_said = true;
        }
        if (!(in_header && dropping && !blank)) {
            say(m, p, text);
            say(m, "\r\n", 2);
        }
        if (in_header && blank)
            m->head = m->octets;
        p += n + 1;
    }
    if (!uid_said) {
        say(m, "X-UIDL: ", 8);
        say(m, edited_uid, strlen(edited_uid));
        say(m, "\r\n", 2);
    }
    if (!blank) {
        say(m, "\r\n", 2);
        m->head = m->octets;
    }
}

void mboxmodel_free(struct model *model)
{
    for (size_t i = 0; i < model->count; i++)
        free(model->messages[i].text);
    free(model->messages);
}
