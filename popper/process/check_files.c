/*
 * check_files: the part of --check that looks at configuration files, lists of users, trace file, and at the programs and modules
 * that the settings need. See check.h. Nothing is opened but what the server opens, and nothing is made.
 */
#include "process/check_parts.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/auth_kerberos.h"
#include "auth/drac.h"
#include "auth/sasl_gssapi.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/module.h"
#include "process/mangler.h"
#include "process/privsep.h"
#include "process/saslticket.h"
#include "settings/config.h"

/* ---- configuration files: what anybody can write to them he does as root. Of what is no file, such as /dev/null, nobody is
   told to change the mode. */

static void check_config(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        check_say(CHECK_ERROR, "%s: %s", path, strerror(errno));
    else if (st.st_uid != 0 && st.st_uid != geteuid())
        check_say(CHECK_ERROR, "%s belongs to uid %ld, who rules this server by it; chown root %s", path, (long)st.st_uid,
                  path);
    else if (S_ISREG(st.st_mode) && (st.st_mode & S_IWOTH))
        check_say(CHECK_ERROR, "%s can be written to by everybody (mode %04o), who rule this server by it; chmod o-w %s",
                  path, (unsigned)(st.st_mode & 07777), path);
    else if ((st.st_mode & S_IWGRP) && st.st_gid != 0)
        check_say(CHECK_WARNING, "%s can be written to by group %ld (mode %04o), whose members rule this server by it; "
                  "chmod g-w %s", path, (long)st.st_gid, (unsigned)(st.st_mode & 07777), path);
    else
        check_say(CHECK_OK, "configuration file %s", path);
}

/* In the order in which they were read, each once; as many as are read at all. */
static char *configs[CONFIG_FILES_MAX];
static size_t config_count;

void check_opened_config(void *context, const char *path)
{
    (void)context;
    for (size_t i = 0; i < config_count; i++)
        if (strcmp(configs[i], path) == 0)
            return;
    if (config_count < CONFIG_FILES_MAX)
        configs[config_count++] = mem_strdup(path);
}

static void check_configs(void)
{
    for (size_t i = 0; i < config_count; i++)
        check_config(configs[i]);
    if (config_count == 0)
        check_say(CHECK_OK, "no configuration file is named (-f); the defaults and the command line count");
}

/* ---- files with users */

/* What keeps the server from using them it says itself when somebody is looked up (check_stores); here is what it bears. */
static void check_secrecy(const char *option, const char *path, mode_t unwanted, const char *what)
{
    struct stat st;

    if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & unwanted))
        check_say(CHECK_WARNING, "%s %s: %s (mode %04o); chmod o-rw %s", option, path, what,
                  (unsigned)(st.st_mode & 07777), path);
}

static void check_user_files(const struct settings *s)
{
    for (size_t i = 0; i < s->passwd_file.count; i++)
        check_secrecy("passwd-file", s->passwd_file.item[i], S_IROTH, "everybody can read the hashes of its passwords");
    if (s->nonauth_file)
        check_secrecy("nonauth-file", s->nonauth_file, S_IWOTH, "everybody can take himself off it");
}

/* ---- where records go */

/* As log_trace_open would, but nothing is made. */
static void check_trace(const char *path)
{
    const struct file_rules rules = { .owner = geteuid(), .root_may_own = true };
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct stat st;
    char *dir, *name;
    int fd = file_open(AT_FDCWD, path, path, O_WRONLY | O_APPEND, 0, &rules, &st, &why);

    file_split(path, &dir, &name);
    if (fd >= 0 && (st.st_mode & S_IROTH))
        check_say(CHECK_WARNING, "tracefile %s can be read by everybody, and holds who gets mail from whom; chmod o-r %s",
                  path, path);
    else if (fd >= 0 || (errno == ENOENT && access(dir, W_OK | X_OK) == 0))
        check_say(CHECK_OK, "tracefile %s; it grows with each command and reply: not for always", path);
    else if (errno == ENOENT || errno == EACCES)
        check_say(CHECK_ERROR, "tracefile %s cannot be made: %s; then nobody is served", path, strerror(errno));
    else
        check_say(CHECK_ERROR, "%s; then nobody is served", why.data);
    if (fd >= 0)
        close(fd);
    mem_free(dir);
    mem_free(name);
    strbuf_free(&why);
}

static void check_syslog(void)
{
    if (access("/dev/log", F_OK) == 0)
        check_say(CHECK_OK, "/dev/log is there");
    else
        check_say(CHECK_WARNING, "/dev/log: %s; records are lost until a syslogd runs (or log to a tracefile)",
                  strerror(errno));
}

void check_files(struct check *c)
{
    check_configs();
    check_user_files(c->settings);
    check_syslog();
    if (c->settings->tracefile)
        check_trace(c->settings->tracefile);
}

/* ---- parts that are loaded */

static const void *load_module(const char *name, const char *symbol)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    const void *found = module_find(name, symbol, &why);

    if (found)
        check_say(CHECK_OK, "%s can be loaded", name);
    else
        check_say(CHECK_ERROR, "%s", why.data);
    strbuf_free(&why);
    return found;
}

/* The keys, as a connection takes them. */
static void check_keytab(const char *option, const char *service, const char *keytab)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    const struct auth_kerberos_calls *calls = auth_kerberos_load(&why);

    if (calls && calls->open(service, keytab, "/", &why))
        check_say(CHECK_OK, "%s: the keytab has keys for %s/HOST", option, service);
    else
        check_say(CHECK_ERROR, "%s: %s", option, why.data);
    strbuf_free(&why);
}

static void check_replay_dir(const char *path)
{
    struct stat st;

    if (stat(path, &st) == 0 && (!S_ISDIR(st.st_mode) || st.st_mode & 077 || st.st_uid != geteuid()))
        check_say(CHECK_ERROR, "kerberos-replay-dir %s must be a directory of root's with mode 0700; chown root %s; chmod 700 %s",
                  path, path, path);
}

/* Option kerberos. Its keys and those of gssapi are looked at in different children: the library's keytab in memory is one of
   the process. */
static void check_kpop(struct check *c)
{
    const struct settings *s = c->settings;

    check_keytab("kerberos", s->kerberos_service ? s->kerberos_service : "", s->kerberos_keytab);
}

/* What saslticket_enter loads and reads. */
static void check_gssapi(struct check *c)
{
    load_module(SASL_GSSAPI_MODULE_NAME, SASL_GSSAPI_MODULE_SYMBOL);
    check_keytab("gssapi", SASLTICKET_SERVICE, c->settings->kerberos_keytab);
}

/* What a login's process does, as whom that does it; but nobody is told anything. */
static void check_drac(struct check *c)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    const char *host = c->settings->drac_host;
    const struct drac_calls *calls = load_module(DRAC_MODULE_NAME, DRAC_MODULE_SYMBOL);

    if (!calls)
        return;
    if (privsep_become_nobody(&why) == 0 && calls->prepare(host, &why))
        check_say(CHECK_OK, "drac-host: %s has an IPv4 address; whether a DRAC server answers there is not asked", host);
    else
        check_say(CHECK_ERROR, "drac-host: %s", why.data);
}

/* Each in a child. (popper-tls.so and popper-pam.so are used by check_tls and check_pam.) */
static void check_modules(struct check *c)
{
    const struct settings *s = c->settings;
    const bool kpop = options_feature_built(FEATURE_KERBEROS) && s->kerberos;
    const bool gssapi = options_feature_built(FEATURE_GSASL) && s->gssapi;

    if (options_feature_built(FEATURE_DRAC) && s->drac_host)
        check_in_child(c, check_drac, "drac-host");
    if (kpop)
        check_in_child(c, check_kpop, "kerberos");
    if (gssapi)
        check_in_child(c, check_gssapi, "gssapi");
    if ((kpop || gssapi) && s->kerberos_replay_dir)
        check_replay_dir(s->kerberos_replay_dir);
}

/* ---- programs */

static void check_mangler(void)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    char path[PATH_MAX];

    if (module_path(MANGLER_PROGRAM, path, &why) < 0)
        check_say(CHECK_WARNING, "XMANGLE: %s", why.data);
    else if (access(path, X_OK) != 0)
        check_say(CHECK_WARNING, "XMANGLE: %s cannot be run: %s; install popper again", path, strerror(errno));
    else
        check_say(CHECK_OK, "XMANGLE: %s", path);
    strbuf_free(&why);
}

void check_programs(struct check *c)
{
    const struct settings *s = c->settings;
    char *program;

    check_modules(c);
    if (s->xmangle && options_feature_built(FEATURE_GMIME))
        check_mangler();
    if (!s->xmit || !s->mail_command)
        return;
    /* It is cut into words at blanks (xmit.c). */
    program = mem_strndup(s->mail_command, strcspn(s->mail_command, " \t"));
    if (access(program, X_OK) == 0)
        check_say(CHECK_OK, "mail-command %s", program);
    else
        check_say(CHECK_WARNING, "mail-command %s: %s; XTND XMIT will fail: name another program, or reset xmit", program,
                  strerror(errno));
    mem_free(program);
}
