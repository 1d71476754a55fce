/* --max_overhead on Python 3.12+: single functions; throttle.c has the states. What hooks call is in governor.h. With the main
 * interpreter's GIL. */
#ifndef VT_AGENT_THROTTLE_H
#define VT_AGENT_THROTTLE_H

#include "agent/cpython/base.h"

/* False: no memory for the table. */
bool throttle_start(void);
void throttle_stop(void);
/* Throttles the hottest functions of the period until recording the others would have fitted into `room` ticks. False:
 * there was none to throttle. */
bool throttle_most(uint64_t room);
void throttle_next_period(void);
/* In the thread that the daemon sends when nothing is recorded any more: begins the next look if it is due. now: clock. */
void throttle_wake(uint64_t now);
/* Writes what is known of every throttled function. */
void throttle_tell(void);

#endif
