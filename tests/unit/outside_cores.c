/* When a thread last ran, by the clock of the core that it ran on: these clocks differ where a hypervisor takes time away. */
#include <check.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "outside/cores.h"
#include "proto/base.h"

#define SLACK_NS 100000000ull

/* This thread has just run, whichever core it is on. */
START_TEST(test_cores_tell_since_on_each_core) {
    cpu_set_t before, now, one;
    struct cores *cores = calloc(1, sizeof *cores);
    unsigned seen = 0;
    ck_assert_int_eq(sched_getaffinity(0, sizeof before, &before), 0);
    if (!cores_ran_ns(getpid(), gettid())) {
        printf("SKIP this kernel does not say when a thread ran (no CONFIG_SCHED_DEBUG)\n");
        free(cores);
        return;
    }
    for (int core = 0; core < CPU_SETSIZE; core++) {
        if (!CPU_ISSET(core, &before)) continue;
        uint64_t begin_ns = vt_mono_ns();
        CPU_ZERO(&one);
        CPU_SET(core, &one);
        if (sched_setaffinity(0, sizeof one, &one)) continue; /* it was switched off */
        sched_yield();
        uint64_t ran_ns = cores_ran_ns(getpid(), gettid());
        ck_assert_int_eq(sched_setaffinity(0, sizeof before, &before), 0);
        uint64_t since_ns = cores_since_ns(cores, core, ran_ns), took_ns = vt_mono_ns() - begin_ns;
        ck_assert_msg(since_ns <= took_ns + SLACK_NS, "core %d: not run for %llu ns, in a test of %llu ns", core,
                      (unsigned long long)since_ns, (unsigned long long)took_ns);
        since_ns = cores_since_ns(cores, core, ran_ns - 3000000000ull);
        ck_assert_msg(since_ns + SLACK_NS >= 3000000000ull, "core %d: not run for %llu ns only", core,
                      (unsigned long long)since_ns);
        seen++;
    }
    ck_assert_uint_gt(seen, 0);
    ck_assert(!sched_getaffinity(0, sizeof now, &now) && CPU_EQUAL(&now, &before)); /* it is back where it may run */
    free(cores);
}
END_TEST

START_TEST(test_cores_do_not_know_a_core_that_is_not_there) {
    struct cores *cores = calloc(1, sizeof *cores);
    ck_assert_uint_eq(cores_since_ns(cores, -1, 1), 0);
    ck_assert_uint_eq(cores_since_ns(cores, CORES_MAX - 1, 1), 0);
    ck_assert_uint_eq(cores_since_ns(cores, CORES_MAX, 1), 0);
    free(cores);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("outside/cores");
    TCase *tc = tcase_create("cores");
    tcase_add_test(tc, test_cores_tell_since_on_each_core);
    tcase_add_test(tc, test_cores_do_not_know_a_core_that_is_not_there);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
