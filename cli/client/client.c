/* Owns connections to daemons: sockets, the private daemon's start, the handshake. */
#include "cli/client/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/rundir.h"

#define PRIVATE_FD 3
#define REAP_MS 300
#define SEND_SECONDS 5
#define EXIT_MS 2000
enum { NO_PROC = 126, NOT_FOUND = 127 }; /* exit codes of a daemon that could not be started */
#define SILENT_USERS 64                  /* users whose daemons do not answer, remembered during one walk */

void client_close(struct client *c) {
    vt_close(&c->fd);
    /* A private daemon ends with its last session. Reap it: where no other process does so, it would stay a zombie. */
    for (int ms = 0; c->child > 0 && ms < REAP_MS && waitpid(c->child, NULL, WNOHANG) == 0; ms++) usleep(1000);
    c->child = 0;
    vt_frame_buf_free(&c->in);
    memset(&c->in, 0, sizeof(c->in));
}

int client_error(const uint8_t *payload, uint32_t len, struct vt_err *err) {
    ProtobufCMessage *msg;
    int rc = vt_msg_unpack(VT_CTL_ERROR, payload, len, &msg);
    if (rc) return vt_err_set(err, rc, "viztracerd sent an answer that makes no sense: use the same version of both");
    const Vt__Error *m = (const Vt__Error *)msg;
    rc = vt_err_set(err, m->code < 0 ? m->code : -EIO, "%s", m->text);
    vt_msg_free(msg);
    return rc;
}

int client_send(struct client *c, uint32_t type, const ProtobufCMessage *msg, struct vt_err *err) {
    int rc = vt_msg_send(c->fd, type, msg);
    return rc ? vt_err_set(err, rc, "viztracerd does not answer: %s; try again, or set VIZTRACERD_SOCKET=none", strerror(-rc))
              : 0;
}

/* How long a daemon may take to answer: it depends on the answer. Those that need a helper working on the target take longest
 * (daemon/session/helper.c: a minute). */
static unsigned patience_ms(uint32_t want) {
    static const struct {
        uint32_t want;
        unsigned ms;
    } rows[] = {{VT_CTL_HELLO, 5000}, {VT_CTL_STATUS_REP, 10000}, {VT_CTL_DETACHED, 90000}, {VT_CTL_OK, 90000}};
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++)
        if (rows[i].want == want) return rows[i].ms;
    return 90000;
}

/* The next frame, until `end` (vt_mono_ns): 0, -ETIMEDOUT, -EPIPE, -errno. */
static int receive(struct client *c, uint64_t end, uint32_t *type, const uint8_t **payload, uint32_t *len) {
    uint8_t buf[16384];
    int rc;
    while ((rc = vt_frame_buf_next(&c->in, type, payload, len)) == 0) {
        uint64_t now = vt_mono_ns();
        struct pollfd pfd = {.fd = c->fd, .events = POLLIN};
        if (now >= end) return -ETIMEDOUT;
        int n = poll(&pfd, 1, (int)((end - now) / 1000000u + 1));
        if (n < 0 && errno != EINTR) return -errno;
        if (n <= 0) continue;
        ssize_t got = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (got <= 0) return got < 0 ? -errno : -EPIPE;
        rc = vt_frame_buf_add(&c->in, buf, (size_t)got);
        if (rc) return rc;
    }
    return rc > 0 ? 0 : rc;
}

int client_request(struct client *c, uint32_t type, const ProtobufCMessage *msg, uint32_t want, ProtobufCMessage **reply,
                   struct vt_err *err) {
    const uint8_t *payload;
    uint32_t got, len;
    unsigned ms = patience_ms(want);
    uint64_t end = vt_mono_ns() + ms * 1000000ull;
    struct vt_err why = {0};
    int rc = client_send(c, type, msg, &why), sent = rc;
    if (rc == -EPIPE || rc == -ECONNRESET) rc = 0; /* a daemon that refuses us says why, and closes */
    if (rc) return vt_err_set(err, rc, "%s", why.msg);
    while (!rc) {
        rc = receive(c, end, &got, &payload, &len);
        if (rc == -ETIMEDOUT)
            return vt_err_set(err, rc, "viztracerd (process %d of user %u) has not answered for %u s: end it, or try again",
                              c->daemon_pid, c->owner, ms / 1000);
        if (rc && sent) return vt_err_set(err, sent, "%s", why.msg);
        if (rc)
            return vt_err_set(err, rc, "viztracerd ended without an answer: %s; try again",
                              rc == -EPIPE ? "connection closed" : strerror(-rc));
        if (got == VT_CTL_ERROR) return client_error(payload, len, err);
        if (got != want) continue; /* frames of a trace and statistics are skipped */
        if (!reply) return 0;
        rc = vt_msg_unpack(got, payload, len, reply);
        return rc ? vt_err_set(err, rc, "viztracerd sent an answer that makes no sense: use the same version of both") : 0;
    }
    return rc;
}

static int handshake(struct client *c, struct vt_err *err) {
    Vt__Hello hello = VT__HELLO__INIT;
    ProtobufCMessage *reply;
    hello.protocol = VT_PROTOCOL;
    hello.tool_version = (char *)VT_VERSION;
    hello.pid = (uint32_t)getpid();
    int rc = client_request(c, VT_CTL_HELLO, &hello.base, VT_CTL_HELLO, &reply, err);
    if (rc) return rc;
    const Vt__Hello *m = (const Vt__Hello *)reply;
    if (m->protocol != VT_PROTOCOL)
        rc = vt_err_set(err, -EPROTO, "viztracerd speaks protocol %u, this viztracer %u: use the same version of both",
                        m->protocol, VT_PROTOCOL);
    c->is_private = m->is_private;
    vt_msg_free(reply);
    return rc;
}

int client_open_path(struct client *c, const char *path, uid_t owner, struct vt_err *err) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    struct ucred cred;
    socklen_t len = sizeof(cred);
    int rc;

    memset(c, 0, sizeof(*c));
    c->fd = -1;
    if (strlen(path) >= sizeof(sa.sun_path))
        return vt_err_set(err, -ENAMETOOLONG, "socket path %s is too long; set VIZTRACERD_SOCKET to a shorter one", path);
    strcpy(sa.sun_path, path);
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0) return vt_err_set(err, -errno, "socket: %s", strerror(errno));
    /* For connect and send: a daemon may accept no connection or read nothing. */
    const struct timeval patience = {SEND_SECONDS, 0};
    if (setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)))
        return client_close(c), vt_err_set(err, -errno, "socket: %s", strerror(errno));
    if (connect(c->fd, (struct sockaddr *)&sa, sizeof(sa))) {
        rc = errno == EAGAIN ? -ETIMEDOUT : -errno;
        vt_err_set(err, rc, "%s: %s", path, rc == -ETIMEDOUT ? "nothing accepts connections there" : strerror(-rc));
    } else if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) || (cred.uid != owner && cred.uid != 0)) {
        rc = vt_err_set(err, -EPERM, "%s: another user answers there", path);
    } else {
        c->daemon_pid = cred.pid; /* the kernel's number, not the one that the daemon says */
        c->owner = cred.uid;
        rc = handshake(c, err);
    }
    if (rc) client_close(c);
    return rc;
}

int client_open_system(struct client *c, struct vt_err *err) {
    const char *path = getenv("VIZTRACERD_SOCKET");
    if (!path || !path[0]) path = RUNDIR_SYSTEM_SOCKET;
    c->fd = -1;
    if (!strcmp(path, "none")) return vt_err_set(err, -ENOENT, "no system daemon wanted");
    return client_open_path(c, path, geteuid(), err);
}

/* ---- a private daemon ---- */

static bool daemon_is_silent;

void client_silence_daemon(void) { daemon_is_silent = !getenv("VIZTRACERD_LOG"); }

/* Beside this program, in ../libexec, or on PATH. */
static void exec_daemon(void) {
    static const char *const places[] = {"", "../libexec/"};
    char exe[4096], path[4200];
    char *argv[] = {(char *)"viztracerd", (char *)"--private", (char *)"3", NULL};
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    if (n > 0) {
        exe[n] = 0;
        char *slash = strrchr(exe, '/');
        if (slash) slash[1] = 0;
        for (size_t i = 0; i < VT_ARRAY_LEN(places); i++) {
            snprintf(path, sizeof(path), "%s%sviztracerd", exe, places[i]);
            execv(path, argv);
        }
    }
    execvp("viztracerd", argv);
    _exit(n > 0 ? NOT_FOUND : NO_PROC);
}

static int start_private(struct client *c, struct vt_err *err) {
    int pair[2];
    memset(c, 0, sizeof(*c));
    c->fd = -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        return vt_err_set(err, -errno, "socketpair: %s", strerror(errno));
    pid_t pid = fork();
    if (pid < 0) {
        int rc = vt_err_set(err, -errno, "cannot start viztracerd: %s; end some processes, or raise the limit (ulimit -u)",
                            strerror(errno));
        vt_close(&pair[0]);
        vt_close(&pair[1]);
        return rc;
    }
    if (pid == 0) {
        sigset_t none;
        setsid(); /* Ctrl+C and a closed terminal are handled by the client */
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        int null = open("/dev/null", O_RDWR);
        if (null >= 0) dup2(null, 0), dup2(null, 1);
        if (null >= 0 && daemon_is_silent) dup2(null, 2);
        if (pair[1] == PRIVATE_FD)
            fcntl(PRIVATE_FD, F_SETFD, 0);
        else
            dup2(pair[1], PRIVATE_FD);
        close_range(PRIVATE_FD + 1, ~0u, 0);
        exec_daemon();
    }
    vt_close(&pair[1]);
    c->fd = pair[0];
    c->child = pid;
    c->daemon_pid = pid;
    c->owner = geteuid();
    struct vt_err why = {0};
    int rc = handshake(c, &why), status = 0;
    bool ended = rc == -EPIPE || rc == -ECONNRESET;
    for (int ms = 0; ended && c->child && ms < EXIT_MS; ms += 10)
        if (waitpid(pid, &status, WNOHANG) == pid)
            c->child = 0;
        else
            usleep(10000);
    ended = ended && !c->child;
    if (ended && WIFEXITED(status) && WEXITSTATUS(status) == NO_PROC)
        vt_err_set(err, rc, "cannot start viztracerd: /proc is not there, and nothing can be traced without it; mount it");
    else if (ended && WIFEXITED(status) && WEXITSTATUS(status) == NOT_FOUND)
        vt_err_set(
            err, rc,
            "cannot start viztracerd: it is not beside this program, in ../libexec or on PATH; put it there (make install)");
    else if (ended)
        vt_err_set(err, rc, "viztracerd ended as soon as it was started (%s %d); VIZTRACERD_LOG=debug shows each step",
                   WIFSIGNALED(status) ? "signal" : "exit code", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    else if (rc == -EPIPE || rc == -ECONNRESET)
        vt_err_set(err, rc, "viztracerd closed the connection as soon as it was started; try again");
    else if (rc)
        vt_err_set(err, rc, "%s", why.msg);
    if (rc) client_close(c);
    return rc;
}

int client_open(struct client *c, struct vt_err *err) {
    struct vt_err why = {0};
    int rc = client_open_system(c, &why);
    if (!rc) return 0;
    if (rc != -ENOENT && rc != -ECONNREFUSED && rc != -ENOTDIR) vt_log(VT_LOG_INFO, "system daemon: %s", why.msg);
    return start_private(c, err);
}

/* ---- a further connection ---- */

struct beside {
    pid_t pid;
    struct client *c;
};

static int connect_beside(void *ctx, const char *path, uid_t owner) {
    const struct beside *b = ctx;
    char name[48];
    struct vt_err why = {0};
    snprintf(name, sizeof(name), "/viztracerd-%d.sock", (int)b->pid);
    size_t len = strlen(path), end = strlen(name);
    if (owner != geteuid() || len < end || strcmp(path + len - end, name)) return 0;
    return client_open_path(b->c, path, owner, &why) ? 0 : 1;
}

int client_open_beside(struct client *c, const struct client *first, struct vt_err *err) {
    struct beside beside = {.pid = first->daemon_pid, .c = c};
    if (!first->is_private) return client_open(c, err);
    return rundir_each(connect_beside, &beside) == 1 ? 0 : start_private(c, err);
}

/* ---- all of them ---- */

struct walk {
    int (*fn)(void *ctx, struct client *c);
    void *ctx;
    uid_t silent[SILENT_USERS];
    size_t nsilent;
};

static bool is_silent(const struct walk *w, uid_t owner) {
    for (size_t i = 0; i < w->nsilent; i++)
        if (w->silent[i] == owner) return true;
    return w->nsilent == SILENT_USERS && owner != 0 && owner != geteuid();
}

/* A user could make root wait at any number of sockets: wait for each user once. */
static int each_private(void *ctx, const char *path, uid_t owner) {
    struct walk *w = ctx;
    struct client c;
    struct vt_err err = {0};
    if (is_silent(w, owner)) return 0;
    int rc = client_open_path(&c, path, owner, &err);
    if (rc == -ECONNREFUSED && rundir_is_stale(path)) unlink(path);
    if (rc == -ETIMEDOUT) {
        fprintf(stderr, "viztracer: %s; the daemons of user %u are left out\n", err.msg, owner);
        w->silent[w->nsilent++] = owner;
    }
    if (rc) return 0;
    rc = w->fn(w->ctx, &c);
    client_close(&c);
    return rc;
}

int client_each(int (*fn)(void *ctx, struct client *c), void *ctx) {
    struct walk w = {.fn = fn, .ctx = ctx};
    struct client c;
    struct vt_err err = {0};
    int rc = client_open_system(&c, &err);
    if (rc == -ETIMEDOUT) fprintf(stderr, "viztracer: %s; the system daemon is left out\n", err.msg);
    if (!rc) {
        rc = fn(ctx, &c);
        client_close(&c);
        if (rc) return rc;
    }
    return rundir_each(each_private, &w);
}
