/*
 * unit: what every unit test program shares: run one suite and print TAP for automake's driver.
 */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <check.h>

#include "common/mem.h"

/* Runs the suite, printing TAP on stdout. Returns main's exit status. */
static inline int unit_main(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int failed;

    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}

#endif
