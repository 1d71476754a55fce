/* The account of --max_overhead. Times are ticks of the session's clock unless a name says otherwise. With the main
 * interpreter's GIL, in sessions with a limit. */
#ifndef VT_AGENT_ACCOUNT_H
#define VT_AGENT_ACCOUNT_H

#include "agent/record/state.h"

enum { SHARE_UNIT = 10000 }; /* of vt_ctl.max_overhead */

struct account {
    uint64_t events, skipped,
        others;      /* of this period: recorded; only counted; CALL events of callables that are not C functions */
    uint64_t values; /* ticks that the texts of values have cost in this period, measured; names: agent.naming */
    uint32_t look;
    uint64_t tick_at, tick_last;      /* clock */
    uint64_t started, unknown_last;   /* clock; cpu_time_unknown() at tick_last */
    uint64_t cpu_last;                /* CPU time of the process, ns */
    uint64_t active, cost;            /* up to tick_last: ticks that the process has run; ticks that events took at most */
    uint64_t last_active, last_cost;  /* the same of the last period alone */
    uint64_t last_wall, last_unknown; /* of the last period: its length, and stretches of which is not known whether it ran */
    uint64_t bare;                    /* ticks that the program itself has run, in all, up to tick_last */
    int64_t debt;                     /* cost above the limit so far, ticks */
    uint64_t cost_event, cost_skip;   /* ticks: recorded; counted */
    uint64_t tell_at;
    bool off; /* window.c: the hooks are out */
};
extern struct account account;

void account_start(uint64_t now);
/* Looks up what an event costs on the back end in use. */
void account_costs(void);
/* What the events of this period have cost: those that were recorded, and those that were only counted. */
uint64_t account_recorded(void);
uint64_t account_counted(void);
/* Ends the period at `now` and books it; the ticks that the program itself has run in it. account_next_period clears its counts.
 */
uint64_t account_period(uint64_t now);
void account_next_period(void);
/* The hooks are out: the time up to `now` pays back the debt. */
void account_paid(uint64_t now);
/* Ticks that the program itself has run up to `now`, in all. */
uint64_t account_bare(uint64_t now);
/* The totals of `active` and `cost` up to `now`. */
void account_totals(uint64_t now, uint64_t *active, uint64_t *cost);
/* The program has run nearly all the time: it neither waits much nor has to wait for a processor. */
bool account_is_busy(uint64_t now);
/* Ticks of cost that the limit allows for `active` ticks of the program. */
int64_t account_allowed(uint64_t active);

#endif
