/* The scheduler's clock, which tells when a thread last ran. Each core has one of its own: they differ by the time that a
 * hypervisor took from one core and not from another. Functions move the calling thread between cores, and put it back. */
#ifndef VT_OUTSIDE_CORES_H
#define VT_OUTSIDE_CORES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CORES_MAX 1024

struct cores {
    int64_t ahead_ns[CORES_MAX]; /* of CLOCK_MONOTONIC */
    bool known[CORES_MAX], failed[CORES_MAX];
};

/* When the thread was last put on a core or accounted for there, on that core's clock; 0 = the kernel does not say. */
uint64_t cores_ran_ns(pid_t pid, pid_t tid);
/* How long ago that is, of a thread whose last core is this one; 0 = not known. *c is zero at first. */
uint64_t cores_since_ns(struct cores *c, int core, uint64_t ran_ns);

#endif
