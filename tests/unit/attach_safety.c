/* Safe points of a thread: unwinding, and the rules on top of it, on children that wait in known places. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "attach/image.h"
#include "attach/ptrace.h"
#include "attach/safety.h"
#include "attach/unwind.h"

static int ready_fd;
static volatile bool stay = true;

static void stand_still(void) {
    if (write(ready_fd, "x", 1) != 1) _exit(1);
    while (stay) pause();
}

static int compare_and_stop(const void *a, const void *b) {
    (void)a, (void)b;
    stand_still();
    return 0;
}

static void in_qsort(long depth) {
    int values[] = {3, 1, 2};
    (void)depth;
    qsort(values, 3, sizeof(values[0]), compare_and_stop);
}

static void plain(long depth) {
    (void)depth;
    stand_still();
}

static volatile long sink;
__attribute__((noinline)) static void deep(long depth) {
    volatile char room[64];
    room[0] = (char)depth;
    if (depth) {
        deep(depth - 1);
    } else {
        stand_still();
    }
    sink += room[0]; /* no tail call */
}

static void handler(int sig) {
    (void)sig;
    stand_still();
}

static void in_handler_over_qsort(long depth) {
    struct sigaction sa = {.sa_handler = handler};
    sigaction(SIGUSR1, &sa, NULL);
    if (depth) raise(SIGUSR1); /* over libc's raise: no place to be */
    kill(getpid(), SIGUSR1);
    stand_still();
}

static ucontext_t here, there;
static char fiber_stack[65536];
static void on_fiber(long depth) {
    (void)depth;
    getcontext(&there);
    there.uc_stack.ss_sp = fiber_stack;
    there.uc_stack.ss_size = sizeof(fiber_stack);
    makecontext(&there, stand_still, 0);
    swapcontext(&here, &there);
}

static pid_t child_in(void (*place)(long), long depth) {
    int fds[2];
    char c;
    ck_assert_int_eq(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        ready_fd = fds[1];
        place(depth);
        _exit(0);
    }
    close(fds[1]);
    ck_assert_int_eq(read(fds[0], &c, 1), 1);
    close(fds[0]);
    usleep(20000); /* into pause() */
    return pid;
}

static void look_at(pid_t pid, struct safety *out) {
    struct trace_env env;
    struct tracee t;
    struct mem mem;
    struct image img;
    struct unwinder *u = NULL;
    struct arch_regs regs;
    struct vt_err err = {0};
    ck_assert_int_eq(mem_open(&mem, pid), 0);
    ck_assert_int_eq(image_open(&img, pid, &mem, &err), 0);
    ck_assert_int_eq(unwinder_open(&u, &img, &mem), 0);
    trace_begin(&env);
    ck_assert_int_eq(tracee_seize(&t, &env, pid, false, 2000), 0);
    ck_assert_int_eq(arch_regs_get(pid, &regs), 0);
    safety_check(out, u, &img, &regs, vt_mono_ns() + 10000000000ull);
    tracee_release(&t, &env);
    trace_end(&env);
    unwinder_close(u);
    image_close(&img);
    mem_close(&mem);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static const struct {
    const char *name;
    void (*place)(long);
    long depth;
    bool safe;
} places[] = {
    {"pause", plain, 0, true},     {"qsort", in_qsort, 0, false}, {"handler", in_handler_over_qsort, 0, false},
    {"fiber", on_fiber, 0, false}, {"deep", deep, 30000, true},   {"raise", in_handler_over_qsort, 1, false},
};

START_TEST(test_safety_of_each_place) {
    struct safety s;
    look_at(child_in(places[_i].place, places[_i].depth), &s);
    ck_assert_msg(s.safe == places[_i].safe, "%s: %s: %s", places[_i].name, s.safe ? "safe" : "unsafe", s.why);
}
END_TEST

/* Frames found by libunwind alone, and by rules learned from it: none lost, none twice. */
START_TEST(test_safety_checks_every_frame) {
    struct safety few, many;
    look_at(child_in(deep, 20), &few);
    look_at(child_in(deep, 20020), &many);
    ck_assert_msg(few.safe && many.safe, "%s; %s", few.why, many.why);
    ck_assert_uint_eq(many.frames - few.frames, 20000);
}
END_TEST

int main(void) {
    Suite *s = suite_create("attach_safety");
    TCase *tc = tcase_create("safety");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, test_safety_of_each_place, 0, VT_ARRAY_LEN(places));
    tcase_add_test(tc, test_safety_checks_every_frame);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
