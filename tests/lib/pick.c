/* Owns the choice of one case: VT_CASE=NAME runs only the Check cases and the tests of that name, in any test program (`make
 * check T=PROGRAM:NAME`). The linker sends the programs' calls of Check here (--wrap, see the Makefile). */
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TCase *__wrap_tcase_create(const char *name);
TCase *__real_tcase_create(const char *name);
void __wrap__tcase_add_test(TCase *tc, const TTest *test, int signal, int exit_code, int start, int end);
void __real__tcase_add_test(TCase *tc, const TTest *test, int signal, int exit_code, int start, int end);
void __wrap_srunner_run_all(SRunner *runner, enum print_output mode);
void __real_srunner_run_all(SRunner *runner, enum print_output mode);

enum { CASES_MAX = 1024 };
static struct {
    TCase *tc;
    const char *name;
} cases[CASES_MAX]; /* Check shows no way from a case to its name */
static size_t case_count;
static const char *offered[CASES_MAX];
static size_t offered_count;
static bool picked;

static const char *wanted(void) {
    const char *name = getenv("VT_CASE");
    return name && *name ? name : NULL;
}

/* Returns whether this is the wanted name; remembers it for the list of those that exist. */
static bool is_wanted(const char *name) {
    for (size_t i = 0; i < offered_count; i++)
        if (!strcmp(offered[i], name)) return !strcmp(name, wanted());
    if (offered_count < CASES_MAX) offered[offered_count++] = name;
    return !strcmp(name, wanted());
}

TCase *__wrap_tcase_create(const char *name) {
    TCase *tc = __real_tcase_create(name);
    if (case_count < CASES_MAX) {
        cases[case_count].tc = tc;
        cases[case_count++].name = name;
    }
    return tc;
}

void __wrap__tcase_add_test(TCase *tc, const TTest *test, int signal, int exit_code, int start, int end) {
    if (wanted()) {
        bool fits = is_wanted(test->name);
        for (size_t i = 0; i < case_count; i++)
            if (cases[i].tc == tc && is_wanted(cases[i].name)) fits = true;
        if (!fits) return;
        picked = true;
    }
    __real__tcase_add_test(tc, test, signal, exit_code, start, end);
}

/* Exit code 2 and the names that exist, one a line, where the wanted one does not. */
void __wrap_srunner_run_all(SRunner *runner, enum print_output mode) {
    if (wanted() && !picked) {
        for (size_t i = 0; i < offered_count; i++) printf("case: %s\n", offered[i]);
        exit(2);
    }
    __real_srunner_run_all(runner, mode);
}
