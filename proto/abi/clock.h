/* The CPU's tick counter, the source of all time stamps where it is usable (VT_CLOCK_TSC in arena.h). The agent, the daemon
 * and the attach code read it through this one function. Freestanding: usable in the agent. */
#ifndef VT_PROTO_ABI_CLOCK_H
#define VT_PROTO_ABI_CLOCK_H

#include <stdint.h>

#if defined(__x86_64__)
#define VT_HAS_TSC 1
static inline uint64_t vt_tsc(void) { return __builtin_ia32_rdtsc(); }
#else
#define VT_HAS_TSC 0 /* the daemon then chooses VT_CLOCK_MONOTONIC_NS */
static inline uint64_t vt_tsc(void) { return 0; }
#endif

#endif
