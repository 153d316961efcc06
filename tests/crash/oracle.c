/*
 * oracle: see oracle.h. A message begins at "From " at the start of the file or after an empty line.
 */
#include "config.h"

#include "tests/crash/oracle.h"

#include <stdlib.h>
#include <string.h>

static size_t line_length(const char *bytes, size_t n)
{
    const char *end = memchr(bytes, '\n', n);

    return end != NULL ? (size_t)(end - bytes) + 1 : n;
}

static bool same(const char *bytes, size_t n, unsigned serial, enum letter_form form, bool loose)
{
    const struct strbuf *text = letter_text(serial, form);
    size_t want = text->len;

    while (loose && want > 0 && text->data[want - 1] == '\n')
        want--;
    while (loose && n > 0 && bytes[n - 1] == '\n')
        n--;
    return n == want && memcmp(bytes, text->data, n) == 0;
}

static unsigned find_serial(const char *bytes, size_t n)
{
    static const char field[] = "X-Serial: ";

    for (size_t at = 0; at < n;) {
        size_t length = line_length(bytes + at, n - at);

        if (length <= 1)
            return 0;
        if (length > sizeof field && memcmp(bytes + at, field, sizeof field - 1) == 0)
            return (unsigned)strtoul(bytes + at + sizeof field - 1, NULL, 10);
        at += length;
    }
    return 0;
}

static void judge(const char *bytes, size_t at, size_t n, struct oracle_message *message)
{
    *message = (struct oracle_message){ .state = ORACLE_BROKEN, .at = at, .n = n };
    message->letter.serial = find_serial(bytes + at, n);
    for (int loose = 0; loose < 2 && message->state == ORACLE_BROKEN && message->letter.serial != 0 &&
                        message->letter.serial < LETTER_SERIALS;
         loose++) {
        for (int form = 0; form < LETTER_FORMS; form++) {
            if (same(bytes + at, n, message->letter.serial, (enum letter_form)form, loose)) {
                message->letter.form = (enum letter_form)form;
                message->state = loose ? ORACLE_LOOSE : ORACLE_EXACT;
                break;
            }
        }
    }
}

void oracle_read(const char *bytes, size_t n, struct oracle_reading *reading)
{
    size_t start = 0;
    bool after_empty = true, inside = false;

    reading->count = 0;
    reading->leading_junk = false;
    for (size_t at = 0; at <= n;) {
        size_t length = at < n ? line_length(bytes + at, n - at) : 0;

        if (at == n || (after_empty && n - at >= 5 && memcmp(bytes + at, "From ", 5) == 0)) {
            if (inside && reading->count < ORACLE_MAX)
                judge(bytes, start, at - start, &reading->messages[reading->count++]);
            reading->leading_junk = reading->leading_junk || (!inside && at > 0);
            start = at;
            inside = true;
        }
        if (at == n)
            break;
        after_empty = length == 1;
        at += length;
    }
}

size_t oracle_count(const struct oracle_reading *reading, unsigned serial)
{
    size_t count = 0;

    for (size_t i = 0; i < reading->count; i++)
        if (reading->messages[i].letter.serial == serial && reading->messages[i].state != ORACLE_BROKEN)
            count++;
    return count;
}
