/* Each way that a trace can end: what was recorded is saved, the target is unharmed and clean, the next attach works. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/frame.h"
#include "proto/msg.h"
#include "proto/rundir.h"
#include "tests/lib/suite.h"
#include "tests/lib/trace_build.h"

struct scene {
    const struct interp *ip;
    struct target target;
    struct tool tool;
    const char *out;
    char who[96];
};

/* A target that runs, with the tool attached and tracing. */
static void begin(struct scene *x, int i, const char *what, const char *options) {
    x->ip = suite_interp(i);
    x->out = temp_path(".json");
    snprintf(x->who, sizeof x->who, "%s on %s", what, x->ip->version);
    ck_assert_int_eq(target_spawn(&x->target, x->ip, "clocked.py", NULL, NULL), 0);
    tool_startf(&x->tool, "--attach %d -o %s %s", (int)x->target.pid, x->out, options);
    must_attach(&x->tool, x->who);
    sleep_ms(100);
}

/* The tool says 0 and the trace is there. */
static void saved(struct scene *x, unsigned ms) {
    struct trace trace;
    tool_wait(&x->tool, ms);
    must_exit(&x->tool, 0, x->who);
    must_load(&trace, x->out, x->who);
    ck_assert_msg(trace_count(&trace, "tick", 0) > 100, "%s: %zu calls of tick", x->who, trace_count(&trace, "tick", 0));
    trace_free(&trace);
    unlink(x->out);
}

/* The target runs, without a thread or descriptor of ours, and can be traced again. */
static void goes_on(struct scene *x) {
    ck_assert_msg(!target_progresses(&x->target, 1, 5000), "%s: the target does not run on", x->who);
    for (int i = 0; i < 2; i++) {
        tool_runf(&x->tool, "--attach %d -t 0.1 -o %s", (int)x->target.pid, x->out);
        if (x->tool.exit_code == 0) break;
        if (i == 0) sleep_ms(2500); /* the lease of a killed daemon may still run */
    }
    must_exit(&x->tool, 0, x->who);
    saved(x, 1);
    ck_assert_msg(!target_progresses(&x->target, 1, 5000), "%s: the target does not run on after the next trace", x->who);
}

static void end(struct scene *x) {
    target_kill(&x->target);
    tool_kill(&x->tool);
    unlink(x->out);
}

START_TEST(test_ending_by_duration) {
    struct scene x;
    begin(&x, _i, "-t 1", "-t 1");
    saved(&x, 20000);
    ck_assert_msg(x.tool.took_ms >= 1000 && x.tool.took_ms < 12000, "%s: took %llu ms", x.who,
                  (unsigned long long)x.tool.took_ms);
    goes_on(&x);
    end(&x);
}
END_TEST

static const struct {
    const char *name;
    int number;
} signals[] = {{"SIGINT", SIGINT}, {"SIGTERM", SIGTERM}, {"SIGHUP", SIGHUP}};

START_TEST(test_ending_by_signal) {
    struct scene x;
    begin(&x, _i, signals[suite_row(_i)].name, "");
    kill(x.tool.pid, signals[suite_row(_i)].number);
    saved(&x, 20000);
    goes_on(&x);
    end(&x);
}
END_TEST

START_TEST(test_ending_by_detach_elsewhere) {
    struct scene x;
    struct tool other;
    begin(&x, _i, "--detach", "");
    tool_runf(&other, "--detach %d", (int)x.target.pid);
    must_exit(&other, 0, x.who);
    saved(&x, 20000);
    tool_runf(&other, "--detach %d", (int)x.target.pid);
    must_exit(&other, 1, "--detach without a session");
    ck_assert_msg(tool_one_line(&other), "--detach without a session: %s", other.err);
    goes_on(&x);
    end(&x);
}
END_TEST

/* Answers the first words of each client, then hangs up. */
static void daemon_that_goes(int listening) {
    for (;;) {
        Vt__Hello hello = VT__HELLO__INIT;
        struct vt_frame_buf in = {0};
        const uint8_t *payload;
        uint32_t type, len;
        int fd = accept(listening, NULL, NULL);
        hello.protocol = VT_PROTOCOL;
        hello.tool_version = (char *)(uintptr_t) "";
        hello.is_private = true;
        if (fd < 0 || vt_msg_recv(fd, &in, &type, &payload, &len) || vt_msg_send(fd, VT_CTL_HELLO, &hello.base)) _exit(1);
        vt_frame_buf_free(&in);
        close(fd);
    }
}

/* All commands ask every daemon of this host; one that ends meanwhile is none of their business. */
START_TEST(test_ending_by_another_daemon) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct tool tool;
    char dir[64];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(rundir_prepare(dir, sizeof dir, NULL), 0);
    ck_assert_int_lt(snprintf(at.sun_path, sizeof at.sun_path, "%s/viztracerd-%d.sock", dir, (int)getpid()), sizeof at.sun_path);
    ck_assert_msg(fd >= 0 && !bind(fd, (struct sockaddr *)&at, sizeof at) && !listen(fd, 8), "cannot listen at %s", at.sun_path);
    pid_t pid = fork();
    if (pid == 0) daemon_that_goes(fd);
    close(fd);
    tool_runf(&tool, "--detach %d", (int)getpid());
    const char *said = strstr(tool.err, "is not being traced");
    tool_runf(&tool, "status");
    kill(pid, SIGKILL);
    unlink(at.sun_path);
    waitpid(pid, NULL, 0);
    ck_assert_msg(said != NULL, "--detach: what another daemon did is told as an error");
    must_exit(&tool, 0, "status");
}
END_TEST

/* Listens in the run folder of `uid`. Greets nobody, or says of everything that it is done and never is. */
static void another_users_daemon(uid_t uid, bool greets, pid_t claims) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    Vt__Hello hello = VT__HELLO__INIT;
    Vt__StatusRep status = VT__STATUS_REP__INIT;
    Vt__SessionInfo info = VT__SESSION_INFO__INIT, *infos[] = {&info};
    char dir[64];
    if (setgroups(0, NULL) || setgid(uid) || setuid(uid) || prctl(PR_SET_PDEATHSIG, SIGKILL)) _exit(1);
    snprintf(dir, sizeof dir, "/tmp/viztracerd-%u", uid);
    snprintf(at.sun_path, sizeof at.sun_path, "%s/viztracerd-%d.sock", dir, (int)getpid());
    int listening = socket(AF_UNIX, SOCK_STREAM, 0);
    if (mkdir(dir, 0700) || bind(listening, (struct sockaddr *)&at, sizeof at) || listen(listening, 8)) _exit(1);
    hello.protocol = VT_PROTOCOL;
    hello.tool_version = (char *)(uintptr_t) "";
    info.pid = (uint32_t)claims;
    status.n_sessions = 1;
    status.sessions = infos;
    while (!greets) pause();
    for (int fd; (fd = accept(listening, NULL, NULL)) >= 0;) { /* the connection stays open */
        struct vt_frame_buf in = {0};
        const uint8_t *payload;
        uint32_t type, len;
        while (!vt_msg_recv(fd, &in, &type, &payload, &len)) {
            if (type == VT_CTL_HELLO && vt_msg_send(fd, VT_CTL_HELLO, &hello.base)) break;
            if (type == VT_CTL_STATUS && vt_msg_send(fd, VT_CTL_STATUS_REP, &status.base)) break;
            if (type == VT_CTL_DETACH)
                for (;;) pause();
        }
        vt_frame_buf_free(&in);
    }
    _exit(0);
}

/* Root's commands meet daemons of other users that say nothing, or claim a process of somebody else. */
START_TEST(test_ending_beside_daemons_of_other_users) {
    struct scene x;
    struct tool other;
    pid_t false_daemons[2];
    if (geteuid()) skip_test("endings other-users: needs root to become somebody else");
    if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("tmpfs", "/tmp", "tmpfs", 0, "mode=1777"))
        skip_test("endings other-users: cannot mount a /tmp of our own (%s)", strerror(errno));
    begin(&x, _i, "daemons of other users", "");
    for (unsigned i = 0; i < 2; i++) {
        false_daemons[i] = fork();
        if (false_daemons[i] == 0) another_users_daemon(64001 + i, i, x.target.pid);
    }
    sleep_ms(300);
    tool_runf(&other, "status");
    must_exit(&other, 0, "status");
    ck_assert_msg(tool_one_line(&other) && strstr(other.err, "the daemons of user 64001 are left out"), "status: %s", other.err);
    ck_assert_msg(other.took_ms < 30000, "status took %llu ms", (unsigned long long)other.took_ms);
    tool_runf(&other, "--detach %d", (int)x.target.pid);
    must_exit(&other, 0, "--detach");
    ck_assert_msg(tool_one_line(&other) && strstr(other.err, "the daemons of user 64001 are left out"), "--detach: %s",
                  other.err);
    ck_assert_msg(other.took_ms < 30000, "--detach took %llu ms", (unsigned long long)other.took_ms);
    saved(&x, 20000);
    tool_runf(&other, "--detach %d", (int)x.target.pid); /* now nobody but the false daemon says that it traces it */
    must_exit(&other, 1, "--detach of what is not traced");
    ck_assert_msg(strstr(other.err, "is not being traced") != NULL, "--detach of what is not traced: %s", other.err);
    for (unsigned i = 0; i < 2; i++) kill(false_daemons[i], SIGKILL), waitpid(false_daemons[i], NULL, 0);
    end(&x);
}
END_TEST

START_TEST(test_ending_by_uninstall_elsewhere) {
    struct scene x;
    struct tool other;
    begin(&x, _i, "--uninstall", "");
    tool_runf(&other, "--uninstall %d", (int)x.target.pid);
    must_exit(&other, 0, x.who);
    tool_wait(&x.tool, 20000);
    ck_assert_msg(!x.tool.timed_out, "%s: the tracing client goes on", x.who);
    tool_runf(&other, "--uninstall %d", (int)x.target.pid);
    must_exit(&other, 0, "--uninstall twice");
    goes_on(&x);
    end(&x);
}
END_TEST

/* Everything up to the last millisecond: compares the end of the last slice with the target's own clock. */
START_TEST(test_ending_target_killed) {
    struct scene x;
    struct trace trace;
    int64_t first, last;
    begin(&x, _i, "SIGKILL of the target", "");
    kill(x.target.pid, SIGKILL);
    waitpid(x.target.leader, NULL, 0);
    int64_t clock = (int64_t)x.target.slots[2];
    tool_wait(&x.tool, 20000);
    must_exit(&x.tool, 0, x.who);
    must_load(&trace, x.out, x.who);
    trace_span(&trace, &first, &last);
    ck_assert_msg(last > clock - 1000000, "%s: the trace ends %.3f ms before the target did", x.who,
                  (double)(clock - last) / 1e6);
    ck_assert_msg(trace_count(&trace, "tick", 0) > 100, "%s: %zu calls", x.who, trace_count(&trace, "tick", 0));
    trace_free(&trace);
    end(&x);
}
END_TEST

START_TEST(test_ending_target_exits) {
    struct scene x;
    int status;
    x.ip = suite_interp(_i);
    x.out = temp_path(".json");
    snprintf(x.who, sizeof x.who, "exit of the target on %s", x.ip->version);
    ck_assert_int_eq(target_spawn(&x.target, x.ip, "clocked.py", (const char *[]){"1.5", NULL}, NULL), 0);
    tool_startf(&x.tool, "--attach %d -o %s", (int)x.target.pid, x.out);
    must_attach(&x.tool, x.who);
    ck_assert_msg(!target_wait(&x.target, 20000, &status) && status == 0, "%s: the target ended with %#x: %s", x.who,
                  (unsigned)status, x.target.text);
    saved(&x, 20000);
    end(&x);
}
END_TEST

/* What nobody saved is listed with the command that it is of, and can be saved. */
static void must_be_kept(const struct target *t, const char *out, const char *who) {
    struct tool tool;
    char row[64];
    const char *at = NULL;
    snprintf(row, sizeof row, "%-8d kept ", (int)t->pid);
    uint64_t began = now_ms();
    do {
        sleep_ms(50);
        tool_runf(&tool, "status");
        at = strstr(tool.out, row);
    } while (!at && now_ms() - began < 5000);
    ck_assert_msg(at != NULL, "%s: status has no kept trace: %s", who, tool.out);
    const char *command = strchr(at, '\n');
    ck_assert_msg(command && strstr(command, "probe.py busy 2\n         kept as /"), "%s: the command line is missing: %s", who,
                  at);
    tool_runf(&tool, "--detach %d -o %s", (int)t->pid, out);
    must_exit(&tool, 0, who);
    ck_assert_msg(strstr(tool.out, " from the trace that was kept"), "%s: says %s", who, tool.out);
}

/* Somebody on our side is killed while a trace runs: within 2 s the hooks are gone. */
static void somebody_killed(int i, const char *what, const char *comm) {
    struct target t;
    struct tool tool;
    struct trace trace;
    char before[1024], after[1024], who[96];
    const char *out = temp_path(".json");
    snprintf(who, sizeof who, "%s on %s", what, suite_interp(i)->version);
    ck_assert_int_eq(target_spawn(&t, suite_interp(i), "probe.py", (const char *[]){"busy", "2", NULL}, NULL), 0);
    must_tell_hooks(&t, before, sizeof before, who);
    tool_startf(&tool, "--attach %d -o %s", (int)t.pid, out);
    must_attach(&tool, who);
    sleep_ms(100);
    pid_t victim = comm ? process_below(tool.pid, comm) : tool.pid;
    ck_assert_msg(victim > 0, "%s: not found below the client", who);
    kill(victim, SIGKILL);
    uint64_t began = now_ms();
    do {
        sleep_ms(100);
        must_tell_hooks(&t, after, sizeof after, who);
    } while (strcmp(before, after) && now_ms() - began < 2000);
    ck_assert_msg(!strcmp(before, after), "%s: 2 s later hooks are left: before %s after %s", who, before, after);
    ck_assert_msg(!target_progresses(&t, 2, 5000), "%s: the target does not run on", who);
    if (comm) {
        tool_wait(&tool, 20000);
        ck_assert_msg(!tool.timed_out, "%s: the client hangs", who);
        ck_assert_msg(tool.exit_code == 0 || (tool.exit_code == 1 && tool.err_len), "%s: exit %d, stderr: %s", who,
                      tool.exit_code, tool.err);
        if (tool.exit_code == 0) {
            must_load(&trace, out, who);
            trace_free(&trace);
        }
    } else {
        tool_wait(&tool, 100);
        must_be_kept(&t, out, who);
    }
    tool_runf(&tool, "--attach %d -t 0.2 -o %s", (int)t.pid, out);
    must_exit(&tool, 0, who);
    must_load(&trace, out, who);
    ck_assert_msg(trace_count(&trace, "leaf", 0) > 100, "%s: the next trace has no calls", who);
    trace_free(&trace);
    target_kill(&t);
    unlink(out);
}

START_TEST(test_ending_client_killed) { somebody_killed(_i, "SIGKILL of the client", NULL); }
END_TEST

START_TEST(test_ending_daemon_killed) { somebody_killed(_i, "SIGKILL of the daemon", "viztracerd"); }
END_TEST

/* Everything on our side killed at some instant of the climb. */
START_TEST(test_ending_all_killed_early) {
    struct scene x;
    x.ip = suite_interp(_i);
    x.out = temp_path(".json");
    snprintf(x.who, sizeof x.who, "SIGKILL of all of us during attach on %s", x.ip->version);
    ck_assert_int_eq(target_spawn(&x.target, x.ip, "clocked.py", NULL, NULL), 0);
    int times = suite_times(5, 50);
    for (int n = 0; n < times; n++) {
        tool_startf(&x.tool, "--attach %d -o %s", (int)x.target.pid, x.out);
        sleep_ms(3 + (unsigned)n * 7 % 60);
        kill(-x.tool.pid, SIGKILL); /* the whole group: client, daemon and helper where they stay in it */
        tool_wait(&x.tool, 5000);
        ck_assert_msg(!target_progresses(&x.target, 1, 5000), "%s: the target does not run on", x.who);
        tool_runf(&x.tool, "--uninstall %d", (int)x.target.pid);
    }
    sleep_ms(2000);
    goes_on(&x);
    end(&x);
}
END_TEST

/* SIGSTOP just before the detach: the client says that the target is stopped, and not that it holds the GIL. */
START_TEST(test_ending_target_stopped) {
    struct scene x;
    begin(&x, _i, "a stopped target", "");
    ck_assert_int_eq(process_stop(x.target.pid), 0);
    kill(x.tool.pid, SIGINT);
    saved(&x, 30000);
    ck_assert_msg(strstr(x.tool.out, "the target is stopped") && strstr(x.tool.out, "kill -CONT") && !strstr(x.tool.out, "GIL"),
                  "%s: says: %s", x.who, x.tool.out);
    kill(x.target.pid, SIGCONT);
    goes_on(&x);
    end(&x);
}
END_TEST

/* What the client says of a .vzt that nobody finished is what is in it, and the dead daemon's socket goes with the next daemon.
 */
START_TEST(test_ending_of_unfinished_vzt) {
    struct scene x;
    char dir[64], socket_path[128], number[32] = "", line[64];
    const char *out = temp_path(".vzt");
    x.ip = suite_interp(_i);
    x.out = temp_path(".json");
    snprintf(x.who, sizeof x.who, "SIGKILL of the daemon, .vzt, on %s", x.ip->version);
    ck_assert_int_eq(rundir_prepare(dir, sizeof dir, NULL), 0);
    ck_assert_int_eq(target_spawn(&x.target, x.ip, "clocked.py", NULL, NULL), 0);
    tool_startf(&x.tool, "--attach %d -o %s", (int)x.target.pid, out);
    must_attach(&x.tool, x.who);
    sleep_ms(800);
    pid_t daemon = process_below(x.tool.pid, "viztracerd");
    ck_assert_msg(daemon > 0, "%s: no daemon", x.who);
    ck_assert_int_lt(snprintf(socket_path, sizeof socket_path, "%s/viztracerd-%d.sock", dir, (int)daemon), sizeof socket_path);
    ck_assert_msg(!access(socket_path, F_OK), "%s: no socket at %s", x.who, socket_path);
    kill(daemon, SIGKILL);
    tool_wait(&x.tool, 20000);
    must_exit(&x.tool, 0, x.who);
    const char *said = strstr(x.tool.out, "Saved ");
    said = said ? strstr(said, "): ") : NULL;
    ck_assert_msg(said && sscanf(said, "): %31s calls", number) == 1 && strlen(number) > 3, "%s: says: %s", x.who, x.tool.out);
    tool_runf(&x.tool, "report %s", out);
    must_exit(&x.tool, 0, x.who);
    snprintf(line, sizeof line, "\n%s calls of ", number);
    ck_assert_msg(strstr(x.tool.out, line), "%s: said %s calls; in it: %s", x.who, number, x.tool.out);
    goes_on(&x); /* with a daemon of its own */
    ck_assert_msg(access(socket_path, F_OK), "%s: the dead daemon's socket is still there", x.who);
    unlink(out);
    end(&x);
}
END_TEST

/* ---- where the trace goes ---- */

START_TEST(test_status_to_full_disk_fails) {
    struct tool tool;
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (full < 0) skip_test("endings status-full: no /dev/full");
    tool_start(&tool, (const char *[]){"status", NULL}, &(struct tool_opts){.stdout_fd = full});
    tool_wait(&tool, 60000);
    must_exit(&tool, 1, "status > /dev/full");
    ck_assert_msg(strstr(tool.err, "No space left"), "status > /dev/full: %s", tool.err);
    close(full);
}
END_TEST

START_TEST(test_ending_disk_full) {
    struct scene x;
    char dir[PATH_MAX];
    if (geteuid()) skip_test("endings disk-full: needs root to mount a small file system");
    snprintf(dir, sizeof dir, "%s", temp_path("-disk"));
    mkdir(dir, 0755);
    if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("tmpfs", dir, "tmpfs", 0, "size=32k"))
        skip_test("endings disk-full: cannot mount a small file system (%s)", strerror(errno));
    begin(&x, _i, "full disk", "-t 600");
    kill(x.tool.pid, SIGINT);
    saved(&x, 20000);
    char out[PATH_MAX + 32];
    snprintf(out, sizeof out, "%s/out.json", dir);
    tool_runf(&x.tool, "--attach %d -t 0.5 -o %s", (int)x.target.pid, out);
    must_exit(&x.tool, 1, x.who);
    ck_assert_msg(strstr(x.tool.err, "No space") || strstr(x.tool.err, "full"), "%s: says: %s", x.who, x.tool.err);
    goes_on(&x);
    end(&x);
}
END_TEST

/* Nobody reads stdout, so the conversion fails: the raw trace is where the message says, beside one of an earlier failure. */
START_TEST(test_ending_failed_conversion_keeps_the_raw_trace) {
    struct scene x;
    char dir[PATH_MAX], name[2][256] = {"", ""}, path[PATH_MAX + 600], number[16];
    int fds[2];
    x.ip = suite_interp(_i);
    x.out = temp_path(".json");
    snprintf(x.who, sizeof x.who, "conversion fails on %s", x.ip->version);
    snprintf(dir, sizeof dir, "%s", temp_path("-stdout"));
    ck_assert_int_eq(mkdir(dir, 0755), 0);
    ck_assert_int_eq(target_spawn(&x.target, x.ip, "clocked.py", NULL, NULL), 0);
    snprintf(number, sizeof number, "%d", (int)x.target.pid);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
        close(fds[0]);
        const char *args[] = {"--attach", number, "-t", "0.3", "-o", "-", NULL};
        tool_start(&x.tool, args, &(struct tool_opts){.cwd = dir, .stdout_fd = fds[1]});
        close(fds[1]);
        tool_wait(&x.tool, 20000);
        must_exit(&x.tool, 1, x.who);
        const char *at = strstr(x.tool.err, "the raw trace is ");
        ck_assert_msg(at && sscanf(at, "the raw trace is %255[^,]", name[i]) == 1, "%s: says: %s", x.who, x.tool.err);
    }
    ck_assert_msg(strcmp(name[0], name[1]) != 0, "%s: the second took the place of the first", x.who);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, name[i]);
        tool_runf(&x.tool, "report %s", path);
        must_exit(&x.tool, 0, x.who);
        ck_assert_msg(strstr(x.tool.out, "tick"), "%s: %s: %s", x.who, name[i], x.tool.out);
        unlink(path);
    }
    ck_assert_msg(!rmdir(dir), "%s: something is left in the folder", x.who);
    goes_on(&x);
    end(&x);
}
END_TEST

START_TEST(test_ending_output_unwritable) {
    struct scene x;
    static const char *const places[] = {"/proc/no/such/out.json", "/dev/null/out.json"};
    x.ip = suite_interp(_i);
    x.out = temp_path(".json");
    snprintf(x.who, sizeof x.who, "unwritable output on %s", x.ip->version);
    ck_assert_int_eq(target_spawn(&x.target, x.ip, "clocked.py", NULL, NULL), 0);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        tool_runf(&x.tool, "--attach %d -t 30 -o %s", (int)x.target.pid, places[i]);
        must_exit(&x.tool, 1, x.who);
        ck_assert_msg(tool_one_line(&x.tool) && x.tool.took_ms < 10000, "%s: %llu ms: %s", x.who,
                      (unsigned long long)x.tool.took_ms, x.tool.err);
    }
    ck_assert_msg(!maps_have(x.target.pid, "viztracer"), "%s: found out only after attaching", x.who);
    goes_on(&x);
    end(&x);
}
END_TEST

/* stdout and stderr are a terminal that goes away. */
START_TEST(test_ending_terminal_closed) {
    struct scene x;
    struct trace trace;
    int ends[2];
    x.ip = suite_interp(_i);
    x.out = temp_path(".json");
    snprintf(x.who, sizeof x.who, "closed terminal on %s", x.ip->version);
    ck_assert_int_eq(target_spawn(&x.target, x.ip, "clocked.py", NULL, NULL), 0);
    ck_assert_int_eq(pipe(ends), 0);
    char pid[16];
    snprintf(pid, sizeof pid, "%d", (int)x.target.pid);
    tool_start(&x.tool, (const char *[]){"--attach", pid, "-t", "1", "-o", x.out, NULL},
               &(struct tool_opts){.stdout_fd = ends[1]});
    close(ends[0]);
    close(ends[1]);
    tool_wait(&x.tool, 20000);
    must_exit(&x.tool, 0, x.who);
    must_load(&trace, x.out, x.who);
    trace_free(&trace);
    goes_on(&x);
    end(&x);
}
END_TEST

START_TEST(test_ending_terminal_hung_up) {
    struct scene x;
    struct trace trace;
    x.ip = suite_interp(_i);
    x.out = temp_path(".json");
    snprintf(x.who, sizeof x.who, "hung up on %s", x.ip->version);
    ck_assert_int_eq(target_spawn(&x.target, x.ip, "clocked.py", NULL, NULL), 0);
    char pid[16], program[PATH_MAX + 16], text[4096] = "";
    snprintf(pid, sizeof pid, "%d", (int)x.target.pid);
    snprintf(program, sizeof program, "%s/viztracer", tree_bin());
    int terminal;
    pid_t client = forkpty(&terminal, NULL, NULL, NULL);
    if (client == 0) {
        execl(program, program, "--attach", pid, "-o", x.out, (char *)NULL);
        _exit(127);
    }
    size_t len = 0;
    fcntl(terminal, F_SETFL, O_NONBLOCK);
    for (uint64_t limit = now_ms() + 20000; !strstr(text, "racing") && now_ms() < limit; sleep_ms(5)) {
        ssize_t n = read(terminal, text + len, sizeof text - 1 - len);
        if (n > 0) len += (size_t)n;
        text[len] = 0;
        if (len > sizeof text / 2 && !strstr(text, "racing")) len = 0;
    }
    ck_assert_msg(strstr(text, "racing"), "%s: no live line on a terminal: %s", x.who, text);
    sleep_ms(300);
    close(terminal);
    int status = 0;
    bool gone = false;
    for (uint64_t limit = now_ms() + 20000; !gone && now_ms() < limit; sleep_ms(5))
        gone = waitpid(client, &status, WNOHANG) == client;
    if (!gone) kill(client, SIGKILL);
    ck_assert_msg(gone, "%s: the client hangs", x.who);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: ended with %#x", x.who, (unsigned)status);
    must_load(&trace, x.out, x.who);
    trace_free(&trace);
    goes_on(&x);
    end(&x);
}
END_TEST

/* ---- several at once ---- */

START_TEST(test_ending_of_two_clients) {
    struct scene x;
    struct tool a, b;
    struct trace trace;
    const char *out_a = temp_path(".json"), *out_b = temp_path(".json");
    x.ip = suite_interp(_i);
    x.out = temp_path(".json");
    snprintf(x.who, sizeof x.who, "two clients on %s", x.ip->version);
    ck_assert_int_eq(target_spawn(&x.target, x.ip, "clocked.py", NULL, NULL), 0);
    tool_startf(&a, "--attach %d -t 1 -o %s", (int)x.target.pid, out_a);
    tool_startf(&b, "--attach %d -t 1 -o %s", (int)x.target.pid, out_b);
    tool_wait(&a, 30000);
    tool_wait(&b, 30000);
    ck_assert_msg((a.exit_code == 0) + (b.exit_code == 0) == 1 && a.exit_code + b.exit_code == 1, "%s: exits %d and %d: %s %s",
                  x.who, a.exit_code, b.exit_code, a.err, b.err);
    must_load(&trace, a.exit_code ? out_b : out_a, x.who);
    trace_free(&trace);
    ck_assert_msg(access(a.exit_code ? out_a : out_b, F_OK), "%s: the refused one wrote a file", x.who);
    unlink(out_a);
    unlink(out_b);
    goes_on(&x);
    end(&x);
}
END_TEST

START_TEST(test_ending_of_two_targets) {
    struct scene x, y;
    begin(&x, _i, "two targets", "");
    begin(&y, _i, "two targets", "");
    kill(x.tool.pid, SIGINT);
    kill(y.tool.pid, SIGINT);
    saved(&x, 20000);
    saved(&y, 20000);
    end(&x);
    end(&y);
}
END_TEST

START_TEST(test_status_lists_sessions) {
    struct scene x;
    struct tool other;
    char line[16]; /* a row of the table begins with the pid; its digits may be in another row */
    begin(&x, _i, "status", "");
    snprintf(line, sizeof line, "\n%d ", (int)x.target.pid);
    tool_runf(&other, "status");
    must_exit(&other, 0, x.who);
    ck_assert_msg(strstr(other.out, line), "%s: the session is not listed: %s", x.who, other.out);
    kill(x.tool.pid, SIGINT);
    saved(&x, 20000);
    tool_runf(&other, "status");
    must_exit(&other, 0, x.who);
    ck_assert_msg(!strstr(other.out, line), "%s: the session is still listed: %s", x.who, other.out);
    end(&x);
}
END_TEST

/* What nobody has saved: its events are not known, and a file without a frame is no trace. */
START_TEST(test_status_of_kept_files) {
    struct tool tool;
    struct trace_build kept;
    char dir[] = "/tmp/vt-spool-XXXXXX", whole[64], fresh[64], old[64];
    ck_assert_ptr_nonnull(mkdtemp(dir));
    setenv("VIZTRACERD_SPOOL", dir, 1);
    snprintf(whole, sizeof whole, "%s/111-1.vzt", dir);
    snprintf(fresh, sizeof fresh, "%s/222-1.vzt", dir);
    snprintf(old, sizeof old, "%s/333-1.vzt", dir);
    trace_build_open(&kept);
    trace_build_close(&kept);
    ck_assert_int_eq(rename(kept.path, whole), 0);
    const char *const empty[] = {fresh, old};
    for (size_t i = 0; i < VT_ARRAY_LEN(empty); i++) {
        int fd = open(empty[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        ck_assert(fd >= 0 && !vt_write_full(fd, VT_FILE_MAGIC, 8) && !close(fd));
    }
    ck_assert_int_eq(utimensat(AT_FDCWD, old, (struct timespec[]){{1000, 0}, {1000, 0}}, 0), 0);
    tool_runf(&tool, "status --json");
    must_exit(&tool, 0, "status --json");
    /* the pid of the program is that of the trace's header */
    ck_assert_msg(strstr(tool.out, "\"pid\": 100,") && strstr(tool.out, "/111-1.vzt\"") &&
                      strstr(tool.out, "\"events\": null, \"dropped\": null"),
                  "%s", tool.out);
    ck_assert_msg(!strstr(tool.out, "\"pid\": 222") && !strstr(tool.out, "\"pid\": 333"), "%s", tool.out);
    ck_assert_msg(!access(fresh, F_OK) && access(old, F_OK), "the wrong file without a frame was removed");
    unsetenv("VIZTRACERD_SPOOL");
    ck_assert(!unlink(whole) && !unlink(fresh) && !rmdir(dir));
}
END_TEST

/* Traces that nobody saved: the oldest first, whatever order their folder has. */
START_TEST(test_status_lists_kept_traces_by_age) {
    static const char *const names[] = {"16-b.vzt", "12-a.vzt", "15-f.vzt", "11-d.vzt", "14-c.vzt", "13-e.vzt"};
    static const char bytes[256]; /* more than a file that is taken for an empty one has */
    struct tool tool;
    char dir[] = "/tmp/endings-kept-XXXXXX", path[64];
    ck_assert_ptr_nonnull(mkdtemp(dir));
    for (int i = 0; i < 6; i++) {
        struct timespec times[2] = {{.tv_sec = 1700000000 + i}, {.tv_sec = 1700000000 + i}};
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        FILE *f = fopen(path, "we");
        ck_assert(f && fwrite(bytes, sizeof bytes, 1, f) == 1 && !fclose(f) && !utimensat(AT_FDCWD, path, times, 0));
    }
    setenv("VIZTRACERD_SPOOL", dir, 1);
    tool_runf(&tool, "status");
    unsetenv("VIZTRACERD_SPOOL");
    must_exit(&tool, 0, "status");
    const char *at = tool.out;
    for (int i = 0; i < 6; i++) {
        snprintf(path, sizeof path, "kept as %s/%s\n", dir, names[i]);
        const char *here = strstr(at, path);
        ck_assert_msg(here != NULL, "%s is not there, or before an older one: %s", names[i], tool.out);
        at = here;
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}
END_TEST

int main(void) {
    Suite *s = suite_create("endings");
    suite_add(s, "duration", test_ending_by_duration, 60);
    for (int i = 0; i < (int)(sizeof signals / sizeof *signals); i++)
        suite_add_row(s, signals[i].name, test_ending_by_signal, i, 60);
    suite_add(s, "detach", test_ending_by_detach_elsewhere, 60);
    suite_add_once(s, "another-daemon-ends", test_ending_by_another_daemon, 60);
    suite_add_once(s, "daemons-of-others", test_ending_beside_daemons_of_other_users, 120);
    suite_add(s, "uninstall", test_ending_by_uninstall_elsewhere, 60);
    suite_add(s, "target-killed", test_ending_target_killed, 60);
    suite_add(s, "target-exits", test_ending_target_exits, 60);
    suite_add(s, "client-killed", test_ending_client_killed, 60);
    suite_add(s, "daemon-killed", test_ending_daemon_killed, 60);
    suite_add(s, "target-stopped", test_ending_target_stopped, 90);
    suite_add(s, "unfinished-vzt", test_ending_of_unfinished_vzt, 60);
    suite_add_once(s, "status-of-kept-files", test_status_of_kept_files, 60);
    suite_add_once(s, "status-full", test_status_to_full_disk_fails, 90);
    suite_add(s, "all-killed", test_ending_all_killed_early, suite_times(90, 600));
    suite_add(s, "disk-full", test_ending_disk_full, 60);
    suite_add(s, "conversion-fails", test_ending_failed_conversion_keeps_the_raw_trace, 60);
    suite_add(s, "unwritable", test_ending_output_unwritable, 60);
    suite_add(s, "terminal-closed", test_ending_terminal_closed, 60);
    suite_add(s, "hung-up", test_ending_terminal_hung_up, 60);
    suite_add(s, "two-clients", test_ending_of_two_clients, 60);
    suite_add(s, "two-targets", test_ending_of_two_targets, 60);
    suite_add(s, "status", test_status_lists_sessions, 60);
    suite_add_once(s, "status-kept", test_status_lists_kept_traces_by_age, 60);
    return suite_main(s);
}
