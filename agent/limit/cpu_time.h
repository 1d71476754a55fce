/* The CPU time that the process has had. With the main interpreter's GIL, while a session is on. */
#ifndef VT_AGENT_CPU_TIME_H
#define VT_AGENT_CPU_TIME_H

#include "agent/record/state.h"

/* In ns, never less than before in the same session; 0 = not known yet. Comparable with vt_ctl.wake_cpu_ns. */
uint64_t process_cpu_ns(void);
/* An event has come at `now` (clock). The more often this is called, the better process_cpu_ns is over short times. */
void cpu_time_passes(uint64_t now);

/* False: the daemon tells the CPU time, and it is exact over tenths of a second only. */
bool cpu_time_is_exact(void);
/* Ticks of all stretches of more than 0.1 ms without a look at the clock so far: whether the process ran then is not known. 0
 * where the CPU time is exact. */
uint64_t cpu_time_unknown(void);

#endif
