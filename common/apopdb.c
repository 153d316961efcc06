/*
 * apopdb: see apopdb.h. What stands under which key, and how it is encoded; the file is apopfile's, the database
 * gdbmfile's. Everything that was read counts as damaged until it has been looked at, and is wiped after use.
 */
#include "config.h"

#include "common/apopdb.h"

#include <string.h>
#include <unistd.h>

#include "common/apopfile.h"
#include "common/gdbmfile.h"
#include "common/mem.h"

#define LEADER '\001' /* of the keys that are nobody's name */
#define KEY_MAX (APOPDB_NAME_MAX + 2)
#define VALUE_MAX 4096
#define SALTED_MAX 2048 /* bytes of a name, and more, that count for its salt */

struct apopdb {
    struct apopfile *file;
    struct gdbmfile *gdbm;
};

bool apopdb_name_valid(const char *name)
{
    size_t n = strlen(name);

    return n >= 1 && n <= APOPDB_NAME_MAX && (unsigned char)name[0] > ' ' && name[0] != 127;
}

bool apopdb_secret_valid(const char *secret)
{
    const unsigned char *at;
    size_t n = strlen(secret);

    for (at = (const unsigned char *)secret; *at; at++)
        if (*at < ' ' || *at == 127)
            return false;
    return n >= 1 && n <= APOPDB_SECRET_MAX;
}

/* why gets the file's name and what to do. */
static enum apopdb_result explain(const char *shown, enum gdbmfile_result result, struct strbuf *why)
{
    struct strbuf what = STRBUF_INIT(STRBUF_WHY_MAX);
    const char *remedy = "";

    strbuf_adds(&what, why->data);
    if (result == GDBMFILE_FOREIGN)
        remedy = "; convert it as popauth(8) says under CONVERSION";
    else if (result == GDBMFILE_BROKEN)
        remedy = "; restore it from a backup, or make a new one with popauth -init";
    strbuf_fail(why, "the database of secrets %s %s%s", shown, what.data, remedy);
    strbuf_free(&what);
    switch (result) {
    case GDBMFILE_FOREIGN:
        return APOPDB_FOREIGN;
    case GDBMFILE_NOT_BUILT:
        return APOPDB_NOT_BUILT;
    default:
        return APOPDB_BROKEN;
    }
}

/* ---- keys */

/* Its length, NUL and all. name: at most APOPDB_NAME_MAX bytes. */
static size_t make_key(char key[KEY_MAX], bool leader, const char *name)
{
    size_t n = strlen(name), at = 0;

    if (leader)
        key[at++] = LEADER;
    memcpy(key + at, name, n + 1);
    return at + n + 1;
}

/* False: the key is about nobody. */
static bool name_of_key(const char *key, size_t n, char name_r[APOPDB_NAME_MAX + 1])
{
    if (n > 0 && *key == LEADER) {
        key++;
        n--;
    }
    if (n < 2 || n > APOPDB_NAME_MAX + 1 || memchr(key, '\0', n) != key + n - 1)
        return false;
    memcpy(name_r, key, n);
    return apopdb_name_valid(name_r);
}

/* found_r: there is a value. */
static enum apopdb_result fetch(struct apopdb *db, bool leader, const char *name, struct strbuf *value, bool *found_r,
                                struct strbuf *why)
{
    char key[KEY_MAX];
    size_t n = make_key(key, leader, name);
    enum gdbmfile_result result = gdbmfile_fetch(db->gdbm, key, n, value, why);

    *found_r = result == GDBMFILE_OK;
    return *found_r || result == GDBMFILE_NONE ? APOPDB_OK : explain(apopfile_shown(db->file), result, why);
}

/* ---- values */

/* False: nothing that could be a secret. */
static bool decode_secret(const struct strbuf *value, char secret_r[APOPDB_SECRET_MAX + 1])
{
    size_t n = strcspn(value->data, "\xff"), i; /* an end that was encoded, too, is an end */

    if (n == 0 || n > APOPDB_SECRET_MAX)
        return false;
    for (i = 0; i < n; i++)
        secret_r[i] = (char)(value->data[i] ^ 0xff);
    secret_r[n] = '\0';
    return true;
}

static void encode_secret(const char *secret, struct strbuf *value)
{
    for (; *secret; secret++)
        strbuf_addc(value, (char)(*secret ^ 0xff));
}

/* Lines that we do not know are somebody's extension, and passed over. */
static void decode_scram(const struct strbuf *value, struct scram_keys keys_r[SCRAM_HASHES])
{
    const char *at = value->data, *limit = at + strlen(at);

    while (at < limit) {
        size_t n = strcspn(at, "\n");
        int hash;

        for (hash = 0; hash < SCRAM_HASHES; hash++)
            if (keys_r[hash].iterations == 0)
                scram_parse((enum scram_hash)hash, at, n, &keys_r[hash]);
        at += n + (at[n] == '\n');
    }
}

static void encode_scram(const char *secret, struct strbuf *value)
{
    struct scram_keys keys;
    unsigned char salt[SCRAM_SALT_NEW];
    int hash;

    for (hash = 0; hash < SCRAM_HASHES; hash++) {
        digest_random(salt, sizeof salt);
        scram_derive((enum scram_hash)hash, secret, salt, sizeof salt, SCRAM_ITERATIONS, &keys);
        scram_format((enum scram_hash)hash, &keys, value);
        strbuf_addc(value, '\n');
    }
    mem_wipe(&keys, sizeof keys);
}

bool apopdb_seed(struct apopdb *db, unsigned char seed_r[APOPDB_SEED_SIZE])
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX), value = STRBUF_INIT(100), bytes = STRBUF_INIT(APOPDB_SEED_SIZE);
    bool found;

    fetch(db, true, "", &value, &found, &why);
    found = found && digest_base64_decode(value.data, strlen(value.data), &bytes) == 0 && bytes.len == APOPDB_SEED_SIZE;
    if (found)
        memcpy(seed_r, bytes.data, APOPDB_SEED_SIZE);
    strbuf_free(&bytes);
    strbuf_free(&value);
    strbuf_free(&why);
    return found;
}

/* Without a seed: from what changes when anybody writes to the file. It needs no more: then no user has a salt of his
   own either, and the salts say nothing about the secrets. */
static void make_key_of_file(const struct apopdb *db, unsigned char key_r[APOPDB_SEED_SIZE])
{
    struct strbuf text = STRBUF_INIT(300);
    struct stat st;

    apopfile_stat(db->file, &st);
    strbuf_addf(&text, "%llu %llu %lld %ld", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino,
                (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
    digest_sha256(text.data, text.len, key_r);
    strbuf_free(&text);
}

static void make_salts(struct apopdb *db, const char *name, struct apopdb_user *user)
{
    unsigned char key[APOPDB_SEED_SIZE], salt[DIGEST_SHA256_SIZE];
    struct strbuf text = STRBUF_INIT(SALTED_MAX);
    int hash;

    if (!apopdb_seed(db, key))
        make_key_of_file(db, key);
    for (hash = 0; hash < SCRAM_HASHES; hash++) {
        strbuf_reset(&text);
        strbuf_addf(&text, "%s %s", scram_name((enum scram_hash)hash), name);
        digest_hmac_sha256(key, sizeof key, text.data, text.len, salt);
        memcpy(user->salt[hash], salt, SCRAM_SALT_NEW);
    }
    mem_wipe(key, sizeof key);
    mem_wipe(salt, sizeof salt);
    strbuf_free(&text);
}

enum apopdb_result apopdb_find(struct apopdb *db, const char *name, struct apopdb_user *user_r, struct strbuf *why)
{
    struct strbuf value = STRBUF_INIT(VALUE_MAX);
    bool plain = false, verifiers = false;
    enum apopdb_result result;

    memset(user_r, 0, sizeof *user_r);
    make_salts(db, name, user_r);
    if (!apopdb_name_valid(name))
        return APOPDB_OK;
    result = fetch(db, false, name, &value, &plain, why);
    if (plain)
        user_r->has_secret = decode_secret(&value, user_r->secret);
    if (result == APOPDB_OK)
        result = fetch(db, true, name, &value, &verifiers, why);
    if (verifiers)
        decode_scram(&value, user_r->scram);
    user_r->present = plain || verifiers;
    strbuf_free(&value);
    return result;
}

/* ---- all users */

struct listing {
    struct apopdb *db;
    apopdb_each *each;
    void *context;
    enum apopdb_result result;
    struct strbuf *why;
};

static bool list_key(void *context, const void *key, size_t n)
{
    struct listing *l = context;
    char name[APOPDB_NAME_MAX + 1];
    struct strbuf value = STRBUF_INIT(VALUE_MAX);
    bool twice = false;

    if (!name_of_key(key, n, name))
        return true;
    /* A user with both keys is told at the plain one. */
    if (*(const char *)key == LEADER)
        l->result = fetch(l->db, false, name, &value, &twice, l->why);
    strbuf_free(&value);
    return l->result == APOPDB_OK && (twice || l->each(l->context, name));
}

enum apopdb_result apopdb_list(struct apopdb *db, apopdb_each *each, void *context, struct strbuf *why)
{
    struct listing l = { db, each, context, APOPDB_OK, why };
    enum gdbmfile_result result = gdbmfile_keys(db->gdbm, list_key, &l, why);

    return result == GDBMFILE_OK ? l.result : explain(apopfile_shown(db->file), result, why);
}

/* ---- changes */

static enum apopdb_result store(struct apopdb *db, bool leader, const char *name, const struct strbuf *value,
                                struct strbuf *why)
{
    char key[KEY_MAX];
    size_t n = make_key(key, leader, name);
    enum gdbmfile_result result = gdbmfile_store(db->gdbm, key, n, value->data, value->len + 1, why);

    return result == GDBMFILE_OK ? APOPDB_OK : explain(apopfile_shown(db->file), result, why);
}

static enum apopdb_result delete(struct apopdb *db, bool leader, const char *name, struct strbuf *why)
{
    char key[KEY_MAX];
    size_t n = make_key(key, leader, name);
    enum gdbmfile_result result = gdbmfile_delete(db->gdbm, key, n, why);

    return result == GDBMFILE_OK ? APOPDB_OK : explain(apopfile_shown(db->file), result, why);
}

static void make_seed(struct strbuf *text)
{
    unsigned char seed[APOPDB_SEED_SIZE];

    digest_random(seed, sizeof seed);
    digest_base64(text, seed, sizeof seed);
}

/* Every database that we change gets the bytes for salts. */
static enum apopdb_result plant_seed(struct apopdb *db, struct strbuf *why)
{
    unsigned char seed[APOPDB_SEED_SIZE];
    struct strbuf text = STRBUF_INIT(100);
    enum apopdb_result result = APOPDB_OK;

    if (!apopdb_seed(db, seed)) {
        make_seed(&text);
        result = store(db, true, "", &text, why);
    }
    strbuf_free(&text);
    return result;
}

static enum apopdb_result set(struct apopdb *db, bool leader, const char *name, const struct strbuf *value,
                              struct strbuf *why)
{
    enum apopdb_result result = store(db, leader, name, value, why);

    if (result == APOPDB_OK)
        result = delete(db, !leader, name, why);
    return result == APOPDB_OK ? plant_seed(db, why) : result;
}

enum apopdb_result apopdb_set_secret(struct apopdb *db, const char *name, const char *secret, struct strbuf *why)
{
    struct strbuf value = STRBUF_INIT(APOPDB_SECRET_MAX);
    enum apopdb_result result;

    encode_secret(secret, &value);
    result = set(db, false, name, &value, why);
    strbuf_free(&value);
    return result;
}

enum apopdb_result apopdb_set_scram(struct apopdb *db, const char *name, const char *secret, struct strbuf *why)
{
    struct strbuf value = STRBUF_INIT(VALUE_MAX);
    enum apopdb_result result;

    encode_scram(secret, &value);
    result = set(db, true, name, &value, why);
    strbuf_free(&value);
    return result;
}

enum apopdb_result apopdb_delete(struct apopdb *db, const char *name, struct strbuf *why)
{
    enum apopdb_result result = delete(db, false, name, why);

    return result == APOPDB_OK ? delete(db, true, name, why) : result;
}

enum apopdb_result apopdb_commit(struct apopdb *db, struct strbuf *why)
{
    enum gdbmfile_result result = gdbmfile_sync(db->gdbm, why);

    if (result != GDBMFILE_OK)
        return explain(apopfile_shown(db->file), result, why);
    return apopfile_commit(db->file, why);
}

/* ---- opening and making one */

enum apopdb_result apopdb_look(const char *path, struct strbuf *why)
{
    return apopfile_look(path, why);
}

enum apopdb_result apopdb_open(const char *path, uid_t owner, bool change, int wait_ms, struct apopdb **db_r,
                               struct strbuf *why)
{
    struct apopdb *db = mem_new(1, sizeof *db);
    enum gdbmfile_result opened;
    enum apopdb_result result = apopfile_open(path, owner, change, wait_ms, &db->file, why);

    if (result == APOPDB_OK) {
        opened = gdbmfile_open(apopfile_fd(db->file), change, &db->gdbm, why);
        if (opened != GDBMFILE_OK)
            result = explain(apopfile_shown(db->file), opened, why);
    }
    if (result != APOPDB_OK)
        apopdb_close(&db);
    *db_r = db;
    return result;
}

void apopdb_close(struct apopdb **db)
{
    if (!*db)
        return;
    gdbmfile_close(&(*db)->gdbm);
    apopfile_close(&(*db)->file);
    mem_free(*db);
    *db = NULL;
}

uid_t apopdb_owner(const struct apopdb *db)
{
    return apopfile_owner(db->file);
}

/* A new database in memory: its descriptor, or -1. */
static int make_scratch(const char *path, enum apopdb_result *result_r, struct strbuf *why)
{
    char key[KEY_MAX];
    size_t n = make_key(key, true, "");
    struct strbuf seed = STRBUF_INIT(100);
    struct gdbmfile *gdbm = NULL;
    int scratch = apopfile_scratch(why);
    enum gdbmfile_result result = GDBMFILE_BROKEN;

    make_seed(&seed);
    if (scratch >= 0)
        result = gdbmfile_create(scratch, &gdbm, why);
    if (result == GDBMFILE_OK)
        result = gdbmfile_store(gdbm, key, n, seed.data, seed.len + 1, why);
    if (result == GDBMFILE_OK)
        result = gdbmfile_sync(gdbm, why);
    *result_r = result == GDBMFILE_OK ? APOPDB_OK : explain(path, result, why);
    gdbmfile_close(&gdbm);
    strbuf_free(&seed);
    return scratch;
}

enum apopdb_result apopdb_create(const char *path, uid_t owner, gid_t group, bool replace, int wait_ms,
                                 struct strbuf *why)
{
    enum apopdb_result result;
    int scratch = make_scratch(path, &result, why);

    if (result == APOPDB_OK)
        result = apopfile_create(path, owner, group, replace, wait_ms, scratch, why);
    if (scratch >= 0)
        close(scratch);
    return result;
}
