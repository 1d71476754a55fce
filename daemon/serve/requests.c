/* Owns the table of requests, and the work of each of them. */
#include "daemon/serve/requests.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/spooldir.h"

#define KEPT_MAX 256 /* kept traces in one answer to STATUS */
#define CONNECTIONS_PER_USER 64u
#define CONNECTIONS_OF_ROOT 1024u
#define HELLO_NS 10000000000ull
#define STATUS_ROOM (VT_FRAME_MAX - (64u << 10)) /* bytes of session infos in one answer to STATUS */

static int on_hello(struct requester *r, const ProtobufCMessage *msg) {
    const Vt__Hello *m = (const Vt__Hello *)msg;
    char text[160];
    Vt__Hello answer = VT__HELLO__INIT;
    if (m->protocol != VT_PROTOCOL) {
        snprintf(text, sizeof(text),
                 "this viztracerd (" VT_VERSION ") speaks protocol %u, the client %u: use the same version of both", VT_PROTOCOL,
                 m->protocol);
        peer_error(&r->peer, -EPROTO, text);
        r->peer.closing = true;
        return 0;
    }
    r->greeted = true;
    loop_timer_del(&r->service->host.loop, &r->deadline);
    answer.protocol = VT_PROTOCOL;
    answer.tool_version = (char *)VT_VERSION;
    answer.pid = (uint32_t)getpid();
    answer.is_private = r->service->host.is_private;
    peer_send(&r->peer, VT_CTL_HELLO, &answer.base);
    return 0;
}

/* Does the client live in another pid namespace? Its pids would name other processes here. */
static bool other_pid_namespace(const struct creds *c) {
    char path[64], theirs[64], ours[64];
    if (c->pid <= 0) return true;
    snprintf(path, sizeof(path), "/proc/%d/ns/pid", c->pid);
    ssize_t a = readlink(path, theirs, sizeof(theirs)), b = readlink("/proc/self/ns/pid", ours, sizeof(ours));
    return a > 0 && b > 0 && (a != b || memcmp(theirs, ours, (size_t)a));
}

/* A session on this connection: 0, or -errno and err. */
static int may_begin(const struct requester *r, struct vt_err *err) {
    if (r->session) return vt_err_set(err, -EBUSY, "this connection has a session already; make another one");
    if (r->service->leaving) return vt_err_set(err, -ESHUTDOWN, "viztracerd is ending; try again in a moment");
    if (!other_pid_namespace(&r->peer.creds)) return 0;
    return vt_err_set(err, -EXDEV,
                      "viztracerd runs in another pid namespace than viztracer; set VIZTRACERD_SOCKET=none to do without it");
}

static int on_attach(struct requester *r, const ProtobufCMessage *msg) {
    struct vt_err err = {0};
    int rc = may_begin(r, &err);
    if (!rc) rc = session_start(&r->service->host, &r->peer, &r->session, (const Vt__AttachReq *)msg, &err);
    if (rc) peer_error(&r->peer, rc, err.msg);
    return 0;
}

static int on_launch(struct requester *r, const ProtobufCMessage *msg) {
    struct vt_err err = {0};
    Vt__Launched answer = VT__LAUNCHED__INIT;
    char preload[512];
    const char *key;
    int rc = may_begin(r, &err);
    if (!rc) rc = session_launch(&r->service->host, &r->peer, &r->session, (const Vt__AttachReq *)msg, preload, &key, &err);
    if (rc) {
        peer_error(&r->peer, rc, err.msg);
        return 0;
    }
    answer.preload = preload;
    answer.key = (char *)key;
    peer_send(&r->peer, VT_CTL_LAUNCHED, &answer.base);
    return 0;
}

static int on_stop(struct requester *r, const ProtobufCMessage *msg) {
    (void)msg;
    if (r->session) session_stop(r->session, VT__END_REASON__STOPPED, "");
    return 0;
}

/* ---- ending a session, of another client, too ---- */

static void on_session_end(void *ctx, const struct session *s) {
    struct requester *r = ctx;
    if (r->answer == VT_CTL_DETACHED) {
        Vt__Detached m = VT__DETACHED__INIT;
        m.pid = (uint32_t)s->pid;
        m.events = s->totals.calls;
        m.nothing = !s->began && !s->family && !s->totals.events;
        bool has_client = session_has_client(s);
        if (has_client && s->output) m.output = s->output;
        if (!has_client) m.spool = (char *)s->spool->path;
        peer_send(&r->peer, VT_CTL_DETACHED, &m.base);
    } else {
        Vt__Ok m = VT__OK__INIT;
        m.text = (char *)"its session was ended";
        peer_send(&r->peer, VT_CTL_OK, &m.base);
    }
}

static int end_and_wait(struct requester *r, struct session *s, uint32_t answer) {
    char text[128];
    if (!creds_may(&r->peer.creds, s->creds.uid)) {
        snprintf(text, sizeof(text), "the session on %d belongs to %s; ask that user, or use root", s->pid, s->owner_name);
        peer_error(&r->peer, -EPERM, text);
        return 0;
    }
    if (session_waiting(&r->waiter)) {
        peer_error(&r->peer, -EBUSY, "this connection waits for the end of a session already");
        return 0;
    }
    r->answer = answer;
    session_wait(s, &r->waiter, on_session_end, r);
    session_stop(s, VT__END_REASON__STOPPED, "");
    return 0;
}

static int on_detach(struct requester *r, const ProtobufCMessage *msg) {
    const Vt__PidReq *m = (const Vt__PidReq *)msg;
    struct session *s = session_find(&r->service->host, (pid_t)m->pid);
    char text[64];
    if (s) return end_and_wait(r, s, VT_CTL_DETACHED);
    snprintf(text, sizeof(text), "process %u is not being traced", m->pid);
    peer_error(&r->peer, -ESRCH, text);
    return 0;
}

static void on_uninstalled(void *ctx, const struct helper_msg *msg, int arena_fd) {
    struct requester *r = ctx;
    vt_close(&arena_fd);
    if (msg->kind != HELPER_DONE) return;
    Vt__Ok m = VT__OK__INIT;
    if (msg->rc)
        peer_error(&r->peer, msg->rc, msg->err.msg);
    else
        peer_send(&r->peer, VT_CTL_OK, &m.base);
    helper_close(&r->helper);
}

static int on_uninstall(struct requester *r, const ProtobufCMessage *msg) {
    const Vt__PidReq *m = (const Vt__PidReq *)msg;
    struct host *host = &r->service->host;
    struct session *s = session_find(host, (pid_t)m->pid);
    struct vt_err err = {0};
    if (s) return end_and_wait(r, s, VT_CTL_OK);
    struct helper_req *req = calloc(1, sizeof(*req));
    int rc = req ? 0 : vt_err_set(&err, -ENOMEM, "out of memory");
    if (!rc && r->helper.fd >= 0) rc = vt_err_set(&err, -EBUSY, "an uninstall is running; try again in a moment");
    if (!rc) {
        req->op = HELPER_STOP;
        req->pid = (pid_t)m->pid;
        req->nchunks = VT_CHUNKS_DEFAULT;
        snprintf(req->agent_path, sizeof(req->agent_path), "%s", host->agent_path);
        rc = helper_start(&r->helper, &host->loop, &r->peer.creds, req, on_uninstalled, r, &err);
    }
    free(req);
    if (rc) peer_error(&r->peer, rc, err.msg);
    return 0;
}

/* ---- running sessions, kept traces ---- */

struct status {
    Vt__SessionInfo *infos;
    struct spooldir_file *kept; /* at most KEPT_MAX */
    size_t n, nkept;
};

/* Bytes of an info in an answer, rounded up. */
static size_t info_size(const Vt__SessionInfo *info) { return vt__session_info__get_packed_size(info) + 16; }

static int add_kept(void *ctx, const struct spooldir_file *file) {
    struct status *st = ctx;
    struct spooldir_file *own = &st->kept[st->nkept++];
    Vt__SessionInfo *info = &st->infos[st->n++];
    *own = *file;
    vt__session_info__init(info);
    info->pid = (uint32_t)own->pid;
    info->state = VT__SESSION_STATE__ENDED;
    info->owner_uid = own->uid;
    info->bytes = own->bytes;
    info->start_real_ns = own->saved_ns;
    info->spool = own->path;
    return st->nkept == KEPT_MAX;
}

static int on_status(struct requester *r, const ProtobufCMessage *msg) {
    Vt__StatusRep m = VT__STATUS_REP__INIT;
    struct host *host = &r->service->host;
    struct status st = {0};
    struct session *s;
    size_t live = 0;

    (void)msg;
    LIST_FOREACH(s, &host->sessions, link) live++;
    st.infos = calloc(live + KEPT_MAX, sizeof(*st.infos));
    st.kept = calloc(KEPT_MAX, sizeof(*st.kept));
    Vt__SessionInfo **ptrs = calloc(live + KEPT_MAX, sizeof(Vt__SessionInfo *));
    if (st.infos && st.kept && ptrs) {
        LIST_FOREACH(s, &host->sessions, link)
        if (creds_may(&r->peer.creds, s->creds.uid)) session_fill_info(s, &st.infos[st.n++]);
        if (!r->service->host.is_private) spooldir_each(host->spool_dir, r->peer.creds.uid, add_kept, &st);
        size_t room = STATUS_ROOM;
        for (size_t i = 0; i < st.n && info_size(&st.infos[i]) <= room; i++) {
            room -= info_size(&st.infos[i]);
            ptrs[m.n_sessions++] = &st.infos[i];
        }
        m.left_out = (uint32_t)(st.n - m.n_sessions);
        m.sessions = ptrs;
        m.daemon_pid = (uint32_t)getpid();
        peer_send(&r->peer, VT_CTL_STATUS_REP, &m.base);
    } else {
        peer_error(&r->peer, -ENOMEM, "out of memory");
    }
    free(st.infos);
    free(st.kept);
    free(ptrs);
    return 0;
}

static int on_saved(struct requester *r, const ProtobufCMessage *msg) {
    Vt__Ok m = VT__OK__INIT;
    (void)msg;
    struct session *s = r->session;
    if (s && s->state == VT__SESSION_STATE__ENDED) {
        peer_send(&r->peer, VT_CTL_OK, &m.base);
        session_saved(s);
    } else {
        peer_error(&r->peer, -EINVAL, "nothing to be saved");
    }
    return 0;
}

/* ---- the table ---- */

static const struct request {
    uint32_t type;
    bool before_hello;
    int (*fn)(struct requester *r, const ProtobufCMessage *msg); /* non-zero ends the connection */
} requests[] = {
    {VT_CTL_HELLO, true, on_hello},          {VT_CTL_ATTACH, false, on_attach}, {VT_CTL_LAUNCH, false, on_launch},
    {VT_CTL_STOP, false, on_stop},           {VT_CTL_DETACH, false, on_detach}, {VT_CTL_STATUS, false, on_status},
    {VT_CTL_UNINSTALL, false, on_uninstall}, {VT_CTL_SAVED, false, on_saved},
};

static int on_frame(void *ctx, uint32_t type, const uint8_t *payload, uint32_t len) {
    struct requester *r = ctx;
    const struct request *q = NULL;
    for (size_t i = 0; i < VT_ARRAY_LEN(requests); i++)
        if (requests[i].type == type) q = &requests[i];
    if (!q || (!r->greeted && !q->before_hello)) return -EPROTO;
    vt_debug(VT_AREA_CLIENT, "client %d: %s", r->peer.creds.pid, vt_msg_desc(type)->name);
    ProtobufCMessage *msg = NULL;
    int rc = vt_msg_unpack(type, payload, len, &msg);
    if (rc == -ENOMSG) rc = 0;
    if (!rc) rc = q->fn(r, msg);
    vt_msg_free(msg);
    return rc;
}

static void on_gone(void *ctx) { requester_free(ctx); }

/* ---- life ---- */

static void on_no_hello(void *ctx) {
    struct requester *r = ctx;
    vt_debug(VT_AREA_CLIENT, "client %d: no hello", r->peer.creds.pid);
    requester_free(r);
}

/* 0, or -EUSERS with the message. */
static int may_connect(const struct service *service, const struct requester *r, struct vt_err *err) {
    const struct requester *other;
    uid_t uid = r->peer.creds.uid;
    unsigned n = 0;
    LIST_FOREACH(other, &service->requesters, link) n += other->peer.creds.uid == uid;
    if (n >= (uid && !service->host.is_private ? CONNECTIONS_PER_USER : CONNECTIONS_OF_ROOT))
        return vt_err_set(err, -EUSERS, "user %u has %u connections to this viztracerd already: end some of them", uid, n);
    if (uid && service->connections >= service->connections_most)
        return vt_err_set(err, -EUSERS,
                          "this viztracerd has %u connections already; try again later, or set VIZTRACERD_SOCKET=none",
                          service->connections);
    return 0;
}

static int open_requester(struct service *service, int fd, bool starter) {
    static const struct peer_user user = {on_frame, on_gone};
    struct vt_err err = {0};
    struct requester *r = calloc(1, sizeof(*r));
    if (!r) {
        vt_close(&fd);
        return -ENOMEM;
    }
    r->service = service;
    r->starter = starter;
    r->helper.fd = r->helper.pidfd = -1;
    int rc = peer_open(&r->peer, &service->host.loop, fd, &user, r);
    if (!rc && !starter) rc = may_connect(service, r, &err);
    if (rc == -EUSERS) {
        peer_error(&r->peer, rc, err.msg);
        peer_flush(&r->peer, 100); /* the socket is new: its buffer has room */
    }
    if (rc) {
        if (r->peer.fd >= 0) peer_close(&r->peer);
        free(r);
        return rc;
    }
    LIST_INSERT_HEAD(&service->requesters, r, link);
    service->connections++;
    r->deadline.fn = on_no_hello;
    r->deadline.ctx = r;
    if (!starter) loop_timer_set(&service->host.loop, &r->deadline, vt_mono_ns() + HELLO_NS);
    return 0;
}

int requester_new(struct service *service, int fd) { return open_requester(service, fd, false); }
int requester_new_starter(struct service *service, int fd) { return open_requester(service, fd, true); }

void requester_free(struct requester *r) {
    LIST_REMOVE(r, link);
    r->service->connections--;
    loop_timer_del(&r->service->host.loop, &r->deadline);
    session_unwait(&r->waiter);
    helper_close(&r->helper);
    if (r->session) session_orphan(r->session);
    peer_close(&r->peer);
    free(r);
}
