/* apopdb: databases made with gdbm itself; who may own them and how they may look; locks; changes; damage. */
#include "config.h"

#include "tests/unit/unit.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <gdbm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/apopdb.h"
#include "common/file.h"
#include "tests/unit/putthere.h"

#define LEN(a) (sizeof(a) / sizeof(*(a)))
#define NOBODY ((uid_t)65534)
#define NO_OWNER ((uid_t)-1)

static char dir[40], path[100], pag[120], dirfile[120];
static struct strbuf why;

static void setup(void)
{
    /* In memory, where syncing costs nothing. */
    strcpy(dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/test_apopdb.XXXXXX" : "/tmp/test_apopdb.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/pop.auth", dir);
    snprintf(pag, sizeof pag, "%s/pop.auth.pag", dir);
    snprintf(dirfile, sizeof dirfile, "%s/pop.auth.dir", dir);
    strbuf_init(&why, STRBUF_WHY_MAX);
    umask(077);
}

static void teardown(void)
{
    char command[120];

    strbuf_free(&why);
    snprintf(command, sizeof command, "chmod 700 %s && rm -rf %s", dir, dir);
    ck_assert_int_eq(system(command), 0);
}

static char next_file[120];

#if __WORDSIZE == 32
#define LSTAT "lstat64" /* what lstat is where files may be large */
#else
#define LSTAT "lstat"
#endif

/* The C library's, in the middle of which somebody replaces a pair with two names. */
static bool pair_is_replaced;

int lstat(const char *name, struct stat *st)
{
    int (*real)(const char *, struct stat *) = (int (*)(const char *, struct stat *))dlsym(RTLD_NEXT, LSTAT);

    if (!pair_is_replaced || strcmp(name, dirfile) != 0)
        return real(name, st);
    pair_is_replaced = false;
    ck_assert_int_eq(unlink(dirfile), 0);
    ck_assert_int_eq(rename(next_file, pag), 0);
    errno = ENOENT;
    return -1;
}

/* ---- making databases without the room under test */

static void put(GDBM_FILE db, const char *key, size_t key_length, const char *value, size_t value_length)
{
    datum k = { (char *)key, (int)key_length }, v = { (char *)value, (int)value_length };

    ck_assert_int_eq(gdbm_store(db, k, v, GDBM_REPLACE), 0);
}

static void put_secret(GDBM_FILE db, const char *name, const char *secret)
{
    char value[1000];
    size_t i, n = strlen(secret);

    for (i = 0; i < n; i++)
        value[i] = (char)~secret[i];
    value[n] = '\0';
    put(db, name, strlen(name) + 1, value, n + 1);
}

static GDBM_FILE make_at(const char *where)
{
    GDBM_FILE db = gdbm_open(where, 0, GDBM_NEWDB, 0600, NULL);

    ck_assert_ptr_nonnull(db);
    return db;
}

/* As Qpopper's popauth leaves one: alice and bob. */
static void make_fixture(const char *where)
{
    GDBM_FILE db = make_at(where);

    put_secret(db, "alice", "tanstaaf");
    put_secret(db, "bob", "s3cret \xc3\xa4");
    gdbm_close(db);
}

static void make_file(const char *where, const void *bytes, size_t n)
{
    int fd = open(where, O_CREAT | O_WRONLY | O_TRUNC, 0600);

    ck_assert_int_ge(fd, 0);
    if (n > 0)
        ck_assert_int_eq(file_write(fd, bytes, n), (ssize_t)n);
    close(fd);
}

/* What gdbm itself finds, as text; NULL when nothing. */
static const char *raw(const char *where, const char *key, size_t n)
{
    static char text[5000];
    GDBM_FILE db = gdbm_open(where, 0, GDBM_READER, 0, NULL);
    datum k = { (char *)key, (int)n }, v;

    ck_assert_msg(db != NULL, "%s: %s", where, gdbm_strerror(gdbm_errno));
    v = gdbm_fetch(db, k);
    gdbm_close(db);
    if (!v.dptr)
        return NULL;
    memcpy(text, v.dptr, (size_t)v.dsize);
    ck_assert_int_eq(text[v.dsize - 1], 0);
    free(v.dptr);
    return text;
}

/* ---- shorthands */

static struct apopdb *opened(bool change)
{
    struct apopdb *db;

    ck_assert_msg(apopdb_open(path, NO_OWNER, change, 0, &db, &why) == APOPDB_OK, "%s", why.data);
    return db;
}

static enum apopdb_result try_open(bool change)
{
    struct apopdb *db;
    enum apopdb_result result = apopdb_open(path, NO_OWNER, change, 0, &db, &why);

    ck_assert((db != NULL) == (result == APOPDB_OK));
    apopdb_close(&db);
    return result;
}

static struct apopdb_user found(const char *name)
{
    struct apopdb *db = opened(false);
    struct apopdb_user user;

    ck_assert_msg(apopdb_find(db, name, &user, &why) == APOPDB_OK, "%s", why.data);
    apopdb_close(&db);
    return user;
}

static void assert_secret(const char *name, const char *secret)
{
    struct apopdb_user user = found(name);

    ck_assert_msg(user.has_secret == (secret != NULL), "%s", name);
    ck_assert_str_eq(user.secret, secret ? secret : "");
}

static void set_secret(const char *name, const char *secret)
{
    struct apopdb *db = opened(true);

    ck_assert_int_eq(apopdb_set_secret(db, name, secret, &why), APOPDB_OK);
    ck_assert_msg(apopdb_commit(db, &why) == APOPDB_OK, "%s", why.data);
    apopdb_close(&db);
}

static ino_t inode(const char *where)
{
    struct stat st;

    ck_assert_int_eq(lstat(where, &st), 0);
    return st.st_ino;
}

static int files_in_directory(void)
{
    char command[150];
    FILE *p;
    int n = 0;

    snprintf(command, sizeof command, "ls -A %s | wc -l", dir);
    p = popen(command, "r");
    ck_assert_int_eq(fscanf(p, "%d", &n), 1);
    pclose(p);
    return n;
}

/* ---- reading */

START_TEST(reads_what_qpopper_wrote)
{
    make_fixture(path);
    ck_assert_int_eq(apopdb_look(path, &why), APOPDB_OK);
    assert_secret("alice", "tanstaaf");
    assert_secret("bob", "s3cret \xc3\xa4");
    assert_secret("carol", NULL);
    ck_assert(found("alice").present);
    ck_assert(!found("carol").present);
    ck_assert_uint_eq(found("alice").scram[SCRAM_SHA1].iterations, 0);
}
END_TEST

START_TEST(reads_the_pair_of_the_ndbm_face)
{
    make_fixture(pag);
    make_file(dirfile, "GDBM\0\0\0\1", 8);
    ck_assert_int_eq(apopdb_look(path, &why), APOPDB_OK);
    assert_secret("alice", "tanstaaf");
    set_secret("carol", "new");
    assert_secret("carol", "new");
    ck_assert_str_eq(raw(pag, "carol", 6), "\x91\x9a\x88");
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(old_pair_is_one_file_with_two_names)
{
    make_fixture(pag);
    ck_assert_int_eq(link(pag, dirfile), 0);
    assert_secret("bob", "s3cret \xc3\xa4");
    set_secret("carol", "new");
    ck_assert_uint_eq(inode(pag), inode(dirfile));
    ck_assert_ptr_nonnull(raw(dirfile, "carol", 6));
    ck_assert_int_eq(files_in_directory(), 2);
}
END_TEST

START_TEST(looked_at_while_the_pair_is_replaced)
{
    make_fixture(pag);
    ck_assert_int_eq(link(pag, dirfile), 0);
    snprintf(next_file, sizeof next_file, "%s/next", dir);
    make_fixture(next_file);
    pair_is_replaced = true;
    ck_assert_msg(apopdb_look(path, &why) == APOPDB_OK, "%s", why.data);
    ck_assert(!pair_is_replaced);
}
END_TEST

START_TEST(single_file_wins_over_the_pair)
{
    GDBM_FILE db = make_at(pag);

    put_secret(db, "alice", "other");
    gdbm_close(db);
    make_fixture(path);
    assert_secret("alice", "tanstaaf");
}
END_TEST

#define X16 "xxxxxxxxxxxxxxxx"
#define X255 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 "xxxxxxxxxxxxxxx"
static const struct {
    const char *name, *value;
    size_t n;
    const char *secret; /* NULL: of no use */
} values[] = {
    { "with a NUL", "\x9e\x9d\0", 3, "ab" },
    { "without", "\x9e\x9d", 2, "ab" },
    { "with an encoded NUL", "\x9e\x9d\xff", 3, "ab" },
    { "rubbish behind it", "\x9e\0\x9d", 3, "a" },
    { "empty", "\0", 1, NULL },
    { "nothing", "", 0, NULL },
    { "encoded nothing", "\xff", 1, NULL },
};

START_TEST(odd_values)
{
    GDBM_FILE db = make_at(path);
    struct apopdb_user user;

    put(db, "u", 2, values[_i].value, values[_i].n);
    gdbm_close(db);
    user = found("u");
    ck_assert_msg(user.present, "%s", values[_i].name);
    ck_assert_msg(user.has_secret == (values[_i].secret != NULL), "%s", values[_i].name);
    ck_assert_str_eq(user.secret, values[_i].secret ? values[_i].secret : "");
}
END_TEST

START_TEST(longest_secret_and_beyond)
{
    GDBM_FILE db = make_at(path);

    put_secret(db, "fits", X255);
    put_secret(db, "long", X255 "x");
    put(db, "huge", 5, X255 X255 X255 X255 X255 X255 X255 X255 X255 X255 X255 X255 X255 X255 X255 X255 X255 X255, 4590);
    gdbm_close(db);
    assert_secret("fits", X255);
    assert_secret("long", NULL);
    assert_secret("huge", NULL);
    ck_assert(found("long").present);
}
END_TEST

START_TEST(names_that_cannot_be)
{
    const char *const names[] = { "", "\001alice", "\001", " x", X255, X16 X16 X16 X16 "x" };
    size_t i;

    make_fixture(path);
    for (i = 0; i < LEN(names); i++) {
        ck_assert(!apopdb_name_valid(names[i]));
        ck_assert(!found(names[i]).present);
    }
    ck_assert(apopdb_name_valid(X16 X16 X16 X16));
    ck_assert(!found(X16 X16 X16 X16).present);
}
END_TEST

START_TEST(secrets_that_cannot_be)
{
    ck_assert(!apopdb_secret_valid(""));
    ck_assert(!apopdb_secret_valid("a\nb"));
    ck_assert(!apopdb_secret_valid("a\177"));
    ck_assert(!apopdb_secret_valid(X255 "x"));
    ck_assert(apopdb_secret_valid(X255));
    ck_assert(apopdb_secret_valid(" \xc3\xa4 "));
}
END_TEST

/* ---- what the file must be like */

static void no_file(void) { unlink(path); }
static void mode_644(void) { chmod(path, 0644); }
static void mode_640(void) { chmod(path, 0640); }
static void mode_400(void) { chmod(path, 0400); }
static void mode_4600(void) { chmod(path, 04600); }
static void two_links(void) { ck_assert_int_eq(link(path, dirfile), 0); }
static void symlinked(void)
{
    rename(path, dirfile);
    ck_assert_int_eq(symlink(dirfile, path), 0);
}
static void directory(void)
{
    unlink(path);
    mkdir(path, 0600);
}
static void fifo(void)
{
    unlink(path);
    mkfifo(path, 0600);
}
static void bsd_beside(void)
{
    char bsd[120];

    snprintf(bsd, sizeof bsd, "%s/pop.auth.db", dir);
    rename(path, bsd);
}
static void bsd_185(void) { make_file(path, "\0\6\x15\x61\0\0\0\2\0\0\4\xd2\0\0\x10\0", 16); }
static void bsd_5(void) { make_file(path, "\0\0\0\0\1\0\0\0\0\0\0\0\x61\x15\6\0\11\0\0\0", 20); }
static void empty(void) { make_file(path, "", 0); }
static void text(void) { make_file(path, "alice:tanstaaf\nbob:secret\nand some more of it\n", 45); }
static void short_text(void) { make_file(path, "x\n", 2); }
static void old_ndbm(void)
{
    char page[1024] = { 4, 0, (char)0xfa, 3, (char)0xf0, 3 };

    unlink(path);
    make_file(pag, page, sizeof page);
    make_file(dirfile, "", 0);
}
static void swapped(void)
{
    char head[4096] = { 0x13, 0x57, (char)0x9a, (char)0xcf };

    make_file(path, head, sizeof head);
}
static void cut(void) { ck_assert_int_eq(truncate(path, 100), 0); }
static void cut_later(void) { ck_assert_int_eq(truncate(path, 5000), 0); }

static const struct {
    const char *name;
    void (*arrange)(void);
    enum apopdb_result look, open;
    const char *said;
} states[] = {
    { "missing", no_file, APOPDB_MISSING, APOPDB_MISSING, "popauth -init" },
    { "mode 0644", mode_644, APOPDB_UNSAFE, APOPDB_UNSAFE, "has mode 0644, but must have 0600" },
    { "mode 0640", mode_640, APOPDB_UNSAFE, APOPDB_UNSAFE, "chmod 0600" },
    { "mode 0400", mode_400, APOPDB_UNSAFE, APOPDB_UNSAFE, "has mode 0400" },
    { "mode 4600", mode_4600, APOPDB_UNSAFE, APOPDB_UNSAFE, "has mode 4600" },
    { "two links", two_links, APOPDB_UNSAFE, APOPDB_UNSAFE, "has 2 links" },
    { "symbolic link", symlinked, APOPDB_UNSAFE, APOPDB_UNSAFE, "symbolic link" },
    { "directory", directory, APOPDB_UNSAFE, APOPDB_UNSAFE, "regular file" },
    { "fifo", fifo, APOPDB_UNSAFE, APOPDB_UNSAFE, "regular file" },
    { "BSD beside", bsd_beside, APOPDB_FOREIGN, APOPDB_FOREIGN, "pop.auth.db is a database of BSD" },
    { "BSD 1.85", bsd_185, APOPDB_OK, APOPDB_FOREIGN, "CONVERSION" },
    { "BSD 5", bsd_5, APOPDB_OK, APOPDB_FOREIGN, "is a database of BSD" },
    { "empty", empty, APOPDB_OK, APOPDB_BROKEN, "is empty" },
    { "text", text, APOPDB_OK, APOPDB_FOREIGN, "no database of gdbm" },
    { "short text", short_text, APOPDB_OK, APOPDB_BROKEN, "damaged" },
    { "old ndbm", old_ndbm, APOPDB_OK, APOPDB_FOREIGN, "old ndbm" },
    { "byte-swapped", swapped, APOPDB_OK, APOPDB_FOREIGN, "another kind of machine" },
    { "cut in its head", cut, APOPDB_OK, APOPDB_BROKEN, "damaged" },
    { "cut in its bucket", cut_later, APOPDB_OK, APOPDB_BROKEN, "damaged" },
};

START_TEST(state_of_the_file)
{
    enum apopdb_result result;

    make_fixture(path);
    states[_i].arrange();
    result = apopdb_look(path, &why);
    ck_assert_msg(result == states[_i].look, "%s: look says %d: %s", states[_i].name, (int)result, why.data);
    result = try_open(false);
    ck_assert_msg(result == states[_i].open, "%s: open says %d: %s", states[_i].name, (int)result, why.data);
    ck_assert_msg(strstr(why.data, states[_i].said), "%s: %s", states[_i].name, why.data);
    ck_assert_msg(strstr(why.data, "pop.auth"), "%s: %s", states[_i].name, why.data);
    result = try_open(true);
    ck_assert_msg(result == states[_i].open, "%s: open for change says %d: %s", states[_i].name, (int)result, why.data);
}
END_TEST

START_TEST(owner_is_root_or_the_one_named)
{
    struct apopdb *db;

    if (geteuid() != 0)
        return;
    make_fixture(path);
    ck_assert_int_eq(chown(path, NOBODY, 0), 0);
    ck_assert_int_eq(try_open(false), APOPDB_UNSAFE);
    ck_assert_ptr_nonnull(strstr(why.data, "belongs to uid 65534"));
    ck_assert_int_eq(apopdb_open(path, 1234, false, 0, &db, &why), APOPDB_UNSAFE);
    ck_assert_ptr_nonnull(strstr(why.data, "must belong to uid 1234 or root: chown 1234 "));
    ck_assert_int_eq(apopdb_open(path, NOBODY, false, 0, &db, &why), APOPDB_OK);
    ck_assert_uint_eq(apopdb_owner(db), NOBODY);
    apopdb_close(&db);
}
END_TEST

START_TEST(without_rights_it_is_unsafe)
{
    if (geteuid() != 0)
        return;
    make_fixture(path);
    ck_assert_int_eq(chmod(dir, 0755), 0);
    ck_assert_int_eq(seteuid(NOBODY), 0);
    ck_assert_int_eq(try_open(false), APOPDB_UNSAFE);
    ck_assert_int_eq(seteuid(0), 0);
    ck_assert_ptr_nonnull(strstr(why.data, "cannot be opened for reading by uid 65534"));
}
END_TEST

/* ---- locks */

START_TEST(readers_share_writers_do_not)
{
    struct apopdb *a, *b;

    make_fixture(path);
    a = opened(false);
    b = opened(false);
    ck_assert_int_eq(try_open(true), APOPDB_BUSY);
    ck_assert_ptr_nonnull(strstr(why.data, "fuser"));
    apopdb_close(&a);
    apopdb_close(&b);
    a = opened(true);
    ck_assert_int_eq(try_open(false), APOPDB_BUSY);
    ck_assert_int_eq(try_open(true), APOPDB_BUSY);
    apopdb_close(&a);
    ck_assert_int_eq(try_open(true), APOPDB_OK);
}
END_TEST

START_TEST(gdbms_own_lock_counts)
{
    GDBM_FILE db;

    make_fixture(path);
    db = gdbm_open(path, 0, GDBM_WRITER, 0, NULL);
    ck_assert_int_eq(try_open(false), APOPDB_BUSY);
    gdbm_close(db);
    db = gdbm_open(path, 0, GDBM_READER, 0, NULL);
    ck_assert_int_eq(try_open(false), APOPDB_OK);
    ck_assert_int_eq(try_open(true), APOPDB_BUSY);
    gdbm_close(db);
}
END_TEST

static int add_dave(void)
{
    struct apopdb *db;

    if (apopdb_open(path, NO_OWNER, true, 3000, &db, &why) != APOPDB_OK)
        return 1;
    if (apopdb_set_secret(db, "dave", "d", &why) != APOPDB_OK || apopdb_commit(db, &why) != APOPDB_OK)
        return 2;
    apopdb_close(&db);
    return 0;
}

START_TEST(who_waited_changes_the_new_file)
{
    struct apopdb *db;
    int status;
    pid_t pid;

    make_fixture(path);
    db = opened(true);
    pid = fork();
    if (pid == 0) {
        apopdb_close(&db);
        _exit(add_dave());
    }
    usleep(50000);
    ck_assert_int_eq(apopdb_set_secret(db, "carol", "c", &why), APOPDB_OK);
    ck_assert_int_eq(apopdb_commit(db, &why), APOPDB_OK);
    apopdb_close(&db);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    assert_secret("carol", "c");
    assert_secret("dave", "d");
}
END_TEST

/* Puts a new file in the place of the old one, again and again, and lets nobody have the lock in between. */
static _Noreturn void change_and_change(int ready)
{
    char next[120];
    int fd = open(path, O_RDONLY), next_fd;

    snprintf(next, sizeof next, "%s/next", dir);
    if (flock(fd, LOCK_EX) < 0 || write(ready, "", 1) != 1)
        _exit(1);
    for (int i = 0; i < 8; i++) {
        make_fixture(next);
        next_fd = open(next, O_RDONLY);
        if (flock(next_fd, LOCK_EX) < 0)
            _exit(1);
        usleep(60000);
        if (rename(next, path) < 0)
            _exit(1);
        close(fd);
        fd = next_fd;
    }
    _exit(0);
}

/* As a script does that adds many users: logins wait their time, and no less. */
START_TEST(many_changes_lock_nobody_out)
{
    struct apopdb *db;
    int ends[2], status;
    char byte;
    pid_t pid;

    make_fixture(path);
    ck_assert_int_eq(pipe(ends), 0);
    pid = fork();
    if (pid == 0)
        change_and_change(ends[1]);
    ck_assert_int_eq(read(ends[0], &byte, 1), 1);
    ck_assert_msg(apopdb_open(path, NO_OWNER, false, 20000, &db, &why) == APOPDB_OK, "%s", why.data);
    apopdb_close(&db);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(replaced_while_it_is_opened)
{
    struct apopdb *db;

    make_fixture(path);
    snprintf(next_file, sizeof next_file, "%s/next", dir);
    make_fixture(next_file);
    putthere_where = path;
    putthere_file = next_file;
    db = opened(false);
    ck_assert_ptr_null(putthere_file);
    apopdb_close(&db);
    assert_secret("alice", "tanstaaf");
}
END_TEST

/* ---- changes */

START_TEST(changes_are_what_qpopper_reads)
{
    make_fixture(path);
    set_secret("alice", "other");
    set_secret("carol", "abc");
    assert_secret("alice", "other");
    ck_assert_str_eq(raw(path, "carol", 6), "\x9e\x9d\x9c");
    assert_secret("bob", "s3cret \xc3\xa4");
}
END_TEST

START_TEST(change_replaces_the_file)
{
    struct stat st;
    ino_t before;
    struct apopdb *reader;
    struct apopdb_user user;
    char leftover[130];

    make_fixture(path);
    snprintf(leftover, sizeof leftover, "%s/.pop.auth.popauth", dir);
    make_file(leftover, "torn", 4);
    before = inode(path);
    set_secret("alice", "other");
    ck_assert_uint_ne(inode(path), before);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    ck_assert_int_eq(files_in_directory(), 1);
    /* A reader who had it open before sees the old content to the end, since nobody can commit meanwhile. */
    reader = opened(false);
    ck_assert_int_eq(apopdb_find(reader, "alice", &user, &why), APOPDB_OK);
    ck_assert_str_eq(user.secret, "other");
    apopdb_close(&reader);
}
END_TEST

START_TEST(owner_stays_when_root_changes)
{
    struct apopdb *db;
    struct stat st;

    if (geteuid() != 0)
        return;
    make_fixture(path);
    ck_assert_int_eq(chown(path, NOBODY, 4321), 0);
    ck_assert_int_eq(apopdb_open(path, NOBODY, true, 0, &db, &why), APOPDB_OK);
    ck_assert_int_eq(apopdb_set_secret(db, "carol", "c", &why), APOPDB_OK);
    ck_assert_int_eq(apopdb_commit(db, &why), APOPDB_OK);
    apopdb_close(&db);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_uid, NOBODY);
    ck_assert_uint_eq(st.st_gid, 4321);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
}
END_TEST

START_TEST(nothing_happens_without_commit)
{
    struct apopdb *db;
    ino_t before;

    make_fixture(path);
    before = inode(path);
    db = opened(true);
    ck_assert_int_eq(apopdb_set_secret(db, "alice", "other", &why), APOPDB_OK);
    ck_assert_int_eq(apopdb_delete(db, "bob", &why), APOPDB_OK);
    apopdb_close(&db);
    assert_secret("alice", "tanstaaf");
    assert_secret("bob", "s3cret \xc3\xa4");
    ck_assert_uint_eq(inode(path), before);
    ck_assert_int_eq(files_in_directory(), 1);
}
END_TEST

START_TEST(deleted_is_gone)
{
    struct apopdb *db;

    make_fixture(path);
    db = opened(true);
    ck_assert_int_eq(apopdb_set_scram(db, "bob", "x", &why), APOPDB_OK);
    ck_assert_int_eq(apopdb_delete(db, "alice", &why), APOPDB_OK);
    ck_assert_int_eq(apopdb_delete(db, "bob", &why), APOPDB_OK);
    ck_assert_int_eq(apopdb_delete(db, "nobody", &why), APOPDB_OK);
    ck_assert_int_eq(apopdb_commit(db, &why), APOPDB_OK);
    apopdb_close(&db);
    ck_assert(!found("alice").present);
    ck_assert(!found("bob").present);
    ck_assert_ptr_null(raw(path, "\001bob", 5));
}
END_TEST

START_TEST(scram_leaves_nothing_worth_stealing)
{
    struct apopdb *db;
    struct apopdb_user user;
    int hash;

    make_fixture(path);
    db = opened(true);
    ck_assert_int_eq(apopdb_set_scram(db, "alice", "pencil", &why), APOPDB_OK);
    ck_assert_int_eq(apopdb_commit(db, &why), APOPDB_OK);
    apopdb_close(&db);
    user = found("alice");
    ck_assert(user.present && !user.has_secret);
    ck_assert_ptr_null(raw(path, "alice", 6));
    for (hash = 0; hash < SCRAM_HASHES; hash++) {
        const struct scram_keys *k = &user.scram[hash];
        struct scram_keys same;

        ck_assert_uint_eq(k->iterations, SCRAM_ITERATIONS);
        scram_derive((enum scram_hash)hash, "pencil", k->salt, k->salt_length, k->iterations, &same);
        ck_assert_mem_eq(&same, k, sizeof same);
    }
    ck_assert_mem_ne(user.scram[0].salt, user.scram[1].salt, SCRAM_SALT_NEW);
    ck_assert_int_eq(strncmp(raw(path, "\001alice", 7), "SCRAM-SHA-1$10000:", 18), 0);
    /* And back. */
    set_secret("alice", "tanstaaf");
    user = found("alice");
    ck_assert(user.has_secret && user.scram[0].iterations == 0 && user.scram[1].iterations == 0);
}
END_TEST

START_TEST(seed_is_made_once)
{
    unsigned char one[APOPDB_SEED_SIZE], two[APOPDB_SEED_SIZE];
    struct apopdb *db;

    make_fixture(path);
    db = opened(false);
    ck_assert(!apopdb_seed(db, one));
    apopdb_close(&db);
    set_secret("carol", "c");
    db = opened(false);
    ck_assert(apopdb_seed(db, one));
    apopdb_close(&db);
    set_secret("carol", "d");
    db = opened(false);
    ck_assert(apopdb_seed(db, two));
    apopdb_close(&db);
    ck_assert_mem_eq(one, two, sizeof one);
}
END_TEST

/* Somebody or nobody: the same salt each time, another one for each name and kind; there is one for every text. */
START_TEST(salts_stay)
{
    struct apopdb_user alice, again, nobody, after;
    unsigned char none[SCRAM_SALT_NEW] = { 0 };

    make_fixture(path);
    if (_i == 1)
        set_secret("carol", "c");
    alice = found("alice");
    again = found("alice");
    nobody = found("nobody");
    ck_assert(alice.present && !nobody.present);
    ck_assert_mem_eq(alice.salt, again.salt, sizeof alice.salt);
    ck_assert_mem_ne(alice.salt, nobody.salt, sizeof alice.salt);
    ck_assert_mem_ne(alice.salt[SCRAM_SHA1], alice.salt[SCRAM_SHA256], SCRAM_SALT_NEW);
    ck_assert_mem_ne(nobody.salt[SCRAM_SHA1], none, SCRAM_SALT_NEW);
    ck_assert_mem_ne(found("").salt[SCRAM_SHA1], none, SCRAM_SALT_NEW);
    ck_assert_mem_ne(found("\1strange\377").salt[SCRAM_SHA1], none, SCRAM_SALT_NEW);
    /* With a seed they outlive changes, of the user and of others. */
    set_secret("alice", "another");
    after = found("alice");
    ck_assert_int_eq(memcmp(alice.salt, after.salt, sizeof alice.salt) == 0, _i == 1);
}
END_TEST

START_TEST(salts_differ_between_databases)
{
    struct apopdb_user one, two;

    ck_assert_int_eq(apopdb_create(path, geteuid(), getegid(), false, 0, &why), APOPDB_OK);
    one = found("alice");
    ck_assert_int_eq(apopdb_create(path, geteuid(), getegid(), true, 0, &why), APOPDB_OK);
    two = found("alice");
    ck_assert_mem_ne(one.salt, two.salt, sizeof one.salt);
}
END_TEST

static struct strbuf listed = STRBUF_INIT(10000);
static int list_most;

static bool list_one(void *context, const char *name)
{
    (void)context;
    strbuf_addf(&listed, "<%s>", name);
    return --list_most != 0;
}

START_TEST(everybody_is_listed_once)
{
    struct apopdb *db;
    GDBM_FILE raw_db;
    int i;

    make_fixture(path);
    db = opened(true);
    ck_assert_int_eq(apopdb_set_scram(db, "carol", "x", &why), APOPDB_OK);
    ck_assert_int_eq(apopdb_commit(db, &why), APOPDB_OK);
    apopdb_close(&db);
    raw_db = gdbm_open(path, 0, GDBM_WRITER, 0, NULL);
    put(raw_db, "\001alice", 7, "SCRAM", 6);  /* both keys */
    put(raw_db, "no NUL", 6, "x", 1);
    put(raw_db, "two\0names", 10, "x", 1);
    put(raw_db, "\002odd", 5, "x", 1);
    put(raw_db, "", 1, "x", 1);
    gdbm_close(raw_db);
    db = opened(false);
    ck_assert_int_eq(apopdb_list(db, list_one, NULL, &why), APOPDB_OK);
    ck_assert_uint_eq(listed.len, strlen("<alice><bob><carol>"));
    ck_assert(strstr(listed.data, "<alice>") && strstr(listed.data, "<bob>") && strstr(listed.data, "<carol>"));
    strbuf_reset(&listed);
    list_most = 2;
    ck_assert_int_eq(apopdb_list(db, list_one, NULL, &why), APOPDB_OK);
    for (i = 0; listed.data[i] != '>'; i++)
        continue;
    ck_assert(strchr(listed.data + i + 1, '>') && !strchr(strchr(listed.data + i + 1, '>') + 1, '>'));
    apopdb_close(&db);
}
END_TEST

START_TEST(many_users)
{
    struct apopdb *db;
    char name[20], secret[30];
    int i;

    ck_assert_int_eq(apopdb_create(path, geteuid(), getegid(), false, 0, &why), APOPDB_OK);
    db = opened(true);
    for (i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "user%d", i);
        snprintf(secret, sizeof secret, "secret of %d", i);
        ck_assert_int_eq(apopdb_set_secret(db, name, secret, &why), APOPDB_OK);
    }
    ck_assert_int_eq(apopdb_commit(db, &why), APOPDB_OK);
    apopdb_close(&db);
    assert_secret("user0", "secret of 0");
    assert_secret("user2999", "secret of 2999");
    assert_secret("user3000", NULL);
}
END_TEST

/* ---- failures of a change */

static int writes_to_fail; /* the n-th from now on, and those after it as many as fail_count */
static int fail_count;

ssize_t __wrap_file_pwrite(int fd, const void *buf, size_t n, off_t at);
ssize_t __real_file_pwrite(int fd, const void *buf, size_t n, off_t at);
ssize_t __wrap_file_pwrite(int fd, const void *buf, size_t n, off_t at)
{
    if (writes_to_fail > 0 && --writes_to_fail == 0 && fail_count-- > 0) {
        writes_to_fail = 1;
        __real_file_pwrite(fd, buf, n / 2, at);
        errno = ENOSPC;
        return -1;
    }
    return __real_file_pwrite(fd, buf, n, at);
}

ssize_t __wrap_file_write(int fd, const void *buf, size_t n);
ssize_t __real_file_write(int fd, const void *buf, size_t n);
static bool full;
ssize_t __wrap_file_write(int fd, const void *buf, size_t n)
{
    if (!full)
        return __real_file_write(fd, buf, n);
    __real_file_write(fd, buf, n / 2);
    errno = ENOSPC;
    return -1;
}

/* As the owner of the file in a directory that he may not write to. */
static void go_in_place(void)
{
    if (geteuid() == 0) {
        ck_assert_int_eq(chown(path, NOBODY, 0), 0);
        ck_assert_int_eq(chmod(dir, 0755), 0);
        ck_assert_int_eq(seteuid(NOBODY), 0);
    } else {
        ck_assert_int_eq(chmod(dir, 0500), 0);
    }
}

static void come_back(void)
{
    if (getuid() == 0)
        ck_assert_int_eq(seteuid(0), 0);
}

START_TEST(full_disk_changes_nothing)
{
    struct apopdb *db;

    make_fixture(path);
    db = opened(true);
    ck_assert_int_eq(apopdb_set_secret(db, "alice", "other", &why), APOPDB_OK);
    full = true;
    ck_assert_int_eq(apopdb_commit(db, &why), APOPDB_BROKEN);
    full = false;
    ck_assert_ptr_nonnull(strstr(why.data, "was not changed"));
    ck_assert_ptr_nonnull(strstr(why.data, "No space left"));
    apopdb_close(&db);
    assert_secret("alice", "tanstaaf");
    ck_assert_int_eq(files_in_directory(), 1);
}
END_TEST

START_TEST(in_place_where_the_directory_is_not_ours)
{
    ino_t before;

    make_fixture(path);
    before = inode(path);
    go_in_place();
    set_secret("alice", "other");
    set_secret("carol", "c");
    assert_secret("alice", "other");
    assert_secret("carol", "c");
    come_back();
    ck_assert_uint_eq(inode(path), before);
    ck_assert_int_eq(files_in_directory(), 1);
}
END_TEST

START_TEST(in_place_puts_the_old_back)
{
    struct apopdb *db;

    make_fixture(path);
    go_in_place();
    db = opened(true);
    ck_assert_int_eq(apopdb_set_secret(db, "alice", "other", &why), APOPDB_OK);
    writes_to_fail = fail_count = 1;
    ck_assert_int_eq(apopdb_commit(db, &why), APOPDB_BROKEN);
    ck_assert_ptr_nonnull(strstr(why.data, "was not changed"));
    apopdb_close(&db);
    assert_secret("alice", "tanstaaf");
    assert_secret("bob", "s3cret \xc3\xa4");
    come_back();
}
END_TEST

START_TEST(in_place_says_when_it_cannot)
{
    struct apopdb *db;

    make_fixture(path);
    go_in_place();
    db = opened(true);
    ck_assert_int_eq(apopdb_set_secret(db, "alice", "other", &why), APOPDB_OK);
    writes_to_fail = 1;
    fail_count = 2;
    ck_assert_int_eq(apopdb_commit(db, &why), APOPDB_BROKEN);
    ck_assert_ptr_nonnull(strstr(why.data, "DAMAGED"));
    apopdb_close(&db);
    come_back();
}
END_TEST

/* ---- new databases */

START_TEST(created_empty_and_tight)
{
    struct stat st;
    unsigned char seed[APOPDB_SEED_SIZE];
    struct apopdb *db;

    umask(0);
    ck_assert_msg(apopdb_create(path, geteuid(), getegid(), false, 0, &why) == APOPDB_OK, "%s", why.data);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    ck_assert_uint_eq(st.st_nlink, 1);
    ck_assert_int_eq(files_in_directory(), 1);
    db = opened(false);
    ck_assert(apopdb_seed(db, seed));
    ck_assert_int_eq(apopdb_list(db, list_one, NULL, &why), APOPDB_OK);
    ck_assert_str_eq(listed.data, "");
    apopdb_close(&db);
}
END_TEST

START_TEST(created_for_an_owner)
{
    struct stat st;

    if (geteuid() != 0)
        return;
    ck_assert_int_eq(apopdb_create(path, NOBODY, 4321, false, 0, &why), APOPDB_OK);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_uid, NOBODY);
    ck_assert_uint_eq(st.st_gid, 4321);
}
END_TEST

START_TEST(creating_spares_or_replaces)
{
    struct apopdb *db;

    make_fixture(path);
    ck_assert_int_eq(apopdb_create(path, geteuid(), getegid(), false, 0, &why), APOPDB_EXISTS);
    ck_assert_ptr_nonnull(strstr(why.data, "already"));
    assert_secret("alice", "tanstaaf");
    db = opened(true);
    ck_assert_int_eq(apopdb_create(path, geteuid(), getegid(), true, 0, &why), APOPDB_BUSY);
    apopdb_close(&db);
    ck_assert_int_eq(apopdb_create(path, geteuid(), getegid(), true, 0, &why), APOPDB_OK);
    ck_assert(!found("alice").present);
    ck_assert_int_eq(files_in_directory(), 1);
}
END_TEST

START_TEST(creating_spares_or_replaces_the_pair)
{
    make_fixture(pag);
    ck_assert_int_eq(link(pag, dirfile), 0);
    ck_assert_int_eq(apopdb_create(path, geteuid(), getegid(), false, 0, &why), APOPDB_EXISTS);
    assert_secret("alice", "tanstaaf");
    ck_assert_int_eq(apopdb_create(path, geteuid(), getegid(), true, 0, &why), APOPDB_OK);
    ck_assert(!found("alice").present);
    ck_assert_int_eq(files_in_directory(), 1);
}
END_TEST

START_TEST(creating_does_not_follow_links)
{
    char victim[120];
    struct stat st;

    snprintf(victim, sizeof victim, "%s/victim", dir);
    make_file(victim, "precious", 8);
    ck_assert_int_eq(symlink(victim, path), 0);
    ck_assert_int_eq(apopdb_create(path, geteuid(), getegid(), false, 0, &why), APOPDB_EXISTS);
    ck_assert_int_eq(apopdb_create(path, geteuid(), getegid(), true, 0, &why), APOPDB_OK);
    ck_assert_int_eq(stat(victim, &st), 0);
    ck_assert_int_eq(st.st_size, 8);
    ck_assert_int_eq(lstat(path, &st), 0);
    ck_assert(S_ISREG(st.st_mode));
}
END_TEST

START_TEST(creating_in_no_directory)
{
    ck_assert_int_eq(apopdb_create("/nonexistent/pop.auth", geteuid(), getegid(), true, 0, &why), APOPDB_BROKEN);
    ck_assert_ptr_nonnull(strstr(why.data, "/nonexistent/pop.auth cannot be made: No such file"));
}
END_TEST

/* ---- damage */

#define MUTATIONS 200

/* What gdbm held when it gave up cannot be freed any more: not to be told in builds with sanitizers. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

/* All that a server and popauth do, on whatever is there. */
static void exercise(void)
{
    struct apopdb *db;
    struct apopdb_user user;
    unsigned char seed[APOPDB_SEED_SIZE];

    list_most = 0;
    strbuf_reset(&listed);
    if (apopdb_open(path, NO_OWNER, false, 0, &db, &why) == APOPDB_OK) {
        apopdb_find(db, "alice", &user, &why);
        apopdb_find(db, "nobody", &user, &why);
        apopdb_seed(db, seed);
        apopdb_list(db, list_one, NULL, &why);
    }
    apopdb_close(&db);
    if (apopdb_open(path, NO_OWNER, true, 0, &db, &why) == APOPDB_OK) {
        apopdb_set_secret(db, "carol", "secret", &why);
        apopdb_delete(db, "alice", &why);
    }
    apopdb_close(&db);
}

/* A few bytes changed, most of them where the header and the directory are, and now and then the end cut off. */
static void damage(char *bytes, size_t *n, int i, unsigned *seed)
{
    int j;

    for (j = 0; j <= i % 7; j++) {
        size_t region = i % 2 ? 120 : rand_r(seed) % 3 ? 8192 : *n;

        bytes[(size_t)rand_r(seed) % region] = (char)(rand_r(seed) % 4 ? rand_r(seed) : 0xff);
    }
    if (i % 10 == 9)
        *n = (size_t)rand_r(seed) % *n;
}

/* A process that ends by a signal, by exit or by the clock fails the test. */
START_TEST(damage_is_an_error)
{
    struct strbuf good = STRBUF_INIT(1 << 20);
    unsigned seed = (unsigned)_i * 7919 + 1;
    int i, fd;

    make_fixture(path);
    fd = open(path, O_RDONLY);
    ck_assert_int_eq(file_slurp(fd, good.max, path, &good, &why), 0);
    close(fd);
    for (i = 0; i < MUTATIONS; i++) {
        char bytes[1 << 16];
        size_t n = good.len;

        ck_assert_uint_le(n, sizeof bytes);
        memcpy(bytes, good.data, n);
        damage(bytes, &n, i, &seed);
        make_file(path, bytes, n);
        exercise();
    }
    strbuf_free(&good);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("apopdb");
    TCase *tc = tcase_create("apopdb");
    /* Damaged numbers must not make gdbm ask for all memory there is. */
    const struct rlimit memory = { (rlim_t)4 << 30, (rlim_t)4 << 30 };

    if (!getenv("ASAN_OPTIONS") && !getenv("POPPER_SANITIZED"))
        setrlimit(RLIMIT_DATA, &memory);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, reads_what_qpopper_wrote);
    tcase_add_test(tc, reads_the_pair_of_the_ndbm_face);
    tcase_add_test(tc, old_pair_is_one_file_with_two_names);
    tcase_add_test(tc, looked_at_while_the_pair_is_replaced);
    tcase_add_test(tc, single_file_wins_over_the_pair);
    tcase_add_loop_test(tc, odd_values, 0, LEN(values));
    tcase_add_test(tc, longest_secret_and_beyond);
    tcase_add_test(tc, names_that_cannot_be);
    tcase_add_test(tc, secrets_that_cannot_be);
    tcase_add_loop_test(tc, state_of_the_file, 0, LEN(states));
    tcase_add_test(tc, owner_is_root_or_the_one_named);
    tcase_add_test(tc, without_rights_it_is_unsafe);
    tcase_add_test(tc, readers_share_writers_do_not);
    tcase_add_test(tc, gdbms_own_lock_counts);
    tcase_add_test(tc, who_waited_changes_the_new_file);
    tcase_add_test(tc, many_changes_lock_nobody_out);
    tcase_add_test(tc, replaced_while_it_is_opened);
    tcase_add_test(tc, changes_are_what_qpopper_reads);
    tcase_add_test(tc, change_replaces_the_file);
    tcase_add_test(tc, owner_stays_when_root_changes);
    tcase_add_test(tc, nothing_happens_without_commit);
    tcase_add_test(tc, deleted_is_gone);
    tcase_add_test(tc, scram_leaves_nothing_worth_stealing);
    tcase_add_test(tc, seed_is_made_once);
    tcase_add_loop_test(tc, salts_stay, 0, 2);
    tcase_add_test(tc, salts_differ_between_databases);
    tcase_add_test(tc, everybody_is_listed_once);
    tcase_add_test(tc, many_users);
    tcase_add_test(tc, full_disk_changes_nothing);
    tcase_add_test(tc, in_place_where_the_directory_is_not_ours);
    tcase_add_test(tc, in_place_puts_the_old_back);
    tcase_add_test(tc, in_place_says_when_it_cannot);
    tcase_add_test(tc, created_empty_and_tight);
    tcase_add_test(tc, created_for_an_owner);
    tcase_add_test(tc, creating_spares_or_replaces);
    tcase_add_test(tc, creating_spares_or_replaces_the_pair);
    tcase_add_test(tc, creating_does_not_follow_links);
    tcase_add_test(tc, creating_in_no_directory);
    tcase_add_loop_test(tc, damage_is_an_error, 0, 10);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
