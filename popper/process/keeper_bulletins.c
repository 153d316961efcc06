/*
 * keeper_bulletins: see keeper_bulletins.h. With nothing new it costs opening and reading bulldir and .popbull.
 */
#include "process/keeper_bulletins.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"

#define POPBULL_BYTES 4096 /* a longer one is garbage anyway */
#define GROUP_MAX 256
#define GROUP_BYTES_MAX (1 << 20)

struct name {
    uint64_t number;
    char *name;
};

struct names {
    struct name *of;
    size_t count, cap;
};

struct finding {
    struct keeper_files *f;
    struct bulldb *db;       /* NULL: there is none */
    bool db_failed;
    struct bulletin_offer *offer;
    const char *bulldir;
    int dir;
    struct names names; /* all bulletins that there are, in order */
    size_t opened, cap;
    struct strbuf why;
};

static const char *user_of(const struct finding *f)
{
    return f->f->user->name;
}

/* ---- the directory */

static int compare_names(const void *a, const void *b)
{
    const struct name *x = a, *y = b;

    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return strcmp(x->name, y->name);
}

static void add_name(struct names *names, const char *name)
{
    uint64_t number;

    if (!bulletin_number(name, &number))
        return;
    mem_reserve(&names->of, &names->cap, names->count + 1, sizeof *names->of);
    names->of[names->count++] = (struct name){ .number = number, .name = mem_strdup(name) };
}

static int no_bulldir(struct finding *f)
{
    log_write(LOG_WARNING, "no bulletins for %s: the directory %s (bulldir) cannot be read: %s; everybody must be able "
              "to read it", user_of(f), f->bulldir, strerror(errno));
    return -1;
}

static int read_directory(struct finding *f)
{
    DIR *dir = opendir(f->bulldir);
    struct dirent *entry;
    int error;

    if (!dir)
        return no_bulldir(f);
    while (errno = 0, (entry = readdir(dir)))
        add_name(&f->names, entry->d_name);
    error = errno;
    f->dir = error ? -1 : fcntl(dirfd(dir), F_DUPFD_CLOEXEC, 3);
    if (f->dir < 0 && !error)
        error = errno;
    closedir(dir);
    if (error) {
        errno = error;
        return no_bulldir(f);
    }
    if (f->names.count > 0)
        qsort(f->names.of, f->names.count, sizeof *f->names.of, compare_names);
    return 0;
}

static void forget_names(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        mem_free(names->of[i].name);
    mem_free(names->of);
}

/* ---- what the user has */

/* Who polls for the first time has had all but the newest max-bulletins. */
static uint64_t last_of_new_user(const struct finding *f)
{
    size_t shown = (size_t)f->f->settings->max_bulletins;

    return shown < f->names.count ? f->names.of[f->names.count - shown - 1].number : 0;
}

static uint64_t highest(const struct finding *f)
{
    return f->names.count > 0 ? f->names.of[f->names.count - 1].number : 0;
}

/* 0; -1 and why. */
static int judge_popbull(struct finding *f, int fd, const char *shown)
{
    char text[POPBULL_BYTES];
    ssize_t n = file_pread(fd, text, sizeof text, 0);

    if (n < 0)
        return strbuf_fail(&f->why, "%s cannot be read: %s", shown, strerror(errno));
    switch (bulletin_parse_last(text, (size_t)n, &f->offer->last)) {
    case BULLETIN_LAST_NUMBER:
        f->offer->noted = true;
        return 0;
    case BULLETIN_LAST_EMPTY:
        f->offer->last = highest(f);
        return 0;
    case BULLETIN_LAST_GARBAGE:
        log_write(LOG_WARNING, "%s does not hold the number of a bulletin; %s counts as a new user", shown, user_of(f));
        f->offer->last = last_of_new_user(f);
        break;
    }
    return 0;
}

/* Into the offer: what counts as seen. -1 and why when it cannot be known, or could not be noted: then a bulletin would
   come with every session. */
static int find_last_in_file(struct finding *f)
{
    const char *shown;
    int fd = keeper_files_open_popbull(f->f, false, O_RDWR, &shown, &f->why), result;
    bool old = false;

    if (fd < 0 && errno != ENOENT)
        return -1;
    if (fd < 0) {
        if (keeper_files_can_make_popbull(f->f, &f->why) < 0)
            return -1;
        fd = keeper_files_open_popbull(f->f, true, O_RDONLY, &shown, &f->why);
        old = true;
    }
    if (fd < 0) {
        if (errno != ENOENT)
            return -1;
        f->offer->last = last_of_new_user(f);
        return 0;
    }
    result = judge_popbull(f, fd, shown);
    f->offer->noted &= !old;
    close(fd);
    return result;
}

/* Who is new in the database brings what stands in his .popbull. */
static void find_last_of_file_for_db(struct finding *f)
{
    const char *shown;
    int fd = keeper_files_open_popbull(f->f, false, O_RDONLY, &shown, &f->why);

    if (fd < 0 && errno == ENOENT)
        fd = keeper_files_open_popbull(f->f, true, O_RDONLY, &shown, &f->why);
    if (fd < 0 && errno != ENOENT)
        log_write(LOG_NOTICE, "%s counts as a new user for bulletins: %s", user_of(f), f->why.data);
    f->offer->last = last_of_new_user(f);
    if (fd < 0)
        return;
    if (judge_popbull(f, fd, shown) < 0)
        log_write(LOG_NOTICE, "%s counts as a new user for bulletins: %s", user_of(f), f->why.data);
    f->offer->noted = false;
    close(fd);
}

static int find_last(struct finding *f)
{
    int known;

    if (!f->db)
        return find_last_in_file(f);
    known = bulldb_get(f->db, &f->offer->last, &f->why);
    f->db_failed = known < 0;
    if (known < 0)
        return -1;
    f->offer->noted = known == 1;
    if (known == 0)
        find_last_of_file_for_db(f);
    return 0;
}

/* ---- groups */

/* 1: there is such a group; 0: there is none; -1 with errno. */
static int find_group(const char *name, gid_t *gid_r)
{
    struct group group, *found = NULL;
    size_t room = 4096;
    char *memory = NULL;
    int error;

    do {
        memory = mem_resize(memory, room, 1);
        error = getgrnam_r(name, &group, memory, room, &found);
        room *= 2;
    } while (error == ERANGE && room <= GROUP_BYTES_MAX);
    if (found)
        *gid_r = group.gr_gid;
    mem_free(memory);
    if (found)
        return 1;
    errno = error;
    return error == 0 || error == ENOENT || error == ESRCH ? 0 : -1;
}

/* By the groups that this process has: those of the user. Those that members were named by are among them. */
static bool is_member(const struct finding *f, gid_t gid)
{
    int count = getgroups(0, NULL);
    gid_t *groups = mem_new(count > 0 ? (size_t)count : 1, sizeof *groups);
    bool member = gid == f->f->user->gid;

    count = getgroups(count, groups);
    for (int i = 0; i < count && !f->f->user->is_virtual; i++)
        member |= groups[i] == gid;
    mem_free(groups);
    return member;
}

enum audience {
    AUDIENCE_USER,   /* he is one of those whom it is for */
    AUDIENCE_OTHERS,
    AUDIENCE_UNKNOWN, /* nobody, until the administrator mends it */
    AUDIENCE_NOT_NOW  /* the groups cannot be looked up at the moment */
};

static enum audience audience_of(const struct finding *f, const char *name)
{
    char group[GROUP_MAX] = "";
    gid_t gid = 0;
    int found = 0;

    if (!f->f->settings->group_bulletins)
        return AUDIENCE_USER;
    if (bulletin_group(name, group, sizeof group)) {
        if (group[0] == '\0')
            log_write(LOG_NOTICE, "bulletin %s/%s names no group: it is for everybody", f->bulldir, name);
        if (group[0] == '\0' || strcmp(group, "ALL") == 0)
            return AUDIENCE_USER;
        errno = 0;
        found = find_group(group, &gid);
        if (found == 1)
            return is_member(f, gid) ? AUDIENCE_USER : AUDIENCE_OTHERS;
    } else {
        errno = ENAMETOOLONG;
    }
    if (found < 0) {
        log_write(LOG_WARNING, "bulletin %s/%s and those after it wait: the group %s cannot be looked up: %s", f->bulldir, name, group, strerror(errno));
        return AUDIENCE_NOT_NOW;
    }
    log_write(LOG_NOTICE, "bulletin %s/%s is shown to nobody: its name says that it is for a group that %s%s; ALL is "
              "everybody", f->bulldir, name, errno ? "cannot be looked up: " : "does not exist",
              errno ? strerror(errno) : "");
    return AUDIENCE_UNKNOWN;
}

/* ---- the offer */

static void add_item(struct finding *f, const struct name *name, int fd, const char *shown)
{
    struct bulletin_offer *offer = f->offer;

    mem_reserve(&offer->items, &f->cap, offer->count + 1, sizeof *offer->items);
    offer->items[offer->count++] = (struct bulletin){ .number = name->number, .fd = fd, .shown = mem_strdup(shown) };
    f->opened += fd >= 0;
}

/* Not the fault of the bulletin: the next session may have it. */
static bool may_pass(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == EIO || error == ESTALE || error == EINTR;
}

/* Whether those after it may be offered: who has them has had all before. */
static bool open_bulletin(struct finding *f, const struct name *name, const char *shown)
{
    static const struct file_rules rules = { .any_owner = true, .many_links = true };
    struct stat st;
    int fd = file_open(f->dir, name->name, shown, O_RDONLY, 0, &rules, &st, &f->why);
    int error = errno;

    if (fd >= 0)
        add_item(f, name, fd, shown);
    else
        log_write(LOG_WARNING, "bulletin %s is not shown to %s: %s", shown, user_of(f), f->why.data);
    return fd >= 0 || !may_pass(error);
}

/* Likewise. */
static bool offer_name(struct finding *f, const struct name *name)
{
    enum audience audience = audience_of(f, name->name);
    struct strbuf shown = STRBUF_INIT(4096);
    bool goes_on = audience != AUDIENCE_NOT_NOW;

    strbuf_addf(&shown, "%s/%s", f->bulldir, name->name);
    if (audience == AUDIENCE_USER)
        goes_on = open_bulletin(f, name, shown.data);
    else if (audience == AUDIENCE_OTHERS)
        add_item(f, name, -1, shown.data);
    strbuf_free(&shown);
    return goes_on;
}

/* Those of that number. */
static void withdraw(struct finding *f, uint64_t number)
{
    struct bulletin_offer *offer = f->offer;

    for (; offer->count > 0 && offer->items[offer->count - 1].number == number; offer->count--) {
        struct bulletin *item = &offer->items[offer->count - 1];

        if (item->fd >= 0) {
            close(item->fd);
            f->opened--;
        }
        mem_free(item->shown);
    }
}

/* The rest is for the next session: in order, and no number without all that have it, so that none is passed over. */
static void offer_new(struct finding *f)
{
    const struct names *names = &f->names;
    bool goes_on = true;

    for (size_t i = 0; i < names->count && goes_on; i++) {
        if (f->opened >= BULLETIN_OFFER_MAX && names->of[i].number != names->of[i - 1].number)
            break;
        if (names->of[i].number > f->offer->last)
            goes_on = offer_name(f, &names->of[i]);
        if (!goes_on)
            withdraw(f, names->of[i].number);
    }
}

/* Where the session puts together what it shows. 0, or -1 and why. */
static int make_text(struct finding *f)
{
    if (f->opened == 0)
        return 0;
    f->offer->text = memfd_create("bulletins", MFD_CLOEXEC);
    return f->offer->text >= 0 ? 0 : strbuf_fail(&f->why, "no memory for them: %s", strerror(errno));
}

static bool find(struct finding *f)
{
    if (read_directory(f) < 0)
        return false;
    if (find_last(f) == 0) {
        offer_new(f);
        if (make_text(f) == 0)
            return f->offer->count > 0 || !f->offer->noted;
    }
    if (!f->db_failed)
        log_write(LOG_WARNING, "no bulletins for %s: %s", user_of(f), f->why.data);
    return false;
}

static char *address(const char *user, const char *host)
{
    struct strbuf to = STRBUF_INIT(1024);
    char *text;

    strbuf_addf(&to, "%s@%s", user, host);
    text = mem_strdup(to.data);
    strbuf_free(&to);
    return text;
}

int keeper_bulletins_find(struct keeper_bulletins *b, struct keeper_files *f, struct bulldb *db, const char *host,
                          struct strbuf *why)
{
    struct finding finding = { .f = f, .db = db && db->end >= 0 ? db : NULL, .offer = &b->offer,
                               .bulldir = f->settings->bulldir, .dir = -1, .why = STRBUF_INIT(STRBUF_WHY_MAX) };

    b->offer.text = -1;
    if (!finding.bulldir || !*finding.bulldir || f->open.journal)
        return 0;
    if (find(&finding)) {
        b->offer.to = b->to = address(f->user->name, host);
        f->open.bulletins = &b->offer;
    }
    forget_names(&finding.names);
    if (finding.dir >= 0)
        close(finding.dir);
    if (finding.db_failed)
        strbuf_fail(why, "%s", finding.why.data);
    strbuf_free(&finding.why);
    return finding.db_failed ? -1 : 0;
}

void keeper_bulletins_close(struct keeper_bulletins *b)
{
    for (size_t i = 0; i < b->offer.count; i++) {
        if (b->offer.items[i].fd >= 0)
            close(b->offer.items[i].fd);
        mem_free(b->offer.items[i].shown);
    }
    mem_free(b->offer.items);
    if (b->to && b->offer.text >= 0)
        close(b->offer.text);
    mem_free(b->to);
    *b = (struct keeper_bulletins){ .offer = { .text = -1 } };
}
