/* Running where a thread of the target runs. The kernel runs one thread at a time on a core: while we run there, that thread does
 * not. If it holds the GIL, no Python code runs at all and memory stands still, without a stop, a signal or anything that is left
 * over. It costs the target the time that we run, some 10 us. */
#ifndef VT_OUTSIDE_PIN_H
#define VT_OUTSIDE_PIN_H

#include <sched.h>
#include <sys/types.h>

#include "proto/base.h"

struct pin { /* all zero = we run anywhere */
    cpu_set_t own;
    bool on;
    int core;
    pid_t tid;           /* whom the last pin_to was for; 0 = it failed */
    bool here;           /* the thread was on our core when we had come there */
    uint64_t timeslices; /* that it had run by then */
};

/* Moves this thread to the core where `tid` runs or ran last. False: we may not run there, the thread is gone, or it has
 * real-time priority and would not make way; then nothing has changed. */
bool pin_to(struct pin *p, pid_t pid, pid_t tid);
/* Whether the thread has not run since pin_to. True, too, where it could not be pinned: nothing is known then. */
bool pin_has_held(const struct pin *p, pid_t pid, pid_t tid);
/* Runs anywhere again. */
void pin_release(struct pin *p);

#endif
