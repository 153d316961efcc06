/*
 * options: the table itself, looking a row up, and saying what is in it. It holds no values (settings.c does) and reads
 * nothing from outside the program.
 */
#include "settings/options.h"

#include <string.h>
#include <strings.h>
#include <syslog.h>

#include "settings/defaults.h"
#include "settings/option_check.h"

static const struct option_choice chunky_choices[] = {
    {"always", CHUNKY_ALWAYS, -1, FEATURE_NONE, false}, {"default", CHUNKY_ALWAYS, -1, FEATURE_NONE, false},
    {"never", CHUNKY_NEVER, -1, FEATURE_NONE, false},   {"tls", CHUNKY_TLS, -1, FEATURE_TLS, false},
    {"ssl", CHUNKY_TLS, -1, FEATURE_TLS, false},        {NULL, 0, 0, FEATURE_NONE, false},
};

static const struct option_choice clear_text_choices[] = {
    {"default", CLEAR_TEXT_DEFAULT, 0, FEATURE_NONE, false}, {"never", CLEAR_TEXT_NEVER, 1, FEATURE_APOP, false},
    {"always", CLEAR_TEXT_ALWAYS, 2, FEATURE_NONE, false},   {"local", CLEAR_TEXT_LOCAL, 3, FEATURE_NONE, false},
    {"tls", CLEAR_TEXT_TLS, 4, FEATURE_TLS, false},          {"ssl", CLEAR_TEXT_TLS, -1, FEATURE_TLS, false},
    {NULL, 0, 0, FEATURE_NONE, false},
};

static const struct option_choice facility_choices[] = {
    {"mail", LOG_MAIL, -1, FEATURE_NONE, false},     {"local0", LOG_LOCAL0, -1, FEATURE_NONE, false},
    {"local1", LOG_LOCAL1, -1, FEATURE_NONE, false}, {"local2", LOG_LOCAL2, -1, FEATURE_NONE, false},
    {"local3", LOG_LOCAL3, -1, FEATURE_NONE, false}, {"local4", LOG_LOCAL4, -1, FEATURE_NONE, false},
    {"local5", LOG_LOCAL5, -1, FEATURE_NONE, false}, {"local6", LOG_LOCAL6, -1, FEATURE_NONE, false},
    {"local7", LOG_LOCAL7, -1, FEATURE_NONE, false}, {NULL, 0, 0, FEATURE_NONE, false},
};

static const struct option_choice sandbox_choices[] = {
    {"enforce", SANDBOX_MODE_ENFORCE, -1, FEATURE_NONE, false},
    {"log", SANDBOX_MODE_LOG, -1, FEATURE_NONE, false},
    {"off", SANDBOX_MODE_OFF, -1, FEATURE_NONE, false},
    {NULL, 0, 0, FEATURE_NONE, false},
};

static const struct option_choice tls_support_choices[] = {
    {"none", TLS_SUPPORT_NONE, 0, FEATURE_NONE, false}, {"default", TLS_SUPPORT_NONE, -1, FEATURE_NONE, false},
    {"stls", TLS_SUPPORT_STLS, 1, FEATURE_NONE, false}, {"alternate-port", TLS_SUPPORT_ALTERNATE_PORT, 2, FEATURE_NONE, false},
    {NULL, 0, 0, FEATURE_NONE, false},
};

static const struct option_choice tls_version_choices[] = {
    {"default", TLS_VERSION_DEFAULT, -1, FEATURE_NONE, false}, {"TLSv1.2", TLS_VERSION_1_2, -1, FEATURE_NONE, false},
    {"TLSv1.3", TLS_VERSION_1_3, -1, FEATURE_NONE, false},     {"all", TLS_VERSION_ALL, -1, FEATURE_NONE, false},
    {"SSLv2", TLS_VERSION_DEFAULT, -1, FEATURE_NONE, true},    {"SSLv3", TLS_VERSION_DEFAULT, -1, FEATURE_NONE, true},
    {"TLSv1", TLS_VERSION_DEFAULT, -1, FEATURE_NONE, true},    {"SSLv23", TLS_VERSION_DEFAULT, -1, FEATURE_NONE, true},
    {NULL, 0, 0, FEATURE_NONE, false},
};

static const struct option_choice uidl_choices[] = {
    {"qpopper", UIDL_QPOPPER, -1, FEATURE_NONE, false},
    {"md5", UIDL_MD5, -1, FEATURE_NONE, false},
    {"dovecot", UIDL_DOVECOT, -1, FEATURE_NONE, false},
    {"uw", UIDL_UW, -1, FEATURE_NONE, false},
    {NULL, 0, 0, FEATURE_NONE, false},
};

#define ROW(field_, name_, class_, feature_, help_, ...) \
    {.name = (name_), .offset = offsetof(struct settings, field_), .restriction = (class_), .feature = (feature_), .help = (help_), __VA_ARGS__},

const struct option_row option_rows[OPTION_COUNT] = {
#define OPTION_BOOL(f, name, class, feature, dflt, help, ...) \
    ROW(f, name, class, feature, help, .kind = KIND_BOOL, .number = (dflt), __VA_ARGS__)
#define OPTION_INT(f, name, class, feature, dflt, lowest, highest, help, ...) \
    ROW(f, name, class, feature, help, .kind = KIND_INT, .number = (dflt), .min = (lowest), .max = (highest), __VA_ARGS__)
#define OPTION_BITS(f, name, class, feature, dflt, help, ...) \
    ROW(f, name, class, feature, help, .kind = KIND_BITS, .number = (dflt), .max = INT64_MAX, __VA_ARGS__)
#define OPTION_STRING(f, name, class, feature, dflt, arg, help, ...) \
    ROW(f, name, class, feature, help, .kind = KIND_STRING, .text = (dflt), .argument = (arg), __VA_ARGS__)
#define OPTION_MNEM(f, type, name, class, feature, dflt, words, help, ...) \
    ROW(f, name, class, feature, help, .kind = KIND_MNEM, .number = (dflt), .choices = (words), __VA_ARGS__)
#define OPTION_LIST(f, name, class, feature, arg, help, ...) \
    ROW(f, name, class, feature, help, .kind = KIND_LIST, .argument = (arg), __VA_ARGS__)
#include "settings/option_rows.h"
};

/* `hint` ends the sentence "TLS is not in this build ...". */
static const struct {
    const char *name, *hint;
    bool built;
} features[FEATURE_COUNT] = {
    [FEATURE_NONE] = {"-", "", true},
    [FEATURE_TLS] = {"TLS", "configure --with-openssl", WITH_TLS},
    [FEATURE_PAM] = {"PAM", "configure --with-pam", WITH_PAM},
    [FEATURE_KERBEROS] = {"Kerberos", "configure --with-kerberos5", WITH_KERBEROS},
    [FEATURE_GSASL] = {"GSSAPI", "configure --with-gsasl --with-kerberos5", WITH_GSASL},
    [FEATURE_DRAC] = {"DRAC", "configure --enable-drac", WITH_DRAC},
    [FEATURE_BULLDB] = {"bulldb", "configure --enable-bulldb", WITH_BULLDB},
    [FEATURE_APOP] = {"APOP", "configure --enable-apop --with-gdbm", WITH_APOP},
    [FEATURE_GMIME] = {"GMime", "install GMime and configure again", WITH_GMIME},
    [FEATURE_SSLPLUS] = {"SSL-Plus", "use tls-server-cert-file with OpenSSL", false},
};

static bool same_name(const char *name, const char *given, size_t length)
{
    return name != NULL && strncasecmp(name, given, length) == 0 && name[length] == '\0';
}

const struct option_row *options_find(const char *name, size_t length)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (same_name(option_rows[i].name, name, length) || same_name(option_rows[i].alias, name, length))
            return &option_rows[i];
    }
    return NULL;
}

const struct option_row *options_find_letter(char letter)
{
    for (size_t i = 0; letter != '\0' && letter != 'e' && letter != 'f' && i < OPTION_COUNT; i++) {
        if (option_rows[i].letter == letter)
            return &option_rows[i];
    }
    return NULL;
}

bool options_allowed(enum option_class restriction, enum option_source source)
{
    switch (source) {
    case OPTION_HOME:
        return restriction == CLASS_ANY;
    case OPTION_SPOOL:
        return restriction != CLASS_INIT;
    default:
        return true;
    }
}

bool options_feature_built(enum feature feature)
{
    return features[feature].built;
}

const char *options_feature_name(enum feature feature)
{
    return features[feature].name;
}

const char *options_feature_hint(enum feature feature)
{
    return features[feature].hint;
}

const char *options_kind_name(enum option_kind kind)
{
    static const char *const names[] = {"bool", "int", "int", "string", "mnemonic", "list"};

    return names[kind];
}
