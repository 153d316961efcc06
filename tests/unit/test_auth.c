/*
 * auth, auth_passwd: who may log in and why not, from passwd-files and from a system that the test makes up: the C
 * library's look-ups, crypt_r and geteuid are replaced here. Every answer must have cost exactly one hash.
 */
#include "tests/unit/unit.h"

#include <crypt.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <shadow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "auth/auth.h"
#include "auth/auth_passwd.h"
#include "tests/unit/caught_log.h"
#include "tests/unit/putthere.h"

#define LEN(a) (sizeof(a) / sizeof(*(a)))
#define SALT "$5$rounds=1000$abcdefgh"

static char good[200]; /* the hash of "sesame" */
static char dir[64];
static char first[80], second[80], list[80];
static char *files[2];
static struct settings settings;

/* ---- what stands in for the system */

static bool as_root;
static int passwd_error, shadow_error;
static int hashes, cheap_hashes;
static char last_hash[400];
static size_t last_length; /* of a password */

static uid_t real_euid(void)
{
    uid_t (*real)(void) = (uid_t (*)(void))dlsym(RTLD_NEXT, "geteuid");

    return real();
}

uid_t geteuid(void)
{
    if (as_root)
        return 0;
    return real_euid() == 0 ? 65534 : real_euid();
}

char *crypt_r(const char *phrase, const char *setting, struct crypt_data *data)
{
    char *(*real)(const char *, const char *, struct crypt_data *) =
        (char *(*)(const char *, const char *, struct crypt_data *))dlsym(RTLD_NEXT, "crypt_r");
    char *made = real(phrase, setting, data);

    if (made && made[0] != '*') {
        hashes++;
        snprintf(last_hash, sizeof last_hash, "%s", setting);
        last_length = strlen(phrase);
    } else {
        cheap_hashes++;
    }
    return made;
}

struct system_user {
    const char *name;
    uid_t uid;
    const char *passwd, *hash; /* hash NULL: no shadow entry; "good" is replaced */
    long lstchg, max, inact, expire; /* days from today; NONE */
    const char *home;
};
#define NONE 1000000

static const struct system_user users[] = {
    { "alice", 1001, "x", "good", -10, 99999, NONE, NONE, "/home/alice" },
    { "bob", 1002, "x", "!good", -10, 99999, NONE, NONE, "/home/bob" },
    { "carol", 1003, "x", "*", -10, 99999, NONE, NONE, "/home/carol" },
    { "dave", 1004, "x", "", -10, 99999, NONE, NONE, "/home/dave" },
    { "eve", 1005, "x", "good", -10, 99999, NONE, -3, "/home/eve" },
    { "evetomorrow", 1005, "x", "good", -10, 99999, NONE, 1, "/home/eve" },
    { "frank", 1006, "x", "good", -100, 88, NONE, NONE, "/home/frank" },
    { "franktoday", 1006, "x", "good", -88, 88, NONE, NONE, "/home/frank" },
    { "gina", 1007, "x", "good", NONE + 1, 99999, NONE, NONE, "/home/gina" },
    { "hank", 1008, "x", NULL, 0, 0, 0, 0, "/home/hank" },
    { "ian", 1009, "good", NULL, 0, 0, 0, 0, "/home/ian" },
    { "judy", 1010, "x", "good", -100, 88, 5, NONE, "/home/judy" },
    { "kim", 1011, "x", "good", -10, 99999, NONE, NONE, "home/kim" },
    { "lou", 1012, "x", "a hash of no kind", -10, 99999, NONE, NONE, "/home/lou" },
    { "root", 0, "x", "good", -10, 99999, NONE, NONE, "/root" },
    { "ten", 10, "x", "good", -10, 99999, NONE, NONE, "/home/ten" },
    { "eleven", 11, "x", "good", -10, 99999, NONE, NONE, "/home/eleven" },
    { "nobody", 65534, "x", "good", -10, 99999, NONE, NONE, "/nonexistent" },
    { "DOM\\mia", 1013, "x", "good", -10, 99999, NONE, NONE, "/home/mia" },
    { "flip", 1014, "x", "good", -10, 99999, NONE, NONE, "/home/flip" },
    { "flop", 1015, "x", "good", -10, 99999, NONE, NONE, "/home/flop" },
};

/* What a directory takes for the names of users; the shadow file does not, unless it comes from there. */
static bool shadow_is_there;
static const struct {
    const char *also, *name;
} directory[] = {
    { "ALICE", "alice" }, { "alice@dom", "alice" }, { "BOB", "bob" }, { "mia", "DOM\\mia" }, { "flip", "flop" }, { "flop", "flip" },
};

static const struct system_user *find_user(const char *name)
{
    for (size_t i = 0; i < LEN(users); i++)
        if (strcmp(users[i].name, name) == 0)
            return &users[i];
    return NULL;
}

static const char *in_directory(const char *name)
{
    for (size_t i = 0; i < LEN(directory); i++)
        if (strcmp(directory[i].also, name) == 0)
            return directory[i].name;
    return name;
}

static char *filled(const char *hash, char *to)
{
    const char *at = strstr(hash, "good");

    if (at)
        sprintf(to, "%.*s%s%s", (int)(at - hash), hash, good, at + 4);
    else
        strcpy(to, hash);
    return to;
}

int getpwnam_r(const char *name, struct passwd *entry, char *space, size_t size, struct passwd **found)
{
    const struct system_user *user = find_user(in_directory(name));

    *found = NULL;
    if (size < 3000)
        return ERANGE;
    if (passwd_error || !user)
        return passwd_error;
    memset(entry, 0, sizeof *entry);
    entry->pw_name = (char *)user->name;
    entry->pw_passwd = filled(user->passwd, space);
    entry->pw_uid = user->uid;
    entry->pw_gid = user->uid + 1000;
    entry->pw_dir = (char *)user->home;
    *found = entry;
    return 0;
}

static long day(long from_today)
{
    return from_today == NONE ? -1 : from_today == NONE + 1 ? 0 : time(NULL) / 86400 + from_today;
}

int getspnam_r(const char *name, struct spwd *entry, char *space, size_t size, struct spwd **found)
{
    const struct system_user *user = find_user(shadow_is_there ? in_directory(name) : name);

    *found = NULL;
    if (size < 3000)
        return ERANGE;
    if (shadow_error)
        return shadow_error;
    if (!user || !user->hash)
        return ENOENT;
    memset(entry, 0, sizeof *entry);
    entry->sp_namp = (char *)user->name;
    entry->sp_pwdp = filled(user->hash, space);
    entry->sp_lstchg = day(user->lstchg);
    entry->sp_max = user->max;
    entry->sp_inact = user->inact == NONE ? -1 : user->inact;
    entry->sp_expire = day(user->expire);
    *found = entry;
    return 0;
}

/* ---- */

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
    chmod(path, 0600);
}

/* As write_file, each "good" replaced by the hash. */
static void write_passwd(const char *path, const char *text)
{
    char *line, *copy = strdup(text), *rest = copy;
    char made[1000];
    FILE *f = fopen(path, "w");

    while ((line = strsep(&rest, "\n")) && (*line || rest))
        fprintf(f, "%s%s", filled(line, made), rest ? "\n" : "");
    fclose(f);
    chmod(path, 0600);
    free(copy);
}

static void setup(void)
{
    struct crypt_data data = { .initialized = 0 };

    strcpy(good, crypt_r("sesame", SALT, &data));
    strcpy(dir, "/tmp/test_auth.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    sprintf(first, "%s/first", dir);
    sprintf(second, "%s/second", dir);
    sprintf(list, "%s/list", dir);
    files[0] = first;
    files[1] = second;
    settings = (struct settings){ .check_password_expired = true, .block_uid = 10 };
    as_root = false;
    passwd_error = shadow_error = 0;
    shadow_is_there = false;
    hashes = cheap_hashes = 0;
    catch_log();
}

static void teardown(void)
{
    unlink(first);
    unlink(second);
    unlink(list);
    rmdir(dir);
}

static void use_files(size_t count)
{
    settings.passwd_file.item = files;
    settings.passwd_file.count = count;
}

/* Checks a login: verdict, reason, cost. */
static void check(const char *name, const char *password, enum auth_verdict verdict, const char *reason,
                  struct auth_user *user_r)
{
    const struct auth_attempt attempt = { .how = AUTH_BY_PASSWORD, .name = name, .response = password };
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    enum auth_verdict got;

    hashes = 0;
    got = auth_check(&settings, &attempt, user_r, &why);
    ck_assert_msg(got == verdict, "%s/%s: verdict %d: %s; log %s", name, password, got, why.data, caught.data);
    ck_assert_msg(strcmp(why.data, reason) == 0, "%s/%s: reason %s", name, password, why.data);
    ck_assert_msg(hashes == 1, "%s/%s: %d hashes", name, password, hashes);
    strbuf_free(&why);
}

/* ---- names */

static const struct {
    const char *given, *name; /* NULL: impossible */
    bool trim, downcase;
} names[] = {
    { "alice", "alice", false, false },
    { "ALICE", "ALICE", false, false },
    { "ALICE", "alice", false, true },
    { "\xc3\x84", NULL, false, true },
    { "alice@example.com", "alice@example.com", false, false },
    { "Alice@Example.com", "alice", true, true },
    { "alice@a@b", "alice", true, false },
    { "@example.com", NULL, true, false },
    { "a", "a", false, false },
    { "9to5", "9to5", false, false },
    { "_alice", "_alice", false, false },
    { "a.b-c+d@e_f", "a.b-c+d@e_f", false, false },
    { "", NULL, false, false },
    { ".alice", NULL, false, false },
    { "-alice", NULL, false, false },
    { "+alice", NULL, false, false },
    { "a..b", NULL, false, false },
    { "../x", NULL, false, false },
    { "a/b", NULL, false, false },
    { "a b", NULL, false, false },
    { "a:b", NULL, false, false },
    { "a%s", NULL, false, false },
    { "a\n", NULL, false, false },
    { "#a", NULL, false, false },
    { "0123456789012345678901234567890123456789012345678901234567890123",
      "0123456789012345678901234567890123456789012345678901234567890123", false, false },
    { "01234567890123456789012345678901234567890123456789012345678901234", NULL, false, false },
    { "alice@012345678901234567890123456789012345678901234567890123456789", "alice", true, false },
};

START_TEST(canonical_names)
{
    char name[AUTH_NAME_MAX + 1];

    settings.trim_domain = names[_i].trim;
    settings.downcase_user = names[_i].downcase;
    ck_assert_msg(auth_canonical_name(&settings, names[_i].given, name) == (names[_i].name != NULL), "%s",
                  names[_i].given);
    ck_assert_str_eq(name, names[_i].name ? names[_i].name : "");
}
END_TEST

START_TEST(a_name_of_10000_bytes)
{
    char long_name[10001], name[AUTH_NAME_MAX + 1];

    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    ck_assert(!auth_canonical_name(&settings, long_name, name));
    use_files(1);
    write_passwd(first, "a:good:2000:2000::/home/a:/bin/sh\n");
    check(long_name, "sesame", AUTH_REFUSED, "not a possible user name", &(struct auth_user){ .uid = 0 });
}
END_TEST

/* ---- passwd-files */

#define TWO_USERS \
    "# alice:good:1:1::/:\n\n" \
    "alice:good:2001:2002:Alice A.:/home/a:/bin/sh\n" \
    "bob@example.com:good:2003:2004::/home/b\r\n" \
    "alice:other:2005:2006::/home/c:\n"

static const struct {
    const char *name, *content, *user, *password;
    enum auth_verdict verdict;
    const char *reason;
} file_cases[] = {
    { "right", TWO_USERS, "alice", "sesame", AUTH_GRANTED, "" },
    { "wrong", TWO_USERS, "alice", "Sesame", AUTH_REFUSED, "wrong password" },
    { "six fields and CRLF", TWO_USERS, "bob@example.com", "sesame", AUTH_GRANTED, "" },
    { "unknown", TWO_USERS, "carol", "sesame", AUTH_REFUSED, "no such user" },
    { "beginning of a name", TWO_USERS, "bob", "sesame", AUTH_REFUSED, "no such user" },
    { "case counts", TWO_USERS, "Alice", "sesame", AUTH_REFUSED, "no such user" },
    { "impossible", TWO_USERS, "../alice", "sesame", AUTH_REFUSED, "not a possible user name" },
    { "empty password", TWO_USERS, "alice", "", AUTH_REFUSED, "wrong password" },
    { "the hash is no password", TWO_USERS, "alice", SALT, AUTH_REFUSED, "wrong password" },
    { "no last line end", "alice:good:2001:2002::/home/a:/bin/sh", "alice", "sesame", AUTH_GRANTED, "" },
    { "empty file", "", "alice", "sesame", AUTH_REFUSED, "no such user" },
    { "empty hash", "alice::2001:2002::/home/a:\n", "alice", "", AUTH_REFUSED, "account has no password" },
    { "locked !", "alice:!good:2001:2002::/home/a:\n", "alice", "sesame", AUTH_REFUSED, "account is locked" },
    { "locked *", "alice:*:2001:2002::/home/a:\n", "alice", "sesame", AUTH_REFUSED, "account is locked" },
    { "x", "alice:x:2001:2002::/home/a:\n", "alice", "sesame", AUTH_REFUSED,
      "the hash of the password is of a kind that libcrypt does not know" },
    { "clear text", "alice:sesame:2001:2002::/home/a:\n", "alice", "sesame", AUTH_REFUSED, "wrong password" },
    { "root", "alice:good:0:2002::/home/a:\n", "alice", "sesame", AUTH_REFUSED, "uid 0 may not log in" },
    { "blocked", "alice:good:10:2002::/home/a:\n", "alice", "sesame", AUTH_REFUSED,
      "uid 10 is not above block-uid 10" },
    { "blocked, wrong", "alice:good:10:2002::/home/a:\n", "alice", "wrong", AUTH_REFUSED,
      "uid 10 is not above block-uid 10" },
    { "just above", "alice:good:11:2002::/home/a:\n", "alice", "sesame", AUTH_GRANTED, "" },
    { "largest uid", "alice:good:4294967294:1::/home/a:\n", "alice", "sesame", AUTH_GRANTED, "" },
    { "uid -1", "alice:good:4294967295:1::/home/a:\n", "alice", "sesame", AUTH_REFUSED,
      "malformed entry in passwd-file" },
    { "uid 2^32", "alice:good:4294967296:1::/home/a:\n", "alice", "sesame", AUTH_REFUSED,
      "malformed entry in passwd-file" },
    { "uid that wraps", "alice:good:18446744073709553616:1::/home/a:\n", "alice", "sesame", AUTH_REFUSED,
      "malformed entry in passwd-file" },
    { "uid with sign", "alice:good:-1:1::/home/a:\n", "alice", "sesame", AUTH_REFUSED,
      "malformed entry in passwd-file" },
    { "no uid", "alice:good::1::/home/a:\n", "alice", "sesame", AUTH_REFUSED, "malformed entry in passwd-file" },
    { "gid is no number", "alice:good:2001:users::/home/a:\n", "alice", "sesame", AUTH_REFUSED,
      "malformed entry in passwd-file" },
    { "htpasswd style", "alice:good\n", "alice", "sesame", AUTH_REFUSED, "malformed entry in passwd-file" },
    { "relative home", "alice:good:2001:2002::home/a:\n", "alice", "sesame", AUTH_REFUSED,
      "malformed entry in passwd-file" },
    { "eight fields", "alice:good:2001:2002::/home/a:/bin/sh:\n", "alice", "sesame", AUTH_REFUSED,
      "malformed entry in passwd-file" },
};

START_TEST(passwd_files)
{
    struct auth_user user;

    use_files(1);
    write_passwd(first, file_cases[_i].content);
    check(file_cases[_i].user, file_cases[_i].password, file_cases[_i].verdict, file_cases[_i].reason, &user);
    if (file_cases[_i].verdict == AUTH_GRANTED)
        ck_assert(user.is_virtual && user.home[0] == '/' && strcmp(user.name, file_cases[_i].user) == 0);
    ck_assert_ptr_null(strstr(caught.data, "$5$"));
}
END_TEST

START_TEST(an_account_is_what_its_line_says)
{
    struct auth_user user;

    use_files(1);
    write_passwd(first, TWO_USERS);
    check("alice", "sesame", AUTH_GRANTED, "", &user);
    ck_assert_uint_eq(user.uid, 2001);
    ck_assert_uint_eq(user.gid, 2002);
    ck_assert_str_eq(user.home, "/home/a");
    check("bob@example.com", "sesame", AUTH_GRANTED, "", &user);
    ck_assert_str_eq(user.home, "/home/b");
}
END_TEST

START_TEST(malformed_entries_are_logged_with_their_line)
{
    char expected[300];

    use_files(1);
    write_passwd(first, "\nalice:good\n");
    check("alice", "sesame", AUTH_REFUSED, "malformed entry in passwd-file", &(struct auth_user){ .uid = 0 });
    snprintf(expected, sizeof expected,
             "err %s:2: entry of user alice is not name:hash:uid:gid:gecos:/home:shell; the user cannot log in\n",
             first);
    ck_assert_str_eq(caught.data, expected);
}
END_TEST

START_TEST(the_first_file_counts)
{
    struct auth_user user;

    use_files(2);
    write_passwd(first, "alice:good:2001:2002::/home/a:\n");
    write_passwd(second, "alice:!:3001:3002::/home/a:\nbob:good:3003:3004::/home/b:\n");
    check("alice", "sesame", AUTH_GRANTED, "", &user);
    check("bob", "sesame", AUTH_GRANTED, "", &user);
    ck_assert_uint_eq(user.uid, 3003);
    files[0] = second;
    files[1] = first;
    check("alice", "sesame", AUTH_REFUSED, "account is locked", &user);
}
END_TEST

START_TEST(a_user_in_a_file_hides_one_of_the_system)
{
    struct auth_user user;

    if (real_euid() != 0)
        return;
    as_root = true;
    use_files(1);
    write_passwd(first, "alice:good:2001:2002::/home/virtual:\nbob:!:2003:2004::/home/b:\n");
    check("alice", "sesame", AUTH_GRANTED, "", &user);
    ck_assert_str_eq(user.home, "/home/virtual");
    check("eleven", "sesame", AUTH_GRANTED, "", &user);
    ck_assert(!user.is_virtual);
}
END_TEST

START_TEST(a_broken_file_says_the_same_to_everybody_but_the_right)
{
    struct auth_user user;

    use_files(2);
    write_passwd(first, "alice:good:2001:2002::/home/a:\n");
    /* second does not exist */
    check("alice", "sesame", AUTH_GRANTED, "", &user);
    ck_assert_uint_eq(user.uid, 2001);
    check("alice", "wrong", AUTH_UNAVAILABLE, "wrong password", &user);
    check("bob", "wrong", AUTH_UNAVAILABLE, "a store of users cannot be read", &user);
    check("../x", "wrong", AUTH_UNAVAILABLE, "not a possible user name", &user);
    ck_assert_ptr_nonnull(strstr(caught.data, "err passwd-file cannot be used, so only users of an earlier one can log in: "));
    ck_assert_ptr_nonnull(strstr(caught.data, second));
    /* It may have disabled her. */
    files[0] = second;
    files[1] = first;
    check("alice", "sesame", AUTH_UNAVAILABLE, "a store of users cannot be read", &user);
}
END_TEST

START_TEST(a_file_that_everybody_writes_is_not_believed)
{
    struct auth_user user;

    use_files(1);
    write_passwd(first, TWO_USERS);
    chmod(first, 0646);
    check("alice", "sesame", AUTH_UNAVAILABLE, "a store of users cannot be read", &user);
    chmod(first, 0644);
    check("alice", "sesame", AUTH_GRANTED, "", &user);
}
END_TEST

START_TEST(a_file_of_somebody_else_is_not_believed)
{
    if (real_euid() != 0)
        return;
    use_files(1);
    write_passwd(first, TWO_USERS);
    ck_assert_int_eq(chown(first, 12345, 12345), 0);
    check("alice", "sesame", AUTH_UNAVAILABLE, "a store of users cannot be read", &(struct auth_user){ .uid = 0 });
}
END_TEST

START_TEST(a_huge_file)
{
    FILE *f = fopen(first, "w");
    struct auth_user user;

    for (int i = 0; i < 200000; i++)
        fprintf(f, "user%d:*:%d:%d::/home/user%d:/bin/sh\n", i, 3000 + i, 3000 + i, i);
    fprintf(f, "last:%s:2001:2001::/home/last:/bin/sh\n", good);
    fclose(f);
    use_files(1);
    check("last", "sesame", AUTH_GRANTED, "", &user);
    check("user199999", "sesame", AUTH_REFUSED, "account is locked", &user);
}
END_TEST

/* ---- the system's users */

static const struct {
    const char *user, *password;
    enum auth_verdict verdict;
    const char *reason;
} system_cases[] = {
    { "alice", "sesame", AUTH_GRANTED, "" },
    { "alice", "wrong", AUTH_REFUSED, "wrong password" },
    { "alice", "", AUTH_REFUSED, "wrong password" },
    { "zoe", "sesame", AUTH_REFUSED, "no such user" },
    { "bob", "sesame", AUTH_REFUSED, "account is locked" },
    { "carol", "sesame", AUTH_REFUSED, "account is locked" },
    { "dave", "", AUTH_REFUSED, "account has no password" },
    { "dave", "sesame", AUTH_REFUSED, "account has no password" },
    { "eve", "sesame", AUTH_REFUSED, "account expired 3 days ago" },
    { "eve", "wrong", AUTH_REFUSED, "account expired 3 days ago" },
    { "evetomorrow", "sesame", AUTH_GRANTED, "" },
    { "frank", "sesame", AUTH_REFUSED, "password expired 12 days ago" },
    { "franktoday", "sesame", AUTH_GRANTED, "" },
    { "gina", "sesame", AUTH_REFUSED, "the password must be changed first" },
    { "hank", "sesame", AUTH_REFUSED, "no entry in the shadow file" },
    { "ian", "sesame", AUTH_GRANTED, "" },
    { "judy", "sesame", AUTH_REFUSED, "account is inactive: its password expired too long ago" },
    { "kim", "sesame", AUTH_REFUSED, "the home directory in the passwd database is no absolute path" },
    { "lou", "sesame", AUTH_REFUSED, "the hash of the password is of a kind that libcrypt does not know" },
    { "root", "sesame", AUTH_REFUSED, "uid 0 may not log in" },
    { "ten", "sesame", AUTH_REFUSED, "uid 10 is not above block-uid 10" },
    { "eleven", "sesame", AUTH_GRANTED, "" },
    { "..", "sesame", AUTH_REFUSED, "not a possible user name" },
    { "nobody", "wrong", AUTH_REFUSED, "wrong password" },
};

START_TEST(system_users)
{
    struct auth_user user;

    as_root = true;
    check(system_cases[_i].user, system_cases[_i].password, system_cases[_i].verdict, system_cases[_i].reason, &user);
    if (system_cases[_i].verdict == AUTH_GRANTED) {
        ck_assert_uint_eq(user.uid, find_user(system_cases[_i].user)->uid);
        ck_assert_uint_eq(user.gid, user.uid + 1000);
        ck_assert_str_eq(user.home, find_user(system_cases[_i].user)->home);
        ck_assert(!user.is_virtual);
    }
}
END_TEST

START_TEST(an_impossible_name_is_not_nobody)
{
    as_root = true;
    check("../x", "sesame", AUTH_REFUSED, "not a possible user name", &(struct auth_user){ .uid = 0 });
    ck_assert_str_ne(last_hash, good);
}
END_TEST

START_TEST(expired_passwords_only_when_asked)
{
    struct auth_user user;

    as_root = true;
    /* option: check-password-expired */
    settings.check_password_expired = false;
    check("frank", "sesame", AUTH_GRANTED, "", &user);
    check("gina", "sesame", AUTH_GRANTED, "", &user);
    check("judy", "sesame", AUTH_REFUSED, "account is inactive: its password expired too long ago", &user);
    check("eve", "sesame", AUTH_REFUSED, "account expired 3 days ago", &user);
}
END_TEST

START_TEST(block_uid_is_an_option)
{
    struct auth_user user;

    as_root = true;
    settings.block_uid = 0;
    check("ten", "sesame", AUTH_GRANTED, "", &user);
    check("root", "sesame", AUTH_REFUSED, "uid 0 may not log in", &user);
    settings.block_uid = 1001;
    check("alice", "sesame", AUTH_REFUSED, "uid 1001 is not above block-uid 1001", &user);
}
END_TEST

START_TEST(a_broken_shadow_says_the_same_to_everybody)
{
    const char *who[] = { "alice", "zoe", "root", "../x" };
    struct auth_user user;

    as_root = true;
    shadow_error = EACCES;
    for (size_t i = 0; i < LEN(who); i++)
        check(who[i], "sesame", AUTH_UNAVAILABLE,
              i == 3 ? "not a possible user name" : "a store of users cannot be read", &user);
    ck_assert_ptr_nonnull(strstr(caught.data, "err the shadow database cannot be read, system users cannot log in: "
                                              "Permission denied\n"));
    shadow_error = 0;
    passwd_error = EIO;
    for (size_t i = 0; i < LEN(who); i++)
        check(who[i], "sesame", AUTH_UNAVAILABLE,
              i == 3 ? "not a possible user name" : "a store of users cannot be read", &user);
    ck_assert_ptr_nonnull(strstr(caught.data, "err the passwd database cannot be read, system users cannot log in: "
                                              "Input/output error\n"));
}
END_TEST

START_TEST(without_root_and_files_nobody_logs_in)
{
    check("alice", "sesame", AUTH_UNAVAILABLE, "a store of users cannot be read", &(struct auth_user){ .uid = 0 });
    ck_assert_str_eq(caught.data, "err nobody can log in: popper was not started as root, and no passwd-file is set\n");
}
END_TEST

/* ---- lists */

static const struct {
    const char *name, *content, *user;
    bool listed;
} list_cases[] = {
    { "listed", "bob\nalice\n", "alice", true },
    { "no last line end", "bob\nalice", "alice", true },
    { "CRLF and blanks", "alice \t\r\n", "alice", true },
    { "longer name", "alice2\n", "alice", false },
    { "shorter name", "alic\n", "alice", false },
    { "other case", "Alice\n", "alice", false },
    { "comment", "#alice\n", "alice", false },
    { "leading blank", " alice\n", "alice", false },
    { "empty", "", "alice", false },
    { "two on a line", "bob alice\n", "alice", false },
};

START_TEST(lists)
{
    struct auth_user user;

    as_root = true;
    write_file(list, list_cases[_i].content);
    settings.auth_file = list;
    check(list_cases[_i].user, "sesame", list_cases[_i].listed ? AUTH_GRANTED : AUTH_REFUSED,
          list_cases[_i].listed ? "" : "not listed in auth-file", &user);
    settings.auth_file = NULL;
    settings.nonauth_file = list;
    check(list_cases[_i].user, "sesame", list_cases[_i].listed ? AUTH_REFUSED : AUTH_GRANTED,
          list_cases[_i].listed ? "listed in nonauth-file" : "", &user);
}
END_TEST

START_TEST(lists_see_the_canonical_name)
{
    as_root = true;
    settings.downcase_user = settings.trim_domain = true;
    write_file(list, "alice\n");
    settings.nonauth_file = list;
    check("ALICE@example.com", "sesame", AUTH_REFUSED, "listed in nonauth-file", &(struct auth_user){ .uid = 0 });
}
END_TEST

/* A directory that takes other spellings lets nobody past the lists, and there is one maildrop for all of them. */
START_TEST(the_name_that_the_name_service_has_counts)
{
    static const char *spellings[] = { "alice", "ALICE", "alice@dom" };
    static const char *unusable[] = { "mia", "flip" };
    struct auth_user user;

    as_root = true;
    shadow_is_there = _i;
    for (size_t i = 0; i < LEN(spellings); i++) {
        check(spellings[i], "sesame", AUTH_GRANTED, "", &user);
        ck_assert_str_eq(user.name, "alice");
        check(spellings[i], "Sesame", AUTH_REFUSED, "wrong password", &user);
    }
    check("BOB", "sesame", AUTH_REFUSED, "account is locked", &user);
    for (size_t i = 0; i < LEN(unusable); i++)
        check(unusable[i], "sesame", AUTH_REFUSED, "the name service has another name for this user, by which nobody can be served", &user);
    write_file(list, "alice\n");
    settings.auth_file = list;
    for (size_t i = 0; i < LEN(spellings); i++)
        check(spellings[i], "sesame", AUTH_GRANTED, "", &user);
    settings.auth_file = NULL;
    settings.nonauth_file = list;
    for (size_t i = 0; i < LEN(spellings); i++)
        check(spellings[i], "sesame", AUTH_REFUSED, "listed in nonauth-file", &user);
    use_files(1);
    settings.nonauth_file = NULL;
    write_passwd(first, "alice:good:2001:2002::/home/a:\n");
    check("ALICE", "sesame", AUTH_GRANTED, "", &user);
    ck_assert_uint_eq(user.uid, 2001);
}
END_TEST

START_TEST(unreadable_lists)
{
    struct auth_user user;

    as_root = true;
    settings.auth_file = list;
    check("alice", "sesame", AUTH_REFUSED, "not listed in auth-file", &user);
    ck_assert_ptr_nonnull(strstr(caught.data, "err auth-file cannot be used, so nobody may log in: "));
    strbuf_reset(&caught);
    write_file(list, "alice\n");
    chmod(list, 0666);
    check("alice", "sesame", AUTH_REFUSED, "not listed in auth-file", &user);
    ck_assert_ptr_nonnull(strstr(caught.data, "err auth-file cannot be used, so nobody may log in: "));
    settings.auth_file = NULL;
    strbuf_reset(&caught);
    unlink(list);
    settings.nonauth_file = list;
    check("alice", "sesame", AUTH_GRANTED, "", &user);
    ck_assert_ptr_nonnull(strstr(caught.data, "err nonauth-file cannot be read, so it denies nobody: "));
}
END_TEST

/* ---- cost */

START_TEST(long_passwords)
{
    char password[2000];
    struct auth_user user;

    as_root = true;
    memset(password, 'p', sizeof password);
    password[AUTH_PASSWORD_MAX] = '\0';
    check("alice", password, AUTH_REFUSED, "wrong password", &user);
    ck_assert_str_eq(last_hash, good);
    password[AUTH_PASSWORD_MAX] = 'p';
    password[AUTH_PASSWORD_MAX + 1] = '\0';
    check("alice", password, AUTH_REFUSED, "wrong password", &user);
    memset(password, 'p', sizeof password - 1);
    password[sizeof password - 1] = '\0';
    check("alice", password, AUTH_REFUSED, "wrong password", &user);
}
END_TEST

/* Nobody's hash is of the kind of the file's users, or what the system would make. */
START_TEST(the_dummy_is_of_the_usual_kind)
{
    struct auth_user user;

    use_files(1);
    write_passwd(first, "# comment\nlocked:*:2000:2000::/home/l:\nalice:good:2001:2002::/home/a:\n");
    check("zoe", "sesame", AUTH_REFUSED, "no such user", &user);
    ck_assert_str_eq(last_hash, good);
    write_passwd(first, "locked:*:2000:2000::/home/l:\n");
    check("zoe", "sesame", AUTH_REFUSED, "no such user", &user);
    ck_assert_int_eq(strncmp(last_hash, crypt_preferred_method(), strlen(crypt_preferred_method())), 0);
    /* A file whose first hash is nonsense costs one real hash all the same. */
    write_passwd(first, "alice:$nonsense:2001:2002::/home/a:\n");
    check("zoe", "sesame", AUTH_REFUSED, "no such user", &user);
    check("alice", "sesame", AUTH_REFUSED, "the hash of the password is of a kind that libcrypt does not know", &user);
}
END_TEST

/* By rename, as careful programs do it: who has opened the old one reads that. */
START_TEST(a_file_that_is_replaced_meanwhile)
{
    struct auth_user user;

    use_files(1);
    write_passwd(first, "alice:good:2001:2002::/home/a:\n");
    write_passwd(second, "alice:good:2001:2002::/home/a:\nbob:good:2003:2004::/home/b:\n");
    putthere_where = first;
    putthere_file = second;
    check("alice", "sesame", AUTH_GRANTED, "", &user);
    ck_assert_ptr_null(putthere_file);
    check("bob", "sesame", AUTH_GRANTED, "", &user);
}
END_TEST

/* Hashes of SHA take their time from the length of the password: that of nobody counts, too, or a long one tells who is there. */
START_TEST(the_dummy_takes_as_long_for_a_long_password)
{
    char password[AUTH_PASSWORD_MAX + 2];
    struct auth_user user;

    use_files(1);
    write_passwd(first, "alice:good:2001:2002::/home/a:\n");
    for (size_t n = 1; n <= AUTH_PASSWORD_MAX + 1; n += 255) {
        size_t hers;

        memset(password, 'x', n);
        password[n] = '\0';
        check("alice", password, AUTH_REFUSED, "wrong password", &user);
        hers = last_length;
        check("zoe", password, AUTH_REFUSED, "no such user", &user);
        ck_assert_uint_eq(last_length, hers);
    }
}
END_TEST

/* A login whose proof the caller has seen to. */
static enum auth_verdict judge(const char *name, struct auth_user *user_r, struct strbuf *why)
{
    const struct auth_attempt attempt = { .how = AUTH_PROVED, .name = name };

    return auth_check(&settings, &attempt, user_r, why);
}

START_TEST(an_account_is_judged_without_a_password)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct auth_user user;

    as_root = true;
    hashes = 0;
    ck_assert_int_eq(judge("alice", &user, &why), AUTH_GRANTED);
    ck_assert_uint_eq(user.uid, 1001);
    ck_assert_int_eq(judge("eve", &user, &why), AUTH_REFUSED);
    ck_assert_str_eq(why.data, "account expired 3 days ago");
    ck_assert_int_eq(judge("zoe", &user, &why), AUTH_REFUSED);
    ck_assert_int_eq(hashes, 0);
    strbuf_free(&why);
}
END_TEST

/* Otherwise the answer would tell who is in the files that can be read. */
START_TEST(a_broken_store_is_said_to_whoever_is_refused_in_whatever_way)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct auth_user user;

    write_passwd(first, "alice:good:2001:2002::/home/a:\n");
    use_files(2); /* the second does not exist */
    check("alice", "wrong", AUTH_UNAVAILABLE, "wrong password", &user);
    check("zoe", "wrong", AUTH_UNAVAILABLE, "a store of users cannot be read", &user);
    ck_assert_int_eq(judge("alice", &user, &why), AUTH_GRANTED);
    ck_assert_int_eq(judge("zoe", &user, &why), AUTH_UNAVAILABLE);
    strbuf_free(&why);
}
END_TEST

/* preauth asks again where it has refused already: it is not to be trusted. */
START_TEST(the_way_must_be_offered)
{
    const struct auth_attempt attempt = { .how = AUTH_BY_PASSWORD, .name = "alice", .response = "sesame" };
    const struct auth_attempt inside = { .how = AUTH_BY_PASSWORD, .name = "alice", .response = "sesame", .tls = true };
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct auth_user user;

    as_root = true;
    settings.clear_text_password = CLEAR_TEXT_TLS;
    ck_assert_int_eq(auth_check(&settings, &inside, &user, &why), AUTH_GRANTED);
    ck_assert_int_eq(auth_check(&settings, &attempt, &user, &why), AUTH_REFUSED);
    ck_assert_str_eq(why.data, "this way to log in is not allowed on this connection (clear-text-password, kerberos)");
    strbuf_free(&why);
}
END_TEST

START_TEST(an_owner_need_not_be_allowed_in)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct auth_user user;

    as_root = true;
    hashes = 0;
    ck_assert_int_eq(auth_find_owner(&settings, "eve", &user, &why), AUTH_GRANTED);
    ck_assert_str_eq(user.name, "eve");
    ck_assert_int_eq(auth_find_owner(&settings, "zoe", &user, &why), AUTH_REFUSED);
    ck_assert_str_eq(why.data, "no such user");
    ck_assert_int_eq(hashes, 0);
    strbuf_free(&why);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("auth");
    TCase *tc = tcase_create("auth");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, canonical_names, 0, LEN(names));
    tcase_add_test(tc, a_name_of_10000_bytes);
    tcase_add_loop_test(tc, passwd_files, 0, LEN(file_cases));
    tcase_add_test(tc, an_account_is_what_its_line_says);
    tcase_add_test(tc, malformed_entries_are_logged_with_their_line);
    tcase_add_test(tc, the_first_file_counts);
    tcase_add_test(tc, a_user_in_a_file_hides_one_of_the_system);
    tcase_add_test(tc, a_broken_file_says_the_same_to_everybody_but_the_right);
    tcase_add_test(tc, a_file_that_everybody_writes_is_not_believed);
    tcase_add_test(tc, a_file_of_somebody_else_is_not_believed);
    tcase_add_test(tc, a_huge_file);
    tcase_add_loop_test(tc, system_users, 0, LEN(system_cases));
    tcase_add_test(tc, an_impossible_name_is_not_nobody);
    tcase_add_test(tc, expired_passwords_only_when_asked);
    tcase_add_test(tc, block_uid_is_an_option);
    tcase_add_test(tc, a_broken_shadow_says_the_same_to_everybody);
    tcase_add_test(tc, without_root_and_files_nobody_logs_in);
    tcase_add_loop_test(tc, lists, 0, LEN(list_cases));
    tcase_add_test(tc, lists_see_the_canonical_name);
    tcase_add_loop_test(tc, the_name_that_the_name_service_has_counts, 0, 2);
    tcase_add_test(tc, unreadable_lists);
    tcase_add_test(tc, long_passwords);
    tcase_add_test(tc, the_dummy_is_of_the_usual_kind);
    tcase_add_test(tc, a_file_that_is_replaced_meanwhile);
    tcase_add_test(tc, the_dummy_takes_as_long_for_a_long_password);
    tcase_add_test(tc, an_account_is_judged_without_a_password);
    tcase_add_test(tc, a_broken_store_is_said_to_whoever_is_refused_in_whatever_way);
    tcase_add_test(tc, the_way_must_be_offered);
    tcase_add_test(tc, an_owner_need_not_be_allowed_in);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
