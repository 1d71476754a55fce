/* Owns what a limit on the overhead does below Python 3.12: when the account is in debt the hooks are taken out of
 * every thread, and put in again when the CPU time since has paid for it. Meanwhile the frame evaluation function is
 * the clock, where it can be had and is cheap enough; where not, the hooks stay out.
 *
 * Calls do not reach over the time without hooks. The first event of a thread in a new window is preceded by a WINDOW payload
 * with the frames that are open then: readers end what they took to be open and begin again with these. */
#include "agent/detail.h"
#include "agent/governor.h"
#include "agent/hooks.h"

enum { FRAMES_MAX = 1024, SAVINGS_MS = 60 };

static uint32_t window; /* number of the present one, from 1 */

void window_start(void) { window = 1; }

/* ---- in ---- */

/* Frames of this thread as they were before an event; outermost first. `entered`: the innermost is the function
 * that the event enters. */
static void tell_frames(struct thread *thread, bool entered) {
    uint32_t ids[FRAMES_MAX], n = 0;
    /* the frame evaluation function would never see these return */
    if (agent.hooks->kind != VT_HOOK_EVAL) n = stack_ids(py.PyThreadState_Get(), ids, FRAMES_MAX, entered);
    struct vt_pl_window head = {.nframes = n};
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
    if (session_visit()) tell_frames(this_thread, frame && enter);
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
    agent.ctl->off_ticks += now - agent.ctl->off_since;
    agent.ctl->off_since = 0;
    window++;
    agent.hooks->resume();
}

/* ---- out ---- */

/* After a period of `active` ticks with that many calls. */
void window_close(uint64_t active, uint64_t calls) {
    uint64_t tick_cost = calls * governor.cost_off;
    bool affordable = (int64_t)tick_cost < governor_allowed(active) / 2;
    governor.off = true;
    agent.ctl->off_since = governor.tick_last;
    agent.ctl->windows++;
    agent.hooks->pause(affordable);
}

/* From the tick, after `calls` calls. */
void governor_look_off(uint32_t calls) {
    uint64_t now = clock_full();
    governor.debt += (int64_t)(calls * governor.cost_off);
    if (agent.state != AGENT_TRACING || !governor.off || now < governor.tick_at) return;
    governor.tick_at = now + 2 * agent.ticks_per_ms;
    if (!session_visit() || !governor.off) return;
    governor_paid(now);
    if (governor.debt > -governor_allowed(SAVINGS_MS * agent.ticks_per_ms)) return;
    struct pending_error error;
    error_save(&error);
    open_again(now);
    error_restore(&error);
}
