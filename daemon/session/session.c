/* Owns sessions: their states, following the agent through the control area, draining, and handing the trace over.
 *
 *   STARTING  the helper injects the agent    -> PENDING when it has, or the session is refused
 *   PENDING   agent waits for the GIL         -> TRACING when hooks are in, STOPPING when the time for it is over
 *   TRACING   drain every 1..50 ms            -> STOPPING when told to, or DRAINED at once when the target is gone
 *   STOPPING  limits 0, enabled 0; after 100 ms a second helper has the hooks removed
 *   DRAINED   nothing more will come; last frames are written
 *   ENDED     the client reads the rest of the spool and says SAVED */
#include "daemon/session/session.h"

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

#include "daemon/session/attach_request.h"
#include "daemon/session/session_frames.h"
#include "proto/abi/boot.h"
#include "proto/texts.h"

#define MS 1000000ull
#define POLL_MIN (1 * MS)
#define POLL_FLOW (4 * MS) /* interval while events come */
#define POLL_MAX (50 * MS)
#define FAST_BYTES_PER_MS 400000u /* twice the rate of a target at full speed */
#define HELD_UP (2000 * MS)       /* a longer pause of the event loop is logged */
#define STATS_EVERY (100 * MS)
#define CLOCK_EVERY (5000 * MS)
#define CHECK_EVERY (500 * MS)
#define PENDING_ANSWER (500 * MS)
#define ASK_PATIENCE (3000 * MS)
#define START_PATIENCE (10000 * MS) /* time for the agent to map the arena, which it does first */
#define STOP_HELPER_AFTER (100 * MS)
#define STOP_HELPERS 3 /* when each is killed */
#define STOP_GIVE_UP (5000 * MS)
#define WAIT_GIVE_UP (1000 * MS) /* for an agent that waits for the GIL */
#define WAKE_EVERY (1000 * MS)
#define WAKE_UNSEEN (8 * MS) /* without a limit: time without any event before a wake-up */
#define WAKE_AGAIN (20 * MS) /* without a limit: from one wake-up to the next */
#define WATCH_EVERY (4 * MS) /* while no event comes: is a wake-up due? */
#define WAKE_RARELY (16000 * MS)
#define FUSE_MAGIC 0x65735546
#define SESSIONS_PER_USER 32u
#define SESSIONS_OF_ROOT 256u

static void tick(void *ctx);
static void finish(struct session *s);

static void set_state(struct session *s, Vt__SessionState state) {
    if (state <= s->state) return; /* states only advance */
    vt_debug(VT_AREA_SESSION, "session %d: %s -> %s", s->pid, vt_session_state_text(s->state), vt_session_state_text(state));
    s->state = state;
}

static void wake(struct session *s) { loop_timer_set(&s->host->loop, &s->timer, vt_mono_ns()); }

struct session *session_find(struct host *host, pid_t pid) {
    struct session *s;
    LIST_FOREACH(s, &host->sessions, link)
    if (s->pid == pid && s->state != VT__SESSION_STATE__ENDED) return s;
    return NULL;
}

void session_wait(struct session *s, struct session_waiter *w, void (*fn)(void *ctx, const struct session *s), void *ctx) {
    w->fn = fn;
    w->ctx = ctx;
    LIST_INSERT_HEAD(&s->waiters, w, link);
}

bool session_waiting(const struct session_waiter *w) { return w->fn != NULL; }

void session_unwait(struct session_waiter *w) {
    if (w->fn) LIST_REMOVE(w, link);
    w->fn = NULL;
}

static void tell_waiters(struct session *s) {
    struct session_waiter *w;
    while ((w = LIST_FIRST(&s->waiters))) {
        void (*fn)(void *, const struct session *) = w->fn;
        session_unwait(w);
        fn(w->ctx, s);
    }
}

/* The session no longer has a client. */
static void let_go_of_client(struct session *s) {
    if (s->held) *s->held = NULL;
    s->held = NULL;
    s->peer = NULL;
}

static void session_free(struct session *s) {
    s->state = VT__SESSION_STATE__ENDED;
    tell_waiters(s);
    if (s->peer) peer_stream(s->peer, NULL);
    let_go_of_client(s);
    LIST_REMOVE(s, link);
    helper_close(&s->helper);
    launch_close(&s->launch);
    loop_timer_del(&s->host->loop, &s->timer);
    loop_timer_del(&s->host->loop, &s->watch);
    loop_del(&s->host->loop, &s->pidfd_io);
    vt_close(&s->pidfd);
    drain_free(s->drain);
    arena_close(&s->arena);
    spool_close(&s->spool, !s->keep_spool);
    free(s->options_text);
    free(s->output);
    free(s->inside);
    free(s);
}

static int sink_put(void *ctx, uint32_t type, const ProtobufCMessage *msg) {
    struct session *s = ctx;
    return spool_put(&s->spool, type, msg);
}

/* ---- answers ---- */

/* The request failed; nothing of the session remains. */
static void refuse(struct session *s, int code, const char *text) {
    if (s->peer && !s->answered) peer_error(s->peer, code, text);
    vt_log(VT_LOG_INFO, "attach to %d for %s: %s", s->pid, s->owner_name, text);
    s->answered = true;
    s->keep_spool = false;
    session_free(s);
}

static void answer_attached(struct session *s, bool pending) {
    Vt__Attached m = VT__ATTACHED__INIT;
    char python[24], note[256];
    if (s->answered) return;
    s->answered = true;
    if (vt_load_relaxed(&s->arena.ctl->gil_endless))
        vt_log(VT_LOG_INFO, "session %d: the fields of this GIL are not known: the agent waits for it without end", s->pid);
    if (!s->peer) return;
    uint32_t hex = vt_load_relaxed(&s->arena.ctl->python_hex);
    if (!s->info.py_major && hex) s->info.py_major = (int)(hex >> 8 & 0xff), s->info.py_minor = (int)(hex & 0xff);
    snprintf(python, sizeof(python), "%d.%d", s->info.py_major, s->info.py_minor);
    vt_clean_line(note, sizeof(note), s->arena.ctl->err, sizeof(s->arena.ctl->err));
    m.pid = (uint32_t)s->pid;
    m.pause_ns = session_attach_pause(s);
    m.total_ns = s->result.total_ns;
    m.method = s->result.method;
    m.pending = pending;
    m.python = python;
    m.note = note;
    m.gil_holder = s->gil_holder;
    peer_send(s->peer, VT_CTL_ATTACHED, &m.base);
    peer_stream(s->peer, &s->spool);
}

/* ---- helpers ---- */

static void on_helper(void *ctx, const struct helper_msg *msg, int arena_fd);

static int start_helper(struct session *s, struct helper_req *req, struct vt_err *err) {
    snprintf(req->agent_path, sizeof(req->agent_path), "%s", s->host->agent_path);
    req->pid = s->pid;
    req->nchunks = s->nchunks;
    int rc = helper_start(&s->helper, &s->host->loop, &s->creds, req, on_helper, s, err);
    if (!rc) s->helper_running = true;
    return rc;
}

static void go_in_again(struct session *s, enum helper_op op) {
    struct vt_err err = {0};
    struct helper_req *req = calloc(1, sizeof(*req));
    if (!req) return;
    req->op = op;
    int rc = start_helper(s, req, &err);
    if (rc) vt_log(VT_LOG_ERROR, "session %d: cannot go in again: %s", s->pid, err.msg);
    free(req);
}

static bool is_launch(const struct session *s) { return s->launch.key[0]; }

/* ---- waiting for the GIL ---- */

static void ask_holder(struct session *s, uint64_t now) {
    s->asked++;
    s->asked_ns = now;
    go_in_again(s, HELPER_HOLDER);
    s->asking = s->helper_running;
}

static void stop_asking(struct session *s) {
    helper_close(&s->helper);
    s->asking = s->helper_running = false;
}

static void gil_did_not_come(struct session *s) {
    char text[sizeof(s->end_text)];
    snprintf(text, sizeof(text), "the GIL did not come within %g s: held by %s", (double)s->gil_timeout_ns / 1e9,
             s->gil_holder[0] ? s->gil_holder : "a thread that is not known");
    session_stop(s, VT__END_REASON__GIL, text);
}

/* PENDING. The client learns soon that we wait, and for whom; when the time is over the session ends. Who holds the GIL is asked
 * anew before each of the two. */
static void watch_gil(struct session *s, uint64_t now) {
    uint64_t waited = now - s->injected_ns;
    bool over = s->gil_timeout_ns && waited > s->gil_timeout_ns;
    unsigned times = over ? 2 : waited > PENDING_ANSWER ? 1 : 0;
    if (s->asking && now - s->asked_ns > ASK_PATIENCE) stop_asking(s);
    if (s->helper_running || !times || is_launch(s)) return;
    if (s->asked < times) {
        s->asked = times - 1;
        ask_holder(s, now);
        if (s->asking) return;
    }
    answer_attached(s, true);
    if (over) gil_did_not_come(s);
}

/* ---- watching the target ---- */

/* An exec removes the mapping of the arena silently. True also when the map cannot be read. */
static bool arena_still_mapped(const struct session *s) {
    char path[64], line[4096];
    bool found = false;
    snprintf(path, sizeof(path), "/proc/%d/maps", s->pid);
    FILE *f = fopen(path, "re");
    if (!f) return true;
    size_t lines = 0;
    while (!found && fgets(line, sizeof(line), f)) {
        lines++;
        found = strstr(line, VT_ARENA_MEMFD) != NULL;
    }
    fclose(f);
    return found || lines == 0;
}

static void on_target_exit(void *ctx, uint32_t events) {
    struct session *s = ctx;
    (void)events;
    loop_del(&s->host->loop, &s->pidfd_io);
    s->target_gone = true;
    if (s->state == VT__SESSION_STATE__STARTING) return; /* the helper will report it */
    session_stop(s, VT__END_REASON__TARGET_EXIT, "");
    wake(s);
}

/* Follows the agent's state. Returns true when the session was freed. */
static bool watch_agent(struct session *s, uint64_t now) {
    struct vt_ctl *ctl = s->arena.ctl;
    uint32_t state = vt_load_acquire(&ctl->state);
    char text[256];

    if (s->state == VT__SESSION_STATE__PENDING && state == VT_AGENT_REFUSED) {
        vt_clean_line(text, sizeof(text), ctl->err, sizeof(ctl->err));
        if (!s->answered) {
            refuse(s, -ENOTSUP, text[0] ? text : "the agent refused to trace this interpreter");
            return true;
        }
        session_stop(s, VT__END_REASON__AGENT, text);
    }
    if (s->state == VT__SESSION_STATE__PENDING && state >= VT_AGENT_TRACING && state != VT_AGENT_REFUSED) {
        set_state(s, VT__SESSION_STATE__TRACING);
        s->hooks_ns = s->moved_ns = s->check_ns = now;
        answer_attached(s, false);
    }
    if (s->state == VT__SESSION_STATE__PENDING && state == VT_AGENT_NONE && now - s->injected_ns > START_PATIENCE) {
        arena_stop_writers(&s->arena); /* if the agent starts in spite of that, it leaves */
        snprintf(
            text, sizeof(text),
            "process %d: the agent was loaded but cannot use its %lu MB of shared memory; is the address space of the process "
            "limited (ulimit -v)?",
            s->pid, (unsigned long)(s->arena.bytes >> 20));
        refuse(s, -ENOMEM, text);
        return true;
    }
    if (s->state == VT__SESSION_STATE__PENDING && state != VT_AGENT_NONE) watch_gil(s, now);
    if (s->state == VT__SESSION_STATE__TRACING && state == VT_AGENT_GONE) {
        static const struct {
            Vt__EndReason reason;
            const char *text;
        } why[] = {[VT_WHY_NONE] = {VT__END_REASON__AGENT, "the agent left by itself"},
                   [VT_WHY_STOP] = {VT__END_REASON__STOPPED, ""},
                   [VT_WHY_LEASE] = {VT__END_REASON__LEASE, ""},
                   [VT_WHY_FINALIZE] = {VT__END_REASON__TARGET_EXIT, "the interpreter shut down"},
                   [VT_WHY_EXEC] = {VT__END_REASON__EXEC, ""},
                   [VT_WHY_ERROR] = {VT__END_REASON__AGENT, "the agent left by itself"}};
        uint32_t w = vt_load_relaxed(&ctl->why);
        if (w >= VT_ARRAY_LEN(why)) w = VT_WHY_ERROR;
        vt_clean_line(text, sizeof(text), ctl->err, sizeof(ctl->err));
        session_stop(s, why[w].reason, w == VT_WHY_ERROR && text[0] ? text : why[w].text);
    }
    return false;
}

static const char *drain_error_text(int rc) {
    if (rc == -ENOMEM) return "viztracerd is out of memory";
    if (rc == -ENOBUFS) return "the target has more threads and deeper stacks than viztracerd keeps for one session";
    return "the shared memory was damaged from outside";
}

static void drain_once(struct session *s, uint64_t now, uint64_t *got) {
    char text[300];
    *got = 0;
    if (!s->drain || s->state < VT__SESSION_STATE__TRACING || s->spool.full) return;
    int rc = session_put_header(s);
    if (!rc) rc = drain_pass(s->drain, now, got);
    if (!rc && now - s->clock_ns > CLOCK_EVERY) {
        Vt__Clock clock;
        session_clock_frame(s, &clock);
        s->clock_ns = now;
        rc = spool_put(&s->spool, VT_FRAME_CLOCK, &clock.base);
        if (!rc) session_put_cpu_times(s, false);
    }
    drain_totals(s->drain, &s->totals);
    if (*got) {
        vt_debug(VT_AREA_DRAIN, "session %d: %llu words read, %llu chunks given back, %llu bytes on disk", s->pid,
                 (unsigned long long)*got, (unsigned long long)s->totals.chunks, (unsigned long long)s->spool.size);
        s->got_ns = now;
        s->moved_ns = now;
        if (s->peer) peer_kick(s->peer);
    }
    if (!rc) return;
    if (s->spool.full == -EFBIG && s->spool.max_bytes) {
        session_stop(s, VT__END_REASON__SPOOL_FULL, "the size limit was reached");
    } else if (s->spool.full) {
        snprintf(text, sizeof(text), "spool folder: %s; VIZTRACERD_SPOOL names another", strerror(-s->spool.full));
        session_stop(s, VT__END_REASON__SPOOL_FULL, text);
    } else {
        vt_log(VT_LOG_ERROR, "session %d: drain: %s", s->pid, strerror(-rc));
        session_stop(s, VT__END_REASON__AGENT, drain_error_text(rc));
        if (drain_flush(s->drain)) vt_log(VT_LOG_ERROR, "session %d: the last events were lost", s->pid);
        s->spool.full = rc; /* nothing more is read from this arena */
    }
}

static void check_target(struct session *s, uint64_t now) {
    if (now - s->check_ns < CHECK_EVERY) return;
    s->check_ns = now;
    if (drain_reap(s->drain, now) && !s->spool.full) vt_log(VT_LOG_ERROR, "session %d: reap failed", s->pid);
    if (now - s->moved_ns < CHECK_EVERY || s->target_gone || arena_still_mapped(s)) return;
    s->target_gone = true; /* at least for the agent */
    session_stop(s, VT__END_REASON__EXEC, "");
}

/* ---- stop ---- */

static void start_stop_helper(struct session *s) {
    s->stop_helpers++;
    s->stop_helper_died = false;
    go_in_again(s, HELPER_STOP);
}

/* The agent's governor can remove the hooks (below 3.12) or switch off all running functions. Then no code of ours runs in the
 * target any more. When the process has used the CPU time that the agent asked for, a helper wakes the agent. The same happens
 * below 3.12 when only threads without a hook run: the agent then looks for them. */
static bool wake_is_due(const struct session *s, uint64_t now) {
    struct timespec had;
    clockid_t clock;
    uint64_t due = vt_load_acquire(&s->arena.ctl->wake_cpu_ns);
    if (!due || s->helper_running || now - s->wake_ns < s->wake_wait) return false;
    if (!s->max_overhead && now - s->got_ns < WAKE_UNSEEN) return false;
    if (clock_getcpuclockid(s->pid, &clock) || clock_gettime(clock, &had)) return false;
    return (uint64_t)had.tv_sec * 1000 * MS + (uint64_t)had.tv_nsec >= due;
}

static void wake_agent(struct session *s, uint64_t now) {
    if (!wake_is_due(s, now)) return;
    s->wake_ns = now;
    go_in_again(s, HELPER_WAKE);
    s->waking = s->helper_running;
}

/* Between two checks that are far apart, at a small part of their cost. The next check decides, after it has read the arena. */
static void watch_cpu(void *ctx) {
    struct session *s = ctx;
    uint64_t now = vt_mono_ns();
    if (s->state != VT__SESSION_STATE__TRACING) return;
    if (wake_is_due(s, now)) wake(s);
    loop_timer_set(&s->host->loop, &s->watch, now + WATCH_EVERY);
}

/* Below 3.12, without a limit: threads without a hook may run, and no event tells. */
static bool must_watch(const struct session *s) {
    return s->state == VT__SESSION_STATE__TRACING && !s->max_overhead && vt_load_relaxed(&s->arena.ctl->wake_cpu_ns);
}

static uint64_t wake_every(const struct session *s) { return s->max_overhead ? WAKE_EVERY : WAKE_AGAIN; }

/* Handles the result; after each failure the wait doubles. */
static void woken(struct session *s, const struct helper_msg *msg) {
    s->waking = false;
    s->wake_ns = vt_mono_ns();
    s->wake_wait = !msg->rc ? wake_every(s) : s->wake_wait < WAKE_RARELY ? 2 * s->wake_wait : WAKE_RARELY;
    if (msg->rc) vt_log(VT_LOG_INFO, "session %d: wake helper: %s", s->pid, msg->err.msg);
}

/* Also when the event loop has not come to its end yet: a client that launches it knows of that as early as we do. */
static bool has_exited(const struct session *s) {
    struct pollfd p = {.fd = s->pidfd, .events = POLLIN};
    return s->target_gone || (s->pidfd >= 0 && poll(&p, 1, 0) == 1);
}

void session_stop(struct session *s, Vt__EndReason reason, const char *text) {
    if (s->stop_ns) return;
    if (reason == VT__END_REASON__STOPPED && is_launch(s) && has_exited(s)) {
        reason = VT__END_REASON__TARGET_EXIT;
        s->target_gone = true;
    }
    s->stop_ns = vt_mono_ns();
    s->reason = reason;
    snprintf(s->end_text, sizeof(s->end_text), "%s", text);
    session_put_cpu_times(s, true);
    arena_keep(&s->arena, false);
    if (s->arena.ctl) arena_stop_writers(&s->arena);
    if (s->waking || s->asking) { /* the helper for the stop must not wait for it; a thread that it holds continues by itself */
        helper_close(&s->helper);
        s->waking = s->asking = s->helper_running = false;
    }
    if (s->state != VT__SESSION_STATE__STARTING) set_state(s, VT__SESSION_STATE__STOPPING); /* else after the helper's end */
    wake(s);
}

/* Is the target stopped by SIGSTOP, a terminal or a debugger? */
static bool is_stopped(pid_t pid) {
    char path[64], stat[1024];
    size_t len;
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    if (vt_read_file(path, stat, sizeof(stat), &len)) return false;
    const char *p = strrchr(stat, ')'); /* after the name, which may contain anything */
    return p && (!strncmp(p, ") T", 3) || !strncmp(p, ") t", 3));
}

/* STOPPING: true when nothing more will be written, or when waiting any longer is useless. */
static bool stop_is_over(struct session *s, uint64_t now) {
    uint32_t state = vt_load_acquire(&s->arena.ctl->state);
    if (s->target_gone || state == VT_AGENT_GONE || state == VT_AGENT_REFUSED) return true;
    bool waits = state == VT_AGENT_WAIT_GIL; /* no hook is in, and a helper's thread would only wait beside it */
    bool wanted = !s->stop_helpers || (s->stop_helper_died && s->stop_helpers < STOP_HELPERS);
    bool killed = s->stop_helper_died && s->stop_helpers == STOP_HELPERS;
    if (!waits && now - s->stop_ns > STOP_HELPER_AFTER && wanted && !s->helper_running) start_stop_helper(s);
    if (now - s->stop_ns < (waits ? WAIT_GIVE_UP : STOP_GIVE_UP) && !killed) return false;
    if (!s->end_text[0] && killed)
        snprintf(s->end_text, sizeof(s->end_text),
                 "the process that removes the hooks was killed; they leave at the target's next Python call");
    if (!s->end_text[0] && is_stopped(s->pid))
        snprintf(s->end_text, sizeof(s->end_text), "the target is stopped; the hooks leave when it goes on (kill -CONT %d)",
                 s->pid);
    if (!s->end_text[0])
        snprintf(s->end_text, sizeof(s->end_text), "the target has not given up the GIL; %s",
                 waits ? "the agent leaves when it does" : "the hooks leave at its next Python call");
    return true;
}

static void finish(struct session *s) {
    uint64_t ticks = clock_ticks(&s->host->clock);
    int rc = 0;

    set_state(s, VT__SESSION_STATE__DRAINED);
    if (!s->spool.full) {
        rc = session_put_header(s);
        if (!rc) rc = drain_finish(s->drain, ticks);
        if (rc) vt_log(VT_LOG_ERROR, "session %d: last drain: %s", s->pid, strerror(-rc));
    }
    drain_totals(s->drain, &s->totals);
    if (s->spool.full && s->reason != VT__END_REASON__SPOOL_FULL && s->reason != VT__END_REASON__AGENT) {
        s->reason = VT__END_REASON__SPOOL_FULL;
        snprintf(s->end_text, sizeof(s->end_text), "spool folder: %s; VIZTRACERD_SPOOL names another", strerror(-s->spool.full));
    }
    session_put_end(s);
    answer_attached(s, false);
    helper_close(&s->helper);
    s->helper_running = false;
    loop_del(&s->host->loop, &s->pidfd_io);
    drain_free(s->drain);
    s->drain = NULL;
    arena_close(&s->arena);
    s->keep_spool = true;
    set_state(s, VT__SESSION_STATE__ENDED);
    tell_waiters(s);
    vt_log(VT_LOG_INFO, "session %d of %s ended: %llu events, %llu dropped", s->pid, s->owner_name,
           (unsigned long long)s->totals.events, (unsigned long long)s->totals.dropped);
    if (s->peer) {
        peer_kick(s->peer);
        return;
    }
    s->keep_spool = s->totals.events > 0;
    if (s->keep_spool) vt_log(VT_LOG_INFO, "session %d: trace kept as %s", s->pid, s->spool.path);
    session_free(s);
}

void session_orphan(struct session *s) {
    let_go_of_client(s);
    if (s->state == VT__SESSION_STATE__ENDED)
        session_free(s); /* not saved: the spool stays */
    else
        session_stop(s, VT__END_REASON__CLIENT_GONE, "its client had gone");
}

void session_end_helper(struct session *s) { helper_close(&s->helper); }

void session_saved(struct session *s) {
    s->keep_spool = false;
    session_free(s);
}

/* Told to stop before an interpreter has come. True: the session was freed. */
static bool launch_ends(struct session *s) {
    launch_take(&s->launch); /* one that came in this moment */
    if (s->injected) return false;
    refuse(s, -ESRCH, s->end_text[0] ? s->end_text : "the program ran no Python code");
    return true;
}

/* ---- the periodic check ---- */

/* Each check costs about twenty system calls here and in the client. A small arena must not fill up before the next check. */
static uint64_t poll_flow(const struct session *s) {
    uint64_t eighth = (uint64_t)s->nchunks * VT_CHUNK_SIZE / 8 / FAST_BYTES_PER_MS * MS;
    return eighth < POLL_MIN ? POLL_MIN : eighth > POLL_FLOW ? POLL_FLOW : eighth;
}

static void tick(void *ctx) {
    struct session *s = ctx;
    uint64_t now = vt_mono_ns(), got = 0;

    if (!s->arena.ctl || s->state >= VT__SESSION_STATE__DRAINED) return;
    if (is_launch(s) && s->stop_ns && !s->injected && launch_ends(s)) return;
    uint64_t held_up = lease_beat(&s->host->lease, now);
    if (held_up > HELD_UP)
        vt_log(VT_LOG_ERROR, "held up for %.1f s, by a slow spool folder (%s) or by too little CPU: events may be lost",
               (double)held_up / 1e9, s->host->spool_dir);
    if (s->state != VT__SESSION_STATE__STARTING && !s->injected) return; /* waits only for the stop helper */
    if (s->state != VT__SESSION_STATE__STARTING && watch_agent(s, now)) return;
    drain_once(s, now, &got);
    if (s->state == VT__SESSION_STATE__TRACING) {
        check_target(s, now);
        wake_agent(s, now);
        if (s->duration_ns && now - s->hooks_ns >= s->duration_ns) session_stop(s, VT__END_REASON__DURATION, "");
    }
    if (s->state == VT__SESSION_STATE__STOPPING && stop_is_over(s, vt_mono_ns())) {
        finish(s);
        return;
    }
    if (now - s->stats_ns >= STATS_EVERY) session_send_stats(s, now);
    if (s->state != VT__SESSION_STATE__TRACING)
        s->poll_ns = POLL_MIN;
    else if (got)
        s->poll_ns = poll_flow(s);
    else if (s->poll_ns < POLL_MAX)
        s->poll_ns += s->poll_ns / 2;
    uint64_t at = now + (s->poll_ns < POLL_MAX ? s->poll_ns : POLL_MAX);
    if (s->state == VT__SESSION_STATE__TRACING && s->duration_ns && s->hooks_ns + s->duration_ns < at)
        at = s->hooks_ns + s->duration_ns;
    loop_timer_set(&s->host->loop, &s->timer, at);
    if (at > now + WATCH_EVERY && must_watch(s))
        loop_timer_set(&s->host->loop, &s->watch, now + WATCH_EVERY);
    else
        loop_timer_del(&s->host->loop, &s->watch);
}

/* ---- start ---- */

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
    wake(s);
}

static void on_injected(struct session *s, const struct helper_msg *msg) {
    s->info = msg->info;
    s->result = msg->res;
    s->injected_ns = vt_mono_ns();
    if (!s->arena.ctl) {
        refuse(s, -EPROTO, "the attaching process gave no shared memory");
        return;
    }
    struct drain_sink sink = {sink_put, s};
    /* Slightly less than asked for: the reader decides about calls near the limit, because it has the better clock at the end. */
    uint64_t min_ticks = clock_ns_to_ticks(&s->host->clock, s->min_duration_ns - s->min_duration_ns / 1000);
    int rc = drain_new(&s->arena, s->pid, s->info.ns_pid ? s->info.ns_pid : s->pid, min_ticks, sink, &s->drain);
    if (rc) {
        arena_stop_writers(&s->arena);
        refuse(s, rc, "viztracerd is out of memory");
        return;
    }
    if (s->arena.ctl->flags & VT_F_C_CALLS) drain_inside(s->drain, s->inside); /* else nothing of C code is wanted */
    s->injected = true;
    set_state(s, VT__SESSION_STATE__PENDING);
    if (s->target_gone) session_stop(s, VT__END_REASON__TARGET_EXIT, "");
    if (s->stop_ns) set_state(s, VT__SESSION_STATE__STOPPING);
    wake(s);
}

/* The helper was killed half-way. The agent may be in the target: removes it. */
static void on_injector_died(struct session *s, const struct helper_msg *msg) {
    if (s->peer && !s->answered) peer_error(s->peer, msg->rc, msg->err.msg);
    s->answered = true;
    let_go_of_client(s);
    set_state(s, VT__SESSION_STATE__STOPPING);
    if (!s->stop_ns) s->stop_ns = vt_mono_ns();
    arena_keep(&s->arena, false);
    arena_stop_writers(&s->arena);
    start_stop_helper(s);
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
        woken(s, msg);
    } else if (s->asking) {
        s->asking = false;
        vt_clean_line(s->gil_holder, sizeof(s->gil_holder), msg->err.msg, msg->rc ? 0 : strlen(msg->err.msg));
        wake(s);
    } else if (s->state != VT__SESSION_STATE__STARTING) { /* it is the helper of the stop */
        s->stop_pause_ns = msg->res.max_stop_ns;
        s->stop_helper_died = msg->rc == -ECHILD;
        if (msg->rc) vt_log(VT_LOG_INFO, "session %d: stop helper: %s", s->pid, msg->err.msg);
        if (!s->injected)
            session_free(s);
        else
            wake(s);
    } else if (!msg->rc) {
        on_injected(s, msg);
    } else if (msg->rc == -ECHILD && s->arena.ctl) {
        on_injector_died(s, msg);
    } else {
        if (s->arena.ctl) arena_stop_writers(&s->arena);
        refuse(s, msg->rc, msg->err.msg);
    }
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
    if (n < (uid ? SESSIONS_PER_USER : SESSIONS_OF_ROOT)) return 0;
    return vt_err_set(err, -EUSERS, "user %u has %u sessions in this viztracerd already: end one (viztracer status shows them)",
                      uid, n);
}

/* A session in its first state, listed, and the request for a helper in *h (owned by the caller); NULL: err. */
static struct session *session_new(struct host *host, const struct peer *peer, const Vt__AttachReq *req, struct helper_req **h,
                                   struct vt_err *err) {
    struct session *other = session_find(host, (pid_t)req->pid);
    *h = NULL;
    if (other) return refuse_second(other, err), NULL;
    if (req->pid == 0 || req->pid > INT32_MAX) return vt_err_set(err, -EINVAL, "%u is not a pid", req->pid), NULL;
    if ((pid_t)req->pid == getpid()) return vt_err_set(err, -EINVAL, "viztracerd does not trace itself"), NULL;

    if (check_limit(host, peer->creds.uid, err)) return NULL;
    *h = calloc(1, sizeof(**h));
    struct session *s = calloc(1, sizeof(*s));
    if (!*h || !s) {
        free(s);
        return vt_err_set(err, -ENOMEM, "out of memory"), NULL;
    }
    struct passwd *pw = getpwuid(peer->creds.uid);
    s->host = host;
    s->creds = peer->creds;
    s->pid = (pid_t)req->pid;
    s->pidfd = s->helper.fd = s->arena.fd = s->spool.fd = s->launch.fd = -1;
    if (pw)
        snprintf(s->owner_name, sizeof(s->owner_name), "%s", pw->pw_name);
    else
        snprintf(s->owner_name, sizeof(s->owner_name), "uid %u", peer->creds.uid);
    s->timer.fn = tick;
    s->timer.ctx = s;
    s->watch.fn = watch_cpu;
    s->watch.ctx = s;
    s->poll_ns = POLL_MIN;
    s->wake_wait = wake_every(s);
    s->duration_ns = req->duration_ns;
    s->gil_timeout_ns = req->gil_timeout_ns;
    s->nchunks = req->options && req->options->arena_chunks ? req->options->arena_chunks : VT_CHUNKS_DEFAULT;
    if (s->nchunks < VT_CHUNKS_MIN) s->nchunks = VT_CHUNKS_MIN;
    if (s->nchunks > VT_CHUNKS_MAX) s->nchunks = VT_CHUNKS_MAX;
    s->start_real_ns = vt_real_ns();
    s->begun_ns = vt_mono_ns();
    s->begun_ticks = clock_ticks(&host->clock);
    LIST_INSERT_HEAD(&host->sessions, s, link);
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
    if (!rc) rc = spool_open(&s->spool, host->spool_dir, s->pid, s->creds.uid, s->creds.gid, req->max_bytes, err);
    if (!rc) rc = watch_target(s, err); /* before the attach, so that a reused pid is noticed */
    if (!rc) rc = start_helper(s, h, err);
    free(h);
    if (!rc) give_to_client(s, peer, held);
    if (rc && s) session_free(s);
    return rc;
}

/* ---- launch ---- */

/* A process of the program is about to run Python code. */
static bool on_interpreter(void *ctx, const struct vt_launch_hello *hello, pid_t pid, int *arena_fd, uint64_t *arena_bytes) {
    struct session *s = ctx;
    struct vt_err err = {0};
    struct helper_msg done = {.kind = HELPER_DONE, .res = {.arena_fd = -1}};
    if (s->injected) return false; /* only the first one is traced */
    if (hello->rc) {
        vt_clean_line(s->end_text, sizeof(s->end_text), hello->text, sizeof(hello->text));
        s->stop_ns = vt_mono_ns();
        wake(s);
        return false;
    }
    s->pid = pid;
    launch_describe(pid, hello->pid, &done.info);
    if (watch_target(s, &err)) vt_log(VT_LOG_ERROR, "session %d: %s", pid, err.msg);
    if (s->pidfd < 0) s->target_gone = true;
    on_injected(s, &done);
    *arena_fd = s->arena.fd;
    *arena_bytes = s->arena.bytes;
    return true;
}

static int find_library(const struct host *host, char path[512], struct vt_err *err) {
    const char *slash = strrchr(host->agent_path, '/');
    int n = snprintf(path, 512, "%.*s%s", slash ? (int)(slash + 1 - host->agent_path) : 0, host->agent_path, VT_LAUNCH_LIBRARY);
    if (n < 0 || n >= 512) return vt_err_set(err, -ENAMETOOLONG, "the path of the launch library is too long");
    if (access(path, R_OK)) return vt_err_set(err, -errno, "launch library %s: %s", path, strerror(errno));
    if (strpbrk(path, " :")) return vt_err_set(err, -EINVAL, "%s: LD_PRELOAD takes no path with a blank or a colon", path);
    return 0;
}

int session_launch(struct host *host, struct peer *peer, struct session **held, const Vt__AttachReq *req, char preload[512],
                   const char **key, struct vt_err *err) {
    struct helper_req *h = NULL;
    struct session *s = NULL;
    int rc = find_library(host, preload, err);
    if (!rc) {
        s = session_new(host, peer, req, &h, err);
        rc = s ? request_fill(s, req, h, err) : err->code;
    }
    if (!rc) rc = spool_open(&s->spool, host->spool_dir, s->pid, s->creds.uid, s->creds.gid, req->max_bytes, err);
    if (!rc) {
        int fd = launch_make_arena(&h->ctl, s->nchunks, clock_ticks(&host->clock) + h->lease_ticks, err);
        rc = fd < 0 ? fd : arena_open(&s->arena, fd, s->nchunks, err);
    }
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

void session_fill_info(const struct session *s, Vt__SessionInfo *info) {
    vt__session_info__init(info);
    info->pid = (uint32_t)s->pid;
    info->state = s->state;
    info->owner_uid = s->creds.uid;
    info->owner_pid = (uint32_t)s->creds.pid;
    info->start_real_ns = s->start_real_ns;
    info->events = s->totals.events;
    info->dropped = s->totals.dropped;
    info->bytes = s->spool.size;
    info->max_overhead = s->max_overhead;
    info->cmdline = (char *)s->info.cmdline;
    if (s->output) info->output = s->output;
}
