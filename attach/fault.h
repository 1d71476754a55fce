/* Named fault points for tests. They exist in builds with FAULTS=1 only.
 *   VT_FAULT=<rung>            that rung fails with -EIO, once
 *   VT_KILL=<rung>[:delay_us]  the process kills itself there with SIGKILL, after an optional delay
 *   VT_KILL_AFTER=<us>         SIGKILL this long after the first thread of the target was seized
 *   VT_SLEEP=<rung>:<ms>       the process sleeps that long there, once
 *   VT_BOOT_WAIT_MS=<ms>       how long the new thread waits for a dead injector
 * VT_FAULT_LOG=1 prints each point as it is passed.
 *   VT_FAULT_ENV=<prefix>      of a daemon: a helper for process PID gets the variables of the file <prefix>PID, one
 *                              NAME=value a line */
#ifndef VT_ATTACH_FAULT_H
#define VT_ATTACH_FAULT_H

#include <stddef.h>
#include <stdint.h>

#ifdef VT_FAULTS
/* 0, or -EIO when this rung has to fail. Does not return when the process has to die here. */
int fault_point(const char *rung);
void fault_seized(void);
uint64_t fault_boot_wait_ns(uint64_t usual);
/* Adds the variables of VT_FAULT_ENV's file to env, which has room for `room` more and a NULL. */
void fault_env(char **env, size_t room, int pid);
#else
static inline int fault_point(const char *rung) {
    (void)rung;
    return 0;
}
static inline void fault_seized(void) {}
static inline uint64_t fault_boot_wait_ns(uint64_t usual) { return usual; }
static inline void fault_env(char **env, size_t room, int pid) {
    (void)env;
    (void)room;
    (void)pid;
}
#endif

#endif
