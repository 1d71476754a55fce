/* Owns what a limit on the overhead does below Python 3.12: when the account is in debt the hooks are taken out of
 * every thread, and put in again when the CPU time since has paid for it. Nothing that ticks is left in: on 3.11 an empty
 * hook costs more than most limits allow. The daemon waits instead: it sends a thread in when wake_cpu_ns is reached.
 *
 * Calls do not reach over the time without hooks. The first event of a thread in a new window is preceded by a WINDOW payload
 * with the frames that are open then: readers end what they took to be open and begin again with these. */
#include "agent/hooks/detail.h"
#include "agent/hooks/hooks.h"
#include "agent/limit/governor.h"

enum { FRAMES_MAX = 1024, SAVINGS_MS = 800, WAKE_COST_US = 2000 };

static uint32_t window; /* number of the present one, from 1 */

void window_start(void) { window = 1; }

/* ---- in ---- */

/* Frames of this thread as they were before an event; outermost first. `entered`: the innermost is the function
 * that the event enters. */
void window_tell(struct thread *thread, bool entered, uint32_t cause) {
    uint32_t ids[FRAMES_MAX], n = 0;
    /* the frame evaluation function would never see these return */
    if (agent.hooks->kind != VT_HOOK_EVAL) n = stack_ids(py.PyThreadState_Get(), ids, FRAMES_MAX, entered);
    struct vt_pl_window head = {.nframes = n, .cause = cause};
    uint32_t bytes = (uint32_t)sizeof head + n * 4;
    uint8_t *to = payload_reserve(bytes);
    if (!to) return;
    memcpy(to, &head, sizeof head);
    memcpy(to + sizeof head, ids, n * 4);
    payload_commit(VT_PL_WINDOW, bytes);
    thread->window = window;
}

/* Before an event is recorded. `frame`: the running frame where the hook has it, else the one around it is on top. */
void window_event(void *frame, bool enter) {
    struct thread *thread = this_thread;
    if (LIKELY(thread->window == window) || (window == 1 && !thread->window)) {
        thread->window = window;
        return;
    }
    struct pending_error error;
    error_save(&error);
    if (session_visit()) window_tell(this_thread, frame && enter, VT_WINDOW_LIMIT);
    error_restore(&error);
}

/* One event of the frame evaluation function; is it to be recorded? */
bool governor_whole(void) {
    if (governor.off) return false;
    window_event(NULL, false);
    governor.events++;
    governor_looks();
    return !governor.off && agent.governed;
}

static void open_again(uint64_t now) {
    governor.off = false;
    governor.tick_last = now;
    governor.tick_at = now + agent.ticks_per_ms / 2;
    governor.debt += (int64_t)(WAKE_COST_US * agent.ticks_per_ms / 1000); /* one thread of the program was stopped for it */
    agent.ctl->off_ticks += now - agent.ctl->off_since;
    agent.ctl->off_since = 0;
    window++;
    agent.hooks->resume();
}

/* How much the program has to run until a new window is paid for: 0 = it is. */
static uint64_t unpaid_ns(void) {
    int64_t second = governor_allowed(1000 * agent.ticks_per_ms), owed = governor.debt + second * SAVINGS_MS / 1000;
    return owed > 0 ? (uint64_t)((double)owed / (double)(second > 0 ? second : 1) * 1e9) : 0;
}

static void wake_after(uint64_t cpu_ns) { vt_store_release(&agent.ctl->wake_cpu_ns, cpu_ns ? process_cpu_ns() + cpu_ns : 0); }

/* In a thread that is not the program's. */
void window_wake(void) {
    uint64_t now = clock_full();
    bool by_function = !agent.hooks->pause;
    if (agent.state != AGENT_TRACING || !agent.governed || !(governor.off || by_function) || !agent.family->live) return;
    bool stop = !vt_load_acquire(&agent.ctl->enabled);
    if (stop || now >= vt_load_relaxed(&agent.ctl->lease)) {
        session_leave(stop ? VT_WHY_STOP : VT_WHY_LEASE);
        return;
    }
    if (by_function) {
        throttle_wake(now);
        return;
    }
    governor_paid(now);
    uint64_t left = unpaid_ns();
    wake_after(left);
    if (!left) open_again(now);
}

/* ---- out ---- */

void window_close(void) {
    governor.off = true;
    agent.ctl->off_since = governor.tick_last;
    agent.ctl->windows++;
    agent.hooks->pause();
    wake_after(unpaid_ns());
}
