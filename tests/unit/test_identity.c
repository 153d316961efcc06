/*
 * identity: what the kernel says about a process that became a user, wore one, held a group. Each case runs in a child,
 * because there is no way back. As root with a user of its own making; without root what can be refused is.
 */
#include "config.h" /* system extensions */

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/identity.h"
#include "common/log.h"

#define USER 61234  /* nobody on any system */
#define GROUP 61235
#define MAIL 61236  /* plays the group of the spool directory */
#define OTHER 61237 /* a supplementary group of "fred" */

static struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);

static void say_and_end(const char *text, int line)
{
    printf("# line %d: %s (why: %s, errno: %s)\n", line, text, why.data, strerror(errno));
    fflush(stdout);
    _exit(1);
}

/* The assertion inside a child. */
#define must(condition) do { if (!(condition)) say_and_end(#condition, __LINE__); } while (0)

/* The child's wait status. */
static int status_of(void (*body)(void))
{
    int status;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        body();
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

static void must_be_ids(uid_t uid, gid_t gid, gid_t saved_gid)
{
    uid_t r, e, s;
    gid_t rg, eg, sg;

    must(getresuid(&r, &e, &s) == 0 && r == uid && e == uid && s == uid);
    must(getresgid(&rg, &eg, &sg) == 0 && rg == gid && eg == gid && sg == saved_gid);
}

static void becomes_for_good(void)
{
    gid_t groups[10];
    char line[200];
    FILE *status;

    must(identity_privileged());
    must(identity_become(NULL, USER, GROUP, IDENTITY_NO_GID, &why) == 0);
    must_be_ids(USER, GROUP, GROUP);
    must(getgroups(10, groups) == 1 && groups[0] == GROUP);
    must(prctl(PR_GET_DUMPABLE) == 0);
    must(setuid(0) < 0 && seteuid(0) < 0 && setgid(0) < 0 && setegid(MAIL) < 0 && setgroups(0, NULL) < 0);
    must((status = fopen("/proc/thread-self/status", "r")) != NULL);
    while (fgets(line, sizeof line, status)) {
        if (strncmp(line, "CapPrm:", 7) == 0 || strncmp(line, "CapEff:", 7) == 0 || strncmp(line, "CapAmb:", 7) == 0)
            must(strspn(line + 7, " \t0\n") == strlen(line + 7));
    }
    fclose(status);
    must(identity_privileged()); /* started so */
    /* A second time is the unprivileged case. */
    must(identity_become(NULL, USER, GROUP, IDENTITY_NO_GID, &why) == 0);
    must(identity_become(NULL, USER + 1, GROUP, IDENTITY_NO_GID, &why) == -1);
    must(strstr(why.data, "cannot become that user (uid 61235, gid 61235): uids are 61234 61234 61234") != NULL);
}

static void kept_capabilities_are_cleared(void)
{
    must(prctl(PR_SET_KEEPCAPS, 1) == 0);
    becomes_for_good();
}

static void refuses_root(void)
{
    must(identity_become("root", 0, GROUP, IDENTITY_NO_GID, &why) == -1);
    must(identity_become("x", (uid_t)-1, GROUP, IDENTITY_NO_GID, &why) == -1);
    must(identity_become("x", USER, (gid_t)-1, IDENTITY_NO_GID, &why) == -1);
    must(identity_become("x", USER, GROUP, 0, &why) == -1);
    must(strstr(why.data, "cannot become x (uid 61234, gid 61235)") != NULL);
    must_be_ids(0, getgid(), getgid());
}

/* /etc/group of our own, seen by this child alone. False where the system does not allow it. */
static bool private_group_file(void)
{
    char name[] = "/tmp/test_identity.XXXXXX";
    int fd = mkstemp(name);
    bool done;

    must(fd >= 0);
    must(dprintf(fd, "freds:x:%d:\nmail:x:%d:jane\nstaff:x:%d:jane,fred\n", GROUP, MAIL, OTHER) > 0);
    fchmod(fd, 0644);
    close(fd);
    done = unshare(CLONE_NEWNS) == 0 && mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount(name, "/etc/group", "none", MS_BIND, NULL) == 0;
    unlink(name);
    return done;
}

static void has_the_groups_of_the_name(void)
{
    gid_t groups[10];
    int n;

    if (!private_group_file())
        _exit(77);
    must(identity_become("fred", USER, GROUP, MAIL, &why) == 0);
    n = getgroups(10, groups);
    must(n == 2);
    must((groups[0] == GROUP && groups[1] == OTHER) || (groups[0] == OTHER && groups[1] == GROUP));
    must_be_ids(USER, GROUP, MAIL);
}

/* No file says so: who was looked up before is not looked up again. */
static void has_the_groups_that_are_known(void)
{
    const struct identity_groups known = { .list = { GROUP, OTHER }, .n = 2 };
    gid_t groups[10];

    must(identity_become_in(&known, "no such user", USER, GROUP, IDENTITY_NO_GID, &why) == 0);
    must(getgroups(10, groups) == 2);
    must((groups[0] == GROUP && groups[1] == OTHER) || (groups[0] == OTHER && groups[1] == GROUP));
}

static void looks_up_groups(void)
{
    struct identity_groups found;

    if (!private_group_file())
        _exit(77);
    identity_look_up("fred", GROUP, &found);
    must(found.n == 2 && found.list[0] == GROUP && found.list[1] == OTHER);
}

static char spool[] = "/tmp/test_identity.XXXXXX";

static bool can_create(const char *name)
{
    char path[100];
    int fd;

    snprintf(path, sizeof path, "%s/%s", spool, name);
    fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    close(fd);
    unlink(path);
    return true;
}

/* A 2775 spool directory as on Debian. */
static void make_spool(void)
{
    must(mkdtemp(spool) != NULL);
    must(chown(spool, 0, MAIL) == 0 && chmod(spool, 02775) == 0);
}

static void holds_a_group_around_a_call(void)
{
    must(identity_become(NULL, USER, GROUP, MAIL, &why) == 0);
    must_be_ids(USER, GROUP, MAIL);
    must(!can_create("before") && errno == EACCES);
    errno = EDQUOT;
    identity_hold_gid();
    must(errno == EDQUOT);
    must(getegid() == MAIL && getgid() == GROUP);
    must(can_create("held"));
    errno = EDQUOT;
    identity_drop_gid();
    must(errno == EDQUOT);
    must_be_ids(USER, GROUP, MAIL);
    must(!can_create("after") && errno == EACCES);
    identity_drop_gid(); /* dropped already: nothing happens */
    must_be_ids(USER, GROUP, MAIL);

    identity_hold_gid();
    must(identity_forget_gid(&why) == 0);
    must_be_ids(USER, GROUP, GROUP);
    identity_hold_gid();
    must_be_ids(USER, GROUP, GROUP);
    must(!can_create("forgotten"));
    must(identity_forget_gid(&why) == 0);
}

static void without_extra_gid_hold_does_nothing(void)
{
    must(identity_become(NULL, USER, GROUP, IDENTITY_NO_GID, &why) == 0);
    identity_hold_gid();
    must_be_ids(USER, GROUP, GROUP);
    must(!can_create("x"));
    identity_drop_gid();
    must(identity_forget_gid(&why) == 0);
}

/* What came by the log of a process that ended itself. */
static void to_stdout(void *context, int priority, const char *text, size_t length)
{
    (void)context;
    (void)priority;
    (void)length;
    must(strstr(text, "cannot be given back") != NULL);
}

static void ends_when_the_group_cannot_be_dropped(void)
{
    log_set_sink(to_stdout, NULL);
    must(identity_become(NULL, USER, GROUP, MAIL, &why) == 0);
    identity_hold_gid();
    must(setresgid(MAIL, MAIL, MAIL) == 0); /* as if a library had meddled */
    identity_drop_gid();
}

static void nothing_without_root(void)
{
    uid_t uid = USER;

    if (geteuid() == 0)
        must(setresuid(USER, USER, USER) == 0);
    else
        uid = geteuid();
    must(identity_become(NULL, uid + 1, GROUP, IDENTITY_NO_GID, &why) == -1);
    must(identity_become("root", 0, 0, IDENTITY_NO_GID, &why) == -1);
    must(strstr(why.data, "cannot become root (uid 0, gid 0)") != NULL);
    must(identity_become(NULL, uid, GROUP, MAIL, &why) == 0);
    must(prctl(PR_GET_DUMPABLE) == 0);
    identity_hold_gid();
    must(getegid() != MAIL);
    identity_drop_gid();
    must(identity_forget_gid(&why) == 0);
}

static void half_root_is_not_a_user(void)
{
    must(seteuid(USER) == 0);
    must(identity_become(NULL, USER, GROUP, IDENTITY_NO_GID, &why) == -1);
    must(strstr(why.data, "uids are 0 61234 0") != NULL);
}

static const struct {
    const char *name;
    void (*body)(void);
    bool root, spool;
    int exit_status;
} cases[] = {
    { "becomes for good", becomes_for_good, true, false, 0 },
    { "kept capabilities are cleared", kept_capabilities_are_cleared, true, false, 0 },
    { "refuses root", refuses_root, true, false, 0 },
    { "has the groups of the name", has_the_groups_of_the_name, true, false, 0 },
    { "has the groups that are known", has_the_groups_that_are_known, true, false, 0 },
    { "looks up groups", looks_up_groups, true, false, 0 },
    { "holds a group around a call", holds_a_group_around_a_call, true, true, 0 },
    { "without extra gid hold does nothing", without_extra_gid_hold_does_nothing, true, true, 0 },
    { "ends when the group cannot be dropped", ends_when_the_group_cannot_be_dropped, true, false, MEM_EXIT_STATUS },
    { "half root is not a user", half_root_is_not_a_user, true, false, 0 },
    { "nothing without root", nothing_without_root, false, false, 0 },
};

START_TEST(identity_case)
{
    int status;

    if (cases[_i].root && geteuid() != 0) {
        printf("# skipped without root: %s\n", cases[_i].name);
        return;
    }
    if (cases[_i].spool)
        make_spool();
    status = status_of(cases[_i].body);
    if (cases[_i].spool)
        rmdir(spool);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        printf("# skipped, no mount name space of its own: %s\n", cases[_i].name);
        return;
    }
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == cases[_i].exit_status, "%s: wait status %d",
                  cases[_i].name, status);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("identity");
    TCase *tc = tcase_create("identity");

    tcase_add_loop_test(tc, identity_case, 0, sizeof cases / sizeof *cases);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
