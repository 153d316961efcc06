/*
 * check_beside: the part of --check that looks at what stands beside a maildrop: a journal, a dot lock, what broken updates left. See
 * check.h. It runs as the user, follows no link, and removes, locks and writes nothing.
 */
#include "process/check_parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "common/lockowner.h"
#include "common/maillock.h"
#include "mail/journal_record.h"
#include "process/places.h"

void check_journal(const struct place *place)
{
    static const char *const phases[] = {
        "holds nothing", "an update had only begun", "an update broke off in the middle", "an update broke off near its end",
        "an update is done but for its removal",
    };
    int fd = openat(place->dir, place->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct journal journal;

    if (fd < 0) {
        check_say(CHECK_ERROR, "%s: %s; logins fail until it can be read", place->shown, strerror(errno));
        return;
    }
    switch (journal_load(&journal, fd)) {
    case JOURNAL_LOADED:
        check_say(CHECK_WARNING, "%s: %s%s; the next login or popper --recover settles it: never remove it", place->shown,
                  phases[journal.phase], journal.damaged ? " (it is damaged)" : "");
        break;
    case JOURNAL_FOREIGN:
        check_say(CHECK_WARNING, "%s is no journal of ours; the next login sets it aside", place->shown);
        break;
    case JOURNAL_NEWER:
        check_say(CHECK_ERROR, "%s was written by a newer popper; logins fail until that one has run --recover",
                  place->shown);
        break;
    case JOURNAL_LOAD_IO:
        check_say(CHECK_ERROR, "%s cannot be read: %s; logins fail until it can", place->shown, strerror(errno));
        break;
    }
    journal_free(&journal);
    close(fd);
}

/* The dot lock of somebody; it is only looked at. */
static void check_dot_lock(const struct place *drop)
{
    struct strbuf name = STRBUF_INIT(STRBUF_WHY_MAX);
    char text[LOCKOWNER_MAX];
    struct stat st;
    long pid, age;
    ssize_t n;
    int fd;

    strbuf_addf(&name, "%s.lock", drop->name);
    if (fstatat(drop->dir, name.data, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        fd = openat(drop->dir, name.data, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        n = fd >= 0 ? file_read(fd, text, sizeof text) : -1;
        age = (long)(time(NULL) - st.st_mtime);
        switch (n > 0 ? lockowner_judge(text, (size_t)n, &pid) : LOCKOWNER_UNKNOWN) {
        case LOCKOWNER_ALIVE:
            check_say(CHECK_OK, "%s.lock: process %ld is at work", drop->shown, pid);
            break;
        case LOCKOWNER_GONE:
            check_say(CHECK_WARNING, "%s.lock was left by process %ld, which is gone; the next login breaks it", drop->shown,
                      pid);
            break;
        case LOCKOWNER_UNKNOWN:
            check_say(CHECK_WARNING, age > MAILLOCK_STALE
                          ? "%s.lock is %ld s old: stale; the next login breaks it (unless it is a link or no file)"
                          : "%s.lock was made %ld s ago by another program; if it stays, find out by which", drop->shown,
                      age);
        }
        if (fd >= 0)
            close(fd);
    }
    strbuf_free(&name);
}

/* Whether name is ".DROP" and then `behind`. */
static bool is_beside(const char *name, const char *drop, const char *behind)
{
    size_t n = strlen(drop);

    return name[0] == '.' && strncmp(name + 1, drop, n) == 0 && strncmp(name + 1 + n, behind, strlen(behind)) == 0;
}

static void check_remains(const struct place *drop)
{
    int fd = openat(drop->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        if (is_beside(entry->d_name, drop->name, ".orphan."))
            check_say(CHECK_WARNING, "%s beside %s is a journal that did not fit the maildrop; its messages were added to it: "
                      "look, then remove it", entry->d_name, drop->shown);
        else if (is_beside(entry->d_name, drop->name, ".next"))
            check_say(CHECK_WARNING, "%s beside %s was left by an update by rename that broke off; it is no mail and may be "
                      "removed", entry->d_name, drop->shown);
        else if (is_beside(entry->d_name, drop->name, ".lock.new") || is_beside(entry->d_name, drop->name, ".lock.old"))
            check_say(CHECK_WARNING, "%s beside %s was left by a dot lock that was being made or broken when the process was killed; "
                      "it is no mail and may be removed when it stays", entry->d_name, drop->shown);
    }
    if (dir)
        closedir(dir);
}

void check_beside(const struct places *p)
{
    const struct place *drop = &p->file[MAILFILE_DROP];

    if (drop->dir < 0)
        return;
    check_dot_lock(drop);
    check_remains(drop);
}
