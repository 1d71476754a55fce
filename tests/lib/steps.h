/* Counts the instructions of a piece of a target's code by single-stepping: no clock, so no noise. */
#ifndef VT_TESTS_STEPS_H
#define VT_TESTS_STEPS_H

#include <stdint.h>
#include <sys/types.h>

#define STEPS_MAX 1000000u /* instructions between two marks, at most */

/* The thread makes system call `mark_nr` before and after the piece to be counted, `rounds` times. This stops the thread with
 * ptrace, single-steps through the pieces and lets it go. *fewest: instructions of the cheapest round, in user mode. The
 * thread must be blocked or before its first mark when this is called. `go` is called to start it, once it is watched. 0 or
 * -errno; the thread is let go in any case. */
int steps_count(pid_t tid, long mark_nr, int rounds, void (*go)(void *arg), void *arg, uint64_t *fewest);

#endif
