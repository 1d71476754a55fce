/* The CPU time that the process has had. With the main interpreter's GIL, while a session is on. */
#ifndef VT_AGENT_CPU_TIME_H
#define VT_AGENT_CPU_TIME_H

#include "agent/record/state.h"

/* In ns, never less than before in the same session; 0 = not known yet. Comparable with vt_ctl.wake_cpu_ns. */
uint64_t process_cpu_ns(void);
/* An event has come at `now` (clock). The more often this is called, the better process_cpu_ns is over short times. */
void cpu_time_passes(uint64_t now);

#endif
