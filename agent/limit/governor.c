/* Owns the account of the governor. Every few events the clock is read; when a period is over, what the events of it have
 * cost is compared with what the limit allows for the CPU time that the process has had. What was too much is a debt that
 * later periods pay back, so that the limit holds for the session, its beginning included. */
#include "agent/limit/governor.h"
#include "agent/hooks/hooks.h"

enum { PERIOD_MS = 20, PERIOD_SHORT_US = 2000, TELL_MS = 500, BARE_LEAST = 4, CLOCK_PROCESS_CPU = 2 };

struct governor governor;

/* Cost of one event in nanoseconds, measured with tests/bench/overhead on a machine of 2.3 GHz and counted in ticks of
 * its clock: slower machines have slower clocks. Rounded up: what is lost in the target's caches is not seen here. */
static const struct cost {
    uint32_t kind, from_python;
    uint32_t event, skip;
} costs[] = {
    {VT_HOOK_MONITORING, 0x30c, 100, 50}, {VT_HOOK_PROFILE, 0x30b, 180, 100}, {VT_HOOK_PROFILE, 0x308, 130, 25},
    {VT_HOOK_EVAL, 0x30b, 60, 24},        {VT_HOOK_EVAL, 0x308, 40, 12},
};

uint64_t process_cpu_ns(void) {
    int64_t time[2] = {0, 0};
    if (!py.clock_gettime || py.clock_gettime(CLOCK_PROCESS_CPU, time)) return 0;
    return (uint64_t)time[0] * 1000000000u + (uint64_t)time[1];
}

static uint64_t ns_to_ticks(uint64_t ns) { return ns * agent.ticks_per_ms / 1000000; }

/* Four fifths of the limit: the rest is for what no event accounts for (colder caches, code that is instrumented again). */
int64_t governor_allowed(uint64_t active) { return (int64_t)(active * agent.ctl->max_overhead / SHARE_UNIT * 4 / 5); }

bool governor_is_off(void) { return agent.governed && governor.off; }

static uint64_t counted_cost(void) { return (governor.skipped + governor.others) * governor.cost_skip; }
static uint64_t recorded_cost(void) { return governor.events * governor.cost_event + governor.values; }

/* What the program itself has had of `active` ticks. The costs are estimates: not all of it can have been ours. */
static uint64_t bare_of(uint64_t active, uint64_t cost) {
    return active > cost + active / BARE_LEAST ? active - cost : active / BARE_LEAST;
}

/* Ticks that the process has run since the last period: not while others had the processor, nor while it waited. */
static uint64_t active_since(uint64_t now) {
    uint64_t ran = ns_to_ticks(process_cpu_ns() - governor.cpu_last),
             wall = now > governor.tick_last ? now - governor.tick_last : 0;
    return ran < wall ? ran : wall;
}

/* Ticks that the program itself has run until now. */
uint64_t governor_bare(uint64_t now) {
    return governor.bare + bare_of(active_since(now), counted_cost() + recorded_cost() + governor.naming);
}

/* Of the back end in use. */
void governor_costs(void) {
    const struct cost *cost = costs;
    while (cost->kind != agent.hooks->kind || layout.python < cost->from_python) cost++;
    governor.cost_event = ns_to_ticks(cost->event);
    governor.cost_skip = ns_to_ticks(cost->skip);
}

void governor_start(void) {
    uint64_t now = clock_full();
    if (!agent.governed) return;
    governor = (struct governor){.tick_last = now,
                                 .tick_at = now + agent.ticks_per_ms,
                                 .tell_at = now + TELL_MS * agent.ticks_per_ms,
                                 .cpu_last = process_cpu_ns()};
    governor_costs();
    window_start();
    /* no room for the table: nothing is throttled, and the session goes on without a limit */
    if (layout.python >= 0x30c && !throttle_start()) agent.governed = false;
}

void governor_stop(void) {
    if (!agent.governed) return;
    if (governor.off && agent.ctl) {
        agent.ctl->off_ticks += clock_full() - agent.ctl->off_since;
        agent.ctl->off_since = agent.ctl->wake_cpu_ns = 0;
    }
    throttle_stop();
    agent.governed = false;
}

static void period_ends(uint64_t now) {
    uint64_t active = active_since(now);
    uint64_t recorded = recorded_cost(), counted = counted_cost(), cost = recorded + counted + governor.naming;
    uint64_t bare = bare_of(active, cost);
    int64_t allowed = governor_allowed(bare), most = governor_allowed(1000 * agent.ticks_per_ms);
    governor.bare += bare;
    governor.tick_last = now;
    governor.cpu_last = process_cpu_ns();
    governor.debt += (int64_t)cost - allowed;
    if (governor.debt < -most) governor.debt = -most;
    /* a debt is paid back by staying further below the limit; a quarter is for recording in any case */
    uint64_t target = (uint64_t)(governor.debt > 0 ? allowed * 4 / 10 : allowed * 6 / 10);
    uint64_t room = target > counted + target / 4 ? target - counted : target / 4;
    bool over = bare && recorded > room;
    /* what is only counted must not keep the debt from being paid back either */
    if (!over && governor.debt > 0 && counted > 2 * target) {
        over = bare;
        room = 2 * target;
    }
    if (agent.hooks->pause) {
        governor.tick_at = now + agent.ticks_per_ms / 2;
        if (governor.debt > 0) window_close();
    } else {
        /* where it did not help a longer look is needed: which functions are hot did not show in so short a time */
        bool soon = over && throttle_most(room, bare);
        throttle_next_period();
        governor.tick_at = now + (soon ? PERIOD_SHORT_US * agent.ticks_per_ms / 1000 : PERIOD_MS * agent.ticks_per_ms);
    }
    governor.events = governor.skipped = governor.others = governor.values = governor.naming = 0;
}

/* While the hooks are out: the time that goes by pays. */
void governor_paid(uint64_t now) {
    uint64_t active = active_since(now);
    governor.bare += active;
    governor.tick_last = now;
    governor.cpu_last = process_cpu_ns();
    governor.debt -= governor_allowed(active);
}

NOINLINE void governor_look_now(void) {
    uint64_t now = clock_full();
    if (LIKELY(now < governor.tick_at) || agent.state != AGENT_TRACING) return;
    /* with few events recorded no thread comes to its slow path by itself */
    if (now >= agent.visit_at && !session_visit()) return;
    if (!agent.governed || governor.off) return;
    struct pending_error error;
    error_save(&error);
    period_ends(now);
    if (now >= governor.tell_at) {
        governor.tell_at = now + TELL_MS * agent.ticks_per_ms;
        throttle_tell();
    }
    error_restore(&error);
}
