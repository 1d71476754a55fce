/* A system daemon whose clients take all that they can get: connections, silence, sessions, long names. The other clients are
 * served. The daemon starts this program (/proc/self/exe) as its helper, which only waits. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/client/client.h"
#include "daemon/serve/server.h"
#include "daemon/session/helper.h"

#define NOBODY 65534

static char dir[64], path[108], spool[96];
static pid_t daemon_pid;
static struct vt_err err;

static int connect_only(void) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    strcpy(sa.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof sa)) vt_close(&fd);
    return fd;
}

static void start(rlim_t descriptors) {
    strcpy(dir, "/tmp/limits-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(chmod(dir, 0755), 0);
    snprintf(spool, sizeof spool, "%s/spool", dir);
    snprintf(path, sizeof path, "%s/sock", dir);
    setenv("VIZTRACER_AGENT", "/dev/null", 1);
    daemon_pid = fork();
    if (daemon_pid == 0) {
        struct server_opts opts = {.private_fd = -1, .spool_dir = spool, .socket_path = path};
        struct rlimit limit = {descriptors, descriptors};
        if (descriptors && setrlimit(RLIMIT_NOFILE, &limit)) _exit(3);
        int rc = server_run(&opts, &err);
        if (rc) fprintf(stderr, "%s\n", err.msg);
        _exit(rc ? 1 : 0);
    }
    int fd = -1;
    for (int i = 0; i < 1000 && (fd = connect_only()) < 0; i++) usleep(10000); /* until it listens */
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void stop(void) {
    int status = -1;
    char command[128];
    kill(daemon_pid, SIGTERM);
    /* It gives its helpers 10 s. The rest is a guard against a hang. */
    for (int i = 0; i < 6000 && waitpid(daemon_pid, &status, WNOHANG) == 0; i++) usleep(10000);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the daemon ended with %#x", (unsigned)status);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

/* The daemon serves us: the number of its sessions. */
static size_t served(const char *when) {
    struct client c;
    ProtobufCMessage *reply = NULL;
    memset(&err, 0, sizeof err);
    int rc = client_open_path(&c, path, geteuid(), &err);
    if (!rc) rc = client_request(&c, VT_CTL_STATUS, NULL, VT_CTL_STATUS_REP, &reply, &err);
    ck_assert_msg(!rc, "%s: %s", when, err.msg);
    size_t n = ((Vt__StatusRep *)reply)->n_sessions;
    vt_msg_free(reply);
    client_close(&c);
    return n;
}

static bool closed_within(int fd, int ms) {
    struct pollfd pfd = {.fd = fd, .events = POLLIN};
    char buf[4096];
    while (poll(&pfd, 1, ms) == 1)
        if (recv(fd, buf, sizeof buf, MSG_DONTWAIT) <= 0) return true;
    return false;
}

/* Does something as another user, in a process of its own that goes on until it is told to end. */
struct guest {
    pid_t pid;
    int to, from;
};

static void guest_start(struct guest *g, unsigned (*fn)(void)) {
    int in[2], out[2];
    unsigned n = 0;
    ck_assert(!pipe2(in, O_CLOEXEC) && !pipe2(out, O_CLOEXEC));
    g->pid = fork();
    if (g->pid == 0) {
        close(in[1]);
        close(out[0]);
        if (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY)) _exit(1);
        n = fn();
        if (write(out[1], &n, sizeof n) != (ssize_t)sizeof n || read(in[0], &n, 1) < 0) _exit(2);
        _exit(0);
    }
    close(in[0]);
    close(out[1]);
    g->to = in[1];
    g->from = out[0];
}

static unsigned guest_says(struct guest *g) {
    unsigned n = 0;
    ck_assert_int_eq(read(g->from, &n, sizeof n), (ssize_t)sizeof n);
    return n;
}

static void guest_end(struct guest *g) {
    close(g->to);
    close(g->from);
    waitpid(g->pid, NULL, 0);
}

/* ---- connections ---- */

static unsigned open_many(void) {
    unsigned accepted = 0, refused = 0;
    for (int i = 0; i < 200; i++) {
        static struct client c;
        struct vt_err why = {0};
        int rc = client_open_path(&c, path, 0, &why);
        accepted += !rc;
        refused += rc == -EUSERS && strstr(why.msg, "connections") && strstr(why.msg, "65534");
        c.fd = -1; /* stays open */
    }
    return accepted << 16 | refused;
}

START_TEST(test_limits_connections_of_one_user_have_a_limit) {
    struct guest g;
    if (geteuid()) return (void)puts("SKIP daemon/limits connections_of_one_user: needs root");
    start(0);
    guest_start(&g, open_many);
    unsigned n = guest_says(&g);
    ck_assert_uint_eq(n >> 16, 64);
    ck_assert_uint_eq(n & 0xffff, 200 - 64);
    served("while another user has all connections that he may have");
    guest_end(&g);
    usleep(100000);
    guest_start(&g, open_many); /* they were given back */
    ck_assert_uint_eq(guest_says(&g) >> 16, 64);
    guest_end(&g);
    stop();
}
END_TEST

START_TEST(test_limits_connection_without_hello_ends) {
    start(0);
    int silent = connect_only(), half = connect_only();
    ck_assert(silent >= 0 && half >= 0);
    ck_assert_int_eq(send(half, "\1\2\3", 3, MSG_NOSIGNAL), 3);
    ck_assert(closed_within(silent, 30000));
    ck_assert(closed_within(half, 30000));
    close(silent);
    close(half);
    served("after silent clients");
    stop();
}
END_TEST

static uint64_t cpu_ns(pid_t pid) {
    struct timespec used;
    clockid_t clock;
    ck_assert(!clock_getcpuclockid(pid, &clock) && !clock_gettime(clock, &used));
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

START_TEST(test_limits_daemon_without_descriptors_waits_and_goes_on) {
    int fds[60];
    start(32);
    for (size_t i = 0; i < VT_ARRAY_LEN(fds); i++) ck_assert_int_ge(fds[i] = connect_only(), 0); /* the rest waits in the queue */
    uint64_t before = cpu_ns(daemon_pid);
    usleep(2000000);
    uint64_t used = cpu_ns(daemon_pid) - before; /* one that does not wait uses all that a loaded machine has for it */
    ck_assert_msg(used < 50000000u, "%.3f s of CPU in 2 s", (double)used / 1e9);
    for (size_t i = 0; i < VT_ARRAY_LEN(fds); i++) close(fds[i]);
    served("after it had no descriptors");
    stop();
}
END_TEST

START_TEST(test_limits_descriptors_are_raised_to_the_hard_limit) {
    struct rlimit limit = {64, 0}, got;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &got), 0);
    limit.rlim_max = got.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    start(0);
    ck_assert_int_eq(prlimit(daemon_pid, RLIMIT_NOFILE, NULL, &got), 0);
    ck_assert_uint_eq(got.rlim_cur, got.rlim_max < 65536 ? got.rlim_max : 65536);
    stop();
}
END_TEST

/* ---- sessions ---- */

static unsigned attach_many(void) {
    unsigned going = 0, refused = 0;
    for (uint32_t i = 0; i < 40; i++) {
        static struct client c;
        struct vt_err why = {0};
        Vt__AttachReq req = VT__ATTACH_REQ__INIT;
        req.pid = 4200000 + i;
        if (client_open_path(&c, path, 0, &why) || vt_msg_send(c.fd, VT_CTL_ATTACH, &req.base)) return 0;
        struct pollfd pfd = {.fd = c.fd, .events = POLLIN};
        const uint8_t *payload;
        uint32_t type, len;
        if (poll(&pfd, 1, 300) == 0)
            going++;
        else if (!vt_msg_recv(c.fd, &c.in, &type, &payload, &len) && type == VT_CTL_ERROR)
            refused += client_error(payload, len, &why) == -EUSERS && strstr(why.msg, "sessions");
        c.fd = -1;
        memset(&c.in, 0, sizeof c.in);
    }
    return going << 16 | refused;
}

START_TEST(test_limits_sessions_of_one_user_have_a_limit) {
    struct guest g;
    if (geteuid()) return (void)puts("SKIP daemon/limits sessions_of_one_user: needs root");
    start(0);
    guest_start(&g, attach_many);
    unsigned n = guest_says(&g);
    ck_assert_uint_eq(n >> 16, 32);
    ck_assert_uint_eq(n & 0xffff, 8);
    ck_assert_uint_eq(served("while another user has all sessions that he may have"), 32);
    guest_end(&g);
    stop();
}
END_TEST

/* ---- fields ---- */

START_TEST(test_limits_long_names_are_refused_and_status_is_answered) {
    static const size_t lengths[] = {4095, 4096, 200000};
    static char name[250001];
    struct client c[VT_ARRAY_LEN(lengths)];
    start(0);
    for (size_t i = 0; i < VT_ARRAY_LEN(lengths); i++) {
        Vt__AttachReq req = VT__ATTACH_REQ__INIT;
        Vt__Options opts = VT__OPTIONS__INIT;
        struct pollfd pfd = {.events = POLLIN};
        memset(&err, 0, sizeof err);
        memset(name, 'x', sizeof name);
        name[lengths[i]] = 0;
        req.pid = 4200000 + (uint32_t)i;
        req.output = name;
        req.options = &opts;
        if (!i) opts.text = name;
        ck_assert_int_eq(client_open_path(&c[i], path, geteuid(), &err), 0);
        ck_assert_int_eq(vt_msg_send(c[i].fd, VT_CTL_ATTACH, &req.base), 0);
        pfd.fd = c[i].fd;
        bool answered = poll(&pfd, 1, lengths[i] >= 4096 ? 30000 : 1000) == 1;
        ck_assert_msg(answered == (lengths[i] >= 4096), "%zu bytes", lengths[i]);
        if (!answered) continue;
        const uint8_t *payload;
        uint32_t type, len;
        ck_assert_int_eq(vt_msg_recv(c[i].fd, &c[i].in, &type, &payload, &len), 0);
        ck_assert_uint_eq(type, VT_CTL_ERROR);
        ck_assert_int_eq(client_error(payload, len, &err), -ENAMETOOLONG);
    }
    ck_assert_uint_eq(served("with a session that has the longest name"), 1);
    for (size_t i = 0; i < VT_ARRAY_LEN(lengths); i++) client_close(&c[i]);
    stop();
}
END_TEST

/* Sessions with the longest names, as a user of its own, until it is killed. */
static void hold_sessions(uid_t uid, uint32_t first, uint32_t n) {
    static char name[4096];
    static struct client c;
    if (uid && (setgroups(0, NULL) || setgid(uid) || setuid(uid))) _exit(1);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    memset(name, 'x', sizeof name - 1);
    for (uint32_t i = 0; i < n; i++) {
        Vt__AttachReq req = VT__ATTACH_REQ__INIT;
        req.pid = first + i;
        req.output = name;
        int tries = 0; /* a daemon that starts 1,088 helpers on a loaded machine answers late */
        while (client_open_path(&c, path, 0, &err))
            if (++tries == 50) _exit(1);
        if (vt_msg_send(c.fd, VT_CTL_ATTACH, &req.base)) _exit(1);
        c.fd = -1;
    }
    for (;;) pause();
}

/* More sessions than one answer holds: those that are in it and those that are left out are all. */
START_TEST(test_limits_status_counts_what_it_leaves_out) {
    enum { USERS = 27, OF_ROOT = 256, EACH = 32, ALL = OF_ROOT + (USERS - 1) * EACH };
    pid_t users[USERS];
    struct client asks;
    ProtobufCMessage *reply = NULL;
    size_t listed = 0, left_out = 0;
    if (geteuid()) return (void)puts("SKIP daemon/limits status_counts_what_it_leaves_out: needs root");
    start(0);
    for (unsigned i = 0; i < USERS; i++) {
        users[i] = fork();
        ck_assert_int_ge(users[i], 0);
        if (!users[i]) hold_sessions(i ? 64100 + i : 0, 4200000 + 1000 * i, i ? EACH : OF_ROOT);
    }
    for (int i = 0; i < 900 && listed + left_out < ALL; i++, usleep(100000)) { /* until it has read all requests */
        memset(&err, 0, sizeof err);
        ck_assert_int_eq(client_open_path(&asks, path, geteuid(), &err), 0);
        int rc = client_request(&asks, VT_CTL_STATUS, NULL, VT_CTL_STATUS_REP, &reply, &err);
        ck_assert_msg(!rc, "no answer: %s", err.msg);
        listed = ((Vt__StatusRep *)reply)->n_sessions;
        left_out = ((Vt__StatusRep *)reply)->left_out;
        vt_msg_free(reply);
        client_close(&asks);
    }
    for (unsigned i = 0; i < USERS; i++) kill(users[i], SIGKILL), waitpid(users[i], NULL, 0);
    ck_assert_uint_eq(listed + left_out, ALL);
    ck_assert_uint_gt(listed, 900);
    ck_assert_uint_gt(left_out, 0);
    stop();
}
END_TEST

/* Until the daemon closes the connection. */
static int idle_helper(int fd) {
    static char buf[1 << 18];
    while (recv(fd, buf, sizeof buf, 0) > 0) continue;
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "--helper")) return idle_helper(atoi(argv[2]));
    Suite *suite = suite_create("daemon_limits");
    TCase *tc = tcase_create("limits");
    tcase_set_timeout(tc, 180);
    tcase_add_test(tc, test_limits_connections_of_one_user_have_a_limit);
    tcase_add_test(tc, test_limits_connection_without_hello_ends);
    tcase_add_test(tc, test_limits_daemon_without_descriptors_waits_and_goes_on);
    tcase_add_test(tc, test_limits_descriptors_are_raised_to_the_hard_limit);
    tcase_add_test(tc, test_limits_sessions_of_one_user_have_a_limit);
    tcase_add_test(tc, test_limits_long_names_are_refused_and_status_is_answered);
    tcase_add_test(tc, test_limits_status_counts_what_it_leaves_out);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
