/* What a piece of a target's code costs in instructions, counted one by one: no clock, so no noise. */
#ifndef VT_TESTS_STEPS_H
#define VT_TESTS_STEPS_H

#include <stdint.h>
#include <sys/types.h>

#define STEPS_MAX 1000000u /* instructions between two marks, at most */

/* The thread calls system call `mark_nr` before and after the piece that is to be counted, `rounds` times. Stops it with
 * ptrace, single-steps through the pieces, lets it go. *fewest: instructions of the cheapest round, in user mode. The thread
 * must be blocked or before its first mark when this is called; `go` is called once it is watched, to start it.
 * 0 or -errno; the thread is let go in any case. */
int steps_count(pid_t tid, long mark_nr, int rounds, void (*go)(void *arg), void *arg, uint64_t *fewest);

#endif
