/* A daemon whose helper process dies, lies or repeats itself at every step: the client gets one line, the daemon goes on, and
 * nothing of the session remains. The daemon starts this program (/proc/self/exe) as its helper. The pid of a client's request
 * chooses the fault. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/client/client.h"
#include "daemon/drain/arena_map.h"
#include "daemon/serve/server.h"
#include "daemon/session/helper.h"
#include "tests/lib/target.h"

#define FIRST_PID 4200000u /* above the highest pid of Linux: no such process */
#define CHUNKS 16u
#ifdef __SANITIZE_ADDRESS__
#define MOST_KB (1024u << 10) /* of the daemon: a sanitizer keeps freed memory */
#else
#define MOST_KB (400u << 10) /* of the daemon, for a session with its limit of 256 MB */
#endif
#define FIRST_ENDING VT_ARRAY_LEN(scripts) /* pids of `endings`, after those of `scripts` */

static char dir[64], spool[96];
static pid_t daemon_pid;
static struct client client;
static struct vt_err err;

/* ---- the helper ---- */

enum step {
    STEP_END = 0, /* exits */
    STEP_KILLED,  /* dies by SIGKILL */
    STEP_SHORT,   /* sends half a message */
    STEP_LOG,     /* a log line without a NUL */
    STEP_ARENA,   /* hands over an arena */
    STEP_SMALL,   /* hands over an arena of one page */
    STEP_PIPE,    /* hands over something that is no file */
    STEP_NO_FD,   /* says that it hands over an arena, and does not */
    STEP_GONE,    /* the agent's state in the arena: GONE */
    STEP_TRACING, /* the same: TRACING */
    STEP_OK,      /* says that the attach worked */
    STEP_DIED,    /* says the error that the daemon uses for a dead helper */
    STEP_FAILED,  /* says another error */
    STEP_SLEEP,   /* 100 ms */
    STEP_HANG,    /* for ever */
    STEP_FLOOD,   /* a process of its own writes stacks of ever new threads, until its writes are stopped */
};

struct script {
    const char *name;
    enum step steps[8];      /* of the first helper */
    enum step stop_steps[4]; /* of the helper that is to remove the agent */
    int rc;                  /* what the client gets: 0 = ATTACHED */
};

static const struct script scripts[] = {
    {"exits at once", {STEP_END}, {0}, -ECHILD},
    {"killed at once", {STEP_KILLED}, {0}, -ECHILD},
    {"half a message", {STEP_SHORT, STEP_SLEEP}, {0}, -ECHILD},
    {"killed after a log line", {STEP_LOG, STEP_KILLED}, {0}, -ECHILD},
    {"killed after the arena", {STEP_ARENA, STEP_KILLED}, {STEP_FAILED}, -ECHILD},
    {"killed after the arena, the stop helper too", {STEP_ARENA, STEP_KILLED}, {STEP_KILLED}, -ECHILD},
    {"killed after the arena, agent gone, slow stop",
     {STEP_ARENA, STEP_GONE, STEP_KILLED},
     {STEP_SLEEP, STEP_SLEEP, STEP_OK},
     -ECHILD},
    {"killed later, agent gone, slow stop", {STEP_ARENA, STEP_GONE, STEP_SLEEP, STEP_KILLED}, {STEP_SLEEP, STEP_KILLED}, -ECHILD},
    {"killed after the arena, stop brings another",
     {STEP_ARENA, STEP_GONE, STEP_KILLED},
     {STEP_ARENA, STEP_SLEEP, STEP_OK},
     -ECHILD},
    {"two arenas, then killed", {STEP_ARENA, STEP_ARENA, STEP_KILLED}, {STEP_OK}, -ECHILD},
    {"small arena, then killed", {STEP_SMALL, STEP_KILLED}, {0}, -ECHILD},
    {"pipe as arena, then killed", {STEP_PIPE, STEP_KILLED}, {0}, -ECHILD},
    {"small arena, then success", {STEP_SMALL, STEP_OK}, {0}, -EPROTO},
    {"arena without descriptor, then success", {STEP_NO_FD, STEP_OK}, {0}, -EPROTO},
    {"success without arena", {STEP_OK}, {0}, -EPROTO},
    {"arena, says that it died", {STEP_ARENA, STEP_GONE, STEP_DIED}, {STEP_SLEEP, STEP_DIED}, -ECHILD},
    {"says that it died", {STEP_DIED}, {0}, -ECHILD},
    {"arena, then an error", {STEP_ARENA, STEP_GONE, STEP_FAILED, STEP_SLEEP}, {0}, -EPERM},
    {"success, then killed, agent gone", {STEP_ARENA, STEP_OK, STEP_SLEEP, STEP_GONE, STEP_KILLED}, {STEP_OK}, 0},
};

/* The hooks do not leave: what the end of the trace says, by the steps of the helper that is to remove them. */
static const struct script endings[] = {
    {"does its work", {STEP_ARENA, STEP_TRACING, STEP_OK}, {STEP_OK}, 0},
    {"is killed each time", {STEP_ARENA, STEP_TRACING, STEP_OK}, {STEP_KILLED}, 0},
    {"is not done in time", {STEP_ARENA, STEP_TRACING, STEP_OK}, {STEP_HANG}, 0},
    {"is refused", {STEP_ARENA, STEP_TRACING, STEP_OK}, {STEP_FAILED}, 0},
};
static const char *const ending_texts[] = {
    "the target has not given up the GIL; the hooks leave at its next Python call",
    "the process that removes the hooks was killed; they leave at the target's next Python call",
    "the process that removes the hooks was not done after 5 s; they leave at the target's next Python call",
    "the hooks could not be removed: no, says the helper; they leave at the target's next Python call",
};

/* For the test of a daemon that ends, and that of a session that needs too much memory. */
static const struct script others[] = {
    {"hangs", {STEP_ARENA, STEP_HANG}, {STEP_HANG}, 0},
    {"floods", {STEP_ARENA, STEP_TRACING, STEP_FLOOD, STEP_OK}, {STEP_OK}, 0},
};
#define FIRST_OTHER (FIRST_ENDING + VT_ARRAY_LEN(endings))

static void put_msg(int fd, struct helper_msg *msg, size_t len, int pass) {
    struct iovec iov = {msg, len};
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
    if (pass >= 0) {
        mh.msg_control = control;
        mh.msg_controllen = sizeof(control);
        struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &pass, sizeof(int));
    }
    if (sendmsg(fd, &mh, MSG_NOSIGNAL) < 0) _exit(1);
}

static int arena_of(size_t bytes) {
    int fd = memfd_create("viztracer-arena", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)bytes)) _exit(2);
    return fd;
}

/* One thread's only chunk: the largest stack that fits, and no end of the thread. */
static void put_stack(struct vt_chunk *c, uint32_t serial) {
    struct vt_pl_stack head = {.ident = serial + 1, .nframes = (VT_PAYLOAD_MAX - sizeof(head)) / sizeof(uint32_t)};
    memcpy(&c->rec[1], &head, sizeof(head));
    memset((char *)&c->rec[1] + sizeof(head), 1, VT_PAYLOAD_MAX - sizeof(head));
    c->base = vt_mono_ns();
    c->thread = serial;
    c->ident = serial + 1;
    vt_store_release(&c->owner, (uint64_t)(serial + 1) << 32 | 1);
    vt_store_release(&c->rec[0], vt_rec_make(c->base, vt_rec_payload_id(VT_PL_STACK, VT_PAYLOAD_MAX), VT_REC_PAYLOAD));
    vt_store_release(&c->state, (uint32_t)VT_CHUNK_CLOSED);
}

static void flood(int arena) {
    if (fork()) return;
    struct vt_ctl *ctl = mmap(NULL, vt_arena_bytes(CHUNKS), PROT_READ | PROT_WRITE, MAP_SHARED, arena, 0);
    if (ctl == MAP_FAILED) _exit(5);
    static struct vt_ctl begun;
    arena_ctl_begin(&begun, CHUNKS, CHUNKS, UINT64_MAX);
    begun.state = VT_AGENT_TRACING;
    uint64_t end = vt_mono_ns() + 50000000000ull; /* a guard: it ends when the daemon stops the writers */
    memcpy(ctl, &begun, sizeof(begun));
    for (uint32_t serial = 0; vt_load_acquire(&ctl->enabled) && vt_mono_ns() < end; usleep(200))
        for (uint32_t i = 0; i < CHUNKS; i++) {
            if (!(vt_load_acquire(&ctl->free[0]) >> i & 1)) continue;
            put_stack(vt_chunk_at(ctl, i), serial++);
            __atomic_fetch_and(&ctl->free[0], ~(1ul << i), __ATOMIC_ACQ_REL);
        }
    vt_store_release(&ctl->state, (uint32_t)VT_AGENT_GONE);
    _exit(0);
}

static void do_step(int fd, enum step step, struct vt_ctl **ctl) {
    static int arena_fd = -1;
    static struct helper_msg msg;
    int pair[2], arena;
    memset(&msg, 0, sizeof(msg));
    switch (step) {
    case STEP_END: _exit(0);
    case STEP_KILLED: kill(getpid(), SIGKILL); break;
    case STEP_SHORT: put_msg(fd, &msg, sizeof(msg) / 2, -1); break;
    case STEP_LOG:
        msg.kind = HELPER_LOG;
        memset(msg.err.msg, 'x', sizeof(msg.err.msg));
        put_msg(fd, &msg, sizeof(msg), -1);
        break;
    case STEP_ARENA:
        arena = arena_of(vt_arena_bytes(CHUNKS));
        msg.kind = HELPER_ARENA;
        *ctl = mmap(NULL, VT_CTL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, arena, 0);
        if (*ctl == MAP_FAILED) _exit(3);
        put_msg(fd, &msg, sizeof(msg), arena);
        arena_fd = arena;
        break;
    case STEP_SMALL:
        msg.kind = HELPER_ARENA;
        put_msg(fd, &msg, sizeof(msg), arena_of(4096));
        break;
    case STEP_PIPE:
        if (pipe(pair)) _exit(4);
        msg.kind = HELPER_ARENA;
        put_msg(fd, &msg, sizeof(msg), pair[0]);
        break;
    case STEP_NO_FD:
        msg.kind = HELPER_ARENA;
        put_msg(fd, &msg, sizeof(msg), -1);
        break;
    case STEP_GONE: vt_store_release(&(*ctl)->state, (uint32_t)VT_AGENT_GONE); break;
    case STEP_TRACING: vt_store_release(&(*ctl)->state, (uint32_t)VT_AGENT_TRACING); break;
    case STEP_OK:
    case STEP_DIED:
    case STEP_FAILED:
        msg.kind = HELPER_DONE;
        msg.rc = step == STEP_OK ? 0 : step == STEP_DIED ? -ECHILD : -EPERM;
        if (msg.rc) strcpy(msg.err.msg, "no, says the helper");
        put_msg(fd, &msg, sizeof(msg), -1);
        break;
    case STEP_SLEEP: usleep(100000); break;
    case STEP_HANG:
        for (;;) pause();
    case STEP_FLOOD: flood(arena_fd); break;
    }
}

static int false_helper(int fd) {
    static struct helper_req req;
    struct vt_ctl *ctl = NULL;
    if (recv(fd, &req, sizeof(req), 0) != (ssize_t)sizeof(req)) return 1;
    uint32_t n = (uint32_t)req.pid - FIRST_PID;
    const struct script *s = n < FIRST_ENDING  ? &scripts[n]
                             : n < FIRST_OTHER ? &endings[n - FIRST_ENDING]
                                               : &others[n - FIRST_OTHER];
    const enum step *steps = req.op == HELPER_ATTACH ? s->steps : s->stop_steps;
    for (;; steps++) do_step(fd, *steps, &ctl);
}

/* ---- the test ---- */

static void start(void) {
    int pair[2];
    strcpy(dir, "/tmp/helper-test-XXXXXX");
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
    Vt__Hello m = VT__HELLO__INIT;
    m.protocol = VT_PROTOCOL;
    ck_assert_msg(!client_request(&client, VT_CTL_HELLO, &m.base, VT_CTL_HELLO, NULL, &err), "%s", err.msg);
}

static void must_leave(const char *what) {
    int status = -1;
    client_close(&client);
    for (int i = 0; i < 3000 && waitpid(daemon_pid, &status, WNOHANG) == 0; i++) usleep(10000);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: the daemon ended with %#x", what, (unsigned)status);
    char command[256];
    snprintf(command, sizeof(command), "test -z \"$(find %s -type f -o -type s)\" && rm -rf %s", dir, dir);
    ck_assert_msg(system(command) == 0, "%s: something was left in %s", what, dir);
}

/* How many sessions the daemon has. */
static size_t sessions(const char *what) {
    ProtobufCMessage *reply = NULL;
    memset(&err, 0, sizeof(err));
    int rc = client_request(&client, VT_CTL_STATUS, NULL, VT_CTL_STATUS_REP, &reply, &err);
    ck_assert_msg(!rc, "%s: the daemon is gone: %s", what, err.msg);
    size_t n = ((Vt__StatusRep *)reply)->n_sessions;
    vt_msg_free(reply);
    return n;
}

START_TEST(test_helper_that_dies_or_lies_ends_its_session_only) {
    const struct script *s = &scripts[_i];
    Vt__AttachReq req = VT__ATTACH_REQ__INIT;
    start();
    req.pid = FIRST_PID + (uint32_t)_i;
    int rc = client_request(&client, VT_CTL_ATTACH, &req.base, VT_CTL_ATTACHED, NULL, &err);
    ck_assert_msg(rc == s->rc, "%s: %d instead of %d: %s", s->name, rc, s->rc, err.msg);
    ck_assert_msg(!rc || (err.msg[0] && !strchr(err.msg, '\n')), "%s: no line", s->name);
    for (int ms = 0; rc && sessions(s->name) && ms < 8000; ms += 20) usleep(20000);
    ck_assert_msg(!rc || sessions(s->name) == 0, "%s: the session is still there", s->name);
    for (int ms = 0; !rc && (rc = client_request(&client, VT_CTL_SAVED, NULL, VT_CTL_OK, NULL, NULL)) && ms < 8000; ms += 20) {
        usleep(20000); /* until its session has ended */
        rc = 0;
    }
    must_leave(s->name);
}
END_TEST

START_TEST(test_helper_of_the_stop_decides_what_the_end_says) {
    const struct script *s = &endings[_i];
    Vt__AttachReq req = VT__ATTACH_REQ__INIT;
    Vt__PidReq stop = VT__PID_REQ__INIT;
    ProtobufCMessage *reply = NULL;
    start();
    req.pid = FIRST_PID + FIRST_ENDING + (uint32_t)_i;
    ck_assert_msg(!client_request(&client, VT_CTL_ATTACH, &req.base, VT_CTL_ATTACHED, NULL, &err), "%s: %s", s->name, err.msg);
    int rc = client_request(&client, VT_CTL_STOP, &stop.base, VT_FRAME_END, &reply, &err);
    ck_assert_msg(!rc, "%s: %s", s->name, err.msg);
    ck_assert_str_eq(((Vt__End *)reply)->text, ending_texts[_i]);
    vt_msg_free(reply);
    ck_assert_msg(!client_request(&client, VT_CTL_SAVED, NULL, VT_CTL_OK, NULL, &err), "%s: %s", s->name, err.msg);
    must_leave(s->name);
}
END_TEST

/* The daemon is told to end while a helper attaches, and ends: no helper, no file and no memory stay behind. */
START_TEST(test_helper_that_hangs_ends_with_the_daemon) {
    Vt__AttachReq req = VT__ATTACH_REQ__INIT;
    start();
    req.pid = FIRST_PID + FIRST_OTHER;
    ck_assert_int_eq(vt_msg_send(client.fd, VT_CTL_ATTACH, &req.base), 0);
    ck_assert_uint_eq(sessions("before the end"), 1);
    pid_t helper = -1;
    for (int i = 0; i < 1000 && helper < 0; i++, usleep(10000)) helper = process_below(daemon_pid, "exe");
    ck_assert_int_gt(helper, 0);
    kill(daemon_pid, SIGTERM);
    must_leave("the end");
    for (int i = 0; i < 1000 && !kill(helper, 0); i++) usleep(10000);
    ck_assert_int_ne(kill(helper, 0), 0);
}
END_TEST

/* The trace as the client gets it, up to its end: the number of stacks in it. */
static unsigned read_to_the_end(char *text, size_t size) {
    const uint8_t *payload;
    uint32_t type = 0, len;
    unsigned stacks = 0;
    while (type != VT_FRAME_END) {
        ck_assert_int_eq(vt_msg_recv(client.fd, &client.in, &type, &payload, &len), 0);
        stacks += type == VT_FRAME_STACK;
    }
    ProtobufCMessage *end = NULL;
    ck_assert_int_eq(vt_msg_unpack(type, payload, len, &end), 0);
    snprintf(text, size, "%s", ((Vt__End *)end)->text);
    vt_msg_free(end);
    return stacks;
}

static uint64_t most_kb(pid_t pid) {
    char path[64], status[8192];
    size_t len;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    ck_assert_int_eq(vt_read_file(path, status, sizeof(status), &len), 0);
    const char *at = strstr(status, "VmHWM:");
    return at ? strtoull(at + 6, NULL, 10) : 0;
}

START_TEST(test_helper_session_over_its_memory_limit_ends_and_keeps_its_trace) {
    Vt__AttachReq req = VT__ATTACH_REQ__INIT;
    char text[300];
    start();
    req.pid = FIRST_PID + FIRST_OTHER + 1;
    ck_assert_msg(!client_request(&client, VT_CTL_ATTACH, &req.base, VT_CTL_ATTACHED, NULL, &err), "%s", err.msg);
    unsigned stacks = read_to_the_end(text, sizeof(text));
    ck_assert_str_eq(text, "the target has more threads and deeper stacks than viztracerd keeps for one session");
    ck_assert_uint_gt(stacks, 1500);
    uint64_t kb = most_kb(daemon_pid);
    ck_assert_msg(kb < MOST_KB, "%lu kB", (unsigned long)kb);
    ck_assert_uint_eq(sessions("after the limit"), 1); /* until the trace is saved */
    ck_assert_msg(!client_request(&client, VT_CTL_SAVED, NULL, VT_CTL_OK, NULL, &err), "%s", err.msg);
    must_leave("flood");
}
END_TEST

static void nothing_more(void *ctx, const struct helper_msg *msg, int arena_fd) {
    (void)ctx;
    (void)msg;
    if (arena_fd >= 0) close(arena_fd);
}

/* The helper has ended and is reaped, and its number has gone to another process before the daemon heard of the end. */
START_TEST(test_helper_that_was_reaped_is_not_killed_by_its_number) {
    static struct helper_req req;
    struct creds me = {.pid = getpid(), .uid = geteuid(), .gid = getegid()};
    struct helper h = {.fd = -1, .pidfd = -1};
    struct loop loop;
    int status;
    ck_assert_int_eq(loop_init(&loop), 0);
    req.pid = (pid_t)FIRST_PID; /* exits at once */
    strcpy(req.agent_path, "/dev/null");
    ck_assert_int_eq(helper_start(&h, &loop, &me, &req, nothing_more, NULL, &err), 0);
    ck_assert_int_eq(waitpid(h.pid, &status, 0), h.pid);
    pid_t other = fork();
    if (other == 0) {
        for (;;) pause();
    }
    h.pid = other;
    helper_close(&h);
    usleep(20000);
    int ended = waitpid(other, &status, WNOHANG);
    kill(other, SIGKILL);
    waitpid(other, &status, 0);
    ck_assert_int_eq(ended, 0);
    ck_assert_int_eq(h.pidfd, -1);
    loop_close(&loop);
}
END_TEST

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "--helper")) return false_helper(atoi(argv[2]));
    Suite *suite = suite_create("daemon_helper");
    TCase *tc = tcase_create("helper");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, test_helper_that_dies_or_lies_ends_its_session_only, 0, (int)VT_ARRAY_LEN(scripts));
    tcase_add_loop_test(tc, test_helper_of_the_stop_decides_what_the_end_says, 0, (int)VT_ARRAY_LEN(endings));
    tcase_add_test(tc, test_helper_that_hangs_ends_with_the_daemon);
    tcase_add_test(tc, test_helper_session_over_its_memory_limit_ends_and_keeps_its_trace);
    tcase_add_test(tc, test_helper_that_was_reaped_is_not_killed_by_its_number);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
