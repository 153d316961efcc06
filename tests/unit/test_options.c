/* options, settings: the table is well formed; what each kind of value takes and refuses; who may set what; copies; combinations. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>
#include <unistd.h>

#include "common/log.h"
#include "common/maillock.h"
#include "settings/options.h"

static struct settings *settings;
static struct strbuf why;

static void begin(void)
{
    settings = settings_new();
    strbuf_init(&why, STRBUF_WHY_MAX);
}

static void end(void)
{
    log_set_sink(NULL, NULL);
    settings_free(&settings);
    strbuf_free(&why);
}

static const struct option_row *row_of(const char *name)
{
    const struct option_row *row = options_find(name, strlen(name));

    ck_assert_msg(row != NULL, "no option %s", name);
    return row;
}

static int set(const char *name, const char *value)
{
    return settings_set(settings, row_of(name), value, OPTION_FILE, "f:1", &why);
}

static const char *shown(const struct settings *s, const char *name)
{
    static struct strbuf out = STRBUF_INIT(1000);

    strbuf_reset(&out);
    settings_show(s, row_of(name), 0, &out);
    return out.data;
}

START_TEST(names_letters_and_texts_are_well_formed)
{
    char letters[128] = {0};

    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &option_rows[i];

        ck_assert_msg(i == 0 || strcasecmp(option_rows[i - 1].name, row->name) < 0, "%s is not sorted", row->name);
        ck_assert_ptr_eq(options_find(row->name, strlen(row->name)), row);
        ck_assert_msg(row->help[strlen(row->help) - 1] == '.', "help of %s", row->name);
        ck_assert_msg((row->kind == KIND_MNEM) == (row->choices != NULL), "%s", row->name);
        ck_assert_msg(row->kind == KIND_BOOL || row->kind == KIND_MNEM || row->argument != NULL, "%s has no argument name", row->name);
        if (row->letter != '\0' && row->letter != 'e')
            ck_assert_msg(letters[(int)row->letter]++ == 0, "-%c twice", row->letter);
        if (row->kind == KIND_INT)
            ck_assert_msg(row->min <= row->number && row->number <= row->max, "default of %s", row->name);
        if (row->kind == KIND_STRING && row->text != NULL && row->check != NULL)
            ck_assert_msg(row->check(row->text, &why) == 0, "default of %s: %s", row->name, why.data);
    }
}
END_TEST

/* The facts page's table: name, kind, switch, restriction. Ours follow. */
static const struct {
    const char *name;
    enum option_kind kind;
    char letter;
    enum option_class restriction;
} expected[] = {
    {"announce-expire", KIND_INT, 'e', CLASS_ANY}, {"announce-login-delay", KIND_INT, 'e', CLASS_ANY},
    {"auth-file", KIND_STRING, 0, CLASS_INIT}, {"auto-delete", KIND_BOOL, 0, CLASS_USER},
    {"bulldb-max-tries", KIND_INT, 0, CLASS_ANY}, {"bulldb-nonfatal", KIND_BOOL, 'B', CLASS_ANY},
    {"bulldir", KIND_STRING, 'b', CLASS_ANY}, {"cache-dir", KIND_STRING, 0, CLASS_USER},
    {"cache-name", KIND_STRING, 0, CLASS_USER}, {"check-hash-dir", KIND_BOOL, 0, CLASS_ANY},
    {"check-old-spool-loc", KIND_BOOL, 0, CLASS_ANY}, {"check-password-expired", KIND_BOOL, 0, CLASS_INIT},
    {"chunky-writes", KIND_MNEM, 0, CLASS_ANY}, {"clear-text-password", KIND_MNEM, 'p', CLASS_USER},
    {"config-file", KIND_STRING, 'f', CLASS_ANY}, {"debug", KIND_BOOL, 'd', CLASS_ANY},
    {"downcase-user", KIND_BOOL, 'c', CLASS_USER}, {"drac-host", KIND_STRING, 'D', CLASS_ANY},
    {"fast-update", KIND_BOOL, 'F', CLASS_ANY}, {"group-bulletins", KIND_BOOL, 0, CLASS_USER},
    {"group-no-server-mode", KIND_STRING, 0, CLASS_USER}, {"group-server-mode", KIND_STRING, 0, CLASS_USER},
    {"hash-spool", KIND_INT, 0, CLASS_USER}, {"home-dir-mail", KIND_STRING, 0, CLASS_USER},
    {"keep-temp-drop", KIND_BOOL, 0, CLASS_USER}, {"kerberos", KIND_BOOL, 'k', CLASS_USER},
    {"kerberos-keytab", KIND_STRING, 0, CLASS_INIT}, {"kerberos-replay-dir", KIND_STRING, 0, CLASS_INIT},
    {"kerberos-service", KIND_STRING, 'K', CLASS_USER}, {"log-facility", KIND_MNEM, 'y', CLASS_INIT},
    {"log-login", KIND_STRING, 0, CLASS_INIT}, {"mail-command", KIND_STRING, 0, CLASS_USER},
    {"mail-lock-check", KIND_INT, 'L', CLASS_ANY}, {"max-bulletins", KIND_INT, 0, CLASS_ANY},
    {"no-atomic-open", KIND_BOOL, 0, CLASS_USER}, {"nonauth-file", KIND_STRING, 0, CLASS_INIT},
    {"old-style-uid", KIND_BOOL, 0, CLASS_ANY}, {"reverse-lookup", KIND_BOOL, 'R', CLASS_USER},
    {"server-mode", KIND_BOOL, 'S', CLASS_ANY}, {"shy", KIND_BOOL, 0, CLASS_INIT},
    {"spool-dir", KIND_STRING, 0, CLASS_USER}, {"spool-options", KIND_BOOL, 'U', CLASS_USER},
    {"statistics", KIND_BOOL, 's', CLASS_ANY}, {"temp-dir", KIND_STRING, 0, CLASS_USER},
    {"temp-name", KIND_STRING, 0, CLASS_USER}, {"timeout", KIND_INT, 'T', CLASS_ANY},
    {"timing", KIND_BOOL, 0, CLASS_ANY}, {"tls-cipher-list", KIND_STRING, 0, CLASS_INIT},
    {"tls-identity-file", KIND_STRING, 0, CLASS_INIT}, {"tls-passphrase", KIND_STRING, 0, CLASS_INIT},
    {"tls-private-key-file", KIND_LIST, 0, CLASS_INIT}, {"tls-server-cert-file", KIND_LIST, 0, CLASS_INIT},
    {"tls-support", KIND_MNEM, 'l', CLASS_INIT}, {"tls-version", KIND_MNEM, 0, CLASS_INIT},
    {"tls-workarounds", KIND_BOOL, 0, CLASS_USER}, {"tls-options", KIND_BITS, 0, CLASS_USER},
    {"tracefile", KIND_STRING, 't', CLASS_ANY}, {"trim-domain", KIND_BOOL, 'C', CLASS_USER},
    {"update-on-abort", KIND_BOOL, 0, CLASS_ANY}, {"update-status-headers", KIND_BOOL, 0, CLASS_ANY},
    {"user-options", KIND_BOOL, 'u', CLASS_USER}, {"UW-kluge", KIND_BOOL, 0, CLASS_ANY},
    {"UW-kludge", KIND_BOOL, 0, CLASS_ANY}, {"block-uid", KIND_INT, 0, CLASS_INIT},
    {"passwd-file", KIND_LIST, 0, CLASS_INIT}, {"failure-delay", KIND_INT, 0, CLASS_INIT},
    {"sasl-mechanisms", KIND_STRING, 0, CLASS_INIT}, {"mail-locks", KIND_STRING, 0, CLASS_USER}, {"sandbox", KIND_MNEM, 0, CLASS_INIT},
    {"pam-service", KIND_STRING, 0, CLASS_INIT}, {"proxy-networks", KIND_LIST, 0, CLASS_INIT},
};

START_TEST(rows_are_those_of_the_manual)
{
    const struct option_row *row = row_of(expected[_i].name);

    ck_assert_int_eq(row->kind, expected[_i].kind);
    ck_assert_int_eq(row->letter, expected[_i].letter);
    ck_assert_int_eq(row->restriction, expected[_i].restriction);
    ck_assert_int_eq(row->letter_off, row->letter == 'R');
}
END_TEST

START_TEST(names_match_in_any_case_and_whole)
{
    ck_assert_ptr_eq(row_of("uw-KLUDGE"), row_of("UW-kluge"));
    ck_assert_ptr_eq(row_of("TimeOut"), &option_rows[OPTION_timeout]);
    ck_assert_ptr_null(options_find("timeou", 6));
    ck_assert_ptr_null(options_find("timeouts", 8));
    ck_assert_ptr_null(options_find("", 0));
    ck_assert_ptr_null(options_find_letter('\0'));
    ck_assert_ptr_null(options_find_letter('x'));
    ck_assert_ptr_eq(options_find_letter('T'), &option_rows[OPTION_timeout]);
}
END_TEST

/* value as taken, or how the error begins */
static const struct {
    const char *name, *value, *shown, *error;
} values[] = {
    {"debug", NULL, "true", NULL},
    {"debug", "TRUE", "true", NULL},
    {"debug", "1", "true", NULL},
    {"debug", "False", "false", NULL},
    {"debug", "0", "false", NULL},
    {"debug", "yes", NULL, "\"yes\" is no value for debug; it must be true, false, 1 or 0"},
    {"debug", "", NULL, "\"\" is no value for debug"},
    {"debug", "01", NULL, "\"01\" is no value"},
    {"timeout", "30", "30", NULL},
    {"timeout", "0x1e", "30", NULL},
    {"timeout", "036", "30", NULL},
    {"timeout", "86400", "86400", NULL},
    {"timeout", NULL, NULL, "timeout wants a value: set timeout = VALUE"},
    {"timeout", "0", NULL, "\"0\" is no value for timeout; it must be a number from 1 to 86400"},
    {"timeout", "86401", NULL, "\"86401\" is no value"},
    {"timeout", "-5", NULL, "\"-5\" is no value"},
    {"timeout", "12s", NULL, "\"12s\" is no value"},
    {"timeout", "0x", NULL, "\"0x\" is no value"},
    {"timeout", "09", NULL, "\"09\" is no value"},
    {"timeout", "", NULL, "\"\" is no value"},
    {"timeout", "+5", NULL, "\"+5\" is no value"},
    {"timeout", " 5", NULL, "\" 5\" is no value"},
    {"timeout", "--5", NULL, "\"--5\" is no value"},
    {"timeout", "99999999999999999999", NULL, "\"99999999999999999999\" is no value"},
    {"announce-expire", "-1", "-1", NULL},
    {"announce-expire", "-2", NULL, "\"-2\" is no value"},
    {"announce-expire", "-", NULL, "\"-\" is no value"},
    {"spool-dir", "/a b", "\"/a b\"", NULL},
    {"spool-dir", "", "\"\"", NULL},
    {"spool-dir", "mail", NULL, "spool-dir must be a path that starts with /; it is \"mail\""},
    {"spool-dir", "/a\nb", NULL, "the value of spool-dir contains a control character"},
    {"spool-dir", "/a\x7f", NULL, "the value of spool-dir contains a control character"},
    {"spool-dir", "/m\xc3\xa4il", "/m\xc3\xa4il", NULL},
    {"home-dir-mail", "mail/inbox", "mail/inbox", NULL},
    {"home-dir-mail", "a..b/..c", "a..b/..c", NULL},
    {"home-dir-mail", "/etc/passwd", NULL, "home-dir-mail must not start with /"},
    {"home-dir-mail", "../x", NULL, "home-dir-mail must not lead out"},
    {"home-dir-mail", "a/../../x", NULL, "home-dir-mail must not lead out"},
    {"home-dir-mail", "a/..", NULL, "home-dir-mail must not lead out"},
    {"temp-name", "x%s", "x%s", NULL},
    {"temp-name", "pop", NULL, "temp-name must contain %s"},
    {"temp-name", "%s%s", NULL, "temp-name must contain %s"},
    {"temp-name", "%n%s", NULL, "temp-name must contain %s"},
    {"temp-name", "%", NULL, "temp-name must contain %s"},
    {"cache-name", "a/%s", NULL, "cache-name must be a name without /"},
    {"log-login", "%0 %1 %2 %3", "\"%0 %1 %2 %3\"", NULL},
    {"log-login", "", "\"\"", NULL},
    {"log-login", "a \"q\" \\ `'", "\"a \\\"q\\\" \\\\ `'\"", NULL},
    {"log-login", "%0%0%0%0%0", NULL, "log-login may contain at most four"},
    {"log-login", "%s", NULL, "log-login may contain %0"},
    {"log-login", "%4", NULL, "log-login may contain %0"},
    {"log-login", "100%", NULL, "log-login may contain %0"},
    {"group-server-mode", "two words", NULL, "group-server-mode must be one word"},
    {"hash-spool", "2", "2", NULL},
    {"hash-spool", "3", NULL, "\"3\" is no value for hash-spool; it must be a number from 0 to 2"},
    {"log-facility", "LOCAL3", "local3", NULL},
    {"log-facility", "daemon", NULL, "\"daemon\" is no value for log-facility; it must be one of mail, local0, "},
    {"uidl-format", "MD5", "md5", NULL},
    {"uidl-format", "md", NULL, "\"md\" is no value for uidl-format; it must be one of qpopper, md5, dovecot"},
    {"uidl-format", NULL, NULL, "uidl-format wants a value"},
    {"sandbox", "off", "off", NULL},
    {"chunky-writes", "default", "always", NULL},
    {"chunky-writes", "never", "never", NULL},
    {"clear-text-password", "local", "local", NULL},
    {"tls-support", "none", "none", NULL},
    {"tls-support", "default", "none", NULL},
    {"tls-support", "on", NULL, "\"on\" is no value for tls-support; it must be one of none, default, stls, alternate-port"},
    {"tls-identity-file", "/x", NULL, "tls-identity-file needs SSL-Plus, which is not built in: "},
    {"pam-service", "pop3-x_1.y", "pop3-x_1.y", NULL},
    {"pam-service", "..", NULL, "pam-service must be the name of a file in /etc/pam.d"},
    {"pam-service", "POP3", NULL, "pam-service must be the name of a file in /etc/pam.d"},
    {"pam-service", "x/pop3", NULL, "pam-service must be the name of a file in /etc/pam.d"},
    {"proxy-networks", "192.0.2.1", "192.0.2.1", NULL},
    {"proxy-networks", "10.0.0.0/8,2001:db8::/32,::1", "10.0.0.0/8,2001:db8::/32,::1", NULL},
    {"proxy-networks", "10.0.0.1/32,::1/128", "10.0.0.1/32,::1/128", NULL},
    {"proxy-networks", "10.0.0.0/33", NULL, "proxy-networks must be addresses or networks"},
    {"proxy-networks", "::/129", NULL, "proxy-networks must be addresses or networks"},
    {"proxy-networks", "10.0.0.0/", NULL, "proxy-networks must be addresses or networks"},
    {"proxy-networks", "10.0.0.0/-1", NULL, "proxy-networks must be addresses or networks"},
    {"proxy-networks", "10.0.0.0/8,", NULL, "proxy-networks must be addresses or networks"},
    {"proxy-networks", "proxy.example", NULL, "proxy-networks must be addresses or networks"},
    {"proxy-networks", "10.0.0.0/00000000008", NULL, "proxy-networks must be addresses or networks"},
    {"mail-locks", "fcntl", "fcntl", NULL},
    {"mail-locks", "flock,lockf", NULL, "mail-locks must be one or more of dotlock, fcntl and flock, separated by commas; it is \"flock,lockf\""},
    {"mail-locks", "fcntl,", NULL, "mail-locks must be one or more of dotlock"},
    {"sasl-mechanisms", "all", "all", NULL},
    {"sasl-mechanisms", "plain, Login", "\"plain, Login\"", NULL},
    {"sasl-mechanisms", "PLAIN,SCRAM-SHA", NULL, "sasl-mechanisms must be all, or one or more of SCRAM-SHA-256-PLUS, SCRAM-SHA-256, SCRAM-SHA-1-PLUS, "
     "SCRAM-SHA-1, CRAM-MD5, GSSAPI, PLAIN and LOGIN, separated by commas; it is \"PLAIN,SCRAM-SHA\""},
    {"sasl-mechanisms", "PLAIN LOGIN", "\"PLAIN LOGIN\"", NULL},
    {"sasl-mechanisms", "", "\"\"", NULL},
    {"sasl-mechanisms", "PLAIN,,LOGIN", NULL, "sasl-mechanisms must be all, or"},
    {"sasl-mechanisms", "PLAIN,", NULL, "sasl-mechanisms must be all, or"},
    {"sasl-mechanisms", " ", NULL, "sasl-mechanisms must be all, or"},
    {"sasl-mechanisms", "all,PLAIN", NULL, "sasl-mechanisms must be all, or"},
};

START_TEST(values_are_taken_or_refused)
{
    const struct option_row *row = row_of(values[_i].name);
    bool built = row->kind == KIND_MNEM || options_feature_built(row->feature);
    int result = set(values[_i].name, values[_i].value);

    if (!built && row->feature != FEATURE_SSLPLUS) {
        ck_assert_int_eq(result, -1);
        ck_assert_ptr_nonnull(strstr(why.data, "which is not built in"));
        /* The row's own judgement all the same. */
        ck_assert(row->check == NULL || (row->check(values[_i].value, &why) == 0) == (values[_i].error == NULL));
    } else if (values[_i].error == NULL) {
        ck_assert_msg(result == 0, "%s = %s: %s", values[_i].name, values[_i].value, why.data);
        ck_assert_str_eq(shown(settings, values[_i].name), values[_i].shown);
        ck_assert_int_eq(settings->origin[row_of(values[_i].name) - option_rows].source, OPTION_FILE);
    } else {
        ck_assert_msg(result == -1, "%s = %s was taken", values[_i].name, values[_i].value);
        ck_assert_msg(strncmp(why.data, values[_i].error, strlen(values[_i].error)) == 0, "%s", why.data);
        ck_assert_int_eq(settings->origin[row_of(values[_i].name) - option_rows].source, OPTION_DEFAULT);
    }
}
END_TEST

START_TEST(strings_are_bounded)
{
    char text[OPTION_VALUE_MAX + 2];

    memset(text, 'a', sizeof text);
    text[0] = '/';
    text[OPTION_VALUE_MAX + 1] = '\0';
    ck_assert_int_eq(set("spool-dir", text), -1);
    ck_assert_str_eq(why.data, "the value of spool-dir is longer than 255 bytes");
    text[OPTION_VALUE_MAX] = '\0';
    ck_assert_int_eq(set("spool-dir", text), 0);
    ck_assert_str_eq(settings->spool_dir, text);
}
END_TEST

START_TEST(wrong_words_are_escaped_and_cut)
{
    char text[2000];

    memset(text, 'x', sizeof text);
    memcpy(text, "a\n\x1b\"", 4);
    text[sizeof text - 1] = '\0';
    ck_assert_int_eq(set("timeout", text), -1);
    ck_assert_int_eq(strncmp(why.data, "\"a\\x0a\\x1b\\x22xxx", 17), 0);
    ck_assert_uint_lt(why.len, 200);
    ck_assert_ptr_nonnull(strstr(why.data, "a number from 1 to 86400"));
}
END_TEST

START_TEST(lists_grow_and_can_be_emptied)
{
    ck_assert_int_eq(set("passwd-file", "/a"), 0);
    ck_assert_int_eq(set("passwd-file", "/b"), 0);
    ck_assert_uint_eq(settings->passwd_file.count, 2);
    ck_assert_str_eq(settings->passwd_file.item[0], "/a");
    ck_assert_str_eq(settings->passwd_file.item[1], "/b");
    ck_assert_int_eq(set("passwd-file", ""), 0);
    ck_assert_uint_eq(settings->passwd_file.count, 0);
    ck_assert_str_eq(shown(settings, "passwd-file"), "\"\"");
}
END_TEST

START_TEST(only_bool_can_be_reset)
{
    ck_assert_int_eq(settings_reset(settings, row_of("reverse-lookup"), OPTION_FILE, "f:1", &why), 0);
    ck_assert(!settings->reverse_lookup);
    ck_assert_int_eq(settings_reset(settings, row_of("timeout"), OPTION_FILE, "f:1", &why), -1);
    ck_assert_str_eq(why.data, "timeout cannot be reset, because it is not true or false (it is of type int): set timeout = VALUE");
}
END_TEST

static const struct {
    const char *name, *digit, *shown, *error;
} digits[] = {
    {"clear-text-password", "0", "default", NULL},
    {"clear-text-password", "2", "always", NULL},
    {"clear-text-password", "3", "local", NULL},
    {"clear-text-password", "5", NULL, "\"5\" is no value for clear-text-password; it must be one of 0 (default), 1 (never), 2 (always), 3 (local), 4 (tls)"},
    {"clear-text-password", "", NULL, "\"\" is no value"},
    {"clear-text-password", "22", NULL, "\"22\" is no value"},
    {"clear-text-password", "never", NULL, "\"never\" is no value"},
    {"tls-support", "0", "none", NULL},
    {"tls-support", "3", NULL, "\"3\" is no value for tls-support; it must be one of 0 (none), 1 (stls), 2 (alternate-port)"},
};

START_TEST(switches_take_digits)
{
    int result = settings_set_digit(settings, row_of(digits[_i].name), digits[_i].digit, "switch", &why);

    ck_assert_int_eq(result, digits[_i].error == NULL ? 0 : -1);
    if (digits[_i].error == NULL)
        ck_assert_str_eq(shown(settings, digits[_i].name), digits[_i].shown);
    else
        ck_assert_msg(strncmp(why.data, digits[_i].error, strlen(digits[_i].error)) == 0, "%s", why.data);
}
END_TEST

/* A value that each kind accepts. */
static const char *some_value(const struct option_row *row)
{
    if (row == &option_rows[OPTION_mail_locks])
        return "fcntl";
    if (row == &option_rows[OPTION_sasl_mechanisms])
        return "PLAIN";
    switch (row->kind) {
    case KIND_INT:
    case KIND_BITS:
        return "1";
    case KIND_BOOL:
        return "true";
    case KIND_MNEM:
        return row->choices[0].name;
    default:
        return row->check == NULL ? "x" : row->check("x", &why) == 0 ? "x" : row->check("/x", &why) == 0 ? "/x" : row->check("x%s", &why) == 0 ? "x%s" : "::1";
    }
}

START_TEST(each_row_obeys_restriction_and_feature)
{
    const struct option_row *row = &option_rows[_i];
    const char *value = some_value(row);

    for (int source = OPTION_SWITCH; source <= OPTION_SPOOL; source++) {
        bool allowed = source <= OPTION_FILE || row->restriction == CLASS_ANY || (source == OPTION_SPOOL && row->restriction == CLASS_USER);
        bool built = row->kind == KIND_MNEM || options_feature_built(row->feature);
        int result = settings_set(settings, row, value, source, "x", &why);

        ck_assert_msg(result == (allowed && built ? 0 : -1), "%s = %s from %d: %s", row->name, value, source, why.data);
        if (!allowed)
            ck_assert_ptr_nonnull(strstr(why.data, "may not be set in the option file of a user"));
        else if (!built)
            ck_assert_ptr_nonnull(strstr(why.data, "which is not built in"));
        else
            ck_assert_int_eq((int)settings->origin[_i].source, source);
    }
}
END_TEST

START_TEST(what_is_not_built_may_be_turned_off)
{
    const struct option_row *row = &option_rows[_i];

    if (row->kind != KIND_BOOL)
        return;
    ck_assert_int_eq(settings_set(settings, row, "False", OPTION_FILE, "x", &why), 0);
    ck_assert_int_eq(settings_set(settings, row, "0", OPTION_FILE, "x", &why), 0);
    ck_assert_int_eq(settings_reset(settings, row, OPTION_SWITCH, "x", &why), 0);
    ck_assert_str_eq(shown(settings, row->name), "false");
}
END_TEST

START_TEST(words_may_need_a_feature)
{
    if (!options_feature_built(FEATURE_TLS)) {
        ck_assert_int_eq(set("tls-support", "stls"), -1);
        ck_assert_str_eq(why.data, "tls-support = stls needs TLS, which is not built in: configure --with-openssl");
        ck_assert_int_eq(set("clear-text-password", "ssl"), -1);
        ck_assert_ptr_nonnull(strstr(why.data, "needs TLS"));
        ck_assert_int_eq(set("tls-version", "TLSv1.3"), -1);
    } else {
        ck_assert_int_eq(set("tls-support", "stls"), 0);
        ck_assert_int_eq(set("tls-version", "TLSv1.3"), 0);
    }
    ck_assert_int_eq(set("clear-text-password", "never"), options_feature_built(FEATURE_APOP) ? 0 : -1);
}
END_TEST

static char logged[500];

static void keep_record(void *context, int priority, const char *text, size_t length)
{
    (void)context;
    snprintf(logged, sizeof logged, "%d %.*s", priority, (int)length, text);
}

START_TEST(names_of_old_tls_mean_default_and_warn)
{
    log_set_sink(keep_record, NULL);
    ck_assert_int_eq(set("tls-version", "sslv3"), 0);
    ck_assert_int_eq(settings->tls_version, TLS_VERSION_DEFAULT);
    ck_assert_str_eq(logged, "4 f:1: tls-version = SSLv3 is obsolete and counts as default");
}
END_TEST

START_TEST(a_clone_is_independent)
{
    struct settings *copy;

    ck_assert_int_eq(set("spool-dir", "/one"), 0);
    ck_assert_int_eq(set("passwd-file", "/a"), 0);
    copy = settings_clone(settings);
    ck_assert_int_eq(set("spool-dir", "/two"), 0);
    ck_assert_int_eq(set("passwd-file", "/b"), 0);
    ck_assert_int_eq(set("timeout", "5"), 0);
    ck_assert_str_eq(copy->spool_dir, "/one");
    ck_assert_uint_eq(copy->passwd_file.count, 1);
    ck_assert_int_ne(copy->timeout, 5);
    ck_assert_str_eq(copy->origin[OPTION_spool_dir].where, "f:1");
    settings_free(&copy);
    ck_assert_ptr_null(copy);
    settings_free(&copy);
}
END_TEST

START_TEST(tracefile_implies_debug_and_reset_debug_ends_it)
{
    ck_assert_int_eq(set("tracefile", "/tmp/x"), 0);
    ck_assert(settings->debug);
    ck_assert_int_eq(settings_reset(settings, row_of("debug"), OPTION_FILE, "f:2", &why), 0);
    ck_assert_ptr_null(settings->tracefile);
}
END_TEST

START_TEST(log_options_act_at_once_only_when_asked)
{
    ck_assert_int_eq(set("debug", "true"), 0);
    ck_assert(!log_debugging());
    settings->log_at_once = true;
    ck_assert_int_eq(set("debug", "true"), 0);
    ck_assert(log_debugging());
    ck_assert_int_eq(set("tracefile", "/nonexistent/trace"), -1);
    ck_assert_ptr_null(settings->tracefile);
    ck_assert_int_eq(settings_reset(settings, row_of("debug"), OPTION_FILE, "f:2", &why), 0);
    ck_assert(!log_debugging());
}
END_TEST

START_TEST(a_users_trace_leaves_the_sites_alone)
{
    char dir[] = "/tmp/popper-options.XXXXXX", path[80];
    int fds[3];

    ck_assert_ptr_nonnull(mkdtemp(dir));
    settings->log_at_once = true;
    snprintf(path, sizeof path, "%s/site", dir);
    ck_assert_int_eq(set("tracefile", path), 0);
    snprintf(path, sizeof path, "%s/own", dir);
    ck_assert_int_eq(settings_set(settings, row_of("tracefile"), path, OPTION_HOME, "h:1", &why), 0);
    ck_assert_uint_eq(log_descriptors(fds), 2);
    ck_assert_int_eq(settings_reset(settings, row_of("debug"), OPTION_HOME, "h:2", &why), 0);
    ck_assert_uint_eq(log_descriptors(fds), 1);
    ck_assert(log_tracing());
    ck_assert_int_eq(settings_set(settings, row_of("tracefile"), path, OPTION_SPOOL, "s:1", &why), 0);
    ck_assert_uint_eq(log_descriptors(fds), 2);
    ck_assert_int_eq(settings_set(settings, row_of("tracefile"), "", OPTION_SPOOL, "s:2", &why), 0);
    ck_assert_uint_eq(log_descriptors(fds), 1);
    ck_assert(log_tracing());
    log_trace_close();
    unlink(path);
    snprintf(path, sizeof path, "%s/site", dir);
    unlink(path);
    rmdir(dir);
}
END_TEST

/* A default that nobody should change without noticing: how long a stranger may keep a process. */
START_TEST(stranger_has_a_minute_by_default)
{
    ck_assert_int_eq(settings->preauth_timeout, 60);
    ck_assert_str_eq(shown(settings, "preauth-timeout"), "60");
    ck_assert_int_eq(row_of("preauth-timeout")->number, 60);
}
END_TEST

START_TEST(verify_accepts_defaults_and_parses_locks)
{
    ck_assert_msg(settings_verify(settings, &why) == 0, "%s", why.data);
    ck_assert_uint_eq(settings->mail_lock_mask, MAILLOCK_DOTLOCK | MAILLOCK_FCNTL);
    ck_assert_int_eq(set("mail-locks", "flock, fcntl"), 0);
    ck_assert_int_eq(settings_verify(settings, &why), 0);
    ck_assert_uint_eq(settings->mail_lock_mask, MAILLOCK_FLOCK | MAILLOCK_FCNTL);
}
END_TEST

static const struct {
    const char *name, *value, *error;
} bad_combinations[] = {
    {"mail-locks", "", "f:1: mail-locks names no lock"},
    {"spool-dir", "", "f:1: neither spool-dir nor home-dir-mail is set"},
    {"temp-name", "", "f:1: temp-name is empty"},
    {"cache-name", "", "f:1: cache-name is empty"},
    {"cache-name", ".%s.pop", "f:1: temp-name and cache-name are the same"},
};

START_TEST(verify_refuses_what_cannot_work)
{
    ck_assert_int_eq(set(bad_combinations[_i].name, bad_combinations[_i].value), 0);
    ck_assert_int_eq(settings_verify(settings, &why), -1);
    ck_assert_msg(strncmp(why.data, bad_combinations[_i].error, strlen(bad_combinations[_i].error)) == 0, "%s", why.data);
}
END_TEST

START_TEST(verify_looks_at_certificates_and_keys)
{
    if (!options_feature_built(FEATURE_TLS))
        return;
    ck_assert_int_eq(set("tls-support", "stls"), 0);
    ck_assert_int_eq(settings_verify(settings, &why), -1);
    ck_assert_msg(strstr(why.data, "tls-server-cert-file does not say where") != NULL, "%s", why.data);
    ck_assert_int_eq(set("tls-server-cert-file", "/c"), 0);
    ck_assert_int_eq(set("tls-private-key-file", "/k"), 0);
    ck_assert_int_eq(settings_verify(settings, &why), 0);
    ck_assert_int_eq(set("tls-private-key-file", "/k2"), 0);
    ck_assert_int_eq(settings_verify(settings, &why), -1);
    ck_assert_msg(strncmp(why.data, "f:1: tls-private-key-file names more files", 42) == 0, "%s", why.data);
}
END_TEST

static void keep_report(void *context, const char *text)
{
    strbuf_addf(context, "%s\n", text);
}

START_TEST(verify_says_all_and_where)
{
    struct strbuf said = STRBUF_INIT(1000);

    ck_assert_int_eq(settings_set(settings, row_of("mail-locks"), "", OPTION_FILE, "conf:3", &why), 0);
    ck_assert_int_eq(settings_set(settings, row_of("cache-name"), ".%s.pop", OPTION_FILE, "conf:5", &why), 0);
    ck_assert_int_eq(settings_set(settings, row_of("auto-delete"), "1", OPTION_FILE, "conf:6", &why), 0);
    ck_assert_uint_eq(settings_verify_all(settings, keep_report, &said), 2);
    ck_assert_str_eq(said.data, "conf:3: mail-locks names no lock; it must name at least one of dotlock, fcntl and flock\n"
                                "conf:5: temp-name and cache-name are the same, \".%s.pop\"\n");
    strbuf_free(&said);
}
END_TEST

START_TEST(verify_derives_defaults_from_others)
{
    ck_assert_int_eq(set("old-style-uid", "1"), 0);
    ck_assert_int_eq(set("auto-delete", "1"), 0);
    ck_assert_int_eq(settings_verify(settings, &why), 0);
    ck_assert_int_eq(settings->uidl_format, UIDL_MD5);
    ck_assert_int_eq(settings->announce_expire, 0);
    ck_assert_int_eq(set("uidl-format", "dovecot"), 0);
    ck_assert_int_eq(set("announce-expire", "7"), 0);
    ck_assert_int_eq(settings_verify(settings, &why), 0);
    ck_assert_int_eq(settings->uidl_format, UIDL_DOVECOT);
    ck_assert_int_eq(settings->announce_expire, 7);
}
END_TEST

#define N(table) ((int)(sizeof(table) / sizeof(table)[0]))

int main(void)
{
    Suite *suite = suite_create("options");
    TCase *tc = tcase_create("options");

    tcase_add_checked_fixture(tc, begin, end);
    tcase_add_test(tc, names_letters_and_texts_are_well_formed);
    tcase_add_loop_test(tc, rows_are_those_of_the_manual, 0, N(expected));
    tcase_add_test(tc, names_match_in_any_case_and_whole);
    tcase_add_loop_test(tc, values_are_taken_or_refused, 0, N(values));
    tcase_add_test(tc, strings_are_bounded);
    tcase_add_test(tc, wrong_words_are_escaped_and_cut);
    tcase_add_test(tc, lists_grow_and_can_be_emptied);
    tcase_add_test(tc, only_bool_can_be_reset);
    tcase_add_loop_test(tc, switches_take_digits, 0, N(digits));
    tcase_add_loop_test(tc, each_row_obeys_restriction_and_feature, 0, OPTION_COUNT);
    tcase_add_loop_test(tc, what_is_not_built_may_be_turned_off, 0, OPTION_COUNT);
    tcase_add_test(tc, words_may_need_a_feature);
    tcase_add_test(tc, names_of_old_tls_mean_default_and_warn);
    tcase_add_test(tc, a_clone_is_independent);
    tcase_add_test(tc, tracefile_implies_debug_and_reset_debug_ends_it);
    tcase_add_test(tc, log_options_act_at_once_only_when_asked);
    tcase_add_test(tc, a_users_trace_leaves_the_sites_alone);
    tcase_add_test(tc, stranger_has_a_minute_by_default);
    tcase_add_test(tc, verify_accepts_defaults_and_parses_locks);
    tcase_add_loop_test(tc, verify_refuses_what_cannot_work, 0, N(bad_combinations));
    tcase_add_test(tc, verify_looks_at_certificates_and_keys);
    tcase_add_test(tc, verify_says_all_and_where);
    tcase_add_test(tc, verify_derives_defaults_from_others);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
