/* Named fault points, compiled in with FAULTS=1 and to nothing otherwise.
 *   VT_FAULT=<rung>            that rung fails with -EIO, once
 *   VT_KILL=<rung>[:delay_us]  the process gets SIGKILL there, after a delay spent in the same state
 *   VT_KILL_AFTER=<us>         SIGKILL that long after the first thread of the target was seized
 *   VT_SLEEP=<rung>:<ms>       the process sleeps that long there, once
 *   VT_BOOT_WAIT_MS=<ms>       how long the new thread waits for a dead injector
 * VT_FAULT_LOG=1 prints each point as it is passed. */
#ifndef VT_ATTACH_FAULT_H
#define VT_ATTACH_FAULT_H

#include <stdint.h>

#ifdef VT_FAULTS
/* 0, or -EIO when this rung has to fail. May not return. */
int fault_point(const char *rung);
void fault_seized(void);
uint64_t fault_boot_wait_ns(uint64_t usual);
#else
static inline int fault_point(const char *rung) {
    (void)rung;
    return 0;
}
static inline void fault_seized(void) {}
static inline uint64_t fault_boot_wait_ns(uint64_t usual) { return usual; }
#endif

#endif
