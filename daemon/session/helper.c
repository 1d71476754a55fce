/* Owns starting the helper with the client's credentials, and the daemon's side of the conversation with it. */
#include "daemon/session/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach/fault.h"
#include "attach/inside.h"
#include "daemon/drain/arena_map.h"
#include "daemon/drain/calibrate.h"
#include "daemon/session/libraries.h"
#include "outside/outside.h"

#define HELPER_FD 3
#define AGENT_FD 4
#define FAULT_VARIABLES 4
/* The sum of: 10 s to wait for another injector, 10 s to remove an old agent, 10 s to inject, 20 s to load the agent (attach.h).
 */
#define DEADLINE_NS 60000000000ull

static int send_msg(int fd, const void *data, size_t len, int pass) {
    struct iovec iov = {(void *)data, len};
    union {
        char buf[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
    if (pass >= 0) {
        memset(&control, 0, sizeof(control));
        mh.msg_control = control.buf;
        mh.msg_controllen = sizeof(control.buf);
        struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &pass, sizeof(int));
    }
    ssize_t n;
    do n = sendmsg(fd, &mh, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : (size_t)n == len ? 0 : -EMSGSIZE;
}

/* ---- in the helper ---- */

struct run {
    int fd;
    const struct helper_req *req;
    struct helper_msg msg;
    struct outside *outside; /* NULL: C functions cannot be named */
};

/* "recvfrom(5: tcp a -> b)" of a thread in socket.recv becomes "_socket.socket.recv(5: tcp a -> b)". */
static void name_c_function(struct run *run, pid_t tid, const char *text, char *to, size_t size) {
    const char *fd = strchr(text, '(');
    char name[INSIDE_TEXT_MAX];
    if (run->outside && !outside_c_call(run->outside, tid, name, sizeof(name)))
        snprintf(to, size, "%s%s", name, fd ? fd : "");
    else
        snprintf(to, size, "%s", text);
}

static int send_inside(void *ctx, pid_t tid, const char *text) {
    struct run *run = ctx;
    struct helper_msg *msg = calloc(1, sizeof(*msg));
    if (!msg) return -ENOMEM;
    msg->kind = HELPER_INSIDE;
    msg->err.code = tid;
    name_c_function(run, tid, text, msg->err.msg, sizeof(msg->err.msg));
    int rc = send_msg(run->fd, msg, sizeof(*msg), -1);
    free(msg);
    return rc;
}

static int prepare_arena(void *ctx, int arena_fd, struct vt_err *err) {
    struct run *run = ctx;
    struct arena_clock {
        struct clock_source source;
    } clock = {.source = {.kind = (enum vt_clock)run->req->ctl.clock}};
    struct stat st;
    if (fstat(arena_fd, &st)) return vt_err_set(err, -errno, "the shared arena: %s; try again", strerror(errno));
    struct vt_ctl *ctl = malloc(sizeof(*ctl));
    if (!ctl) return vt_err_set(err, -ENOMEM, "out of memory");
    *ctl = run->req->ctl;
    uint32_t nchunks = arena_chunks(st.st_size, run->req->nchunks), offered = nchunks;
    if (run->msg.res.pages_first) { /* the daemon offers the other chunks as it makes their pages */
        if (offered > ARENA_FIRST_CHUNKS) offered = ARENA_FIRST_CHUNKS;
        if (fallocate(arena_fd, 0, 0, (off_t)vt_arena_bytes(offered))) {
            int rc = -errno;
            free(ctl);
            return vt_err_set(err, rc, "no memory for the shared arena: %s; free some, or raise the memory limit of viztracerd",
                              strerror(-rc));
        }
    }
    arena_ctl_begin(ctl, nchunks, offered, clock_ticks(&clock.source) + run->req->lease_ticks);
    ssize_t n = pwrite(arena_fd, ctl, sizeof(*ctl), 0);
    free(ctl);
    if (n != (ssize_t)sizeof(*ctl)) {
        int rc = n < 0 ? -errno : -ENOSPC;
        return vt_err_set(err, rc, "cannot write the shared arena: %s; free some memory, then try again", strerror(-rc));
    }
    struct vt_err unnamed = {0};
    if (outside_open(&run->outside, run->req->pid, &unnamed)) run->outside = NULL;
    inside_each(run->req->pid, send_inside, run); /* as late as possible: the agent comes next */
    outside_close(run->outside);
    run->msg.kind = HELPER_ARENA; /* from now on the daemon renews the lease */
    (void)fault_point("arena-made");
    int rc = send_msg(run->fd, &run->msg, sizeof(run->msg), arena_fd);
    (void)fault_point("arena-handed-over");
    if (rc) return vt_err_set(err, rc, "viztracerd has gone; try again");
    return 0;
}

static void send_log(void *ctx, const char *line) {
    struct run *run = ctx;
    struct helper_msg *msg = calloc(1, sizeof(*msg));
    if (!msg) return;
    msg->kind = HELPER_LOG;
    snprintf(msg->err.msg, sizeof(msg->err.msg), "%s", line);
    int rc = send_msg(run->fd, msg, sizeof(*msg), -1);
    (void)rc; /* at worst a log line is lost */
    free(msg);
}

static bool hung_up(int fd) {
    struct pollfd p = {.fd = fd};
    return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP);
}

int helper_main(int fd) {
    struct helper_req *req = calloc(1, sizeof(*req));
    struct run *run = calloc(1, sizeof(*run));
    int rc = -ENOMEM;

    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* making the arena then fails with EFBIG, and the message says so */
    prctl(PR_SET_NAME, "viztracerd-help");
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* without a daemon the attach is of no use; the target survives that at any instant */
    if (!req || !run) goto out;
    (void)fault_point("helper-started");
    ssize_t n = recv(fd, req, sizeof(*req), 0);
    rc = n == (ssize_t)sizeof(*req) ? 0 : -EPROTO;
    if (!rc && hung_up(fd)) rc = -EPIPE; /* the daemon ended before the line above */
    if (rc) goto out;
    (void)fault_point("asked");
    run->fd = fd;
    run->req = req;
    run->msg.res.arena_fd = -1;
    struct attach_opts o = {.pid = req->pid,
                            .method = (enum attach_method)req->method,
                            .force = req->force,
                            .timeout_ms = req->timeout_ms,
                            .agent_path = req->agent_path,
                            .arena_bytes = vt_arena_bytes(req->nchunks),
                            .prepare_arena = prepare_arena,
                            .log = send_log,
                            .ctx = run};
    struct vt_err err = {0};
    if (req->op == HELPER_ATTACH)
        rc = attach_inject(&o, &run->msg.info, &run->msg.res, &err);
    else if (req->op == HELPER_HOLDER)
        outside_tell_holder(req->pid, err.msg, sizeof(err.msg));
    else
        rc = (req->op == HELPER_WAKE ? attach_wake : attach_stop)(&o, &run->msg.res, &err);
    if (rc && !err.msg[0]) vt_err_set(&err, rc, "cannot attach to %d: %s", req->pid, strerror(-rc));
    run->msg.kind = HELPER_DONE;
    run->msg.rc = rc;
    run->msg.err = err;
    (void)fault_point("before-answer");
    rc = send_msg(fd, &run->msg, sizeof(run->msg), -1);
    (void)fault_point("answered");
out:
    free(req);
    free(run);
    return rc ? 1 : 0;
}

/* ---- in the daemon ---- */

static int drop_to(const struct creds *c) {
    if (geteuid() != 0 || c->uid == 0) return c->uid == geteuid() ? 0 : -EPERM;
    if (setgroups((size_t)c->ngroups, c->groups)) return -errno;
    if (setresgid(c->gid, c->gid, c->gid)) return -errno;
    if (setresuid(c->uid, c->uid, c->uid)) return -errno;
    return setuid(0) == 0 ? -EPERM : 0; /* it must be impossible to become root again */
}

static void child(int fd, int agent_fd, const struct creds *creds, pid_t target) {
    char *argv[] = {(char *)"viztracerd", (char *)"--helper", (char *)"3", NULL};
    char *env[4 + FAULT_VARIABLES] = {(char *)"PATH=/usr/bin:/bin", (char *)"LC_ALL=C"};
    char level[64];
    sigset_t none;

    if (getenv("VIZTRACERD_LOG")) {
        snprintf(level, sizeof(level), "VIZTRACERD_LOG=%s", getenv("VIZTRACERD_LOG"));
        env[2] = level;
    }
    fault_env(env, FAULT_VARIABLES, target);
    /* Moves both descriptors away from the numbers that are assigned below. */
    fd = fcntl(fd, F_DUPFD, 10);
    agent_fd = fcntl(agent_fd, F_DUPFD, 10);
    if (fd < 0 || agent_fd < 0 || dup2(fd, HELPER_FD) < 0 || dup2(agent_fd, AGENT_FD) < 0) _exit(126);
    close_range(AGENT_FD + 1, ~0u, 0);
    setsid();
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (drop_to(creds)) _exit(125);
    execve("/proc/self/exe", argv, env);
    _exit(127);
}

static void done(struct helper *h, const struct helper_msg *msg, int fd) {
    h->done = true;
    h->fn(h->ctx, msg, fd);
}

static void died(struct helper *h, const char *why) {
    struct helper_msg msg = {.kind = HELPER_DONE, .rc = -ECHILD, .res = {.arena_fd = -1}};
    vt_err_set(&msg.err, -ECHILD, "the process that attaches %s; the target goes on untraced, try again", why);
    loop_del(h->loop, &h->io);
    loop_timer_del(h->loop, &h->deadline);
    done(h, &msg, -1);
}

/* Never by number alone: the daemon's loop has reaped a helper that ended, and another process may have its number. */
static void kill_helper(const struct helper *h) {
    siginfo_t info;
    if (h->pidfd >= 0)
        pidfd_send_signal(h->pidfd, SIGKILL, NULL, 0);
    else if (!waitid(P_PID, (id_t)h->pid, &info, WEXITED | WNOHANG | WNOWAIT)) /* a child of ours that nobody has reaped */
        kill(h->pid, SIGKILL);
}

static void on_deadline(void *ctx) {
    struct helper *h = ctx;
    kill_helper(h);
    died(h, "did not answer in time");
}

/* The helper runs with the client's credentials, so its messages are trusted no more than the client's. */
static void seal_strings(struct helper_msg *m) {
    m->err.msg[sizeof(m->err.msg) - 1] = 0;
    m->info.exe[sizeof(m->info.exe) - 1] = 0;
    m->info.cmdline[sizeof(m->info.cmdline) - 1] = 0;
    m->res.arena_fd = -1;
}

static void on_readable(void *ctx, uint32_t events) {
    struct helper *h = ctx;
    struct helper_msg msg;
    struct iovec iov = {&msg, sizeof(msg)};
    union {
        char buf[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf, .msg_controllen = sizeof(control.buf)};
    int fd = -1;

    (void)events;
    ssize_t n = recvmsg(h->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&mh) : NULL;
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(&fd, CMSG_DATA(c), sizeof(int));
    if (n != (ssize_t)sizeof(msg)) {
        vt_close(&fd);
        died(h, "was killed");
        return;
    }
    seal_strings(&msg);
    if (msg.kind == HELPER_LOG) vt_debug(VT_AREA_ATTACH, "attach %d: %s", h->pid, msg.err.msg);
    if ((msg.kind == HELPER_ARENA && fd >= 0) || msg.kind == HELPER_INSIDE) {
        h->fn(h->ctx, &msg, fd);
        return;
    }
    vt_close(&fd);
    if (msg.kind != HELPER_DONE) return;
    loop_del(h->loop, &h->io);
    loop_timer_del(h->loop, &h->deadline);
    done(h, &msg, -1);
}

int helper_start(struct helper *h, struct loop *loop, const struct creds *creds, const struct helper_req *req,
                 void (*fn)(void *, const struct helper_msg *, int), void *ctx, struct vt_err *err) {
    int pair[2] = {-1, -1}, agent_fd = -1, rc, size = 1 << 20;
    struct helper_req *copy = NULL;

    memset(h, 0, sizeof(*h));
    h->loop = loop;
    h->fd = -1;
    h->fn = fn;
    h->ctx = ctx;
    if (creds->uid != geteuid() && geteuid() != 0)
        return vt_err_set(
            err, -EPERM,
            "this viztracerd runs as uid %u and can only act for that user; set VIZTRACERD_SOCKET=none to do without it",
            geteuid());
    agent_fd = open(req->agent_path, O_RDONLY | O_CLOEXEC);
    if (agent_fd < 0)
        return vt_err_set(err, -errno, "agent library %s: %s; set VIZTRACER_AGENT", req->agent_path, strerror(errno));
    copy = malloc(sizeof(*copy));
    if (!copy || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
        rc = vt_err_set(err, copy ? -errno : -ENOMEM, "cannot start the attaching process: %s; try again",
                        strerror(copy ? errno : ENOMEM));
        goto fail;
    }
    *copy = *req;
    if (creds->uid != geteuid() || libraries_is_descriptor(req->agent_path)) /* or that user may have no access to its folder */
        snprintf(copy->agent_path, sizeof(copy->agent_path), "/proc/self/fd/%d", AGENT_FD);
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    rc = send_msg(pair[0], copy, sizeof(*copy), -1);
    if (rc) {
        vt_err_set(err, rc, "cannot start the attaching process: %s; try again", strerror(-rc));
        goto fail;
    }
    h->pid = fork();
    if (h->pid == 0) child(pair[1], agent_fd, creds, req->pid);
    if (h->pid < 0) {
        rc = vt_err_set(err, -errno, "cannot start the attaching process: %s; try again", strerror(errno));
        goto fail;
    }
    h->pidfd = pidfd_open(h->pid, 0);
    vt_close(&pair[1]);
    rc = loop_add(loop, &h->io, pair[0], EPOLLIN, on_readable, h);
    if (rc) {
        vt_err_set(err, rc, "epoll: %s", strerror(-rc));
        kill_helper(h);
        vt_close(&h->pidfd);
        goto fail;
    }
    h->fd = pair[0];
    h->deadline.fn = on_deadline;
    h->deadline.ctx = h;
    loop_timer_set(loop, &h->deadline, vt_mono_ns() + DEADLINE_NS);
    vt_close(&agent_fd);
    free(copy);
    return 0;
fail:
    free(copy);
    vt_close(&agent_fd);
    vt_close(&pair[0]);
    vt_close(&pair[1]);
    return rc;
}

void helper_close(struct helper *h) {
    if (h->fd < 0) return;
    loop_del(h->loop, &h->io);
    loop_timer_del(h->loop, &h->deadline);
    if (!h->done) kill_helper(h);
    vt_close(&h->pidfd);
    vt_close(&h->fd);
}
