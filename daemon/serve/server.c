/* Owns the daemon's start and end: folders, sockets, signals, the two modes.
 * System: listens on one well-known socket until SIGTERM. Private: serves the client that started it, listens where
 * that user's other terminals find it, and goes when its last session and its client have gone. */
#include "daemon/serve/server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/io/peer.h"
#include "daemon/io/spool.h"
#include "daemon/session/session.h"
#include "proto/rundir.h"

#define LEAVE_AFTER_NS 10000000000ull
#define BACKLOG 64

/* ---- the agent library ---- */

static int find_agent(struct server *s, struct vt_err *err) {
    char exe[400];
    const char *env = getenv("VIZTRACER_AGENT");
    if (env && env[0]) {
        snprintf(s->agent_path, sizeof(s->agent_path), "%s", env);
        return 0;
    }
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    if (n < 0) return vt_err_set(err, -errno, "/proc/self/exe: %s", strerror(errno));
    exe[n] = 0;
    char *slash = strrchr(exe, '/');
    if (slash) *slash = 0;
    snprintf(s->agent_path, sizeof(s->agent_path), "%s/../lib/libviztracer_agent.so", exe);
    if (access(s->agent_path, R_OK))
        return vt_err_set(err, -errno, "agent library %s: %s; set VIZTRACER_AGENT to where it is", s->agent_path,
                          strerror(errno));
    char *real = realpath(s->agent_path, NULL);
    if (real) snprintf(s->agent_path, sizeof(s->agent_path), "%s", real);
    free(real);
    return 0;
}

/* ---- sockets ---- */

static void on_listen(void *ctx, uint32_t events) {
    struct server *s = ctx;
    (void)events;
    int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    int rc = peer_new(s, fd, NULL);
    if (rc) vt_log(VT_LOG_ERROR, "client refused: %s", strerror(-rc));
}

static int listen_on(struct server *s, const char *path, mode_t mode, struct vt_err *err) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int rc;

    if (strlen(path) >= sizeof(sa.sun_path)) return vt_err_set(err, -ENAMETOOLONG, "socket path %s is too long", path);
    strcpy(sa.sun_path, path);
    s->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->listen_fd < 0) return vt_err_set(err, -errno, "socket: %s", strerror(errno));
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool taken = probe >= 0 && !connect(probe, (struct sockaddr *)&sa, sizeof(sa));
    vt_close(&probe);
    if (taken) return vt_err_set(err, -EADDRINUSE, "another viztracerd listens on %s", path);
    unlink(path);
    if (bind(s->listen_fd, (struct sockaddr *)&sa, sizeof(sa)) || chmod(path, mode) || listen(s->listen_fd, BACKLOG)) {
        rc = -errno;
        return vt_err_set(err, rc, "cannot listen on %s: %s", path, strerror(-rc));
    }
    snprintf(s->socket_path, sizeof(s->socket_path), "%s", path);
    rc = loop_add(&s->loop, &s->listen_io, s->listen_fd, EPOLLIN, on_listen, s);
    return rc ? vt_err_set(err, rc, "epoll: %s", strerror(-rc)) : 0;
}

/* Where the user's other terminals look. Doing without costs only `status` and `--detach` from there. */
static void listen_private(struct server *s) {
    char dir[96], path[160];
    struct vt_err err = {0};
    int rc = rundir_prepare(dir, sizeof(dir), &err);
    if (!rc) {
        snprintf(path, sizeof(path), "%s/viztracerd-%d.sock", dir, getpid());
        rc = listen_on(s, path, 0600, &err);
    }
    if (rc) vt_log(VT_LOG_ERROR, "other terminals cannot reach the session: %s", err.msg);
}

static int listen_system(struct server *s, const char *path, struct vt_err *err) {
    char dir[108];
    snprintf(dir, sizeof(dir), "%s", path);
    char *slash = strrchr(dir, '/');
    if (slash && slash != dir) {
        *slash = 0;
        if (mkdir(dir, 0755) && errno != EEXIST) return vt_err_set(err, -errno, "cannot make %s: %s", dir, strerror(errno));
    }
    return listen_on(s, path, 0666, err); /* who may do what is decided by credentials */
}

/* ---- signals and the end ---- */

void server_maybe_leave(struct server *s) {
    struct peer *p;
    if (!s->is_private && !s->leaving) return;
    if (!LIST_EMPTY(&s->sessions)) return;
    if (s->is_private && !s->leaving) LIST_FOREACH(p, &s->peers, link)
    if (p->starter) return;
    s->loop.stop = true;
}

static void on_leave_timeout(void *ctx) {
    struct server *s = ctx;
    s->loop.stop = true;
}

static void leave(struct server *s) {
    struct session *session, *next;
    s->leaving = true;
    loop_timer_set(&s->loop, &s->leave_timer, vt_mono_ns() + LEAVE_AFTER_NS);
    for (session = LIST_FIRST(&s->sessions); session; session = next) {
        next = LIST_NEXT(session, link);
        session_stop(session, VT_END_DAEMON, "");
    }
    server_maybe_leave(s);
}

static void on_signal(void *ctx, uint32_t events) {
    struct server *s = ctx;
    struct signalfd_siginfo info;
    (void)events;
    while (read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGCHLD)
            while (waitpid(-1, NULL, WNOHANG) > 0) continue; /* helpers speak through their sockets */
        else
            leave(s);
    }
}

static int catch_signals(struct server *s) {
    sigset_t set;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &set, NULL)) return -errno;
    s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->signal_fd < 0) return -errno;
    return loop_add(&s->loop, &s->signal_io, s->signal_fd, EPOLLIN, on_signal, s);
}

/* Answers that are still queued get a second to go out. */
static void flush_peers(struct server *s) {
    struct peer *p;
    LIST_FOREACH(p, &s->peers, link) {
        struct pollfd pfd = {.fd = p->fd, .events = POLLOUT};
        while (p->out_pos < p->out_len && !p->frame_left && poll(&pfd, 1, 1000) > 0 && !(pfd.revents & (POLLERR | POLLHUP))) {
            ssize_t n = send(p->fd, p->out + p->out_pos, p->out_len - p->out_pos, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n <= 0) break;
            p->out_pos += (size_t)n;
        }
    }
}

static int set_up(struct server *s, const struct server_opts *opts, struct vt_err *err) {
    struct peer *starter;
    int rc = loop_init(&s->loop);
    if (!rc) rc = catch_signals(s);
    if (rc) return vt_err_set(err, rc, "cannot start the event loop: %s", strerror(-rc));
    clock_init(&s->clock);
    rc = lease_start(&s->lease, &s->clock, LEASE_PATIENCE_NS);
    if (rc) return vt_err_set(err, rc, "cannot start the thread that renews leases: %s", strerror(-rc));
    s->leave_timer.fn = on_leave_timeout;
    s->leave_timer.ctx = s;
    rc = find_agent(s, err);
    if (!rc) rc = spool_dir_prepare(s->spool_dir, !s->is_private && geteuid() == 0, err);
    if (rc) return rc;
    if (!s->is_private) return listen_system(s, opts->socket_path, err);
    int flags = fcntl(opts->private_fd, F_GETFL);
    if (flags < 0 || fcntl(opts->private_fd, F_SETFL, flags | O_NONBLOCK) || fcntl(opts->private_fd, F_SETFD, FD_CLOEXEC))
        return vt_err_set(err, -errno, "--private %d: %s", opts->private_fd, strerror(errno));
    rc = peer_new(s, opts->private_fd, &starter);
    if (rc) return vt_err_set(err, rc, "--private %d: %s", opts->private_fd, strerror(-rc));
    starter->starter = true;
    listen_private(s);
    return 0;
}

int server_run(const struct server_opts *opts, struct vt_err *err) {
    const char *env = getenv("VIZTRACERD_SPOOL");
    struct server *s = calloc(1, sizeof(*s));
    struct peer *p;
    struct session *session;

    if (!s) return vt_err_set(err, -ENOMEM, "out of memory");
    s->listen_fd = s->signal_fd = s->loop.epfd = s->loop.timerfd = -1;
    s->is_private = opts->private_fd >= 0;
    LIST_INIT(&s->peers);
    LIST_INIT(&s->sessions);
    if (opts->spool_dir || (env && env[0]))
        snprintf(s->spool_dir, sizeof(s->spool_dir), "%s", opts->spool_dir ? opts->spool_dir : env);
    else
        snprintf(s->spool_dir, sizeof(s->spool_dir), "/var/tmp/viztracerd-%u", geteuid());
    int rc = set_up(s, opts, err);
    if (!rc) {
        rc = loop_run(&s->loop);
        if (rc) vt_err_set(err, rc, "event loop: %s", strerror(-rc));
    }
    flush_peers(s);
    /* Sessions first: a spool that nobody saved stays. */
    while ((session = LIST_FIRST(&s->sessions)) && session->peer) peer_free(session->peer);
    while ((p = LIST_FIRST(&s->peers))) peer_free(p);
    lease_stop(&s->lease);
    if (s->socket_path[0]) unlink(s->socket_path);
    for (int ms = 0; ms < 100 && waitpid(-1, NULL, WNOHANG) == 0; ms++) usleep(1000);
    vt_close(&s->listen_fd);
    vt_close(&s->signal_fd);
    loop_close(&s->loop);
    free(s);
    return rc;
}
