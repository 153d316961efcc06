/* nearest: see nearest.h. The distance is that of optimal string alignment, by its usual table, of which three rows are kept. */
#include "common/nearest.h"

#include <ctype.h>
#include <string.h>

#define PREFIX_MIN 4 /* letters; fewer begin too many words */

void nearest_begin(struct nearest *n, const char *word, size_t length)
{
    *n = (struct nearest){ .word = word, .length = length };
}

static int folded(char c)
{
    return c == '_' ? '-' : tolower((unsigned char)c);
}

static bool alike(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (folded(a[i]) != folded(b[i]))
            return false;
    return true;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t rows[3][NEAREST_WORD_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *here = rows[2];

    for (size_t j = 0; j <= b_length; j++)
        last[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t *oldest = before;

        here[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            here[j] = least(last[j], here[j - 1]) + 1;
            here[j] = least(here[j], last[j - 1] + (folded(a[i - 1]) != folded(b[j - 1])));
            if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) && folded(a[i - 2]) == folded(b[j - 1]))
                here[j] = least(here[j], before[j - 2] + 1);
        }
        before = last;
        last = here;
        here = oldest;
    }
    return last[b_length];
}

void nearest_offer(struct nearest *n, const char *name)
{
    size_t length = strlen(name), away;

    if (n->length > NEAREST_WORD_MAX || length > NEAREST_WORD_MAX)
        return;
    away = distance(n->word, n->length, name, length);
    if (n->length >= PREFIX_MIN && length > n->length && alike(n->word, name, n->length))
        away = 1;
    if (away * 3 > n->length)
        return;
    if (!n->name[0] || away < n->away) {
        n->name[0] = name;
        n->name[1] = NULL;
        n->away = away;
    } else if (away == n->away && !n->name[1]) {
        n->name[1] = name;
    }
}

bool nearest_say(const struct nearest *n, const char *before, struct strbuf *out)
{
    if (!n->name[0])
        return false;
    strbuf_addf(out, "; did you mean %s%s", before, n->name[0]);
    if (n->name[1])
        strbuf_addf(out, " or %s%s", before, n->name[1]);
    strbuf_addc(out, '?');
    return true;
}
