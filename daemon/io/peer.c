/* Owns client connections: credentials, the table of requests, queued answers, the stream. */
#include "daemon/io/peer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/io/spool.h"
#include "daemon/serve/server.h"
#include "daemon/session/session.h"

#define OUT_MAX (8u << 20)      /* a client that asks and never reads */
#define SEND_STEP (4u << 20)    /* then the loop goes on */
#define SEND_AT_ONCE (1u << 20) /* of frames, with no answer between them */
#define KEPT_MAX 256

/* ---- out ---- */

void peer_send(struct peer *p, uint32_t type, const ProtobufCMessage *msg) {
    uint8_t *frame;
    size_t len;
    int rc = vt_msg_pack(type, msg, &frame, &len);
    if (rc) {
        vt_log(VT_LOG_ERROR, "answer %u cannot be packed: %s", type, strerror(-rc));
        return;
    }
    if (p->out_len + len > p->out_size) {
        size_t size = (p->out_len + len) * 2;
        uint8_t *grown = size <= OUT_MAX ? realloc(p->out, size) : NULL;
        if (!grown) {
            p->closing = true;
            free(frame);
            peer_kick(p);
            return;
        }
        p->out = grown;
        p->out_size = size;
    }
    memcpy(p->out + p->out_len, frame, len);
    p->out_len += len;
    free(frame);
    peer_kick(p);
}

void peer_error(struct peer *p, int code, const char *text) {
    Vt__Error m = VT__ERROR__INIT;
    m.code = code;
    m.text = (char *)text;
    peer_send(p, VT_CTL_ERROR, &m.base);
}

void peer_stream(struct peer *p, struct spool *spool) {
    p->spool = spool;
    p->offset = 8; /* behind the file's magic */
    p->frame_left = 0;
    p->tail_sent = false;
    peer_kick(p);
}

void peer_kick(struct peer *p) { loop_want(&p->server->loop, &p->io, EPOLLIN | EPOLLOUT); }

bool peer_may(const struct peer *p, uid_t owner) { return p->creds.uid == 0 || p->creds.uid == owner; }

/* 1 = something went out, 0 = nothing to send, -EAGAIN, -errno. Frames are never mixed: answers go out only
 * between two frames of the stream. */
static int send_some(struct peer *p) {
    ssize_t n;
    if (!p->frame_left && p->out_pos < p->out_len) {
        n = send(p->fd, p->out + p->out_pos, p->out_len - p->out_pos, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) return -errno;
        p->out_pos += (size_t)n;
        if (p->out_pos == p->out_len) p->out_pos = p->out_len = 0;
        return 1;
    }
    if (!p->spool) return 0;
    uint64_t behind = p->spool->size - p->offset; /* whole frames */
    if (!p->frame_left && behind <= SEND_AT_ONCE) p->frame_left = behind;
    if (!p->frame_left && behind) {
        uint8_t hdr[VT_FRAME_HDR];
        uint32_t type, len, crc;
        if (pread(p->spool->fd, hdr, sizeof(hdr), (off_t)p->offset) != (ssize_t)sizeof(hdr)) return -EIO;
        int rc = vt_frame_get_header(hdr, &type, &len, &crc);
        if (rc) return rc;
        p->frame_left = VT_FRAME_HDR + len;
    }
    if (p->frame_left) {
        off_t offset = (off_t)p->offset;
        n = sendfile(p->fd, p->spool->fd, &offset, p->frame_left);
        if (n < 0) return -errno;
        if (n == 0) return -EIO;
        p->offset += (uint64_t)n;
        p->frame_left -= (uint64_t)n;
        return 1;
    }
    if (p->spool->tail_len && !p->tail_sent) {
        p->tail_sent = true;
        p->out = realloc(p->out, p->spool->tail_len); /* empty here */
        if (!p->out) return -ENOMEM;
        memcpy(p->out, p->spool->tail, p->spool->tail_len);
        p->out_size = p->out_len = p->spool->tail_len;
        p->out_pos = 0;
        return 1;
    }
    return 0;
}

/* 0 or an error that ends the connection. */
static int flush_out(struct peer *p) {
    uint64_t sent = 0;
    for (;;) {
        uint64_t left = p->frame_left;
        int rc = send_some(p);
        if (rc == -EINTR) continue;
        if (rc == -EAGAIN) return 0;
        if (rc < 0) return rc;
        if (rc == 0) {
            loop_want(&p->server->loop, &p->io, EPOLLIN);
            return p->closing ? -ECONNRESET : 0;
        }
        sent += left;
        if (sent > SEND_STEP) return 0;
    }
}

/* ---- requests ---- */

static int on_hello(struct peer *p, const ProtobufCMessage *msg) {
    const Vt__Hello *m = (const Vt__Hello *)msg;
    char text[160];
    Vt__Hello answer = VT__HELLO__INIT;
    if (m->protocol != VT_PROTOCOL) {
        snprintf(text, sizeof(text),
                 "this viztracerd (" VT_VERSION ") speaks protocol %u, the client %u: use the same version of both", VT_PROTOCOL,
                 m->protocol);
        peer_error(p, -EPROTO, text);
        p->closing = true;
        return 0;
    }
    p->greeted = true;
    answer.protocol = VT_PROTOCOL;
    answer.tool_version = (char *)VT_VERSION;
    answer.pid = (uint32_t)getpid();
    answer.is_private = p->server->is_private;
    peer_send(p, VT_CTL_HELLO, &answer.base);
    return 0;
}

/* Its pids would mean other processes to us. */
static bool other_pid_namespace(const struct peer *p) {
    char path[64], theirs[64], ours[64];
    if (p->creds.pid <= 0) return true;
    snprintf(path, sizeof(path), "/proc/%d/ns/pid", p->creds.pid);
    ssize_t a = readlink(path, theirs, sizeof(theirs)), b = readlink("/proc/self/ns/pid", ours, sizeof(ours));
    return a > 0 && b > 0 && (a != b || memcmp(theirs, ours, (size_t)a));
}

static int on_attach(struct peer *p, const ProtobufCMessage *msg) {
    struct vt_err err = {0};
    int rc;
    if (p->session)
        rc = vt_err_set(&err, -EBUSY, "this connection has a session already");
    else if (p->server->leaving)
        rc = vt_err_set(&err, -ESHUTDOWN, "viztracerd is ending");
    else if (other_pid_namespace(p))
        rc = vt_err_set(&err, -EXDEV,
                        "viztracerd runs in another pid namespace than viztracer; set VIZTRACERD_SOCKET=none to do without it");
    else
        rc = session_start(p->server, p, (const Vt__AttachReq *)msg, &err);
    if (rc) peer_error(p, rc, err.msg);
    return 0;
}

static int on_stop(struct peer *p, const ProtobufCMessage *msg) {
    (void)msg;
    if (p->session) session_stop(p->session, VT_END_STOPPED, "");
    return 0;
}

static void answer_waiting(struct peer *p, struct session *s) {
    if (p->waits_for == VT_CTL_DETACHED) {
        Vt__Detached m = VT__DETACHED__INIT;
        m.pid = (uint32_t)s->pid;
        m.events = s->totals.calls;
        if (s->peer && s->output) m.output = s->output;
        if (!s->peer) m.spool = s->spool.path;
        peer_send(p, VT_CTL_DETACHED, &m.base);
    } else {
        Vt__Ok m = VT__OK__INIT;
        m.text = (char *)"its session was ended";
        peer_send(p, VT_CTL_OK, &m.base);
    }
    p->waits = NULL;
}

void peer_session_ended(struct server *server, struct session *s) {
    struct peer *p;
    LIST_FOREACH(p, &server->peers, link)
    if (p->waits == s) answer_waiting(p, s);
}

static int end_and_wait(struct peer *p, struct session *s, uint32_t answer) {
    char text[128];
    if (!peer_may(p, s->creds.uid)) {
        snprintf(text, sizeof(text), "the session on %d belongs to %s; ask that user, or use root", s->pid, s->owner_name);
        peer_error(p, -EPERM, text);
        return 0;
    }
    p->waits = s;
    p->waits_for = answer;
    if (s->state == VT_SESSION_ENDED)
        answer_waiting(p, s);
    else
        session_stop(s, VT_END_STOPPED, "");
    return 0;
}

static int on_detach(struct peer *p, const ProtobufCMessage *msg) {
    const Vt__PidReq *m = (const Vt__PidReq *)msg;
    struct session *s = session_find(p->server, (pid_t)m->pid);
    char text[64];
    if (s) return end_and_wait(p, s, VT_CTL_DETACHED);
    snprintf(text, sizeof(text), "process %u is not being traced", m->pid);
    peer_error(p, -ESRCH, text);
    return 0;
}

static void on_uninstalled(void *ctx, const struct helper_msg *msg, int arena_fd) {
    struct peer *p = ctx;
    vt_close(&arena_fd);
    if (msg->kind != HELPER_DONE) return;
    Vt__Ok m = VT__OK__INIT;
    if (msg->rc)
        peer_error(p, msg->rc, msg->err.msg);
    else
        peer_send(p, VT_CTL_OK, &m.base);
    helper_close(&p->helper);
}

static int on_uninstall(struct peer *p, const ProtobufCMessage *msg) {
    const Vt__PidReq *m = (const Vt__PidReq *)msg;
    struct session *s = session_find(p->server, (pid_t)m->pid);
    struct vt_err err = {0};
    if (s && s->state != VT_SESSION_ENDED) return end_and_wait(p, s, VT_CTL_OK);
    struct helper_req *req = calloc(1, sizeof(*req));
    int rc = req ? 0 : vt_err_set(&err, -ENOMEM, "out of memory");
    if (!rc && p->helper.fd >= 0) rc = vt_err_set(&err, -EBUSY, "an uninstall is running");
    if (!rc) {
        req->op = HELPER_STOP;
        req->pid = (pid_t)m->pid;
        req->nchunks = VT_CHUNKS_DEFAULT;
        snprintf(req->agent_path, sizeof(req->agent_path), "%s", p->server->agent_path);
        rc = helper_start(&p->helper, &p->server->loop, &p->creds, req, on_uninstalled, p, &err);
    }
    free(req);
    if (rc) peer_error(p, rc, err.msg);
    return 0;
}

/* Traces that nobody saved, in our spool folder: no one holds their lock. */
static size_t find_kept(struct peer *p, Vt__SessionInfo *infos, char (*paths)[1024], size_t max) {
    DIR *dir = opendir(p->server->spool_dir);
    size_t n = 0;
    for (struct dirent *e; dir && n < max && (e = readdir(dir));) {
        struct stat st;
        size_t len = strlen(e->d_name);
        if (len < 5 || strcmp(e->d_name + len - 4, ".vzt")) continue;
        int fd = openat(dirfd(dir), e->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0) continue;
        if (!fstat(fd, &st) && S_ISREG(st.st_mode) && peer_may(p, st.st_uid) && !flock(fd, LOCK_SH | LOCK_NB)) {
            vt__session_info__init(&infos[n]);
            infos[n].pid = (uint32_t)strtoul(e->d_name, NULL, 10);
            infos[n].state = VT_SESSION_ENDED;
            infos[n].owner_uid = st.st_uid;
            infos[n].bytes = (uint64_t)st.st_size;
            infos[n].start_real_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000u;
            snprintf(paths[n], sizeof(paths[n]), "%s/%s", p->server->spool_dir, e->d_name);
            infos[n].spool = paths[n];
            n++;
        }
        vt_close(&fd);
    }
    if (dir) closedir(dir);
    return n;
}

static int on_status(struct peer *p, const ProtobufCMessage *msg) {
    Vt__StatusRep m = VT__STATUS_REP__INIT;
    struct session *s;
    size_t live = 0, n = 0;

    (void)msg;
    LIST_FOREACH(s, &p->server->sessions, link) live++;
    Vt__SessionInfo *infos = calloc(live + KEPT_MAX, sizeof(*infos));
    Vt__SessionInfo **ptrs = calloc(live + KEPT_MAX, sizeof(Vt__SessionInfo *));
    char(*paths)[1024] = calloc(KEPT_MAX, sizeof(*paths));
    if (infos && ptrs && paths) {
        LIST_FOREACH(s, &p->server->sessions, link)
        if (peer_may(p, s->creds.uid)) session_fill_info(s, &infos[n++]);
        if (!p->server->is_private) n += find_kept(p, infos + n, paths, KEPT_MAX);
        for (size_t i = 0; i < n; i++) ptrs[i] = &infos[i];
        m.n_sessions = n;
        m.sessions = ptrs;
        m.daemon_pid = (uint32_t)getpid();
        peer_send(p, VT_CTL_STATUS_REP, &m.base);
    } else {
        peer_error(p, -ENOMEM, "out of memory");
    }
    free(infos);
    free(ptrs);
    free(paths);
    return 0;
}

static int on_saved(struct peer *p, const ProtobufCMessage *msg) {
    Vt__Ok m = VT__OK__INIT;
    (void)msg;
    struct session *s = p->session;
    if (s && s->state == VT_SESSION_ENDED) {
        peer_send(p, VT_CTL_OK, &m.base);
        session_saved(s);
    } else {
        peer_error(p, -EINVAL, "nothing to be saved");
    }
    return 0;
}

static const struct request {
    uint32_t type;
    bool before_hello;
    int (*fn)(struct peer *p, const ProtobufCMessage *msg); /* non-zero ends the connection */
} requests[] = {
    {VT_CTL_HELLO, true, on_hello},    {VT_CTL_ATTACH, false, on_attach}, {VT_CTL_STOP, false, on_stop},
    {VT_CTL_DETACH, false, on_detach}, {VT_CTL_STATUS, false, on_status}, {VT_CTL_UNINSTALL, false, on_uninstall},
    {VT_CTL_SAVED, false, on_saved},
};

static int dispatch(struct peer *p, uint32_t type, const uint8_t *payload, uint32_t len) {
    const struct request *r = NULL;
    for (size_t i = 0; i < VT_ARRAY_LEN(requests); i++)
        if (requests[i].type == type) r = &requests[i];
    if (!r || (!p->greeted && !r->before_hello)) return -EPROTO;
    ProtobufCMessage *msg = NULL;
    int rc = vt_msg_unpack(type, payload, len, &msg);
    if (rc == -ENOMSG) rc = 0;
    if (!rc) rc = r->fn(p, msg);
    vt_msg_free(msg);
    return rc;
}

static int read_in(struct peer *p) {
    uint8_t buf[65536];
    const uint8_t *payload;
    uint32_t type, len;
    ssize_t n = recv(p->fd, buf, sizeof(buf), MSG_DONTWAIT);
    if (n < 0) return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (n == 0) return -EPIPE;
    if (p->closing) return 0;
    int rc = vt_frame_buf_add(&p->in, buf, (size_t)n);
    while (!rc && !p->closing) {
        rc = vt_frame_buf_next(&p->in, &type, &payload, &len);
        if (rc <= 0) break;
        rc = dispatch(p, type, payload, len);
    }
    return rc;
}

static void on_io(void *ctx, uint32_t events) {
    struct peer *p = ctx;
    struct server *server = p->server;
    int rc = 0;
    if (events & EPOLLIN) rc = read_in(p);
    if (!rc && events & EPOLLOUT) rc = flush_out(p);
    if (!rc && events & (EPOLLERR | EPOLLHUP) && !(events & EPOLLIN)) rc = -EPIPE;
    if (!rc) return;
    vt_log(VT_LOG_DEBUG, "client %d: %s", p->creds.pid, strerror(-rc));
    peer_free(p);
    server_maybe_leave(server);
}

/* ---- life ---- */

static int read_creds(int fd, struct creds *c) {
    struct ucred u;
    socklen_t len = sizeof(u);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &u, &len)) return -errno;
    c->pid = u.pid;
    c->uid = u.uid;
    c->gid = u.gid;
    len = sizeof(c->groups);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, c->groups, &len)) return -errno;
    c->ngroups = (int)(len / sizeof(gid_t));
    return 0;
}

int peer_new(struct server *server, int fd, struct peer **out) {
    struct peer *p = calloc(1, sizeof(*p));
    int rc = p ? read_creds(fd, &p->creds) : -ENOMEM;
    if (!rc) {
        p->server = server;
        p->fd = fd;
        p->helper.fd = -1;
        rc = loop_add(&server->loop, &p->io, fd, EPOLLIN, on_io, p);
    }
    if (rc) {
        vt_close(&fd);
        free(p);
        return rc;
    }
    LIST_INSERT_HEAD(&server->peers, p, link);
    if (out) *out = p;
    return 0;
}

void peer_free(struct peer *p) {
    LIST_REMOVE(p, link);
    helper_close(&p->helper);
    if (p->session) session_orphan(p->session);
    loop_del(&p->server->loop, &p->io);
    vt_close(&p->fd);
    vt_frame_buf_free(&p->in);
    free(p->out);
    free(p);
}
