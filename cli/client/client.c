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

void client_close(struct client *c) {
    vt_close(&c->fd);
    /* It ends with its last session. It must not stay as a zombie when no other process reaps it. */
    for (int ms = 0; c->child > 0 && ms < REAP_MS && waitpid(c->child, NULL, WNOHANG) == 0; ms++) usleep(1000);
    c->child = 0;
    vt_frame_buf_free(&c->in);
    memset(&c->in, 0, sizeof(c->in));
}

int client_error(const uint8_t *payload, uint32_t len, struct vt_err *err) {
    ProtobufCMessage *msg;
    int rc = vt_msg_unpack(VT_CTL_ERROR, payload, len, &msg);
    if (rc) return vt_err_set(err, rc, "viztracerd sent an answer that makes no sense");
    const Vt__Error *m = (const Vt__Error *)msg;
    rc = vt_err_set(err, m->code < 0 ? m->code : -EIO, "%s", m->text);
    vt_msg_free(msg);
    return rc;
}

int client_send(struct client *c, uint32_t type, const ProtobufCMessage *msg, struct vt_err *err) {
    int rc = vt_msg_send(c->fd, type, msg);
    return rc ? vt_err_set(err, rc, "viztracerd does not answer: %s", strerror(-rc)) : 0;
}

int client_request(struct client *c, uint32_t type, const ProtobufCMessage *msg, uint32_t want, ProtobufCMessage **reply,
                   struct vt_err *err) {
    const uint8_t *payload;
    uint32_t got, len;
    int rc = client_send(c, type, msg, err);
    while (!rc) {
        rc = vt_msg_recv(c->fd, &c->in, &got, &payload, &len);
        if (rc)
            return vt_err_set(err, rc, "viztracerd ended without an answer: %s",
                              rc == -EPIPE ? "connection closed" : strerror(-rc));
        if (got == VT_CTL_ERROR) return client_error(payload, len, err);
        if (got != want) continue; /* frames of a trace, statistics */
        if (!reply) return 0;
        rc = vt_msg_unpack(got, payload, len, reply);
        return rc ? vt_err_set(err, rc, "viztracerd sent an answer that makes no sense") : 0;
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
    c->daemon_pid = (pid_t)m->pid;
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
    if (strlen(path) >= sizeof(sa.sun_path)) return vt_err_set(err, -ENAMETOOLONG, "socket path %s is too long", path);
    strcpy(sa.sun_path, path);
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0) return vt_err_set(err, -errno, "socket: %s", strerror(errno));
    if (connect(c->fd, (struct sockaddr *)&sa, sizeof(sa))) {
        rc = -errno;
        vt_err_set(err, rc, "%s: %s", path, strerror(-rc));
    } else if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) || (cred.uid != owner && cred.uid != 0)) {
        rc = vt_err_set(err, -EPERM, "%s: another user answers there", path);
    } else {
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
}

static int start_private(struct client *c, struct vt_err *err) {
    int pair[2];
    memset(c, 0, sizeof(*c));
    c->fd = -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        return vt_err_set(err, -errno, "socketpair: %s", strerror(errno));
    pid_t pid = fork();
    if (pid < 0) {
        int rc = vt_err_set(err, -errno, "cannot start viztracerd: %s", strerror(errno));
        vt_close(&pair[0]);
        vt_close(&pair[1]);
        return rc;
    }
    if (pid == 0) {
        sigset_t none;
        setsid(); /* Ctrl+C and a closed terminal are the client's business */
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        int null = open("/dev/null", O_RDWR);
        if (null >= 0) dup2(null, 0), dup2(null, 1);
        if (pair[1] == PRIVATE_FD)
            fcntl(PRIVATE_FD, F_SETFD, 0);
        else
            dup2(pair[1], PRIVATE_FD);
        close_range(PRIVATE_FD + 1, ~0u, 0);
        exec_daemon();
        _exit(127);
    }
    vt_close(&pair[1]);
    c->fd = pair[0];
    c->child = pid;
    struct vt_err why = {0};
    int rc = handshake(c, &why);
    if (rc == -EPIPE || rc == -ECONNRESET)
        vt_err_set(err, rc, "cannot start viztracerd: it is not beside this program, in ../libexec or on PATH");
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

/* ---- all of them ---- */

struct walk {
    int (*fn)(void *ctx, struct client *c);
    void *ctx;
};

static int each_private(void *ctx, const char *path, uid_t owner) {
    struct walk *w = ctx;
    struct client c;
    int rc = client_open_path(&c, path, owner, NULL);
    if (rc == -ECONNREFUSED) unlink(path); /* its daemon was killed */
    if (rc) return 0;
    rc = w->fn(w->ctx, &c);
    client_close(&c);
    return rc;
}

int client_each(int (*fn)(void *ctx, struct client *c), void *ctx) {
    struct walk w = {fn, ctx};
    struct client c;
    int rc = 0;
    if (!client_open_system(&c, NULL)) {
        rc = fn(ctx, &c);
        client_close(&c);
    }
    return rc ? rc : rundir_each(each_private, &w);
}
