/* Catching Ctrl+C, SIGTERM and SIGHUP while long work runs. The main thread only. */
#ifndef VT_CLI_INTERRUPT_H
#define VT_CLI_INTERRUPT_H

#include <signal.h>

#define INTERRUPT_SIGNALS 3u

struct interrupt { /* what was there before */
    struct sigaction before[INTERRUPT_SIGNALS];
};

/* From now on these signals only count up interrupts_seen. flags: SA_RESTART, or 0 so that system calls return EINTR. */
void interrupt_catch(struct interrupt *i, int flags);
/* The signals do again what they did before. */
void interrupt_release(const struct interrupt *i);
/* How many signals were caught since interrupt_catch. Work that has to stop looks at it: nonzero = give up. */
extern volatile int interrupts_seen;
/* May be set before interrupt_catch: a descriptor that every caught signal writes one byte to, so that a poll wakes. -1 = none.
 */
extern volatile int interrupt_wake_fd;

#endif
