/*
 * option_check: see the header.
 */
#include "settings/option_check.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/maillock.h"
#include "common/saslname.h"

int option_check_path(const char *value, struct strbuf *why)
{
    if (value[0] != '/')
        return strbuf_fail(why, "must be a path that starts with /");
    return 0;
}

int option_check_relative(const char *value, struct strbuf *why)
{
    if (value[0] == '/')
        return strbuf_fail(why, "must not start with /");
    for (const char *part = value; part != NULL; part = strchr(part, '/')) {
        part += *part == '/';
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
            return strbuf_fail(why, "must not lead out of its directory by ..");
    }
    return 0;
}

int option_check_word(const char *value, struct strbuf *why)
{
    if (strpbrk(value, " \t") != NULL)
        return strbuf_fail(why, "must be one word");
    return 0;
}

int option_check_name_pattern(const char *value, struct strbuf *why)
{
    const char *percent = strchr(value, '%');

    if (strchr(value, '/') != NULL)
        return strbuf_fail(why, "must be a name without /");
    if (percent == NULL || percent[1] != 's' || strchr(percent + 1, '%') != NULL)
        return strbuf_fail(why, "must contain %%s, which stands for the user name, once, and no other %%");
    return 0;
}

int option_check_log_login(const char *value, struct strbuf *why)
{
    int found = 0;

    for (const char *p = strchr(value, '%'); p != NULL; p = strchr(p + 1, '%')) {
        if (p[1] < '0' || p[1] > '3')
            return strbuf_fail(why, "may contain %%0 (version), %%1 (user), %%2 (host), %%3 (address) and no other %%");
        found++;
    }
    if (found > 4)
        return strbuf_fail(why, "may contain at most four of %%0 to %%3");
    return 0;
}

int option_check_pam_service(const char *value, struct strbuf *why)
{
    /* libpam would make lower case of it, and take only what follows the last /. */
    if (value[0] == '.' || strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789_.-") != strlen(value))
        return strbuf_fail(why, "must be the name of a file in /etc/pam.d: lower case letters, digits and _ . -");
    return 0;
}

int option_check_mail_locks(const char *value, struct strbuf *why)
{
    unsigned mask;

    if (maillock_parse(value, &mask, why) < 0)
        return strbuf_fail(why, "must be one or more of dotlock, fcntl and flock, separated by commas");
    return 0;
}

int option_check_sasl_mechanisms(const char *value, struct strbuf *why)
{
    unsigned barred;

    return saslname_barred(value, &barred, why);
}

/* ADDRESS or ADDRESS/BITS of n bytes. */
static bool network_valid(const char *text, size_t n)
{
    char address[INET6_ADDRSTRLEN + 5];
    unsigned char bytes[16];
    char *slash;
    int most;

    if (n == 0 || n >= sizeof address)
        return false;
    memcpy(address, text, n);
    address[n] = '\0';
    slash = strchr(address, '/');
    if (slash != NULL)
        *slash++ = '\0';
    most = inet_pton(AF_INET, address, bytes) == 1 ? 32 : inet_pton(AF_INET6, address, bytes) == 1 ? 128 : -1;
    if (most < 0)
        return false;
    if (slash == NULL)
        return true;
    return strspn(slash, "0123456789") == strlen(slash) && slash[0] != '\0' && strlen(slash) <= 3 && atoi(slash) <= most;
}

int option_check_network(const char *value, struct strbuf *why)
{
    for (const char *part = value;; part++) {
        size_t n = strcspn(part, ",");

        if (!network_valid(part, n))
            return strbuf_fail(why, "must be addresses or networks such as 192.0.2.0/24,2001:db8::/32, and \"%.*s\" is none",
                               (int)(n < 60 ? n : 60), part);
        part += n;
        if (*part == '\0')
            return 0;
    }
}
