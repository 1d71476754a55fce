/* The client against daemons that say nothing, too little or something false: each wait ends with one line. */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/client/client.h"
#include "proto/rundir.h"

static char dir[64], path[108];
static pid_t server;

enum kind { ACCEPTS_NOTHING, SAYS_NOTHING, TRICKLES, CLOSES, REFUSES, HELLO_ONLY };

static void serve(int listener, enum kind kind) {
    Vt__Hello hello = VT__HELLO__INIT;
    Vt__Error error = VT__ERROR__INIT;
    hello.protocol = VT_PROTOCOL;
    error.code = -EUSERS;
    error.text = (char *)"too many";
    while (kind == ACCEPTS_NOTHING) pause();
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) _exit(0);
        if (kind == CLOSES) close(fd);
        if (kind == REFUSES) {
            if (vt_msg_send(fd, VT_CTL_ERROR, &error.base)) _exit(1);
            close(fd);
        }
        if (kind == HELLO_ONLY && vt_msg_send(fd, VT_CTL_HELLO, &hello.base)) _exit(1);
        for (int i = 0; kind == TRICKLES && i < 100; i++) {
            if (send(fd, "", 1, MSG_NOSIGNAL) != 1) break;
            usleep(500000);
        }
    }
}

static void start(enum kind kind) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    strcpy(dir, "/tmp/client-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/sock", dir);
    strcpy(sa.sun_path, path);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert(!bind(listener, (struct sockaddr *)&sa, sizeof sa) && !listen(listener, 0));
    server = fork();
    if (server == 0) serve(listener, kind);
    close(listener);
}

static void stop(void) {
    char command[128];
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static const struct {
    enum kind kind;
    int rc;
    const char *word;
} cases[] = {{SAYS_NOTHING, -ETIMEDOUT, "has not answered"},
             {TRICKLES, -ETIMEDOUT, "has not answered"},
             {CLOSES, 0, ""},
             {REFUSES, -EUSERS, "too many"}};

START_TEST(test_client_wait_for_a_silent_daemon_ends_with_a_line) {
    struct client c;
    struct vt_err err = {0};
    start(cases[_i].kind);
    uint64_t begun = vt_mono_ns();
    int rc = client_open_path(&c, path, geteuid(), &err);
    ck_assert_msg(vt_mono_ns() - begun < 20000000000ull, "case %d", _i);
    ck_assert_msg(rc < 0 && (!cases[_i].rc || rc == cases[_i].rc), "case %d: %d", _i, rc);
    ck_assert_msg(err.msg[0] && strstr(err.msg, cases[_i].word), "case %d: %s", _i, err.msg);
    stop();
}
END_TEST

START_TEST(test_client_wait_for_a_daemon_that_accepts_nothing_ends) {
    struct client c[4];
    struct vt_err err = {0};
    int rc = 0;
    start(ACCEPTS_NOTHING);
    for (int i = 0; i < 4 && rc != -ETIMEDOUT; i++) rc = client_open_path(&c[i], path, geteuid(), &err);
    ck_assert_int_eq(rc, -ETIMEDOUT);
    ck_assert_ptr_null(strchr(err.msg, '\n'));
    stop();
}
END_TEST

START_TEST(test_client_wait_for_a_daemon_that_only_greets_ends) {
    struct client c;
    struct vt_err err = {0};
    start(HELLO_ONLY);
    ck_assert_int_eq(client_open_path(&c, path, geteuid(), &err), 0);
    ck_assert_int_eq(c.daemon_pid, getpid()); /* who made the socket, as the kernel says */
    ck_assert_int_eq(client_request(&c, VT_CTL_STATUS, NULL, VT_CTL_STATUS_REP, NULL, &err), -ETIMEDOUT);
    client_close(&c);
    stop();
}
END_TEST

static void make_socket(const char *name, bool listens) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    strcpy(sa.sun_path, name);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert(!bind(fd, (struct sockaddr *)&sa, sizeof sa) && (!listens || !listen(fd, 1)));
    if (!listens) close(fd);
}

START_TEST(test_client_sweeps_sockets_of_dead_daemons_only) {
    static const struct {
        const char *name;
        bool ours, listens, stays;
    } rows[] = {{"viztracerd-4200000.sock", false, false, false}, /* no such process, nobody listens */
                {"viztracerd-4200001.sock", false, true, true},   /* of another pid namespace */
                {"viztracerd-1.sock", false, false, true},        /* its process lives and may be about to listen */
                {"other-4200000.sock", false, false, true}};
    char name[108];
    strcpy(dir, "/tmp/client-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++) {
        snprintf(name, sizeof name, "%s/%s", dir, rows[i].name);
        make_socket(name, rows[i].listens);
    }
    rundir_sweep(dir);
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++) {
        snprintf(name, sizeof name, "%s/%s", dir, rows[i].name);
        ck_assert_msg(!access(name, F_OK) == rows[i].stays, "%s", rows[i].name);
    }
    server = fork();
    if (server == 0) _exit(0);
    stop();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cli_client");
    TCase *tc = tcase_create("client");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, test_client_wait_for_a_silent_daemon_ends_with_a_line, 0, (int)VT_ARRAY_LEN(cases));
    tcase_add_test(tc, test_client_wait_for_a_daemon_that_accepts_nothing_ends);
    tcase_add_test(tc, test_client_wait_for_a_daemon_that_only_greets_ends);
    tcase_add_test(tc, test_client_sweeps_sockets_of_dead_daemons_only);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
