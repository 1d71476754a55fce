/* Owns the account of --max_overhead: what the events of a period have cost, the CPU time that the program itself has had, and
 * the debt. A cost above the limit is a debt that later periods pay back, so that the limit holds for the whole session. */
#include "agent/limit/account.h"

#include "agent/cpython/layout.h"
#include "agent/limit/cpu_time.h"
#include "agent/session/session.h"

enum { BARE_LEAST = 4, BUSY_PERCENT = 90 };

struct account account;

/* Cost of one event in nanoseconds, measured with tests/bench/overhead at 2.3 GHz. Converted to ticks, so that it grows on slower
 * machines. Rounded up, because the benchmark does not see what the target loses in its caches. */
static const struct cost {
    uint32_t kind, from_python;
    uint32_t event, skip;
} costs[] = {
    {VT_HOOK_MONITORING, 0x30c, 100, 50}, {VT_HOOK_PROFILE, 0x30b, 180, 100}, {VT_HOOK_PROFILE, 0x308, 130, 25},
    {VT_HOOK_EVAL, 0x30b, 60, 24},        {VT_HOOK_EVAL, 0x308, 40, 12},
};

static uint64_t ns_to_ticks(uint64_t ns) { return ns * agent.ticks_per_ms / 1000000; }

/* Four fifths of the limit. The rest covers costs that no event accounts for: colder caches, code that is instrumented again. */
int64_t account_allowed(uint64_t active) { return (int64_t)(active * agent.ctl->max_overhead / SHARE_UNIT * 4 / 5); }

uint64_t account_counted(void) { return (account.skipped + account.others) * account.cost_skip; }
uint64_t account_recorded(void) { return account.events * account.cost_event + account.values; }

/* The part of `active` ticks that the program itself ran. Costs are estimates, so the program gets at least a quarter. */
static uint64_t account_bare_of(uint64_t active, uint64_t cost) {
    return active > cost + active / BARE_LEAST ? active - cost : active / BARE_LEAST;
}

/* Ticks that the process has run since the last period, without the time in which it waited for a processor or for anything else.
 */
static uint64_t account_active(uint64_t now) {
    uint64_t ran = ns_to_ticks(process_cpu_ns() - account.cpu_last), wall = now > account.tick_last ? now - account.tick_last : 0;
    return ran < wall ? ran : wall;
}

static uint64_t account_cost(void) { return account_recorded() + account_counted() + agent.naming; }

uint64_t account_bare(uint64_t now) { return account.bare + account_bare_of(account_active(now), account_cost()); }

void account_totals(uint64_t now, uint64_t *active, uint64_t *cost) {
    *active = account.active + account_active(now);
    *cost = account.cost + account_cost();
}

void account_costs(void) {
    const struct cost *cost = costs;
    while (cost->kind != agent.hooks->kind || layout.python < cost->from_python) cost++;
    account.cost_event = ns_to_ticks(cost->event);
    account.cost_skip = ns_to_ticks(cost->skip);
}

void account_start(uint64_t now) {
    account = (struct account){.tick_last = now, .started = now, .cpu_last = process_cpu_ns()};
    account.unknown_last = cpu_time_unknown();
    agent.naming = 0;
    account_costs();
}

bool account_is_busy(uint64_t now) {
    uint64_t active, cost;
    account_totals(now, &active, &cost);
    return active * 100 >= (now - account.started) * BUSY_PERCENT;
}

uint64_t account_period(uint64_t now) {
    uint64_t cost = account_cost(), active = account_active(now), bare = account_bare_of(active, cost);
    int64_t most = account_allowed(1000 * agent.ticks_per_ms);
    account.bare += bare;
    account.active += active;
    account.cost += cost;
    account.last_active = active;
    account.last_cost = cost;
    account.last_wall = now > account.tick_last ? now - account.tick_last : 0;
    account.last_unknown = cpu_time_unknown() - account.unknown_last;
    account.unknown_last = cpu_time_unknown();
    account.tick_last = now;
    account.cpu_last = process_cpu_ns();
    account.debt += (int64_t)cost - account_allowed(bare);
    if (account.debt < -most) account.debt = -most;
    return bare;
}

void account_next_period(void) { account.events = account.skipped = account.others = account.values = agent.naming = 0; }

void account_paid(uint64_t now) {
    uint64_t active = account_active(now);
    account.bare += active;
    account.tick_last = now;
    account.cpu_last = process_cpu_ns();
    account.debt -= account_allowed(active);
}
