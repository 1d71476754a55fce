/* System calls that threads are in: lines of socket tables, our own threads, and the daemon's table of them. */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "attach/inside.h"
#include "daemon/drain/inside.h"

static const struct {
    const char *line, *proto, *text;
    uint64_t inode;
} sockets[] = {
    {"   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0 100 0 0 10 0\n", "tcp",
     "tcp 127.0.0.1:8080", 4242},
    {"  12: 0100007F:A03A 0500000A:1538 01 00000000:00000000 00:00000000 00000000  1000        0 77 1 0 20 4 30 10 -1\n", "tcp",
     "tcp 127.0.0.1:41018 -> 10.0.0.5:5432", 77},
    {"   1: 00000000000000000000000001000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 "
     "00000000 "
     "    0        0 99 1 0 100 0 0 10 0\n",
     "tcp", "tcp [::1]:22", 99},
    {"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n", "tcp", NULL, 0},
    {"   0: 0100007:1F90 00000000:0000 0A 0:0 0:0 0 0 0 4242\n", "tcp", NULL, 0}, /* seven digits */
    {"   0: 0100007F 00000000:0000 0A 0:0 0:0 0 0 0 4242\n", "tcp", NULL, 0},
    {"", "tcp", NULL, 0},
};

START_TEST(test_inside_reads_socket_lines) {
    char text[120] = "";
    ck_assert_uint_eq(inside_parse_socket(sockets[_i].line, sockets[_i].proto, text, sizeof(text)), sockets[_i].inode);
    if (sockets[_i].text) ck_assert_str_eq(text, sockets[_i].text);
}
END_TEST

struct seen {
    pid_t tid;
    char text[INSIDE_TEXT_MAX];
    unsigned n;
};

static int note(void *ctx, pid_t tid, const char *text) {
    struct seen *seen = ctx;
    seen->n++;
    if (tid == seen->tid) strcpy(seen->text, text);
    return 0;
}

/* A stop interrupts a wait; when it goes on, the kernel's call is restart_syscall. */
START_TEST(test_inside_names_a_wait_that_goes_on) {
    char text[INSIDE_TEXT_MAX] = "";
    pid_t pid = fork();
    if (pid == 0) {
        const struct timespec time = {100, 0};
        clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
        _exit(0);
    }
    int told = 0;
    for (int ms = 0; ms < 5000 && (told != 1 || !text[0]); ms++, usleep(1000)) told = inside_thread(pid, pid, text, sizeof text);
    ck_assert_str_eq(text, "clock_nanosleep");
    kill(pid, SIGSTOP);
    ck_assert_int_eq(waitpid(pid, NULL, WUNTRACED), pid);
    kill(pid, SIGCONT);
    text[0] = 0;
    for (int ms = 0; ms < 5000 && !text[0]; ms++, usleep(1000))
        if (inside_thread(pid, pid, text, sizeof text) != 1) text[0] = 0;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    ck_assert_str_eq(text, "clock_nanosleep");
}
END_TEST

static int ends[2];
static pid_t reader_tid;

static void *reader(void *arg) {
    char c;
    __atomic_store_n(&reader_tid, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
    ck_assert_int_eq(read(ends[0], &c, 1), 1);
    return arg;
}

START_TEST(test_inside_names_the_pipe_of_a_reader) {
    pthread_t thread;
    struct seen seen = {0};
    char expected[64];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, reader, NULL), 0);
    while (!(seen.tid = __atomic_load_n(&reader_tid, __ATOMIC_ACQUIRE))) usleep(1000);
    snprintf(expected, sizeof(expected), "read(%d: pipe)", ends[0]);
    for (int i = 0; i < 500 && strcmp(seen.text, expected); i++) {
        usleep(10000);
        inside_each(getpid(), note, &seen);
    }
    ck_assert_str_eq(seen.text, expected);
    ck_assert_int_eq(write(ends[1], "x", 1), 1);
    pthread_join(thread, NULL);
}
END_TEST

START_TEST(test_inside_threads_in_the_same_call_share_a_name) {
    struct inside *in = NULL;
    bool is_new;
    const char *text;
    inside_add(&in, 10, "futex");
    inside_add(&in, 11, "read(0: \npipe)");
    inside_add(&in, 12, "futex");
    uint32_t a = inside_id(in, 10, &is_new, &text);
    ck_assert(a && is_new);
    uint32_t b = inside_id(in, 11, &is_new, &text);
    ck_assert(b && b != a && is_new);
    ck_assert_str_eq(text, "read(0:  pipe)");
    ck_assert_uint_eq(inside_id(in, 12, &is_new, &text), a);
    ck_assert(!is_new);
    ck_assert_uint_eq(inside_id(in, 13, &is_new, &text), 0);
    ck_assert_uint_eq(inside_id(in, 0, &is_new, &text), 0);
    ck_assert_uint_eq(inside_id(NULL, 10, &is_new, &text), 0);
    for (uint32_t i = 0; i < 2 * INSIDE_THREADS_MAX; i++) inside_add(&in, 100 + i, "poll");
    ck_assert_uint_eq(in->n, INSIDE_THREADS_MAX);
    free(in);
}
END_TEST

int main(void) {
    Suite *s = suite_create("attach/inside");
    TCase *tc = tcase_create("inside");
    tcase_add_loop_test(tc, test_inside_reads_socket_lines, 0, (int)VT_ARRAY_LEN(sockets));
    tcase_add_test(tc, test_inside_names_the_pipe_of_a_reader);
    tcase_add_test(tc, test_inside_names_a_wait_that_goes_on);
    tcase_add_test(tc, test_inside_threads_in_the_same_call_share_a_name);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
