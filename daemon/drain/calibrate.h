/* Which clock the target stamps with, and what its ticks are worth. */
#ifndef VT_DAEMON_CALIBRATE_H
#define VT_DAEMON_CALIBRATE_H

#include "proto/abi/arena.h"
#include "proto/base.h"

struct clock_point {
    uint64_t ticks, mono_ns, real_ns;
};
struct clock_source {
    enum vt_clock kind;
    uint64_t hz;              /* as known now */
    struct clock_point first; /* the longer ago, the better hz */
};

/* TSC where it is invariant, else CLOCK_MONOTONIC. Takes ~3 ms. */
void clock_init(struct clock_source *c);
uint64_t clock_ticks(const struct clock_source *c);
/* Reads both clocks as near to each other as can be, and refines hz. */
void clock_read(struct clock_source *c, struct clock_point *p);
uint64_t clock_ns_to_ticks(const struct clock_source *c, uint64_t ns);
uint64_t clock_ticks_to_ns(const struct clock_source *c, uint64_t ticks);

#endif
