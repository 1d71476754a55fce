/* The main function of a file of unit tests, for its cases. */
#ifndef VT_TESTS_CASE_H
#define VT_TESTS_CASE_H

#include <check.h>

/* Runs one case of the suite: exit code. fixtures may be NULL. */
static inline int case_main(const char *name, const TTest *const *tests, size_t n, void (*set_up)(void),
                            void (*tear_down)(void)) {
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    if (set_up) tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 60);
    for (size_t i = 0; i < n; i++) tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}

#endif
