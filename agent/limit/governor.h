/* --max_overhead: keeps what tracing costs the target under a share of its CPU time.
 *
 *   governor.c  the account: events seen times what one costs on this back end, against the CPU time of the process
 *   throttle.c  3.12+: hot functions are only counted, then switched off but for short looks
 *   window.c    below 3.12, where a hook cannot be kept from a function: all hooks out, and in again when the daemon sends a
 * thread
 *
 * All with the GIL held. Nothing here is called in a session without a limit. */
#ifndef VT_AGENT_GOVERNOR_H
#define VT_AGENT_GOVERNOR_H

#include "agent/agent_priv.h"

enum { SHARE_UNIT = 10000 }; /* of vt_ctl.max_overhead */

struct governor {
    uint64_t events, skipped, others; /* of this period: recorded, only counted, C calls of callables that are none */
    uint64_t values, naming;          /* ticks of this period, measured: texts of values, names told once */
    uint32_t look;
    uint64_t tick_at, tick_last;    /* clock */
    uint64_t cpu_last;              /* CPU time of the process, ns */
    uint64_t bare;                  /* ticks that the program itself has run, in all, up to tick_last */
    int64_t debt;                   /* cost above the limit so far, ticks */
    uint64_t cost_event, cost_skip; /* ticks: recorded; counted */
    uint64_t tell_at;
    bool off; /* window.c: the hooks are out */
};
extern struct governor governor;

/* What to do with an event of a function. */
enum governor_verdict {
    GOVERNOR_RECORD = 0,
    GOVERNOR_SKIP, /* seen, not recorded; its partner will be seen, too */
    GOVERNOR_PASS, /* as if it were not there */
    GOVERNOR_OFF   /* the same, and no more of it at this place */
};

/* governor.c */
void governor_start(void);
void governor_costs(void);
void governor_stop(void);
bool governor_is_off(void);
void governor_look_now(void);
void governor_paid(uint64_t now);
uint64_t governor_bare(uint64_t now);
int64_t governor_allowed(uint64_t active);
uint64_t process_cpu_ns(void);
ALWAYS_INLINE void governor_looks(void) {
    if (UNLIKELY((++governor.look & 31) == 0)) governor_look_now();
}
/* throttle.c */
bool throttle_start(void);
void throttle_stop(void);
enum governor_verdict throttle_event(uint32_t id, bool enter, bool c_function);
void throttle_was_open(uint32_t id);
bool throttle_is_transparent(uint32_t id);
bool throttle_most(uint64_t room, uint64_t bare);
void throttle_values(uint32_t id, uint64_t ticks);
void throttle_next_period(void);
void throttle_looks_begin(uint64_t now);
void throttle_wake(uint64_t now);
void throttle_tell(void);
/* window.c */
void window_start(void);
void window_close(void);
void window_event(void *frame, bool enter);
void window_tell(struct thread *thread, bool entered, uint32_t cause);
bool governor_whole(void);
void window_wake(void);

#endif
