/* Owns the start of a session: what is refused at once, the arena and the news that the helpers bring. */
#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

#include "daemon/session/attach_request.h"
#include "daemon/session/family.h"
#include "daemon/session/libraries.h"
#include "daemon/session/session_frames.h"
#include "daemon/session/session_parts.h"

#define POLL_FIRST 1000000u
#define FUSE_MAGIC 0x65735546
#define SESSIONS_PER_USER 32u
#define SESSIONS_OF_ROOT 256u

static int sink_put(void *ctx, uint32_t type, const ProtobufCMessage *msg) {
    struct session *s = ctx;
    return spool_put(s->spool, s->section, type, msg);
}

static void take_arena(struct session *s, int fd, bool pages_first) {
    struct vt_err err = {0};
    struct statfs fs;
    struct stat st;
    if (s->arena.ctl || s->state != VT__SESSION_STATE__STARTING) {
        vt_close(&fd);
        return;
    }
    /* A process of the client could serve this file system and block us forever. */
    if (s->creds.uid != geteuid() && (fstatfs(fd, &fs) || fs.f_type == FUSE_MAGIC)) {
        vt_close(&fd);
        vt_log(VT_LOG_ERROR, "session %d: arena on a user's file system refused", s->pid);
        return;
    }
    if (!fstat(fd, &st)) s->nchunks = arena_chunks(st.st_size, s->nchunks);
    if (arena_open(&s->arena, fd, s->nchunks, &err)) {
        vt_log(VT_LOG_ERROR, "session %d: %s", s->pid, err.msg);
        return;
    }
    if (pages_first) arena_pages_first(&s->arena);
    if (s->stop_ns)
        arena_stop_writers(&s->arena);
    else
        lease_keep(&s->host->lease, &s->arena);
    session_look_now(s);
}

static void on_injected(struct session *s, const struct helper_msg *msg) {
    s->info = msg->info;
    s->result = msg->res;
    s->injected_ns = vt_mono_ns();
    if (!s->arena.ctl) {
        session_refuse(s, -EPROTO, "the attaching process gave no shared memory; try again");
        return;
    }
    struct drain_sink sink = {sink_put, s};
    /* Slightly less than asked for: the reader decides about calls near the limit, because it has the better clock at the end. */
    uint64_t min_ticks = clock_ns_to_ticks(&s->host->clock, s->min_duration_ns - s->min_duration_ns / 1000);
    int rc = drain_new(&s->arena, s->pid, s->info.ns_pid ? s->info.ns_pid : s->pid, min_ticks, sink, &s->drain);
    if (rc) {
        arena_stop_writers(&s->arena);
        session_refuse(s, rc, "viztracerd is out of memory; free some, then try again");
        return;
    }
    if (s->arena.ctl->flags & VT_F_C_CALLS) drain_inside(s->drain, s->inside); /* else nothing of C code is wanted */
    s->injected = true;
    session_set_state(s, VT__SESSION_STATE__PENDING);
    if (s->target_gone) session_stop(s, VT__END_REASON__TARGET_EXIT, "");
    if (s->stop_ns) session_set_state(s, VT__SESSION_STATE__STOPPING);
    session_look_now(s);
}

/* The helper was killed half-way. The agent may be in the target: removes it. */
static void on_injector_died(struct session *s, const struct helper_msg *msg) {
    if (s->peer && !s->answered) peer_error(s->peer, msg->rc, msg->err.msg);
    s->answered = true;
    session_let_go_of_client(s);
    session_set_state(s, VT__SESSION_STATE__STOPPING);
    if (!s->stop_ns) s->stop_ns = vt_mono_ns();
    arena_keep(&s->arena, false);
    arena_stop_writers(&s->arena);
    session_start_stop_helper(s);
    if (!s->helper_running) session_free(s);
}

static void on_helper(void *ctx, const struct helper_msg *msg, int arena_fd) {
    struct session *s = ctx;
    if (msg->kind == HELPER_ARENA) {
        take_arena(s, arena_fd, msg->res.pages_first);
        return;
    }
    if (msg->kind == HELPER_INSIDE && s->state == VT__SESSION_STATE__STARTING)
        inside_add(&s->inside, (uint32_t)msg->err.code, msg->err.msg);
    if (msg->kind != HELPER_DONE) return;
    s->helper_running = false;
    helper_close(&s->helper);
    if (s->waking) {
        session_woken(s, msg);
    } else if (s->asking) {
        s->asking = false;
        vt_clean_line(s->gil_holder, sizeof(s->gil_holder), msg->err.msg, msg->rc ? 0 : strlen(msg->err.msg));
        session_look_now(s);
    } else if (s->state != VT__SESSION_STATE__STARTING) { /* it is the helper of the stop */
        s->stop_pause_ns = msg->res.max_stop_ns;
        s->stop_helper_died = msg->rc == -ECHILD;
        vt_clean_line(s->stop_trouble, sizeof(s->stop_trouble), msg->err.msg, msg->rc ? strlen(msg->err.msg) : 0);
        if (msg->rc) vt_log(VT_LOG_INFO, "session %d: stop helper: %s", s->pid, msg->err.msg);
        if (!s->injected)
            session_free(s);
        else
            session_look_now(s);
    } else if (!msg->rc) {
        on_injected(s, msg);
    } else if (msg->rc == -ECHILD && s->arena.ctl) {
        on_injector_died(s, msg);
    } else {
        if (s->arena.ctl) arena_stop_writers(&s->arena);
        session_refuse(s, msg->rc, msg->err.msg);
    }
}

static void on_target_exit(void *ctx, uint32_t events) {
    struct session *s = ctx;
    (void)events;
    loop_del(&s->host->loop, &s->pidfd_io);
    s->target_gone = true;
    if (s->state == VT__SESSION_STATE__STARTING) return; /* the helper will report it */
    session_stop(s, VT__END_REASON__TARGET_EXIT, "");
    session_look_now(s);
}

static int refuse_second(const struct session *other, struct vt_err *err) {
    time_t since = (time_t)(other->start_real_ns / 1000000000u);
    struct tm tm;
    char when[32];
    localtime_r(&since, &tm);
    strftime(when, sizeof(when), "%F %T", &tm);
    return vt_err_set(err, -EBUSY, "process %d is already being traced by %s since %s; end that with viztracer --detach %d",
                      other->pid, other->owner_name, when, other->pid);
}

/* A user's sessions use memory, mappings and descriptors of the daemon. */
static int check_limit(const struct host *host, uid_t uid, struct vt_err *err) {
    const struct session *s;
    unsigned n = 0;
    LIST_FOREACH(s, &host->sessions, link) n += s->creds.uid == uid;
    if (n < (uid && !host->is_private ? SESSIONS_PER_USER : SESSIONS_OF_ROOT)) return 0;
    return vt_err_set(err, -EUSERS, "user %u has %u sessions in this viztracerd already: end one (viztracer status shows them)",
                      uid, n);
}

/* A session in its first state, listed. NULL: err. */
static struct session *session_make(struct host *host, const struct creds *creds, pid_t pid, struct vt_err *err) {
    if (check_limit(host, creds->uid, err)) return NULL;
    struct session *s = calloc(1, sizeof(*s));
    if (!s) return vt_err_set(err, -ENOMEM, "out of memory"), NULL;
    s->host = host;
    s->creds = *creds;
    s->pid = pid;
    s->spool = &s->own_spool;
    s->pidfd = s->helper.fd = s->helper.pidfd = s->arena.fd = s->own_spool.fd = s->launch.fd = -1;
    s->on_helper = on_helper;
    s->timer.fn = session_tick;
    s->timer.ctx = s;
    s->watch.fn = session_watch_cpu;
    s->watch.ctx = s;
    s->poll_ns = POLL_FIRST;
    s->wake_wait = session_wake_every(s);
    s->start_real_ns = vt_real_ns();
    s->begun_ns = vt_mono_ns();
    s->begun_ticks = clock_ticks(&host->clock);
    LIST_INSERT_HEAD(&host->sessions, s, link);
    return s;
}

/* One for a request, and the request for a helper in *h (owned by the caller); NULL: err. */
static struct session *session_new(struct host *host, const struct peer *peer, const Vt__AttachReq *req, struct helper_req **h,
                                   struct vt_err *err) {
    struct session *other = session_find(host, (pid_t)req->pid);
    *h = NULL;
    if (other) return refuse_second(other, err), NULL;
    if (req->pid == 0 || req->pid > INT32_MAX) return vt_err_set(err, -EINVAL, "%u is not a pid", req->pid), NULL;
    if ((pid_t)req->pid == getpid()) return vt_err_set(err, -EINVAL, "viztracerd does not trace itself"), NULL;

    *h = calloc(1, sizeof(**h));
    if (!*h) return vt_err_set(err, -ENOMEM, "out of memory"), NULL;
    struct session *s = session_make(host, &peer->creds, (pid_t)req->pid, err);
    if (!s) return NULL;
    struct passwd *pw = getpwuid(peer->creds.uid);
    if (pw)
        snprintf(s->owner_name, sizeof(s->owner_name), "%s", pw->pw_name);
    else
        snprintf(s->owner_name, sizeof(s->owner_name), "uid %u", peer->creds.uid);
    s->duration_ns = req->duration_ns;
    s->gil_timeout_ns = req->gil_timeout_ns;
    s->nchunks = req->options && req->options->arena_chunks ? req->options->arena_chunks : VT_CHUNKS_DEFAULT;
    if (s->nchunks < VT_CHUNKS_MIN) s->nchunks = VT_CHUNKS_MIN;
    if (s->nchunks > VT_CHUNKS_MAX) s->nchunks = VT_CHUNKS_MAX;
    return s;
}

/* Watches s->pid. If that fails, whoever works on the process reports the cause. */
static int watch_target(struct session *s, struct vt_err *err) {
    s->pidfd = pidfd_open(s->pid, 0);
    int rc = s->pidfd >= 0 ? loop_add(&s->host->loop, &s->pidfd_io, s->pidfd, EPOLLIN, on_target_exit, s) : 0;
    return rc ? vt_err_set(err, rc, "epoll: %s", strerror(-rc)) : 0;
}

static void give_to_client(struct session *s, struct peer *peer, struct session **held) {
    s->peer = peer;
    s->held = held;
    *held = s;
}

int session_start(struct host *host, struct peer *peer, struct session **held, const Vt__AttachReq *req, struct vt_err *err) {
    struct helper_req *h;
    struct session *s = session_new(host, peer, req, &h, err);
    int rc = s ? request_fill(s, req, h, err) : err->code;
    if (!rc) rc = spool_open(s->spool, host->spool_dir, s->pid, s->creds.uid, s->creds.gid, req->max_bytes, err);
    if (!rc) rc = watch_target(s, err); /* before the attach, so that a reused pid is noticed */
    if (!rc) rc = session_start_helper(s, h, err);
    free(h);
    if (!rc) give_to_client(s, peer, held);
    if (rc && s) session_free(s);
    return rc;
}

/* ---- launch ---- */

/* The session has its arena: the process that came gets it. */
static void begin(struct session *s, const struct vt_launch_hello *hello, int *arena_fd, uint64_t *arena_bytes) {
    struct vt_err err = {0};
    struct helper_msg done = {.kind = HELPER_DONE, .res = {.arena_fd = -1}};
    s->origin = hello->origin;
    session_describe(s); /* it waits for our answer; later it may have ended */
    launch_describe(s->pid, hello->pid, &done.info);
    if (watch_target(s, &err)) vt_log(VT_LOG_ERROR, "session %d: %s", s->pid, err.msg);
    if (s->pidfd < 0) s->target_gone = true;
    *arena_fd = s->arena.fd;
    *arena_bytes = s->arena.bytes;
    on_injected(s, &done);
}

/* The process was traced as another program, which is gone. */
static void end_before_exec(struct session *s) {
    struct pollfd ended = {.fd = s->pidfd, .events = POLLIN};
    bool other = s->pidfd >= 0 && poll(&ended, 1, 0) == 1; /* the number is used again */
    s->target_gone = true;
    session_clock_frame(s, &s->replaced); /* before the new program begins: the two must not overlap */
    session_stop(s, other ? VT__END_REASON__TARGET_EXIT : VT__END_REASON__EXEC, "");
}

static int copy_request(struct session *s, const struct session *first) {
    snprintf(s->owner_name, sizeof(s->owner_name), "%s", first->owner_name);
    s->nchunks = first->nchunks;
    s->min_duration_ns = first->min_duration_ns;
    s->max_overhead = first->max_overhead;
    s->options_text = strdup(first->options_text);
    s->output = strdup(first->output);
    return s->options_text && s->output ? 0 : -ENOMEM;
}

/* Another process of the program. */
static bool on_other(struct session *first, const struct vt_launch_hello *hello, pid_t pid, int *arena_fd,
                     uint64_t *arena_bytes) {
    struct family *family = first->family;
    struct session *before = session_find(first->host, pid);
    struct vt_err err = {0};
    if (before && before->family != family) return false; /* it is being attached to */
    if (before && before->state < VT__SESSION_STATE__DRAINED) end_before_exec(before);
    struct session *s = session_make(first->host, &first->creds, pid, &err);
    int rc = s ? copy_request(s, first) : err.code;
    if (!rc && hello->rc) rc = hello->rc;
    if (!rc) {
        int fd = launch_make_arena(family->request, s->nchunks, clock_ticks(&s->host->clock) + family->lease_ticks, &err);
        rc = fd < 0 ? fd : arena_open(&s->arena, fd, s->nchunks, &err);
    }
    if (!rc) rc = family_join(family, s);
    if (rc) {
        vt_log(VT_LOG_INFO, "process %d of the program of %d is not traced: %s", pid, first->pid,
               err.msg[0] ? err.msg : strerror(-rc));
        if (s) session_free(s);
        family->lost++;
        return false;
    }
    s->arena.grows = true;
    lease_keep(&s->host->lease, &s->arena);
    begin(s, hello, arena_fd, arena_bytes);
    return true;
}

/* A process of the program is about to run Python code. */
static bool on_interpreter(void *ctx, const struct vt_launch_hello *hello, pid_t pid, int *arena_fd, uint64_t *arena_bytes) {
    struct session *s = ctx;
    if (s->injected && s->family && !s->family->over) return on_other(s, hello, pid, arena_fd, arena_bytes);
    if (s->injected) return false; /* only the first one is traced */
    if (hello->rc) {
        vt_clean_line(s->end_text, sizeof(s->end_text), hello->text, sizeof(hello->text));
        s->stop_ns = vt_mono_ns();
        session_look_now(s);
        return false;
    }
    s->pid = pid;
    begin(s, hello, arena_fd, arena_bytes);
    return true;
}

int session_launch(struct host *host, struct peer *peer, struct session **held, const Vt__AttachReq *req, char preload[512],
                   const char **key, struct vt_err *err) {
    struct helper_req *h = NULL;
    struct session *s = NULL;
    int rc = libraries_find_launch(host->agent_path, preload, err);
    if (!rc) {
        s = session_new(host, peer, req, &h, err);
        rc = s ? request_fill(s, req, h, err) : err->code;
    }
    if (!rc) rc = spool_open(s->spool, host->spool_dir, s->pid, s->creds.uid, s->creds.gid, req->max_bytes, err);
    if (!rc) {
        int fd = launch_make_arena(&h->ctl, s->nchunks, clock_ticks(&host->clock) + h->lease_ticks, err);
        rc = fd < 0 ? fd : arena_open(&s->arena, fd, s->nchunks, err);
    }
    if (!rc && req->follow && (rc = family_new(s, &h->ctl, h->lease_ticks)))
        vt_err_set(err, rc, "cannot begin the trace: %s; set VIZTRACERD_SPOOL to a folder with room", strerror(-rc));
    if (!rc) {
        lease_keep(&host->lease, &s->arena);
        rc = launch_listen(&s->launch, &host->loop, on_interpreter, s, err);
    }
    free(h);
    if (rc) {
        if (s) session_free(s);
        return rc;
    }
    give_to_client(s, peer, held);
    *key = s->launch.key;
    return 0;
}
