/* --max_overhead: keeps what tracing costs the target under a share of its CPU time.
 *
 *   account.c   what the events of a period cost, against the CPU time of the process
 *   throttle.c  3.12+: hot functions are only counted, then switched off except for short looks
 *   window.c    below 3.12, where events of one function cannot be switched off: all hooks are taken out, and put in again when
 * the daemon sends a thread governor.c  ends periods, and decides
 *
 * This header is what the rest of the agent calls. With the main interpreter's GIL, in sessions with a limit
 * (agent.governed) unless a comment says otherwise. */
#ifndef VT_AGENT_GOVERNOR_H
#define VT_AGENT_GOVERNOR_H

#include "agent/limit/account.h"

/* What to do with an event of a function. */
enum governor_verdict {
    GOVERNOR_RECORD = 0,
    GOVERNOR_SKIP, /* count it for the depth, do not record it: the other end of the call will be seen, too */
    GOVERNOR_PASS, /* ignore it: the other end may not be seen */
    GOVERNOR_OFF   /* the same, and switch this event off at this place */
};

/* governor.c: a part of the session. All four do nothing without a limit. */
void governor_start(void);
void governor_tell(void);
void governor_stop(void);
/* In a thread that the daemon sent in. */
void governor_wake(void);
/* Are the hooks out? Any session. */
bool governor_is_off(void);
/* Called with each event, before it is counted. Ends a period when that is due; may end the session. */
void governor_look_now(void);
ALWAYS_INLINE void governor_looks(void) {
    if (UNLIKELY((++account.look & 31) == 0)) governor_look_now();
}
/* An event of the frame evaluation function: record it? */
bool governor_whole(void);

/* throttle.c. An event of a function; id as in a record. */
enum governor_verdict throttle_event(uint32_t id, bool enter, bool c_function);
/* `ticks`: what the texts of the event's values have cost. */
void throttle_values(uint32_t id, uint64_t ticks);
/* It has an open frame at the start. */
void throttle_was_open(uint32_t id);
/* Its events are no longer seen: it does not stand between its caller and what it calls. */
bool throttle_is_transparent(uint32_t id);
/* sys.monitoring.restart_events has just switched every event on again. now: clock. */
void throttle_looks_begin(uint64_t now);

/* window.c. Before an event is recorded. `frame`: the running frame where the hook has it; NULL: the innermost frame is the one
 * around it. */
void window_event(void *frame, bool enter);
/* Writes the open frames of this thread, because its calls until now may have been missed. `entered`: the innermost frame is the
 * one that the next event enters. cause: enum vt_window_cause. Any session below 3.12. */
void window_tell(struct thread *thread, bool entered, uint32_t cause);

#endif
