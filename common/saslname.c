/*
 * saslname: see saslname.h.
 */
#include "common/saslname.h"

#include <string.h>
#include <strings.h>

#include "common/words.h"

static const char *const names[SASL_MECHANISMS] = {
    [SASL_SCRAM_SHA_256_PLUS] = "SCRAM-SHA-256-PLUS",
    [SASL_SCRAM_SHA_256] = "SCRAM-SHA-256",
    [SASL_SCRAM_SHA_1_PLUS] = "SCRAM-SHA-1-PLUS",
    [SASL_SCRAM_SHA_1] = "SCRAM-SHA-1",
    [SASL_CRAM_MD5] = "CRAM-MD5",
    [SASL_GSSAPI] = "GSSAPI",
    [SASL_PLAIN] = "PLAIN",
    [SASL_LOGIN] = "LOGIN",
};

static enum sasl_mechanism find(const char *name, size_t n)
{
    int i = 0;

    while (i < SASL_MECHANISMS && (strlen(names[i]) != n || strncasecmp(names[i], name, n) != 0))
        i++;
    return (enum sasl_mechanism)i;
}

enum sasl_mechanism saslname_find(const char *name)
{
    return find(name, strlen(name));
}

const char *saslname_of(enum sasl_mechanism mechanism)
{
    return names[mechanism];
}

static int say_names(struct strbuf *why)
{
    strbuf_fail(why, "must be all, or one or more of");
    for (int i = 0; i < SASL_MECHANISMS; i++)
        strbuf_addf(why, "%s %s", i == 0 ? "" : i == SASL_MECHANISMS - 1 ? " and" : ",", names[i]);
    strbuf_adds(why, ", separated by commas");
    return -1;
}

int saslname_barred(const char *list, unsigned *barred_r, struct strbuf *why)
{
    const char *rest = *list ? list : NULL, *word;
    unsigned barred = (1u << SASL_MECHANISMS) - 1;
    size_t n;

    if (strcasecmp(list, "all") == 0) {
        *barred_r = 0;
        return 0;
    }
    while ((word = words_next(&rest, &n)) != NULL) {
        enum sasl_mechanism mechanism = find(word, n);

        if (mechanism == SASL_MECHANISMS)
            return say_names(why);
        barred &= ~(1u << mechanism);
    }
    *barred_r = barred;
    return 0;
}
