/* dracteller: what is left when there can be no process. The rest is tests/system/drac.py. */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>

#include "process/dracteller.h"
#include "tests/unit/caught_log.h"

pid_t __wrap_fork(void);
pid_t __real_fork(void);
static bool no_process;

pid_t __wrap_fork(void)
{
    if (!no_process)
        return __real_fork();
    errno = EAGAIN;
    return -1;
}

static int descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

START_TEST(without_a_process_nothing_is_left_open)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct settings *settings = settings_new();
    const struct peer peer = { .ip = "192.0.2.1" };
    struct dracteller teller;
    int before;

    if (!options_feature_built(FEATURE_DRAC))
        return;
    ck_assert_int_eq(settings_set(settings, &option_rows[OPTION_drac_host], "localhost", OPTION_FILE, "f:1", &why), 0);
    catch_log();
    before = descriptors();
    no_process = true;
    dracteller_start(&teller, settings, "alice");
    no_process = false;
    ck_assert_int_eq(descriptors(), before);
    ck_assert_str_eq(caught.data, "err no process for DRAC: Resource temporarily unavailable\n");
    dracteller_tell(&teller, settings, &peer);
    dracteller_finish(&teller);
    ck_assert_int_eq(descriptors(), before);
    settings_free(&settings);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dracteller");
    TCase *tc = tcase_create("dracteller");

    tcase_add_test(tc, without_a_process_nothing_is_left_open);
    suite_add_tcase(suite, tc);
    return unit_main(suite);
}
