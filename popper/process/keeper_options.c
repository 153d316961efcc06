/*
 * keeper_options: see keeper_options.h and the facts page 1.2. It reads with the user's rights only.
 */
#include "process/keeper_options.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "process/places.h"
#include "settings/config.h"

#define PATH_BYTES 4096

static void report(void *context, const char *text)
{
    (void)context;
    log_write(LOG_NOTICE, "%s", text);
}

/* name inside dir (AT_FDCWD: a path whose directory is the user's own home). */
static void read_file(struct settings *settings, int dir, const char *name, const char *shown,
                      enum option_source source, const struct file_rules *rules)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct stat st;
    int fd = file_open(dir, name, shown, O_RDONLY, 0, rules, &st, &why);

    if (fd >= 0) {
        log_write(LOG_DEBUG, "options of the user are read from %s", shown);
        config_fd(settings, fd, shown, source, report, NULL);
        close(fd);
    } else if (errno != ENOENT) {
        log_write(LOG_NOTICE, "options are not read: %s", why.data);
    }
    strbuf_free(&why);
}

static void read_home_file(struct settings *settings, const struct auth_user *user)
{
    const struct file_rules rules = { .owner = user->uid, .root_may_own = true, .forbidden = 0022, .many_links = true };
    struct strbuf path = STRBUF_INIT(PATH_BYTES);

    strbuf_addf(&path, "%s/.qpopper-options", user->home);
    read_file(settings, AT_FDCWD, path.data, path.data, OPTION_HOME, &rules);
    strbuf_free(&path);
}

/* It may set what users may not, so it must come from who rules the directory: in a spool where everybody can make
   files that is root. */
static void read_spool_file(struct settings *settings, const struct auth_user *user)
{
    struct file_rules rules = { .root_may_own = true, .forbidden = 0022 };
    struct strbuf name = STRBUF_INIT(PATH_BYTES), shown = STRBUF_INIT(PATH_BYTES);
    char *path = places_spool_dir(settings, user->name);
    int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct stat st;

    strbuf_addf(&name, ".%s.qpopper-options", user->name);
    strbuf_addf(&shown, "%s/%s", path, name.data);
    if (dir >= 0 && fstat(dir, &st) == 0) {
        rules.owner = st.st_uid;
        read_file(settings, dir, name.data, shown.data, OPTION_SPOOL, &rules);
    }
    if (dir >= 0)
        close(dir);
    strbuf_free(&name);
    strbuf_free(&shown);
    mem_free(path);
}

/* Whether this process, which is the user, is in the group. */
static bool in_group(const char *name)
{
    const struct group *group = getgrnam(name);
    gid_t list[1024];
    int i, n;

    if (!group) {
        log_write(LOG_WARNING, "group-server-mode or group-no-server-mode: there is no group %s", name);
        return false;
    }
    if (getgid() == group->gr_gid)
        return true;
    n = getgroups(sizeof list / sizeof *list, list);
    for (i = 0; i < n; i++)
        if (list[i] == group->gr_gid)
            return true;
    return false;
}

static void choose_server_mode(struct settings *settings)
{
    if (settings->group_server_mode && in_group(settings->group_server_mode))
        settings->server_mode = true;
    if (settings->group_no_server_mode && in_group(settings->group_no_server_mode))
        settings->server_mode = false;
}

struct settings *keeper_options_read(const struct settings *site, const struct auth_user *user)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct settings *settings = settings_clone(site);

    if (settings->user_options)
        read_home_file(settings, user);
    if (settings->spool_options)
        read_spool_file(settings, user);
    if ((site->user_options || settings->spool_options) && settings_verify(settings, &why) < 0) {
        log_write(LOG_ERR, "option files of %s: %s; they are not used", user->name, why.data);
        settings_free(&settings);
        settings = settings_clone(site);
    }
    choose_server_mode(settings);
    strbuf_free(&why);
    return settings;
}
