/* CPU times of threads from /proc: hostile names, lists of many threads, processes that are gone. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/session/cpu_times.h"
#include "proto/base.h"

START_TEST(test_cpu_times_stat_is_read_behind_the_name) {
    static const struct {
        const char *text;
        int rc;
        uint64_t ns;
    } rows[] = {
        {"1 (python3) S 0 1 1 0 -1 4 1 2 3 4 150 25 0 0 20 0", 0, 1750000000},
        {"1 (a ) S 9 9) b) R 0 1 1 0 -1 4 1 2 3 4 1 0 7 7 20 0", 0, 10000000},
        {"1 (x) S 0 1 1 0 -1 4 1 2 3 4 150", -EBADMSG, 0},
        {"1 (x) S 0 1 1 0 -1 4 1 2 3 4 x 25 0 0 20 0", -EBADMSG, 0},
        {"1 (x)", -EBADMSG, 0},
        {"", -EBADMSG, 0},
    };
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++) {
        uint64_t ns = 0;
        ck_assert_int_eq(cpu_times_of_stat(rows[i].text, 100, &ns), rows[i].rc);
        ck_assert_uint_eq(ns, rows[i].ns);
    }
}
END_TEST

static void *burn(void *arg) {
    struct timespec ts;
    do clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    while (ts.tv_sec == 0 && ts.tv_nsec < 60000000);
    *(pid_t *)arg = gettid();
    pause();
    return NULL;
}

START_TEST(test_cpu_times_threads_have_the_time_that_they_used) {
    pthread_t thread;
    volatile pid_t tid = 0;
    Vt__CpuTimes m;
    ck_assert_int_eq(pthread_create(&thread, NULL, burn, (void *)(uintptr_t)&tid), 0);
    while (!tid) usleep(1000);
    ck_assert_int_eq(cpu_times_read(getpid(), 100, &m), 0);
    ck_assert_uint_eq(m.n_tids, 2);
    ck_assert_uint_eq(m.n_cpu_ns, 2);
    ck_assert(m.whole);
    for (size_t i = 0; i < 2; i++)
        if (m.tids[i] == (uint32_t)tid) ck_assert_msg(m.cpu_ns[i] >= 30000000, "%llu ns", (unsigned long long)m.cpu_ns[i]);
    ck_assert_int_eq(cpu_times_read(getpid(), 1, &m), 0);
    ck_assert(m.n_tids == 1 && !m.whole);
}
END_TEST

START_TEST(test_cpu_times_process_that_is_gone) {
    Vt__CpuTimes m;
    pid_t pid = fork();
    if (!pid) _exit(0);
    waitpid(pid, NULL, 0);
    ck_assert_int_lt(cpu_times_read(pid, 100, &m), 0);
}
END_TEST

int main(void) {
    Suite *s = suite_create("daemon_cpu_times");
    TCase *tests = tcase_create("cpu_times");
    tcase_add_test(tests, test_cpu_times_stat_is_read_behind_the_name);
    tcase_add_test(tests, test_cpu_times_threads_have_the_time_that_they_used);
    tcase_add_test(tests, test_cpu_times_process_that_is_gone);
    suite_add_tcase(s, tests);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
