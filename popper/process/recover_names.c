/*
 * recover_names: see recover_names.h.
 */
#include "process/recover_names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/auth.h"
#include "auth/auth_passwd.h"
#include "common/mem.h"
#include "process/places.h"

#define PATH_BYTES 4096
#define BEHIND ".journal"

struct search {
    struct recover_names *names;
    const struct settings *settings;
    struct strbuf *why;
    int result;
};

/* Only names that a user can have here: they become paths. */
static void add_name(struct search *s, const char *name)
{
    char canonical[AUTH_NAME_MAX + 1];
    struct recover_names *names = s->names;

    if (!auth_canonical_name(s->settings, name, canonical) || strcmp(canonical, name) != 0)
        return;
    mem_reserve(&names->name, &names->cap, names->count + 1, sizeof *names->name);
    names->name[names->count++] = mem_strdup(name);
}

static void add_account(void *context, const char *name)
{
    add_name(context, name);
}

/* ".NAME.journal", in the directory where NAME's maildrop is. */
static void add_journal(struct search *s, const char *dir, const char *file)
{
    size_t n = strlen(file), behind = sizeof BEHIND - 1;
    char *name, *home;

    if (file[0] != '.' || n < behind + 2 || strcmp(file + n - behind, BEHIND) != 0)
        return;
    name = mem_strndup(file + 1, n - behind - 1);
    home = places_spool_dir(s->settings, name);
    if (strcmp(home, dir) == 0)
        add_name(s, name);
    mem_free(home);
    mem_free(name);
}

static void search_directory(struct search *s, const char *path, int levels);

/* A hash directory has a name of one letter, and the second one of user a.b is "a/.". What is none is not looked into. */
static void search_below(struct search *s, const char *path, const char *name, int levels)
{
    struct strbuf below = STRBUF_INIT(PATH_BYTES);

    if (name[1] == '\0' && (name[0] != '.' || levels == 0)) {
        strbuf_addf(&below, "%s/%s", path, name);
        search_directory(s, below.data, levels);
    }
    strbuf_free(&below);
}

static void search_directory(struct search *s, const char *path, int levels)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    if (!dir) {
        if (errno != ENOTDIR && errno != ENOENT)
            s->result = strbuf_fail(s->why, "%s cannot be read: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((errno = 0, entry = readdir(dir))) {
        if (levels > 0)
            search_below(s, path, entry->d_name, levels - 1);
        else
            add_journal(s, path, entry->d_name);
    }
    if (errno)
        s->result = strbuf_fail(s->why, "%s cannot be read to its end: %s", path, strerror(errno));
    closedir(dir);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_and_thin(struct recover_names *names)
{
    size_t i, kept = 0;

    if (names->count > 1)
        qsort(names->name, names->count, sizeof *names->name, compare);
    for (i = 0; i < names->count; i++) {
        if (kept > 0 && strcmp(names->name[kept - 1], names->name[i]) == 0)
            mem_free(names->name[i]);
        else
            names->name[kept++] = names->name[i];
    }
    names->count = kept;
}

int recover_names_find(struct recover_names *names, const struct settings *settings, struct strbuf *why)
{
    struct search s = { .names = names, .settings = settings, .why = why };

    if (settings->home_dir_mail) {
        auth_passwd_each(settings, add_account, &s);
    } else if (access(settings->spool_dir, F_OK) < 0) {
        s.result = strbuf_fail(why, "%s cannot be read: %s", settings->spool_dir, strerror(errno));
    } else {
        search_directory(&s, settings->spool_dir, settings->hash_spool);
    }
    sort_and_thin(names);
    return s.result;
}

void recover_names_free(struct recover_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        mem_free(names->name[i]);
    mem_free(names->name);
    *names = (struct recover_names){ 0 };
}
