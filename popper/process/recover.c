/*
 * recover: see recover.h.
 *
 * Rights of this role: those of who called it (root at boot), for reading directories and asking for accounts (in a
 * process of its own, checker). Each maildrop is settled by a fresh process that becomes the user for good and does what
 * a keeper does when its session died: a sandboxed child reads journal and maildrop. Here nothing of a user's is opened.
 */
#include "process/recover.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auth/auth.h"
#include "common/log.h"
#include "common/mem.h"
#include "process/checker.h"
#include "process/child.h"
#include "process/keeper.h"
#include "process/recover_names.h"

#define RECOVER_SECONDS 600 /* for one maildrop */

/* How the process that is the user ends: not with 1, which others end with. */
enum { EXIT_SETTLED = 0, EXIT_NOTHING = 10, EXIT_UNSETTLED = 11 };

static void say(int fd, const char *name, const char *what, const char *why)
{
    struct strbuf line = STRBUF_INIT(4 * STRBUF_WHY_MAX);

    strbuf_addf(&line, "%s: %s", name, what);
    if (why) {
        strbuf_adds(&line, ": ");
        log_escape(&line, why, strlen(why), STRBUF_WHY_MAX);
    }
    strbuf_addc(&line, '\n');
    if (write(fd, line.data, line.len) < 0)
        log_write(LOG_WARNING, "--recover: nobody reads what it says: %s", strerror(errno));
    strbuf_free(&line);
}

static _Noreturn void settle_as(const struct settings *settings, const struct auth_user *user)
{
    struct settings *own = settings_clone(settings);
    struct tlsrelay relay = TLSRELAY_NONE;
    struct peer peer = { .host = "--recover", .ip = "this host", .local = true };
    struct keeper_start start = { .settings = own, .peer = &peer, .pid = getpid(), .host = "localhost", .user = user, .unread = "",
                                  .relay = &relay };
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    enum keeper_recovered result;
    int out = dup(1); /* 1 becomes /dev/null on the way */

    /* A user can make a maildrop or journal that takes hours to read: the others, and the start of the host, do not wait for that. */
    alarm(RECOVER_SECONDS);
    own->takeover_idle = 0; /* nobody's session is ended for this: it settles its journal itself */
    result = keeper_recover(&start, &why);
    if (result == KEEPER_UNSETTLED)
        say(out, user->name, "could not be settled", why.data);
    _exit(result == KEEPER_SETTLED ? EXIT_SETTLED : result == KEEPER_NOTHING ? EXIT_NOTHING : EXIT_UNSETTLED);
}

static void say_too_long(const char *name)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);

    strbuf_fail(&why, "it took longer than %d seconds; look how large the maildrop and its journal are; the next login goes on", RECOVER_SECONDS);
    say(1, name, "could not be settled", why.data);
    log_write(LOG_ERR, "--recover: maildrop of %s: %s", name, why.data);
    strbuf_free(&why);
}

/* One of the three. */
static int run_as(const struct settings *settings, const struct auth_user *user)
{
    pid_t pid = fork();
    int status = 0;

    if (pid == 0)
        settle_as(settings, user);
    if (pid < 0) {
        say(1, user->name, "could not be settled: no process for it", strerror(errno));
        return EXIT_UNSETTLED;
    }
    status = child_gone(pid);
    if (WIFEXITED(status) && (WEXITSTATUS(status) == EXIT_SETTLED || WEXITSTATUS(status) == EXIT_NOTHING ||
                              WEXITSTATUS(status) == EXIT_UNSETTLED))
        return WEXITSTATUS(status);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
        say_too_long(user->name);
        return EXIT_UNSETTLED;
    }
    say(1, user->name, "could not be settled", "the process that was to do it ended at once; see the log");
    return EXIT_UNSETTLED;
}

/* Whether nothing is left to be settled. quiet: the name is no sign that there is a journal, so nothing is said where
   there is none, nor of those who have no maildrop that we could look at. */
static bool settle(const struct settings *settings, const char *name, bool quiet)
{
    struct strbuf reason = STRBUF_INIT(STRBUF_WHY_MAX);
    struct auth_user user;
    int status = EXIT_UNSETTLED, session;
    const struct auth_attempt attempt = { .how = AUTH_AS_OWNER, .name = name };
    enum auth_verdict verdict = checker_run(settings, &attempt, -1, &user, &session, &reason);

    if (quiet && (verdict == AUTH_REFUSED || (verdict == AUTH_GRANTED && geteuid() != 0 && user.uid != geteuid())))
        status = EXIT_NOTHING;
    else if (verdict == AUTH_GRANTED)
        status = run_as(settings, &user);
    else
        say(1, name, "could not be settled", reason.data);
    if (status == EXIT_SETTLED)
        say(1, name, "settled", NULL);
    else if (status == EXIT_NOTHING && !quiet)
        say(1, name, "nothing to do", NULL);
    strbuf_free(&reason);
    return status != EXIT_UNSETTLED;
}

static int settle_one(const struct settings *settings, const char *user)
{
    char name[AUTH_NAME_MAX + 1];

    if (auth_canonical_name(settings, user, name))
        return settle(settings, name, false) ? 0 : 1;
    say(1, "--recover", "not a possible user name", user);
    return 1;
}

static int settle_all(const struct settings *settings)
{
    struct recover_names names = { 0 };
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    bool well = recover_names_find(&names, settings, &why) == 0;

    if (!well)
        say(1, "--recover", "not all maildrops were looked at", why.data);
    for (size_t i = 0; i < names.count; i++)
        well = settle(settings, names.name[i], settings->home_dir_mail != NULL) && well;
    recover_names_free(&names);
    strbuf_free(&why);
    return well ? 0 : 1;
}

int recover_run(const struct settings *settings, const char *user)
{
    log_write(LOG_INFO, "--recover: settles what interrupted updates of %s left", user ? user : "all maildrops");
    return user ? settle_one(settings, user) : settle_all(settings);
}
