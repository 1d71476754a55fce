/* Owns the daemon's start and end: folders, sockets, signals, the two modes. A system daemon listens on one well-known socket
 * until SIGTERM. A private daemon serves the client that started it, and listens on a socket that the same user's other
 * terminals find; it ends when its client and its last session are gone. */
#include "daemon/serve/server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/io/spool.h"
#include "daemon/serve/requests.h"
#include "daemon/session/libraries.h"
#include "proto/rundir.h"
#include "proto/spooldir.h"

#define LEAVE_AFTER_NS 10000000000ull
#define BACKLOG 64
#define FLUSH_MS 1000
#define LISTEN_AGAIN_NS 100000000ull
#define DESCRIPTORS_MAX 65536u
#define CONNECTIONS_LEAST 128u

struct server {
    struct service service;
    struct loop_io listen_io, signal_io;
    struct loop_timer leave_timer, listen_timer;
    bool paused; /* no descriptor was left for the last client */
    int listen_fd, signal_fd;
    char socket_path[108];
};

/* ---- sockets ---- */

/* Descriptors or memory are used up: the running clients go on, and the new one waits in the socket's queue. */
static void pause_listening(struct server *s, int why) {
    if (!s->paused) vt_log(VT_LOG_ERROR, "no new clients for now: %s", strerror(why));
    s->paused = true;
    loop_want(&s->service.host.loop, &s->listen_io, 0);
    loop_timer_set(&s->service.host.loop, &s->listen_timer, vt_mono_ns() + LISTEN_AGAIN_NS);
}

static void on_listen_again(void *ctx) {
    struct server *s = ctx;
    loop_want(&s->service.host.loop, &s->listen_io, EPOLLIN);
}

static void on_listen(void *ctx, uint32_t events) {
    struct server *s = ctx;
    (void)events;
    int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) pause_listening(s, errno);
    if (fd < 0) return;
    s->paused = false;
    int rc = requester_new(&s->service, fd);
    if (rc) vt_log(VT_LOG_INFO, "client refused: %s", strerror(-rc));
}

/* A system daemon needs several descriptors for each client and each session. */
static void raise_descriptors(struct server *s) {
    struct rlimit limit;
    s->service.connections_most = CONNECTIONS_LEAST;
    if (getrlimit(RLIMIT_NOFILE, &limit)) return;
    rlim_t most = limit.rlim_max < DESCRIPTORS_MAX ? limit.rlim_max : DESCRIPTORS_MAX;
    if (limit.rlim_cur < most) {
        limit.rlim_cur = most;
        if (setrlimit(RLIMIT_NOFILE, &limit)) vt_log(VT_LOG_INFO, "limit of open files: %s", strerror(errno));
        if (getrlimit(RLIMIT_NOFILE, &limit)) return;
    }
    if (limit.rlim_cur / 2 > CONNECTIONS_LEAST)
        s->service.connections_most = (unsigned)(limit.rlim_cur < DESCRIPTORS_MAX ? limit.rlim_cur / 2 : DESCRIPTORS_MAX / 2);
}

static int listen_on(struct server *s, const char *path, mode_t mode, struct vt_err *err) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int rc;

    if (strlen(path) >= sizeof(sa.sun_path))
        return vt_err_set(err, -ENAMETOOLONG, "socket path %s is too long; give a shorter one with --socket", path);
    strcpy(sa.sun_path, path);
    s->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->listen_fd < 0) return vt_err_set(err, -errno, "socket: %s", strerror(errno));
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool taken = probe >= 0 && !connect(probe, (struct sockaddr *)&sa, sizeof(sa));
    vt_close(&probe);
    if (taken)
        return vt_err_set(err, -EADDRINUSE, "another viztracerd listens on %s; end it, or give another path with --socket", path);
    unlink(path);
    if (bind(s->listen_fd, (struct sockaddr *)&sa, sizeof(sa)) || chmod(path, mode) || listen(s->listen_fd, BACKLOG)) {
        rc = -errno;
        return vt_err_set(err, rc, "cannot listen on %s: %s; give another path with --socket", path, strerror(-rc));
    }
    snprintf(s->socket_path, sizeof(s->socket_path), "%s", path);
    rc = loop_add(&s->service.host.loop, &s->listen_io, s->listen_fd, EPOLLIN, on_listen, s);
    return rc ? vt_err_set(err, rc, "epoll: %s", strerror(-rc)) : 0;
}

/* The socket for the user's other terminals. Without it, only `status` and `--detach` from there do not work. */
static void listen_private(struct server *s) {
    char dir[96], path[160];
    struct vt_err err = {0};
    int rc = rundir_prepare(dir, sizeof(dir), &err);
    if (!rc) {
        rundir_sweep(dir);
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
    return listen_on(s, path, 0666, err); /* any user may connect: the credentials decide about each request */
}

/* ---- signals and the end ---- */

/* Runs once per round of the loop. A private daemon ends when it has neither sessions nor the client that started it. A daemon
 * that was told to end does so when it has no sessions. */
static void leave_if_idle(void *ctx) {
    struct server *s = ctx;
    struct requester *r;
    if (!s->service.host.is_private && !s->service.leaving) return;
    if (!LIST_EMPTY(&s->service.host.sessions)) return;
    if (!s->service.leaving) LIST_FOREACH(r, &s->service.requesters, link)
    if (r->starter) return;
    s->service.host.loop.stop = true;
}

static void on_leave_timeout(void *ctx) {
    struct server *s = ctx;
    s->service.host.loop.stop = true;
}

static void leave(struct server *s) {
    struct session *session, *next;
    s->service.leaving = true;
    loop_timer_set(&s->service.host.loop, &s->leave_timer, vt_mono_ns() + LEAVE_AFTER_NS);
    for (session = LIST_FIRST(&s->service.host.sessions); session; session = next) {
        next = LIST_NEXT(session, link);
        session_stop(session, VT__END_REASON__DAEMON, "");
    }
}

static void on_signal(void *ctx, uint32_t events) {
    struct server *s = ctx;
    struct signalfd_siginfo info;
    (void)events;
    while (read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGCHLD)
            while (waitpid(-1, NULL, WNOHANG) > 0) continue; /* helpers report through their sockets */
        else
            leave(s);
    }
}

static int catch_signals(struct server *s) {
    sigset_t set;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* writing beyond RLIMIT_FSIZE then fails with EFBIG */
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &set, NULL)) return -errno;
    s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->signal_fd < 0) return -errno;
    return loop_add(&s->service.host.loop, &s->signal_io, s->signal_fd, EPOLLIN, on_signal, s);
}

/* A daemon that root runs for all users. */
static bool is_shared(const struct server *s) { return !s->service.host.is_private && geteuid() == 0; }

static int set_up(struct server *s, const struct server_opts *opts, struct vt_err *err) {
    int rc = loop_init(&s->service.host.loop);
    raise_descriptors(s);
    s->service.host.loop.round = leave_if_idle;
    s->service.host.loop.round_ctx = s;
    if (!rc) rc = catch_signals(s);
    if (rc) return vt_err_set(err, rc, "cannot start the event loop: %s", strerror(-rc));
    clock_init(&s->service.host.clock);
    rc = lease_start(&s->service.host.lease, &s->service.host.clock, LEASE_PATIENCE_NS);
    if (rc) return vt_err_set(err, rc, "cannot start the thread that renews leases: %s", strerror(-rc));
    s->leave_timer.fn = on_leave_timeout;
    s->leave_timer.ctx = s;
    s->listen_timer.fn = on_listen_again;
    s->listen_timer.ctx = s;
    rc = libraries_find_agent(s->service.host.agent_path, err);
    if (!rc) rc = spool_dir_prepare(s->service.host.spool_dir, is_shared(s), err);
    if (rc) return rc;
    if (!s->service.host.is_private) return listen_system(s, opts->socket_path, err);
    int flags = fcntl(opts->private_fd, F_GETFL);
    if (flags < 0 || fcntl(opts->private_fd, F_SETFL, flags | O_NONBLOCK) || fcntl(opts->private_fd, F_SETFD, FD_CLOEXEC))
        return vt_err_set(err, -errno, "--private %d: %s", opts->private_fd, strerror(errno));
    rc = requester_new_starter(&s->service, opts->private_fd);
    if (rc) return vt_err_set(err, rc, "--private %d: %s", opts->private_fd, strerror(-rc));
    listen_private(s);
    return 0;
}

int server_run(const struct server_opts *opts, struct vt_err *err) {
    struct server *s = calloc(1, sizeof(*s));
    struct session *session;
    struct requester *r;

    if (!s) return vt_err_set(err, -ENOMEM, "out of memory");
    struct host *host = &s->service.host;
    s->listen_fd = s->signal_fd = host->loop.epfd = host->loop.timerfd = -1;
    s->service.host.is_private = opts->private_fd >= 0;
    LIST_INIT(&s->service.requesters);
    LIST_INIT(&host->sessions);
    int rc = 0;
    if (opts->spool_dir)
        snprintf(host->spool_dir, sizeof(host->spool_dir), "%s", opts->spool_dir);
    else
        rc = spooldir_prepare(spool_dir_mode(is_shared(s)), host->spool_dir, sizeof(host->spool_dir));
    if (rc) vt_err_set(err, rc, "cannot make a spool folder: %s; set VIZTRACERD_SPOOL to a folder with room", strerror(-rc));
    if (!rc) rc = set_up(s, opts, err);
    if (!rc) {
        rc = loop_run(&host->loop);
        if (rc) vt_err_set(err, rc, "event loop: %s", strerror(-rc));
    }
    LIST_FOREACH(r, &s->service.requesters, link) peer_flush(&r->peer, FLUSH_MS);
    while ((r = LIST_FIRST(&s->service.requesters))) requester_free(r);
    while ((session = LIST_FIRST(&host->sessions))) session_abandon(session);
    lease_stop(&host->lease);
    if (s->socket_path[0]) unlink(s->socket_path);
    for (int ms = 0; ms < 100 && waitpid(-1, NULL, WNOHANG) == 0; ms++) usleep(1000);
    vt_close(&s->listen_fd);
    vt_close(&s->signal_fd);
    loop_close(&host->loop);
    free(s);
    return rc;
}
