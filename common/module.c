/*
 * module: see module.h. Runs with the rights of whoever calls, root's among them: what is loaded becomes part of the
 * program.
 */
#include "config.h"

#include "common/module.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef POPPER_DIR
#define POPPER_DIR "/usr/local/lib"
#endif

/* Whoever started a set-uid program may have linked it into a directory of his own. */
static bool own_directory(char *path, size_t size)
{
    ssize_t n = getauxval(AT_SECURE) ? -1 : readlink("/proc/self/exe", path, size - 1);
    char *slash;

    if (n <= 0)
        return false;
    path[n] = '\0';
    slash = strrchr(path, '/');
    if (!slash)
        return false;
    *slash = '\0';
    return true;
}

static bool join(char *path, size_t size, const char *directory, const char *name)
{
    return (size_t)snprintf(path, size, "%s/%s", directory, name) < size;
}

/* The file beside us, or the installed one; path is that of the installed one when there is none. */
static bool find(const char *name, char *path, size_t size, struct stat *st_r)
{
    char directory[PATH_MAX];

    if (own_directory(directory, sizeof directory) && join(path, size, directory, name) && stat(path, st_r) == 0)
        return true;
    return join(path, size, POPPER_DIR, name) && stat(path, st_r) == 0;
}

static int check(const char *path, const struct stat *st, struct strbuf *why)
{
    if (!S_ISREG(st->st_mode))
        return strbuf_fail(why, "%s is not a regular file; install popper again", path);
    if (geteuid() == 0 && (st->st_uid != 0 || (st->st_mode & 022)))
        return strbuf_fail(why,
                           "%s must belong to root and be writable to nobody else before root loads it; chown root %s; "
                           "chmod go-w %s",
                           path, path, path);
    return 0;
}

int module_path(const char *name, char *path, struct strbuf *why)
{
    struct stat st;

    path[0] = '\0';
    if (!find(name, path, PATH_MAX, &st))
        return strbuf_fail(why, "%s is missing: %s; install it, it belongs to popper", path[0] ? path : name, strerror(errno));
    return check(path, &st, why);
}

/* An upgrade beside a popper that listens: its own parts are gone. */
static int check_version(const char *name, const void *calls, struct strbuf *why)
{
    const char *version;

    memcpy(&version, calls, sizeof version);
    if (strcmp(version, PACKAGE_VERSION) == 0)
        return 0;
    return strbuf_fail(why, "%s is of another version (%s) than popper (" PACKAGE_VERSION "); install both again, and restart a popper that listens itself",
                       name, version);
}

const void *module_find(const char *name, const char *symbol, struct strbuf *why)
{
    char path[PATH_MAX];
    const void *found = NULL;
    void *module;

    if (module_path(name, path, why) < 0)
        return NULL;
    module = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (module)
        found = dlsym(module, symbol);
    if (!found) {
        strbuf_fail(why, "%s cannot be loaded: %s", path, dlerror());
        return NULL;
    }
    return check_version(name, found, why) == 0 ? found : NULL;
}
