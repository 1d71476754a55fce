/* Owns the decisions of --max_overhead. Every 32 events the clock is read. When a period is over, the cost of its events is
 * compared with the cost that the limit allows; if it was too high, functions are throttled (3.12+), or the hooks are taken
 * out (below). */
#include "agent/limit/governor.h"

#include "agent/cpython/layout.h"
#include "agent/limit/cpu_time.h"
#include "agent/limit/throttle.h"
#include "agent/limit/window.h"
#include "agent/session/session.h"

enum { PERIOD_MS = 20, PERIOD_SHORT_US = 2000, TELL_MS = 500 };

bool governor_is_off(void) { return agent.governed && account.off; }

void governor_start(void) {
    uint64_t now = clock_full();
    if (!agent.governed) return;
    account_start(now);
    account.tick_at = now + agent.ticks_per_ms;
    account.tell_at = now + TELL_MS * agent.ticks_per_ms;
    window_start();
    /* no memory for the table: the session goes on without a limit */
    if (layout.python >= 0x30c && !throttle_start()) agent.governed = false;
}

void governor_stop(void) {
    if (!agent.governed) return;
    if (account.off && agent.ctl) {
        agent.ctl->off_ticks += clock_full() - agent.ctl->off_since;
        agent.ctl->off_since = agent.ctl->wake_cpu_ns = 0;
    }
    throttle_stop();
    agent.governed = false;
}

static void period_ends(uint64_t now) {
    uint64_t recorded = account_recorded(), counted = account_counted();
    uint64_t bare = account_period(now);
    int64_t allowed = account_allowed(bare);
    /* a debt is paid back by staying further below the limit; a quarter is kept for recording */
    uint64_t target = (uint64_t)(account.debt > 0 ? allowed * 4 / 10 : allowed * 6 / 10);
    uint64_t room = target > counted + target / 4 ? target - counted : target / 4;
    bool over = bare && recorded > room;
    /* counting alone may cost so much that the debt is never paid back */
    if (!over && account.debt > 0 && counted > 2 * target) {
        over = bare;
        room = 2 * target;
    }
    if (agent.hooks->pause) {
        account.tick_at = now + agent.ticks_per_ms / 2;
        if (account.debt > 0) window_close();
    } else {
        /* if nothing could be throttled, the next period is longer: this one was too short to show which functions are hot */
        bool soon = over && throttle_most(room);
        throttle_next_period();
        account.tick_at = now + (soon ? PERIOD_SHORT_US * agent.ticks_per_ms / 1000 : PERIOD_MS * agent.ticks_per_ms);
    }
    account_next_period();
}

NOINLINE void governor_look_now(void) {
    uint64_t now = clock_full();
    cpu_time_passes(now);
    if (LIKELY(now < account.tick_at) || agent.state != AGENT_TRACING) return;
    /* when few events are recorded, no thread comes to its slow path by itself */
    if (now >= agent.visit_at && !session_visit()) return;
    if (!agent.governed || account.off) return;
    struct pending_error error;
    error_save(&error);
    period_ends(now);
    if (now >= account.tell_at) {
        account.tell_at = now + TELL_MS * agent.ticks_per_ms;
        throttle_tell();
    }
    error_restore(&error);
}

bool governor_whole(void) {
    if (account.off) return false;
    window_event(NULL, false);
    account.events++;
    governor_looks();
    return !account.off && agent.governed;
}

void governor_wake(void) {
    uint64_t now = clock_full();
    bool by_function = !agent.hooks->pause;
    if (agent.state != AGENT_TRACING || !agent.governed || !(account.off || by_function) || !agent.family->live) return;
    bool stop = !vt_load_acquire(&agent.ctl->enabled);
    if (stop || now >= vt_load_relaxed(&agent.ctl->lease)) {
        session_leave(stop ? VT_WHY_STOP : VT_WHY_LEASE);
        return;
    }
    if (by_function) {
        throttle_wake(now);
        return;
    }
    window_look(now);
}

void governor_tell(void) {
    if (agent.governed) throttle_tell();
}
