/*
 * letters: see letters.h.
 */
#include "config.h"

#include "tests/crash/letters.h"

#include <stdint.h>
#include <string.h>

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void write_body(struct strbuf *out, unsigned serial)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ,.";
    uint32_t state = serial * 2654435761u + 1;
    size_t lines = serial % 7 == 3 ? 1 : 2 + next_random(&state) % (serial % 5 == 1 ? 40 : 14);

    for (size_t i = 0; i < lines; i++) {
        size_t n = next_random(&state) % 76;

        strbuf_addf(out, "%u:%zu ", serial, i);
        for (size_t k = 0; k < n; k++)
            strbuf_addc(out, letters[next_random(&state) % (sizeof letters - 1)]);
        strbuf_addc(out, '\n');
        if (i % 6 == 5)
            strbuf_adds(out, "\nnext paragraph\n");
    }
}

static void write_letter(struct strbuf *out, unsigned serial, enum letter_form form)
{
    strbuf_addf(out, "From sender%u@example.org Mon Jan  5 10:%02u:%02u 2026\n", serial, serial / 60 % 60, serial % 60);
    strbuf_addf(out, "Message-Id: <%u.%u@example.org>\nSubject: letter\nX-Serial: %u\n", serial, serial * 7919u,
                serial);
    if (form == LETTER_SEEN)
        strbuf_adds(out, LETTER_STATUS);
    strbuf_addc(out, '\n');
    write_body(out, serial);
    strbuf_addc(out, '\n');
}

const struct strbuf *letter_text(unsigned serial, enum letter_form form)
{
    static struct strbuf made[LETTER_SERIALS][LETTER_FORMS];
    struct strbuf *text = &made[serial % LETTER_SERIALS][form];

    if (text->max == 0) {
        strbuf_init(text, 1000000);
        write_letter(text, serial % LETTER_SERIALS, form);
    }
    return text;
}

size_t letter_status_at(unsigned serial)
{
    const struct strbuf *text = letter_text(serial, LETTER_PLAIN);

    return (size_t)(strstr(text->data, "\n\n") - text->data) + 1;
}
