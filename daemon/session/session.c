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
#include <stdio.h>
#include <string.h>

#include "daemon/session/family.h"
#include "daemon/session/session_frames.h"
#include "daemon/session/session_parts.h"
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
#define CPU_EVERY (250 * MS) /* of a process that ends by itself the last reading is all that is known */
#define CHECK_EVERY (500 * MS)
#define PENDING_ANSWER (500 * MS)
#define ASK_PATIENCE (3000 * MS)
#define START_PATIENCE (10000 * MS) /* time for the agent to map the arena, which it does first */

void session_tick(void *ctx);

/* ---- waiting for the GIL ---- */

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
    if (s->asking && now - s->asked_ns > ASK_PATIENCE) session_stop_asking(s);
    if (s->helper_running || !times || session_is_launch(s)) return;
    if (s->asked < times) {
        s->asked = times - 1;
        session_ask_holder(s, now);
        if (s->asking) return;
    }
    session_answer(s, true);
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

/* Follows the agent's state. Returns true when the session was freed. */
static bool watch_agent(struct session *s, uint64_t now) {
    struct vt_ctl *ctl = s->arena.ctl;
    uint32_t state = vt_load_acquire(&ctl->state);
    char text[256];

    if (s->state == VT__SESSION_STATE__PENDING && state == VT_AGENT_REFUSED) {
        vt_clean_line(text, sizeof(text), ctl->err, sizeof(ctl->err));
        if (!s->answered) {
            session_refuse(
                s, -ENOTSUP,
                text[0] ? text
                        : "the agent refused to trace this interpreter and gave no cause; VIZTRACERD_LOG=debug shows each step");
            return true;
        }
        session_stop(s, VT__END_REASON__AGENT, text);
    }
    if (s->state == VT__SESSION_STATE__PENDING && state >= VT_AGENT_TRACING && state != VT_AGENT_REFUSED) {
        session_set_state(s, VT__SESSION_STATE__TRACING);
        s->hooks_ns = s->moved_ns = s->check_ns = now;
        session_answer(s, false);
    }
    if (s->state == VT__SESSION_STATE__PENDING && state == VT_AGENT_NONE && now - s->injected_ns > START_PATIENCE) {
        arena_stop_writers(&s->arena); /* if the agent starts in spite of that, it leaves */
        snprintf(
            text, sizeof(text),
            "process %d: the agent was loaded but cannot use its %lu MB of shared memory; is the address space of the process "
            "limited (ulimit -v)?",
            s->pid, (unsigned long)(s->arena.bytes >> 20));
        session_refuse(s, -ENOMEM, text);
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
    if (rc == -ENOMEM) return "viztracerd is out of memory; free some, then try again";
    if (rc == -ENOBUFS) return "the target has more threads and deeper stacks than viztracerd keeps for one session";
    return "the shared memory was damaged from outside";
}

static void spool_is_full(struct session *s) {
    char text[300];
    if (s->stop_ns) return;
    snprintf(text, sizeof(text), "spool folder: %s; VIZTRACERD_SPOOL names another", strerror(-s->spool->full));
    bool limit = s->spool->full == -EFBIG && s->spool->max_bytes;
    session_stop(s, VT__END_REASON__SPOOL_FULL, limit ? "the size limit was reached" : text);
}

static void drain_once(struct session *s, uint64_t now, uint64_t *got) {
    *got = 0;
    if (!s->drain || s->state < VT__SESSION_STATE__TRACING || s->unread) return;
    if (s->spool->full) {
        spool_is_full(s);
        return;
    }
    int rc = session_put_header(s);
    if (!rc) rc = drain_pass(s->drain, now, got);
    if (!rc && now - s->clock_ns > CLOCK_EVERY) {
        Vt__Clock clock;
        session_clock_frame(s, &clock);
        s->clock_ns = now;
        rc = spool_put(s->spool, s->section, VT_FRAME_CLOCK, &clock.base);
    }
    if (!rc && *got && now - s->cpu_ns > CPU_EVERY) {
        s->cpu_ns = now;
        session_put_cpu_times(s, false);
    }
    drain_totals(s->drain, &s->totals);
    if (*got) {
        vt_debug(VT_AREA_DRAIN, "session %d: %llu words read, %llu chunks given back, %llu bytes on disk", s->pid,
                 (unsigned long long)*got, (unsigned long long)s->totals.chunks, (unsigned long long)s->spool->size);
        s->got_ns = now;
        s->moved_ns = now;
        session_kick(s);
    }
    if (!rc) return;
    if (s->spool->full) {
        spool_is_full(s);
    } else {
        vt_log(VT_LOG_ERROR, "session %d: drain: %s", s->pid, strerror(-rc));
        session_stop(s, VT__END_REASON__AGENT, drain_error_text(rc));
        if (drain_flush(s->drain)) vt_log(VT_LOG_ERROR, "session %d: the last events were lost", s->pid);
        s->unread = rc;
    }
}

static void check_target(struct session *s, uint64_t now) {
    if (now - s->check_ns < CHECK_EVERY) return;
    s->check_ns = now;
    if (drain_reap(s->drain, now) && !s->spool->full && !s->unread) vt_log(VT_LOG_ERROR, "session %d: reap failed", s->pid);
    if (now - s->moved_ns < CHECK_EVERY || s->target_gone) return;
    uint64_t ticks = clock_ticks(&s->host->clock);
    if (arena_still_mapped(s)) {
        s->mapped_ticks = ticks;
        return;
    }
    s->target_gone = true; /* at least for the agent */
    session_stop(s, VT__END_REASON__EXEC, "");
}

/* Nothing more will come from its process. */
static void finish(struct session *s) {
    uint64_t ticks = clock_ticks(&s->host->clock);
    int rc = 0;

    session_set_state(s, VT__SESSION_STATE__DRAINED);
    if (!s->spool->full && !s->unread) {
        rc = session_put_header(s);
        if (!rc) rc = drain_finish(s->drain, ticks);
        if (rc) vt_log(VT_LOG_ERROR, "session %d: last drain: %s", s->pid, strerror(-rc));
    }
    if (s->spool->full || s->unread) drain_give_up(s->drain);
    drain_totals(s->drain, &s->totals);
    if (s->spool->full && s->reason != VT__END_REASON__SPOOL_FULL && s->reason != VT__END_REASON__AGENT) {
        s->reason = VT__END_REASON__SPOOL_FULL;
        snprintf(s->end_text, sizeof(s->end_text), "spool folder: %s; VIZTRACERD_SPOOL names another", strerror(-s->spool->full));
    }
    session_put_last_clock(s);
    session_answer(s, false);
    helper_close(&s->helper);
    s->helper_running = false;
    loop_del(&s->host->loop, &s->pidfd_io);
    drain_free(s->drain);
    s->drain = NULL;
    if (!family_waits(s)) {
        session_finish_end(s);
    } else if (s->peer && !s->family->over) {
        Vt__PidReq m = VT__PID_REQ__INIT;
        m.pid = (uint32_t)s->pid;
        peer_send(s->peer, VT_CTL_FIRST_ENDED, &m.base);
    }
}

void session_finish_end(struct session *s) {
    s->agent_state = vt_load_acquire(&s->arena.ctl->state);
    s->began = vt_load_relaxed(&s->arena.ctl->t_hooks_on) || s->totals.events;
    session_put_end(s);
    arena_close(&s->arena);
    if (family_is_other(s)) {
        vt_debug(VT_AREA_SESSION, "session %d ended: %llu events", s->pid, (unsigned long long)s->totals.events);
        session_free(s);
        return;
    }
    s->keep_spool = true;
    session_set_state(s, VT__SESSION_STATE__ENDED);
    session_tell_waiters(s);
    vt_log(VT_LOG_INFO, "session %d of %s ended: %llu events, %llu dropped", s->pid, s->owner_name,
           (unsigned long long)s->totals.events, (unsigned long long)s->totals.dropped);
    if (s->peer) {
        peer_kick(s->peer);
        return;
    }
    s->keep_spool = family_events(s) > 0;
    if (s->keep_spool) vt_log(VT_LOG_INFO, "session %d: trace kept as %s", s->pid, s->spool->path);
    session_free(s);
}

void session_orphan(struct session *s) {
    session_let_go_of_client(s);
    if (s->state == VT__SESSION_STATE__ENDED)
        session_free(s); /* not saved: the spool stays */
    else
        session_stop(s, VT__END_REASON__CLIENT_GONE, "its client had gone");
}

void session_abandon(struct session *s) {
    s->keep_spool = family_events(s) > 0;
    session_free(s);
}

void session_saved(struct session *s) {
    s->keep_spool = false;
    session_free(s);
}

/* Told to stop before an interpreter has come. True: the session was freed. */
static bool launch_ends(struct session *s) {
    launch_take(&s->launch); /* one that came in this moment */
    if (s->injected) return false;
    session_refuse(s, -ESRCH, s->end_text[0] ? s->end_text : "the program ran no Python code");
    return true;
}

/* ---- the periodic check ---- */

/* Each check costs about twenty system calls here and in the client. A small arena must not fill up before the next check. */
static uint64_t poll_flow(const struct session *s) {
    uint64_t eighth = (uint64_t)s->nchunks * VT_CHUNK_SIZE / 8 / FAST_BYTES_PER_MS * MS;
    return eighth < POLL_MIN ? POLL_MIN : eighth > POLL_FLOW ? POLL_FLOW : eighth;
}

void session_tick(void *ctx) {
    struct session *s = ctx;
    uint64_t now = vt_mono_ns(), got = 0;

    if (s->state == VT__SESSION_STATE__DRAINED && !family_waits(s)) {
        session_finish_end(s);
        return;
    }
    if (!s->arena.ctl || s->state >= VT__SESSION_STATE__DRAINED) return;
    if (session_is_launch(s) && s->stop_ns && !s->injected && launch_ends(s)) return;
    uint64_t held_up = lease_beat(&s->host->lease, now);
    if (held_up > HELD_UP)
        vt_log(VT_LOG_ERROR, "held up for %.1f s, by a slow spool folder (%s) or by too little CPU: events may be lost",
               (double)held_up / 1e9, s->host->spool_dir);
    session_tell_cpu(s);
    if (s->state != VT__SESSION_STATE__STARTING && !s->injected) return; /* waits only for the stop helper */
    if (s->state != VT__SESSION_STATE__STARTING && watch_agent(s, now)) return;
    drain_once(s, now, &got);
    if (s->state == VT__SESSION_STATE__TRACING) {
        check_target(s, now);
        session_wake_agent(s, now);
        struct session *first = family_first(s);
        if (first->duration_ns && now - first->hooks_ns >= first->duration_ns) session_stop(first, VT__END_REASON__DURATION, "");
    }
    if (s->state == VT__SESSION_STATE__STOPPING && session_stop_is_over(s, vt_mono_ns())) {
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
    session_watch_until(s, now, at);
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
    info->bytes = s->spool->size;
    info->max_overhead = s->max_overhead;
    info->cmdline = (char *)s->info.cmdline;
    if (s->output) info->output = s->output;
}
