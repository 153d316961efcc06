/*
 * auth_passwd: see auth_passwd.h. It must never let a hash or password stay in memory that it gives back, nor say in
 * the log what they are.
 */
#include "auth/auth_passwd.h"

#include <crypt.h>
#include <errno.h>
#include <pwd.h>
#include <shadow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "auth/pamlink.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"

#define ID_MAX UINT32_C(4294967294) /* (uid_t)-1 is nobody */
#define LAST_DUMMY "$6$nobodys$"    /* sha512crypt is in every libcrypt */
#define ENTRY_MAX (1 << 20)         /* bytes of a passwd entry that the C library may ask for */

/* Copies text that fits with its NUL. */
static bool copy_text(char *to, size_t room, const char *text)
{
    size_t n = strlen(text);

    if (n >= room)
        return false;
    memcpy(to, text, n + 1);
    return true;
}

static void refuse(struct auth_account *account, const char *why)
{
    snprintf(account->refusal, sizeof account->refusal, "%s", why);
    account->hash[0] = '\0';
}

static void refuse_since(struct auth_account *account, const char *what, long days)
{
    snprintf(account->refusal, sizeof account->refusal, "%s %ld days ago", what, days);
    account->hash[0] = '\0';
}

/* Takes over a hash as a database holds it. */
static void set_hash(struct auth_account *account, const char *hash)
{
    if (!*hash)
        refuse(account, "account has no password");
    else if (*hash == '!')
        refuse(account, "account is locked");
    else if (*hash == '*')
        account->no_password = true;
    else if (!copy_text(account->hash, sizeof account->hash, hash))
        refuse(account, "the password hash is too long");
}

static bool set_home(struct auth_account *account, const char *home)
{
    return home[0] == '/' && copy_text(account->user.home, sizeof account->user.home, home);
}

/* ---- passwd-files */

enum { FIELD_NAME, FIELD_HASH, FIELD_UID, FIELD_GID, FIELD_GECOS, FIELD_HOME, FIELD_SHELL, FIELD_COUNT };

/* A file being read: line and buffer are secrets. */
struct reader {
    FILE *file;
    char buffer[16384];
    char *line;
    size_t cap;
    unsigned long number;
};

static int reader_open(struct reader *reader, const char *path)
{
    const struct file_rules rules = {
        .owner = geteuid(), .root_may_own = true, .forbidden = S_IWOTH, .many_links = true
    };
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct stat st;
    int fd = file_open(AT_FDCWD, path, path, O_RDONLY, 0, &rules, &st, &why);

    *reader = (struct reader){ .file = fd < 0 ? NULL : fdopen(fd, "r") };
    if (reader->file) {
        setvbuf(reader->file, reader->buffer, _IOFBF, sizeof reader->buffer);
    } else {
        log_write(LOG_ERR, "passwd-file cannot be used, so only users of an earlier one can log in: %s",
                  fd < 0 ? why.data : strerror(errno));
        if (fd >= 0)
            close(fd);
    }
    strbuf_free(&why);
    return reader->file ? 0 : -1;
}

/* The next line that is an entry, without its line end; NULL at the end. */
static char *reader_next(struct reader *reader)
{
    ssize_t n;

    while ((n = getline(&reader->line, &reader->cap, reader->file)) > 0) {
        reader->number++;
        while (n > 0 && (reader->line[n - 1] == '\n' || reader->line[n - 1] == '\r'))
            reader->line[--n] = '\0';
        if (n > 0 && reader->line[0] != '#' && strlen(reader->line) == (size_t)n)
            return reader->line;
    }
    return NULL;
}

/* 0, or -1 when reading had failed. */
static int reader_close(struct reader *reader, const char *path)
{
    bool failed = ferror(reader->file) != 0;

    if (failed)
        log_write(LOG_ERR, "passwd-file %s cannot be read: %s", path, strerror(errno));
    fclose(reader->file);
    mem_wipe(reader->buffer, sizeof reader->buffer);
    if (reader->line)
        mem_wipe(reader->line, reader->cap);
    free(reader->line);
    return failed ? -1 : 0;
}

/* Splits at the colons, in place. False unless there are 6 or 7 fields. */
static bool split_entry(char *line, char *fields[FIELD_COUNT])
{
    size_t count = 0;
    char *at = line;

    fields[FIELD_SHELL] = NULL;
    while (at) {
        if (count == FIELD_COUNT)
            return false;
        fields[count++] = strsep(&at, ":");
    }
    return count >= FIELD_SHELL;
}

static bool parse_id(const char *text, uint32_t *id_r)
{
    uint64_t id = 0;

    if (!*text || strlen(text) > 10)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        id = id * 10 + (uint64_t)(*text - '0');
    }
    if (id > ID_MAX)
        return false;
    *id_r = (uint32_t)id;
    return true;
}

static void take_entry(struct auth_account *account, char *line, const char *path, unsigned long number)
{
    char *fields[FIELD_COUNT];
    uint32_t uid, gid;

    account->user.is_virtual = true;
    if (!split_entry(line, fields) || !parse_id(fields[FIELD_UID], &uid) || !parse_id(fields[FIELD_GID], &gid)
        || !set_home(account, fields[FIELD_HOME])) {
        log_write(LOG_ERR,
                  "%s:%lu: entry of user %s is not name:hash:uid:gid:gecos:/home:shell; the user cannot log in", path,
                  number, account->user.name);
        refuse(account, "malformed entry in passwd-file");
        return;
    }
    account->user.uid = uid;
    account->user.gid = gid;
    set_hash(account, fields[FIELD_HASH]);
}

/* 1 found, 0 not, -1 the file cannot be used. Functions that have a reader are not inlined into others: its pages would
   be touched, and made, where there is no passwd-file, too. */
static __attribute__((noinline)) int file_find(const char *path, const char *name, struct auth_account *account)
{
    struct reader reader;
    size_t length = strlen(name);
    char *line;
    int found = 0;

    if (reader_open(&reader, path) < 0)
        return -1;
    while (!found && (line = reader_next(&reader))) {
        if (strncmp(line, name, length) == 0 && line[length] == ':') {
            take_entry(account, line, path, reader.number);
            found = 1;
        }
    }
    if (reader_close(&reader, path) < 0)
        found = -1;
    return found;
}

/* ---- the system's users */

/* Whether that is what getpwnam_r and getspnam_r return when there is no such name. */
static bool means_absent(int error)
{
    return error == 0 || error == ENOENT || error == ESRCH;
}

static long days_since(long day)
{
    return (long)(time(NULL) / 86400) - day;
}

/* What the shadow entry says about the account's age. */
static void apply_ages(struct auth_account *account, const struct spwd *entry, bool check_password)
{
    long over;

    if (entry->sp_expire > 0 && (over = days_since(entry->sp_expire)) >= 0) {
        refuse_since(account, "account expired", over);
        return;
    }
    if (entry->sp_lstchg == 0 && check_password) {
        refuse(account, "the password must be changed first");
        return;
    }
    if (entry->sp_lstchg <= 0 || entry->sp_max < 0)
        return;
    over = days_since(entry->sp_lstchg) - entry->sp_max;
    if (entry->sp_inact >= 0 && over > entry->sp_inact) {
        refuse(account, "account is inactive: its password expired too long ago");
    } else if (over > 0 && check_password) {
        refuse_since(account, "password expired", over);
    }
}

/* 0 (entry_r->sp_namp NULL when there is none), or an errno. *space_r is owned by the caller, secret. */
static int shadow_entry(const char *name, struct spwd *entry_r, char **space_r, size_t *size_r)
{
    struct spwd *found = NULL;
    int error;

    for (*size_r = 1024;; *size_r *= 2) {
        *space_r = mem_new(*size_r, 1);
        error = getspnam_r(name, entry_r, *space_r, *size_r, &found);
        if (error != ERANGE || *size_r >= ENTRY_MAX)
            break;
        mem_free_secret(*space_r, *size_r);
    }
    if (!found)
        entry_r->sp_namp = NULL;
    return !found && !means_absent(error) ? error : 0;
}

static int passwd_entry(const char *name, struct passwd *entry_r, char **space_r, size_t *size_r)
{
    struct passwd *found = NULL;
    int error;

    for (*size_r = 1024;; *size_r *= 2) {
        *space_r = mem_new(*size_r, 1);
        error = getpwnam_r(name, entry_r, *space_r, *size_r, &found);
        if (error != ERANGE || *size_r >= ENTRY_MAX)
            break;
        mem_free_secret(*space_r, *size_r);
    }
    if (!found)
        entry_r->pw_name = NULL;
    return !found && !means_absent(error) ? error : 0;
}

static bool take_ids(struct auth_account *account, const struct passwd *entry)
{
    account->user.is_virtual = false;
    snprintf(account->own_name, sizeof account->own_name, "%s", entry->pw_name);
    account->user.uid = entry->pw_uid;
    account->user.gid = entry->pw_gid;
    if (set_home(account, entry->pw_dir))
        return true;
    refuse(account, "the home directory in the passwd database is no absolute path");
    return false;
}

static void take_system_user(struct auth_account *account, const struct passwd *entry, const struct spwd *shadow,
                             bool check_password)
{
    if (!take_ids(account, entry))
        return;
    if (shadow->sp_namp) {
        set_hash(account, shadow->sp_pwdp);
        if (!account->refusal[0])
            apply_ages(account, shadow, check_password);
    } else if (strcmp(entry->pw_passwd, "x") == 0) {
        refuse(account, "no entry in the shadow file");
    } else {
        set_hash(account, entry->pw_passwd);
    }
}

/* PAM judges accounts and passwords: the name service says who the user is, and the shadow file, in which he need not
   stand, has no say. */
static int system_find_for_pam(const char *name, struct auth_account *account)
{
    struct passwd entry;
    char *space;
    size_t size;
    int error = passwd_entry(name, &entry, &space, &size);
    int found = entry.pw_name ? 1 : 0;

    if (error) {
        log_write(LOG_ERR, "the passwd database cannot be read, system users cannot log in: %s", strerror(error));
        found = -1;
    } else if (found) {
        take_ids(account, &entry);
    }
    mem_free_secret(space, size);
    return found;
}

/* Both databases are asked whether the name exists or not, so that a broken one shows for every name. 1, 0, -1 as
   above. */
static int system_find(const struct settings *settings, const char *name, struct auth_account *account)
{
    struct passwd entry;
    struct spwd shadow;
    char *entry_space, *shadow_space;
    size_t entry_size, shadow_size;
    int entry_error = passwd_entry(name, &entry, &entry_space, &entry_size);
    int shadow_error = shadow_entry(name, &shadow, &shadow_space, &shadow_size);
    int found = 0;

    if (entry_error || shadow_error) {
        log_write(LOG_ERR, "the %s database cannot be read, system users cannot log in: %s",
                  entry_error ? "passwd" : "shadow", strerror(entry_error ? entry_error : shadow_error));
        found = -1;
    } else if (entry.pw_name) {
        take_system_user(account, &entry, &shadow, settings->check_password_expired);
        found = 1;
    }
    mem_free_secret(entry_space, entry_size);
    mem_free_secret(shadow_space, shadow_size);
    return found;
}

static int system_look_up(const struct settings *settings, const char *name, struct auth_account *account)
{
    return pamlink_applies(settings) ? system_find_for_pam(name, account) : system_find(settings, name, account);
}

/* Only root reads the shadow file and becomes somebody else. */
static bool system_takes_part(const struct settings *settings)
{
    if (geteuid() == 0)
        return true;
    if (settings->passwd_file.count == 0)
        log_write(LOG_ERR, "nobody can log in: popper was not started as root, and no passwd-file is set");
    return false;
}

enum auth_found auth_passwd_find(const struct settings *settings, const char *name, struct auth_account *account_r)
{
    struct auth_account unused;
    bool found = false, broken = false;
    int result;

    memset(account_r, 0, sizeof *account_r);
    snprintf(account_r->user.name, sizeof account_r->user.name, "%s", name);
    /* A broken file may have held the name: files after it are not believed. All are tried, so that everybody hears of
       it. */
    for (size_t i = 0; i < settings->passwd_file.count; i++) {
        memset(&unused, 0, sizeof unused);
        result = file_find(settings->passwd_file.item[i], name, found || broken ? &unused : account_r);
        mem_wipe(&unused, sizeof unused);
        found = found || (result == 1 && !broken);
        broken = broken || result < 0;
    }
    if (found && !broken)
        return AUTH_FOUND;
    if (system_takes_part(settings)) {
        memset(&unused, 0, sizeof unused);
        result = system_look_up(settings, name, found || broken ? &unused : account_r);
        mem_wipe(&unused, sizeof unused);
        found = found || (result == 1 && !broken);
        broken = broken || result < 0;
    } else if (settings->passwd_file.count == 0) {
        broken = true;
    }
    if (found)
        return broken ? AUTH_FOUND_BROKEN : AUTH_FOUND;
    return broken ? AUTH_NOT_FOUND_BROKEN : AUTH_NOT_FOUND;
}

void auth_passwd_each(const struct settings *settings, void (*fn)(void *context, const char *name), void *context)
{
    const struct passwd *entry;

    for (size_t i = 0; i < settings->passwd_file.count; i++) {
        struct reader reader;
        char *line;

        if (reader_open(&reader, settings->passwd_file.item[i]) < 0)
            continue;
        while ((line = reader_next(&reader))) {
            line[strcspn(line, ":")] = '\0';
            fn(context, line);
        }
        reader_close(&reader, settings->passwd_file.item[i]);
    }
    if (!system_takes_part(settings))
        return;
    setpwent();
    while ((entry = getpwent()))
        fn(context, entry->pw_name);
    endpwent();
}

bool auth_passwd_system_broken(const struct settings *settings, const char *name)
{
    struct auth_account unused = { 0 };
    bool broken = system_takes_part(settings) && system_look_up(settings, name, &unused) < 0;

    mem_wipe(&unused, sizeof unused);
    return broken;
}

/* ---- hashing */

/* The first hash in the first passwd-file, which is set: what its users have. False when there is none. */
static __attribute__((noinline)) bool first_hash(const struct settings *settings, char hash_r[AUTH_HASH_MAX + 1])
{
    struct reader reader;
    char *fields[FIELD_COUNT];
    char *line;
    bool found = false;

    if (reader_open(&reader, settings->passwd_file.item[0]) < 0)
        return false;
    while (!found && (line = reader_next(&reader))) {
        found = split_entry(line, fields) && fields[FIELD_HASH][0] == '$' &&
                copy_text(hash_r, AUTH_HASH_MAX + 1, fields[FIELD_HASH]);
    }
    reader_close(&reader, settings->passwd_file.item[0]);
    return found;
}

void auth_passwd_dummy(const struct settings *settings, char hash_r[AUTH_HASH_MAX + 1])
{
    static const char salt[] = "not a random salt, for nobody's password";

    if (settings->passwd_file.count > 0 && first_hash(settings, hash_r))
        return;
    if (!crypt_gensalt_rn(NULL, 0, salt, sizeof salt - 1, hash_r, AUTH_HASH_MAX + 1))
        copy_text(hash_r, AUTH_HASH_MAX + 1, LAST_DUMMY);
}

/* One hash. */
static enum auth_match hash_and_compare(const char *hash, const char *password)
{
    struct crypt_data *data = mem_new(1, sizeof *data);
    const char *made = crypt_r(password, hash, data);
    enum auth_match match = AUTH_MISMATCH;

    if (!made || made[0] == '*')
        match = AUTH_HASH_UNKNOWN;
    else if (strlen(made) == strlen(hash) && mem_equal(made, hash, strlen(hash)))
        match = AUTH_MATCH;
    mem_free_secret(data, sizeof *data);
    return match;
}

static void hash_dummy(const char *dummy, const char *password)
{
    if (hash_and_compare(dummy, password) == AUTH_HASH_UNKNOWN)
        hash_and_compare(LAST_DUMMY, password);
}

enum auth_match auth_passwd_match(const char *hash, const char *dummy, const char *password)
{
    size_t length = strlen(password);
    enum auth_match match;

    if (length == 0 || length > AUTH_PASSWORD_MAX) {
        hash_dummy(dummy, "nobody's password");
        return AUTH_MISMATCH;
    }
    /* The length of the password is part of the work. */
    if (!*hash) {
        hash_dummy(dummy, password);
        return AUTH_MISMATCH;
    }
    match = hash_and_compare(hash, password);
    if (match == AUTH_HASH_UNKNOWN)
        hash_dummy(dummy, password);
    return match;
}
