/*
 * gdbmfile: see gdbmfile.h.
 */
#include "config.h"

#include "common/gdbmfile.h"

#ifdef HAVE_GDBM

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <gdbm.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"

struct gdbmfile {
    GDBM_FILE handle;
    bool lost; /* gdbm gave up: its handle must not be touched again, and its memory stays */
};

/* ---- the library */

static struct {
    GDBM_FILE (*fd_open)(int, const char *, int, int, void (*)(const char *));
    __typeof__(gdbm_close) *close;
    __typeof__(gdbm_fetch) *fetch;
    __typeof__(gdbm_store) *store;
    __typeof__(gdbm_delete) *delete;
    __typeof__(gdbm_firstkey) *firstkey;
    __typeof__(gdbm_nextkey) *nextkey;
    __typeof__(gdbm_sync) *sync;
    __typeof__(gdbm_errno_location) *errno_location;
    __typeof__(gdbm_strerror) *strerror;
    bool loaded;
} lib;

static const struct {
    const char *name;
    void *to;
} symbols[] = {
    { "gdbm_fd_open", &lib.fd_open },
    { "gdbm_close", &lib.close },
    { "gdbm_fetch", &lib.fetch },
    { "gdbm_store", &lib.store },
    { "gdbm_delete", &lib.delete },
    { "gdbm_firstkey", &lib.firstkey },
    { "gdbm_nextkey", &lib.nextkey },
    { "gdbm_sync", &lib.sync },
    { "gdbm_errno_location", &lib.errno_location },
    { "gdbm_strerror", &lib.strerror },
};

#define SYMBOLS (sizeof symbols / sizeof *symbols)

static enum gdbmfile_result load_library(struct strbuf *why)
{
    void *handle = lib.loaded ? NULL : dlopen(GDBM_SONAME, RTLD_NOW | RTLD_LOCAL);
    size_t i;

    for (i = 0; handle && i < SYMBOLS; i++) {
        void *found = dlsym(handle, symbols[i].name);

        if (!found)
            break;
        memcpy(symbols[i].to, &found, sizeof found);
    }
    lib.loaded = lib.loaded || (handle && i == SYMBOLS);
    if (lib.loaded)
        return GDBMFILE_OK;
    strbuf_fail(why, "needs a library that cannot be loaded; install libgdbm6: %s", dlerror());
    return GDBMFILE_NOT_BUILT;
}

/* ---- calling gdbm, which may give up */

static struct {
    jmp_buf back;
    bool armed;
} giving_up;

/* gdbm ends the process when this returns. */
static void gave_up(const char *text)
{
    (void)text;
    if (giving_up.armed)
        longjmp(giving_up.back, 1);
}

/* One call of gdbm, what it needs and what it gives. */
struct call {
    enum { CALL_OPEN, CALL_FETCH, CALL_STORE, CALL_DELETE, CALL_FIRST, CALL_NEXT, CALL_SYNC, CALL_CLOSE } what;
    int fd, mode;     /* OPEN */
    datum key, value; /* borrowed */
    datum got;        /* to be freed; no dptr: nothing */
    int status;       /* 0, or it failed */
    int error;        /* gdbm's number */
};

static void make_call(struct gdbmfile *db, struct call *c)
{
    switch (c->what) {
    case CALL_OPEN:
        db->handle = lib.fd_open(c->fd, "database", 0, c->mode | GDBM_NOLOCK | GDBM_NOMMAP | GDBM_CLOEXEC, gave_up);
        c->status = db->handle ? 0 : -1;
        break;
    case CALL_FETCH:
        c->got = lib.fetch(db->handle, c->key);
        break;
    case CALL_STORE:
        c->status = lib.store(db->handle, c->key, c->value, GDBM_REPLACE);
        break;
    case CALL_DELETE:
        c->status = lib.delete(db->handle, c->key);
        break;
    case CALL_FIRST:
        c->got = lib.firstkey(db->handle);
        break;
    case CALL_NEXT:
        c->got = lib.nextkey(db->handle, c->key);
        break;
    case CALL_SYNC:
        c->status = lib.sync(db->handle);
        break;
    case CALL_CLOSE:
        lib.close(db->handle);
        break;
    }
}

/* All results are set. */
static void call(struct gdbmfile *db, struct call *c)
{
    c->got.dptr = NULL;
    c->status = -1;
    c->error = GDBM_UNKNOWN_ERROR;
    if (db->lost)
        return;
    c->status = 0;
    *lib.errno_location() = GDBM_NO_ERROR;
    giving_up.armed = true;
    if (setjmp(giving_up.back) == 0) {
        make_call(db, c);
        c->error = *lib.errno_location();
    } else {
        db->lost = true;
        c->status = -1;
    }
    giving_up.armed = false;
}

static enum gdbmfile_result broken(int error, struct strbuf *why)
{
    strbuf_fail(why, "is damaged or cannot be read or written: %s", lib.strerror(error));
    return GDBMFILE_BROKEN;
}

static void free_got(datum *got)
{
    if (!got->dptr)
        return;
    if (got->dsize > 0)
        mem_wipe(got->dptr, (size_t)got->dsize);
    free(got->dptr);
    got->dptr = NULL;
}

/* ---- opening */

static bool has_magic(const unsigned char *at, uint32_t magic)
{
    uint32_t here;

    memcpy(&here, at, sizeof here);
    return here == magic || here == __builtin_bswap32(magic);
}

/* Hash and btree of Berkeley DB from 1.85 on. */
static bool is_bsd(const unsigned char head[16])
{
    return has_magic(head, 0x061561) || has_magic(head, 0x053162) || has_magic(head + 12, 0x061561) ||
           has_magic(head + 12, 0x053162);
}

/* Says what a file is that gdbm does not take. */
static enum gdbmfile_result judge(int fd, int error, struct strbuf *why)
{
    unsigned char head[16] = { 0 };

    if (pread(fd, head, sizeof head, 0) > 0 && is_bsd(head))
        strbuf_fail(why, "is a database of BSD, not of gdbm");
    else if (error == GDBM_BYTE_SWAPPED || error == GDBM_BAD_FILE_OFFSET)
        strbuf_fail(why, "is a database of gdbm from another kind of machine");
    else if (error == GDBM_BAD_MAGIC_NUMBER)
        strbuf_fail(why, "is no database of gdbm (perhaps one of the old ndbm)");
    else
        return broken(error, why);
    return GDBMFILE_FOREIGN;
}

static enum gdbmfile_result open_or_create(int fd, int mode, struct gdbmfile **db_r, struct strbuf *why)
{
    struct gdbmfile *db = mem_new(1, sizeof *db);
    struct call c = { .what = CALL_OPEN, .mode = mode };
    enum gdbmfile_result result = load_library(why);

    *db_r = NULL;
    /* gdbm closes what it is given. */
    c.fd = result == GDBMFILE_OK ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
    if (result == GDBMFILE_OK && c.fd < 0) {
        strbuf_fail(why, "cannot be opened: %s", strerror(errno));
        result = GDBMFILE_BROKEN;
    }
    if (result == GDBMFILE_OK)
        call(db, &c);
    if (result == GDBMFILE_OK && c.status == 0) {
        *db_r = db;
        return result;
    }
    if (c.fd >= 0) {
        close(c.fd);
        result = judge(fd, c.error, why);
    }
    mem_free(db);
    return result;
}

enum gdbmfile_result gdbmfile_open(int fd, bool change, struct gdbmfile **db_r, struct strbuf *why)
{
    struct stat st;

    /* gdbm would make a database of it. */
    if (fstat(fd, &st) == 0 && st.st_size == 0) {
        *db_r = NULL;
        strbuf_fail(why, "is empty");
        return GDBMFILE_BROKEN;
    }
    return open_or_create(fd, change ? GDBM_WRITER : GDBM_READER, db_r, why);
}

enum gdbmfile_result gdbmfile_create(int fd, struct gdbmfile **db_r, struct strbuf *why)
{
    return open_or_create(fd, GDBM_NEWDB, db_r, why);
}

void gdbmfile_close(struct gdbmfile **db)
{
    struct call c = { .what = CALL_CLOSE };

    if (!*db)
        return;
    call(*db, &c);
    mem_free(*db);
    *db = NULL;
}

/* ---- keys and values */

static datum borrowed(const void *bytes, size_t n)
{
    return (datum){ .dptr = (char *)bytes, .dsize = (int)n };
}

enum gdbmfile_result gdbmfile_fetch(struct gdbmfile *db, const void *key, size_t n, struct strbuf *value,
                                    struct strbuf *why)
{
    struct call c = { .what = CALL_FETCH, .key = borrowed(key, n) };

    strbuf_wipe(value);
    call(db, &c);
    if (!c.got.dptr)
        return c.error == GDBM_ITEM_NOT_FOUND ? GDBMFILE_NONE : broken(c.error, why);
    if (c.got.dsize > 0)
        strbuf_add(value, c.got.dptr, (size_t)c.got.dsize);
    free_got(&c.got);
    return GDBMFILE_OK;
}

enum gdbmfile_result gdbmfile_store(struct gdbmfile *db, const void *key, size_t n, const void *value,
                                    size_t value_length, struct strbuf *why)
{
    struct call c = { .what = CALL_STORE, .key = borrowed(key, n), .value = borrowed(value, value_length) };

    call(db, &c);
    return c.status == 0 ? GDBMFILE_OK : broken(c.error, why);
}

enum gdbmfile_result gdbmfile_delete(struct gdbmfile *db, const void *key, size_t n, struct strbuf *why)
{
    struct call c = { .what = CALL_DELETE, .key = borrowed(key, n) };

    call(db, &c);
    return c.status == 0 || c.error == GDBM_ITEM_NOT_FOUND ? GDBMFILE_OK : broken(c.error, why);
}

enum gdbmfile_result gdbmfile_keys(struct gdbmfile *db, gdbmfile_each *each, void *context, struct strbuf *why)
{
    struct call c = { .what = CALL_FIRST };
    datum last = { 0 };
    bool more = true;

    for (call(db, &c); more && c.got.dptr; call(db, &c)) {
        free_got(&last);
        last = c.got;
        more = each(context, last.dptr, last.dsize > 0 ? (size_t)last.dsize : 0);
        c = (struct call){ .what = CALL_NEXT, .key = last };
    }
    free_got(&c.got);
    free_got(&last);
    return !more || (c.status == 0 && c.error == GDBM_ITEM_NOT_FOUND) ? GDBMFILE_OK : broken(c.error, why);
}

enum gdbmfile_result gdbmfile_sync(struct gdbmfile *db, struct strbuf *why)
{
    struct call c = { .what = CALL_SYNC };

    call(db, &c);
    return c.status == 0 ? GDBMFILE_OK : broken(c.error, why);
}

#else /* without gdbm the calls keep their shape */

enum gdbmfile_result gdbmfile_open(int fd, bool change, struct gdbmfile **db_r, struct strbuf *why)
{
    (void)change;
    return gdbmfile_create(fd, db_r, why);
}

enum gdbmfile_result gdbmfile_create(int fd, struct gdbmfile **db_r, struct strbuf *why)
{
    (void)fd;
    *db_r = NULL;
    strbuf_fail(why, "cannot be used: this build has no gdbm; install libgdbm-dev and configure --with-gdbm");
    return GDBMFILE_NOT_BUILT;
}

/* Nobody has a handle to call these with. */
enum gdbmfile_result gdbmfile_fetch(struct gdbmfile *db, const void *key, size_t n, struct strbuf *value,
                                    struct strbuf *why)
{
    (void)value;
    return gdbmfile_delete(db, key, n, why);
}

enum gdbmfile_result gdbmfile_store(struct gdbmfile *db, const void *key, size_t n, const void *value,
                                    size_t value_length, struct strbuf *why)
{
    (void)value;
    (void)value_length;
    return gdbmfile_delete(db, key, n, why);
}

enum gdbmfile_result gdbmfile_delete(struct gdbmfile *db, const void *key, size_t n, struct strbuf *why)
{
    (void)key;
    (void)n;
    return gdbmfile_sync(db, why);
}

enum gdbmfile_result gdbmfile_keys(struct gdbmfile *db, gdbmfile_each *each, void *context, struct strbuf *why)
{
    (void)each;
    (void)context;
    return gdbmfile_sync(db, why);
}

enum gdbmfile_result gdbmfile_sync(struct gdbmfile *db, struct strbuf *why)
{
    (void)db;
    (void)why;
    return GDBMFILE_NOT_BUILT;
}

void gdbmfile_close(struct gdbmfile **db)
{
    *db = NULL;
}

#endif
