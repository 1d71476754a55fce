/* Owns the throttling of single functions under --max_overhead, 3.12+. A function has one of these states:
 *
 *   FULL      its calls are recorded                 -> DRAINING when it is among the hottest of a period that cost too much
 *   DRAINING  recorded calls still get their end, new calls are counted      -> COUNTED or DARK when no recorded call is open
 *   COUNTED   calls are counted, their ends are switched off                 -> DARK when counting costs too much as well
 *   DARK      its events are switched off; restart_events brings them back from time to time for a look, which gives its rate
 *
 * A call is recorded with both ends or not at all. The calls of several threads in one function share one counter: if the
 * function is throttled while recorded and counted calls of it are open on different threads, an end may go to the wrong thread.
 * Readers ignore an end without a begin. A DARK C function is switched off at the places that call it. */
#include "agent/limit/throttle.h"

#include "agent/limit/account.h"
#include "agent/limit/cpu_time.h"
#include "agent/limit/governor.h"
#include "agent/names/filter.h"
#include "agent/record/thread.h"
#include "agent/session/session.h"

enum {
    FUNCTIONS_MAX = 1 << 17, /* functions with greater numbers are not throttled */
    ACTIVE_MAX = 8192,
    CALLS_MIN = 4,
    LOOK_CALLS = 16,
    FIRST_LOOK_MS = 250,
    LOOK_US = 1000,    /* of CPU time; a shorter look would see only code that is slow because it was just instrumented again */
    LOOK_COST_US = 10, /* of one function, for instrumenting and specializing it again (tests/bench/limit.py, flat) */
    LOOKS_SHARE = 5,   /* looks may take one part in this many of what the limit allows */
    DRAIN_MAX = 50000, /* events; then the ends of calls that are still open are lost */
    TOLD_AT_ONCE = 1000,
    UNKNOWN_MOST = 10, /* of looks, one part in this many: stretches of which is not known whether the process ran */
    BUCKETS = 32
};

enum state { FULL = 0, DRAINING, COUNTED, DARK };

struct function {
    uint32_t period, calls; /* of that period */
    uint32_t open;          /* recorded calls that have not ended */
    uint32_t open_counted;  /* while draining: counted ones */
    uint32_t drained;
    uint32_t look_calls; /* of this look */
    uint8_t state, next_state;
    bool c_function;
    bool asleep;     /* DARK, and the calls of this look have been seen */
    bool looked;     /* what follows at the end is of looks; false: of the period that cost too much */
    uint64_t values; /* of that period: cost of the texts of its values, ticks */
    uint64_t counted, since;
    uint64_t asleep_since, asleep_ticks;           /* in account_bare() time */
    uint64_t look_active, look_cost, looked_calls; /* of all looks: ticks that the process ran, that events have cost */
    uint64_t look_unknown;                         /* ticks of look_active of which is not known whether it ran */
};

static struct function *functions;
static uint32_t period, nactive, nthrottled;
static uint32_t active_functions[ACTIVE_MAX], throttled[ACTIVE_MAX];
static uint64_t look_from;                        /* account_bare() time at which the present look began */
static uint64_t look_from_active, look_from_cost; /* account_totals() then */
static uint64_t look_from_clock, look_from_unknown;
static bool look_waits;                        /* for its first event */
static uint64_t look_until, look_until_cpu_ns; /* clock, not before; CPU time of the process */

#define TABLE_BYTES ((uint64_t)FUNCTIONS_MAX * sizeof(struct function))

bool throttle_start(void) {
    int64_t at = arch_syscall6(SYS_MMAP, 0, TABLE_BYTES, 3, 0x4022 /* PRIVATE|ANONYMOUS|NORESERVE */, ~0ull, 0);
    if (at < 0 && at > -4096) return false;
    functions = (struct function *)at;
    period = 1;
    nactive = nthrottled = 0;
    look_from = look_from_active = look_from_cost = look_until = look_until_cpu_ns = 0;
    look_from_clock = look_from_unknown = 0;
    look_waits = false;
    if (agent.rearm_ticks > FIRST_LOOK_MS * agent.ticks_per_ms)
        agent.rearm_at = clock_full() + FIRST_LOOK_MS * agent.ticks_per_ms;
    return true;
}

void throttle_stop(void) {
    if (functions) arch_syscall3(SYS_MUNMAP, (uint64_t)functions, TABLE_BYTES, 0);
    functions = NULL;
}

ALWAYS_INLINE struct function *function_of(uint32_t id) {
    uint32_t index = (id - agent.base_id) >> VT_REC_TYPE_BITS;
    return index < FUNCTIONS_MAX && functions ? &functions[index] : NULL;
}

/* ---- events ---- */

ALWAYS_INLINE void count_call(struct function *f) {
    if (UNLIKELY(f->period != period)) {
        f->period = period;
        f->calls = 0;
        f->values = 0;
        if (nactive < ACTIVE_MAX) active_functions[nactive++] = (uint32_t)(f - functions);
    }
    f->calls++;
}

/* The first look replaces the figures of the period that cost too much, because that contains the costs of the start. */
static void look_ends(struct function *f, uint64_t now) {
    uint64_t active, cost;
    account_totals(now, &active, &cost);
    if (!f->looked) f->look_active = f->look_cost = f->looked_calls = f->look_unknown = 0;
    f->looked = true;
    f->look_active += cpu_time_is_exact() ? active - look_from_active : now - look_from_clock;
    f->look_unknown += cpu_time_unknown() - look_from_unknown;
    f->look_cost += cost - look_from_cost;
    f->looked_calls += f->look_calls;
}

static void fall_asleep(struct function *f) {
    uint64_t now = clock_full();
    f->asleep = true;
    f->asleep_since = account_bare(now);
    look_ends(f, now);
}

/* Ticks between two looks; 0 = there are none. A look costs more the more functions it brings back. */
static uint64_t look_every(void) {
    uint64_t dear = (uint64_t)nthrottled * LOOK_COST_US * LOOKS_SHARE * agent.ticks_per_ms / 1000;
    uint64_t allowed = (uint64_t)account_allowed(SHARE_UNIT);
    if (!agent.rearm_ticks || !allowed) return agent.rearm_ticks;
    dear = dear * SHARE_UNIT / allowed;
    return dear > agent.rearm_ticks ? dear : agent.rearm_ticks;
}

/* If every function that runs is DARK, no callback is called and no look begins by itself: the daemon then sends a thread. */
static void want_looks(void) {
    uint64_t every = look_every() / agent.ticks_per_ms, ms = look_from ? every : FIRST_LOOK_MS;
    vt_store_release(&agent.ctl->wake_cpu_ns, every ? process_cpu_ns() + ms * 1250000u : 0);
}

static void drained(struct function *f) {
    f->state = f->next_state;
    if (f->state == DARK) {
        f->look_calls = 0;
        f->asleep = true;
        f->asleep_since = account_bare(clock_full());
        if (!vt_load_relaxed(&agent.ctl->wake_cpu_ns)) want_looks();
    }
}

static NOINLINE enum governor_verdict drain(struct function *f, bool enter) {
    enum governor_verdict verdict = GOVERNOR_SKIP;
    if (enter) {
        f->counted++;
        f->open_counted++;
        count_call(f);
    } else if (f->open_counted) {
        f->open_counted--;
    } else {
        if (f->open) f->open--;
        verdict = GOVERNOR_RECORD;
    }
    /* below a function that is left out with all it calls, the depth is counted from the ends of calls: none may be missed */
    bool enough = ++f->drained >= DRAIN_MAX && !filter_has_subtrees();
    if ((!f->open && !f->open_counted) || enough) drained(f);
    return verdict;
}

/* The clock also goes on while the program waits for a processor. Reading the CPU time costs a system call: not before the rest
 * can have passed. */
static bool look_is_over(void) {
    uint64_t now = clock_full();
    if (now < look_until) return false;
    if (!cpu_time_is_exact()) {
        cpu_time_passes(now);
        uint64_t ran = now - look_from_clock - (cpu_time_unknown() - look_from_unknown),
                 all = LOOK_US * agent.ticks_per_ms / 1000;
        if (ran < all) look_until = now + all - ran;
        return ran >= all;
    }
    uint64_t cpu = process_cpu_ns();
    if (cpu >= look_until_cpu_ns) return true;
    look_until = now + (look_until_cpu_ns - cpu) * agent.ticks_per_ms / 1000000;
    return false;
}

static void look_counts_from(uint64_t now) {
    account_totals(now, &look_from_active, &look_from_cost);
    look_from_clock = now;
    look_from_unknown = cpu_time_unknown();
    look_until = now + LOOK_US * agent.ticks_per_ms / 1000;
    look_until_cpu_ns = process_cpu_ns() + LOOK_US * 1000;
}

static enum governor_verdict dark(struct function *f, bool enter) {
    if (!enter) return GOVERNOR_OFF;
    f->counted++;
    if (f->asleep) return GOVERNOR_OFF; /* at another place of the function, which is still on */
    if (UNLIKELY(look_waits)) {         /* the thread that was sent in for this look may have been held for a while after it */
        look_waits = false;
        look_counts_from(clock_full());
        return GOVERNOR_PASS;
    }
    if (++f->look_calls % LOOK_CALLS || !look_is_over()) return GOVERNOR_PASS;
    fall_asleep(f);
    return GOVERNOR_OFF;
}

enum governor_verdict throttle_event(uint32_t id, bool enter, bool c_function) {
    struct function *f = function_of(id);
    if (UNLIKELY(!f)) return GOVERNOR_RECORD;
    if (LIKELY(f->state == FULL)) {
        account.events++;
        if (enter) {
            f->open++;
            f->c_function = c_function;
            count_call(f);
        } else if (f->open) {
            f->open--;
        }
        return GOVERNOR_RECORD;
    }
    account.skipped++;
    if (f->state == DRAINING) return drain(f, enter);
    if (f->state == DARK) return dark(f, enter);
    if (!enter) return c_function ? GOVERNOR_PASS : GOVERNOR_OFF;
    f->counted++;
    count_call(f);
    return GOVERNOR_PASS;
}

void throttle_values(uint32_t id, uint64_t ticks) {
    struct function *f = function_of(id);
    account.values += ticks;
    if (f && f->period == period) f->values += ticks;
}

void throttle_was_open(uint32_t id) {
    struct function *f = function_of(id);
    if (f) f->open++;
}

bool throttle_is_transparent(uint32_t id) {
    const struct function *f = function_of(id);
    return f && f->state >= COUNTED;
}

/* ---- decisions ---- */

static uint64_t cost_of(const struct function *f) {
    if (f->state == COUNTED) return f->calls * account.cost_skip * (f->c_function ? 2 : 1);
    return f->calls * account.cost_event * 2 + f->values;
}

/* By its calls, with the cost of its values converted to calls. */
static uint32_t bucket_of(const struct function *f) {
    uint64_t calls = (f->calls | 1) + f->values / (account.cost_event * 2 + 1);
    return calls >> BUCKETS ? BUCKETS - 1 : 31 - (uint32_t)__builtin_clz((uint32_t)calls);
}

static bool may_be_throttled(const struct function *f) {
    return f->calls >= CALLS_MIN && (f->state == FULL || f->state == COUNTED);
}

static void throttle(struct function *f, uint64_t room) {
    bool dear = f->calls * account.cost_skip * (f->c_function ? 2 : 1) > room / 8;
    if (f->state == FULL) {
        if (nthrottled == ACTIVE_MAX) return;
        throttled[nthrottled++] = (uint32_t)(f - functions);
        f->since = clock_full();
    }
    f->look_cost = account.last_cost; /* the period that cost too much serves as the first look */
    f->look_active = cpu_time_is_exact() ? account.last_active : account.last_wall;
    f->look_unknown = account.last_unknown;
    f->looked_calls = f->calls;
    if (f->state == COUNTED) {
        f->next_state = DARK;
        drained(f);
        return;
    }
    f->next_state = dear ? DARK : COUNTED;
    f->state = DRAINING;
    f->drained = f->open_counted = 0;
    if (!f->open) drained(f);
}

bool throttle_most(uint64_t room) {
    bool any = false;
    uint64_t in_bucket[BUCKETS] = {0}, kept = 0;
    uint32_t most = 0; /* lower buckets are kept */
    for (uint32_t i = 0; i < nactive; i++) {
        const struct function *f = &functions[active_functions[i]];
        if (may_be_throttled(f)) in_bucket[bucket_of(f)] += cost_of(f);
    }
    while (most < BUCKETS && kept + in_bucket[most] <= room) kept += in_bucket[most++];
    for (uint32_t i = 0; i < nactive; i++) {
        struct function *f = &functions[active_functions[i]];
        if (!may_be_throttled(f) || bucket_of(f) < most) continue;
        throttle(f, room);
        any = true;
    }
    return any;
}

void throttle_next_period(void) {
    period++;
    nactive = 0;
}

void throttle_looks_begin(uint64_t now) {
    uint64_t active = account_bare(now);
    for (uint32_t i = 0; i < nthrottled; i++) {
        struct function *f = &functions[throttled[i]];
        if (f->state != DARK) continue;
        if (f->asleep) {
            f->asleep_ticks += active - f->asleep_since;
            f->asleep = false;
        } else { /* fewer calls than a look takes: all of them were seen */
            look_ends(f, now);
        }
        f->look_calls = 0;
    }
    look_from = active;
    look_counts_from(now);
    look_waits = true;
    agent.rearm_at = now + look_every();
    want_looks();
}

void throttle_wake(uint64_t now) {
    if (process_cpu_ns() < vt_load_relaxed(&agent.ctl->wake_cpu_ns)) return;
    vt_store_release(&agent.ctl->wake_cpu_ns, 0ull);
    agent.visit_at = agent.rearm_at = now;
    agent.hooks->visit();
}

/* ---- report ---- */

/* The real cost of an event lies between 2/5 and all of what it is taken for. The rate is worked out with 7/10. Where the
 * other 3/10 could change it by more than 15 %, the result is a lower bound: the rate as if events had cost nothing.
 * A look is shorter than the daemon's figures of CPU time are exact. Then it counts in full, as if the process had run all the
 * time, which is a lower bound too; unless the process runs nearly always and did so in these looks. */
static uint64_t estimate(const struct function *f, uint64_t active, bool busy, bool *at_least) {
    uint64_t asleep =
        f->asleep_ticks + (f->state == DARK && f->asleep && active > f->asleep_since ? active - f->asleep_since : 0);
    double ran = (double)f->look_active, cost = (double)f->look_cost, own = ran - cost * 0.7;
    *at_least = false;
    if (!f->look_active || !asleep) return 0;
    *at_least = cost * 0.3 > own * 0.15 || f->look_unknown > f->look_active / UNKNOWN_MOST ||
                (!cpu_time_is_exact() && (!busy || !f->looked));
    return (uint64_t)((double)f->looked_calls / (*at_least ? ran : own) * (double)asleep);
}

void throttle_tell(void) {
    uint64_t now = clock_full(), active = account_bare(now);
    bool busy = account_is_busy(now);
    for (uint32_t from = 0; from < nthrottled; from += TOLD_AT_ONCE) {
        uint32_t n = nthrottled - from < TOLD_AT_ONCE ? nthrottled - from : TOLD_AT_ONCE;
        struct vt_pl_throttled *to = (void *)payload_reserve(n * (uint32_t)sizeof *to);
        if (!to) return;
        for (uint32_t i = 0; i < n; i++) {
            const struct function *f = &functions[throttled[from + i]];
            bool at_least;
            uint64_t estimated = estimate(f, active, busy, &at_least);
            uint32_t flags = (f->state == DARK ? VT_THROTTLED_OFF : 0) | (at_least ? VT_THROTTLED_AT_LEAST : 0);
            to[i] = (struct vt_pl_throttled){.id = throttled[from + i] + (agent.base_id >> VT_REC_TYPE_BITS),
                                             .flags = flags,
                                             .since = f->since,
                                             .counted = f->counted,
                                             .estimated = estimated};
        }
        payload_commit(VT_PL_THROTTLED, n * (uint32_t)sizeof *to);
    }
}
