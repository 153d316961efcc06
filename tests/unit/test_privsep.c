/* privsep: the directories that root makes for a jail are root's, or nobody is locked in. The rest is tests/system/roles.py and kpop.py. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/privsep.h"

#define SOMEBODY 64001

int __wrap_mkdirat(int dir, const char *name, mode_t mode);
int __real_mkdirat(int dir, const char *name, mode_t mode);
static const char *stolen; /* the directory in whose place somebody puts his own as soon as it is made */

int __wrap_mkdirat(int dir, const char *name, mode_t mode)
{
    int result = __real_mkdirat(dir, name, mode);

    if (result == 0 && stolen && strcmp(strrchr(name, '/') ? strrchr(name, '/') + 1 : name, stolen) == 0)
        ck_assert_int_eq(fchownat(dir, name, SOMEBODY, SOMEBODY, 0), 0);
    return result;
}

enum { LOCKED_IN, REFUSED, OTHERWISE };

static int enter(const char *directory, const char *refusal)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);

        if (privsep_enter_with_file(directory, "file", SANDBOX_TICKET, SANDBOX_MODE_OFF, 0, &why) == 0)
            _exit(LOCKED_IN);
        _exit(strstr(why.data, refusal) ? REFUSED : OTHERWISE);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static const struct {
    const char *stolen, *before, *refusal; /* before: a shell command */
    int result;
} jails[] = {
    { NULL, "true", "", LOCKED_IN },
    { NULL, "mkdir -m 700 jails; mkdir -m 711 jails/jail", "", LOCKED_IN },
    { "jails", "true", "must belong to root and have mode 700", REFUSED },
    { "jail", "true", "its jail must belong to root and have mode 711", REFUSED },
    { NULL, "mkdir -m 700 jails; chown 64001 jails", "must belong to root and have mode 700", REFUSED },
    { NULL, "mkdir jails; chmod 770 jails", "must belong to root and have mode 700", REFUSED },
    { NULL, "mkdir -m 700 jails; mkdir jails/jail; chmod 777 jails/jail", "its jail must belong to root and have mode 711", REFUSED },
    { NULL, "ln -s /tmp jails", "cannot be made or opened", REFUSED },
};

START_TEST(the_jail_is_roots)
{
    char top[] = "/tmp/test_privsep.XXXXXX", directory[60], command[200];

    if (geteuid() != 0)
        return;
    ck_assert_ptr_nonnull(mkdtemp(top));
    snprintf(directory, sizeof directory, "%s/jails", top);
    snprintf(command, sizeof command, "cd %s && { %s; }", top, jails[_i].before);
    ck_assert_int_eq(system(command), 0);
    stolen = jails[_i].stolen;
    ck_assert_int_eq(enter(directory, jails[_i].refusal), jails[_i].result);
    snprintf(command, sizeof command, "rm -rf %s", top);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("privsep");
    TCase *tc = tcase_create("privsep");

    tcase_add_loop_test(tc, the_jail_is_roots, 0, sizeof jails / sizeof *jails);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
