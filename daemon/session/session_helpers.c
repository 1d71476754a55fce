/* Owns the helpers that a session sends into its target: one to attach, then one to see who holds the GIL, to wake the agent or
 * to have the hooks removed. At most one at a time. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "daemon/session/session_parts.h"

#define MS 1000000ull
#define WAKE_EVERY (1000 * MS)
#define WAKE_UNSEEN (8 * MS) /* without a limit: time without any event before a wake-up */
#define WAKE_AGAIN (20 * MS) /* without a limit: from one wake-up to the next */
#define WATCH_EVERY (4 * MS) /* while no event comes: is a wake-up due? */
#define WAKE_RARELY (16000 * MS)

int session_start_helper(struct session *s, struct helper_req *req, struct vt_err *err) {
    snprintf(req->agent_path, sizeof(req->agent_path), "%s", s->host->agent_path);
    req->pid = s->pid;
    req->nchunks = s->nchunks;
    int rc = helper_start(&s->helper, &s->host->loop, &s->creds, req, s->on_helper, s, err);
    if (!rc) s->helper_running = true;
    return rc;
}

static void go_in_again(struct session *s, enum helper_op op) {
    struct vt_err err = {0};
    struct helper_req *req = calloc(1, sizeof(*req));
    if (!req) return;
    req->op = op;
    int rc = session_start_helper(s, req, &err);
    if (rc) vt_log(VT_LOG_ERROR, "session %d: cannot go in again: %s", s->pid, err.msg);
    free(req);
}

void session_ask_holder(struct session *s, uint64_t now) {
    s->asked++;
    s->asked_ns = now;
    go_in_again(s, HELPER_HOLDER);
    s->asking = s->helper_running;
}

void session_stop_asking(struct session *s) {
    helper_close(&s->helper);
    s->asking = s->helper_running = false;
}

void session_start_stop_helper(struct session *s) {
    s->stop_helpers++;
    s->stop_helper_died = false;
    s->stop_trouble[0] = 0;
    go_in_again(s, HELPER_STOP);
}

/* False: it cannot be read. */
static bool cpu_of(pid_t pid, uint64_t *ns) {
    struct timespec had;
    clockid_t clock;
    if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &had)) return false;
    *ns = (uint64_t)had.tv_sec * 1000 * MS + (uint64_t)had.tv_nsec;
    return true;
}

void session_tell_cpu(struct session *s) {
    struct vt_ctl *ctl = s->arena.ctl;
    uint64_t ns;
    if (!s->max_overhead && vt_load_relaxed(&ctl->hook_kind) != VT_HOOK_PROFILE) return;
    if (!cpu_of(s->pid, &ns)) return;
    uint32_t seq = vt_load_relaxed(&ctl->cpu_seq) | 1;
    vt_store_relaxed(&ctl->cpu_seq, seq);
    vt_full_fence();
    vt_store_relaxed(&ctl->cpu_ns, ns);
    vt_store_relaxed(&ctl->cpu_at, clock_ticks(&s->host->clock));
    vt_store_release(&ctl->cpu_seq, seq == UINT32_MAX ? 2 : seq + 1);
}

/* The agent's governor can remove the hooks (below 3.12) or switch off all running functions. Then no code of ours runs in the
 * target any more. When the process has used the CPU time that the agent asked for, a helper wakes the agent. The same happens
 * below 3.12 when only threads without a hook run: the agent then looks for them. */
static bool wake_is_due(const struct session *s, uint64_t now) {
    uint64_t due = vt_load_acquire(&s->arena.ctl->wake_cpu_ns), ns;
    if (!due || s->helper_running || now - s->wake_ns < s->wake_wait) return false;
    if (!s->max_overhead && now - s->got_ns < WAKE_UNSEEN) return false;
    return cpu_of(s->pid, &ns) && ns >= due;
}

void session_wake_agent(struct session *s, uint64_t now) {
    if (!wake_is_due(s, now)) return;
    s->wake_ns = now;
    go_in_again(s, HELPER_WAKE);
    s->waking = s->helper_running;
}

/* Between two checks that are far apart, at a small part of their cost. The next check decides, after it has read the arena. */
void session_watch_cpu(void *ctx) {
    struct session *s = ctx;
    uint64_t now = vt_mono_ns();
    if (s->state != VT__SESSION_STATE__TRACING) return;
    session_tell_cpu(s);
    if (wake_is_due(s, now)) session_look_now(s);
    loop_timer_set(&s->host->loop, &s->watch, now + WATCH_EVERY);
}

/* Below 3.12, without a limit: threads without a hook may run, and no event tells. */
static bool must_watch(const struct session *s) {
    return s->state == VT__SESSION_STATE__TRACING && !s->max_overhead && vt_load_relaxed(&s->arena.ctl->wake_cpu_ns);
}

void session_watch_until(struct session *s, uint64_t now, uint64_t next) {
    if (next > now + WATCH_EVERY && must_watch(s))
        loop_timer_set(&s->host->loop, &s->watch, now + WATCH_EVERY);
    else
        loop_timer_del(&s->host->loop, &s->watch);
}

uint64_t session_wake_every(const struct session *s) { return s->max_overhead ? WAKE_EVERY : WAKE_AGAIN; }

/* Handles the result; after each failure the wait doubles. */
void session_woken(struct session *s, const struct helper_msg *msg) {
    s->waking = false;
    s->wake_ns = vt_mono_ns();
    s->wake_wait = !msg->rc ? session_wake_every(s) : s->wake_wait < WAKE_RARELY ? 2 * s->wake_wait : WAKE_RARELY;
    if (msg->rc) vt_log(VT_LOG_INFO, "session %d: wake helper: %s", s->pid, msg->err.msg);
}
