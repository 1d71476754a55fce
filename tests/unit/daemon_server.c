/* A whole private daemon in a child process, and clients that behave well, badly, or not at all. The daemon starts this
 * program (/proc/self/exe) as its helper. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/client/client.h"
#include "daemon/serve/server.h"
#include "daemon/session/helper.h"

static char dir[64], spool[96];
static pid_t daemon_pid;
static struct client client;
static struct vt_err err;

static void start(void) {
    int pair[2];
    strcpy(dir, "/tmp/server-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(spool, sizeof(spool), "%s/spool", dir);
    setenv("XDG_RUNTIME_DIR", dir, 1);
    setenv("VIZTRACER_AGENT", "/dev/null", 1);
    setenv("VIZTRACERD_SOCKET", "none", 1);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    daemon_pid = fork();
    if (daemon_pid == 0) {
        struct server_opts opts = {.private_fd = pair[1], .spool_dir = spool};
        close(pair[0]);
        _exit(server_run(&opts, &err) ? 1 : 0);
    }
    close(pair[1]);
    memset(&client, 0, sizeof(client));
    client.fd = pair[0];
    memset(&err, 0, sizeof(err));
}

static void hello(void) {
    Vt__Hello m = VT__HELLO__INIT;
    m.protocol = VT_PROTOCOL;
    ck_assert_msg(!client_request(&client, VT_CTL_HELLO, &m.base, VT_CTL_HELLO, NULL, &err), "%s", err.msg);
}

/* The daemon ends by itself, with exit code 0, once its client has gone. */
static void must_leave(void) {
    int status = -1;
    client_close(&client);
    for (int i = 0; i < 3000 && waitpid(daemon_pid, &status, WNOHANG) == 0; i++) usleep(10000);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the daemon ended with %#x", (unsigned)status);
    char command[256];
    snprintf(command, sizeof(command), "test -z \"$(find %s -type f -o -type s)\" && rm -rf %s", dir, dir);
    ck_assert_msg(system(command) == 0, "something was left in %s", dir);
}

static int attach(uint32_t pid) {
    Vt__AttachReq req = VT__ATTACH_REQ__INIT;
    req.pid = pid;
    return client_request(&client, VT_CTL_ATTACH, &req.base, VT_CTL_ATTACHED, NULL, &err);
}

START_TEST(test_server_comes_and_goes) {
    start();
    hello();
    ck_assert_int_eq(client_request(&client, VT_CTL_STATUS, NULL, VT_CTL_STATUS_REP, NULL, &err), 0);
    must_leave();
}
END_TEST

START_TEST(test_server_refusals_are_one_line) {
    Vt__PidReq req = VT__PID_REQ__INIT;
    start();
    hello();
    req.pid = 4000000;
    ck_assert_int_eq(client_request(&client, VT_CTL_DETACH, &req.base, VT_CTL_DETACHED, NULL, &err), -ESRCH);
    static const uint32_t pids[] = {0, 4000000, UINT32_MAX};
    for (size_t i = 0; i < VT_ARRAY_LEN(pids); i++) {
        memset(&err, 0, sizeof(err));
        ck_assert_int_lt(attach(pids[i]), 0);
        ck_assert_msg(err.msg[0] && !strchr(err.msg, '\n'), "%u: %s", pids[i], err.msg);
    }
    memset(&err, 0, sizeof(err));
    ck_assert_int_lt(attach((uint32_t)getpid()), 0); /* not Python, says the helper */
    ck_assert_int_lt(client_request(&client, VT_CTL_SAVED, NULL, VT_CTL_OK, NULL, NULL), 0);
    must_leave();
}
END_TEST

START_TEST(test_server_refuses_filters_too_long) {
    Vt__AttachReq req = VT__ATTACH_REQ__INIT;
    Vt__Options opts = VT__OPTIONS__INIT;
    static char path[4097];
    char *list[] = {path, path, path, path, path};
    memset(path, 'x', sizeof(path) - 1);
    start();
    hello();
    req.pid = (uint32_t)getpid();
    req.options = &opts;
    opts.include_files = list;
    opts.n_include_files = 5;
    ck_assert_int_eq(client_request(&client, VT_CTL_ATTACH, &req.base, VT_CTL_ATTACHED, NULL, &err), -E2BIG);
    ck_assert_ptr_nonnull(strstr(err.msg, "--include_*"));
    must_leave();
}
END_TEST

START_TEST(test_server_refuses_another_protocol) {
    Vt__Hello m = VT__HELLO__INIT;
    start();
    m.protocol = VT_PROTOCOL + 1;
    ck_assert_int_eq(client_request(&client, VT_CTL_HELLO, &m.base, VT_CTL_HELLO, NULL, &err), -EPROTO);
    ck_assert_ptr_nonnull(strstr(err.msg, "same version"));
    must_leave();
}
END_TEST

/* The starter of the daemon stays; guests on the listening socket misbehave. */
static int guest(void) {
    char path[160];
    struct client g;
    snprintf(path, sizeof(path), "%s/viztracerd/viztracerd-%d.sock", dir, daemon_pid);
    int rc = client_open_path(&g, path, geteuid(), &err);
    ck_assert_msg(!rc, "%s", err.msg);
    vt_frame_buf_free(&g.in);
    return g.fd;
}

static void must_be_dropped(int fd, const char *what) {
    struct pollfd pfd = {.fd = fd, .events = POLLIN};
    char buf[4096];
    ssize_t n = 1;
    while (n > 0) {
        ck_assert_msg(poll(&pfd, 1, 5000) == 1, "%s: still connected", what);
        n = recv(fd, buf, sizeof(buf), 0);
    }
    close(fd);
}

START_TEST(test_server_survives_bad_clients) {
    uint8_t frame[VT_FRAME_HDR + 64];
    unsigned seed = 7;
    start();
    hello();
    for (int round = 0; round < 200; round++) {
        int fd = guest();
        for (size_t i = 0; i < sizeof(frame); i++) frame[i] = (uint8_t)rand_r(&seed);
        uint32_t type = round % 4 ? VT_CTL_HELLO + (uint32_t)rand_r(&seed) % 14 : (uint32_t)rand_r(&seed) % 12;
        if (round % 3) vt_frame_put_header(frame, type, frame + VT_FRAME_HDR, (uint32_t)rand_r(&seed) % 64);
        ssize_t n = send(fd, frame, 1 + (size_t)rand_r(&seed) % sizeof(frame), MSG_NOSIGNAL);
        ck_assert_int_gt(n, 0);
        close(fd);
    }
    int fd = guest(); /* too long by its own header */
    uint32_t head[3] = {0x7fffffff, VT_CTL_ATTACH, 0};
    ck_assert_int_eq(send(fd, head, sizeof(head), MSG_NOSIGNAL), (ssize_t)sizeof(head));
    must_be_dropped(fd, "oversized frame");
    fd = guest(); /* damaged */
    vt_frame_put_header(frame, VT_CTL_STATUS, NULL, 0);
    frame[8] ^= 1;
    ck_assert_int_eq(send(fd, frame, VT_FRAME_HDR, MSG_NOSIGNAL), VT_FRAME_HDR);
    must_be_dropped(fd, "wrong checksum");
    fd = guest(); /* asks and never reads */
    vt_frame_put_header(frame, VT_CTL_STATUS, NULL, 0);
    for (int i = 0; i < 2000000 && send(fd, frame, VT_FRAME_HDR, MSG_NOSIGNAL | MSG_DONTWAIT) > 0; i++) continue;
    ck_assert_int_eq(client_request(&client, VT_CTL_STATUS, NULL, VT_CTL_STATUS_REP, NULL, &err), 0); /* others are served */
    close(fd);
    must_leave();
}
END_TEST

START_TEST(test_server_ends_when_told) {
    int status;
    start();
    hello();
    kill(daemon_pid, SIGTERM);
    ck_assert_int_eq(waitpid(daemon_pid, &status, 0), daemon_pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    client_close(&client);
}
END_TEST

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "--helper")) return helper_main(atoi(argv[2]));
    Suite *suite = suite_create("daemon_server");
    TCase *tc = tcase_create("server");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_server_comes_and_goes);
    tcase_add_test(tc, test_server_refusals_are_one_line);
    tcase_add_test(tc, test_server_refuses_filters_too_long);
    tcase_add_test(tc, test_server_refuses_another_protocol);
    tcase_add_test(tc, test_server_survives_bad_clients);
    tcase_add_test(tc, test_server_ends_when_told);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
