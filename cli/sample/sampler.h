/* Samples of a process at a steady rate. */
#ifndef VT_CLI_SAMPLER_H
#define VT_CLI_SAMPLER_H

#include "outside/outside.h"

enum { SAMPLER_RATE_USUAL = 100, SAMPLER_RATE_MAX = 10000 };

struct sampler { /* the caller sets o, rate and which threads; the rest is 0 */
    struct outside *o;
    uint32_t rate; /* samples per second */
    bool gil;      /* only the thread that holds the GIL */
    bool idle;     /* threads that wait, too; else only those on a CPU and the one that holds the GIL */
    uint64_t samples, late;
    uint64_t next_ns; /* when the next one is due (CLOCK_MONOTONIC) */
};

/* Reads the stacks now. 0 or -errno and err; -ESRCH: the process has ended. */
VT_MUST_CHECK int sampler_take(struct sampler *s, struct vt_err *err);
/* Whether the profile is about this thread, as it was read last. */
bool sampler_wants(const struct sampler *s, const struct outside_thread *t);
/* Sets next_ns. A reading that took longer than the time between two samples is not made up for, but counted in late. Returns how
 * long to wait. */
uint64_t sampler_wait_ns(struct sampler *s);

#endif
