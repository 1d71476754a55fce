/* Numbers of threads: those of the process, those that a forked process has from its parent, those of ended threads. */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/drain/tids.h"
#include "tests/lib/case.h"

static pid_t child;

static void set_up(void) {
    child = fork();
    if (child) return;
    pause();
    _exit(0);
}
static void tear_down(void) {
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void *tell_tid(void *to) {
    *(uint32_t *)to = (uint32_t)gettid();
    return NULL;
}

START_TEST(test_tids_of_a_forked_process_are_its_own) {
    struct tids own, forked;
    pthread_t thread;
    uint32_t ended = 0;
    tids_init(&own, getpid(), getpid());
    tids_init(&forked, child, child);
    if (!tids_same_ns(&own)) return; /* inside a pid namespace that cannot be told from outside */
    ck_assert_uint_eq(tids_of_interpreter(&forked, (uint32_t)getpid()), (uint32_t)child); /* the parent's number */
    ck_assert_uint_eq(tids_of_interpreter(&forked, (uint32_t)child), (uint32_t)child);
    ck_assert_uint_eq(tids_of_interpreter(&own, (uint32_t)getpid()), (uint32_t)getpid());
    ck_assert_uint_eq(tids_of_interpreter(&own, 0), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, tell_tid, &ended), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    for (int i = 0; i < 1000 && tids_alive(&own, ended); i++) usleep(1000); /* the kernel forgets it a moment later */
    ck_assert_uint_eq(tids_of_interpreter(&own, ended), ended);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {test_tids_of_a_forked_process_are_its_own};
    return case_main("daemon/tids", tests, VT_ARRAY_LEN(tests), set_up, tear_down);
}
