/*
 * mboxscan_from: what a From_ line must look like (mbox(5), facts page 5.3). Read from the right, because the sender
 * may hold anything:
 *
 *   From SENDER Www Mmm DD HH:MM[:SS] [ZONE] YYYY [remote from HOST]
 *   From SENDER Www Mmm DD HH:MM[:SS] YYYY [ZONE] [remote from HOST]      ZONE: a name or +HHMM; ten layouts in all
 *
 * Nothing here looks at other lines.
 */
#include <string.h>

#include "mail/mboxscan.h"

/* Words taken off the end of a line. */
struct words {
    const char *line;
    size_t n;          /* what is left */
    const char *word;
    size_t length;
};

static bool last_word(struct words *w)
{
    size_t end;

    while (w->n > 0 && (w->line[w->n - 1] == ' ' || w->line[w->n - 1] == '\t'))
        w->n--;
    for (end = w->n; w->n > 0 && w->line[w->n - 1] != ' ' && w->line[w->n - 1] != '\t';)
        w->n--;
    w->word = w->line + w->n;
    w->length = end - w->n;
    return w->length > 0;
}

static bool word_is(const struct words *w, const char *text)
{
    return w->length == strlen(text) && memcmp(w->word, text, w->length) == 0;
}

/* The word is digits only, from..to of them. */
static bool digits(const char *word, size_t length, size_t from, size_t to)
{
    if (length < from || length > to)
        return false;
    for (size_t i = 0; i < length; i++)
        if (word[i] < '0' || word[i] > '9')
            return false;
    return true;
}

static unsigned value(const char *word, size_t length)
{
    unsigned v = 0;

    while (length-- > 0)
        v = v * 10 + (unsigned)(*word++ - '0');
    return v;
}

static bool is_letter(char c)
{
    return (unsigned char)((c | 0x20) - 'a') < 26;
}

/* EST, CEST, +0100 */
static bool is_zone(const struct words *w)
{
    if (w->length == 5 && (w->word[0] == '+' || w->word[0] == '-'))
        return digits(w->word + 1, 4, 4, 4);
    if (w->length < 1 || w->length > 6)
        return false;
    for (size_t i = 0; i < w->length; i++)
        if (!is_letter(w->word[i]))
            return false;
    return true;
}

static bool is_year(const struct words *w)
{
    return digits(w->word, w->length, 4, 4);
}

/* H:MM, HH:MM, with or without :SS */
static bool is_time(const struct words *w)
{
    const char *p = w->word;
    size_t n = w->length, hours = n > 1 && p[1] == ':' ? 1 : 2;

    if (n != hours + 3 && n != hours + 6)
        return false;
    if (!digits(p, hours, 1, 2) || value(p, hours) > 23 || p[hours] != ':')
        return false;
    if (!digits(p + hours + 1, 2, 2, 2) || value(p + hours + 1, 2) > 59)
        return false;
    return n == hours + 3 || (p[hours + 3] == ':' && digits(p + hours + 4, 2, 2, 2) && value(p + hours + 4, 2) <= 61);
}

static bool is_day(const struct words *w)
{
    return digits(w->word, w->length, 1, 2) && value(w->word, w->length) >= 1 && value(w->word, w->length) <= 31;
}

/* One of the three-letter names in the list. */
static bool is_name(const struct words *w, const char *list)
{
    if (w->length != 3)
        return false;
    for (; *list; list += 3)
        if (memcmp(w->word, list, 3) == 0)
            return true;
    return false;
}

/* Takes "remote from HOST" off, if it is there. */
static void drop_remote(struct words *w)
{
    struct words t = *w;

    if (last_word(&t) && last_word(&t) && word_is(&t, "from") && last_word(&t) && word_is(&t, "remote"))
        *w = t;
}

bool mboxscan_is_from(const char *line, size_t n)
{
    struct words w = { .line = line, .n = n };

    if (n < 5 || memcmp(line, "From ", 5) != 0)
        return false;
    drop_remote(&w);
    if (!last_word(&w))
        return false;
    if (is_year(&w)) {
        if (!last_word(&w) || (is_zone(&w) && !last_word(&w)))
            return false;
    } else if (!is_zone(&w) || !last_word(&w) || !is_year(&w) || !last_word(&w)) {
        return false;
    }
    return is_time(&w) && last_word(&w) && is_day(&w) && last_word(&w) &&
           is_name(&w, "JanFebMarAprMayJunJulAugSepOctNovDec") && last_word(&w) && is_name(&w, "SunMonTueWedThuFriSat") &&
           w.n >= 5;
}
