/* The clock of the time stamps, and the length of its ticks. Ticks are uint64_t, hz is ticks per second. One thread at a
 * time per clock_source. */
#ifndef VT_DAEMON_CALIBRATE_H
#define VT_DAEMON_CALIBRATE_H

#include "proto/abi/arena.h"
#include "proto/base.h"

struct clock_point {
    uint64_t ticks, mono_ns, real_ns;
};
struct clock_source {
    enum vt_clock kind;
    uint64_t hz;              /* as measured so far */
    struct clock_point first; /* hz gets better with the time since then */
};

/* TSC where it is invariant, else CLOCK_MONOTONIC. Takes ~3 ms. */
void clock_init(struct clock_source *c);
uint64_t clock_ticks(const struct clock_source *c);
/* Reads both clocks at nearly the same moment, and refines hz. */
void clock_read(struct clock_source *c, struct clock_point *p);
uint64_t clock_ns_to_ticks(const struct clock_source *c, uint64_t ns);
uint64_t clock_ticks_to_ns(const struct clock_source *c, uint64_t ticks);

#endif
