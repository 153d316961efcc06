/*
 * options: the one table of run-time options, and the settings that it describes.
 *
 * The rows stand in settings/option_rows.h; a row makes the field in struct settings, the id, the parser's knowledge, the
 * restriction, the help and the documentation. There is no second list. This room reads no files and no argv (that is
 * config), and never decides what an option means for mail.
 */
#ifndef SETTINGS_OPTIONS_H
#define SETTINGS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/strbuf.h"

#define OPTION_VALUE_MAX 255 /* bytes of a string value (the manual's ABNF) */

/* What a build may lack. options_feature_built says whether this build has it. */
enum feature {
    FEATURE_NONE, /* always there */
    FEATURE_TLS,
    FEATURE_PAM,
    FEATURE_KERBEROS,
    FEATURE_GSASL, /* AUTH GSSAPI */
    FEATURE_DRAC,
    FEATURE_BULLDB,
    FEATURE_APOP, /* the database of APOP and SCRAM secrets */
    FEATURE_GMIME,
    FEATURE_SSLPLUS, /* never built: a library of Qpopper's time */
    FEATURE_COUNT
};

/* Where a value comes from, in the order in which they are read. */
enum option_source {
    OPTION_DEFAULT,
    OPTION_SWITCH, /* the command line */
    OPTION_FILE,   /* a file named by -f or, from there, by config-file */
    OPTION_HOME,   /* ~/.qpopper-options */
    OPTION_SPOOL   /* SPOOL/.USER.qpopper-options */
};

/* Who may set an option (the restriction column of the manual). */
enum option_class {
    CLASS_ANY,  /* everywhere */
    CLASS_USER, /* not in the home file */
    CLASS_INIT  /* neither in the home file nor in the spool file */
};

enum option_kind { KIND_BOOL, KIND_INT, KIND_BITS, KIND_STRING, KIND_MNEM, KIND_LIST };

/* Strings that were given one after the other. NULL-free; item is owned by the settings. */
struct option_list {
    char **item;
    size_t count;
};

/* The words of mnemonic options. Aliases share a value; the first of them is what config_print says. */
struct option_choice {
    const char *name;
    int value;
    int digit;            /* as the switch takes it (-l 2), -1 none */
    enum feature feature; /* without it the word is refused, as it is without the feature of the row */
    bool obsolete;        /* accepted with a warning in the log */
};

enum clear_text {
    CLEAR_TEXT_DEFAULT, /* unless the user is in the secrets database */
    CLEAR_TEXT_NEVER,
    CLEAR_TEXT_ALWAYS,
    CLEAR_TEXT_LOCAL, /* from 127/8 and ::1 */
    CLEAR_TEXT_TLS    /* inside TLS */
};
enum tls_support { TLS_SUPPORT_NONE, TLS_SUPPORT_STLS, TLS_SUPPORT_ALTERNATE_PORT };
enum tls_version { TLS_VERSION_DEFAULT, TLS_VERSION_1_2, TLS_VERSION_1_3, TLS_VERSION_ALL };
enum chunky_writes { CHUNKY_ALWAYS, CHUNKY_NEVER, CHUNKY_TLS };
enum uidl_format { UIDL_QPOPPER, UIDL_MD5, UIDL_DOVECOT, UIDL_UW }; /* see mail/uidl.h */
enum sandbox_mode { SANDBOX_MODE_ENFORCE, SANDBOX_MODE_LOG, SANDBOX_MODE_OFF };

/* OPTION_auto_delete, ...: the place of an option in the table. */
enum option_id {
#define OPTION_BOOL(field, ...) OPTION_##field,
#define OPTION_INT(field, ...) OPTION_##field,
#define OPTION_BITS(field, ...) OPTION_##field,
#define OPTION_STRING(field, ...) OPTION_##field,
#define OPTION_MNEM(field, ...) OPTION_##field,
#define OPTION_LIST(field, ...) OPTION_##field,
#include "settings/option_rows.h"
    OPTION_COUNT
};

/* How an option got its value. */
struct option_origin {
    enum option_source source;
    char *where; /* "/etc/popper.conf:12", "switch -s"; NULL for a default */
};

/* Every option under its name with '_' for '-'. Strings are NULL when not set. Read by everybody, written only here and by config. */
struct settings {
#define OPTION_BOOL(field, ...) bool field;
#define OPTION_INT(field, ...) int field;
#define OPTION_BITS(field, ...) uint64_t field;
#define OPTION_STRING(field, ...) char *field;
#define OPTION_MNEM(field, type, ...) type field;
#define OPTION_LIST(field, ...) struct option_list field;
#include "settings/option_rows.h"

    unsigned mail_lock_mask; /* mail_locks as maillock.h wants it; filled by settings_verify */
    unsigned sasl_barred;    /* what sasl_mechanisms does not name, by saslname_barred; filled by settings_verify */
    bool log_at_once;        /* debug, tracefile and log-facility act on log the moment they are set (see settings_set) */
    struct option_origin origin[OPTION_COUNT];
};

/* One row of the table. */
struct option_row {
    const char *name;
    const char *alias; /* another spelling of the name, or NULL */
    char letter;       /* of the switch, 0 none; 'e' takes name=value,... */
    bool letter_off;   /* the switch turns the option off (-R) */
    const char *extension; /* the name inside -e, or NULL */
    enum option_kind kind;
    size_t offset; /* of the field in struct settings */
    enum option_class restriction;
    enum feature feature; /* without it only false, or the default of a mnemonic option, may be set */
    int64_t number; /* default of bool, int, bits and mnemonic options */
    int64_t min, max;
    const char *text; /* default of a string option, NULL none */
    const struct option_choice *choices; /* of a mnemonic option, ended by a NULL name */
    int (*check)(const char *value, struct strbuf *why); /* 0, or -1 and why ("must be ..."); strings and lists, never empty */
    const char *argument; /* what the value is called in the documentation */
    const char *help;     /* plain sentences; the first one stands alone in popper -h */
};

extern const struct option_row option_rows[OPTION_COUNT];

/* The row of that name or alias, any case; NULL when there is none. */
const struct option_row *options_find(const char *name, size_t length);

/* The first row that the switch of this letter sets; NULL when there is none (also for e, f, h and v, which config knows). */
const struct option_row *options_find_letter(char letter);

/* Whether an option of this class may be set from there. */
bool options_allowed(enum option_class restriction, enum option_source source);

bool options_feature_built(enum feature feature);
const char *options_feature_name(enum feature feature); /* "TLS", ... for people and for --list-options; "-" for FEATURE_NONE */
const char *options_feature_hint(enum feature feature); /* what to do to get it */
const char *options_kind_name(enum option_kind kind);   /* "bool", "int", "string", "mnemonic", "list" */

/* Defaults of this build. Never NULL; freed by settings_free. */
struct settings *settings_new(void);

/* A deep copy, on which the files of one user may work. log_at_once is copied too. */
struct settings *settings_clone(const struct settings *s);
void settings_free(struct settings **s);

/* Sets one option from its text as a config file has it (already unquoted; NULL: `set NAME` alone). Checks the source, the
   feature and the value. where as in option_origin. Lists grow, the empty string empties them and unsets strings.
   With log_at_once, debug, tracefile and log-facility change what log does. 0; or -1 and why (which does not name the place). */
int settings_set(struct settings *s, const struct option_row *row, const char *value, enum option_source source,
                 const char *where, struct strbuf *why);

/* `reset NAME`, and switches that turn something off. Only for bool. */
int settings_reset(struct settings *s, const struct option_row *row, enum option_source source, const char *where,
                   struct strbuf *why);

/* Sets a mnemonic option by the digit that its switch takes. */
int settings_set_digit(struct settings *s, const struct option_row *row, const char *digit, const char *where,
                       struct strbuf *why);

/* The effective value as a config file has it, quoted where needed (lists: item n), appended to out. */
void settings_show(const struct settings *s, const struct option_row *row, size_t n, struct strbuf *out);

/* What no single option shows: parses strings into their final form and checks combinations. To be called once all
   sources are read, and again after those of a user. 0, or -1 and why. */
int settings_verify(struct settings *s, struct strbuf *why);

/* The same, and says all that is wrong: how much that was. text: one sentence, with file and line where they are known. */
typedef void settings_report(void *context, const char *text);
size_t settings_verify_all(struct settings *s, settings_report *report, void *context);

#endif
